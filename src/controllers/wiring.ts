import { claimPrefix } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { clientsPer } from '../domain/pool-defaults.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { type SessionRecord, clientsOf } from '../domain/session/record.ts';
import { isUnreadable } from '../kube/records.ts';
import type { Store } from '../runtime/store.ts';
import { type ClientTargets, refOf } from './client/targets.ts';
import { DeferredWakes } from './deferred-wakes.ts';
import { type News, type Wake, machines } from './machine-names.ts';
import { type Memory, claimOf, indexes } from './memory.ts';
import { isNews, isStep } from './news.ts';
import { sessionKey, sessionKeyOf } from './session/key.ts';

/**
 * A change of X wakes Y. Each function here is one X; what it wakes looks at everything afresh, so waking too much costs microseconds and
 * waking too little is the only mistake. Identities come before what asks about all of them at once, which judges few of them itself and is told about the rest.
 */
export class Wiring {
  readonly #memory: Memory;
  readonly #targets: ClientTargets;
  readonly #operatorNamespace: string;
  readonly #wake: Wake;
  /** What has a second's time. */
  readonly deferred: DeferredWakes;

  /** The operator's namespace carries acknowledgements, which concern everything. */
  constructor(memory: Memory, targets: ClientTargets, operatorNamespace: string, wake: Wake) {
    this.#memory = memory;
    this.#operatorNamespace = operatorNamespace;
    this.#targets = targets;
    this.#wake = wake;
    this.deferred = new DeferredWakes(memory, targets, wake);
  }

