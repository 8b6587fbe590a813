/** What each product can do, from its profile, its metadata and what was learnt of it. */
import test from 'ava';
import { hour, second } from '#src/clock.ts';
import { Offer } from '#src/providers/oidc/offer.ts';
import { oidcAdapter } from '#src/providers/oidc/adapter.ts';
import type { Metadata } from '#src/providers/oidc/discovery.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { Reach } from '#src/providers/oidc/reach.ts';
import { Redacted } from '#src/redacted.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { plainClient } from './registration-over.ts';
import { json, ScriptedHttp } from './scripted-http.ts';

const issuer = 'https://idp.example.com/realms/ci';
const bare: Metadata = { issuer, tokenEndpoint: `${issuer}/token` };
const whole: Metadata = { ...bare, registrationEndpoint: `${issuer}/register`, revocationEndpoint: `${issuer}/revoke` };

const carriedBy = { by: 'Scope', scopes: { 'https://registry': 'aud-registry' } } as const;

function scene(profile: string, known: Metadata | undefined) {
  const reach = new Reach();
  const adapter = oidcAdapter(
    {
      issuer,
      clock: new VirtualClock(noon),
      discovery: { known },
      profile: profiles[profile],
      reach,
      changes: new Offer(),
    } as never,
    carriedBy,
  );
  return { reach, adapter };
}

const twoKeys = ['TwoKeys', 'NewClient'];
for (const [profile, said] of [
  ['Generic', { variants: twoKeys, clientIdBy: 'Provider', ignoredScopes: [] }],
  ['Keycloak', { variants: twoKeys, clientIdBy: 'Us', ignoredScopes: ['email', 'profile'] }],
  ['Glewlwyd', { variants: [...twoKeys, 'InPlace'], clientIdBy: 'Provider', ignoredScopes: [] }],
  ['Hydra', { variants: twoKeys, clientIdBy: 'Provider', ignoredScopes: [] }],
  ['Spring', { variants: ['NewClient'], clientIdBy: 'Provider', ignoredScopes: [], registersOnly: true }],
] as const)
  test(`${profile}: what it can do is said whole`, (t) => {
    const { carrierScopes, ...rest } = scene(profile, whole).adapter.capabilities;
    t.deepEqual(rest as unknown, { ...said, revocation: 'IntrospectionOnly', credentialPropagation: 10 * second });
    t.deepEqual(carrierScopes(['https://registry', 'https://elsewhere']), ['aud-registry']);
  });

for (const [profile, what, metadata, registers] of [
  ['Generic', 'nothing yet', undefined, true],
  ['Generic', 'a registration endpoint', whole, true],
  ['Generic', 'no registration endpoint', bare, false],
  ['Keycloak', 'no registration endpoint', bare, true],
  ['Hydra', 'no registration endpoint', bare, true],
] as const)
  test(`${profile} whose metadata name ${what}: clients are ${registers ? '' : 'not '}registered`, (t) => {
    const { adapter } = scene(profile, metadata);
    t.is(adapter.clients !== undefined, registers);
    t.deepEqual(adapter.capabilities.variants, registers ? ['TwoKeys', 'NewClient'] : []);
    t.truthy(adapter.tokens);
  });

for (const [said, variants] of [
  [
    ['private_key_jwt', 'client_secret_basic'],
    ['TwoKeys', 'NewClient'],
  ],
  [['client_secret_post'], ['NewClient']],
] as const)
  test(`a provider that lets clients authenticate by ${said.join(', ')}: ${variants.join(', ')}`, (t) => {
    t.deepEqual(scene('Generic', { ...whole, authenticationMethods: said }).adapter.capabilities.variants, variants);
  });

test('what is learnt later is said from then on, also where it depends on the product', (t) => {
  for (const [profile, revocation] of [
    ['Generic', 'ExpiryOnly'],
    ['Hydra', 'IntrospectionOnly'],
  ] as const) {
    const { adapter, reach } = scene(profile, whole);
    t.is(adapter.capabilities.revocation, 'IntrospectionOnly');
    reach.sawToken(true);
    t.is(adapter.capabilities.revocation, revocation, profile);
  }
});

test('clients and tokens are those of this issuer, by its profile and with the scopes of this pool', async (t) => {
  const clock = new VirtualClock(noon);
  const http = new ScriptedHttp(issuer, clock, ({ url }) =>
    url.endsWith('/token')
      ? json(200, { access_token: 'opaque', token_type: 'Bearer' })
      : json(201, { clientId: 'ci-1', name: 'ci-bots 1' }),
  );
  const discovery = { known: whole, get: () => Promise.resolve(whole) };
  const none = () => undefined;
  const shared = {
    issuer,
    http,
    clock,
    discovery,
    profile: profiles['Keycloak'],
    reach: new Reach(),
    changes: new Offer(),
  };
  const { clients, tokens } = oidcAdapter(
    { ...shared, registrationToken: none, managementToken: none, tokenIssuer: none, assertionAudience: none } as never,
    carriedBy,
  );
  const { signal } = new AbortController();
  const desired = {
    ...(plainClient('ci-1') as object),
    authentication: 'ClientSecretPost',
    audiences: ['https://registry'],
  };
  await clients?.register(desired as never, signal);
  const ask = { scopes: ['read'], audiences: ['https://registry'], maxLifetime: hour };
  await tokens.mint(ask, 'ci-1', { type: 'ClientSecretPost', secret: new Redacted('secret') }, signal);
  const [registration, mint] = http.sent;
  t.is(registration?.url, `${issuer}/clients-registrations/default`);
  t.like(JSON.parse(registration?.body ?? ''), { optionalClientScopes: ['aud-registry'] });
  t.is(mint?.url, whole.tokenEndpoint);
  t.is(new URLSearchParams(mint?.body).get('scope'), 'read aud-registry');
});
