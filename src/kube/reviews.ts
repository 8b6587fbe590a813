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
  const answer = await create<{ readonly status?: ReviewStatus }>(connection, kinds.subjectAccessReviews, {}, body, {
    signal,
  });
  const { allowed, evaluationError = '' } = answer.status ?? {};
  // RBAC sets no error for a binding whose role is missing: there the right is gone.
  if (allowed !== true && evaluationError !== '')
    throw new OperatorError({
      class: 'Transient',
      reason: 'ApiServerUnavailable',
      message: `API server: an authorizer cannot say whether ${o.user} may use CiIdentity ${o.namespace}/${o.identity}; check the API server's authorization webhooks; it is asked again`,
    });
  return allowed === true;
}

interface ReviewStatus {
  readonly allowed?: boolean;
  readonly evaluationError?: string;
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
