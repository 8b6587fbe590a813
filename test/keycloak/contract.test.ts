import test from 'ava';
import { minute, systemClock } from '#src/clock.ts';
import { type Issuer, Issuers } from '#src/providers/issuers.ts';
import { Redacted } from '#src/redacted.ts';
import type { AuthenticationMethod } from '#src/domain/client/credential.ts';
import type { Minted } from '#src/domain/token.ts';
import type { DesiredClient } from '#src/providers/port.ts';
import { ask, behaviours, desired, failure, ref, registered, signal, type Subject } from '#test/providers/contract.ts';
import { type Keycloak, startKeycloak } from './keycloak.ts';
import type { Realm } from './realm.ts';

const audience = 'https://registry.example.com';
const audiences = { [audience]: 'registry-audience' };

let keycloak: Keycloak;
let realm: Realm;
let subject: Subject;
let numbers = 0;

/** Between the two times in the token; `expires_in` counts down while a busy Keycloak works on the answer. */
const lifespanOf = ({ jwtExp, providerTime }: Minted): number => jwtExp! - providerTime!;

function issuerAt(of: Realm, token: string): Issuer {
  const issuers = new Issuers({ clock: systemClock, random: () => 0.5 });
  issuers.configure([
    {
      url: of.issuer,
      profile: 'Keycloak',
      registrationToken: () => new Redacted(token),
      caBundle: () => keycloak.caPem,
      allowPrivateNetwork: true,
    },
  ]);
  return issuers.get(of.issuer)!;
}

test.before('start Keycloak with a realm whose administrator took the steps', async () => {
  keycloak = await startKeycloak();
  realm = await keycloak.realm();
  await realm.prepare({ scopes: ['artifacts:publish', 'artifacts:read'], audiences });
  subject = {
    issuer: issuerAt(realm, await realm.initialAccessToken()),
    scopes: ['artifacts:publish', 'artifacts:read'],
    audience,
    unknownAudience: 'https://unknown.example.com',
    audienceChoice: { audienceBy: 'Profile', audienceScopes: audiences },
    newClientId: () => `ci-01234567-bots-${(numbers += 1)}`,
    withRegistrationToken: (token) => issuerAt(realm, token),
    removeClient: (clientId) => realm.removeClient(clientId),
    editClient: (clientId, { client_name: name }) => realm.editClient(clientId, { name }),
    unknownScope: 'Refused',
    rotatesManagementToken: true,
    tokenFormat: 'jwt',
    revocation: 'IntrospectionOnly',
  };
});

test.after.always('stop Keycloak', async () => {
  await subject?.issuer.close();
  await keycloak?.stop();
});

for (const [title, behaviour] of Object.entries(behaviours)) {
  test.serial(`Keycloak: ${title}`, (t) => behaviour(t, subject));
}

test.serial(
  'a stock realm refuses the scopes, says what its administrator has to do, and works after exactly that',
  async (t) => {
    const stock = await keycloak.realm('stock');
    const issuer = issuerAt(stock, await stock.initialAccessToken());
    const { clients, tokens } = issuer.provider(subject.audienceChoice!);
    const key = await issuer.generateKey();
    const want = desired(subject, ['artifacts:publish'], key);
    const refusal = await failure(t, clients!.register(want, signal()));
    t.deepEqual([refusal.class, refusal.reason, refusal.whose], ['Terminal', 'RegistrationRefused', 'Object']);
    t.is(refusal.message, sentenceFor(stock.issuer));
    t.deepEqual(await stock.clientIds(), []);
    await stock.prepare({ scopes: ['artifacts:publish'], audiences });
    const client = await clients!.register(want, signal());
    const minted = await tokens.mint(ask(audience, 'artifacts:publish'), client.clientId, key, signal());
    t.deepEqual([minted.scopes, minted.audiences], [['artifacts:publish'], [audience]]);
    await issuer.close();
  },
);

