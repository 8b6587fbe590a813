import { type Clock, type Instant, instant, type Milliseconds, minute, plus } from '../clock.ts';

/** Clocks that differ by less mean the same time. */
const sameWithin: Milliseconds = minute;

/**
 * The wall clock of a machine, unless it jumps. Two others tell: the monotonic clock, which never jumps but stands still while the machine
 * sleeps, and the API server's, as its answers tell it ({@link witness}). Of the three the majority is believed, so that a clock that is set
 * forward by a day expires no token and retires no credential. At the first answer of the API server nothing has run on yet: it is believed.
 */
export class TrustedClock implements Clock {
  readonly #inner: Clock;
  #wall: Instant;
  #monotonic: Milliseconds;
  #witnessed = false;

  constructor(inner: Clock) {
    this.#inner = inner;
    this.#wall = inner.now();
    this.#monotonic = inner.monotonic();
  }

  now(): Instant {
    const wall = this.#inner.now();
    const monotonic = this.#inner.monotonic();
    const expected = plus(this.#wall, monotonic - this.#monotonic);
    if (Math.abs(wall - expected) > sameWithin) return expected;
    // Small corrections (NTP) are followed, however many there are in a year.
    this.#set(wall, monotonic);
    return wall;
  }

  monotonic(): Milliseconds {
    return this.#inner.monotonic();
  }

  sleepUntil(t: Instant, signal: AbortSignal): Promise<void> {
    return this.#inner.sleepUntil(plus(this.#inner.now(), t - this.now()), signal);
  }

  /** What the API server's clock shows at this moment. */
  witness(server: Instant): void {
    const first = !this.#witnessed;
    this.#witnessed = true;
    if (Math.abs(server - this.now()) <= sameWithin) return;
    const wall = this.#inner.now();
    const agrees = Math.abs(server - wall) <= sameWithin;
    if (agrees || first) this.#set(agrees ? wall : server, this.#inner.monotonic());
  }

  #set(wall: Instant, monotonic: Milliseconds): void {
    this.#wall = instant(wall);
    this.#monotonic = monotonic;
  }
}
