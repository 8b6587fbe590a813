import { emergencyStopConfigMap, labels } from '../api/names.ts';
import type { CiIdentity, CiIdentitySpec, CiIdentityStatus } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool, IdentityPoolSpec, IdentityPoolStatus } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy, ScopePolicySpec, ScopePolicyStatus } from '../api/v1alpha1/scope-policy.ts';
import type { Known } from '../decision.ts';
import type { LimitsRecord } from '../domain/access/limits.ts';
import { holdsCredential, objectionTo } from '../domain/client/generations.ts';
import type { ClientRecord } from '../domain/client/record.ts';
import { isUnmanaged } from '../domain/client/management.ts';
import { sessionRecordName } from '../domain/record-names.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { type SessionRecord, clientsOf, objectionTo as sessionObjectionTo } from '../domain/session/record.ts';
import type { RevocationOutcome } from '../domain/token.ts';
import type { KindLife } from '../kube/definitions.ts';
import { RecordMemory } from '../kube/record-memory.ts';
import type { StoredRecord } from '../kube/records.ts';
import type { ConfigMapFacts, NamespaceFacts, NodeFacts, Resource } from '../kube/trim.ts';
import { type Kept, type ListenerErrorHandler, Store, raise } from '../runtime/store.ts';

/** Indexes of the stores; a name for each, so that a misspelt one does not compile. */
export const indexes = {
  /** Identities by the pool they name; client and session records by the name of their pool. */
  pool: 'pool',
  /** Session records by `<pod uid>.<identity>`. */
  session: 'session',
  /** Session records by the client record that minted. */
  client: 'client',
  /** Identities, session records and pods by namespace. */
  namespace: 'namespace',
  /** Session records by the SHA-256 of each token they hold. */
  token: 'token',
  /** Session records by `<namespace>/<identity>`. */
  identity: 'identity',
  /** Pools that name an existing client: `yes`. */
  existing: 'existing',
  /** Pools by the existing client that they name, as `<issuer> <client id>`. */
  claim: 'claim',
  /** Client records by each client that they use, likewise. */
  clientId: 'clientId',
  /** Client records without a management token, lost or never given, for which a person may hand one in: `yes`. */
  unmanaged: 'unmanaged',
} as const;

/** Agent pods of this namespace are served. */
export function isServed({ terminating, labels: given }: NamespaceFacts): boolean {
  return !terminating && given[labels.inject] === 'enabled';
}

/**
 * Everything that is known of the cluster: a cache of the API server, read synchronously. Pods have a store per opted-in namespace, because
 * each is a watch of its own that can fail on its own.
 */
