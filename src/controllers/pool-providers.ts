import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { Clock } from '../clock.ts';
import type { Configuration, IssuerConfiguration } from '../config.ts';
import { issuerNotListed } from '../domain/access/explain.ts';
import { nearName } from '../domain/access/near-name.ts';
import type { ReferencedCredential } from '../domain/status/pool-facts.ts';
import { OperatorError } from '../errors.ts';
import { type Issuer, type IssuerSettings, Issuers } from '../providers/issuers.ts';
import type { RegistrationToken } from '../providers/oidc/registration-token.ts';
import type { Capabilities, IdentityProvider } from '../providers/port.ts';
import type { Rate } from '../runtime/bucket.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Memory } from './memory.ts';
import { counted, refusals } from './provider-calls.ts';
import type { ReferencedKeys } from './referenced-keys.ts';

/** Calls of one issuer that are under way at once. */
const parallel = 16;

/** Where the configuration sets no limit: more than one machine can do. */
const unlimited: Rate = { perSecond: 10_000, burst: 10_000, parallel };

/** Enough for every issuer that takes its time over each call, and as many more for the rest. Work that waits for an answer costs nothing. */
export function workersFor(issuers: number): number {
  return parallel * (issuers + 1);
}

/** From pool to provider: only issuers that the configuration lists exist here, whatever a resource says. */
export class PoolProviders {
  readonly #memory: Memory;
  readonly #keys: ReferencedKeys;
  readonly #issuers: Issuers;
  readonly #metrics: Metrics;
  readonly #awaitTurn: (issuer: string, signal: AbortSignal) => Promise<void>;
  #configuration: Configuration;

  constructor(o: {
    memory: Memory;
    keys: ReferencedKeys;
    clock: Clock;
    random: () => number;
    configuration: Configuration;
    metrics: Metrics;
    /** Awaited before each call to this issuer ({@link Budgets.awaitTurn}). */
    awaitTurn: (issuer: string, signal: AbortSignal) => Promise<void>;
  }) {
    this.#memory = o.memory;
    this.#keys = o.keys;
    this.#issuers = new Issuers({ clock: o.clock, random: o.random });
    this.#metrics = o.metrics;
    this.#awaitTurn = o.awaitTurn;
    this.#configuration = o.configuration;
    this.configure(o.configuration);
  }

  configure(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#issuers.configure(configuration.issuers.map((issuer) => this.#settings(issuer)));
  }

  /** The one that was perhaps meant by one that is not configured. */
  near(issuer: string): string | undefined {
    return nearName(
      issuer,
      this.#configuration.issuers.map(({ url }) => url),
    );
  }

  isConfigured(issuer: string): boolean {
    return this.#configuration.issuers.some(({ url }) => url === issuer);
  }

  issuer(url: string): Issuer | undefined {
    return this.#issuers.get(url);
  }

  /** Every configured issuer. */
  issuers(): readonly Issuer[] {
    return this.#issuers.all();
  }

  /** What is known of the provider so far: its metadata may not have been read yet. */
  capabilities(issuer: string): Capabilities | undefined {
    return this.#issuers.get(issuer)?.capabilities();
  }

  providerOf(pool: string): IdentityProvider | undefined {
    const known = this.#memory.pool(pool);
    return known.is === 'Seen' ? this.providerFor(known.value) : undefined;
  }

  providerFor(pool: IdentityPool): IdentityProvider | undefined {
    return this.providerAt(pool.spec.provider.issuer, pool.spec.provider.audience);
  }

  /** Also for clients whose pool is gone: revoking and deleting need no audience. */
  providerAt(issuer: string, audience: IdentityPool['spec']['provider']['audience']): IdentityProvider | undefined {
    const provider = this.#issuers.get(issuer)?.provider({
      audienceBy: audience?.by ?? 'Profile',
      ...(audience?.scopes === undefined ? {} : { audienceScopes: audience.scopes }),
    });
    return (
      provider &&
      counted(provider, {
        awaitTurn: (signal) => this.#awaitTurn(issuer, signal),
        ended: (operation, outcome) => {
          this.#metrics.count('ci_identity_provider_calls_total', { issuer, operation, outcome });
          if (refusals.has(outcome))
            this.#metrics.count('ci_identity_authentications_failed_total', { issuer, reason: outcome });
        },
      })
    );
  }

  registrationCredential(issuer: string): ReferencedCredential {
    const token = this.#registrationToken(this.#configuration.issuers.find(({ url }) => url === issuer));
    if (token === undefined) return 'NotNeeded';
    return token === 'Missing' ? 'Missing' : 'Present';
  }

  #registrationToken(issuer: IssuerConfiguration | undefined): RegistrationToken {
    const ref = issuer?.registrationTokenRef;
    return ref === undefined ? undefined : (this.#keys.secret(ref) ?? 'Missing');
  }

  /** A credential that does not rotate and manages every client of the issuer. */
  managementCredential(issuer: string): ReferencedCredential {
    const ref = this.#configuration.issuers.find(({ url }) => url === issuer)?.managementTokenRef;
    if (ref === undefined) return 'NotNeeded';
    return this.#keys.secret(ref) === undefined ? 'Missing' : 'Present';
  }

  /** The budget of an issuer is named by its URL. */
  rateOf(issuer: string): Rate {
    const limit = this.#configuration.issuers.find(({ url }) => url === issuer)?.rateLimit;
    return limit === undefined ? unlimited : { ...limit, parallel };
  }

  close(): Promise<void> {
    return this.#issuers.close();
  }

  #settings(issuer: IssuerConfiguration): IssuerSettings {
    return {
      url: issuer.url,
      profile: issuer.profile,
      registrationToken: () => this.#registrationToken(issuer),
      managementToken: () => this.#keys.secret(issuer.managementTokenRef),
      allowPrivateNetwork: issuer.allowPrivateNetwork,
      ...(issuer.caBundleRef === undefined ? {} : { caBundle: () => this.#keys.bundle(issuer.caBundleRef) }),
      ...(issuer.proxyUrl === undefined ? {} : { proxyUrl: issuer.proxyUrl }),
      ...(issuer.rateLimit === undefined ? {} : { rateLimit: issuer.rateLimit }),
      ...(issuer.tokenIssuer === undefined ? {} : { tokenIssuer: issuer.tokenIssuer }),
      ...(issuer.assertionAudience === undefined ? {} : { assertionAudience: issuer.assertionAudience }),
    };
  }
}

export function notConfigured(issuer: string): OperatorError {
  return new OperatorError({
    class: 'Waiting',
    reason: 'IssuerNotConfigured',
    message: `${issuerNotListed(issuer, undefined)}; add it under issuers`,
  });
}
