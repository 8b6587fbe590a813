/** One client has one user: two that rotate or share a credential would take it from each other. */
import type { Instant } from '../../clock.ts';

/** A pool that names an existing client, or whose own client it is. */
export interface Claim {
  readonly pool: { readonly name: string; readonly uid: string };
  readonly created: Instant;
  /** It mints with that client already, whoever was created first. */
  readonly inUse: boolean;
}

/** The one pool that may use the client: who does already, otherwise who was there first. */
export function holderOf(claims: readonly Claim[]): Claim | undefined {
  return claims.toSorted(
    (a, b) => Number(b.inUse) - Number(a.inUse) || a.created - b.created || (a.pool.uid < b.pool.uid ? -1 : 1),
  )[0];
}
