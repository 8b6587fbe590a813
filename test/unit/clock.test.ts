import test from 'ava';
import fc from 'fast-check';
import {
  day,
  earliest,
  formatDuration,
  hour,
  instant,
  minute,
  parseDuration,
  parseHttpDate,
  parseRfc3339,
  plus,
  retryAfter,
  second,
  systemClock,
  toRfc3339,
} from '#src/clock.ts';

const durations: readonly (readonly [string, number | undefined])[] = [
  ['1s', second],
  ['90s', 90 * second],
  ['15m', 15 * minute],
  ['12h', 12 * hour],
  ['90d', 90 * day],
  ['9999999d', 9_999_999 * day],
  ['', undefined],
  ['0s', undefined],
  ['05m', undefined],
  ['10000000s', undefined],
  ['15', undefined],
  ['m', undefined],
  ['15 m', undefined],
  ['1h30m', undefined],
  ['1.5h', undefined],
  ['-1h', undefined],
  ['1w', undefined],
  ['15M', undefined],
  ['15m\n', undefined],
  ['١s', undefined],
];

for (const [text, expected] of durations) {
  test(`duration ${JSON.stringify(text)}`, (t) => t.is(parseDuration(text), expected));
}

const formatted: readonly (readonly [number, string])[] = [
  [0, '0s'],
  [second, '1s'],
  [90 * second, '90s'],
  [60 * minute, '1h'],
  [90 * minute, '90m'],
  [24 * hour, '1d'],
  [25 * hour, '25h'],
  [1_499, '1s'],
  [1_500, '2s'],
];

for (const [length, expected] of formatted)
  test(`${length} ms is ${expected}`, (t) => t.is(formatDuration(length), expected));

test('a formatted duration parses to itself', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9_999_999 }), (n) =>
      t.is(parseDuration(formatDuration(n * second)), n * second),
    ),
  );
});

const rfc3339: readonly (readonly [string, string | undefined])[] = [
  ['2026-11-24T12:00:00Z', '2026-11-24T12:00:00Z'],
  ['2026-11-24T12:00:00.123456Z', '2026-11-24T12:00:00Z'],
  ['2026-11-24T13:30:00+01:30', '2026-11-24T12:00:00Z'],
  ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00Z'],
  ['2026-11-24T12:00:00', undefined],
  ['2026-11-24 12:00:00Z', undefined],
  ['2026-11-24', undefined],
  ['2026-13-24T12:00:00Z', undefined],
  ['2026-11-24T25:00:00Z', undefined],
  ['1764000000', undefined],
  ['', undefined],
];

for (const [text, expected] of rfc3339) {
  test(`RFC 3339 ${JSON.stringify(text)}`, (t) => {
    const parsed = parseRfc3339(text);
    t.is(parsed === undefined ? undefined : toRfc3339(parsed), expected);
  });
}

const httpDates: readonly (readonly [string, string | undefined])[] = [
  ['Tue, 24 Nov 2026 12:00:00 GMT', '2026-11-24T12:00:00Z'],
  ['Tue, 24 Nov 2026 12:00:00 +0100', undefined],
  ['2026-11-24T12:00:00Z', undefined],
  ['120', undefined],
  ['soon GMT', undefined],
];

for (const [text, expected] of httpDates) {
  test(`HTTP date ${JSON.stringify(text)}`, (t) => {
    const parsed = parseHttpDate(text);
    t.is(parsed === undefined ? undefined : toRfc3339(parsed), expected);
  });
}

test('instants are whole milliseconds; the earliest of some', (t) => {
  t.is<number, number>(instant(1.9), 1);
  t.is<number, number>(plus(instant(10), -2.5), 7);
  t.is(earliest(undefined, instant(3), instant(2), undefined), instant(2));
  t.is(earliest(undefined), undefined);
  t.is(earliest(), undefined);
});

test('sleepUntil: what has passed takes no time, an abort ends it at once, and it does not end early', async (t) => {
  const never = new AbortController().signal;
  const began = systemClock.monotonic();
  await systemClock.sleepUntil(plus(systemClock.now(), -day), never);
  await systemClock.sleepUntil(plus(systemClock.now(), day), AbortSignal.abort());
  t.true(systemClock.monotonic() - began < minute);
  const until = plus(systemClock.now(), 30);
  await systemClock.sleepUntil(until, never);
  t.true(systemClock.now() >= until - 1);
});

test('sleepUntil: more than 2^31 ms is no overflow that fires at once, and leaves no listener behind', async (t) => {
  const stop = new AbortController();
  let over = false;
  const sleep = systemClock.sleepUntil(plus(systemClock.now(), 40 * day), stop.signal).then(() => (over = true));
  await systemClock.sleepUntil(plus(systemClock.now(), 50), new AbortController().signal);
  t.false(over);
  stop.abort();
  await sleep;
  t.true(over);
});

for (const [text, wait] of [
  ['7', 7 * second],
  ['0', second],
  ['-10', second],
  ['1.5', 1.5 * second],
  ['999999', 15 * minute],
  ['99999999999', 15 * minute],
  ['1e3', undefined],
  ['soon', undefined],
  ['', undefined],
  [undefined, undefined],
  ['Tue, 24 Nov 2026 12:00:30 GMT', 30 * second],
  ['Tue, 24 Nov 2020 12:00:30 GMT', second],
  ['Tue, 24 Nov 2099 12:00:30 GMT', 15 * minute],
] as const) {
  test(`Retry-After is held between a second and a quarter of an hour: ${text ?? 'absent'}`, (t) => {
    const now = parseRfc3339('2026-11-24T12:00:00Z')!;
    t.is(retryAfter(text, now), wait === undefined ? undefined : plus(now, wait));
  });
}

test('a date of Retry-After is read by the clock that wrote it', (t) => {
  const [now, theirs] = [parseRfc3339('2026-11-24T12:00:00Z')!, parseRfc3339('2026-11-24T13:00:00Z')!];
  t.is(retryAfter('Tue, 24 Nov 2026 13:00:30 GMT', now, theirs), plus(now, 30 * second));
});
