import test from 'ava';
import { instant, minute, second } from '#src/clock.ts';
import type { Decision } from '#src/decision.ts';
import { maxConcurrent, lanes, reservedShare, maxConsecutiveStarts } from '#src/domain/lanes.ts';
import { OperatorError } from '#src/errors.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Loop } from '#src/runtime/loop.ts';
import { type Prober, ProbeTurns } from '#src/runtime/probe-turns.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const waits = (key: string, lane: number, group: string, seq = 0): Prober => ({
  key,
  seq,
  work: { lane, by: instant(0), group, resource: 'a/tokens' },
});

test('lanes and groups probe in turns, and the one for which it worked last comes first', (t) => {
  const turns = new ProbeTurns();
  const [urgent, urgentToo] = [waits('a1', 1, 'a', 1), waits('a2', 1, 'a', 2)];
  const [other, late] = [waits('b1', 2, 'b', 3), waits('c1', 4, 'c', 4)];
  const all = [late, other, urgentToo, urgent];
  const order: string[] = [];
  const probe = (works: boolean): void => {
    const next = turns.next(all);
    if (next === undefined) return;
    order.push(next.key);
    turns.ended(next, works);
  };
  for (let i = 0; i < 5; i += 1) probe(false);
  t.deepEqual(
    order.splice(0),
    ['a1', 'b1', 'c1', 'a2', 'b1'],
    'in turns; the key that failed last waits for its sibling',
  );
  t.is(turns.next([urgent]), urgent, 'alone, one probes again');
  probe(true);
  probe(false);
  t.deepEqual(order, ['c1', 'c1'], 'the lane and group for which it worked last comes first');
  t.is(turns.next([]), undefined);
});

test('whoever does not fail comes before the party that does, whatever the lane and wherever its pods are', (t) => {
  const turns = new ProbeTurns();
  const party = ({ work, ...one }: Prober, name: string): Prober => ({ ...one, work: { ...work, party: name } });
  const failing = [1, 2, 3].map((n) => party(waits(`f${n}`, 1, `team-${n}`, n), 'f'));
  const other = party(waits('o', 4, 'team-1', 9), 'o');
  turns.ended(failing[0]!, false);
  t.is(turns.next([...failing, other]), other);
  turns.ended(other, true);
  t.is(turns.next([...failing, other]), other);
  t.is(turns.next(failing), failing[1]);
});

interface Case {
  readonly title: string;
  readonly failing: { readonly keys: number; readonly lane: number; readonly group: string };
  readonly others: { readonly lane: number; readonly group: string };
}

const cases: readonly Case[] = [
  {
    title: 'renewals of one client that gets 500, new pods of others',
    failing: { keys: 5, lane: lanes.Expiring, group: 'team-a' },
    others: { lane: lanes.NewPod, group: 'team-b' },
  },
  {
    title: 'the same in one namespace',
    failing: { keys: 5, lane: lanes.Expiring, group: 'team-a' },
    others: { lane: lanes.NewPod, group: 'team-a' },
  },
  {
    title: 'in one namespace and lane',
    failing: { keys: 5, lane: lanes.NewPod, group: 'team-a' },
    others: { lane: lanes.NewPod, group: 'team-a' },
  },
  {
    title: 'a stop that fails, a resync of others',
    failing: { keys: 20, lane: lanes.Stop, group: 'team-a' },
    others: { lane: lanes.Routine, group: 'team-b' },
  },
];

/** The keys that fail have done so for five minutes; then others have one thing to do each, one every three seconds. */
async function waited({ failing, others }: Case): Promise<readonly number[]> {
  const clock = new VirtualClock();
  const random = (): number => 0.5;
  const budgets = new Budgets({ clock, random, rateOf: () => ({ perSecond: 1000, parallel: 16 }), reservedShare });
  const loop = new Loop({ clock, random, budgets, workers: () => 32, maxConcurrent, maxConsecutiveStarts });
  const since = new Map<string, number>();
  const waits: number[] = [];
  loop.register<string, string>({
    name: 'm',
    snapshot: (key) => key,
    decide: (key): Decision<string> => {
      const { lane, group } = key.startsWith('failing') ? failing : others;
      const isOver = !key.startsWith('failing') && !since.has(key);
      const work = { lane, group, by: instant(since.get(key) ?? 0), resource: 'a/tokens' };
      return isOver
        ? { row: 'settled', reason: 'Settled' }
        : { row: 'call', reason: 'InProgress', action: 'call', work };
    },
    async apply(key) {
      await clock.sleepUntil(instant(clock.now() + 20), new AbortController().signal);
      if (key.startsWith('failing'))
        throw new OperatorError({ class: 'Transient', whose: 'Issuer', reason: 'ProviderUnavailable', message: '500' });
      waits.push(clock.monotonic() - (since.get(key) ?? 0));
      since.delete(key);
    },
  });
  const stop = new AbortController();
  const ended = loop.run(stop.signal);
  for (let i = 0; i < failing.keys; i += 1) loop.wake('m', `failing${i}`);
  await clock.advance(5 * minute);
  for (let i = 0; i < 100; i += 1) {
    since.set(`other${i}`, clock.monotonic());
    loop.wake('m', `other${i}`);
    await clock.advance(3 * second);
  }
  stop.abort();
  await clock.advance(minute);
  await ended;
  return [...waits, ...[...since.values()].map(() => Number.POSITIVE_INFINITY)].toSorted((a, b) => a - b);
}

for (const c of cases) {
  test(`what fails for some only keeps nobody else from the resource: ${c.title}`, async (t) => {
    const waits = await waited(c);
    t.is(waits.length, 100);
    t.true((waits[98] ?? 0) < 90 * second, `all but one within ${waits[98]} ms`);
    t.true((waits[80] ?? 0) < 5 * second, `most within ${waits[80]} ms`);
  });
}
