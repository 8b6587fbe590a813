import type { Instant } from './clock.ts';
import type { Reason } from './api/reasons.ts';

/** What memory knows about a thing. `Unknown` (not synced, right withdrawn) never ends and never denies anything. */
export type Known<T> =
  { readonly is: 'Seen'; readonly value: T } | { readonly is: 'Gone' } | { readonly is: 'Unknown' };

/** How urgent a piece of work is and whose means it spends. */
export interface Work {
  /** Smaller is more urgent; the program's lanes are named in `domain/lanes.ts`. */
  readonly lane: number;
  /** Order inside a lane: earlier first. */
  readonly by: Instant;
  /** Fair share inside a lane goes round-robin over groups (the namespace; of a client its pool). */
  readonly group: string;
  /** Inside a group likewise over its members (of a client of a namespace or identity: the namespace). */
  readonly member?: string;
  /** The budget that the work spends, such as `<issuer URL>/tokens` or `<issuer URL>/clients`; absent: the API server only. */
  readonly resource?: string;
  /** On whose behalf it spends that budget; a failure may be the trouble of this party alone, while others get through. */
  readonly party?: string;
}

/** What a machine wants to happen next. No `action`: nothing to do until something changes or `recheckAt`. */
export interface Decision<A, N extends string = string> {
  /** The name of the row that matched: tests, kill points and logs use it. */
  readonly row: N;
  readonly action?: A;
  readonly work?: Work;
  readonly recheckAt?: Instant;
  readonly reason: Reason;
}

/** One line of a decision table, whose names are `N`. It matches where `when` holds and `then` knows what to do. Both are pure. */
export interface Row<S, A, N extends string = string> {
  readonly name: N;
  /** Absent: where `then` knows what to do. */
  when?(s: S, now: Instant): boolean;
  then(s: S, now: Instant): Omit<Decision<A>, 'row'> | undefined;
}

/** The first row that matches decides. A table must end with a row that always matches; running off its end is a bug. */
export function firstRow<S, A, N extends string>(rows: readonly Row<S, A, N>[], s: S, now: Instant): Decision<A, N> {
  for (const row of rows) {
    const step = row.when?.(s, now) === false ? undefined : row.then(s, now);
    if (step !== undefined) return { row: row.name, ...step };
  }
  throw new Error('no row of the table matches');
}
