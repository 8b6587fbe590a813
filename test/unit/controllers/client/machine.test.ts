import test from 'ava';
import { ClientMachine } from '#src/controllers/client/machine.ts';
import { buildClientRecord, buildClientSnapshot } from '#test/support/builders.ts';

test('before anything is done with a client, the token of its proof is revoked, which needs its credential', async (t) => {
  const order: string[] = [];
  const machine = new ClientMachine({
    changes: { deregister: async () => void order.push('deregister') },
    proofTokens: { settle: async (client: string) => void order.push(`settle ${client}`) },
  } as unknown as ConstructorParameters<typeof ClientMachine>[0]);
  const s = buildClientSnapshot({ record: buildClientRecord({}) });
  const taken = { row: 'row', action: { type: 'Deregister', generation: 1 }, reason: 'InProgress' } as const;
  await machine.apply('client-1', s, taken, new AbortController().signal);
  t.deepEqual(order, ['settle client-1', 'deregister']);
});
