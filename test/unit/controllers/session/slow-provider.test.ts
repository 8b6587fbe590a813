import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { decideClient } from '#src/domain/client/decide.ts';
import type { ClientAction, ClientSnapshot } from '#src/domain/client/machine.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Loop } from '#src/runtime/loop.ts';
import type { Machine } from '#src/runtime/machine.ts';
import { buildClientRecord, buildClientSnapshot, buildGeneration } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A client is looked at before it is changed or deleted, and the look counts for a minute: much less than such a queue takes. */
const clients = 300;
const perSecond = 2;

interface Case {
  readonly title: string;
  readonly record: ClientRecord;
  readonly wanted?: ClientSnapshot['wanted'];
  readonly done: ClientAction['type'];
}

const cases: readonly Case[] = [
  { title: 'the ceiling was edited', record: buildClientRecord({ sent: 'another ceiling' }), done: 'Update' },
  {
    title: 'the pools were deleted',
    record: buildClientRecord({ generations: [buildGeneration({ state: 'Retiring' })] }),
    wanted: { is: 'Gone' },
    done: 'Deregister',
  },
];

for (const { title, record, wanted, done } of cases) {
  for (const groups of ['one pool', 'a pool each'] as const) {
    test(`${clients} clients at a provider that takes ${perSecond} calls a second, ${groups}: ${title}`, async (t) => {
      const clock = new VirtualClock();
      const records = new Map<string, ClientRecord>();
      const calls: ClientAction['type'][] = [];
      for (let i = 0; i < clients; i += 1) {
        const pool = { ...record.pool, name: groups === 'one pool' ? 'ci-bots' : `pool-${i}` };
        records.set(`client-${i}`, {
          ...record,
          pool,
          observed: { is: 'Present', at: plus(clock.now(), -minute), drift: [] },
        });
      }
      const machine: Machine<ClientSnapshot, ClientAction> = {
        name: 'client',
        snapshot(key) {
          const kept = records.get(key);
          return kept && buildClientSnapshot({ record: kept, ...(wanted === undefined ? {} : { wanted }) });
        },
        decide: decideClient,
        apply(key, _snapshot, { action }) {
          const kept = records.get(key);
          calls.push(action.type);
          if (action.type === done) records.delete(key);
          else if (kept !== undefined)
            records.set(key, { ...kept, observed: { is: 'Present', at: clock.now(), drift: [] } });
          return Promise.resolve();
        },
      };
      const random = (): number => 0.5;
      const budgets = new Budgets({ clock, random, rateOf: () => ({ perSecond }), reservedShare: () => 0 });
      const loop = new Loop({ clock, random, budgets });
      loop.register(machine);
      for (const key of records.keys()) loop.wake('client', key);
      const stop = new AbortController();
      const ended = loop.run(stop.signal);
      await clock.advance((2 * clients * 1.1 * second) / perSecond);
      t.is(records.size, 0);
      t.is(calls.length, 2 * clients, 'one look and one change each');
      stop.abort();
      await ended;
    });
  }
}
