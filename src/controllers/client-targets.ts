import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { type ClientTarget, targetOf } from '../domain/client/target.ts';
import { type Memory, indexes } from './memory.ts';

/**
 * Which OAuth clients exist or should: the ones that the pools want now (`client.per`), and the ones that have a record, whoever wanted
 * them once. Derived from memory, not remembered.
 */
export class ClientTargets {
  readonly #memory: Memory;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Record names. */
  ofPool(name: string): readonly string[] {
    const wanted = this.#wantedBy(name).map((target) => target.recordName);
    const recorded = [...this.#memory.clients.entries()]
      .filter(([, { record }]) => record?.pool.name === name)
      .map(([key]) => key);
    return [...new Set([...wanted, ...recorded])];
  }

  all(): readonly string[] {
    const wanted = [...this.#memory.pools.entries()].flatMap(([name]) =>
      this.#wantedBy(name).map((target) => target.recordName),
    );
    return [...new Set([...wanted, ...[...this.#memory.clients.entries()].map(([key]) => key)])];
  }

  /** The pool that wants this client, or from whose record it is known. */
  find(recordName: string): ClientTarget | undefined {
    const record = this.#memory.clients.get(recordName)?.record;
    if (record !== undefined) {
      return {
        recordName,
        pool: record.pool,
        ...(record.namespace === undefined ? {} : { namespace: record.namespace }),
        ...(record.identity === undefined ? {} : { identity: record.identity }),
      };
    }
    for (const [name] of this.#memory.pools.entries()) {
      const found = this.#wantedBy(name).find((target) => target.recordName === recordName);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whether the spec of its pool asks for this client now. */
  isWanted(recordName: string, target: ClientTarget): boolean {
    return this.#wantedBy(target.pool.name).some((wanted) => wanted.recordName === recordName);
  }

  #wantedBy(name: string): readonly ClientTarget[] {
    const pool: IdentityPool | undefined = this.#memory.pools.get(name);
    if (pool === undefined || pool.spec.purpose === 'Interactive') return [];
    const own = targetOf(pool, undefined);
    if (own !== undefined) return [own];
    const targets = this.#memory.identities.byIndex(indexes.pool, name).map(([, { metadata }]) => {
      const { namespace = '', name: identity, uid = '' } = metadata;
      return targetOf(pool, { namespace, name: identity, uid });
    });
    return [
      ...new Map(targets.flatMap((target) => (target === undefined ? [] : [[target.recordName, target]]))).values(),
    ];
  }
}
