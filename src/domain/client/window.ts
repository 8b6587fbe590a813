import type { IdentityPool, IdentityPoolRotationWindow } from '../../api/v1alpha1/identity-pool.ts';
import { day, hour, instant, minute, plus } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';

const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
type Day = (typeof days)[number];

/** A maintenance window at one moment. `length` is what the clock on the wall shows; summer time may make it an hour more or less. */
export type WindowState =
  | { readonly is: 'Open'; readonly since: Instant; readonly length: Milliseconds }
  | { readonly is: 'Closed'; readonly opensAt: Instant; readonly length: Milliseconds }
  /** This program does not know the time zone (the API server may: it has a database of its own), so it never opens. */
  | { readonly is: 'Unusable'; readonly timeZone: string };

/** The window that a pool declares, as it stands at `now`; `undefined`: it declares none. */
export function declaredWindow({ spec }: IdentityPool, now: Instant): WindowState | undefined {
  return spec.rotation?.window && windowState(spec.rotation.window, now);
}

/**
 * The window as it stands at `now`. `from` and `to` are `HH:MM` in the window's time zone (default UTC); a window whose `to` is not after
 * its `from` ends on the next day and belongs to the day on which it began.
 */
export function windowState(window: IdentityPoolRotationWindow, now: Instant): WindowState {
  const { timeZone = 'UTC' } = window;
  const format = formatOf(timeZone);
  if (format === undefined) return { is: 'Unusable', timeZone };
  const from = minutesOf(window.from);
  const length = (((minutesOf(window.to) - from + minutesPerDay - 1) % minutesPerDay) + 1) * minute;
  const on = (which: Day): boolean => window.days === undefined || window.days.includes(which);
  const openSince = (at: Instant): Instant | undefined => {
    const local = localTime(at, format);
    const intoIt = ((local.minutes - from + minutesPerDay) % minutesPerDay) * minute;
    const began = local.minutes >= from ? local.day : dayBefore(local.day);
    return intoIt < length && on(began) ? plus(startOfMinute(at), -intoIt) : undefined;
  };
  const since = openSince(now);
  if (since !== undefined) return { is: 'Open', since, length };
  return { is: 'Closed', opensAt: nextOpening(format, from, (at) => openSince(at) !== undefined, now), length };
}

/**
 * At most a fortnight ahead: days are never empty. Where summer time skips the opening, it is the moment after the gap, if the window is longer
 * than that; else the window of that day is skipped as a whole.
 */
function nextOpening(
  format: Intl.DateTimeFormat,
  from: number,
  isOpen: (at: Instant) => boolean,
  now: Instant,
): Instant {
  const untilFrom = (from - localTime(now, format).minutes + minutesPerDay) % minutesPerDay;
  const first = plus(startOfMinute(now), untilFrom * minute);
  for (let ahead = 0; ahead <= 2 * days.length; ahead += 1) {
    const guess = plus(first, ahead * day);
    const seen = localTime(guess, format).minutes;
    const off = ((seen - from + minutesPerDay + minutesPerDay / 2) % minutesPerDay) - minutesPerDay / 2;
    const moved = plus(guess, -off * minute);
    // Going back over the hour that does not exist would end before it, where the window is not open yet.
    const opening = localTime(moved, format).minutes < from ? guess : moved;
    if (opening > now && isOpen(opening)) return opening;
  }
  return plus(now, days.length * day);
}

/** How long work that is spread over a window may take: an hour, or the window where that is shorter. */
export function spreadOver(window: WindowState | undefined): Milliseconds {
  return window === undefined || window.is === 'Unusable' ? hour : Math.min(hour, window.length);
}

const minutesPerDay = 24 * 60;

/** Building a format is slow, asking it is not. `undefined`: the time zone is not known. */
const formats = new Map<string, Intl.DateTimeFormat | undefined>();

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  if (!formats.has(timeZone)) formats.set(timeZone, newFormat(timeZone));
  return formats.get(timeZone);
}

function newFormat(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    const options = { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    return new Intl.DateTimeFormat('en-US', options);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function localTime(now: Instant, format: Intl.DateTimeFormat): { readonly day: Day; readonly minutes: number } {
  const parts = format.formatToParts(now);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  return { day: part('weekday') as Day, minutes: Number(part('hour')) * 60 + Number(part('minute')) };
}

function startOfMinute(now: Instant): Instant {
  return instant(Math.floor(now / minute) * minute);
}

function minutesOf(time: string): number {
  const [hours = '0', minutes = '0'] = time.split(':');
  return Number(hours) * 60 + Number(minutes);
}

function dayBefore(of: Day): Day {
  return days[(days.indexOf(of) + days.length - 1) % days.length] ?? of;
}
