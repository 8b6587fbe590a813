import test from 'ava';
import fc from 'fast-check';
import { instant, minute, plus } from '#src/clock.ts';
import type { Work } from '#src/decision.ts';
import { OperatorError } from '#src/errors.ts';
import { maxConcurrent, lanes, reservedShare, maxConsecutiveStarts } from '#src/domain/lanes.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Heap } from '#src/runtime/heap.ts';
import { Queue, type Taken } from '#src/runtime/queue.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function setUp(
  perSecond = 1000,
  most?: (lane: number) => number,
  inARow: ((lane: number) => number) | undefined = maxConsecutiveStarts,
): { clock: VirtualClock; queue: Queue; budgets: Budgets } {
  const clock = new VirtualClock();
  const budgets = new Budgets({
    clock,
    random: () => 0.5,
    rateOf: () => ({ perSecond, parallel: 1000 }),
    reservedShare,
  });
  return { clock, budgets, queue: new Queue({ clock, budgets, maxConcurrent: most, maxConsecutiveStarts: inARow }) };
}

const work = (lane: number, by = 0, group = 'ns', resource?: string): Work => ({
  lane,
  by: instant(by),
  group,
  ...(resource === undefined ? {} : { resource }),
});

const down = new OperatorError({ class: 'Transient', reason: 'ProviderUnavailable', message: 'x', whose: 'Issuer' });

/** Takes all there is, each as if done at once. */
function drain(queue: Queue): string[] {
  const keys: string[] = [];
  for (let taken = queue.take(); taken !== undefined; taken = queue.take()) {
    keys.push(taken.key);
    queue.done(taken.key);
  }
  return keys;
}

test('lanes first, then earliest by, then first come', (t) => {
  const { queue } = setUp();
  queue.put('routine', work(4, 1));
  queue.put('pod-late', work(2, 20));
  queue.put('pod-early', work(2, 10));
  queue.put('pod-early-2', work(2, 10));
  queue.put('stop', work(0, 99));
  t.deepEqual(drain(queue), ['stop', 'pod-early', 'pod-early-2', 'pod-late', 'routine']);
});

test('groups of a lane take turns: a namespace with a thousand keys does not hold up one with a single key', (t) => {
  const { queue } = setUp();
  for (let i = 0; i < 1000; i += 1) queue.put(`big-${i}`, work(2, i, 'big'));
  queue.put('small', work(2, 5000, 'small'));
  const order = drain(queue);
  t.is(order.length, 1001);
  t.true(order.indexOf('small') <= 1);
  t.deepEqual(order.filter((k) => k !== 'small').slice(0, 3), ['big-0', 'big-1', 'big-2']);
});

test('inside a group its members take turns, and many members are no larger share for the group', (t) => {
  const { queue } = setUp();
  for (let i = 0; i < 6; i += 1) queue.put(`big-${i}`, { ...work(2, i, 'pool'), member: 'big' });
  queue.put('small-0', { ...work(2, 500, 'pool'), member: 'small' });
  for (let i = 0; i < 3; i += 1) queue.put(`other-${i}`, work(2, 1000 + i, 'other'));
  queue.put('big-gone', { ...work(2, 0, 'pool'), member: 'gone' });
  queue.remove('big-gone');
  t.deepEqual(drain(queue), [
    'big-0',
    'other-0',
    'small-0',
    'other-1',
    'big-1',
    'other-2',
    'big-2',
    'big-3',
    'big-4',
    'big-5',
  ]);
});

for (const circuit of ['tokens', 'revocations']) {
  test(`somebody makes work for the first lane without end (${circuit}): new pods of others have every fifth call of the issuer`, async (t) => {
    const { clock, queue, budgets } = setUp(10);
    let served = 0;
    let pods = 0;
    for (let ms = 0; ms < 120_000; ms += 50) {
      if (ms % 1000 === 0)
        for (let i = 0; i < 50; i += 1)
          queue.put(`stop-${ms}-${i}`, work(lanes.Stop, ms, 'evil', `https://idp/${circuit}`));
      if (ms % 2000 === 0) queue.put(`pod-${(pods += 1)}`, work(lanes.NewPod, ms, 'good', 'https://idp/tokens'));
      for (let taken = queue.take(); taken?.permit !== undefined; taken = queue.take()) {
        if (taken.key.startsWith('pod')) served += 1;
        const { permit } = taken;
        await budgets.under(permit, () => budgets.awaitTurn(permit.resource, new AbortController().signal));
        budgets.finish(permit, 'Done');
        queue.done(taken.key);
      }
      await clock.advance(50);
    }
    t.true(served >= pods - 1, `${served} of ${pods}`);
  });
}

