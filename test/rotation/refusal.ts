/** What a refused token request of the load means. */
import type { Instant } from '#src/clock.ts';

/** As much of a generation in the client's record as it takes. */
export interface Known {
  readonly n: number;
  readonly state: string;
  readonly since: Instant;
}

/**
 * `generation` was refused at `at`; `known` is what the record says a moment later, so that its reader has caught up. `Overtaken`: by then
 * another one was Current, and the refused one is on its way out or gone, as an emergency wants it. Anything else is a request that had no
 * token: that the record names another one a moment later is no excuse, because nobody could know of it yet.
 */
export function meaningOf(generation: number, at: Instant, known: readonly Known[]): 'Failed' | 'Overtaken' {
  const current = known.find(({ state }) => state === 'Current');
  const replaced = current !== undefined && current.n !== generation && current.since <= at;
  const state = known.find(({ n }) => n === generation)?.state;
  return replaced && (state === undefined || state === 'Retiring') ? 'Overtaken' : 'Failed';
}
