import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { plus, second } from '../clock.ts';
import { Heap } from './heap.ts';

interface Due {
  readonly id: string;
  readonly at: Instant;
}

/** Wall-clock deadlines are looked at this often at least, so that a wall clock that was set forward is noticed. */
const longestNap: Milliseconds = 30 * second;

/** Wall-clock appointments: one heap of due times, at most one per id. */
export class Appointments {
  readonly #heap = new Heap<Due>((a, b) => a.at < b.at);
  readonly #byId = new Map<string, Due>();

  /** Replaces what was set before; `undefined`: none. */
  set(id: string, at: Instant | undefined): void {
    const known = this.#byId.get(id);
    if (known?.at === at) return;
    if (known !== undefined) this.#heap.remove(known);
    if (at === undefined) {
      this.#byId.delete(id);
      return;
    }
    const due = { id, at };
    this.#byId.set(id, due);
    this.#heap.push(due);
  }

  /** Takes the next id whose time has come. */
  take(now: Instant): string | undefined {
    const first = this.#heap.peek();
    if (first === undefined || first.at > now) return undefined;
    this.#heap.pop();
    this.#byId.delete(first.id);
    return first.id;
  }

  next(): Instant | undefined {
    return this.#heap.peek()?.at;
  }

  get size(): number {
    return this.#heap.size;
  }
}

/** Nobody sees it; without a reason Node makes a DOMException with a stack each time. */
const early = new Error('the alarm rings earlier');

/** One sleeper that can be told to wake up earlier. */
export class Alarm {
  readonly #clock: Clock;
  #rings = Number.POSITIVE_INFINITY;
  #nap: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The sleep that is under way, if any, ends at this monotonic time at the latest. */
  atLatest(monotonic: Milliseconds): void {
    if (monotonic >= this.#rings) return;
    this.#rings = monotonic;
    this.#nap?.abort(early);
  }

  /** Sleeps until the earliest {@link atLatest} since the last sleep, or 30 s. */
  async sleep(signal: AbortSignal): Promise<void> {
    const end = this.#clock.monotonic() + longestNap;
    for (;;) {
      const left = Math.min(this.#rings, end) - this.#clock.monotonic();
      if (left <= 0 || signal.aborted) break;
      const nap = new AbortController();
      this.#nap = nap;
      const stop = (): void => nap.abort();
      signal.addEventListener('abort', stop, { once: true });
      await this.#clock.sleepUntil(plus(this.#clock.now(), Math.ceil(left)), nap.signal);
      signal.removeEventListener('abort', stop);
    }
    this.#nap = undefined;
    this.#rings = Number.POSITIVE_INFINITY;
  }
}