test('the first lane does not yield to what a circuit of its own holds back', (t) => {
  const { queue, budgets } = setUp();
  budgets.finish(budgets.start('https://idp/tokens', lanes.NewPod)!, down);
  queue.put('pod', work(lanes.NewPod, 0, 'ns', 'https://idp/tokens'));
  for (let i = 0; i < 20; i += 1) queue.put(`stop-${i}`, work(lanes.Stop, i, 'ns', 'https://idp/revocations'));
  t.is(drain(queue).length, 20);
});

for (const resource of [undefined, 'https://idp/tokens'])
  test(`every fifth start is for less urgent work, and of that every fifth for what is less urgent still (${resource ?? 'no budget'})`, (t) => {
    const { queue } = setUp();
    for (let i = 0; i < 100; i += 1) queue.put(`stop-${i}`, work(lanes.Stop, i, 'ns', resource));
    for (let i = 0; i < 6; i += 1) queue.put(`pod-${i}`, work(lanes.NewPod, i, 'ns', resource));
    queue.put('status', work(lanes.Routine, 0, 'ns', resource));
    const order = drain(queue);
    const places = ['pod-0', 'pod-1', 'pod-2', 'pod-3', 'status', 'pod-4', 'pod-5'].map((key) => order.indexOf(key));
    t.deepEqual(places, [4, 9, 14, 19, 24, 29, 34]);
  });

for (const resource of [undefined, 'https://idp/tokens'])
  test(`what nobody waits for has one start in twenty beside a mass rotation (${resource ?? 'no budget'})`, (t) => {
    const { queue } = setUp();
    for (let i = 0; i < 60; i += 1) queue.put(`rotate-${i}`, work(lanes.Routine, i, 'ns', resource));
    for (let i = 0; i < 2; i += 1) queue.put(`retire-${i}`, work(lanes.CleanUp, i, 'ns', resource));
    const order = drain(queue);
    t.deepEqual([order.indexOf('retire-0'), order.indexOf('retire-1')], [19, 39]);
  });

interface Flood {
  readonly lane: number;
  readonly resource?: string | undefined;
}

const flood: fc.Arbitrary<Flood> = fc.record({
  lane: fc.constantFrom(...Object.values(lanes)),
  resource: fc.constantFrom(undefined, 'https://idp/tokens', 'https://idp/revocations'),
});

/** How many works start before the one of `good`, while each of `evil` begins anew with its next work as soon as it is done. */
function startsBefore(good: Flood, evil: readonly (readonly Flood[])[], workers: number, most: number): number {
  const { queue, budgets } = setUp(1e9, maxConcurrent);
  const submit = (key: string, { lane, resource }: Flood, group: string): void =>
    queue.put(key, work(lane, 0, group, resource));
  for (const [n, [first = good]] of evil.entries()) submit(`${n}`, first, 'evil');
  submit('good', good, 'good');
  const running: Taken[] = [];
  for (let starts = 0; starts < most;) {
    const taken = running.length < workers ? queue.take() : undefined;
    if (taken?.key === 'good') return starts;
    if (taken !== undefined) {
      running.push(taken);
      starts += 1;
      continue;
    }
    const ended = running.shift();
    if (ended === undefined) return most;
    if (ended.permit !== undefined) budgets.finish(ended.permit, 'Done');
    queue.done(ended.key);
    const works = evil[Number(ended.key)] ?? [];
    submit(ended.key, works[starts % works.length] ?? good, 'evil');
  }
  return most;
}

test('whatever somebody submits without end, the work of another namespace starts after a bounded number of starts, in any lane', (t) => {
  const floods = fc.array(fc.array(flood, { minLength: 1 }), { maxLength: 30 });
  fc.assert(
    fc.property(floods, flood, fc.integer({ min: 1, max: 16 }), (evil, good, workers) => {
      const keys = evil.flatMap((works) => Array.from({ length: 20 }, () => works));
      // Each lane has its share of what those above it leave, where three resources and two namespaces take turns; it may miss a turn of its budget.
      const shares = Object.values(lanes).filter((lane) => lane < good.lane);
      const most =
        shares.reduce<number>((product, lane) => product * (maxConsecutiveStarts(lane) + 1), 1) * 3 * 2 * 2 + 1;
      t.true(startsBefore(good, keys, workers, most) < most);
    }),
    { numRuns: 300 },
  );
});