  /** Connects the stores. Pod stores are connected one by one as they appear, by {@link Wiring.podsOf}. */
  connect(): void {
    const { pools, policies, identities, namespaces, nodes, configMaps, clients, sessions } = this.#memory;
    pools.onChange((name, next, previous) => {
      if (!isNews(next, previous)) return this.#wake(machines.pool, name);
      this.pool(name);
      for (const one of [next, previous]) if (one !== undefined) this.#rivals(one);
    });
    policies.onChange((name, next, previous) => {
      if (isNews(next, previous)) this.policy(name);
      else this.#wake(machines.policy, name);
    });
    identities.onChange((key, next, previous) => {
      if (isNews(next, previous)) this.identity(key, next, previous);
      else this.#wake(machines.identity, key);
    });
    namespaces.onChange((name, next, previous) => {
      if (name === this.#operatorNamespace) this.everything();
      else this.namespace(name);
      // Which of them a rule covers.
      if (JSON.stringify(next?.labels) !== JSON.stringify(previous?.labels))
        this.deferred.policies([...policies.entries()].map(([policy]) => policy));
    });
    nodes.onChange((_name, next, previous) => {
      if (next?.ready !== previous?.ready) this.sessions();
    });
    configMaps.onChange(() => this.everything());
    clients.onChange((name, next, previous) => {
      const pool = (next?.record ?? previous?.record ?? this.#targets.find(name))?.pool.name;
      this.client(name, pool, isStep(next?.record, previous?.record) ? 'Changed' : 'Check');
    });
    sessions.onChange((_name, next, previous) => {
      // Whose it is, only the pods know.
      if (isUnreadable(next) || isUnreadable(previous)) this.sessions();
      this.sessionRecord((next ?? previous)?.record);
      // A client that goes waits for the token that is in this record no longer.
      for (const record of [next?.record, previous?.record]) if (record !== undefined) this.#wakeClients(record);
    });
    for (const store of [pools, policies, identities, namespaces, clients, sessions])
      store.onSynced(() => this.everything());
  }

  podsOf(namespace: string, store: Store<PodFacts>): void {
    store.onChange((_key, next, previous) => this.pod(next ?? previous));
    store.onSynced(() => this.#sessionsIn(namespace));
  }

  pool(name: string): void {
    this.#wake(machines.pool, name);
    for (const [key] of this.#memory.identities.byIndex(indexes.pool, name)) this.identityAndSessions(key);
    for (const [, { record }] of this.#memory.sessions.byIndex(indexes.pool, name)) this.sessionRecord(record);
    for (const target of this.#targets.ofPool(name)) {
      this.#wake(machines.client, target);
      // The identity may name another pool by now, while a token of this one is still in use.
      for (const [, { record }] of this.#memory.sessions.byIndex(indexes.client, target))
        if (record?.pool.name !== name) this.sessionRecord(record);
    }
    for (const [policy] of this.#memory.policies.entries()) this.#wake(machines.policy, policy);
  }

  /** Somebody put another credential, or a management token, where it is looked for. */
  handedIn(what: { readonly pool: string } | { readonly client: string }): void {
    if ('pool' in what) this.pool(what.pool);
    else this.#wake(machines.client, what.client);
  }

  /** Other pools that name the same existing client: which of them may use it is decided anew. */
  #rivals({ spec }: IdentityPool): void {
    const clientId = spec.client?.existing?.clientId;
    if (clientId === undefined) return;
    for (const [other] of this.#memory.pools.byIndex(indexes.claim, claimOf(spec.provider.issuer, clientId)))
      this.pool(other);
  }

  policy(name: string): void {
    for (const [key] of this.#memory.identities.entries()) this.identityAndSessions(key);
    this.#heldSessions();
    this.#wake(machines.policy, name);
    this.clients();
  }

  identity(key: string, next: CiIdentity | undefined, previous: CiIdentity | undefined): void {
    this.identityAndSessions(key);
    for (const pool of new Set([next?.spec.pool, previous?.spec.pool])) {
      if (pool === undefined) continue;
      this.#poolOfMany(pool);
      for (const one of [next, previous]) {
        if (one === undefined) continue;
        for (const client of this.#targets.around(pool, refOf(one))) this.#servingClient(client);
      }
    }
  }

  /** An identity was judged and gets something else than before: whoever counts it, or its client, looks again. */
  access(identity: CiIdentity, policies: Iterable<string>): void {
    const { pool } = identity.spec;
    this.deferred.policies(policies);
    this.deferred.pool(pool);
    for (const client of this.#targets.around(pool, refOf(identity))) this.#servingClient(client);
  }

  namespace(name: string): void {
    for (const [key, identity] of this.#memory.identities.byIndex(indexes.namespace, name)) {
      this.identityAndSessions(key);
      // Its labels may decide what is granted, and so whether there is a client.
      for (const client of this.#targets.around(identity.spec.pool, refOf(identity))) this.#servingClient(client);
    }
    this.#sessionsIn(name);
  }

  #sessionsIn(namespace: string): void {
    for (const [, { record }] of this.#memory.sessions.byIndex(indexes.namespace, namespace))
      this.sessionRecord(record);
    for (const [, pod] of this.#memory.pods.get(namespace)?.entries() ?? []) this.pod(pod);
  }

  pod(pod: PodFacts | undefined): void {
    if (pod === undefined) return;
    for (const identity of Object.keys(pod.claims)) {
      this.#wake(machines.session, sessionKey({ namespace: pod.namespace, pod: pod.name, podUid: pod.uid, identity }));
      this.deferred.identity(`${pod.namespace}/${identity}`);
    }
  }

  /** A client that is replaced, taken out or asked to revoke waits for the end of tokens; one that just mints does not care. */
  #isOnItsWay(client: string): boolean {
    const record = this.#memory.clients.get(client)?.record;
    return record?.revoking !== undefined || (record?.generations.some(({ state }) => state !== 'Current') ?? true);
  }

  client(name: string, pool: string | undefined, why: News): void {
    this.#wake(machines.client, name, why);
    for (const [, { record }] of this.#memory.sessions.byIndex(indexes.client, name)) this.sessionRecord(record);
    if (pool === undefined) return;
    this.#poolOfMany(pool);
    for (const key of this.#targets.identitiesOf(name)) this.identityAndSessions(key);
  }

  /** A pool with a client per namespace or identity counts them, which has a second's time. */
  #poolOfMany(name: string): void {
    const pool = this.#memory.pools.get(name);
    const hasOne = pool === undefined || clientsPer(pool) === 'Pool';
    if (hasOne && this.#targets.ofPool(name).length <= 1) this.#wake(machines.pool, name);
    else this.deferred.pool(name);
  }

  /** A client that works for many looks at all of them, so an edit of one has a second's time. One that is still to be made does not wait. */
  #servingClient(name: string): void {
    const isThere = this.#memory.clients.get(name) !== undefined;
    if (isThere && this.#targets.find(name)?.identity === undefined) this.deferred.client(name);
    else this.#wake(machines.client, name);
  }

  /** A step of the client failed: its pool and identities say so. The client itself is not woken, or its failure would count as news. */
  clientFailed(name: string): void {
    const pool = this.#targets.find(name)?.pool.name;
    if (pool === undefined) return;
    this.#poolOfMany(pool);
    for (const key of this.#targets.identitiesOf(name)) this.#wake(machines.identity, key);
  }

  sessionRecord(record: SessionRecord | undefined): void {
    if (record === undefined) return;
    this.#wake(machines.session, sessionKeyOf(record));
  }

  #wakeClients(record: SessionRecord): void {
    for (const client of clientsOf(record)) if (this.#isOnItsWay(client)) this.#wake(machines.client, client);
  }

  /** Those whose identity is gone, which only a brake keeps. */
  #heldSessions(): void {
    for (const [, { record }] of this.#memory.sessions.entries())
      if (record !== undefined && this.#memory.identity(record.pod.namespace, record.identity.name).is !== 'Seen')
        this.sessionRecord(record);
  }

  /** Every session looks again. */
  sessions(): void {
    for (const store of this.#memory.pods.values()) for (const [, pod] of store.entries()) this.pod(pod);
    for (const [, { record }] of this.#memory.sessions.entries()) this.sessionRecord(record);
  }

  clients(): void {
    for (const name of this.#targets.all()) this.#wake(machines.client, name);
  }

  /** What every pool says of itself. */
  pools(): void {
    for (const [name] of this.#memory.pools.entries()) this.#wake(machines.pool, name);
  }

  /** Start, configuration, emergency stop, guard; and now and then, for what changes with time alone or was missed. Builds come first. */
  everything(): void {
    this.sessions();
    for (const [key] of this.#memory.identities.entries()) this.#wake(machines.identity, key);
    this.pools();
    for (const [name] of this.#memory.policies.entries()) this.#wake(machines.policy, name);
    this.clients();
  }

  /** An identity's own projection, and the sessions of pods that claim it. */
  identityAndSessions(key: string): void {
    this.#wake(machines.identity, key);
    const [namespace = '', name = ''] = key.split('/');
    for (const [, { record }] of this.#memory.sessions.byIndex(indexes.identity, key)) this.sessionRecord(record);
    for (const [, pod] of this.#memory.pods.get(namespace)?.byIndex(claimPrefix, name) ?? []) {
      this.#wake(machines.session, sessionKey({ namespace, pod: pod.name, podUid: pod.uid, identity: name }));
    }
  }
}

/** Pods by the identities that they claim; to be added to each pod store. */
export function indexPods(store: Store<PodFacts>): void {
  store.addIndex(claimPrefix, (pod) => Object.keys(pod.claims));
}
