import test from 'ava';
import { Epochs } from '#src/controllers/upkeep/epochs.ts';
import { Memory } from '#src/controllers/memory.ts';
import type { Logger } from '#src/telemetry/logger.ts';
import { buildClientRecord, buildSessionRecord } from '#test/support/builders.ts';

const never = new AbortController().signal;

/** A leader of epoch 7; `taken`: somebody else has the lease by now. */
function lead(taken = false): { memory: Memory; epochs: Epochs; log: string[] } {
  const memory = new Memory('ci-identity-system');
  const log: string[] = [];
  let epoch = 7;
  const epochs = new Epochs({
    memory,
    logger: { warn: (text: string) => log.push(text) } as unknown as Logger,
    epoch: () => epoch,
    raiseEpoch: async (atLeast) => {
      if (taken) throw new Error('conflict');
      epoch = atLeast;
      log.push(`epoch ${epoch}`);
    },
    resync: async () => void log.push('everything looks again'),
  });
  return { memory, epochs, log };
}

const client = (memory: Memory, epoch: number): void =>
  memory.clients.put('client-1', {
    uid: 'u',
    resourceVersion: String(epoch),
    name: 'client-1',
    record: buildClientRecord({ epoch }),
  });

test('a record with a later epoch, while the lease is ours: ours is raised above it, which is said, once', async (t) => {
  const { memory, epochs, log } = lead();
  client(memory, 7);
  await epochs.look(never);
  t.deepEqual(log, []);
  client(memory, 500);
  await epochs.look(never);
  await epochs.look(never);
  t.deepEqual(log, [
    'epoch 501',
    'a record of a later epoch than ours was brought back, so our epoch is raised',
    'everything looks again',
  ]);
});

test('so it is with the record of a session', async (t) => {
  const { memory, epochs, log } = lead();
  const record = buildSessionRecord({ epoch: 9 });
  memory.sessions.put('session-1', { uid: 'u', resourceVersion: '1', name: 'session-1', record });
  await epochs.look(never);
  t.is(log[0], 'epoch 10');
});

test('the lease is somebody else’s: nothing is raised, and the caller hears why', async (t) => {
  const { memory, epochs, log } = lead(true);
  client(memory, 8);
  await t.throwsAsync(epochs.look(never));
  t.deepEqual(log, []);
});
