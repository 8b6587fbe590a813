import { type Instant, minute, plus, toRfc3339 } from '../clock.ts';
import type { Reason } from '../api/reasons.ts';

/** What the work of a machine failed with, as far as a row of its table, whose names are `N`, may care. */
export interface Failure<N extends string> {
  readonly reason: Reason;
  readonly message: string;
  readonly at: Instant;
  /** The row whose action failed: the one that the world asks for. */
  readonly row: N;
  readonly terminal: boolean;
  /** Rows that were to take its turn, and failed as well. */
  readonly others?: readonly N[];
}

/** The action of this row failed and is held back: rows below may go on meanwhile. */
export function isHeldBack<N extends string>(
  { failure }: { readonly failure?: Failure<N> | undefined },
  row: NoInfer<N>,
): boolean {
  return failure?.row === row || failure?.others?.includes(row) === true;
}

/** The provider asked for so long a pause that people are told when it ends; one of seconds would be over before it is read. */
export function pauseOf(retryAt: Instant | undefined, at: Instant): { readonly nextTry?: Instant } {
  return retryAt !== undefined && retryAt > plus(at, minute) ? { nextTry: retryAt } : {};
}

/** Goes after a sentence. */
export function nextTryAt({ nextTry }: { readonly nextTry?: Instant }): string {
  return nextTry === undefined ? '' : ` Next try at ${toRfc3339(nextTry)}.`;
}
