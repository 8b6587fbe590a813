/** The form of a profile: what differs between products that speak OAuth. */
import type { Milliseconds } from '../../clock.ts';
import type { AuthenticationMethod } from '../../domain/client/credential.ts';
import type { Variant } from '../../domain/client/record.ts';
import type { DesiredClient } from '../port.ts';
import type { ProviderError } from '../provider-error.ts';
import type { TokenRefusal } from '../classify.ts';
import type { SilentRefusals } from '../refusal-origin.ts';
import type { Metadata } from './discovery.ts';

/** How an audience is asked for; `Profile` leaves it to the product. */
export type AudienceBy = 'Profile' | 'Resource' | 'Audience' | 'Scope' | 'None';

/** `aud` of `private_key_jwt` assertions: the issuer (RFC 10070), the token endpoint whatever is called, or the URL that the request goes to. */
export type AssertionAudience = 'Issuer' | 'TokenEndpoint' | 'CalledEndpoint';

export interface AudienceMapping {
  readonly by: AudienceBy;
  /** With `by: Scope`: the provider's scope that carries each audience. */
  readonly scopes?: Readonly<Record<string, string>>;
}

/** What a provider says about a client, in the words of RFC 7591. `undefined`: it does not say. */
export interface ClientMetadata {
  readonly clientId?: string;
  readonly secret?: string;
  /** As it was said. */
  readonly secretExpiresAt?: number | string;
  readonly managementToken?: string;
  readonly managementUri?: string;
  readonly name?: string;
  readonly tag?: string;
  readonly scopes?: readonly string[];
  /** Accepts a list with one member, as Glewlwyd answers. */
  readonly authentication?: string;
  readonly grantTypes?: readonly string[];
  readonly redirects?: readonly string[];
  readonly keys?: readonly Readonly<Record<string, unknown>>[];
  /** Where the provider reads the keys from instead. */
  readonly keysUri?: string;
  /** What else the product has of a client and {@link Profile.toBody} sets, by the product's names. */
  readonly settings?: Readonly<Record<string, string | boolean>>;
}

/** What a client was to be allowed; `carriers` are among `scopes`. */
export interface WantedScopes {
  readonly scopes: readonly string[];
  readonly carriers: readonly string[];
}

export interface Profile {
  readonly name: string;
  /** Where clients are registered; `undefined`: they cannot be. */
  registrationEndpoint(metadata: Metadata): string | undefined;
  /** The body of a registration or of a whole update; `desired.clientId` is there for an update and where we choose the id. `scopes`: those of the client plus carrier scopes, sorted. */
  toBody(desired: DesiredClient, scopes: readonly string[]): Readonly<Record<string, unknown>>;
  /** Members that are absent or of the wrong type are left out; never throws. */
  fromBody(body: Readonly<Record<string, unknown>>): ClientMetadata;
  readonly assertionAudience: AssertionAudience;
  readonly audienceBy: Exclude<AudienceBy, 'Profile'>;
  readonly ignoredScopes: readonly string[];
  /** Sent where nothing in particular is asked for, at a product that answers a request without scope as it answers a wrong credential. */
  readonly scopeOfEmptyAsk?: string;
  readonly credentialPropagation: Milliseconds;
  readonly clientIdBy: 'Us' | 'Provider';
  variants(authentication: ReadonlySet<AuthenticationMethod>): readonly Variant[];
  /** Clients are neither changed nor deleted once they are registered: it has nothing of RFC 7592, or reading alone. */
  readonly registersOnly?: true;
  /** Why such a client cannot be registered at this product, which is not asked then. */
  whyNotRegistered?(desired: DesiredClient): string | undefined;
  /** The steps that the product's administrator has to take. */
  registrationHint(error: ProviderError, issuer: string, wanted: WantedScopes): string | undefined;
  /** Where we choose the id: whether a refused registration says that a client with this id is there already. */
  isIdTaken?(error: ProviderError): boolean;
  readonly silentRefusals?: SilentRefusals;
  /** Whether a token endpoint that answers so may only have met a client that was deleted or disabled, instead of being in trouble itself. */
  failsOnUnusableClient?(error: ProviderError): boolean;
  /** What a refusal by token or revocation endpoint is about, where the product says it by another code than RFC 6749 §5.2; `undefined`: as its code says. */
  refusalOf?(error: ProviderError): TokenRefusal | undefined;
  /** `Elsewhere`: resource servers ask about tokens at an address that the metadata does not tell. */
  readonly introspection?: 'Elsewhere';
  /** Whether such an answer to a call about a client says that clients can be registered and changed no more, and nothing about that one. */
  isSwitchedOff?(error: ProviderError): boolean;
}
