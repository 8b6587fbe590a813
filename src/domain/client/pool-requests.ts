/** The requests to rotate and to revoke that stand on a pool: in its spec, and in its annotations. */
import { annotations } from '../../api/names.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import { type ClientRequest, idOfText, isHandled } from './requests.ts';

/** Ids in the spec, then those of annotations. An empty one asks for nothing. */
export function requestIdsOf({
  metadata,
  spec,
}: IdentityPool): Readonly<Record<'rotate' | 'revoke', readonly string[]>> {
  const { rotate, revoke } = annotations;
  const given = (...ids: readonly (string | undefined)[]): readonly string[] =>
    ids.flatMap((id) => (id === undefined || id === '' ? [] : [idOfText(id)]));
  return {
    rotate: given(spec.rotation?.request, metadata.annotations?.[rotate]),
    revoke: given(spec.revokeRequest, metadata.annotations?.[revoke]),
  };
}

/** Every request that stands there, done or not. */
export function standingRequests(pool: IdentityPool): readonly ClientRequest[] {
  const { rotate, revoke } = requestIdsOf(pool);
  return [...new Set([...rotate, ...revoke])].map((id) => {
    if (!revoke.includes(id)) return { kind: 'Rotate', id };
    return { kind: rotate.includes(id) ? 'Emergency' : 'Revoke', id };
  });
}

/**
 * What is to be carried out next. `handled`: the request ids that the client's record says are done.
 * Field and annotation are OR-ed: whichever is not done yet counts, so a request that stays in Git hides no later annotation. What both
 * kinds ask for comes first; where it could only revoke so far, it hides no other request to revoke.
 */
export function nextRequests(
  pool: IdentityPool,
  handled: readonly string[],
): { readonly rotate?: string; readonly revoke?: string } {
  const ids = requestIdsOf(pool);
  const both = ids.rotate.find((id) => ids.revoke.includes(id) && !handled.includes(id));
  const open = (kind: 'Rotate' | 'Revoke', of: readonly string[]): string | undefined =>
    of.find((id) => !isHandled(handled, { kind, id }));
  const hasRevoked = both !== undefined && isHandled(handled, { kind: 'Revoke', id: both });
  const rotate = both ?? open('Rotate', ids.rotate) ?? ids.rotate[0];
  const revoke = (hasRevoked ? undefined : both) ?? open('Revoke', ids.revoke) ?? both ?? ids.revoke[0];
  return { ...(rotate === undefined ? {} : { rotate }), ...(revoke === undefined ? {} : { revoke }) };
}
