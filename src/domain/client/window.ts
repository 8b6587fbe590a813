import type { IdentityPoolRotationWindow } from '../../api/v1alpha1/identity-pool.ts';
import type { Instant } from '../../clock.ts';

const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
type Day = (typeof days)[number];

/**
 * Whether scheduled rotations may begin now. `from` and `to` are `HH:MM` in the window's time zone (default UTC); a window whose `to` is not
 * after its `from` ends on the next day and belongs to the day on which it began. Without a window any time will do.
 */
export function isWindowOpen(window: IdentityPoolRotationWindow | undefined, now: Instant): boolean {
  if (window === undefined) return true;
  const { day, minutes } = localTime(now, window.timeZone ?? 'UTC');
  const from = minutesOf(window.from);
  const to = minutesOf(window.to);
  const on = (which: Day): boolean => window.days === undefined || window.days.includes(which);
  if (from < to) return on(day) && minutes >= from && minutes < to;
  return (on(day) && minutes >= from) || (on(dayBefore(day)) && minutes < to);
}

function localTime(now: Instant, timeZone: string): { readonly day: Day; readonly minutes: number } {
  const options = { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const parts = new Intl.DateTimeFormat('en-US', options).formatToParts(now);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  return { day: part('weekday') as Day, minutes: Number(part('hour')) * 60 + Number(part('minute')) };
}

function minutesOf(time: string): number {
  const [hours = '0', minutes = '0'] = time.split(':');
  return Number(hours) * 60 + Number(minutes);
}

function dayBefore(day: Day): Day {
  return days[(days.indexOf(day) + days.length - 1) % days.length] ?? day;
}
