import type { Instant } from '../clock.ts';
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
