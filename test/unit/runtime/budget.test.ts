import test from 'ava';
import fc from 'fast-check';
import { minute, plus } from '#src/clock.ts';
import { reservedShare } from '#src/domain/lanes.ts';
import { OperatorError } from '#src/errors.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import type { Rate } from '#src/runtime/bucket.ts';
import { Budgets, type Permit } from '#src/runtime/budget.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const tokens = 'https://idp.example/tokens';
const clients = 'https://idp.example/clients';

function setUp(rate: Rate): { clock: VirtualClock; budgets: Budgets } {
  const clock = new VirtualClock();
  return { clock, budgets: new Budgets({ clock, random: () => 0.5, rateOf: () => rate, reservedShare }) };
}

function outage(retryAt?: Parameters<typeof plus>[0]): OperatorError {
  const named = retryAt === undefined ? {} : { retryAt };
  return new OperatorError({
    class: 'Transient',
    reason: 'ProviderUnavailable',
    message: 'down',
    whose: 'Issuer',
    ...named,
  });
}

const never = new AbortController().signal;
const refused = new OperatorError({ class: 'Terminal', reason: 'ScopeRefused', message: 'no' });

test('in no window are there more starts than burst + rate × window, whatever the lanes ask for', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ perSecond: fc.constantFrom(0.5, 2, 10, 50), burst: fc.integer({ min: 1, max: 20 }) }),
      fc.array(
        fc.record({ wait: fc.nat({ max: 700 }), lane: fc.nat({ max: 4 }), asks: fc.integer({ min: 1, max: 30 }) }),
        { maxLength: 60 },
      ),
      async (rate, history) => {
        const { clock, budgets } = setUp({ ...rate, parallel: 1000 });
        const starts: number[] = [];
        for (const { wait, lane, asks } of history) {
          await clock.freeze(wait);
          for (let i = 0; i < asks; i += 1)
            if (budgets.start(i % 2 === 0 ? tokens : clients, lane) !== undefined) starts.push(clock.monotonic());
        }
        for (const [i, from] of starts.entries()) {
          for (const [j, to] of starts.entries()) {
            if (j >= i) t.true(j - i + 1 <= rate.burst + (rate.perSecond * (to - from)) / 1000 + 1e-6);
          }
        }
      },
    ),
    { numRuns: 40 },
  );
});

for (const calls of [0, 1, 2, 3]) {
  test(`work that makes ${calls} calls on one permit: the provider sees no more than its rate`, async (t) => {
    const { clock, budgets } = setUp({ perSecond: 2, burst: 4 });
    let [made, ended] = [0, 0];
    const work = async (permit: Permit): Promise<void> => {
      await clock.sleepUntil(plus(clock.now(), 100), never);
      for (let call = 0; call < calls; call += 1) {
        await budgets.awaitTurn(permit.resource, never);
        made += 1;
      }
      budgets.finish(permit, 'Done');
      ended += 1;
    };
    for (let i = 0; i < 500; i += 1) {
      for (const resource of [tokens, clients]) {
        const permit = budgets.start(resource, 3);
        if (permit !== undefined) void budgets.under(permit, () => work(permit));
      }
      await clock.advance(100);
    }
    t.true(made <= 2 * 50 + 4 + 2 * calls, `${made} calls in 50 s at 2 a second`);
    t.true(calls === 0 ? ended > 500 : made >= 0.95 * 2 * 50, `${made}: what is allowed is used`);
  });
}

test('however late works come to their calls, in no second do more leave than burst and rate of a second', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ perSecond: fc.constantFrom(0.5, 2, 10, 50), burst: fc.integer({ min: 1, max: 20 }) }),
      fc.array(fc.record({ wait: fc.nat({ max: 400 }), late: fc.nat({ max: 3_000 }), calls: fc.nat({ max: 3 }) }), {
        maxLength: 60,
      }),
      async (rate, history) => {
        const { clock, budgets } = setUp({ ...rate, parallel: 1000 });
        const left: number[] = [];
        const work = async (permit: Permit, late: number, calls: number): Promise<void> => {
          await clock.sleepUntil(plus(clock.now(), late), never);
          for (let call = 0; call < calls; call += 1) {
            await budgets.awaitTurn(permit.resource, never);
            left.push(clock.monotonic());
          }
          budgets.finish(permit, 'Done');
        };
        let expected = 0;
        for (const { wait, late, calls } of history) {
          await clock.advance(wait);
          const permit = budgets.start(tokens, 0);
          if (permit === undefined) continue;
          expected += calls;
          void budgets.under(permit, () => work(permit, late, calls));
        }
        await clock.advance(600_000);
        t.is(left.length, expected);
        const most = Math.floor(rate.burst + rate.perSecond);
        for (const [i, from] of left.entries()) t.true((left[i + most] ?? Infinity) - from >= 1_000);
      },
    ),
    { numRuns: 30 },
  );
});