export class Memory {
  readonly #reported: ListenerErrorHandler = (error, store) => this.#onListenerError(error, store);
  /** By session: what providers answered to revocations and no record says yet. */
  readonly answered = new Map<string, ReadonlyMap<string, RevocationOutcome>>();
  readonly pools = this.newStore<Resource<IdentityPoolSpec, IdentityPoolStatus>>('identitypools');
  readonly policies = this.newStore<Resource<ScopePolicySpec, ScopePolicyStatus>>('scopepolicies');
  readonly identities = this.newStore<Resource<CiIdentitySpec, CiIdentityStatus>>('ciidentities');
  readonly namespaces = this.newStore<NamespaceFacts>('namespaces');
  readonly nodes = this.newStore<NodeFacts>('nodes');
  readonly configMaps = this.newStore<ConfigMapFacts>('configmaps');
  readonly clients = new RecordMemory<ClientRecord>(
    'client-records',
    {
      worthKeeping: (record) => this.#leads() && holdsCredential(record),
      objection: (record, known) => objectionTo(record, this.#leads() ? known : undefined, this.installation),
    },
    this.#reported,
  );
  readonly sessions = new RecordMemory<SessionRecord>(
    'session-records',
    {
      worthKeeping: () => this.#leads(),
      objection: (record, known) => (this.#leads() ? sessionObjectionTo(record, known) : undefined),
    },
    this.#reported,
  );
  readonly limits = this.newStore<StoredRecord<LimitsRecord>>('limits-records');
  readonly pods = new Map<string, Store<PodFacts>>();

  /** Whose clients these are at the providers; absent until it is known, which is before anything is read. */
  installation: string | undefined;

  /** The kind of the pools is gone, being deleted or just made anew, as of the last pool that went or began to. */
  poolKindGoes = false;

  /** The kind of the identities, as of the last identity that went. */
  identityKind: KindLife | undefined;

  /** SHA-256 of tokens on their way into a record. */
  readonly #reserved = new Set<string>();
  readonly #namespace: string;
  readonly #leads: () => boolean;
  readonly #onListenerError: ListenerErrorHandler;

  /**
   * `leads`: this process alone writes and removes records; of what another one does a standby cannot tell who did it. `onListenerError`: as
   * that of {@link Store}, for every store.
   */
  constructor(operatorNamespace: string, leads: () => boolean = () => true, onListenerError = raise) {
    this.#onListenerError = onListenerError;
    this.#namespace = operatorNamespace;
    this.#leads = leads;
    this.pools.addIndex(indexes.existing, ({ spec }) => (spec.client?.existing === undefined ? [] : ['yes']));
    this.pools.addIndex(indexes.claim, ({ spec }) =>
      spec.client?.existing === undefined ? [] : [claimOf(spec.provider.issuer, spec.client.existing.clientId)],
    );
    this.clients.addIndex(indexes.pool, ({ record }) => (record === undefined ? [] : [record.pool.name]));
    this.clients.addIndex(indexes.clientId, ({ record }) => (record === undefined ? [] : usedBy(record)));
    this.clients.addIndex(indexes.unmanaged, ({ record }) =>
      record !== undefined && isUnmanaged(record) ? ['yes'] : [],
    );
    this.identities.addIndex(indexes.pool, ({ spec }) => [spec.pool]);
    this.identities.addIndex(indexes.namespace, ({ metadata }) => [metadata.namespace ?? '']);
    this.sessions.addIndex(indexes.session, ({ record }) =>
      record === undefined ? [] : [`${record.pod.uid}.${record.identity.name}`],
    );
    this.sessions.addIndex(indexes.token, ({ record }) => (record?.tokens ?? []).map(({ sha256 }) => sha256));
    this.sessions.addIndex(indexes.client, ({ record }) => (record === undefined ? [] : clientsOf(record)));
    this.sessions.addIndex(indexes.pool, ({ record }) => (record === undefined ? [] : [record.pool.name]));
    this.sessions.addIndex(indexes.namespace, ({ record }) => (record === undefined ? [] : [record.pod.namespace]));
    this.sessions.addIndex(indexes.identity, ({ record }) =>
      record === undefined ? [] : [`${record.pod.namespace}/${record.identity.name}`],
    );
  }

  /** A further store of what is known. */
  newStore<T extends Kept>(name: string): Store<T> {
    return new Store<T>(name, this.#reported);
  }

  pool(name: string): Known<IdentityPool> {
    return objectIn(this.pools, name);
  }

  /** The pool goes or is gone, and its whole kind with it: nobody decided about it. */
  poolVanishes(name: string): boolean {
    const pool = this.pool(name);
    const isLeaving = pool.is === 'Seen' && pool.value.metadata.deletionTimestamp !== undefined;
    return this.poolKindGoes && (isLeaving || pool.is === 'Gone');
  }

  identity(namespace: string, name: string): Known<CiIdentity> {
    return objectIn(this.identities, `${namespace}/${name}`);
  }

  allPolicies(): Known<readonly ScopePolicy[]> {
    if (!this.policies.synced) return { is: 'Unknown' };
    return { is: 'Seen', value: [...this.policies.entries()].map(([, policy]) => policy) };
  }

  namespace(name: string): Known<NamespaceFacts> {
    const facts = this.namespaces.get(name);
    if (facts !== undefined) return { is: 'Seen', value: facts };
    return { is: this.namespaces.synced ? 'Gone' : 'Unknown' };
  }

  /** Whether agent pods of this namespace are served. */
  namespaceState(name: string): Known<'Active' | 'Leaving'> {
    const known = this.namespace(name);
    if (known.is !== 'Seen') return known;
    return { is: 'Seen', value: isServed(known.value) ? 'Active' : 'Leaving' };
  }

  /** What is not known, or leaves, lacks nothing. */
  lacksLabel(namespace: string): boolean {
    const known = this.namespace(namespace);
    return known.is === 'Seen' && !known.value.terminating && !isServed(known.value);
  }

  /**
   * Only while its namespace can be read: otherwise nobody would see it end, and its token would be renewed all the same. A passing outage
   * changes nothing.
   */
  pod(namespace: string, name: string, uid: string): Known<PodFacts> {
    const store = this.pods.get(namespace);
    if (store?.synced !== true) return { is: 'Unknown' };
    const pod = store.get(`${namespace}/${name}`);
    return pod?.uid === uid ? { is: 'Seen', value: pod } : { is: 'Gone' };
  }

  /** The ConfigMap that stops everything, if it is there. */
  emergencyStop(): { readonly namespace: string; readonly data: Readonly<Record<string, string>> } | undefined {
    const found = this.configMaps.get(emergencyStopConfigMap);
    return found && this.stopIn(found);
  }

  stopIn({ data }: ConfigMapFacts): NonNullable<ReturnType<Memory['emergencyStop']>> {
    return { namespace: this.#namespace, data };
  }

  /** Whether some session holds this token: a provider may hand out the same one again. */
  holdsToken(sha256: string): boolean {
    return this.sessions.byIndex(indexes.token, sha256).length > 0;
  }

  /** Some session holds this token, or is about to. */
  isInUse(sha256: string): boolean {
    return this.#reserved.has(sha256) || this.holdsToken(sha256);
  }

  /** `false`: it is in use. Otherwise it is the caller's, until {@link Memory.release}. */
  reserve(sha256: string): boolean {
    if (this.isInUse(sha256)) return false;
    this.#reserved.add(sha256);
    return true;
  }

  /** What was reserved is in a record by now, or goes into none. */
  release(sha256: string): void {
    this.#reserved.delete(sha256);
  }

  /** `claimed`: the uid in the pod's claim. A record of a newer version says nothing that can be read, and is found by its name. */
  sessionRecord(podUid: string, identity: string, claimed?: string): StoredRecord<SessionRecord> | undefined {
    const [found] = this.sessions.byIndex(indexes.session, `${podUid}.${identity}`);
    if (found !== undefined || claimed === undefined) return found?.[1];
    return this.sessions.get(sessionRecordName(podUid, claimed));
  }

  /** Of all records: a Lease that was deleted by hand starts counting anew, but the records do not. */
  highestEpoch(): number {
    const stored = [this.clients, this.sessions, this.limits].flatMap((store) => [...store.entries()]);
    return stored.reduce((highest, [, { record }]) => Math.max(highest, record?.epoch ?? 0), 0);
  }

  nodeLost(name: string | undefined, notReadyFor: (since: number) => boolean): boolean {
    const node = name === undefined ? undefined : this.nodes.get(name);
    return node !== undefined && !node.ready && node.notReadySince !== undefined && notReadyFor(node.notReadySince);
  }
}

/** One client of one issuer. */
export function claimOf(issuer: string, clientId: string): string {
  return `${issuer} ${clientId}`;
}

function usedBy({ issuer, generations }: ClientRecord): readonly string[] {
  const ids = generations.flatMap(({ clientId }) => (clientId === undefined ? [] : [claimOf(issuer, clientId)]));
  return [...new Set(ids)];
}

function objectIn<T extends Kept>(store: Store<T>, key: string): Known<T> {
  const object = store.get(key);
  if (object !== undefined) return { is: 'Seen', value: object };
  return { is: store.synced ? 'Gone' : 'Unknown' };
}
