import test from 'ava';
import { ask, choiceOf, desired, failure, ref, registered, signal, type Subject } from '#test/providers/contract.ts';
import { issuerAt } from '#test/providers/contract-issuer.ts';
import { contractRows } from '#test/providers/contract-rows.ts';
import { runContract } from '#test/providers/contract-run.ts';
import { keycloakTraits } from '#test/providers/contract-traits.ts';
import { typeAsAdministrator } from './administrator.ts';
import { kcadmSteps } from './kcadm.ts';
import type { Keycloak } from './keycloak.ts';
import type { Realm } from './realm.ts';

const audience = 'https://registry.example.com';
const audiences = { [audience]: 'registry-audience' };

const sentenceFor = (issuer: string): string =>
  `issuer ${issuer} – registration endpoint refuses to register the client (403 insufficient_scope, "Policy 'Allowed Client Scopes' rejected ` +
  `request to client-registration service. Details: Not permitted to use specified clientScope"). ` +
  'In Keycloak make each of artifacts:publish, registry-audience an optional client scope of realm stock (Client scopes, Assigned type Optional), and give registry-audience a mapper of type Audience.';

/** `running` is asked when the first test begins. */
export function testContract(running: () => Keycloak): void {
  let realm: Realm;
  let subject: Subject;
  let numbers = 0;

  const at = (of: Realm, token: string) => issuerAt({ issuer: of.issuer, caPem: running().caPem }, 'Keycloak', token);

  runContract(
    keycloakTraits,
    async () => {
      realm = await running().realm();
      await realm.prepare({ scopes: ['artifacts:publish', 'artifacts:read'], audiences });
      const registrationToken = await realm.initialAccessToken();
      subject = {
        issuer: at(realm, registrationToken),
        scopes: ['artifacts:publish', 'artifacts:read'],
        audience,
        unknownAudience: 'https://unknown.example.com',
        carrier: 'registry-audience',
        audienceChoice: { audienceBy: 'Profile', audienceScopes: audiences },
        newClientId: () => `ci-01234567-bots-${(numbers += 1)}`,
        another: (token = registrationToken) => at(realm, token),
        removeClient: (clientId) => realm.removeClient(clientId),
        renameClient: (clientId, name) => realm.editClient(clientId, { name }),
        newManagementToken: (clientId) => realm.replaceManagementToken(clientId),
        clientIds: () => realm.clientIds(),
        isLive: (token) => realm.isLive(token),
        caPem: running().caPem,
        stop: () => Promise.resolve(),
      };
      return subject;
    },
    contractRows,
  );

  // What only this product has: its administrator's steps, and its ways to count registrations and to give scopes to all.

  test.serial(
    'a stock realm refuses the scopes, says what its administrator has to do, and works after exactly that',
    async (t) => {
      const stock = await running().realm('stock');
      const issuer = at(stock, await stock.initialAccessToken());
      const { clients, tokens } = issuer.provider(choiceOf(subject));
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

  test.serial('the lines that the README gives to an administrator work as they stand', async (t) => {
    const typed = await running().realm('typed');
    const token = await typeAsAdministrator(
      running(),
      `${kcadmSteps('typed', ['artifacts:publish'], audiences)}
      kcadm.sh create clients-initial-access -r typed -s count=20 -s expiration=0 -o --fields token`,
    );
    const issuer = at(typed, (JSON.parse(token.slice(token.indexOf('{'))) as { readonly token: string }).token);
    const { clients, tokens } = issuer.provider(choiceOf(subject));
    const key = await issuer.generateKey();
    const client = await clients!.register(desired(subject, ['artifacts:publish'], key), signal());
    const minted = await tokens.mint(ask(audience, 'artifacts:publish'), client.clientId, key, signal());
    t.deepEqual([minted.scopes, minted.audiences], [['artifacts:publish'], [audience]]);
    await issuer.close();
  });

  test.serial(
    'what an administrator switches or adds at the client is drift, and an update takes it away',
    async (t) => {
      const { client, clients, tokens, key, want } = await registered(subject);
      await realm.editClient(client.clientId, { serviceAccountsEnabled: false });
      t.deepEqual((await clients.observe(ref(client), want, signal())).drift, ['grantTypes']);
      await realm.addDefaultScope(client.clientId, 'email');
      t.deepEqual((await clients.observe(ref(client), want, signal())).drift.toSorted(), ['grantTypes', 'scopes']);
      const answer = await clients.update(ref(client), want, signal());
      t.deepEqual(answer.observed.drift, []);
      // The account itself went when it was switched off; only an administrator's change makes another one.
      const mint = () => tokens.mint(ask(audience, subject.scopes[0]), client.clientId, key, signal());
      const refusal = await failure(t, mint());
      t.deepEqual(
        [refusal.reason, refusal.said],
        ['CredentialRefused', 'The associated service account for the client does not exist'],
      );
      await realm.editClient(client.clientId, { serviceAccountsEnabled: true });
      await t.notThrowsAsync(mint());
    },
  );

  test.serial(
    'keys that are read from a URL instead, and an algorithm that somebody chose, are drift, and an update takes them away',
    async (t) => {
      const { client, clients, tokens, key, want } = await registered(subject);
      await realm.editAttributes(client.clientId, {
        'use.jwks.string': 'false',
        'use.jwks.url': 'true',
        'jwks.url': 'https://elsewhere.example.com/keys',
        'token.endpoint.auth.signing.alg': 'RS256',
      });
      const { drift, excess } = await clients.observe(ref(client), want, signal());
      t.deepEqual([drift.toSorted(), excess], [['keys', 'settings'], true]);
      const answer = await clients.update(ref(client), want, signal());
      t.deepEqual(answer.observed.drift, []);
      t.deepEqual((await clients.observe(ref(client), want, signal())).drift, []);
      await t.notThrowsAsync(tokens.mint(ask(audience, subject.scopes[0]), client.clientId, key, signal()));
    },
  );

  for (const [title, token] of Object.entries({
    'used up': async () => {
      const once = await realm.initialAccessToken({ count: 1 });
      const issuer = at(realm, once);
      const key = await issuer.generateKey();
      await issuer.provider(choiceOf(subject)).clients!.register(desired(subject, [], key), signal());
      await issuer.close();
      return once;
    },
    'of another realm': async () => (await running().realm('other')).initialAccessToken(),
  })) {
    test.serial(`an initial access token that is ${title} is the trouble of the issuer, with a sentence`, async (t) => {
      const issuer = at(realm, await token());
      const work = issuer.provider(choiceOf(subject)).clients!.register(desired(subject, []), signal());
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
}
