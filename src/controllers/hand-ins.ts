import { annotations, group, managementTokensSecret } from '../api/names.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { type Clock, type Milliseconds, instant, parseRfc3339, second } from '../clock.ts';
import type { KeyRef } from '../config.ts';
import { sha256 } from '../digest.ts';
import { type Claim, holderOf } from '../domain/client/claims.ts';
import { readSecretText } from '../domain/client/existing.ts';
import type { ClientSnapshot, ExistingCredential } from '../domain/client/machine.ts';
import { authenticationOf } from '../domain/pool-defaults.ts';
import type { SecretContent } from '../kube/keys.ts';
import type { Issuer } from '../providers/issuers.ts';
import type { ReadKey } from '../providers/oidc/private-key.ts';
import { OperatorError } from '../errors.ts';
import { Redacted } from '../redacted.ts';
import { eachByItself } from '../runtime/each.ts';
import { type Memory, claimOf, indexes } from './memory.ts';

export interface HandInsOptions {
  readonly memory: Memory;
  readonly namespace: string;
  readonly clock: Clock;
  /** Of our namespace; `undefined`: there is none of that name. */
  readSecret(name: string, signal: AbortSignal): Promise<SecretContent | undefined>;
  /** `undefined`: it is not configured. */
  issuer(url: string): Pick<Issuer, 'readKey' | 'signingAlgorithms'> | undefined;
  /** The operator's configuration names this key as a credential of its own. */
  isConfigured(ref: KeyRef): boolean;
  /** What this pool or this client record waits for is another one than before. */
  changed(what: Waiting): void;
}

type Waiting = { readonly pool: string } | { readonly client: string };

/** A Secret that somebody may have replaced is read again after so long; one that people wait for sooner. */
const againAfter: Milliseconds = 10 * second;
const lostAgainAfter: Milliseconds = 5 * second;

interface Kept {
  /** By the monotonic clock: whoever sets the other one back would have nothing read for as long. */
  readonly at: Milliseconds;
  readonly digest: string;
  readonly secret: Redacted<SecretContent> | undefined;
}

type Handed = NonNullable<ClientSnapshot['handedIn']>;

/**
 * What people hand in: the credentials of existing clients, and registration access tokens in place of lost ones. Held in memory and read
 * again from time to time. What cannot be read keeps its last value: an API server in trouble must not make us forget a credential.
 */
export class HandIns {
  readonly #o: HandInsOptions;
  readonly #secrets = new Map<string, Kept>();
  /** Why the last reading failed. */
  readonly #unread = new Map<string, string>();
  /** The last reading of each pool's credential; reading a key costs more than a look. */
  readonly #states = new Map<string, { readonly of: string; readonly state: ExistingCredential }>();

  constructor(options: HandInsOptions) {
    this.#o = options;
  }

  /**
   * Reads whatever is wanted and was not read lately, each Secret by itself, and forgets what nobody wants any more. Rejects at the end where
   * one could not be read. To be called about once a second.
   */
  async refresh(signal: AbortSignal): Promise<void> {
    const { memory } = this.#o;
    const wanted = new Map<string, Waiting[]>();
    const wants = (secret: string, who: Waiting): void => {
      wanted.set(secret, [...(wanted.get(secret) ?? []), who]);
    };
    for (const [client] of memory.clients.byIndex(indexes.unmanaged, 'yes')) wants(managementTokensSecret, { client });
    const users = memory.pools.byIndex(indexes.existing, 'yes');
    for (const [name, pool] of users) wants(pool.spec.client?.existing?.credentialRef.name ?? '', { pool: name });
    forgetAllBut(wanted, this.#secrets, this.#unread);
    forgetAllBut(new Map(users), this.#states);
    await eachByItself(wanted, async ([secret, waiting]) => {
      await this.#again(secret, signal, () => waiting.forEach((who) => this.#o.changed(who)));
    });
  }

  /** What the pool's Secret holds; `undefined` without `client.existing`. */
  existing(pool: IdentityPool): ExistingCredential | undefined {
    const existing = pool.spec.client?.existing;
    if (existing === undefined) return undefined;
    const holder = this.#holder(pool, existing.clientId);
    if (holder !== undefined && holder.pool.uid !== pool.metadata.uid) {
      const why = `client ${existing.clientId} of ${pool.spec.provider.issuer} is used by IdentityPool ${holder.pool.name} already, and a client has one user. Name another client here, or delete the other pool`;
      return { is: 'Unusable', reason: 'ClientClaimed', message: `${why}.` };
    }
    const kept = this.#secrets.get(existing.credentialRef.name);
    if (this.#isOwn(existing.credentialRef, kept)) return this.#refuseOwn(existing.credentialRef);
    return kept === undefined ? this.#notRead(existing.credentialRef) : this.#state(pool, kept);
  }

  /** What a person put in place of the lost management token of this record. */
  managementToken(record: string): Handed | undefined {
    const text = this.#secrets.get(managementTokensSecret)?.secret?.reveal().data[record]?.trim();
    return text === undefined || text === '' ? undefined : { token: new Redacted(text), digest: sha256(text) };
  }

  async #again(name: string, signal: AbortSignal, changed: () => void): Promise<void> {
    const known = this.#secrets.get(name);
    const at = this.#o.clock.monotonic();
    if (known !== undefined && at < known.at + (name === managementTokensSecret ? lostAgainAfter : againAfter)) return;
    const secret = await this.#o.readSecret(name, signal).catch((error: unknown) => {
      const why = error instanceof OperatorError ? error.message : 'API server: no answer';
      const isNews = this.#unread.get(name) !== why;
      this.#unread.set(name, why);
      if (isNews) changed();
      throw error;
    });
    const digest = sha256(JSON.stringify([secret?.data, secret?.annotations[annotations.expires]]));
    this.#secrets.set(name, { at, digest, secret: secret && new Redacted(secret) });
    this.#unread.delete(name);
    if (known?.digest !== digest) changed();
  }