test('a call that waits for its turn ends with its signal', async (t) => {
  const { budgets } = setUp({ perSecond: 1, burst: 1 });
  const over = new AbortController();
  await budgets.awaitTurn(tokens, over.signal);
  const waiting = budgets.awaitTurn(tokens, over.signal);
  over.abort(new Error('over'));
  await t.throwsAsync(waiting, { message: 'over' });
});

test('a call whose turn does not come is given up before its deadline, and known not to have been made', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 0.5, burst: 1 });
  const calls = Array.from({ length: 20 }, () => budgets.awaitTurn(tokens, never));
  const outcomes = Promise.allSettled(calls);
  await clock.advance(9_000);
  const failures = (await outcomes).flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  t.is(calls.length - failures.length, 9, 'one a second');
  for (const error of failures) {
    if (!(error instanceof OperatorError)) return t.fail(String(error));
    t.deepEqual([error.class, error.reason, error.whose], ['Transient', 'TimedOut', 'Object']);
    t.true(surelyWithoutEffect(error), 'so that its intent is closed');
  }
  await t.notThrowsAsync(async () => {
    const next = budgets.awaitTurn(tokens, never);
    await clock.advance(1_000);
    await next;
  });
});

test('a fifth of the budget is for lane 0 alone, and as much again for what a build waits for', (t) => {
  const { budgets } = setUp({ perSecond: 1, burst: 10, parallel: 100 });
  const startAll = (lane: number): number => {
    let n = 0;
    while (budgets.start(tokens, lane) !== undefined) n += 1;
    return n;
  };
  t.deepEqual([startAll(4), startAll(2), startAll(3), startAll(0)], [6, 2, 0, 2]);
});

test('of a burst of two, routine leaves what a build needs next, and the build waits for no more than its one call', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 50, burst: 2 });
  t.truthy(budgets.start(tokens, 4));
  t.is(budgets.start(tokens, 4), undefined);
  t.truthy(budgets.start(tokens, 2), 'one call is there');
  t.is(budgets.nextStart(tokens, 2), clock.monotonic() + 20);
  t.is(Math.round(budgets.nextStart(tokens, 4)! - clock.monotonic()), 36);
});

/** A work of this lane under way that makes so many calls; yields when each left, ms since it began. */
function working({ clock, budgets }: ReturnType<typeof setUp>, lane: number, calls: number): readonly number[] {
  const began = clock.monotonic();
  const left: number[] = [];
  const permit = budgets.start(tokens, lane)!;
  void budgets.under(permit, async () => {
    for (let call = 0; call < calls; call += 1) {
      await budgets.awaitTurn(tokens, never);
      left.push(clock.monotonic() - began);
    }
    budgets.finish(permit, 'Done');
  });
  return left;
}

test('what a work of routine calls besides its first call leaves a build its turn', async (t) => {
  const world = setUp({ perSecond: 50, burst: 2 });
  const left = working(world, 4, 2);
  await world.clock.advance(4);
  t.deepEqual(left, [0]);
  t.truthy(world.budgets.start(tokens, 2), 'a build begins at once');
  t.is(world.budgets.start(tokens, 4), undefined, 'no other routine before it');
  await world.clock.advance(60);
  t.is(left.length, 2);
  t.true(left[1]! >= 32, `${left[1]} ms: two calls were to be earned`);
});

test('a work that has begun is not given up because builds come without end', async (t) => {
  const world = setUp({ perSecond: 50, burst: 2, parallel: 1_000 });
  const left = working(world, 4, 2);
  let builds = 0;
  for (let ms = 0; ms < 3_000; ms += 2) {
    if (world.budgets.start(tokens, 2) !== undefined) builds += 1;
    await world.clock.advance(2);
  }
  t.is(left.length, 2);
  t.true(left[1]! >= 1_000 && left[1]! < 1_100, `${left[1]} ms`);
  t.true(builds >= 145, `${builds} of 150`);
});

