import { labels } from '../api/names.ts';
import type { KubeObject } from '../api/meta.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../api/v1alpha1/scope-policy.ts';
import type { Known } from '../decision.ts';
import type { Stop } from '../domain/access/access.ts';
import type { AuthorizeInput } from '../domain/access/authorize.ts';
import { nearName } from '../domain/access/near-name.ts';
import { sourceFromWords, stopOf } from '../domain/access/stops.ts';
import { kinds } from '../kube/resources.ts';
import type { Cluster } from './cluster.ts';
import { required } from './cluster.ts';

/** The objects that decide what identities may have, as the caller may read them. */
export interface Objects {
  readonly pools: Known<readonly IdentityPool[]>;
  readonly policies: Known<readonly ScopePolicy[]>;
  readonly namespaces: ReadonlyMap<string, Known<NamespaceObject>>;
  /** Which right is missing, where one is. */
  readonly withheld: readonly string[];
}

export type NamespaceObject = Pick<KubeObject, 'metadata'>;

/** Reads pools, policies and these namespaces. */
export async function readObjects(cluster: Cluster, namespaces: readonly string[]): Promise<Objects> {
  const [pools, policies, ...places] = await Promise.all([
    cluster.pools(),
    cluster.policies(),
    ...namespaces.map((name) => cluster.get<NamespaceObject>(kinds.namespaces, { name })),
  ]);
  const withheld = [pools, policies, ...places].flatMap((read) => (read.is === 'Withheld' ? [read.message] : []));
  return {
    pools: pools.is === 'Read' ? { is: 'Seen', value: pools.value } : { is: 'Unknown' },
    policies: policies.is === 'Read' ? { is: 'Seen', value: policies.value } : { is: 'Unknown' },
    namespaces: new Map(
      namespaces.map((name, index): readonly [string, Known<NamespaceObject>] => {
        const read = places[index];
        if (read?.is !== 'Read') return [name, { is: 'Unknown' }];
        return [name, read.value === undefined ? { is: 'Gone' } : { is: 'Seen', value: read.value }];
      }),
    ),
    withheld: [...new Set(withheld)],
  };
}

/** What is asked of `authorize`, from these objects. */
export function inputOf(
  objects: Pick<Objects, 'pools' | 'policies' | 'namespaces'>,
  identity: CiIdentity,
): AuthorizeInput {
  const pool = poolOf(objects, identity);
  const namespace = objects.namespaces.get(identity.metadata.namespace ?? '') ?? { is: 'Unknown' };
  return {
    identity,
    pool,
    nearPool: nearPoolOf(objects, identity),
    policies: objects.policies,
    namespace:
      namespace.is === 'Seen'
        ? {
            is: 'Seen',
            value: { name: namespace.value.metadata.name, labels: namespace.value.metadata.labels ?? {} },
          }
        : namespace,
    issuerConfigured: pool.is !== 'Seen' || isIssuerConfigured(pool.value),
  };
}

function nearPoolOf({ pools }: Pick<Objects, 'pools'>, { spec }: CiIdentity): string | undefined {
  if (pools.is !== 'Seen') return undefined;
  return nearName(
    spec.pool,
    pools.value.map(({ metadata }) => metadata.name),
  );
}

function poolOf({ pools }: Pick<Objects, 'pools'>, identity: CiIdentity): Known<IdentityPool> {
  if (pools.is !== 'Seen') return { is: 'Unknown' };
  const found = pools.value.find(({ metadata }) => metadata.name === identity.spec.pool);
  return found === undefined ? { is: 'Gone' } : { is: 'Seen', value: found };
}

/** The operator's configuration is not the caller's to read; the status of the pool says what it found there. */
function isIssuerConfigured({ status, metadata }: IdentityPool): boolean {
  return !(status?.conditions ?? []).some(
    ({ reason, observedGeneration }) => reason === 'IssuerNotConfigured' && observedGeneration === metadata.generation,
  );
}

/**
 * What stops the identity. The ConfigMap in the operator's namespace is not the caller's to read: the status of the identity tells of it.
 */
export function stopFor(
  identity: CiIdentity,
  pool: Known<IdentityPool>,
  namespace: Known<NamespaceObject>,
): Stop | undefined {
  const seen = stopOf({
    identity,
    ...(pool.is === 'Seen' ? { pool: pool.value } : {}),
    ...(namespace.is === 'Seen' ? { namespace: namespace.value.metadata } : {}),
  });
  const told = (identity.status?.stoppedBy ?? []).flatMap((words) => {
    const source = sourceFromWords(words);
    return source?.kind === 'ConfigMap' ? [source] : [];
  });
  const sources = [...told, ...(seen?.sources ?? [])];
  return sources.length === 0 ? undefined : { sources };
}

export function isOptedIn(namespace: Known<NamespaceObject>): boolean | undefined {
  if (namespace.is !== 'Seen') return namespace.is === 'Gone' ? false : undefined;
  return namespace.value.metadata.labels?.[labels.inject] === 'enabled';
}

/** All identities of a namespace, or of the whole cluster. */
export async function identitiesOf(cluster: Cluster, namespace: string | undefined): Promise<readonly CiIdentity[]> {
  return required(await cluster.identities(namespace));
}
