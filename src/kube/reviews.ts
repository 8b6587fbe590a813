import { group } from '../api/names.ts';
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
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: o.user,
      groups: groupsOf(o.user),
      resourceAttributes: { group, resource: 'ciidentities', verb: 'use', namespace: o.namespace, name: o.identity },
    },
  };
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

/** What authentication adds to a user that is known by name only: groups of https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens. */
export function groupsOf(user: string): readonly string[] {
  const namespace = /^system:serviceaccount:([^:]+):[^:]+$/.exec(user)?.[1];
  const everybody = 'system:authenticated';
  return namespace === undefined
    ? [everybody]
    : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, everybody];
}