const sentenceFor = (issuer: string): string =>
  `issuer ${issuer} – registration endpoint refuses to register the client (403 insufficient_scope, "Policy 'Allowed Client Scopes' rejected ` +
  `request to client-registration service. Details: Not permitted to use specified clientScope"). ` +
  'In Keycloak make each of artifacts:publish, registry-audience an optional client scope of realm stock (Client scopes, Assigned type Optional).';

test.serial(
  'the lifespan is the one of the pool, the realm adds nothing, and the answer keeps the owner',
  async (t) => {
    const key = await subject.issuer.generateKey();
    const { clients, tokens } = subject.issuer.provider(subject.audienceChoice!);
    const want = { ...desired(subject, ['artifacts:publish'], key), maxTokenLifetime: 11 * minute };
    const client = await clients!.register(want, signal());
    t.is(client.observed.tag, want.tag);
    const minted = await tokens.mint(ask(audience, 'artifacts:publish'), client.clientId, key, signal());
    t.is(lifespanOf(minted), 11 * minute);
    t.deepEqual([minted.scopes, minted.audiences], [['artifacts:publish'], [audience]]);
    t.truthy(minted.subject);
    const offset = subject.issuer.clockOffset();
    t.true(offset !== undefined && Math.abs(offset) < 5_000, 'Keycloak sends no Date, so the token tells its clock');
  },
);

test.serial('what an administrator switches or adds at the client is drift', async (t) => {
  const { client, clients, want } = await registered(subject);
  await realm.editClient(client.clientId, { serviceAccountsEnabled: false });
  t.deepEqual((await clients.observe(ref(client), want, signal())).drift, ['grantTypes']);
  const answer = await clients.update(ref(client), want, signal());
  t.deepEqual(answer.observed.drift, []);
});

test.serial('an update changes scopes and lifespan, and takes away what an administrator added', async (t) => {
  const { client, clients, tokens, key, want } = await registered(subject);
  await realm.addDefaultScope(client.clientId, 'email');
  t.deepEqual((await clients.observe(ref(client), want, signal())).drift, ['scopes']);
  const wider = { ...want, scopes: [...subject.scopes], maxTokenLifetime: 2 * minute };
  const first = await clients.update(ref(client), wider, signal());
  t.deepEqual(first.observed.drift, []);
  const both = await tokens.mint(ask(audience, ...subject.scopes), client.clientId, key, signal());
  t.deepEqual([...both.scopes!].toSorted(), [...subject.scopes].toSorted());
  t.is(lifespanOf(both), 2 * minute);
  const second = await clients.update(ref(first), want, signal());
  t.deepEqual(second.observed.drift, []);
  const error = await failure(t, tokens.mint(ask(audience, ...subject.scopes), client.clientId, key, signal()));
  t.is(error.reason, 'ScopeRefused');
});

for (const [title, token] of Object.entries({
  'used up': async () => {
    const once = await realm.initialAccessToken({ count: 1 });
    const issuer = issuerAt(realm, once);
    const key = await issuer.generateKey();
    await issuer.provider(subject.audienceChoice!).clients!.register(desired(subject, [], key), signal());
    await issuer.close();
    return once;
  },
  'of another realm': async () => (await keycloak.realm('other')).initialAccessToken(),
})) {
  test.serial(`an initial access token that is ${title} is the trouble of the issuer, with a sentence`, async (t) => {
    const issuer = issuerAt(realm, await token());
    const work = issuer.provider(subject.audienceChoice!).clients!.register(desired(subject, []), signal());
    const error = await failure(t, work);
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationCredentialRefused', 'Issuer']);
    t.regex(error.message, /put a new initial access token into the Secret of registrationTokenRef/);
    await issuer.close();
  });
}

test.serial(
  'an update to a scope that the realm does not allow is refused with the same step, and changes nothing',
  async (t) => {
    const { client, clients, tokens, key, want } = await registered(subject);
    const error = await failure(t, clients.update(ref(client), { ...want, scopes: ['unheard:of'] }, signal()));
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'RegistrationRefused', 'Object']);
    t.regex(error.message, /make each of registry-audience, unheard:of an optional client scope of realm ci/);
    t.deepEqual((await clients.observe(ref(client), want, signal())).drift, []);
    await t.notThrowsAsync(tokens.mint(ask(audience, subject.scopes[0]), client.clientId, key, signal()));
  },
);