test('of what spends no budget a lane has no more at once than it may have; all others go on', (t) => {
  const { queue } = setUp(1000, (lane) => (lane === 4 ? 2 : 10));
  for (let i = 0; i < 5; i += 1) queue.put(`routine-${i}`, work(4, i));
  t.deepEqual([queue.take()?.key, queue.take()?.key, queue.take()], ['routine-0', 'routine-1', undefined]);
  t.is(queue.nextAt(), undefined);
  queue.put('pod', work(2));
  queue.put('rotation', work(4, 0, 'ns', 'a/clients'));
  t.deepEqual([queue.take()?.key, queue.take()?.key], ['pod', 'rotation']);
  queue.done('routine-1');
  t.is(queue.take()?.key, 'routine-2');
});

test('what has no budget keeps its place while others go on', async (t) => {
  const { clock, queue, budgets } = setUp();
  budgets.finish(budgets.start('a/tokens', 1)!, down);
  queue.put('waits-1', work(1, 1, 'ns', 'a/tokens'));
  queue.put('other-issuer', work(2, 0, 'ns', 'b/tokens'));
  queue.put('record-only', work(3));
  queue.put('waits-2', work(1, 2, 'ns', 'a/tokens'));
  t.deepEqual(drain(queue), ['other-issuer', 'record-only']);
  t.is(queue.depth().lanes.get(1), 2);
  await clock.freeze(queue.nextAt()! - clock.monotonic());
  const probe = queue.take();
  t.is(probe?.key, 'waits-1');
  t.is(queue.take(), undefined);
  budgets.finish(probe!.permit!, 'Done');
  t.is(queue.take()?.key, 'waits-2');
});

test('the last put replaces lane, resource and delay of a key that waits', async (t) => {
  const { clock, queue } = setUp();
  queue.put('k', work(4), 60_000);
  t.is(queue.take(), undefined);
  t.is(queue.nextAt(), 60_000);
  queue.put('k', work(0));
  t.is(queue.take()?.work.lane, 0);
  queue.done('k');
  queue.put('k', work(2));
  queue.put('k', work(2), 500);
  t.is(queue.take(), undefined);
  await clock.freeze(500);
  t.is(queue.take()?.key, 'k');
});

test('a key that runs is not given out twice; what was put meanwhile comes after', (t) => {
  const { queue } = setUp();
  queue.put('k', work(2));
  t.is(queue.take()?.key, 'k');
  queue.put('k', work(0));
  queue.put('k', work(1));
  t.is(queue.take(), undefined);
  queue.done('k');
  t.is(queue.take()?.work.lane, 1);
  queue.done('k');
  t.is(queue.take(), undefined);
});

test('a removed key is gone wherever it waited', (t) => {
  const { queue } = setUp();
  queue.put('ready', work(2));
  queue.put('delayed', work(2), 10);
  queue.put('running', work(1));
  queue.take();
  queue.put('running', work(1));
  for (const key of ['ready', 'delayed', 'running']) queue.remove(key);
  queue.done('running');
  t.is(queue.take(), undefined);
  t.deepEqual(queue.depth(), {
    lanes: new Map([
      [1, 0],
      [2, 0],
    ]),
    delayed: 0,
    running: 0,
  });
});

type Step =
  | {
      readonly do: 'put';
      readonly key: number;
      readonly lane: number;
      readonly group: number;
      readonly resource: number;
      readonly delay: number;
    }
  | { readonly do: 'take' | 'done' | 'remove' | 'wait'; readonly key: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      key: fc.nat({ max: 7 }),
      lane: fc.nat({ max: 3 }),
      group: fc.nat({ max: 2 }),
      resource: fc.nat({ max: 2 }),
      delay: fc.constantFrom(0, 0, 0, 40, 400),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('take' as const, 'take' as const, 'done' as const, 'remove' as const, 'wait' as const),
      key: fc.nat({ max: 7 }),
    }),
  },
);

