/** A session whose record somebody damaged: from the Secret in memory to what is decided and done. */
import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { Memory } from '#src/controllers/memory.ts';
import { SessionMachine, type SessionMachineOptions } from '#src/controllers/session/machine.ts';
import { sessionKeyOf } from '#src/controllers/session/key.ts';
import { sessionRecordName } from '#src/domain/record-names.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import { Store } from '#src/runtime/store.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { buildGranted, buildPod, buildSessionRecord, noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { identity, pool, seen } from '../../domain/access/objects.ts';

const record = buildSessionRecord();
const key = sessionKeyOf(record);
const name = sessionRecordName(record.pod.uid, record.identity.uid);
const kept = (uid: string, resourceVersion = '1'): { name: string; uid: string; resourceVersion: string } => ({
  name,
  uid,
  resourceVersion,
});

class World {
  readonly memory = new Memory('ci-identity-system');
  readonly lines: AuditFacts[] = [];
  readonly told: string[] = [];
  readonly written: [name: string, next: SessionRecord, from: SessionRecord | undefined][] = [];
  readonly machine: SessionMachine;

  constructor(stored: boolean) {
    const { memory } = this;
    const pods = new Store<PodFacts>('pods');
    memory.pods.set('ci-payments', pods);
    pods.replaceAll([['ci-payments/agent-1', buildPod({ phase: 'Running' })]], '1');
    memory.namespaces.put('ci-payments', {
      ...kept('n'),
      name: 'ci-payments',
      labels: { 'ci-identity.dev/inject': 'enabled' },
      annotations: {},
      terminating: false,
    });
    memory.pools.put('ci-bots', { ...kept('pool-uid'), ...pool() });
    memory.identities.put('ci-payments/publisher', {
      ...kept('identity-uid'),
      ...identity({}, { name: 'publisher', uid: 'identity-uid' }),
    });
    memory.sessions.replaceAll(stored ? [[name, { ...kept('s'), record }]] : [], '1');
    const access = { of: () => seen(buildGranted()), ofHeld: () => undefined };
    const sources = {
      memory,
      access,
      reviews: { known: () => seen(true) },
      targets: { serving: () => ({ recordName: 'client-1' }) },
      existing: () => undefined,
      delivered: new Map(),
      answered: new Map(),
      brakes: { of: () => undefined },
      guard: () => ({ is: 'Intact', since: plus(noon, -minute) }),
      capabilities: () => undefined,
      deliveryLag: () => minute,
      now: () => noon,
      epoch: () => 1,
      clientFailure: () => undefined,
      outage: () => undefined,
      revocationsPaused: () => false,
      clocksDisagree: () => false,
      limitOf: () => undefined,
      seenSince: () => noon,
    };
    this.machine = new SessionMachine({
      sources,
      clock: new VirtualClock(),
      effects: {
        run: (_effect: string, o: { readonly signal: AbortSignal }, call: (signal: AbortSignal) => unknown) =>
          call(o.signal),
      },
      records: { write: (...call: World['written'][number]) => void this.written.push(call) },
      audit: { record: (_key: string, _s: unknown, facts: AuditFacts) => void this.lines.push(facts) },
      restored: (...what: readonly string[]) => void this.told.push(what.join(' ')),
    } as unknown as SessionMachineOptions);
  }

  get decision(): ReturnType<SessionMachine['decide']> | undefined {
    const s = this.machine.snapshot(key, []);
    return s && this.machine.decide(s, noon);
  }

  async act(): Promise<void> {
    const s = this.machine.snapshot(key, []);
    const decision = s && this.machine.decide(s, noon);
    if (s === undefined || decision?.action === undefined) throw new Error('nothing to do');
    await this.machine.apply(key, s, { ...decision, action: decision.action }, AbortSignal.any([]));
  }
}

const damages: readonly (readonly [what: string, does: (memory: Memory) => void])[] = [
  ['deletes', ({ sessions }) => sessions.remove(name, 's', '2')],
  ['overwrites', ({ sessions }) => sessions.put(name, { ...kept('s', '2'), invalid: 'it is no JSON' })],
];

for (const [what, does] of damages)
  test(`somebody ${what} the record of a session: it is written again as it was, and people are told`, async (t) => {
    const world = new World(true);
    t.not(world.decision?.row, 'damaged');
    does(world.memory);
    t.is(world.decision?.row, 'damaged');
    await world.act();
    t.deepEqual(
      world.written.map((call) => call.slice(0, 3)),
      [[name, record, record]],
    );
    t.like(world.lines, [{ event: 'Restored', outcome: 'Failure', reason: 'RecordRestored' }]);
    t.regex(world.told.join(), new RegExp(`^${key} RecordRestored somebody deleted or changed Secret ${name}`));
  });

test('the record was damaged while no operator ran: nothing is minted over it', (t) => {
  const world = new World(false);
  world.memory.sessions.put(name, { ...kept('s', '2'), invalid: 'it is no JSON' });
  t.like(world.decision, { row: 'unreadable', reason: 'RecordInvalid', action: undefined });
  world.memory.sessions.remove(name, 's', '3');
  t.not(world.decision?.row, 'unreadable');
});
