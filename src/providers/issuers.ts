import type { Clock, Instant, Milliseconds } from '../clock.ts';
import type { Redacted } from '../redacted.ts';
import { type Expiring, bundleExpiry, remembering, tokenExpiry } from './expiry.ts';
import { Http } from './http.ts';
import { capabilitiesOf, type OidcAdapter, oidcAdapter, type OidcIssuer } from './oidc/adapter.ts';
import { chooseAlgorithm, generateKey, type GeneratedKey } from './oidc/authentication.ts';
import { Discovery } from './oidc/discovery.ts';
import { readPrivateKey, type ReadKey } from './oidc/private-key.ts';
import type { AssertionAudience, AudienceBy, Profile } from './oidc/profile.ts';
import { profiles } from './oidc/profiles.ts';
import { Offer } from './oidc/offer.ts';
import { Reach } from './oidc/reach.ts';
import { knownToken, type RegistrationToken } from './oidc/registration-token.ts';
import type { Capabilities } from './port.ts';

/** One row of the configuration. The functions are asked at each use, so a changed Secret needs no restart. */
export interface IssuerSettings {
  readonly url: string;
  /** A name of `oidc/profiles.ts`. */
  readonly profile: string;
  readonly registrationToken?: () => RegistrationToken;
  readonly managementToken?: () => Redacted<string> | undefined;
  /** PEM; absent: the system's roots. One that is not there, or holds no certificate, is no reason to trust those: nothing is called. */
  readonly caBundle?: () => string | undefined;
  readonly allowPrivateNetwork: boolean;
  /** `http://host:port` of a proxy for all calls to it. */
  readonly proxyUrl?: string;
  readonly rateLimit?: { readonly perSecond: number; readonly burst?: number };
  /** `iss` of its JWTs, where that is not `url`. */
  readonly tokenIssuer?: string;
  /** Default: as the profile says. */
  readonly assertionAudience?: AssertionAudience;
}

export interface AudienceChoice {
  readonly audienceBy: AudienceBy;
  /** With `Scope`: audience → scope that carries it. */
  readonly audienceScopes?: Readonly<Record<string, string>>;
}

export interface IssuersOptions {
  readonly clock: Clock;
  /** In [0, 1): spreads the times at which metadata is read again. */
  readonly random: () => number;
}

