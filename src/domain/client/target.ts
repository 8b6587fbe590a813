import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import { annotations } from '../../api/names.ts';
import { sha256 } from '../../digest.ts';
import {
  authenticationOf,
  clientsPer,
  deletionPolicyOf,
  maxTokenLifetime,
  rotateEvery,
  rotationOverlap,
} from '../pool-defaults.ts';
import { clientRecordName } from '../record-names.ts';
import type { Desired } from './machine.ts';
import { standingRequests, nextRequests } from './pool-requests.ts';
import { idOfText } from './requests.ts';

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
  const per = clientsPer(pool);
  if (per === 'Pool') return { recordName: clientRecordName(owner.uid, '', ''), pool: owner };
  if (identity === undefined) return undefined;
  const { namespace, name, uid } = identity;
  return per === 'Namespace'
    ? { recordName: clientRecordName(owner.uid, namespace, ''), pool: owner, namespace }
    : { recordName: clientRecordName(owner.uid, namespace, uid), pool: owner, namespace, identity: { name, uid } };
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
  const { rotate, revoke } = nextRequests(pool, handled);
  return {
    issuer: spec.provider.issuer,
    ...target,
    owner: target.identity?.uid ?? target.pool.uid,
    installation,
    clientId,
    name: `ci-identity ${pool.metadata.name}${place === '' ? '' : ` ${place}`}`,
    ...(spec.client?.existing === undefined ? {} : { existing: { clientId: spec.client.existing.clientId } }),
    authentication: authenticationOf(pool),
    scopes: [...spec.ceiling.scopes].toSorted(),
    audiences: [...spec.ceiling.audiences].toSorted(),
    carriers: carriersOf(pool),
    maxTokenLifetime: maxTokenLifetime(pool),
    rotateEvery: rotateEvery(pool),
    overlap: rotationOverlap(pool),
    allowSubjectChange: spec.rotation?.allowSubjectChange ?? false,
    deletionPolicy: deletionPolicyOf(pool),
    asked: standingRequests(pool),
    ...(rotate === undefined ? {} : { rotateRequest: rotate }),
    ...(revoke === undefined ? {} : { revokeRequest: revoke }),
  };
}

/** The id of the other try that somebody asks for. */
export function retryRequestOf({ metadata }: IdentityPool): string | undefined {
  const retry = metadata.annotations?.[annotations.retry] ?? '';
  return retry === '' ? undefined : idOfText(retry);
}

function carriersOf({ spec }: IdentityPool): readonly string[] {
  const carriers = new Map(Object.entries(spec.provider.audience?.scopes ?? {}));
  return [...new Set(spec.ceiling.audiences.flatMap((audience) => carriers.get(audience) ?? []))].toSorted();
}