  #notRead({ name }: KeyRef): ExistingCredential {
    const why = this.#unread.get(name);
    if (why === undefined) return { is: 'Unknown' };
    const message = `Secret ${this.#o.namespace}/${name} cannot be read (${why}). Let the operator read it; it is tried again.`;
    return { is: 'Unknown', message };
  }

  #state(pool: IdentityPool, kept: Kept): ExistingCredential {
    const { client, provider } = pool.spec;
    const supported = this.#o.issuer(provider.issuer)?.signingAlgorithms;
    const of = sha256(kept.digest, JSON.stringify([client, provider.issuer, supported]));
    const known = this.#states.get(pool.metadata.name);
    if (known?.of === of) return known.state;
    const state = this.#read(pool, kept);
    if (state.is !== 'Unknown') this.#states.set(pool.metadata.name, { of, state });
    return state;
  }

  #read(pool: IdentityPool, { secret }: Kept): ExistingCredential {
    const { name = '', key = '' } = pool.spec.client?.existing?.credentialRef ?? {};
    const place = `Secret ${this.#o.namespace}/${name}`;
    const data = secret?.reveal().data ?? {};
    const text = Object.hasOwn(data, key) ? data[key] : undefined;
    if (secret === undefined || text === undefined) {
      const what = secret === undefined ? `${place} does not exist` : `${place} has no key ${key}`;
      return unusable('CredentialMissing', `${what}. Put the credential of the client there`);
    }
    const method = authenticationOf(pool);
    const read: ReadKey | undefined =
      method === 'PrivateKeyJwt'
        ? this.#o.issuer(pool.spec.provider.issuer)?.readKey(text)
        : readSecretText(method, text);
    if (read === undefined) return { is: 'Unknown' };
    const remedy = 'Store the credential of the client as spec.client.authentication says';
    if ('problem' in read) return unusable('CredentialMalformed', `key ${key} of ${place} ${read.problem}. ${remedy}`);
    const written = secret.reveal().annotations[annotations.expires];
    const expires = written === undefined ? undefined : parseRfc3339(written);
    if (written !== undefined && expires === undefined) {
      const why = `the annotation ${annotations.expires} of ${place} is no time such as 2027-01-31T00:00:00Z. Correct or remove it`;
      return unusable('CredentialMalformed', why);
    }
    const expiresAt = expires ?? read.expiresAt;
    return {
      is: 'Usable',
      credential: read.credential,
      source: sha256(text.trim(), method, String(expiresAt)),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
  }

  /** Whoever may write pools chooses which Secret of our namespace is sent to which provider: never one that is not for a provider's client. */
  #isOwn(ref: KeyRef, kept: Kept | undefined): boolean {
    const type = kept?.secret?.reveal().type ?? 'Opaque';
    const isKind = type.startsWith(`${group}/`) || type === 'kubernetes.io/service-account-token';
    return isKind || ref.name === managementTokensSecret || this.#o.isConfigured(ref);
  }

  #refuseOwn({ name, key }: KeyRef): ExistingCredential {
    const why = `key ${key} of Secret ${this.#o.namespace}/${name} is a record or credential of the operator itself and is given to no provider`;
    return unusable('CredentialMalformed', `${why}. Name a Secret that an administrator made for this client`);
  }

  #holder(pool: IdentityPool, clientId: string): Claim | undefined {
    const { memory } = this.#o;
    const at = claimOf(pool.spec.provider.issuer, clientId);
    const users = new Map(
      memory.clients
        .byIndex(indexes.clientId, at)
        .flatMap(([, { record }]) => (record === undefined ? [] : [[record.pool.uid, record.pool] as const])),
    );
    const claims = memory.pools.byIndex(indexes.claim, at).map(([name, { metadata, uid }]): Claim => ({
      pool: { name, uid },
      created: parseRfc3339(metadata.creationTimestamp ?? '') ?? instant(0),
      inUse: users.has(uid),
    }));
    const others = [...users.values()].filter(({ uid }) => claims.every((claim) => claim.pool.uid !== uid));
    return holderOf([...claims, ...others.map((user): Claim => ({ pool: user, created: instant(0), inUse: true }))]);
  }
}

function unusable(reason: 'CredentialMissing' | 'CredentialMalformed', why: string): ExistingCredential {
  return { is: 'Unusable', reason, message: `${why}.` };
}

function forgetAllBut(wanted: ReadonlyMap<string, unknown>, ...kept: readonly Map<string, unknown>[]): void {
  for (const map of kept) for (const key of map.keys()) if (!wanted.has(key)) map.delete(key);
}
