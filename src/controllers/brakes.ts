import { type Clock, type Instant, type Milliseconds, minute, plus, second } from '../clock.ts';
import { type Brake, type BrakedThing, brakeOf } from '../domain/access/brake.ts';
import { isVanished, usableToken } from '../domain/session/facts.ts';
import type { ClientRecord } from '../domain/client/record.ts';
import type { SessionRecord } from '../domain/session/record.ts';
import { annotations } from '../api/names.ts';
import type { ClientTargets } from './client-targets.ts';
import type { Memory } from './memory.ts';
import type { Kept, Store } from '../runtime/store.ts';
import { identityFacts } from './session-snapshot.ts';

/** What ends within this time of each other ends at once: objects vanish one by one, even if somebody deleted their kind. */
const atOnce: Milliseconds = minute;
/** While something is on its way out it is counted again this often; in between only what vanishes makes a new count. */
const countEvery: Milliseconds = 1 * second;

/** Keys of what is there: on its way out, with the namespace that it belongs to, and not. What has ended is in neither. */
interface Sorted {
  readonly ending: Map<string, string>;
  readonly staying: Set<string>;
}

/** One thing that may be held back, and how many of it. */
interface Count {
  brake: Brake | undefined;
  at: Instant | undefined;
  /** By key: whose it is, and when it was first seen on its way out. */
  readonly ending: Map<string, { readonly namespace: string; readonly since: Instant }>;
}

/**
 * The brake on mass changes (`domain/access/brake.ts`), for the whole installation: the Namespace of the operator takes the acknowledgement, because it is
 * still there when every object of a kind has vanished. Computed from memory; after a restart what still waits is counted anew.
 */
export class Brakes {
  readonly #memory: Memory;
  readonly #targets: ClientTargets;
  readonly #namespace: string;
  readonly #clock: Clock;
  readonly #sessions: Count = { brake: undefined, at: undefined, ending: new Map() };
  readonly #clients: Count = { brake: undefined, at: undefined, ending: new Map() };

  constructor(o: { memory: Memory; targets: ClientTargets; namespace: string; clock: Clock }) {
    this.#memory = o.memory;
    this.#targets = o.targets;
    this.#namespace = o.namespace;
    this.#clock = o.clock;
    const { identities, namespaces, pools, clients, sessions } = o.memory;
    const anew = (): void => {
      this.#sessions.at = undefined;
      this.#clients.at = undefined;
    };
    const follow = <V extends Kept>(store: Store<V>, decisive: (value: V) => unknown): void => {
      store.onChange((_key, next, previous) => {
        if (previous === undefined) return;
        if (next === undefined || JSON.stringify(decisive(next)) !== JSON.stringify(decisive(previous))) anew();
      });
    };
    // What decides whether something is on its way out, and nothing else: each count walks through everything.
    follow(identities, ({ uid, metadata, spec }) => [uid, metadata.deletionTimestamp, spec.pool]);
    follow(pools, ({ uid, metadata, spec }) => [
      uid,
      metadata.deletionTimestamp,
      spec.client?.per,
      spec.purpose,
      spec.deletionPolicy,
    ]);
    follow(namespaces, ({ uid, terminating, annotations: noted }) => [
      uid,
      terminating,
      noted[annotations.acknowledge],
    ]);
    for (const store of [identities, namespaces, pools, clients, sessions]) store.onSynced(anew);
  }

  /** `sessions`: ends that come only from vanished identities, kinds or namespaces; `clients`: their deregistration. `undefined`: nothing is held. */
  of(what: BrakedThing): Brake | undefined {
    return what === 'sessions'
      ? this.#look(what, this.#sessions, () => this.#vanishing())
      : this.#look(what, this.#clients, () => this.#unwanted());
  }

  #look(what: BrakedThing, count: Count, find: () => Sorted): Brake | undefined {
    const now = this.#clock.now();
    const current = count.at !== undefined && (count.ending.size === 0 || now < plus(count.at, countEvery));
    if (current) return count.brake;
    const { ending, staying } = find();
    for (const [key, namespace] of ending) if (!count.ending.has(key)) count.ending.set(key, { namespace, since: now });
    for (const [key, { since }] of count.ending) {
      const endedLongAgo = !ending.has(key) && now >= plus(since, atOnce);
      if (staying.has(key) || endedLongAgo) count.ending.delete(key);
    }
    count.at = now;
    count.brake = brakeOf(
      {
        what,
        subject: `Namespace ${this.#namespace}`,
        ending: perNamespace(count),
        total: count.ending.size + staying.size,
        acknowledged: this.#memory.namespaces.get(this.#namespace)?.annotations[annotations.acknowledge],
      },
      now,
    );
    return count.brake;
  }

  #vanishing(): Sorted {
    const sorted: Sorted = { ending: new Map(), staying: new Set() };
    for (const [name, { record }] of this.#memory.sessions.entries()) {
      if (record === undefined || usableToken({ record }) === undefined) continue;
      if (this.#isVanished(record)) sorted.ending.set(name, record.pod.namespace);
      else sorted.staying.add(name);
    }
    return sorted;
  }

  #isVanished(record: SessionRecord): boolean {
    const { namespace, name, uid } = record.pod;
    const identity = this.#memory.identity(namespace, record.identity.name);
    const facts = {
      record,
      pod: this.#memory.pod(namespace, name, uid),
      namespace: this.#memory.namespaceState(namespace),
      identity: identityFacts(identity),
      poolVanishes: this.#memory.poolVanishes(identity.is === 'Seen' ? identity.value.spec.pool : record.pool.name),
      client: { is: 'Unknown' },
      maxSessionAge: Number.MAX_SAFE_INTEGER,
    } as const;
    return isVanished(facts, this.#clock.now());
  }

  #unwanted(): Sorted {
    const sorted: Sorted = { ending: new Map(), staying: new Set() };
    const { clients, pools, identities } = this.#memory;
    if (!pools.synced || !identities.synced) return sorted;
    for (const [name, { record }] of clients.entries()) {
      if (record === undefined || record.generations.length === 0) continue;
      if (this.#stays(name, record)) sorted.staying.add(name);
      else sorted.ending.set(name, record.namespace ?? '');
    }
    return sorted;
  }

  /** Its pool wants it, or deletes nothing at the provider (`deletionPolicy: Retain`); of a pool that is gone, the record says so. */
  #stays(client: string, { pool: { name, uid }, retain }: ClientRecord): boolean {
    const pool = this.#memory.pools.get(name);
    if (pool?.uid !== uid) return retain === true;
    if (pool.spec.deletionPolicy === 'Retain') return true;
    return pool.metadata.deletionTimestamp === undefined && this.#targets.isWanted(client);
  }
}

function perNamespace({ ending }: Count): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { namespace } of ending.values()) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  return counts;
}