for (const [inARow, order] of [
  [() => Number.POSITIVE_INFINITY, 'always the best lane that may start'],
  [maxConsecutiveStarts, 'lanes take turns'],
] as const)
  test(`never two workers on a key, nothing lost, nothing invented; ${order}`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (history) => {
        const { clock, queue, budgets } = setUp(1e6, undefined, inARow);
        const wanted = new Map<string, { lane: number; due: number }>();
        const running = new Map<string, () => void>();
        for (const s of history) {
          const key = `k${s.key}`;
          if (s.do === 'put') {
            const due = clock.monotonic() + s.delay;
            queue.put(
              key,
              work(s.lane, s.key, `g${s.group}`, s.resource === 0 ? undefined : `r${s.resource}/x`),
              s.delay === 0 ? 0 : due,
            );
            wanted.set(key, { lane: s.lane, due });
          } else if (s.do === 'take') {
            const taken = queue.take();
            const ready = [...wanted].filter(([k, w]) => !running.has(k) && w.due <= clock.monotonic());
            t.is(taken === undefined, ready.length === 0);
            if (taken === undefined) continue;
            t.false(running.has(taken.key));
            if (inARow !== maxConsecutiveStarts) t.is(taken.work.lane, Math.min(...ready.map(([, w]) => w.lane)));
            t.is(wanted.get(taken.key)?.lane, taken.work.lane);
            wanted.delete(taken.key);
            running.set(taken.key, () => {
              if (taken.permit !== undefined) budgets.finish(taken.permit, 'Done');
              queue.done(taken.key);
            });
          } else if (s.do === 'done') {
            running.get(key)?.();
            running.delete(key);
          } else if (s.do === 'remove') {
            queue.remove(key);
            wanted.delete(key);
          } else {
            await clock.freeze(50);
          }
        }
        for (const end of running.values()) end();
        await clock.freeze(1000);
        t.deepEqual(drain(queue).toSorted(), [...wanted.keys()].toSorted());
      }),
      { numRuns: 300 },
    );
  });

test('a heap gives its items in order, whatever was removed in between', (t) => {
  fc.assert(
    fc.property(fc.array(fc.record({ n: fc.nat({ max: 50 }), remove: fc.boolean() })), (items) => {
      const heap = new Heap<{ n: number }>((a, b) => a.n < b.n);
      for (const item of items) heap.push(item);
      for (const item of items) if (item.remove) heap.remove(item);
      const out: number[] = [];
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) out.push(item.n);
      t.deepEqual(
        out,
        items
          .filter((i) => !i.remove)
          .map((i) => i.n)
          .toSorted((a, b) => a - b),
      );
    }),
  );
});

test('100,000 keys in 1,000 groups with a blocked resource in front go through within two seconds of CPU', (t) => {
  const { queue, budgets } = setUp();
  const down = new OperatorError({
    class: 'Transient',
    reason: 'ProviderUnavailable',
    message: 'down',
    whose: 'Issuer',
  });
  budgets.finish(budgets.start('a/tokens', 0)!, down);
  for (let i = 0; i < 100_000; i += 1)
    queue.put(`k${i}`, work(i % 2, i, `g${i % 1000}`, i % 4 === 0 ? 'a/tokens' : undefined));
  const before = process.cpuUsage();
  t.is(drain(queue).length, 75_000);
  // CPU time: the machine may be busy with other things.
  t.true(process.cpuUsage(before).user < 2_000_000);
});

/** Work of this party at the token endpoint. */
const tokensOf = (party: string, lane: number): Work => ({ ...work(lane, 0, `ns-${party}`, 'idp/tokens'), party });

/** The provider asks this party to wait for ten minutes. */
function hold({ clock, budgets }: ReturnType<typeof setUp>, party: string): void {
  budgets.finish(budgets.start('idp/tokens', 0)!, 'Done', 'other');
  const asked = { class: 'Transient', reason: 'RateLimited', message: 'wait', whose: 'Issuer' } as const;
  const retryAt = plus(clock.now(), 10 * minute);
  budgets.finish(budgets.start('idp/tokens', 0)!, new OperatorError({ ...asked, retryAt }), party);
}

for (const [what, isProbed] of [
  ['others go on', false],
  ['nobody finds out with its work whether the resource is back', true],
] as const)
  test(`a party that has to wait keeps its place until its time, whatever its lane; ${what}`, async (t) => {
    const world = setUp();
    const { clock, queue, budgets } = world;
    hold(world, 'held');
    if (isProbed) {
      budgets.finish(budgets.start('idp/tokens', 0)!, down, 'other');
      await clock.freeze(750);
    }
    const until = budgets.heldUntil('idp/tokens', 'held')!;
    for (let n = 0; n < 3; n += 1) queue.put(`held-${n}`, tokensOf('held', 1));
    if (isProbed) {
      t.is(queue.take(), undefined);
      t.is(queue.nextAt(), until, 'nothing is tried over and over meanwhile');
    }
    queue.put('other', tokensOf('other', 4));
    const other = queue.take()!;
    t.is(other.key, 'other');
    budgets.finish(other.permit!, 'Done', 'other');
    queue.done('other');
    queue.put('held-1', tokensOf('held', 1));
    t.is(queue.take(), undefined);
    t.is(queue.nextAt(), until);
    t.is(queue.depth().delayed, 3);
    await clock.freeze(until - clock.monotonic());
    t.deepEqual(drain(queue), ['held-0', 'held-1', 'held-2']);
  });
