import test from 'ava';
import fc from 'fast-check';
import { day, hour, instant, minute, plus, second } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import { clientRecordName } from '#src/domain/record-names.ts';
import {
  dueAt,
  expiringAt,
  isDrained,
  isRetried,
  mayHaveExpired,
  nextRotation,
  propagationOf,
  retireAfter,
  turnAt,
} from '#src/domain/client/schedule.ts';
import { windowState, type WindowState } from '#src/domain/client/window.ts';
import { jitterOf } from '#src/controllers/session/key.ts';
import { Redacted } from '#src/redacted.ts';
import { buildGeneration, noon } from '#test/support/builders.ts';
import {
  able,
  expiresIn,
  external,
  inPlace,
  record,
  retriedAt,
  rotating,
  snapshot,
  theirOne,
  withGenerations,
} from './cases.ts';

/** A thousand pools that one commit created, with the jitter that the program gives them. */
const pools = Array.from({ length: 1_000 }, (_, index) => jitterOf(clientRecordName(`pool-uid-${index}`, '', '')));

const saturdays = (at: Instant): WindowState =>
  windowState({ days: ['Sat'], from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' }, at);

/** The fullest bucket of so many milliseconds. */
function mostIn(length: number, instants: readonly Instant[]): number {
  const counts = new Map<number, number>();
  for (const at of instants) counts.set(Math.floor(at / length), (counts.get(Math.floor(at / length)) ?? 0) + 1);
  return Math.max(...counts.values());
}

test('a thousand pools of one commit: never more than 5 of a quarterly rotation in one minute, over four days', (t) => {
  const due = pools.map((jitter) => dueAt(buildGeneration(), 90 * day, jitter));
  t.true(mostIn(minute, due) <= 5, String(mostIn(minute, due)));
  t.true(Math.max(...due) - Math.min(...due) > 4 * day);
  t.true(
    due.every((at) => at <= plus(noon, 90 * day) && at >= plus(noon, 85.5 * day)),
    'never late, and not much earlier',
  );
});

test('a thousand pools of one commit that share a weekly window: spread over its first hour', (t) => {
  const next = pools.map((jitter) => nextRotation(buildGeneration(), 90 * day, jitter, saturdays) ?? instant(0));
  const outside = next.filter((at) => saturdays(at).is !== 'Open');
  t.deepEqual(outside, []);
  t.true(mostIn(minute, next) <= 40, String(mostIn(minute, next)));
});

const expiring = buildGeneration({
  credential: { type: 'ClientSecretBasic', secret: new Redacted('s'), expiresAt: plus(noon, 30 * day) },
});

test('a thousand secrets of one commit that expire in 30 days: never more than 10 in one minute, a third of their life ahead', (t) => {
  const at = pools.map((jitter) => expiringAt(expiring, jitter) ?? instant(0));
  t.true(mostIn(minute, at) <= 10, String(mostIn(minute, at)));
  t.true(Math.max(...at) <= plus(noon, 20 * day));
  t.true(Math.min(...at) >= plus(noon, 18.5 * day), 'not much earlier');
});

test('with a weekly window: spread over its first hour too, and people hear of no moment outside of it', (t) => {
  const next = pools.map((jitter) => nextRotation(expiring, 90 * day, jitter, saturdays) ?? instant(0));
  t.deepEqual(
    next.filter((at) => saturdays(at).is !== 'Open'),
    [],
  );
  t.true(mostIn(minute, next) <= 40, String(mostIn(minute, next)));
  t.true(Math.max(...next) < plus(noon, 27 * day));
});

test('where no window opens in time, people hear of the moment at which nobody waits for it', (t) => {
  const never = (): WindowState => ({ is: 'Closed', opensAt: plus(noon, 99 * day), length: hour });
  t.is(nextRotation(expiring, 90 * day, 0, never), plus(noon, 27 * day));
});

test('who missed its turn in the last hour of a window begins in what is left of it', (t) => {
  const since = plus(noon, day);
  const turnFrom = (now: Instant, length = 2 * hour): Instant | undefined =>
    turnAt(noon, { window: { is: 'Open', since, length }, jitter: 0.5 }, now);
  t.is(turnFrom(plus(since, 40 * minute)), plus(since, 90 * minute), 'another turn is to come');
  t.is(turnFrom(plus(since, 100 * minute)), plus(since, 100 * minute));
  t.is(turnFrom(plus(since, 40 * minute), 90 * minute), plus(since, 40 * minute), 'the next turn is its end');
});

test('a controller that slept over every one of them: spread over an hour, none forgotten, the same after a restart', (t) => {
  const woke = plus(noon, 365 * day + 1_234_567);
  const began = pools.map(
    (jitter) => turnAt(dueAt(buildGeneration(), 90 * day, jitter), { jitter }, woke) ?? instant(0),
  );
  t.true(mostIn(minute, began) <= 40, String(mostIn(minute, began)));
  t.true(began.every((at) => at >= woke && at <= woke + hour));
  const later = plus(woke, 7 * minute);
  for (const [index, at] of began.entries()) {
    if (at < later) continue;
    const jitter = pools[index] ?? 0;
    t.is(turnAt(dueAt(buildGeneration(), 90 * day, jitter), { jitter }, later), at);
  }
});

test('the largest jitter there is takes the last turn, not the end of the window', (t) => {
  const opensAt = plus(noon, day);
  for (const jitter of [-1, 1])
    t.is(turnAt(noon, { window: { is: 'Closed', opensAt, length: hour }, jitter }, noon), plus(opensAt, 59 * minute));
});

test('what is on time waits for nobody', (t) => {
  for (const jitter of pools) t.is(turnAt(noon, { jitter }, plus(noon, 59_999)), plus(noon, 59_999));
  const window = { is: 'Open', since: noon, length: hour } as const;
  t.is(turnAt(noon, { window, jitter: 0.5 }, noon), noon, 'also where its window opens at that moment');
});

test('a turn always comes: within an hour without a window, in the open window otherwise, and looking at that moment says now', (t) => {
  const any = fc.record({
    jitter: fc.double({ min: -1, max: 1, noNaN: true }),
    late: fc.integer({ min: 0, max: 400 * day }),
    window: fc.boolean(),
  });
  fc.assert(
    fc.property(any, ({ jitter, late, window }) => {
      const due = noon;
      const now = plus(due, late);
      const stateAt = (at: Instant): { window?: WindowState; jitter: number } =>
        window ? { jitter, window: saturdays(at) } : { jitter };
      let at = now;
      // Where a turn of an open window has passed, the next one may lie in the next week.
      for (let looks = 0; looks < 4; looks += 1) {
        const turn = turnAt(due, stateAt(at), at);
        if (turn === undefined || turn < at) return false;
        if (turn === at && (!window || saturdays(at).is === 'Open')) return at - now <= (window ? 8 * day : hour);
        at = turn;
      }
      return false;
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

const before = (at: Instant): Instant => plus(at, -1);
const turn = (now: Instant): Instant | undefined => turnAt(noon, { jitter: 0.5 }, now);
const drained = (lastExp: Instant) => (now: Instant) =>
  isDrained(snapshot({ lastExp: new Map([[1, lastExp]]) }), buildGeneration(), now);
const halfMinute = plus(noon, 30 * second);

/** False just before the moment, true from it on. */
const moments: readonly (readonly [string, (now: Instant) => boolean, Instant])[] = [
  [
    'a secret may have expired ten minutes early, since the provider’s clock may be ahead',
    (now) => mayHaveExpired(buildGeneration({ credential: expiresIn(hour) }), now),
    plus(noon, 50 * minute),
  ],
  ['a generation is drained half a minute after its last token', drained(noon), halfMinute],
  ['what is late by a minute waits for its turn', (now) => turn(now) !== now, plus(noon, minute)],
  [
    'another try was asked for after the refusal, not with it',
    (now) => isRetried(record(retriedAt(now)), noon, now),
    plus(noon, 1),
  ],
];

for (const [title, holds, from] of moments)
  test(title, (t) => t.deepEqual([holds(before(from)), holds(from)], [false, true]));

test('an old credential is kept for the overlap, or half a minute longer than its last token', (t) => {
  t.is(retireAfter(noon, hour, undefined), plus(noon, hour));
  t.is(retireAfter(noon, hour, plus(noon, 30 * minute)), plus(noon, hour));
  t.is(retireAfter(noon, hour, plus(noon, 2 * hour)), plus(noon, 2 * hour + 30 * second));
});

const rollbacks = (count: number) => ({ rollbacks: { count, at: noon } });
const patience: readonly (readonly [string, Parameters<typeof propagationOf>[0], number])[] = [
  ['as the profile says', { record: record(), ...able({ credentialPropagation: second }) }, second],
  ['doubled with each', { record: record(rollbacks(3)), ...able({ credentialPropagation: second }) }, 8 * second],
  ['an hour at most', { record: record(rollbacks(20)), ...able({ credentialPropagation: second }) }, hour],
  ['two minutes for a first one', { record: withGenerations([buildGeneration({ state: 'Created' })]) }, 2 * minute],
  ['five minutes for one that took the place of the old one', inPlace(), 5 * minute],
  ["none by itself for an administrator's", { record: external([theirOne({ state: 'Created' })]) }, 0],
  ['none by itself for one beside the old one', { record: withGenerations(rotating('Created')) }, 0],
];

for (const [title, s, expected] of patience)
  test(`how long a new credential may be refused: ${title}`, (t) => t.is(propagationOf(s), expected));
