/** What the operator relies on at every provider: one row per behaviour, run against each real product that `contract.test.ts` names. */
import type { ExecutionContext } from 'ava';
import { hour } from '#src/clock.ts';
import type { Ask } from '#src/domain/access/access.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import { OperatorError } from '#src/errors.ts';
import type { AudienceChoice, Issuer } from '#src/providers/issuers.ts';
import type { ClientAnswer, ClientRef, DesiredClient, RevocationReach } from '#src/providers/port.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { Redacted } from '#src/redacted.ts';

type Key = Credential & { readonly type: 'PrivateKeyJwt' };

/** A running product and what is true of it. */
export interface Subject {
  readonly issuer: Issuer;
  /** Two scopes that the product knows, the second not always registered. */
  readonly scopes: readonly [string, string];
  readonly audience: string;
  readonly unknownAudience: string;
  /** An issuer object for the same product with this registration credential. */
  withRegistrationToken(token: string): Issuer;
  /** Ids for new clients, each once, where the product lets us choose them. */
  readonly newClientId?: () => string;
  /** How this product is told an audience; default: as its profile says. */
  readonly audienceChoice?: AudienceChoice;
  /** Makes the product forget a client behind our back. */
  removeClient(clientId: string): void | Promise<void>;
  editClient(clientId: string, change: { readonly client_name: string }): void | Promise<void>;
  /** How the product answers a known scope that this client may not have, and one that nobody knows. */
  readonly unknownScope: 'Dropped' | 'Refused';
  readonly rotatesManagementToken: boolean;
  readonly tokenFormat: 'opaque' | 'jwt';
  /** What revoking reaches; default: everybody for opaque tokens, nobody for JWTs. */
  readonly revocation?: RevocationReach;
}

const reachOf = (s: Subject): RevocationReach => s.revocation ?? (s.tokenFormat === 'jwt' ? 'ExpiryOnly' : 'Immediate');

const choiceOf = (s: Subject): AudienceChoice => s.audienceChoice ?? { audienceBy: 'Profile' };

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
export async function registered(s: Subject) {
  const provider = s.issuer.provider(choiceOf(s));
  const key = await s.issuer.generateKey();
  const want = desired(s, [s.scopes[0]], key);
  const client = await provider.clients!.register(want, signal());
  return { provider, clients: provider.clients!, tokens: provider.tokens, key, want, client };
}

const outcomes = { Immediate: 'Confirmed', IntrospectionOnly: 'Requested', ExpiryOnly: 'NotSupported' } as const;

type Behaviour = (t: ExecutionContext, s: Subject) => Promise<void>;

