import test from 'ava';
import fc from 'fast-check';
import { day, hour, type Instant, instant, minute, parseRfc3339, plus, toRfc3339 } from '#src/clock.ts';
import { windowState } from '#src/domain/client/window.ts';

type Window = Parameters<typeof windowState>[0];

const saturdayNight: Window = { days: ['Sat'], from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' };
const shortNight: Window = { from: '02:30', to: '04:00', timeZone: 'Europe/Berlin' };

/** Open since when, or closed until when. */
const rows: readonly (readonly [title: string, window: Window, now: string, is: 'Open' | 'Closed', when: string])[] = [
  ['every day, inside', { from: '02:00', to: '04:00' }, '2026-11-24T02:00:59Z', 'Open', '2026-11-24T02:00:00Z'],
  ['the end is outside', { from: '02:00', to: '04:00' }, '2026-11-24T04:00:00Z', 'Closed', '2026-11-25T02:00:00Z'],
  ['before', { from: '02:00', to: '04:00' }, '2026-11-24T01:59:59Z', 'Closed', '2026-11-24T02:00:00Z'],
  [
    'another day',
    { days: ['Mon'], from: '02:00', to: '04:00' },
    '2026-11-24T03:00:00Z',
    'Closed',
    '2026-11-30T02:00:00Z',
  ],
  ['over midnight, the evening (winter time)', saturdayNight, '2026-11-28T21:30:00Z', 'Open', '2026-11-28T21:00:00Z'],
  ['over midnight, the morning after', saturdayNight, '2026-11-29T02:59:00Z', 'Open', '2026-11-28T21:00:00Z'],
  ['over midnight, too late', saturdayNight, '2026-11-29T03:00:00Z', 'Closed', '2026-12-05T21:00:00Z'],
  ['the morning of the first day', saturdayNight, '2026-11-28T01:00:00Z', 'Closed', '2026-11-28T21:00:00Z'],
  ['summer time moves it', saturdayNight, '2026-07-04T20:00:00Z', 'Open', '2026-07-04T20:00:00Z'],
  ['across the end of summer time', saturdayNight, '2026-10-21T12:00:00Z', 'Closed', '2026-10-24T20:00:00Z'],
  [
    'over midnight, from Sunday to Monday',
    { days: ['Sun'], from: '22:00', to: '04:00' },
    '2026-11-30T01:00:00Z',
    'Open',
    '2026-11-29T22:00:00Z',
  ],
  [
    'summer time begins at midnight, between this one and the next',
    { from: '23:30', to: '23:40', timeZone: 'America/Santiago' },
    '2026-09-06T03:50:00Z',
    'Closed',
    '2026-09-07T02:30:00Z',
  ],
  ['its beginning does not exist that day', shortNight, '2027-03-27T12:00:00Z', 'Closed', '2027-03-28T01:30:00Z'],
  [
    'from = to is the whole day',
    { days: ['Tue'], from: '00:00', to: '00:00' },
    '2026-11-24T23:59:00Z',
    'Open',
    '2026-11-24T00:00:00Z',
  ],
];

for (const [title, window, now, is, when] of rows) {
  test(`window: ${title}`, (t) => {
    const state = windowState(window, parseRfc3339(now)!);
    t.is(state.is, is);
    t.is(toRfc3339(state.is === 'Open' ? state.since : state.is === 'Closed' ? state.opensAt : instant(0)), when);
  });
}

test('window: a time zone that is not known never opens it', (t) => {
  const timeZone = 'Europe/Berln';
  t.deepEqual(windowState({ from: '02:00', to: '04:00', timeZone }, instant(0)), { is: 'Unusable', timeZone });
});

test('window: whatever the zone, day and hour, a closed one opens within eight days, and is open at that moment', (t) => {
  const time = fc.tuple(fc.nat(23), fc.nat(59)).map((parts) => parts.map((n) => String(n).padStart(2, '0')).join(':'));
  const anyWindow = fc.record({
    days: fc.uniqueArray(fc.constantFrom('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'), { minLength: 1 }),
    from: time,
    to: time,
    timeZone: fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/St_Johns',
      'Asia/Kathmandu',
      'Australia/Lord_Howe',
      'Pacific/Apia',
    ),
  });
  const anyNow = fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2029, 0) }).map(instant);
  fc.assert(
    fc.property(anyWindow, anyNow, (window, now) => {
      const state = windowState(window as Window, now);
      if (state.is !== 'Closed')
        return state.is === 'Open' && state.since <= now && now - state.since < state.length + hour;
      const lies = state.opensAt > now && state.opensAt - now <= 8 * day + hour;
      // The hour that summer time skips may swallow the whole window of that day.
      return lies && (windowState(window as Window, state.opensAt).is === 'Open' || state.length <= hour);
    }),
    { numRuns: 3_000 },
  );
  t.pass();
});

test('window: every minute of four weeks, open or closed follow from each other', (t) => {
  let expected: Instant | undefined;
  for (let now = instant(Date.UTC(2026, 9, 12)); now < Date.UTC(2026, 10, 9); now = plus(now, 7 * minute)) {
    const state = windowState(saturdayNight, now);
    if (state.is === 'Closed') {
      t.true(expected === undefined || expected === state.opensAt || state.opensAt - expected > 6 * day);
      expected = state.opensAt;
    } else if (state.is === 'Open' && expected !== undefined) {
      t.true(Math.abs(state.since - expected) <= hour, 'the hour of summer time at most');
    }
  }
});

for (const timeZone of ['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Africa/Casablanca'])
  for (const [from, to, only] of [
    ['02:00', '03:00', ['Sun']],
    ['02:15', '02:45', undefined],
    ['23:30', '00:30', ['Sat', 'Sun']],
  ] as const)
    test(`for a year it is open whenever it says that it opens: ${only?.join() ?? 'daily'} ${from} to ${to}, ${timeZone}`, (t) => {
      const window: Window = { from, to, timeZone, ...(only === undefined ? {} : { days: [...only] }) };
      const start = parseRfc3339('2027-01-01T00:00:00Z') ?? instant(0);
      for (let now = start; now < plus(start, 365 * day); now = plus(now, 7 * hour)) {
        const state = windowState(window, now);
        if (state.is === 'Closed') t.is(windowState(window, state.opensAt).is, 'Open', toRfc3339(now));
      }
    });