/** One identity provider: its connections, metadata and what was learnt about it. */
export class Issuer {
  readonly url: string;
  readonly #shared: OidcIssuer;
  readonly #read = {
    registrationToken: remembering(tokenExpiry),
    managementToken: remembering(tokenExpiry),
    caBundle: remembering(bundleExpiry),
  };
  #settings: IssuerSettings;

  constructor(settings: IssuerSettings, profile: Profile, o: IssuersOptions) {
    const { clock } = o;
    this.url = settings.url;
    this.#settings = settings;
    const allowPrivateNetwork = (): boolean => this.#settings.allowPrivateNetwork;
    const http = new Http({
      issuer: settings.url,
      clock,
      caBundle: () => this.#settings.caBundle && (this.#settings.caBundle() ?? ''),
      allowPrivateNetwork,
      proxyUrl: () => this.#settings.proxyUrl,
    });
    this.#shared = {
      issuer: settings.url,
      http,
      clock,
      profile,
      discovery: new Discovery({ issuer: settings.url, http, clock, allowPrivateNetwork, random: o.random }),
      reach: new Reach(),
      changes: new Offer(),
      registrationToken: () => this.#settings.registrationToken?.(),
      managementToken: () => this.#settings.managementToken?.(),
      tokenIssuer: () => this.#settings.tokenIssuer,
      assertionAudience: () => this.#settings.assertionAudience,
    };
  }

  get profile(): string {
    return this.#shared.profile.name;
  }

  get settings(): IssuerSettings {
    return this.#settings;
  }

  /** New settings for the same URL and profile; what was learnt stays. */
  set settings(settings: IssuerSettings) {
    this.#settings = settings;
  }

  /** The provider as one pool asks it. Cheap: make one whenever it is needed. */
  provider(choice: AudienceChoice): OidcAdapter {
    return oidcAdapter(this.#shared, {
      by: choice.audienceBy,
      ...(choice.audienceScopes === undefined ? {} : { scopes: choice.audienceScopes }),
    });
  }

  /** What the provider says that it verifies; `undefined`: it does not say, or its metadata is not known yet. */
  get signingAlgorithms(): readonly string[] | undefined {
    return this.#shared.discovery.known?.signingAlgorithms;
  }

  /** The best algorithm that the provider is known to verify; `undefined` as for {@link signingAlgorithms}. */
  get keyAlgorithm(): string | undefined {
    return this.signingAlgorithms && chooseAlgorithm(this.signingAlgorithms);
  }

  /** A key of that algorithm, or of the one that nearly every server verifies; works offline. */
  generateKey(): Promise<GeneratedKey> {
    return generateKey(chooseAlgorithm(this.signingAlgorithms));
  }

  /** An administrator's private key, as JWK or PEM. Where the text names no algorithm, one that the provider is known to verify. */
  readKey(text: string): ReadKey {
    return readPrivateKey(text, this.signingAlgorithms);
  }

  /** Resolves once metadata is known and not too old; usually at once. Throws `OperatorError`. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#shared.discovery.get(signal);
  }

  /** `undefined` before the first discovery. Carrier scopes are a pool's: see `provider().capabilities`. */
  capabilities(): Capabilities | undefined {
    return this.#shared.discovery.known === undefined ? undefined : capabilitiesOf(this.#shared, { by: 'Profile' });
  }

  /** Provider's clock minus ours, ± 1 s; `undefined` before the first answer. */
  clockOffset(): Milliseconds | undefined {
    return this.#shared.http.clockOffset;
  }

  /** When what this issuer depends on expires, as far as it says so. */
  expiries(): readonly (readonly [Expiring, Instant])[] {
    const { registrationToken, managementToken, caBundle } = this.#settings;
    const all: readonly (readonly [Expiring, Instant | undefined])[] = [
      ['RegistrationToken', this.#read.registrationToken(knownToken(registrationToken?.())?.reveal())],
      ['ManagementToken', this.#read.managementToken(managementToken?.()?.reveal())],
      ['CaBundle', this.#read.caBundle(caBundle?.())],
      ['TlsCertificate', this.#shared.http.certificateExpiry],
    ];
    return all.flatMap(([what, at]) => (at === undefined ? [] : [[what, at] as const]));
  }

  close(): Promise<void> {
    return this.#shared.http.close();
  }
}

/** The configured issuers; no other can be called. */
export class Issuers {
  readonly #o: IssuersOptions;
  readonly #issuers = new Map<string, Issuer>();

  constructor(options: IssuersOptions) {
    this.#o = options;
  }

  /** Replaces the whole configuration. Issuers that stay keep their connections and metadata; calls under way on others are cut. */
  configure(settings: readonly IssuerSettings[]): void {
    const wanted = new Map(settings.map((row) => [row.url, row]));
    for (const [url, issuer] of this.#issuers) {
      const row = wanted.get(url);
      if (row?.profile === issuer.profile) continue;
      this.#issuers.delete(url);
      void issuer.close();
    }
    for (const row of settings) {
      const known = this.#issuers.get(row.url);
      const profile = profiles[row.profile];
      if (known !== undefined) known.settings = row;
      else if (profile !== undefined) this.#issuers.set(row.url, new Issuer(row, profile, this.#o));
    }
  }

  get(url: string): Issuer | undefined {
    return this.#issuers.get(url);
  }

  all(): readonly Issuer[] {
    return [...this.#issuers.values()];
  }

  async close(): Promise<void> {
    const open = [...this.#issuers.values()];
    this.#issuers.clear();
    await Promise.all(open.map((issuer) => issuer.close()));
  }
}
