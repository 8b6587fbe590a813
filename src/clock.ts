/**
 * Time. The only module that may touch `Date` and timers: everything else receives a {@link Clock}, so that tests can drive it.
 */

/** A point in time: whole milliseconds since the Unix epoch. */
export type Instant = number & { readonly __instant: never };

/** Length of time in milliseconds. */
export type Milliseconds = number;

export const second: Milliseconds = 1_000;
export const minute: Milliseconds = 60 * second;
export const hour: Milliseconds = 60 * minute;
export const day: Milliseconds = 24 * hour;

export interface Clock {
  /** The wall clock. Persisted deadlines are wall-clock instants. */
  now(): Instant;
  /** Milliseconds that never go back; for measuring how long something took. */
  monotonic(): Milliseconds;
  /**
   * Resolves at `t`, or as soon as `signal` aborts (it never rejects). A wall clock that is set back does not make it longer than it was
   * at the call, so whoever waits for a wall-clock deadline looks at the clock again.
   */
  sleepUntil(t: Instant, signal: AbortSignal): Promise<void>;
}

export function instant(epochMilliseconds: number): Instant {
  return Math.trunc(epochMilliseconds) as Instant;
}

/** `t` moved by `by` milliseconds (negative: earlier). */
export function plus(t: Instant, by: Milliseconds): Instant {
  return instant(t + by);
}

export function earliest(...instants: readonly (Instant | undefined)[]): Instant | undefined {
  let found: Instant | undefined;
  for (const t of instants) if (t !== undefined && (found === undefined || t < found)) found = t;
  return found;
}

/** RFC 3339 in UTC with whole seconds, as Kubernetes writes it: `2026-11-24T12:00:00Z`. */
export function toRfc3339(t: Instant): string {
  return new Date(t).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Parses RFC 3339; `undefined` for anything else. */
export function parseRfc3339(text: string): Instant | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.test(text)) return undefined;
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? undefined : instant(parsed);
}

/** Parses an HTTP date (RFC 9110 §5.6.7), as in `Date` and `Retry-After`; `undefined` for anything else. */
export function parseHttpDate(text: string): Instant | undefined {
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) || !text.endsWith('GMT') ? undefined : instant(parsed);
}

/**
 * When to come back by a `Retry-After` (RFC 9110 §10.2.3): seconds, or a date by `theirs`, the clock of who wrote it. Between 1 s and 15 min from
 * `now`, whatever it says; `undefined` for garbage, which is no wish.
 */
export function retryAfter(text: string | undefined, now: Instant, theirs = now): Instant | undefined {
  const said = text?.trim() ?? '';
  const date = parseHttpDate(said);
  const wait = /^[+-]?\d+(\.\d+)?$/.test(said) ? Number(said) * second : date === undefined ? undefined : date - theirs;
  return wait === undefined ? undefined : plus(now, Math.min(Math.max(wait, second), 15 * minute));
}

const durationUnits: Readonly<Record<string, Milliseconds>> = { s: second, m: minute, h: hour, d: day };

/**
 * Parses a duration as the custom resources write it: a whole number and one unit, `90d`, `12h`, `15m`, `30s`.
 * The CRDs refuse everything else, so `undefined` means that an older or foreign schema let it pass.
 */
export function parseDuration(text: string): Milliseconds | undefined {
  const match = /^([1-9]\d{0,6})([smhd])$/.exec(text);
  const unit = durationUnits[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** The shortest exact text for a duration: `90d`, `15m`, `90s`; rounded to whole seconds. */
export function formatDuration(length: Milliseconds): string {
  const seconds = Math.round(length / second);
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
  ] as const) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

/** Calls `what` once, after `delay` of real time, unless the function that comes back is called before. */
export function after(delay: Milliseconds, what: () => void): () => void {
  const timer = setTimeout(what, delay);
  return () => clearTimeout(timer);
}

/** Timers beyond 2^31 ms fire at once in Node, so longer sleeps are taken in pieces of this length. */
const longestTimer: Milliseconds = 7 * day;

export const systemClock: Clock = {
  now: () => instant(Date.now()),
  monotonic: () => performance.now(),
  async sleepUntil(t, signal) {
    const end = performance.now() + (t - Date.now());
    while (!signal.aborted) {
      const left = Math.min(t - Date.now(), Math.ceil(end - performance.now()));
      if (left <= 0) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, Math.min(left, longestTimer));
        signal.addEventListener('abort', done, { once: true });
      });
    }
  },
};