test.serial('what this product can do is said before anything is asked of it', async (t) => {
  await subject.issuer.ready(signal());
  const { capabilities } = subject.issuer.provider(subject.audienceChoice!);
  t.deepEqual(capabilities, {
    variants: ['TwoKeys', 'NewClient'],
    clientIdBy: 'Us',
    findByTag: false,
    revocation: 'IntrospectionOnly',
    narrowsScopes: true,
    exchange: false,
    credentialPropagation: 10_000,
    ignoredScopes: ['email', 'profile'],
    carrierScopes: ['registry-audience'],
  });
});

test.serial('a client id that somebody else took: told apart by the credential, and left alone', async (t) => {
  const { client, clients, tokens, want } = await registered(subject);
  const ours = await subject.issuer.generateKey();
  const error = await failure(t, clients.register({ ...want, keys: [ours.publicJwk] }, signal()));
  t.is(error.reason, 'ClientIdTaken');
  t.true(error.message.includes(client.clientId));
  const proof = await failure(t, tokens.mint(ask(audience, subject.scopes[0]), client.clientId, ours, signal()));
  t.is(proof.reason, 'CredentialRefused');
});

test.serial(
  'a lost registration access token: a new one from the administrator is handed in and replaced at its first use',
  async (t) => {
    const { client, clients, want } = await registered(subject);
    const token = new Redacted(await realm.replaceManagementToken(client.clientId));
    t.is((await failure(t, clients.update(ref(client), want, signal()))).reason, 'RegistrationAccessTokenLost');
    const { uri } = client.management!;
    const answer = await clients.update({ clientId: client.clientId, management: { token, uri } }, want, signal());
    t.not(answer.management!.token.reveal(), token.reveal());
    t.is(await clients.deregister(ref(answer), signal()), 'Deleted');
  },
);

test.serial('a client that is made again under the same id has another subject', async (t) => {
  const { client, clients, tokens, key, want } = await registered(subject);
  const wanted = ask(audience, subject.scopes[0]);
  const before = await tokens.mint(wanted, client.clientId, key, signal());
  await clients.deregister(ref(client), signal());
  const again = await clients.register(want, signal());
  t.is(again.clientId, client.clientId);
  const after = await tokens.mint(wanted, again.clientId, key, signal());
  t.truthy(before.subject);
  t.not(after.subject, before.subject);
});

test.serial('only the client that a token was issued to can revoke it', async (t) => {
  const [one, other] = [await registered(subject), await registered(subject)];
  const minted = await one.tokens.mint(ask(audience, subject.scopes[0]), one.client.clientId, one.key, signal());
  const error = await failure(t, one.tokens.revoke(minted.value, other.client.clientId, other.key, signal()));
  t.is(error.class, 'Terminal');
  const state = await one.tokens.introspect(minted.value, one.client.clientId, one.key, signal());
  t.true(state?.active);
});

for (const authentication of ['ClientSecretBasic', 'ClientSecretPost'] satisfies AuthenticationMethod[]) {
  test.serial(`${authentication}: the provider gives the secret, an update keeps it`, async (t) => {
    const { clients, tokens } = subject.issuer.provider(subject.audienceChoice!);
    const want: DesiredClient = { ...desired(subject, [subject.scopes[0]]), authentication };
    const client = await clients!.register(want, signal());
    t.deepEqual(client.observed.drift, []);
    const secret = client.secret!;
    const answer = await clients!.update(ref(client), want, signal());
    t.is((answer.secret ?? secret).reveal(), secret.reveal());
    const wanted = ask(audience, subject.scopes[0]);
    await t.notThrowsAsync(tokens.mint(wanted, client.clientId, { type: authentication, secret }, signal()));
    const wrong = { type: authentication, secret: new Redacted('not-the-secret-of-this-client') };
    const error = await failure(t, tokens.mint(wanted, client.clientId, wrong, signal()));
    t.is(error.reason, 'CredentialRefused');
  });
}
