import { setImmediate } from 'node:timers/promises';
import { type Clock, type Instant, type Milliseconds, instant, parseRfc3339 } from '#src/clock.ts';

interface Sleeper {
  readonly wall: Instant;
  /** Set back or forward, a wall clock never makes a sleep longer than it was when it began. */
  readonly monotonic: Milliseconds;
  readonly seq: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is told: deterministic, and hours take microseconds. */
export class VirtualClock implements Clock {
  #wall: Instant;
  #monotonic: Milliseconds = 0;
  #seq = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start: Instant = parseRfc3339('2026-11-24T12:00:00Z')!) {
    this.#wall = start;
  }

  now(): Instant {
    return this.#wall;
  }

  monotonic(): Milliseconds {
    return this.#monotonic;
  }

  sleepUntil(t: Instant, signal: AbortSignal): Promise<void> {
    const left = t - this.#wall;
    if (left <= 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper = { wall: t, monotonic: this.#monotonic + left, seq: (this.#seq += 1), wake };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Time passes: each sleeper wakes at its own time, and everything that follows from it happens before time goes on. */
  async advance(by: Milliseconds): Promise<void> {
    const end = this.#monotonic + by;
    await this.settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || this.#dueAt(next) > end) break;
      this.#pass(Math.max(0, this.#dueAt(next) - this.#monotonic));
      next.wake();
      await this.settle();
    }
    this.#pass(end - this.#monotonic);
  }

  /** Somebody sets the wall clock; no time passes. */
  setWall(by: Milliseconds): void {
    this.#wall = instant(this.#wall + by);
  }

  /** The process stands still: time passes and nobody wakes in time; all who are due wake late, in order. */
  async freeze(by: Milliseconds): Promise<void> {
    this.#pass(by);
    await this.advance(0);
  }

  /** Lets everything happen that needs no time. */
  async settle(turns = 8): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) await setImmediate();
  }

  #pass(by: Milliseconds): void {
    this.#monotonic += by;
    this.#wall = instant(this.#wall + by);
  }

  #dueAt(sleeper: Sleeper): Milliseconds {
    return Math.min(sleeper.monotonic, this.#monotonic + Math.max(0, sleeper.wall - this.#wall));
  }

  #next(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      const earlier = first === undefined ? -1 : this.#dueAt(sleeper) - this.#dueAt(first);
      if (first === undefined || earlier < 0 || (earlier === 0 && sleeper.seq < first.seq)) first = sleeper;
    }
    return first;
  }
}
