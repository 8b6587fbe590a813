/** Rows about the client itself: registering, observing, changing and deleting it (RFC 7591, RFC 7592). */
import { minute, second } from '#src/clock.ts';
import type { OperatorError } from '#src/errors.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { Redacted } from '#src/redacted.ts';
import { ask, choiceOf, desired, failure, ref, registered, type Row, signal } from './contract.ts';

const chosenByProvider = 'the provider chooses the id';

export const registrationRows: readonly Row[] = [
  {
    title: 'what the product can do is said before anything is asked of it, but for what its tokens show',
    async run(t, s, traits) {
      await s.issuer.ready(signal());
      const { revocation, carrierScopes, ...known } = s.issuer.provider(choiceOf(s)).capabilities;
      t.true([traits.revocation, 'IntrospectionOnly'].includes(revocation));
      t.deepEqual(known, {
        variants: traits.variants,
        clientIdBy: traits.clientIdBy,
        credentialPropagation: 10_000,
        ignoredScopes: traits.profile === 'Keycloak' ? ['email', 'profile'] : [],
      });
      t.deepEqual(carrierScopes([s.audience]), traits.profile === 'Keycloak' ? [s.carrier] : []);
      t.deepEqual(carrierScopes(['https://elsewhere.example.com']), []);
    },
  },
  {
    title: 'create: a registered client mints a token with exactly what was asked',
    async run(t, s, traits) {
      const { client, tokens, key, want } = await registered(s);
      const { observed } = client;
      t.deepEqual([observed.is, observed.drift, observed.generation], ['Present', [], 1]);
      t.is(observed.tag ?? want.tag, want.tag);
      t.truthy(client.management);
      const minted = await tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
      t.deepEqual(minted.scopes, [s.scopes[0]]);
      t.is(minted.tokenType.toLowerCase(), 'bearer');
      t.true(minted.expiresIn! > 0);
      t.truthy(minted.providerTime ?? minted.jwt?.issuedAt);
      t.deepEqual(minted.audiences, traits.tokenFormat === 'jwt' ? [s.audience] : undefined);
      t.true(Math.abs(s.issuer.clockOffset()!) < 5_000, "the provider's clock is known by now");
    },
  },
  {
    title: 'create: a scope that the provider does not know cannot be registered, and it says so',
    missing: ({ registersUnknownScope: it }) => (it === 'Accepted' ? 'it registers any text as scope' : undefined),
    async run(t, s) {
      const key = await s.issuer.generateKey();
      const { clients } = s.issuer.provider(choiceOf(s));
      const error = await failure(t, clients!.register(desired(s, ['unheard:of'], key), signal()));
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationRefused', 'Object']);
    },
  },
  {
    title: 'create: a wrong registration credential is the trouble of the whole issuer',
    missing: ({ registration }) => (registration === 'Anybody' ? 'anybody may register' : undefined),
    async run(t, s) {
      const issuer = s.another('not-the-token-that-was-given');
      const { clients } = issuer.provider(choiceOf(s));
      const error = await failure(
        t,
        clients!.register(desired(s, [s.scopes[0]], await issuer.generateKey()), signal()),
      );
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationCredentialRefused', 'Issuer']);
      t.regex(error.message, /put a new initial access token into the Secret of registrationTokenRef/);
      t.false(error.message.includes('not-the-token-that-was-given'));
      await issuer.close();
    },
  },
  {
    title: 'open-intent Register: sent again where the provider chooses the id, there are two clients',
    missing: ({ clientIdBy }) => (clientIdBy === 'Us' ? 'the id is ours' : undefined),
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      t.not((await clients.register(want, signal())).clientId, client.clientId);
    },
  },
  {
    title: 'open-intent Register: a lost answer is found under the id that we chose, by its credential',
    missing: ({ clientIdBy }) => (clientIdBy === 'Provider' ? chosenByProvider : undefined),
    async run(t, s) {
      const { client, clients, tokens, key, want } = await registered(s);
      t.is(want.clientId, client.clientId);
      const error = await failure(t, clients.register(want, signal()));
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'ClientIdTaken', 'Object']);
      t.false(surelyWithoutEffect(error), 'the intent stays open, so that the planned credential is proven');
      await t.notThrowsAsync(tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal()));
    },
  },
  {
    title: 'open-intent Register: an id that somebody else took is told apart by the credential, and left alone',
    missing: ({ clientIdBy }) => (clientIdBy === 'Provider' ? chosenByProvider : undefined),
    async run(t, s) {
      const { client, clients, tokens, want } = await registered(s);
      const ours = await s.issuer.generateKey();
      const error = await failure(t, clients.register({ ...want, keys: [ours.publicJwk] }, signal()));
      t.is(error.reason, 'ClientIdTaken');
      t.true(error.message.includes(client.clientId));
      const proof = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, ours, signal()));
      t.is(proof.reason, 'CredentialRefused');
    },
  },
  {
    title: 'open-intent Update: its answer lost, the new credential works, and the management token is gone or stays',
    async run(t, s, traits) {
      const { client, clients, tokens, key, want } = await registered(s);
      const next = await s.issuer.generateKey();
      const both = { ...want, keys: [key.publicJwk, next.publicJwk] };
      await clients.update(ref(client), both, signal());
      for (const each of [key, next])
        await t.notThrowsAsync(tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, each, signal()));
      const seen = await clients.observe(ref(client), both, signal());
      t.is(seen.is, traits.managementToken === 'Replaced' ? 'Unknowable' : 'Present');
    },
  },
  {
    title: 'open-intent Deregister: sent again it is gone, or cannot be told from a lost management token',
    async run(t, s) {
      const { client, clients } = await registered(s);
      await clients.deregister(ref(client), signal());
      const again = await clients.deregister(ref(client), signal()).catch((error: OperatorError) => error.reason);
      t.true(again === 'Gone' || again === 'RegistrationAccessTokenLost', String(again));
    },
  },
  {
    title: 'answer-too-late: a management token that an update replaced is lost, and the message says what to do',
    missing: ({ managementToken: it }) => (it === 'Kept' ? 'the management token stays' : undefined),
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      const answer = await clients.update(ref(client), want, signal());
      t.not(answer.management?.token.reveal(), client.management?.token.reveal());
      t.is((await clients.observe(ref(client), want, signal())).is, 'Unknowable');
      for (const work of [clients.update(ref(client), want, signal()), clients.deregister(ref(client), signal())]) {
        const error = await failure(t, work);
        t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationAccessTokenLost', 'Object']);
        t.regex(error.message, /managementTokenRef/);
      }
      t.is((await clients.observe(ref({ ...client, ...answer }), want, signal())).is, 'Present');
    },
  },
  {
    title: 'answer-too-late: a management token that stays is good for any number of updates',
    missing: ({ managementToken: it }) => (it === 'Replaced' ? 'each update replaces it' : undefined),
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      for (let time = 0; time < 3; time += 1) await t.notThrowsAsync(clients.update(ref(client), want, signal()));
      t.is(await clients.deregister(ref(client), signal()), 'Deleted');
    },
  },
  {
    title: 'answer-too-late: a new management token from the administrator is handed in and replaced at its first use',
    missing: ({ newManagementToken: can }) => (can ? undefined : 'its administrator cannot make one'),
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      const token = new Redacted(await s.newManagementToken!(client.clientId));
      t.is((await failure(t, clients.update(ref(client), want, signal()))).reason, 'RegistrationAccessTokenLost');
      const { uri } = client.management!;
      const answer = await clients.update({ clientId: client.clientId, management: { token, uri } }, want, signal());
      t.not(answer.management!.token.reveal(), token.reveal());
      t.is(await clients.deregister(ref(answer), signal()), 'Deleted');
    },
  },
  {
    title: 'answer-too-late: without any management token nothing is known and nothing is called',
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      const bare = { clientId: client.clientId };
      t.is((await clients.observe(bare, want, signal())).is, 'Unknowable');
      t.is((await failure(t, clients.update(bare, want, signal()))).reason, 'RegistrationAccessTokenLost');
      t.is((await failure(t, clients.deregister(bare, signal()))).reason, 'RegistrationAccessTokenLost');
    },
  },
  {
    title: 'stale: observing shows the client as it was registered, and mutates nothing',
    async run(t, s, traits) {
      const { client, clients, want } = await registered(s);
      for (let time = 0; time < 2; time += 1) {
        const seen = await clients.observe(ref(client), want, signal());
        t.deepEqual([seen.is, seen.drift], ['Present', []]);
        t.is(seen.tag, traits.tagIsRead ? want.tag : undefined);
      }
    },
  },
  {
    title: 'stale: an edit behind our back is drift, and an update of the whole state repairs it',
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      await s.renameClient(client.clientId, 'edited 7');
      const seen = await clients.observe(ref(client), want, signal());
      t.deepEqual([seen.drift, seen.generation], [['name'], undefined]);
      const answer = await clients.update(ref(client), want, signal());
      t.deepEqual(answer.observed.drift, []);
      t.deepEqual((await clients.observe(ref({ ...client, ...answer }), want, signal())).drift, []);
    },
  },
  {
    title: 'restored: the generation that the provider knows is read from the name',
    async run(t, s) {
      const { client, clients, want } = await registered(s);
      await s.renameClient(client.clientId, 'ci-bots 7');
      t.is((await clients.observe(ref(client), want, signal())).generation, 7);
    },
  },
  {
    title: 'stale: an update changes the scopes of the client, wider and narrower',
    async run(t, s, traits) {
      const { client, clients, tokens, key, want } = await registered(s);
      const first = await clients.update(ref(client), { ...want, scopes: [...s.scopes] }, signal());
      t.deepEqual(first.observed.drift, []);
      const both = await tokens.mint(ask(s.audience, ...s.scopes), client.clientId, key, signal());
      t.deepEqual([...both.scopes!].toSorted(), [...s.scopes].toSorted());
      await clients.update(ref({ ...client, ...first }), want, signal());
      const narrower = tokens.mint(ask(s.audience, s.scopes[1]), client.clientId, key, signal());
      if (traits.unregisteredScope === 'Refused') t.is((await failure(t, narrower)).reason, 'ScopeRefused');
      else await t.notThrowsAsync(narrower);
    },
  },
  {
    title: 'stale: the lifetime of its tokens is that of the client, and follows an update',
    missing: ({ lifetimeBy }) => (lifetimeBy === 'Provider' ? 'the provider sets it for all' : undefined),
    async run(t, s) {
      const provider = s.issuer.provider(choiceOf(s));
      const key = await s.issuer.generateKey();
      const want = { ...desired(s, [s.scopes[0]], key), maxTokenLifetime: 11 * minute };
      const client = await provider.clients!.register(want, signal());
      const lifeOf = async () => {
        const minted = await provider.tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
        const { jwt, expiresIn } = minted;
        return jwt === undefined ? Math.ceil(expiresIn! / 10) * 10 * second : jwt.exp! - jwt.issuedAt!;
      };
      t.is(await lifeOf(), 11 * minute);
      await provider.clients!.update(ref(client), { ...want, maxTokenLifetime: 2 * minute }, signal());
      t.is(await lifeOf(), 2 * minute);
    },
  },
  {
    title: 'unwanted: a deregistered client can neither mint nor be managed',
    async run(t, s, traits) {
      const { client, clients, tokens, key, want } = await registered(s);
      t.is(await clients.deregister(ref(client), signal()), 'Deleted');
      const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal()));
      t.deepEqual([error.reason, error.whose], [traits.deletedClient, 'Object']);
      t.not((await clients.observe(ref(client), want, signal())).is, 'Present');
      t.is((await s.clientIds()).includes(client.clientId), traits.deregistered === 'Disabled');
    },
  },
  {
    title: 'unwanted: what happens to the tokens of a client that is deleted before they are revoked',
    missing: ({ tokensOfDeletedClient: it }) => (it === 'CannotBeAsked' ? 'nobody can ask about its JWTs' : undefined),
    async run(t, s, traits) {
      const { client, clients, tokens, key } = await registered(s);
      const { value } = await tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
      t.true(await s.isLive(value.reveal()));
      await clients.deregister(ref(client), signal());
      t.is(await s.isLive(value.reveal()), traits.tokensOfDeletedClient === 'Live');
    },
  },
  {
    title: 'unwanted: a client that is made again under the same id has another subject',
    missing: ({ clientIdBy }) => (clientIdBy === 'Provider' ? chosenByProvider : undefined),
    async run(t, s) {
      const { client, clients, tokens, key, want } = await registered(s);
      const wanted = ask(s.audience, s.scopes[0]);
      const before = await tokens.mint(wanted, client.clientId, key, signal());
      await clients.deregister(ref(client), signal());
      const again = await clients.register(want, signal());
      t.is(again.clientId, client.clientId);
      const after = await tokens.mint(wanted, again.clientId, key, signal());
      t.truthy(before.subject);
      t.not(after.subject, before.subject);
    },
  },
  {
    title: 'refused: a client that an administrator removed is refused at the token endpoint, and concerns nobody else',
    async run(t, s) {
      const { client, tokens, key } = await registered(s);
      await s.removeClient(client.clientId);
      const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal()));
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'CredentialRefused', 'Object']);
    },
  },
];