test('a work that waits for its next call takes no place among those under way', async (t) => {
  const world = setUp({ perSecond: 1, burst: 8, parallel: 3 });
  for (let works = 0; works < 2; works += 1) working(world, 0, 9);
  await world.clock.advance(10);
  t.is(world.budgets.nextStart(tokens, 0), world.clock.monotonic() + 2_990, 'both wait, and are before it');
});

test('what was handed back unused is there whole, although the budget was full meanwhile', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 50, burst: 2 });
  const permit = budgets.start(tokens, 0)!;
  await clock.advance(1_000);
  budgets.finish(permit, 'Unused');
  t.is([1, 2, 3, 4].filter(() => budgets.start(tokens, 0) !== undefined).length, 3);
});

test('a call that was paid for and given up while it waited is given back', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 1, burst: 2 });
  const permit = budgets.start(tokens, 0)!;
  const others = [1, 2, 3, 4].map(() => budgets.awaitTurn(tokens, never));
  await clock.advance(1_100);
  await Promise.all(others);
  const over = new AbortController();
  const waiting = budgets.under(permit, () => budgets.awaitTurn(tokens, over.signal));
  over.abort(new Error('over'));
  await t.throwsAsync(waiting, { message: 'over' });
  const before = budgets.nextStart(tokens, 0)!;
  budgets.finish(permit, 'Unused');
  t.is(Math.round(before - budgets.nextStart(tokens, 0)!), 1_000);
});

test('a budget of one call is not swallowed by the reserve', (t) => {
  t.truthy(setUp({ perSecond: 0.1, burst: 1 }).budgets.start(tokens, 3));
});

test('calls under way are bounded, and lane 0 has a place of its own', (t) => {
  const { budgets } = setUp({ perSecond: 1000, parallel: 4 });
  const held = [1, 2, 3, 4].map(() => budgets.start(tokens, 2));
  t.is(held.filter((p) => p !== undefined).length, 3);
  const stop = budgets.start(clients, 0);
  t.truthy(stop);
  t.is(budgets.nextStart(tokens, 2), undefined);
  budgets.finish(stop!, 'Done');
  budgets.finish(held[0]!, 'Done');
  t.truthy(budgets.start(tokens, 2));
});

test('what was not used is given back', (t) => {
  const { budgets } = setUp({ perSecond: 0.001, burst: 1 });
  budgets.finish(budgets.start(tokens, 1)!, 'Unused');
  t.truthy(budgets.start(tokens, 1));
});

test('an outage opens one circuit: not the other one, not before its time, then for one probe', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 100 });
  budgets.finish(budgets.start(tokens, 1)!, outage(plus(clock.now(), 30_000)));
  t.false(budgets.health(tokens).up);
  t.is(budgets.health(tokens).message, 'down');
  t.is(budgets.health(tokens).retryAt, plus(clock.now(), 30_000));
  t.true(budgets.health(clients).up);
  t.truthy(budgets.start(clients, 1));
  await clock.advance(29_999);
  t.is(budgets.start(tokens, 0), undefined);
  await clock.advance(1);
  const probe = budgets.start(tokens, 1);
  t.true(probe?.probe);
  t.is(budgets.start(tokens, 1), undefined);
  budgets.finish(probe!, 'Done');
  t.true(budgets.health(tokens).up);
  t.deepEqual(budgets.troubles(), []);
});

test('failures that were under way when the circuit opened count once; each failed probe doubles the pause up to a minute', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 100 });
  const underWay = [1, 2, 3].map(() => budgets.start(tokens, 1)!);
  for (const permit of underWay) budgets.finish(permit, outage());
  const pauses: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    const pause = budgets.nextStart(tokens, 1)! - clock.monotonic();
    pauses.push(pause);
    await clock.freeze(pause);
    budgets.finish(budgets.start(tokens, 1)!, outage());
  }
  t.deepEqual(pauses, [750, 1500, 3000, 6000, 12000, 24000, 45000, 45000, 45000]);
});

