import test from 'ava';
import { parseRfc3339 } from '#src/clock.ts';
import { isWindowOpen } from '#src/domain/client/window.ts';

type Window = NonNullable<Parameters<typeof isWindowOpen>[0]>;

const saturdayNight: Window = { days: ['Sat'], from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' };

const rows: readonly (readonly [string, Window | undefined, string, boolean])[] = [
  ['no window', undefined, '2026-11-24T12:00:00Z', true],
  ['every day, inside', { from: '02:00', to: '04:00' }, '2026-11-24T02:00:00Z', true],
  ['every day, the end is outside', { from: '02:00', to: '04:00' }, '2026-11-24T04:00:00Z', false],
  ['every day, before', { from: '02:00', to: '04:00' }, '2026-11-24T01:59:59Z', false],
  ['another day', { days: ['Mon'], from: '02:00', to: '04:00' }, '2026-11-24T03:00:00Z', false],
  ['over midnight, the evening (winter time)', saturdayNight, '2026-11-28T21:30:00Z', true],
  ['over midnight, the morning after', saturdayNight, '2026-11-29T02:59:00Z', true],
  ['over midnight, too late', saturdayNight, '2026-11-29T03:00:00Z', false],
  ['over midnight, the morning of the first day', saturdayNight, '2026-11-28T01:00:00Z', false],
  ['summer time moves it', saturdayNight, '2026-07-04T20:00:00Z', true],
  ['from = to is the whole day', { days: ['Tue'], from: '00:00', to: '00:00' }, '2026-11-24T23:59:00Z', true],
];

for (const [title, window, now, open] of rows) {
  test(`window: ${title}`, (t) => {
    t.is(isWindowOpen(window, parseRfc3339(now)!), open);
  });
}
