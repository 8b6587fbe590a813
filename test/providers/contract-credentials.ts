/** Rows about how a client proves itself, and how that is replaced. */
import type { AuthenticationMethod, Credential } from '#src/domain/client/credential.ts';
import type { DesiredClient } from '#src/providers/port.ts';
import { Redacted } from '#src/redacted.ts';
import { ask, choiceOf, desired, failure, ref, registered, type Row, signal, type Subject } from './contract.ts';

type SecretMethod = Exclude<AuthenticationMethod, 'PrivateKeyJwt'>;

const otherMethod = { ClientSecretBasic: 'ClientSecretPost', ClientSecretPost: 'ClientSecretBasic' } as const;

async function registeredWithSecret(s: Subject, authentication: SecretMethod) {
  const { clients, tokens } = s.issuer.provider(choiceOf(s));
  const want: DesiredClient = { ...desired(s, [s.scopes[0]]), authentication };
  const client = await clients!.register(want, signal());
  const secret = client.secret!;
  const mint = (by: Credential) => tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, by, signal());
  return { clients: clients!, tokens, want, client, secret, mint };
}

const secretRows = (['ClientSecretBasic', 'ClientSecretPost'] satisfies SecretMethod[]).flatMap((type): Row[] => [
  {
    title: `create ${type}: the secret of the answer mints and revokes, and nothing is drift`,
    async run(t, s, traits) {
      const { client, tokens, secret, mint } = await registeredWithSecret(s, type);
      t.deepEqual([client.observed.drift, client.secretExpiresAt], [[], undefined]);
      const { value } = await mint({ type, secret });
      const outcome = await tokens.revoke(value, client.clientId, { type, secret }, signal());
      t.is(outcome === 'NotSupported', traits.revocation === 'ExpiryOnly');
    },
  },
  {
    title: `not-accepted ${type}: a wrong secret is refused and not quoted, a missing one is never sent`,
    async run(t, s) {
      const { mint } = await registeredWithSecret(s, type);
      const wrong = 'a wrong secret: 100 % & + =';
      const error = await failure(t, mint({ type, secret: new Redacted(wrong) }));
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'CredentialRefused', 'Object']);
      t.false(error.message.includes('a wrong secret'));
      t.is((await failure(t, mint({ type }))).reason, 'CredentialRefused');
    },
  },
  {
    title: `stale ${type}: an update that repairs drift keeps the secret, or its answer holds the only one that works`,
    async run(t, s, traits) {
      const { client, clients, want, secret, mint } = await registeredWithSecret(s, type);
      const answer = await clients.update(ref(client), want, signal());
      if (traits.secretOnUpdate === 'Kept') {
        t.is((answer.secret ?? secret).reveal(), secret.reveal());
        await t.notThrowsAsync(mint({ type, secret }));
        return;
      }
      t.not(answer.secret?.reveal(), secret.reveal());
      await t.notThrowsAsync(mint({ type, secret: answer.secret! }));
      t.is((await failure(t, mint({ type, secret }))).reason, 'CredentialRefused');
    },
  },
  {
    title: `${type}: the same secret sent as ${otherMethod[type]}`,
    async run(t, s, traits) {
      const { secret, mint } = await registeredWithSecret(s, type);
      const otherwise = mint({ type: otherMethod[type], secret });
      if (traits.otherSecretMethod === 'Accepted') await t.notThrowsAsync(otherwise);
      else t.is((await failure(t, otherwise)).reason, 'CredentialRefused');
    },
  },
  {
    title: `refused ${type}: a client that an administrator removed is refused`,
    async run(t, s) {
      const { client, secret, mint } = await registeredWithSecret(s, type);
      await s.removeClient(client.clientId);
      t.is((await failure(t, mint({ type, secret }))).reason, 'CredentialRefused');
    },
  },
]);

export const credentialRows: readonly Row[] = [
  {
    title: 'verify: a request for nothing in particular shows whether a credential authenticates',
    async run(t, s) {
      const { client, tokens, key } = await registered(s);
      const nothing = { scopes: [], audiences: [], maxLifetime: 3_600_000 };
      const outcome = await tokens.mint(nothing, client.clientId, key, signal()).then(
        () => 'Accepted',
        ({ reason }: { reason: string }) => reason,
      );
      t.true(outcome === 'Accepted' || outcome === 'ScopeRefused', outcome);
      const stranger = await s.issuer.generateKey();
      const error = await failure(t, tokens.mint(nothing, client.clientId, stranger, signal()));
      t.is(error.reason, 'CredentialRefused');
    },
  },
  {
    title: 'not-accepted: another key than the registered one is refused',
    async run(t, s) {
      const { client, tokens } = await registered(s);
      const stranger = await s.issuer.generateKey();
      const error = await failure(t, tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, stranger, signal()));
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'CredentialRefused', 'Object']);
      t.false(error.message.includes(stranger.kid));
    },
  },
  {
    title: 'create and retire TwoKeys: both authenticate, then only the new one, and the subject stays',
    missing: ({ variants }) => (variants.includes('TwoKeys') ? undefined : 'one key at a time'),
    async run(t, s) {
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
  },
  {
    title: 'create and retire NewClient: both clients work side by side, then only the new one, with another id',
    async run(t, s, traits) {
      const [old, next] = [await registered(s), await registered(s)];
      const wanted = ask(s.audience, s.scopes[0]);
      t.not(old.client.clientId, next.client.clientId);
      for (const { tokens, client, key } of [old, next])
        await t.notThrowsAsync(tokens.mint(wanted, client.clientId, key, signal()));
      t.is(await old.clients.deregister(ref(old.client), signal()), 'Deleted');
      const error = await failure(t, old.tokens.mint(wanted, old.client.clientId, old.key, signal()));
      t.is(error.reason, traits.deletedClient);
      await t.notThrowsAsync(next.tokens.mint(wanted, next.client.clientId, next.key, signal()));
    },
  },
  {
    title: 'create InPlace: an update gives a new secret to the same client, and the old one is refused at once',
    missing: ({ variants }) => (variants.includes('InPlace') ? undefined : 'an update never changes a secret'),
    async run(t, s) {
      const { client, clients, want, secret, mint } = await registeredWithSecret(s, 'ClientSecretBasic');
      const before = await mint({ type: 'ClientSecretBasic', secret });
      const { secret: next } = await clients.update(ref(client), want, signal());
      const after = await mint({ type: 'ClientSecretBasic', secret: next! });
      t.is(after.subject, before.subject);
      t.is((await failure(t, mint({ type: 'ClientSecretBasic', secret }))).reason, 'CredentialRefused');
    },
  },
  ...secretRows,
];
