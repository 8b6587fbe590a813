import type { Clock, Instant } from '../clock.ts';
import { isNarrowed, successorAwaitedUntil, usableToken } from '../domain/session/facts.ts';
import type { SessionSnapshot } from '../domain/session/machine.ts';
import { OperatorError } from '../errors.ts';

/**
 * Which sessions wait for the successor of a token that must go, after its Mint failed. The loop shows a failure only while it holds the row
 * back, and the row may wait longer than that, for the issuer's budget or circuit. In memory only: a new process tries anew.
 */
export class AwaitedSuccessors {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, { readonly token: string; readonly until: Instant }>();

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
      if (!isConflict) this.#await(key, s, error instanceof OperatorError && error.class === 'Terminal');
      throw error;
    }
    // It may have ended without a token; after one, another token is in use and this is forgotten.
    this.#await(key, s, false);
  }

  /** The snapshot with what is remembered. Forgets it once the token may stay after all or is not in use any more. */
  shownIn(key: string, s: SessionSnapshot): SessionSnapshot {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return s;
    const isStillIt = usableToken(s)?.sha256 === waiting.token && isNarrowed(s, this.#clock.now());
    if (isStillIt) return { ...s, successorUntil: waiting.until };
    this.#waiting.delete(key);
    return s;
  }

  forget(key: string): void {
    this.#waiting.delete(key);
  }

  #await(key: string, s: SessionSnapshot, isRefusal: boolean): void {
    const token = usableToken(s)?.sha256;
    const now = this.#clock.now();
    if (token === undefined || !isNarrowed(s, now)) return;
    this.#waiting.set(key, { token, until: successorAwaitedUntil(s, isRefusal, now) });
  }
}
