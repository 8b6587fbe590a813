/** Order of work, most urgent first. A lane is an output of `decide`. `CleanUp`: old credentials that nobody uses any more. */
export const lanes = { Stop: 0, Expiring: 1, NewPod: 2, Renew: 3, Routine: 4, CleanUp: 5 } as const;

export type Lane = (typeof lanes)[keyof typeof lanes];

/**
 * How many writes of a lane are under way at once, besides those that belong to a call of a provider. Status may come in thousands, nobody
 * waits for it, and each write that is under way makes the API server slower for those that a build waits for.
 */
export function atOnce(lane: number): number {
  return lane < lanes.Routine ? Number.POSITIVE_INFINITY : 8;
}

/**
 * So many starts in a row a lane has before less urgent work has its turn. A tenant can make work for a lane without end, such as by editing its own
 * identities again and again, and others' builds and status must not wait for that. A mass rotation, of which each takes out its old credential
 * in the end, gives little to that while others have no new one yet.
 */
export function mostInARow(lane: number): number {
  return lane === lanes.Routine ? 19 : 4;
}

/** The share of an issuer's budget that this lane leaves to those before it, so that builds do not wait behind what nobody waits for. */
export function leaves(lane: number): number {
  if (lane === lanes.Stop) return 0;
  return lane < lanes.Routine ? 0.2 : 0.4;
}
