import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import { annotations } from '../../api/names.ts';
import { day, hour, minute, parseDuration } from '../../clock.ts';
import { sha256 } from '../../digest.ts';
import type { Desired } from './machine.ts';
import { type ClientRequest, idOfText, isHandled } from './requests.ts';

/** Which OAuth client: the pool's one, or the one of a namespace or identity (`client.per`). */
export interface ClientTarget {
  /** Name of the client record; it depends on nothing that can be edited but `client.per`. */
  readonly recordName: string;
  readonly pool: { readonly name: string; readonly uid: string };
  readonly namespace?: string;
  readonly identity?: { readonly name: string; readonly uid: string };
}

export interface IdentityRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The client that mints for `identity` in this pool. Without an identity: the pool's own client, if it has one. */
export function targetOf(pool: IdentityPool, identity: IdentityRef | undefined): ClientTarget | undefined {
  const owner = { name: pool.metadata.name, uid: pool.metadata.uid ?? '' };
  const per = pool.spec.client?.per ?? 'Pool';
  if (per === 'Pool') return { recordName: clientRecordName(owner.uid, '', ''), pool: owner };
  if (identity === undefined) return undefined;
  const { namespace, name, uid } = identity;
  return per === 'Namespace'
    ? { recordName: clientRecordName(owner.uid, namespace, ''), pool: owner, namespace }
    : { recordName: clientRecordName(owner.uid, namespace, uid), pool: owner, namespace, identity: { name, uid } };
}

export function clientRecordName(poolUid: string, namespace: string, identityUid: string): string {
  return `client-${sha256(poolUid, namespace, identityUid).slice(0, 32)}`;
}

export function sessionRecordName(podUid: string, identityUid: string): string {
  return `session-${sha256(podUid, identityUid).slice(0, 32)}`;
}

/** `<uid of kube-system>/<operator namespace>`: which installation owns a client at a provider that several clusters share. */
export function installationId(kubeSystemUid: string, operatorNamespace: string): string {
  return `${kubeSystemUid}/${operatorNamespace}`;
}

/** What the pool asks for, with every default filled in. `handled`: the request ids that the client's record says are done. */
export function desiredOf(
  pool: IdentityPool,
  target: ClientTarget,
  installation: string,
  handled: readonly string[] = [],
): Desired {
  const { spec } = pool;
  const ownerSuffix = target.identity?.uid ?? target.namespace;
  const clientId = [
    'ci',
    sha256(installation).slice(0, 8),
    pool.metadata.name,
    ...(ownerSuffix === undefined ? [] : [sha256(ownerSuffix).slice(0, 16)]),
  ].join('-');
  const place = [target.namespace, target.identity?.name].filter((part) => part !== undefined).join('/');
  const { rotate, revoke } = requestsOf(pool, handled);
  return {
    issuer: spec.provider.issuer,
    ...target,
    owner: target.identity?.uid ?? target.pool.uid,
    installation,
    clientId,
    name: `ci-identity ${pool.metadata.name}${place === '' ? '' : ` ${place}`}`,
    ...(spec.client?.existing === undefined ? {} : { existing: { clientId: spec.client.existing.clientId } }),
    authentication: spec.client?.authentication ?? 'PrivateKeyJwt',
    scopes: [...spec.ceiling.scopes].toSorted(),
    audiences: [...spec.ceiling.audiences].toSorted(),
    carriers: carriersOf(pool),
    maxTokenLifetime: maxTokenLifetime(pool),
    rotateEvery: rotateEvery(pool),
    overlap: parseDuration(spec.rotation?.overlap ?? '') ?? hour,
    allowSubjectChange: spec.rotation?.allowSubjectChange ?? false,
    deletionPolicy: spec.deletionPolicy ?? 'Delete',
    asked: askedOf(pool),
    ...(rotate === undefined ? {} : { rotateRequest: rotate }),
    ...(revoke === undefined ? {} : { revokeRequest: revoke }),
    ...retryOf(pool),
  };
}

function retryOf({ metadata }: IdentityPool): Pick<Desired, 'retryRequest'> {
  const retry = metadata.annotations?.[annotations.retry] ?? '';
  return retry === '' ? {} : { retryRequest: idOfText(retry) };
}

function carriersOf({ spec }: IdentityPool): readonly string[] {
  const carriers = new Map(Object.entries(spec.provider.audience?.scopes ?? {}));
  return [...new Set(spec.ceiling.audiences.flatMap((audience) => carriers.get(audience) ?? []))].toSorted();
}

/** Ids on the objects. An empty one asks for nothing. */
function idsOf({ metadata, spec }: IdentityPool): Readonly<Record<'rotate' | 'revoke', readonly string[]>> {
  const { rotate, revoke } = annotations;
  const given = (...ids: readonly (string | undefined)[]): readonly string[] =>
    ids.flatMap((id) => (id === undefined || id === '' ? [] : [idOfText(id)]));
  return {
    rotate: given(spec.rotation?.request, metadata.annotations?.[rotate]),
    revoke: given(spec.revokeRequest, metadata.annotations?.[revoke]),
  };
}

function askedOf(pool: IdentityPool): readonly ClientRequest[] {
  const { rotate, revoke } = idsOf(pool);
  return [...new Set([...rotate, ...revoke])].map((id) => {
    if (!revoke.includes(id)) return { kind: 'Rotate', id };
    return { kind: rotate.includes(id) ? 'Emergency' : 'Revoke', id };
  });
}

/**
 * Field and annotation are OR-ed: whichever is not done yet counts, so a request that stays in Git hides no later annotation. What both
 * kinds ask for comes first; where it could only revoke so far, it hides no other request to revoke.
 */
function requestsOf(
  pool: IdentityPool,
  handled: readonly string[],
): { readonly rotate?: string; readonly revoke?: string } {
  const ids = idsOf(pool);
  const both = ids.rotate.find((id) => ids.revoke.includes(id) && !handled.includes(id));
  const open = (kind: 'Rotate' | 'Revoke', of: readonly string[]): string | undefined =>
    of.find((id) => !isHandled(handled, { kind, id }));
  const hasRevoked = both !== undefined && isHandled(handled, { kind: 'Revoke', id: both });
  const rotate = both ?? open('Rotate', ids.rotate) ?? ids.rotate[0];
  const revoke = (hasRevoked ? undefined : both) ?? open('Revoke', ids.revoke) ?? both ?? ids.revoke[0];
  return { ...(rotate === undefined ? {} : { rotate }), ...(revoke === undefined ? {} : { revoke }) };
}

export function rotateEvery(pool: IdentityPool): number {
  return parseDuration(pool.spec.rotation?.every ?? '') ?? 90 * day;
}

export function maxTokenLifetime(pool: IdentityPool): number {
  return parseDuration(pool.spec.ceiling.maxTokenLifetime ?? '') ?? 15 * minute;
}

export function maxSessionAge(pool: IdentityPool): number {
  return parseDuration(pool.spec.ceiling.maxSessionAge ?? '') ?? 24 * hour;
}
