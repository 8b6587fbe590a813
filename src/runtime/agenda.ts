import type { Clock, Milliseconds } from '../clock.ts';

/** Looking lets others have the event loop, such as who renews the lease, after so many keys or so long. */
const turn = { keys: 500, time: 50 } as const;
/** One turn in so many belongs to the keys that can wait. */
const theirs = 5;

/**
 * Keys that are to be looked at, each once, first come, first served. Those that can wait (`canWait`) are looked at when no other key is left and
 * a worker is free; otherwise they have one turn in five, so that ten thousand of them do not take the process from whoever waits for a token, and
 * none of them waits for ever.
 */
export class Agenda {
  readonly #clock: Clock;
  readonly #canWait: (id: string) => boolean;
  readonly #first = new Set<string>();
  readonly #later = new Set<string>();
  /** Monotonic: when the next turn of those that can wait has come. */
  #theirsFrom: Milliseconds = 0;

  constructor(clock: Clock, canWait: (id: string) => boolean) {
    this.#clock = clock;
    this.#canWait = canWait;
  }

  get size(): number {
    return this.#first.size + this.#later.size;
  }

  add(id: string): void {
    (this.#canWait(id) ? this.#later : this.#first).add(id);
  }

  delete(id: string): void {
    this.#first.delete(id);
    this.#later.delete(id);
  }

  /** Takes out what has its turn now, one by one; the time that the caller takes for each counts. `isBusy`: no worker is free. */
  *turn(isBusy: boolean): Iterable<string> {
    const began = this.#clock.monotonic();
    const isTheirs = this.#later.size > 0 && began >= this.#theirsFrom;
    if (isTheirs) this.#theirsFrom = began + theirs * turn.time;
    let taken = 0;
    for (const keys of isTheirs ? [this.#later, this.#first] : isBusy ? [this.#first] : [this.#first, this.#later]) {
      for (const id of keys) {
        if ((taken += 1) > turn.keys || this.#clock.monotonic() > began + turn.time) return;
        keys.delete(id);
        yield id;
      }
    }
  }

  /** Monotonic: when {@link turn} has something, which may be at once; `undefined`: not until something is added. */
  nextAt(isBusy: boolean): Milliseconds | undefined {
    if (this.#first.size > 0 || (this.#later.size > 0 && !isBusy)) return this.#clock.monotonic();
    return this.#later.size > 0 ? this.#theirsFrom : undefined;
  }
}
