import type { Clock, Instant } from '../../clock.ts';
import { isLearning, mustBeReplaced, usableToken } from '../../domain/session/facts.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import { firstTryUntil, secondTryUntil } from '../../domain/session/successor.ts';
import { OperatorError } from '../../errors.ts';

interface Awaited {
  readonly token: string;
  readonly until: Instant;
  readonly failed: boolean;
}

/**
 * Which sessions wait for the successor of a token that must go, and until when they may. The loop shows a failure only while it holds the row
 * back, and the row may wait longer than that, for the issuer's budget or circuit. In memory only: a new process gives each its time anew.
 */
export class AwaitedSuccessors {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Awaited>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Carries out the Mint, and remembers it where it left a token in use that must go. Throws what `mint` throws. */
  async minting(key: string, s: SessionSnapshot, mint: () => Promise<void>): Promise<void> {
    try {
      await mint();
    } catch (error) {
      // A Conflict says nothing about the successor: it is tried again at once.
      const isConflict = error instanceof OperatorError && error.class === 'Conflict';
      if (!isConflict) this.#failed(key, s, error instanceof OperatorError && error.class === 'Terminal');
      throw error;
    }
    // It may have ended without a token; after one, another token is in use and this is forgotten.
    this.#failed(key, s, false);
  }

  /** The snapshot with what is remembered since the token was first seen to have to go; forgotten once it is not in use any more, or may stay. */
  shownIn(key: string, s: SessionSnapshot): SessionSnapshot {
    const now = this.#clock.now();
    const token = usableToken(s)?.sha256;
    if (token === undefined || !mustBeReplaced(s, now)) {
      this.#waiting.delete(key);
      return s;
    }
    const known = this.#waiting.get(key);
    const isKnown = known?.token === token;
    // A new process that does not know yet whether a successor can be had tries none: its time begins after that.
    if (!isKnown && isLearning(s, now)) return s;
    const waits = isKnown ? known : { token, until: firstTryUntil(now), failed: false };
    if (!isKnown) this.#waiting.set(key, waits);
    return { ...s, successorUntil: waits.until, ...(waits.failed ? { successorFailed: true } : {}) };
  }

  forget(key: string): void {
    this.#waiting.delete(key);
  }

  #failed(key: string, s: SessionSnapshot, isRefusal: boolean): void {
    const token = usableToken(s)?.sha256;
    const now = this.#clock.now();
    if (token === undefined || !mustBeReplaced(s, now)) return;
    this.#waiting.set(key, { token, until: secondTryUntil(s, isRefusal, now), failed: true });
  }
}
