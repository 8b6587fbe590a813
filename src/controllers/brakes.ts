import { type Clock, type Instant, type Milliseconds, minute, plus, second } from '../clock.ts';
import { type Brake, type BrakedThing, brakeOf } from '../domain/access/brake.ts';
import { isVanished } from '../domain/session/facts.ts';
import type { SessionRecord } from '../domain/session/record.ts';
import { annotations } from '../api/names.ts';
import type { ClientTargets } from './client-targets.ts';
import type { Memory } from './memory.ts';
import { identityFacts } from './session-snapshot.ts';

/** What ends within this time of each other ends at once: objects vanish one by one, even if somebody deleted their kind. */
const atOnce: Milliseconds = minute;
/** While something is on its way out it is counted again this often; in between only what vanishes makes a new count. */
const countEvery: Milliseconds = 1 * second;

/** Keys of what is there: on its way out, and not. What has ended is in neither. */
interface Sorted {
  readonly ending: ReadonlySet<string>;
  readonly staying: ReadonlySet<string>;
}

/** One thing that may be held back, and how many of it. */
interface Count {
  brake: Brake | undefined;
  ending: number;
  at: Instant | undefined;
  /** Key → when it was first seen on its way out. */
  readonly since: Map<string, Instant>;
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
  readonly #sessions: Count = { brake: undefined, ending: 0, at: undefined, since: new Map() };
  readonly #clients: Count = { brake: undefined, ending: 0, at: undefined, since: new Map() };

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
    for (const store of [identities, namespaces, pools]) {
      store.onChange((_key, next, previous) => {
        if (previous !== undefined && (next === undefined || isOther(next, previous))) anew();
      });
    }
    for (const store of [identities, namespaces, pools, clients, sessions]) store.onSynced(anew);
  }

  /** `sessions`: ends that come only from vanished identities or namespaces; `clients`: their deregistration. `undefined`: nothing is held. */
  of(what: BrakedThing): Brake | undefined {
    return what === 'sessions'
      ? this.#look(what, this.#sessions, () => this.#vanishing())
      : this.#look(what, this.#clients, () => this.#unwanted());
  }

  #look(what: BrakedThing, count: Count, find: () => Sorted): Brake | undefined {
    const now = this.#clock.now();
    const current = count.at !== undefined && (count.ending === 0 || now < plus(count.at, countEvery));
    if (current) return count.brake;
    const { ending, staying } = find();
    for (const key of ending) if (!count.since.has(key)) count.since.set(key, now);
    for (const [key, since] of count.since) {
      const endedLongAgo = !ending.has(key) && now >= plus(since, atOnce);
      if (staying.has(key) || endedLongAgo) count.since.delete(key);
    }
    count.at = now;
    count.ending = count.since.size;
    count.brake = brakeOf(
      {
        what,
        subject: `Namespace ${this.#namespace}`,
        ending: count.ending,
        total: count.ending + staying.size,
        acknowledged: this.#memory.namespaces.get(this.#namespace)?.annotations[annotations.acknowledge],
      },
      now,
    );
    return count.brake;
  }

  #vanishing(): Sorted {
    const [ending, staying] = [new Set<string>(), new Set<string>()];
    for (const [name, { record }] of this.#memory.sessions.entries()) {
      if (record === undefined || record.tokens.at(-1)?.end !== undefined) continue;
      (this.#isVanished(record) ? ending : staying).add(name);
    }
    return { ending, staying };
  }

  #isVanished(record: SessionRecord): boolean {
    const { namespace, name, uid } = record.pod;
    const facts = {
      record,
      pod: this.#memory.pod(namespace, name, uid),
      namespace: this.#memory.namespaceState(namespace),
      identity: identityFacts(this.#memory.identity(namespace, record.identity.name)),
      client: { is: 'Unknown' },
      maxSessionAge: Number.MAX_SAFE_INTEGER,
    } as const;
    return isVanished(facts, this.#clock.now());
  }

  #unwanted(): Sorted {
    const [ending, staying] = [new Set<string>(), new Set<string>()];
    const { clients, pools, identities } = this.#memory;
    if (!pools.synced || !identities.synced) return { ending, staying };
    for (const [name, { record }] of clients.entries()) {
      if (record === undefined || record.generations.length === 0) continue;
      (this.#stays(name, record.pool.name) ? staying : ending).add(name);
    }
    return { ending, staying };
  }

  /** Its pool wants it, or deletes nothing at the provider (`deletionPolicy: Retain`). */
  #stays(client: string, poolName: string): boolean {
    const pool = this.#memory.pools.get(poolName);
    if (pool?.spec.deletionPolicy === 'Retain') return true;
    return pool !== undefined && pool.metadata.deletionTimestamp === undefined && this.#targets.isWanted(client);
  }
}

interface Seen {
  readonly uid: string;
  readonly metadata?: { readonly deletionTimestamp?: string; readonly generation?: number };
  readonly terminating?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Made anew, on its way out, or its spec or annotations are others: whatever may change the count. Never its status. */
function isOther(next: Seen, previous: Seen): boolean {
  return JSON.stringify(relevant(next)) !== JSON.stringify(relevant(previous));
}

function relevant({ uid, metadata, terminating, annotations: noted }: Seen): unknown {
  return [uid, metadata?.deletionTimestamp, metadata?.generation, terminating, noted];
}
