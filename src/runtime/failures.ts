import type { Clock, Milliseconds } from '../clock.ts';
import { minute, second } from '../clock.ts';
import type { OperatorError } from '../errors.ts';
import type { FailureNote } from './machine.ts';
import { type Backoff, circuitBackoff, fullJitter, halfJitter, keyBackoff } from './backoff.ts';

/** A Terminal failure is tried again after this long even if nobody reports a change: somebody may have repaired the other side. */
const terminalRetryEvery: Milliseconds = 10 * minute;
/** After a Conflict memory was old, and news of the key are what the next try waits for: no faster than this. */
const newsBackoff: Backoff = { ...keyBackoff, most: 5 * second };
/** A Waiting failure that names no time. */
const unnamedWait: Milliseconds = 1 * minute;

/** Why one row of one key may not be tried yet. */
interface Hold {
  readonly attempts: number;
  readonly lane: number;
  /** Monotonic. */
  readonly until: Milliseconds;
  /** Monotonic: the time that the other side named; nothing cuts it short. */
  readonly atLeast: Milliseconds;
  /** Monotonic: from when on the report of a change ends the hold; absent: it does not. */
  readonly changeEnds?: Milliseconds;
  /** Absent after a Conflict, which says nothing about the work. */
  readonly note?: FailureNote;
}

interface KeyFailures {
  readonly holds: Map<string, Hold>;
  /** Of the row that the world asks for. */
  note: FailureNote | undefined;
}

/** What failed, by key and row, and when it may be tried again. The error's class decides. */
export class Failures {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #keys = new Map<string, KeyFailures>();

  constructor(o: { readonly clock: Clock; readonly random: () => number }) {
    this.#clock = o.clock;
    this.#random = o.random;
  }

  /** Yields the number of failures of this row in a row. A Conflict leaves no note: it says nothing about the work. */
  record(key: string, row: string, lane: number, error: OperatorError): number {
    const known = this.#keys.get(key) ?? { holds: new Map<string, Hold>(), note: undefined };
    this.#keys.set(key, known);
    const before = known.holds.get(row);
    const longAgo = before !== undefined && this.#clock.monotonic() > before.until + terminalRetryEvery;
    const attempts = before === undefined || longAgo ? 1 : before.attempts + 1;
    const hold = this.#hold(lane, attempts, error);
    if (error.class === 'Conflict') known.holds.set(row, hold);
    else {
      known.note = { error, row, at: this.#clock.now(), attempts };
      known.holds.set(row, { ...hold, note: known.note });
    }
    return attempts;
  }

  note(key: string): FailureNote | undefined {
    return this.#keys.get(key)?.note;
  }

  /** Monotonic: when this row may be tried, 0 if at once. A better lane than the one that failed ends the hold, but for `retryAt`. */
  dueAt(key: string, row: string, lane: number): Milliseconds {
    const hold = this.#keys.get(key)?.holds.get(row);
    if (hold === undefined) return 0;
    return lane < hold.lane ? hold.atLeast : hold.until;
  }

  /** Why this row may not be tried yet, if it failed; nothing after a Conflict, which is tried again soon. */
  held(key: string, row: string, lane: number): FailureNote | undefined {
    const isHeld = this.dueAt(key, row, lane) > this.#clock.monotonic();
    return isHeld ? this.#keys.get(key)?.holds.get(row)?.note : undefined;
  }

  /** Something about the key really changed: what was refused or waited for is worth another try, yet not faster than the back-off. */
  changed(key: string): void {
    const holds = this.#keys.get(key)?.holds;
    for (const [row, hold] of holds ?? []) {
      if (hold.changeEnds !== undefined) holds?.set(row, { ...hold, until: Math.min(hold.until, hold.changeEnds) });
    }
  }

  succeeded(key: string, row: string): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    known.holds.delete(row);
    if (known.note?.row === row) known.note = undefined;
    if (known.holds.size === 0) this.#keys.delete(key);
  }

  /**
   * The row that the world asks for now. What another row failed with is told no longer, but its hold stays, so that rows that take turns
   * cannot spin; and a row that is asked for again while it is held is held for the same reason as before.
   */
  asked(key: string, row: string): void {
    const known = this.#keys.get(key);
    if (known === undefined || known.note?.row === row) return;
    const hold = known.holds.get(row);
    known.note = hold !== undefined && hold.until > this.#clock.monotonic() ? hold.note : undefined;
  }

  forget(key: string): void {
    this.#keys.delete(key);
  }

  #hold(lane: number, attempts: number, error: OperatorError): Hold {
    const now = this.#clock.monotonic();
    const atLeast = error.retryAt === undefined ? 0 : now + (error.retryAt - this.#clock.now());
    const held = (until: Milliseconds): Hold => ({ attempts, lane, until: Math.max(until, atLeast), atLeast });
    if (error.whose === 'Issuer')
      return held(now + fullJitter({ ...keyBackoff, most: circuitBackoff.most }, attempts, this.#random));
    const changeEnds = now + halfJitter(keyBackoff, attempts, this.#random);
    switch (error.class) {
      case 'Conflict':
        return {
          ...held(attempts === 1 ? 0 : now + fullJitter(keyBackoff, attempts - 1, this.#random)),
          changeEnds: now + halfJitter(newsBackoff, attempts, this.#random),
        };
      case 'Transient':
        return held(now + fullJitter(keyBackoff, attempts, this.#random));
      case 'Waiting':
        return { ...held(error.retryAt === undefined ? now + unnamedWait : atLeast), changeEnds };
      case 'Terminal':
        return { ...held(now + terminalRetryEvery), changeEnds };
    }
  }
}
