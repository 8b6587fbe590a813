import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import { currentOf } from '../../domain/client/generations.ts';
import type { ClientRecord } from '../../domain/client/record.ts';
import { type ClientTarget, type IdentityRef, targetOf } from '../../domain/client/target.ts';
import { clientRecordName } from '../../domain/record-names.ts';
import { type Memory, indexes } from '../memory.ts';

/** What a client record says of itself. */
function targetIn(recordName: string, { pool, namespace, identity }: ClientRecord): ClientTarget {
  return {
    recordName,
    pool,
    ...(namespace === undefined ? {} : { namespace }),
    ...(identity === undefined ? {} : { identity }),
  };
}

interface Wanted {
  readonly target: ClientTarget;
  /** Keys of the identities that it mints for; with `client.per: Pool` it is wanted without any. */
  readonly identities: Set<string>;
}

/**
 * Which OAuth clients exist or should: the ones that the pools want now (`client.per`), and the ones that have a record, whoever wanted
 * them once. Follows the stores, so that a look-up costs the same with ten clients and with ten thousand.
 */
export class ClientTargets {
  readonly #memory: Memory;
  /** By record name. */
  readonly #wanted = new Map<string, Wanted>();
  /** Record names by pool. */
  readonly #ofPool = new Map<string, Set<string>>();
  /** What of a pool decides its clients. */
  readonly #shapes = new Map<string, string>();

  constructor(memory: Memory) {
    this.#memory = memory;
    for (const [name, pool] of memory.pools.entries()) this.#pool(name, pool);
    memory.pools.onChange((name, next) => this.#pool(name, next));
    memory.identities.onChange((key, next, previous) => {
      if (previous !== undefined) this.#remove(key, previous);
      if (next !== undefined) this.#add(key, next);
    });
  }

  /** Record names. */
  ofPool(name: string): readonly string[] {
    const recorded = this.#memory.clients.byIndex(indexes.pool, name).map(([key]) => key);
    return [...new Set([...(this.#ofPool.get(name) ?? []), ...recorded])];
  }

  all(): readonly string[] {
    return [...new Set([...this.#wanted.keys(), ...[...this.#memory.clients.entries()].map(([key]) => key)])];
  }

  /** The pool that wants this client, or from whose record it is known. */
  find(recordName: string): ClientTarget | undefined {
    const record = this.#memory.clients.get(recordName)?.record;
    return record === undefined ? this.#wanted.get(recordName)?.target : targetIn(recordName, record);
  }

  /** Whether the spec of its pool asks for this client now. */
  isWanted(recordName: string): boolean {
    return this.#wanted.has(recordName);
  }

  /** The spec asks for another client (`client.per` was changed), which does not work yet, so this one still mints for somebody. */
  isLeaving(recordName: string): boolean {
    const record = this.#memory.clients.get(recordName)?.record;
    if (record === undefined || this.isWanted(recordName) || currentOf(record) === undefined) return false;
    const pool = this.#memory.pools.get(record.pool.name);
    if (pool === undefined || pool.metadata.uid !== record.pool.uid) return false;
    return this.identitiesOf(recordName).some((key) => {
      const identity = this.#memory.identities.get(key);
      return identity !== undefined && this.serving(pool, refOf(identity))?.recordName === recordName;
    });
  }

  /** The client that mints for this identity: the one that the spec asks for as soon as it works, until then the one before. */
  serving(pool: IdentityPool, identity: IdentityRef): ClientTarget | undefined {
    const wanted = targetOf(pool, identity);
    if (wanted === undefined || this.#works(wanted.recordName)) return wanted;
    const before = candidates(wanted.pool.uid, identity).find(
      (name) => name !== wanted.recordName && this.#works(name),
    );
    return (before === undefined ? undefined : this.find(before)) ?? wanted;
  }

  /** Clients that exist or should and that this identity may have to do with, whatever `client.per` is or was. */
  around(poolName: string, identity: IdentityRef): readonly string[] {
    const uid = this.#memory.pools.get(poolName)?.metadata.uid;
    const names = uid === undefined ? [] : candidates(uid, identity);
    return names.filter((name) => this.#wanted.has(name) || this.#memory.clients.get(name) !== undefined);
  }

  /** Keys of the identities that this client mints for or minted for, as far as they still name its pool. */
  identitiesOf(recordName: string): readonly string[] {
    const wanted = this.#wanted.get(recordName);
    const target = this.find(recordName);
    if (target === undefined) return [];
    const { pool, namespace, identity } = target;
    const { identities } = this.#memory;
    if (namespace === undefined) return identities.byIndex(indexes.pool, pool.name).map(([key]) => key);
    if (wanted !== undefined) return [...wanted.identities];
    const inPlace = identities.byIndex(indexes.namespace, namespace).filter(([, { spec }]) => spec.pool === pool.name);
    return inPlace.filter(([, { uid }]) => identity === undefined || identity.uid === uid).map(([key]) => key);
  }

  #works(recordName: string): boolean {
    return currentOf(this.#memory.clients.get(recordName)?.record) !== undefined;
  }

  #pool(name: string, pool: IdentityPool | undefined): void {
    const shape = JSON.stringify([pool?.metadata.uid, pool?.spec.purpose, pool?.spec.client?.per]);
    if (this.#shapes.get(name) === shape) return;
    for (const recordName of this.#ofPool.get(name) ?? []) this.#wanted.delete(recordName);
    this.#ofPool.delete(name);
    if (pool === undefined) {
      this.#shapes.delete(name);
      return;
    }
    this.#shapes.set(name, shape);
    const own = pool.spec.purpose === 'Interactive' ? undefined : targetOf(pool, undefined);
    if (own !== undefined) this.#want(own);
    for (const [key, identity] of this.#memory.identities.byIndex(indexes.pool, name)) this.#add(key, identity);
  }

  #add(key: string, identity: CiIdentity): void {
    const target = this.#targetOf(identity);
    if (target?.namespace !== undefined) this.#want(target).identities.add(key);
  }

  #remove(key: string, identity: CiIdentity): void {
    const target = this.#targetOf(identity);
    const wanted = target === undefined ? undefined : this.#wanted.get(target.recordName);
    if (target?.namespace === undefined || wanted === undefined) return;
    wanted.identities.delete(key);
    if (wanted.identities.size > 0) return;
    this.#wanted.delete(target.recordName);
    this.#ofPool.get(target.pool.name)?.delete(target.recordName);
  }

  #targetOf(identity: CiIdentity): ClientTarget | undefined {
    const pool = this.#memory.pools.get(identity.spec.pool);
    return pool === undefined || pool.spec.purpose === 'Interactive' ? undefined : targetOf(pool, refOf(identity));
  }

  #want(target: ClientTarget): Wanted {
    const { recordName, pool } = target;
    const wanted = this.#wanted.get(recordName) ?? { target, identities: new Set<string>() };
    this.#wanted.set(recordName, wanted);
    const names = this.#ofPool.get(pool.name) ?? new Set<string>();
    this.#ofPool.set(pool.name, names.add(recordName));
    return wanted;
  }
}

/** The names of every client that could be this identity's, one per value of `client.per`. */
function candidates(poolUid: string, { namespace, uid }: IdentityRef): readonly string[] {
  return [
    clientRecordName(poolUid, '', ''),
    clientRecordName(poolUid, namespace, ''),
    clientRecordName(poolUid, namespace, uid),
  ];
}

export function refOf({ metadata }: CiIdentity): IdentityRef {
  return { namespace: metadata.namespace ?? '', name: metadata.name, uid: metadata.uid ?? '' };
}