for (const [what, outcome, up] of [
  ['an answer', 'Done', true],
  ['a refusal of the one object', refused, true],
  ['a bug', 'Unclear', false],
  ['a conflict elsewhere', new OperatorError({ class: 'Conflict', reason: 'ApiConflict', message: 'x' }), false],
  ['nothing', 'Unused', false],
] as const) {
  test(`a probe that ends in ${what} ${up ? 'closes' : 'does not close'} the circuit, and never blocks it`, async (t) => {
    const { clock, budgets } = setUp({ perSecond: 100 });
    budgets.finish(budgets.start(tokens, 1)!, outage());
    await clock.freeze(1000);
    budgets.finish(budgets.start(tokens, 1)!, outcome);
    t.is(budgets.health(tokens).up, up);
    t.truthy(budgets.start(tokens, 1));
  });
}

/** A try each second. `a!`: client a is asked to wait for a quarter of an hour; `a?`: for half a minute; `_`: eleven minutes pass. */
for (const [what, tries, held, isPaused] of [
  ['it alone, where another got through lately', 'b a!', ['a'], false],
  ['also where it got through itself since', 'b a a!', ['a'], false],
  ['everybody’s, where nobody else has got through', 'a!', [], true],
  ['and where none but itself has', 'a a!', [], true],
  ['or that was long ago', 'b _ a!', [], true],
  ['everybody’s, once a second one is told so', 'b a! c!', ['a'], true],
  ['of two alone, where another got through between', 'b a! b c!', ['a', 'c'], false],
  ['everybody’s, where it is short', 'b a?', [], true],
  ['what ends meanwhile began before and ends it not', 'b a! a', ['a'], false],
  ['over once the time is', 'b a! _ _', [], false],
] as const) {
  test(`whose a pause is: ${what}`, async (t) => {
    const { clock, budgets } = setUp({ perSecond: 100 });
    for (const one of tries.split(' ')) {
      const pauses: Record<string, number> = { '!': 15 * minute, '?': 30_000 };
      const asked = pauses[one[1] ?? ''];
      const outcome = asked === undefined ? 'Done' : outage(plus(clock.now(), asked));
      if (one !== '_') budgets.finish(budgets.start(tokens, 1)!, outcome, one[0]);
      await clock.advance(one === '_' ? 11 * minute : 1_000);
    }
    t.deepEqual(
      ['a', 'b', 'c'].filter((party) => budgets.heldUntil(tokens, party) !== undefined),
      [...held],
    );
    t.is(budgets.isPaused(tokens), isPaused);
    t.is(budgets.heldUntil(clients, 'a'), undefined, 'at that resource alone');
  });
}

test('whoever met the trouble is gone, so that nobody ever tries again: it counts as over after ten minutes', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 100 });
  budgets.finish(budgets.start(clients, 4)!, outage(plus(clock.now(), 5 * minute)));
  await clock.advance(15 * minute - 1);
  t.is(budgets.troubles().length, 1);
  t.false(budgets.health(clients).up);
  await clock.advance(1);
  t.deepEqual(budgets.troubles(), []);
  t.true(budgets.health(clients).up);
});

test('a probe that is under way is waited for, and its failure opens the circuit anew', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 100 });
  budgets.finish(budgets.start(clients, 4)!, outage());
  await clock.advance(10 * minute);
  const probe = budgets.start(clients, 4)!;
  t.true(probe.probe);
  await clock.advance(30 * minute);
  t.is(budgets.troubles().length, 1);
  budgets.finish(probe, outage());
  await clock.advance(9 * minute);
  t.is(budgets.troubles().length, 1);
  await clock.advance(2 * minute);
  t.deepEqual(budgets.troubles(), []);
});

test('a late success of a call from before the pause does not end it', (t) => {
  const { clock, budgets } = setUp({ perSecond: 100 });
  const early = budgets.start(tokens, 1) as Permit;
  budgets.finish(budgets.start(tokens, 1)!, outage(plus(clock.now(), 60_000)));
  budgets.finish(early, 'Done');
  t.false(budgets.health(tokens).up);
});

test('a pause that the other side names is capped at an hour, and the wall clock does not matter to it', async (t) => {
  const { clock, budgets } = setUp({ perSecond: 100 });
  budgets.finish(budgets.start(tokens, 1)!, outage(plus(clock.now(), 1e12)));
  clock.setWall(-1e9);
  await clock.freeze(3_600_000);
  t.truthy(budgets.start(tokens, 1));
});
