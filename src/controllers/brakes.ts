import { type Clock, type Instant, type Milliseconds, instant, minute, plus, second } from '../clock.ts';
import { type Brake, type BrakedThing, type Ending, brakeOf, isHeldBy } from '../domain/access/brake.ts';
import { endCause, isVanished } from '../domain/session/end-cause.ts';
import { usableToken } from '../domain/session/facts.ts';
import type { ClientRecord } from '../domain/client/record.ts';
import { deletionPolicyOf } from '../domain/pool-defaults.ts';
import type { SessionRecord } from '../domain/session/record.ts';
import { annotations } from '../api/names.ts';
import type { ClientTargets } from './client/targets.ts';
import type { Memory } from './memory.ts';
import type { Kept, Store } from '../runtime/store.ts';
import { sessionIdentity } from './session/snapshot.ts';

/** What ends within this time of each other ends at once: objects vanish one by one, even if somebody deleted their kind. */
const atOnce: Milliseconds = minute;
/** While something is on its way out it is counted again this often; in between only what vanishes makes a new count. */
const countEvery: Milliseconds = 1 * second;

type End = Pick<Ending, 'namespace' | 'accident'>;

/** Of which namespaces the brake holds something, in order; `''`: of whole pools. */
export type HeldNamespaces = Readonly<Record<BrakedThing, readonly string[]>>;

/** What is there, by the name of its record: on its way out, and not. What has ended is in neither. */
interface Sorted {
  readonly ending: Map<string, End>;
  readonly staying: Set<string>;
}

/** Something that was seen on its way out. */
interface Seen extends Ending {
  readonly since: Instant;
}

/** One thing that may be held back, and how many of it. */
interface Count {
  brake: Brake | undefined;
  at: Instant | undefined;
  readonly ending: Map<string, Seen>;
}

/**
 * The brake on mass changes (`domain/access/brake.ts`), for the whole installation: the Namespace of the operator takes the acknowledgement, because it is
 * still there when every object of a kind has vanished. Computed from memory, and from what a process before this one held (`brake-memory.ts`).
 */
export class Brakes {
  readonly #memory: Memory;
  readonly #targets: ClientTargets;
  readonly #namespace: string;
  readonly #clock: Clock;
  readonly #sessions: Count = { brake: undefined, at: undefined, ending: new Map() };
  readonly #clients: Count = { brake: undefined, at: undefined, ending: new Map() };
  #recalled: { readonly held: HeldNamespaces; until?: Instant } | undefined;

  constructor(o: { memory: Memory; targets: ClientTargets; namespace: string; clock: Clock }) {
    this.#memory = o.memory;
    this.#targets = o.targets;
    this.#namespace = o.namespace;
    this.#clock = o.clock;
    const { identities, namespaces, pools } = o.memory;
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
    for (const store of this.#counted()) store.onSynced(anew);
  }

  /** All that is counted has been read: what is not on its way out now is not missing from memory only. */
  get isKnown(): boolean {
    return this.#counted().every(({ synced }) => synced);
  }

  #counted(): readonly Pick<Store<Kept>, 'onSynced' | 'synced'>[] {
    const { identities, namespaces, pools, clients, sessions } = this.#memory;
    return [identities, namespaces, pools, clients, sessions];
  }

  /** `sessions`: ends that come only from vanished identities, kinds or namespaces; `clients`: their deregistration. `undefined`: nothing is held. */
  of(what: BrakedThing): Brake | undefined {
    return what === 'sessions'
      ? this.#look(what, this.#sessions, () => this.#vanishing())
      : this.#look(what, this.#clients, () => this.#unwanted());
  }

  /**
   * A process before this one held something of these namespaces: what of them is on its way out when all is known, or soon after, is held again,
   * however few it is.
   */
  recall(held: HeldNamespaces): void {
    this.#recalled = { held };
    this.#sessions.at = undefined;
    this.#clients.at = undefined;
  }

