import type { Clock, Milliseconds } from '../clock.ts';
import { plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';

/**
 * What one budget allows. In the long run no more calls than `perSecond`, and in no second more than `burst + perSecond`. In any window of
 * w seconds at most `burst + perSecond * w` starts, those not counted that were handed back unused.
 */
export interface Rate {
  readonly perSecond: number;
  /** At least 1; default: one second's worth. */
  readonly burst?: number;
  /** How many calls may be under way at once, so that one that hangs does not take every worker; default 8. */
  readonly parallel?: number;
}

/**
 * No call waits longer for the others of its budget. That is less than the deadline of any call: one that ran out meanwhile would look as if the
 * call had been made.
 */
const longestWait: Milliseconds = 8 * second;

/**
 * So long a call waits for a turn that takes none from others. Then it is made as soon as the second has room: its work has begun, and is not given
 * up because others go on coming; they start later for it.
 */
const longEnough: Milliseconds = 1 * second;

/** How often a call that waits looks whether somebody handed back what he did not use. */
const lookEvery: Milliseconds = 4;

/** One budget: a token bucket, and the works that draw on it. On the monotonic clock. */
export class Bucket {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #rate: () => Rate;
  readonly #reservedShare: (lane: number) => number;
  #tokens: number;
  #filledAt: Milliseconds;
  #running = 0;
  /** Lanes of the calls that wait for a turn of their own. */
  readonly #waiting: number[] = [];
  /** When the calls of the last second were made. */
  readonly #callTimes: Milliseconds[] = [];

  /** `rate` is asked each time; `reservedShare`: the part, below 1, that is kept from a lane for more urgent ones. */
  constructor(o: {
    readonly clock: Clock;
    readonly name: string;
    readonly rate: () => Rate;
    readonly reservedShare: (lane: number) => number;
  }) {
    this.#clock = o.clock;
    this.#name = o.name;
    this.#rate = o.rate;
    this.#reservedShare = o.reservedShare;
    this.#tokens = this.#burst();
    this.#filledAt = o.clock.monotonic();
  }

  /** Takes one call's worth; false: not now. */
  start(lane: number): boolean {
    if (this.untilStart(lane) !== 0) return false;
    this.#tokens -= 1;
    this.#running += 1;
    return true;
  }

  /** Until {@link start} may succeed by the passing of time alone; `undefined`: a running work has to end first, or to wait for its next call. */
  untilStart(lane: number): Milliseconds | undefined {
    return this.#isFull(lane) ? undefined : this.#untilTokens(this.#needed(lane) + this.#ahead(lane));
  }

  /** The work that was started has ended; what it did not use is given back whole. */
  finish(isUsed: boolean): void {
    this.#fill();
    this.#running -= 1;
    if (!isUsed) this.#tokens += 1;
  }

  /**
   * Resolves when a call may be made. `isPaid`: it is the one that its work was started for. Any other waits for a while until one call is left for
   * more urgent lanes, where anything is kept for them. Rejects as {@link Budgets.awaitTurn} says.
   */
  async awaitTurn(lane: number, isPaid: boolean, signal: AbortSignal): Promise<void> {
    const since = this.#clock.monotonic();
    const needed = Math.min(2, this.#needed(lane));
    const turn = (): Milliseconds => {
      const isFree = isPaid || this.#clock.monotonic() >= since + longEnough;
      return Math.max(this.#untilRoom(), isFree ? 0 : this.#untilTokens(needed));
    };
    if (!isPaid) this.#waiting.push(lane);
    try {
      for (let wait = turn(); wait > 0; wait = turn()) {
        if (this.#clock.monotonic() >= since + longestWait) throw noTurn(this.#name);
        await this.#clock.sleepUntil(plus(this.#clock.now(), Math.min(Math.ceil(wait), lookEvery)), signal);
        signal.throwIfAborted();
      }
    } finally {
      if (!isPaid) this.#waiting.splice(this.#waiting.indexOf(lane), 1);
    }
    this.#callTimes.push(this.#clock.monotonic());
    if (!isPaid) this.#tokens -= 1;
  }

  #untilTokens(needed: number): Milliseconds {
    this.#fill();
    return (Math.max(0, needed - this.#tokens) / this.#rate().perSecond) * second;
  }

  #untilRoom(): Milliseconds {
    const now = this.#clock.monotonic();
    while (this.#callTimes[0] !== undefined && this.#callTimes[0] <= now - second) this.#callTimes.shift();
    const most = Math.floor(this.#burst() + this.#rate().perSecond);
    const earlier = this.#callTimes.at(-most);
    return this.#callTimes.length < most || earlier === undefined ? 0 : earlier + second - now;
  }

  /** A work that waits for the turn of its next call has none under way. */
  #isFull(lane: number): boolean {
    const parallel = this.#rate().parallel ?? 8;
    const share = this.#reservedShare(lane);
    const slots = share === 0 || parallel === 1 ? parallel : parallel - Math.max(1, Math.floor(parallel * share));
    return this.#running - this.#waiting.length >= slots;
  }

  /** So many calls of works that have begun go before a start of this lane. */
  #ahead(lane: number): number {
    return this.#waiting.filter((one) => one <= lane).length;
  }

  #needed(lane: number): number {
    const burst = this.#burst();
    const reserved = burst * this.#reservedShare(lane);
    // Of a small burst, so little helps nobody for whom it is kept, and costs each call of this lane a part of the time between two calls.
    return Math.min(burst, 1 + (reserved < 0.5 ? 0 : reserved));
  }

  #burst(): number {
    const { perSecond, burst } = this.#rate();
    return Math.max(1, burst ?? perSecond);
  }

  /** Time fills it up to its burst; what was given back may be more. */
  #fill(): void {
    const now = this.#clock.monotonic();
    const gained = ((now - this.#filledAt) / second) * this.#rate().perSecond;
    this.#tokens = Math.max(this.#tokens, Math.min(this.#burst(), this.#tokens + gained));
    this.#filledAt = now;
  }
}

/** The code says to whoever asks that the call was not made. */
function noTurn(budget: string): OperatorError {
  return new OperatorError({
    class: 'Transient',
    reason: 'TimedOut',
    message: `${budget}: a call was not made, because other calls had its turn for ${longestWait / second} s; it is tried again`,
    cause: Object.assign(new Error(`no turn at ${budget}`), { code: 'NO_TURN' }),
  });
}
