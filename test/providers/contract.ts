/**
 * What the operator relies on at every provider: one row per behaviour (`contract-rows.ts`), run against each real product. What a product
 * is known to do otherwise is said by its traits: they choose the expectation, or make the cell one that the product does not have.
 */
import type { ExecutionContext } from 'ava';
import type { Reason } from '#src/api/reasons.ts';
import { hour } from '#src/clock.ts';
import type { Ask } from '#src/domain/access/access.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import type { Variant } from '#src/domain/client/record.ts';
import { OperatorError } from '#src/errors.ts';
import type { AudienceChoice, Issuer } from '#src/providers/issuers.ts';
import type { AudienceBy } from '#src/providers/oidc/profile.ts';
import type { Introspection } from '#src/providers/oidc/tokens.ts';
import type { ClientAnswer, ClientRef, DesiredClient, RevocationReach } from '#src/providers/port.ts';

export type Key = Credential & { readonly type: 'PrivateKeyJwt' };

/** What is true of a product, as it was seen. `contract-traits.ts` holds one for each. */
export interface Traits {
  readonly product: string;
  readonly profile: 'Generic' | 'Keycloak' | 'Glewlwyd' | 'Hydra';
  readonly tokenFormat: 'opaque' | 'jwt';
  readonly variants: readonly Variant[];
  readonly clientIdBy: 'Us' | 'Provider';
  readonly revocation: RevocationReach;
  /** Who may register clients. */
  readonly registration: 'Token' | 'Anybody';
  /** Who may ask about a token: its client too, or resource servers only, somewhere that the metadata does not tell. */
  readonly introspection: 'Client' | 'ResourceServer';
  /** Who can revoke a token. */
  readonly revoker: 'ItsClient' | 'AnyClient';
  /** What an update does to the management token. */
  readonly managementToken: 'Replaced' | 'Kept';
  /** What an update does to the client secret. */
  readonly secretOnUpdate: 'Kept' | 'Replaced';
  /** A secret in the header where the client was registered for the body, and the other way round. */
  readonly otherSecretMethod: 'Accepted' | 'Refused';
  /** What a deregistered client is for its administrator. */
  readonly deregistered: 'Gone' | 'Disabled';
  /** What the token endpoint says to the key of a deregistered client. */
  readonly deletedClient: 'CredentialRefused' | 'ClientUnusable';
  /** Tokens that a client had when it was deleted, to a resource server that asks. */
  readonly tokensOfDeletedClient: 'Live' | 'Dead' | 'CannotBeAsked';
  /** A scope that the product knows and the client did not register. */
  readonly unregisteredScope: 'Refused' | 'Granted';
  /** A scope that nobody knows, asked for together with a good one. */
  readonly unknownScope: 'Dropped' | 'Refused';
  /** A scope that nobody knows, in a registration. */
  readonly registersUnknownScope: 'Refused' | 'Accepted';
  /** An audience that nobody knows. */
  readonly lifetimeBy: 'Client' | 'Provider';
  /** Whether an administrator can make a new management token for a client. */
  readonly newManagementToken: boolean;
  /** Whether reading a client tells the tag that it was registered with. */
  readonly tagIsRead: boolean;
  /**
   * What comes of each way of naming an audience. `Right`: the token is for it. `Unseen`: a token that nobody can see an audience of.
   * A reason: what the operator says and does not deliver.
   */
  readonly audienceBy: Readonly<Record<Exclude<AudienceBy, 'Profile'>, 'Right' | 'Unseen' | Reason>>;
}

/** A running product. */
export interface Subject {
  readonly issuer: Issuer;
  /** Two scopes that the product knows, the second not always registered. */
  readonly scopes: readonly [string, string];
  readonly audience: string;
  readonly unknownAudience: string;
  /** The client scope that carries `audience`, or, where none can, some scope that the product knows. */
  readonly carrier: string;
  /** How this product is told an audience; default: as its profile says. */
  readonly audienceChoice?: AudienceChoice;
  /** Ids for new clients, each once, where the product lets us choose them. */
  readonly newClientId?: () => string;
  /** An issuer object for the same product that has learnt nothing yet; `registrationToken`: default the good one. */
  another(registrationToken?: string): Issuer;
  /** Makes the product forget a client behind our back. */
  removeClient(clientId: string): void | Promise<void>;
  renameClient(clientId: string, name: string): void | Promise<void>;
  /** Whatever the old management token of this client could, the answered one can now. */
  newManagementToken?(clientId: string): Promise<string>;
  /** Ids that an administrator sees, disabled ones too. */
  clientIds(): readonly string[] | Promise<readonly string[]>;
  /** What a resource server that asks the product is told. */
  isLive(token: string): boolean | Promise<boolean>;
  /** The same in full, where the client of a token may not ask itself. */
  told?(token: string): Promise<Introspection>;
  /** A certificate authority for those who fetch the product's keys. */
  readonly caPem: string;
  stop(): Promise<void>;
}

export interface Row {
  readonly title: string;
  /** Why this product has no such cell; absent or `undefined`: it has. */
  readonly missing?: (traits: Traits) => string | undefined;
  run(t: ExecutionContext, s: Subject, traits: Traits): Promise<void>;
}

export const choiceOf = (s: Pick<Subject, 'audienceChoice'>): AudienceChoice =>
  s.audienceChoice ?? { audienceBy: 'Profile' };

export const signal = (): AbortSignal => AbortSignal.timeout(20_000);

export function ref(answer: ClientAnswer): ClientRef {
  return { clientId: answer.clientId, ...(answer.management === undefined ? {} : { management: answer.management }) };
}

export function desired(
  s: Pick<Subject, 'audience' | 'newClientId'>,
  scopes: readonly string[],
  ...keys: readonly Key[]
): DesiredClient {
  return {
    ...(s.newClientId === undefined ? {} : { clientId: s.newClientId() }),
    name: 'ci-bots 1',
    tag: 'installation.owner',
    authentication: 'PrivateKeyJwt',
    keys: keys.map((key) => key.publicJwk),
    scopes,
    audiences: [s.audience],
    maxTokenLifetime: hour,
  };
}

export const ask = (audience: string, ...scopes: readonly string[]): Ask => ({
  scopes,
  audiences: [audience],
  maxLifetime: hour,
});

export async function failure(t: ExecutionContext, work: Promise<unknown>): Promise<OperatorError> {
  const error = await t.throwsAsync(work, { instanceOf: OperatorError });
  return error!;
}

/** A provider with one registered client. */
export async function registered(
  s: Pick<Subject, 'issuer' | 'scopes' | 'audience' | 'newClientId' | 'audienceChoice'>,
) {
  const provider = s.issuer.provider(choiceOf(s));
  const key = await s.issuer.generateKey();
  const want = desired(s, [s.scopes[0]], key);
  const client = await provider.clients!.register(want, signal());
  return { provider, clients: provider.clients!, tokens: provider.tokens, key, want, client };
}
