import type { Instant } from '../../clock.ts';
import type { SessionRowName } from '../../domain/session/machine.ts';

/** Rows of the session table that end a token. */
const ends: ReadonlySet<string> = new Set<SessionRowName>(['over', 'stopped', 'withdrawn', 'narrowed', 'recalled']);
/** Rows on the way from the cause to the last revocation, or that only hold it up. */
const under: ReadonlySet<string> = new Set<SessionRowName>(['unknown', 'clean', 'undelivered', 'revoke', 'revoked']);

/**
 * Since when this process knows that a session's tokens must end: the moment at which its row changed to one that ends them, milliseconds
 * after the watch brought the cause. Memory only; after a restart the record's `endedAt` takes its place.
 */
export class Causes {
  readonly #seen = new Map<string, Instant>();

  /** To be told of every change of a session's row. */
  decided(key: string, row: string, now: Instant): void {
    if (!ends.has(row) && !under.has(row)) this.#seen.delete(key);
    else if (ends.has(row) && !this.#seen.has(key)) this.#seen.set(key, now);
  }

  seenAt(key: string): Instant | undefined {
    return this.#seen.get(key);
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
