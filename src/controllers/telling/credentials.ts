import { type Instant, type Milliseconds, second } from '../../clock.ts';
import { currentOf } from '../../domain/client/generations.ts';
import type { ClientTargets } from '../client/targets.ts';
import type { Memory } from '../memory.ts';
import type { PoolProviders } from '../pool-providers.ts';
import { nextRotationOf } from '../status/rotation-facts.ts';

/** Something that we depend on and that will expire. */
export interface Expiry {
  readonly issuer: string;
  readonly credential: string;
  readonly at: Instant;
}

export interface CredentialsOptions {
  readonly memory: Memory;
  readonly targets: ClientTargets;
  readonly providers: PoolProviders;
  /** How far the API server's clock is ahead of ours. */
  readonly apiServerOffset: () => Milliseconds | undefined;
}

/** What observers want to know of credentials and clocks: ages, next rotations, expiries. Reads memory only; holds no secret. */
export class Credentials {
  readonly #o: CredentialsOptions;

  constructor(options: CredentialsOptions) {
    this.#o = options;
  }

  issuers(): readonly string[] {
    return this.#o.providers.issuers().map(({ url }) => url);
  }

  clockOffsets(): readonly (readonly [string, Milliseconds])[] {
    const offsets = [
      ['kubernetes', this.#o.apiServerOffset()] as const,
      ...this.#o.providers.issuers().map((issuer) => [issuer.url, issuer.clockOffset()] as const),
    ];
    return offsets.flatMap(([name, offset]) => (offset === undefined ? [] : [[name, offset] as const]));
  }

  /** Per pool: the newest current generation, since when the oldest is current, when the first is due (Unix seconds). */
  ofPools(): Readonly<Record<'generation' | 'since' | 'nextRotation', ReadonlyMap<string, number>>> {
    const generation = new Map<string, number>();
    const since = new Map<string, number>();
    const nextRotation = new Map<string, number>();
    for (const [name, { record }] of this.#o.memory.clients.entries()) {
      const current = currentOf(record);
      if (record === undefined || current === undefined) continue;
      const pool = record.pool.name;
      generation.set(pool, Math.max(generation.get(pool) ?? 0, current.n));
      since.set(pool, Math.min(since.get(pool) ?? Number.POSITIVE_INFINITY, current.since / second));
      const due = this.#dueAt(name);
      if (due !== undefined)
        nextRotation.set(pool, Math.min(nextRotation.get(pool) ?? Number.POSITIVE_INFINITY, due / second));
    }
    return { generation, since, nextRotation };
  }

  /** The earliest per issuer and kind of credential. */
  expiries(): readonly Expiry[] {
    const found = new Map<string, Expiry>();
    const add = (expiry: Expiry): void => {
      const key = `${expiry.credential} ${expiry.issuer}`;
      if ((found.get(key)?.at ?? Number.POSITIVE_INFINITY) > expiry.at) found.set(key, expiry);
    };
    for (const issuer of this.#o.providers.issuers())
      for (const [credential, at] of issuer.expiries()) add({ issuer: issuer.url, credential, at });
    for (const [, { record }] of this.#o.memory.clients.entries()) {
      const credential = currentOf(record)?.credential;
      if (record === undefined || credential === undefined || credential.type === 'PrivateKeyJwt') continue;
      if (credential.expiresAt !== undefined)
        add({ issuer: record.issuer, credential: 'ClientSecret', at: credential.expiresAt });
    }
    return [...found.values()];
  }

  #dueAt(client: string): Instant | undefined {
    const { memory, targets } = this.#o;
    const target = targets.find(client);
    const pool = target === undefined ? undefined : memory.pools.get(target.pool.name);
    const record = memory.clients.get(client)?.record;
    if (target === undefined || pool === undefined || record === undefined) return undefined;
    return nextRotationOf(pool, target, record);
  }
}
