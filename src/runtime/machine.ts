import type { Instant } from '../clock.ts';
import type { Decision } from '../decision.ts';
import type { OperatorError } from '../errors.ts';

/**
 * The last failure of a row of a key's work, kept until an action of the same row succeeds or that row would no longer be chosen; chosen
 * again while it is still held back, it has the same failure again. A snapshot gets it only while it holds its row back: then another row
 * may match; when the row's time has come again the snapshot comes without it.
 */
export interface FailureNote {
  readonly error: OperatorError;
  readonly row: string;
  readonly at: Instant;
  readonly attempts: number;
}

/**
 * What the loop drives. `snapshot` reads memory only and synchronously; `decide` is pure; `apply` performs one effect and leaves memory
 * up to date with what it wrote, then the loop looks again.
 */
export interface Machine<S, A> {
  readonly name: string;
  /** Nobody waits for its work: its keys are looked at after those of other machines, see `Agenda`. */
  readonly canWait?: boolean;
  /**
   * `undefined`: nothing is known and nothing is to be done; the key is forgotten. `held`: the failures of the rows that are held back and give
   * way, that of the row which the world asks for first.
   */
  snapshot(key: string, held: readonly FailureNote[]): S | undefined;
  decide(snapshot: S, now: Instant): Decision<A>;
  apply(key: string, snapshot: S, decision: Decision<A> & { readonly action: A }, signal: AbortSignal): Promise<void>;
}