export const behaviours: Readonly<Record<string, Behaviour>> = {
  'a registered client mints a token with exactly what was asked': async (t, s) => {
    const { client, tokens, key, want } = await registered(s);
    t.deepEqual(client.observed.drift, []);
    t.is(client.observed.generation, 1);
    t.is(client.observed.is, 'Present');
    t.is(client.observed.tag ?? want.tag, want.tag);
    t.truthy(client.management);
    const minted = await tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
    t.deepEqual(minted.scopes, [s.scopes[0]]);
    t.is(minted.tokenType.toLowerCase(), 'bearer');
    t.true(minted.expiresIn! > 0);
    t.truthy(minted.providerTime);
    if (s.tokenFormat === 'jwt') t.deepEqual(minted.audiences, [s.audience]);
    else t.is(minted.audiences, undefined);
  },

  'the lost answer of a registration is found under the id that we chose; where the provider chooses, there are two clients':
    async (t, s) => {
      const { client, clients, tokens, key, want, provider } = await registered(s);
      const again = clients.register(want, signal());
      if (provider.capabilities.clientIdBy === 'Provider') {
        t.not((await again).clientId, client.clientId);
        return;
      }
      t.is(want.clientId, client.clientId);
      const error = await failure(t, again);
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'ClientIdTaken', 'Object']);
      t.false(surelyWithoutEffect(error), 'the intent stays open, so that the planned credential is proven');
      await t.notThrowsAsync(tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal()));
    },

  'the lost answer of an update: the new credential works, and only the management token is gone': async (t, s) => {
    const { client, clients, tokens, key, want } = await registered(s);
    const next = await s.issuer.generateKey();
    const both = { ...want, keys: [key.publicJwk, next.publicJwk] };
    await clients.update(ref(client), both, signal());
    for (const each of [key, next])
      await t.notThrowsAsync(tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, each, signal()));
    const seen = await clients.observe(ref(client), both, signal());
    t.is(seen.is, s.rotatesManagementToken ? 'Unknowable' : 'Present');
  },

  'a client that is deregistered again is gone, or cannot be told from one whose token is lost': async (t, s) => {
    const { client, clients } = await registered(s);
    await clients.deregister(ref(client), signal());
    const again = await clients.deregister(ref(client), signal()).catch((error: OperatorError) => error.reason);
    t.true(again === 'Gone' || again === 'RegistrationAccessTokenLost', String(again));
  },

  'observing shows the client as it was registered, and mutates nothing': async (t, s) => {
    const { client, clients, want } = await registered(s);
    for (let time = 0; time < 2; time += 1) {
      const seen = await clients.observe(ref(client), want, signal());
      t.deepEqual([seen.is, seen.drift], ['Present', []]);
    }
  },

  'an edit behind our back is drift, and an update of the whole state repairs it': async (t, s) => {
    const { client, clients, want } = await registered(s);
    await s.editClient(client.clientId, { client_name: 'edited 7' });
    const seen = await clients.observe(ref(client), want, signal());
    t.deepEqual([seen.drift, seen.generation], [['name'], undefined]);
    await s.editClient(client.clientId, { client_name: 'ci-bots 7' });
    t.is((await clients.observe(ref(client), want, signal())).generation, 7);
    const answer = await clients.update(ref(client), want, signal());
    t.deepEqual(answer.observed.drift, []);
    t.deepEqual((await clients.observe(ref(answer), want, signal())).drift, []);
  },

  'rotation with two keys: both authenticate, then only the new one, and the subject stays': async (t, s) => {
    const { client, clients, tokens, key, want } = await registered(s);
    const wanted = ask(s.audience, s.scopes[0]);
    const next = await s.issuer.generateKey();
    const before = await tokens.mint(wanted, client.clientId, key, signal());
    const both = await clients.update(ref(client), { ...want, keys: [key.publicJwk, next.publicJwk] }, signal());
    t.is(both.clientId, client.clientId);
    for (const each of [key, next]) {
      const minted = await tokens.mint(wanted, client.clientId, each, signal());
      t.is(minted.subject, before.subject);
    }
    await clients.update(ref({ ...client, ...both }), { ...want, keys: [next.publicJwk] }, signal());
    await t.notThrowsAsync(tokens.mint(wanted, client.clientId, next, signal()));
    const error = await failure(t, tokens.mint(wanted, client.clientId, key, signal()));
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'CredentialRefused', 'Object']);
  },

  'a management token that an update replaced is lost, and the message says what to do': async (t, s) => {
    const { client, clients, want } = await registered(s);
    const answer = await clients.update(ref(client), want, signal());
    if (!s.rotatesManagementToken) {
      await t.notThrowsAsync(clients.update(ref(client), want, signal()));
      return;
    }
    t.not(answer.management?.token.reveal(), client.management?.token.reveal());
    t.is((await clients.observe(ref(client), want, signal())).is, 'Unknowable');
    for (const work of [clients.update(ref(client), want, signal()), clients.deregister(ref(client), signal())]) {
      const error = await failure(t, work);
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationAccessTokenLost', 'Object']);
      t.regex(error.message, /managementTokenRef/);
    }
    t.is((await clients.observe(ref({ ...client, ...answer }), want, signal())).is, 'Present');
  },

  'without any management token nothing is known and nothing is called': async (t, s) => {
    const { client, clients, want } = await registered(s);
    const bare = { clientId: client.clientId };
    t.is((await clients.observe(bare, want, signal())).is, 'Unknowable');
    t.is((await failure(t, clients.update(bare, want, signal()))).reason, 'RegistrationAccessTokenLost');
    t.is((await failure(t, clients.deregister(bare, signal()))).reason, 'RegistrationAccessTokenLost');
  },

  'a deregistered client can neither mint nor be managed': async (t, s) => {
    const { client, clients, tokens, key, want } = await registered(s);
    t.is(await clients.deregister(ref(client), signal()), 'Deleted');
    const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal()));
    t.is(error.reason, 'CredentialRefused');
    t.not((await clients.observe(ref(client), want, signal())).is, 'Present');
  },

  'a client that an administrator removed is refused at the token endpoint': async (t, s) => {
    const { client, tokens, key } = await registered(s);
    await s.removeClient(client.clientId);
    const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal()));
    t.deepEqual([error.class, error.reason], ['Terminal', 'CredentialRefused']);
  },

  'another key than the registered one is refused': async (t, s) => {
    const { client, tokens } = await registered(s);
    const stranger = await s.issuer.generateKey();
    const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, stranger, signal()));
    t.is(error.reason, 'CredentialRefused');
    t.false(error.message.includes(stranger.kid));
  },

  'a scope that the client does not have is refused': async (t, s) => {
    const { client, tokens, key } = await registered(s);
    const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[1]), client.clientId, key, signal()));
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'ScopeRefused', 'Object']);
  },

  'a scope that nobody knows is refused, or visibly missing from what was granted': async (t, s) => {
    const { client, tokens, key } = await registered(s);
    const work = tokens.mint(ask(s.audience, s.scopes[0], 'unheard:of'), client.clientId, key, signal());
    if (s.unknownScope === 'Refused') t.is((await failure(t, work)).reason, 'ScopeRefused');
    else t.deepEqual((await work).scopes, [s.scopes[0]]);
  },

  'an audience that the provider does not know is refused': async (t, s) => {
    const { client, tokens, key } = await registered(s);
    const error = await failure(t, tokens.mint(ask(s.unknownAudience, s.scopes[0]), client.clientId, key, signal()));
    t.deepEqual([error.class, error.reason], ['Terminal', 'ScopeRefused']);
  },

  'a scope that the provider does not know cannot be registered, and it says so': async (t, s) => {
    const key = await s.issuer.generateKey();
    const { clients } = s.issuer.provider(choiceOf(s));
    const error = await failure(t, clients!.register(desired(s, ['unheard:of'], key), signal()));
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationRefused', 'Object']);
  },

  'a wrong registration credential is the trouble of the whole issuer': async (t, s) => {
    const issuer = s.withRegistrationToken('not-the-token-that-was-given');
    const { clients } = issuer.provider(choiceOf(s));
    const error = await failure(t, clients!.register(desired(s, [s.scopes[0]], await issuer.generateKey()), signal()));
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationCredentialRefused', 'Issuer']);
    t.false(error.message.includes('not-the-token-that-was-given'));
    await issuer.close();
  },

  'revoking is idempotent and what it reaches is said': async (t, s) => {
    const { client, provider, tokens, key } = await registered(s);
    const { value } = await tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
    const outcome = await tokens.revoke(value, client.clientId, key, signal());
    const reach = reachOf(s);
    t.is(provider.capabilities.revocation, reach);
    t.is(outcome, outcomes[reach]);
    if (reach === 'ExpiryOnly') return;
    t.is((await tokens.introspect(value, client.clientId, key, signal()))?.active, false);
    t.is(await tokens.revoke(value, client.clientId, key, signal()), outcomes[reach]);
    t.is(await tokens.revoke(new Redacted('never-issued'), client.clientId, key, signal()), 'Confirmed');
  },

  'only the token that is revoked dies': async (t, s) => {
    const { client, tokens, key } = await registered(s);
    const wanted = ask(s.audience, s.scopes[0]);
    const first = await tokens.mint(wanted, client.clientId, key, signal());
    const second = await tokens.mint(wanted, client.clientId, key, signal());
    await tokens.revoke(first.value, client.clientId, key, signal());
    const alive = await tokens.introspect(second.value, client.clientId, key, signal());
    if (reachOf(s) === 'ExpiryOnly') t.is(alive, undefined, 'JWTs of this product cannot be introspected');
    else t.deepEqual([alive?.active, alive?.scopes, alive?.audiences], [true, [s.scopes[0]], [s.audience]]);
  },
};
