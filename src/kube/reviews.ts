import { useRight } from '../api/names.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection } from './connection.ts';
import { create, kinds } from './resources.ts';

/**
 * Whether `user` holds the verb `use` on that CiIdentity now, as the API server's authorizers see it (SubjectAccessReview). For service
 * accounts the groups that authentication adds are asked along; of other users only `system:authenticated` is known. OperatorError Transient
 * where an authorizer, such as a webhook that is away, could not say: no new token without an answer, so a right that goes meanwhile is worth
 * no more than the token that it gave.
 */
export async function mayUse(
  connection: ApiConnection,
  o: { readonly user: string; readonly namespace: string; readonly identity: string },
  signal: AbortSignal,
): Promise<boolean> {
  const body = reviewOf(o.user, { ...useRight, namespace: o.namespace, name: o.identity });
  const answer = await create<Review>(connection, kinds.subjectAccessReviews, {}, body, { signal });
  const held = isHeld(answer);
  if (held === undefined)
    throw new OperatorError({
      class: 'Transient',
      reason: 'ApiServerUnavailable',
      message: `API server: an authorizer cannot say whether ${o.user} may use CiIdentity ${o.namespace}/${o.identity}; check the API server's authorization webhooks; it is asked again`,
    });
  return held;
}

/** A SubjectAccessReview that was answered. */
export interface Review {
  readonly status?: { readonly allowed?: boolean; readonly evaluationError?: string };
}

/** What an answered SubjectAccessReview says of the right; `undefined` where an authorizer could not say. */
export function isHeld({ status: { allowed, evaluationError = '' } = {} }: Review): boolean | undefined {
  if (allowed === true) return true;
  // RBAC sets no error for a binding whose role is missing: there the right is gone.
  return evaluationError === '' ? false : undefined;
}

/** The SubjectAccessReview that asks whether `user` has a right, with the groups that {@link groupsOf} knows of. */
export function reviewOf(user: string, resourceAttributes: Readonly<Record<string, string>>): unknown {
  return {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user, groups: groupsOf(user), resourceAttributes },
  };
}

/** What authentication adds to a user that is known by name only: groups of https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens. */
function groupsOf(user: string): readonly string[] {
  const namespace = /^system:serviceaccount:([^:]+):[^:]+$/.exec(user)?.[1];
  const everybody = 'system:authenticated';
  return namespace === undefined
    ? [everybody]
    : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, everybody];
}
