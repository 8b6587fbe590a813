import test from 'ava';
import fc from 'fast-check';
import { hour, instant, minute, plus } from '#src/clock.ts';
import { type Limits, type LimitsRecord, begun, breachOf, limitsCodec, startsIn } from '#src/domain/access/limits.ts';

const noon = instant(Date.UTC(2026, 10, 24, 12));
const identity = { namespace: 'ci-payments', name: 'publisher', uid: 'u' };

const table: readonly (readonly [
  limits: Limits | undefined,
  live: number,
  starts: number,
  says: string | undefined,
])[] = [
  [undefined, 9_999, 9_999, undefined],
  [{}, 9_999, 9_999, undefined],
  [{ concurrentSessions: 2 }, 1, 9_999, undefined],
  [
    { concurrentSessions: 2 },
    2,
    0,
    '2 sessions hold a token that works (of a pod that has ended until it is revoked or expires) and spec.limits.concurrentSessions allows 2; the next one gets its token when one of them is over',
  ],
  [{ sessionsPerHour: 3 }, 9_999, 2, undefined],
  [
    { sessionsPerHour: 3 },
    0,
    3,
    '3 sessions began within an hour and spec.limits.sessionsPerHour allows 3; the next one gets its token when the first of them is an hour old',
  ],
];

for (const [limits, live, starts, says] of table)
  test(`${JSON.stringify(limits)}, ${live} live, ${starts} begun: ${says === undefined ? 'room' : 'none'}`, (t) =>
    t.is(breachOf(limits, live, starts), says));

test('a pod counts once, for an hour; a clock that was set back keeps nothing for ever', (t) => {
  const one = begun(undefined, identity, 'a', noon);
  t.deepEqual(begun(one, identity, 'a', plus(noon, minute)).starts, [{ pod: 'a', at: noon }]);
  const two = begun(one, identity, 'b', plus(noon, 30 * minute));
  t.is(startsIn(two, plus(noon, hour - 1)).length, 2);
  t.deepEqual(startsIn(two, plus(noon, hour)), [{ pod: 'b', at: plus(noon, 30 * minute) }]);
  t.deepEqual(
    begun(two, identity, 'c', plus(noon, hour)).starts.map(({ pod }) => pod),
    ['b', 'c'],
  );
  t.deepEqual(startsIn(two, plus(noon, -2 * hour)), []);
});

test('never more than the limit in any hour, whatever the order of arrivals', (t) => {
  const arrivals = fc.array(fc.nat(20 * minute), { maxLength: 60 });
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 5 }), (waits, most) => {
      let record: LimitsRecord | undefined;
      let now = noon;
      const begins: number[] = [];
      for (const [n, wait] of waits.entries()) {
        now = plus(now, wait);
        if (breachOf({ sessionsPerHour: most }, 0, startsIn(record, now).length) !== undefined) continue;
        record = begun(record, identity, String(n), now);
        begins.push(now);
      }
      for (const from of begins) t.true(begins.filter((at) => at >= from && at < from + hour).length <= most);
    }),
  );
});

test('a limits record is read as it was written; a newer format and what is none are told apart', (t) => {
  const record = begun(undefined, identity, 'a', noon);
  t.deepEqual(limitsCodec.decode(limitsCodec.encode(record)), { is: 'Record', record });
  t.is(limitsCodec.decode('{"formatVersion":2}').is, 'Newer');
  for (const text of ['', '[]', '{"formatVersion":1}', '{"formatVersion":1,"epoch":1,"identity":{},"starts":[]}'])
    t.is(limitsCodec.decode(text).is, 'Invalid');
});
