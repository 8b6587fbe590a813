/** Order of work, most urgent first. A lane is an output of `decide`. `CleanUp`: old credentials that nobody uses any more. */
export const lanes = { Stop: 0, Expiring: 1, NewPod: 2, Renew: 3, Routine: 4, CleanUp: 5 } as const;

export type Lane = (typeof lanes)[keyof typeof lanes];

/**
 * How many works of a lane that call no provider, so writes of statuses above all, are under way at once. Status may come in thousands, nobody
 * waits for it, and each write that is under way makes the API server slower for those that a build waits for.
 */
export function maxConcurrent(lane: number): number {
  return lane < lanes.Routine ? Number.POSITIVE_INFINITY : 8;
}

/**
 * A lane starts at most this many works before a less urgent lane gets one: a tenant who edits identities without end must not keep the builds
 * and statuses of others waiting. Routine may start more, so that in a mass rotation few starts go to taking out old credentials (CleanUp) while
 * other clients still wait for their new one.
 */
export function maxConsecutiveStarts(lane: number): number {
  return lane === lanes.Routine ? 19 : 4;
}

/** The share of an issuer's budget that is kept from this lane for those before it, so that builds do not wait behind what nobody waits for. */
export function reservedShare(lane: number): number {
  if (lane === lanes.Stop) return 0;
  return lane < lanes.Routine ? 0.2 : 0.4;
}
