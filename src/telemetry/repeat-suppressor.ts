import { type Clock, type Instant, type Milliseconds, minute, plus } from '../clock.ts';

interface Repeated<T> {
  what: T;
  readonly until: Instant;
  times: number;
}

/** What is the same is said once in this time. */
const quiet: Milliseconds = 5 * minute;
const mostRemembered = 10_000;

/**
 * Says what is the same only once in a while, and then the last of it with how often it was: nothing is dropped silently. `tell` gets the number of times that
 * were not said; 0 for what is new. Holds a bounded number of things: the oldest is told early where there are more.
 */
export class RepeatSuppressor<T> {
  readonly #clock: Clock;
  readonly #tell: (what: T, repeated: number) => void;
  /** In the order in which their time ends. */
  readonly #seen = new Map<string, Repeated<T>>();

  constructor(clock: Clock, tell: (what: T, repeated: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  say(key: string, what: T): void {
    const known = this.#seen.get(key);
    if (known !== undefined && this.#clock.now() < known.until) {
      known.times += 1;
      known.what = what;
      return;
    }
    this.#end(key, known);
    this.#tell(what, 0);
    this.#seen.set(key, { what, until: plus(this.#clock.now(), quiet), times: 0 });
    const [oldest] = this.#seen;
    if (this.#seen.size > mostRemembered && oldest !== undefined) this.#end(...oldest);
  }

  /** Tells what has been repeated and whose time is over; `all`: whatever has been repeated, because nobody will ask again. */
  flush(all = false): void {
    for (const [key, one] of this.#seen) {
      if (!all && this.#clock.now() < one.until) return;
      this.#end(key, one);
    }
  }

  #end(key: string, one: Repeated<T> | undefined): void {
    if (one === undefined) return;
    this.#seen.delete(key);
    if (one.times > 0) this.#tell(one.what, one.times);
  }
}
