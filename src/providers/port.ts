/**
 * The one real port: what the operator needs of an identity provider. Types only. A piece that a provider lacks is absent, it does not
 * throw. Every failure is an `OperatorError` made by the adapter's `classify`; an error of the provider as a whole has `whose: 'Issuer'`.
 */
import type { Milliseconds } from '../clock.ts';
import type { Ask } from '../domain/access/access.ts';
import type { AnswerFacts } from '../domain/client/answers.ts';
import type { AuthenticationMethod, Credential, PublicJwk } from '../domain/client/credential.ts';
import type { ClientObservation, Variant } from '../domain/client/record.ts';
import type { Minted, RevocationOutcome } from '../domain/token.ts';
import type { Redacted } from '../redacted.ts';

export type RevocationReach = 'Immediate' | 'IntrospectionOnly' | 'ExpiryOnly';

export interface Capabilities {
  /** Best first. */
  readonly variants: readonly Variant[];
  readonly clientIdBy: 'Us' | 'Provider';
  /** Clients are neither changed nor deleted there once they are registered. */
  readonly registersOnly?: true;
  readonly revocation: RevocationReach;
  /** How long the provider may need to honour a new credential. */
  readonly credentialPropagation: Milliseconds;
  readonly ignoredScopes: readonly string[];
  /** The scopes that carry these audiences. Those of other audiences make a token wider than asked. */
  readonly carrierScopes: (audiences: readonly string[]) => readonly string[];
}

/** The whole desired state of a client, credentials included. */
export interface DesiredClient {
  /** Used where the provider lets us choose (`clientIdBy: 'Us'`), and always for update. */
  readonly clientId?: string;
  /** Ends in a space and the generation, so that an observation can tell it. */
  readonly name: string;
  /** Goes into `software_id`. */
  readonly tag: string;
  readonly authentication: AuthenticationMethod;
  /** Public keys that shall authenticate, newest last; empty for secrets. */
  readonly keys: readonly PublicJwk[];
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  readonly maxTokenLifetime: Milliseconds;
}

export interface ClientRef {
  readonly clientId: string;
  readonly management?: { readonly token: Redacted<string>; readonly uri: string };
}

/** What a mutating call answered. Whatever secret or management token is in it must be stored before any other call. */
export type ClientAnswer = AnswerFacts;

/** RFC 7591 and RFC 7592. `register`, `update` and `deregister` make exactly one mutating call each. */
export interface ClientRegistry {
  /**
   * Never mutates. `Unknowable`: there is no management token, or it was refused. `management` is there only where the read itself gave a
   * new token (RFC 7592 §3 allows it), which must be stored before any other call.
   */
  observe(
    ref: ClientRef,
    desired: DesiredClient,
    signal: AbortSignal,
  ): Promise<ClientObservation & Pick<ClientAnswer, 'management'>>;
  register(desired: DesiredClient, signal: AbortSignal): Promise<ClientAnswer>;
  update(ref: ClientRef, desired: DesiredClient, signal: AbortSignal): Promise<ClientAnswer>;
  /**
   * `Gone` also when it was gone before and the provider says so (404). Where it answers 401, as RFC 7592 §2.1 wants for a client that no
   * longer exists, this throws `Terminal` `RegistrationAccessTokenLost`: only who knows of an earlier delete can tell gone from lost.
   */
  deregister(ref: ClientRef, signal: AbortSignal): Promise<'Deleted' | 'Gone'>;
}

export interface TokenSource {
  /** One token request. Refused credentials: `Terminal`, reason `CredentialRefused`; refused scopes: `Terminal`, reason `ScopeRefused`. */
  mint(ask: Ask, clientId: string, by: Credential, signal: AbortSignal): Promise<Minted>;
  /** RFC 7009. Idempotent. */
  revoke(token: Redacted<string>, clientId: string, by: Credential, signal: AbortSignal): Promise<RevocationOutcome>;
  /** RFC 7662. `undefined`: the provider offers none for this token. `active: false` proves nothing where the client may not ask about it. */
  introspect?(
    token: Redacted<string>,
    clientId: string,
    by: Credential,
    signal: AbortSignal,
  ): Promise<{ readonly active: boolean } | undefined>;
}

export interface IdentityProvider {
  readonly capabilities: Capabilities;
  readonly clients?: ClientRegistry;
  readonly tokens?: TokenSource;
}
