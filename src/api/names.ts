/** Every name that users, manifests or other programs rely on. */

export const group = 'ci-identity.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}`;

/** The right on a CiIdentity that the creator of a pod needs and its service account must not have, as RBAC names it. */
export const useRight = { group, resource: 'ciidentities', verb: 'use' } as const;

export const operatorNamespace = 'ci-identity-system';
export const operatorServiceAccount = 'controller';
export const leaseName = 'ci-identity-controller';
export const fieldManager = 'ci-identity';
export const emergencyStopConfigMap = 'emergency-stop';

export const labels = {
  /** On a Namespace: `enabled` opts its agent pods in. */
  inject: `${group}/inject`,
  /** On a pod: `true` beside every claim, from its creation to its end. use and claims.ci-identity.dev look at no other pod; without it a claim counts for nothing. */
  injected: `${group}/injected`,
  /** On a record Secret: `client`, `session` or `limits`. */
  kind: `${group}/kind`,
} as const;

export const annotations = {
  requester: `${group}/requester`,
  defaultIdentity: `${group}/default`,
  identities: `${group}/identities`,
  emergencyStop: `${group}/emergency-stop`,
  rotate: `${group}/rotate`,
  revoke: `${group}/revoke`,
  /** Its value means nothing: a change of it makes the operator try at once what it would try again within minutes. */
  retry: `${group}/retry`,
  /** On the Secret of an existing client: when its credential expires, RFC 3339. */
  expires: `${group}/expires`,
  acknowledge: `${group}/acknowledge`,
  /** On a pod: the W3C trace context that it claims to belong to. */
  traceparent: `${group}/traceparent`,
} as const;

/** Claim annotations are `identity.ci-identity.dev/<identity>: <uid of the CiIdentity>`. */
export const claimPrefix = `identity.${group}/`;

export const poolFinalizer = `${group}/clients`;

export const secretTypes = {
  token: `${group}/token`,
  clientRecord: `${group}/client-record`,
  sessionRecord: `${group}/session-record`,
  limitsRecord: `${group}/limits-record`,
} as const;

/** Where a person puts a new registration access token, under the name of the client record. */
export const managementTokensSecret = 'management-tokens';

/** The one key of a record Secret. */
export const recordKey = 'record.json';

export const agentLabel = 'jenkins/label';

/** Where a pod finds the files of one identity. */
export function mountPath(identity: string): string {
  return `/var/run/secrets/ci-identity/${identity}`;
}

export function volumeName(identity: string): string {
  return `ci-identity-${identity}`;
}

/** The first dot ends the identity, whose name has none. */
export function deliverySecretName(identity: string, pod: string): string {
  return `ci-identity-${identity}.${pod}`;
}

/** `<podUID>.<identity>`: the one id of a session that everybody sees. */
export function sessionId(podUid: string, identity: string): string {
  return `${podUid}.${identity}`;
}