  #look(what: BrakedThing, count: Count, find: () => Sorted): Brake | undefined {
    const now = this.#clock.now();
    const current = count.at !== undefined && (count.ending.size === 0 || now < plus(count.at, countEvery));
    if (current) return count.brake;
    if (this.#recalled !== undefined && this.isKnown) this.#recalled.until ??= plus(now, atOnce);
    const { ending, staying } = find();
    for (const [key, end] of ending) {
      const held = this.#wasHeld(what, end, now);
      count.ending.set(key, { ...(count.ending.get(key) ?? { key, since: now, held }), ...end });
    }
    for (const [key, { since }] of count.ending) {
      const endedLongAgo = !ending.has(key) && now >= plus(since, atOnce);
      if (staying.has(key) || endedLongAgo) count.ending.delete(key);
    }
    count.at = now;
    const brake = brakeOf(
      {
        what,
        subject: `Namespace ${this.#namespace}`,
        ending: [...count.ending.values()],
        total: count.ending.size + staying.size,
        acknowledged: this.#memory.namespaces.get(this.#namespace)?.annotations[annotations.acknowledge],
      },
      now,
    );
    count.brake = brake?.acknowledged === true ? undefined : brake;
    for (const [key, one] of count.ending) count.ending.set(key, remembered(one, ending.has(key), brake));
    return count.brake;
  }

  #wasHeld(what: BrakedThing, { namespace }: End, now: Instant): boolean {
    const { held, until = Number.POSITIVE_INFINITY } = this.#recalled ?? {};
    return held !== undefined && now < until && held[what].includes(namespace);
  }

  #vanishing(): Sorted {
    const sorted: Sorted = { ending: new Map(), staying: new Set() };
    for (const [name, { record }] of this.#memory.sessions.entries()) {
      if (record === undefined || usableToken({ record }) === undefined) continue;
      const end = this.#vanishingEnd(name, record);
      if (end === undefined) sorted.staying.add(name);
      else sorted.ending.set(name, end);
    }
    return sorted;
  }

  #vanishingEnd(key: string, record: SessionRecord): End | undefined {
    const { namespace, name, uid } = record.pod;
    const kind = this.#memory.identityKind;
    // Objects vanish one by one, and the first few of them would make no mass change.
    if (kind?.goes === true) return { namespace, accident: true };
    const identity = this.#memory.identity(namespace, record.identity.name);
    // While nobody knows it ends no more and no less than before.
    if (identity.is === 'Unknown') return this.#sessions.ending.get(key);
    const facts = {
      record,
      pod: this.#memory.pod(namespace, name, uid),
      namespace: this.#memory.namespaceState(namespace),
      identity: sessionIdentity(identity),
      poolVanishes: this.#memory.poolVanishes(identity.is === 'Seen' ? identity.value.spec.pool : record.pool.name),
      client: { is: 'Unknown' },
      maxSessionAge: Number.MAX_SAFE_INTEGER,
    } as const;
    const now = this.#clock.now();
    if (!isVanished(facts, now)) return undefined;
    const isDeleted = endCause(facts, now) === 'IdentityGone' && (kind === undefined || record.since >= kind.since);
    return { namespace, accident: !isDeleted };
  }

  #unwanted(): Sorted {
    const sorted: Sorted = { ending: new Map(), staying: new Set() };
    const { clients, pools, identities } = this.#memory;
    const isKnown = pools.synced && identities.synced;
    for (const [name, { record }] of clients.entries()) {
      if (record === undefined || record.generations.length === 0) continue;
      const stays = isKnown ? this.#stays(name, record) : !this.#clients.ending.has(name);
      if (stays) sorted.staying.add(name);
      else sorted.ending.set(name, { namespace: record.namespace ?? '' });
    }
    return sorted;
  }

  /** Its pool wants it, or deletes nothing at the provider (`deletionPolicy: Retain`); of a pool that is gone, the record says so. */
  #stays(client: string, { pool: { name, uid }, retain }: ClientRecord): boolean {
    const pool = this.#memory.pools.get(name);
    if (pool?.uid !== uid) return retain === true;
    if (deletionPolicyOf(pool) === 'Retain') return true;
    return pool.metadata.deletionTimestamp === undefined && this.#targets.isWanted(client);
  }
}

/** What is held stays held as long as it would end; what was acknowledged and has ended makes no mass change with what comes next. */
function remembered(one: Seen, isEnding: boolean, brake: Brake | undefined): Seen {
  const isMeant = brake?.acknowledged === true && brake.keys.has(one.key);
  return { ...one, held: isEnding && isHeldBy(brake, one.key), since: isMeant ? instant(0) : one.since };
}
