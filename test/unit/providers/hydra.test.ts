/** Ory Hydra as it was seen: answers of version 2.3.0, word for word. */
import test from 'ava';
import { minute, parseRfc3339 } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { refused } from '#src/providers/classify.ts';
import { Http, type HttpAnswer } from '#src/providers/http.ts';
import { generateKey } from '#src/providers/oidc/authentication.ts';
import { Offer } from '#src/providers/oidc/offer.ts';
import { driftOf } from '#src/providers/oidc/drift.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { Reach } from '#src/providers/oidc/reach.ts';
import type { DesiredClient } from '#src/providers/port.ts';
import { readProviderError } from '#src/providers/provider-error.ts';
import { Redacted } from '#src/redacted.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { registrationOver } from './registration-over.ts';

const hydra = profiles['Hydra']!;
const malformed =
  'The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than once, or is otherwise malformed.';

for (const [what, body, status, reason] of [
  [
    'a key that is not, or no longer, registered',
    {
      error: 'invalid_request',
      error_description: `${malformed} The JSON Web Token uses signing key with kid 'LQGVHkCNoMAWZaGH4kNLgBgfmxtvBNdSBCaDHpgAlaw', which could not be found.`,
    },
    400,
    'CredentialRefused',
  ],
  [
    'a key of another kind',
    {
      error: 'invalid_request',
      error_description: `${malformed} Unable to find ECDSA public key with use='sig' for kid 'one' in JSON Web Key Set.`,
    },
    400,
    'CredentialRefused',
  ],
  [
    'an audience that the client did not register',
    {
      error: 'invalid_request',
      error_description: `${malformed} Requested audience 'https://unknown.example.com' has not been whitelisted by the OAuth 2.0 Client.`,
    },
    400,
    'ScopeRefused',
  ],
  [
    'a key of an algorithm that the client did not register',
    {
      error: 'invalid_client',
      error_description:
        "Client authentication failed (e.g., unknown client, no client authentication included, or unsupported authentication method). The 'client_assertion' uses signing algorithm 'PS256' but the requested OAuth 2.0 Client enforces signing algorithm 'ES256'.",
    },
    401,
    'CredentialRefused',
  ],
  [
    'a scope that the client did not register',
    {
      error: 'invalid_scope',
      error_description:
        "The requested scope is invalid, unknown, or malformed. The OAuth 2.0 Client is not allowed to request scope 'b'.",
    },
    400,
    'ScopeRefused',
  ],
  [
    'anything else that is malformed',
    { error: 'invalid_request', error_description: malformed },
    400,
    'TokenRequestRefused',
  ],
] as const)
  test(`the token endpoint refuses ${what}: ${reason}`, (t) => {
    const where = { issuer: 'https://idp.example.com', now: parseRfc3339('2026-11-24T12:00:00Z')! };
    const answer = { status, headers: {}, body: JSON.stringify(body) };
    const error = refused(answer, 'Token', { ...where, refusalOf: (said) => hydra.refusalOf?.(said) });
    t.deepEqual([error.class, error.reason, error.whose], ['Terminal', reason, 'Object']);
  });

const wanted = (...keys: DesiredClient['keys']): DesiredClient => ({
  clientId: '6b8c8d33-9d3c-4f0e-b0a3-5a3d1a9e7d52',
  name: 'ci-bots 1',
  tag: 'installation/owner',
  authentication: 'PrivateKeyJwt',
  keys,
  scopes: ['artifacts:publish'],
  audiences: ['https://registry.example.com', 'https://deploy.example.com'],
  maxTokenLifetime: 15 * minute,
});

/** What it answered to such a registration (GET), without the members that nobody set. */
const seen = {
  client_id: '6b8c8d33-9d3c-4f0e-b0a3-5a3d1a9e7d52',
  client_name: 'ci-bots 1',
  redirect_uris: [],
  grant_types: ['client_credentials'],
  response_types: [],
  scope: 'artifacts:publish',
  audience: ['https://registry.example.com', 'https://deploy.example.com'],
  owner: 'installation/owner',
  contacts: [],
  client_secret_expires_at: 0,
  subject_type: 'public',
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  metadata: {},
  skip_consent: false,
  skip_logout_consent: null,
  client_credentials_grant_access_token_lifespan: '15m0s',
  implicit_grant_access_token_lifespan: null,
};
const settings = {
  audience: 'https://deploy.example.com https://registry.example.com',
  client_credentials_grant_access_token_lifespan: '900',
  token_endpoint_auth_signing_alg: 'ES256',
};

test('a registration: the tag as owner, the audiences that it may ask for, how long its tokens live', async (t) => {
  const { publicJwk } = await generateKey('ES256');
  t.deepEqual(hydra.toBody(wanted(publicJwk), ['artifacts:publish']), {
    client_id: wanted().clientId,
    client_name: 'ci-bots 1',
    owner: 'installation/owner',
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    scope: 'artifacts:publish',
    jwks: { keys: [publicJwk] },
    audience: ['https://registry.example.com', 'https://deploy.example.com'],
    client_credentials_grant_access_token_lifespan: '900s',
  });
});

test('one algorithm for all keys of a client: while two overlap, that of the older one, which mints', async (t) => {
  const [old, next] = [await generateKey('ES256'), await generateKey('PS256')];
  const algorithm = (...keys: DesiredClient['keys']) =>
    hydra.toBody(wanted(...keys), [])['token_endpoint_auth_signing_alg'];
  t.deepEqual(
    [algorithm(old.publicJwk, next.publicJwk), algorithm(next.publicJwk), algorithm()],
    ['ES256', 'PS256', undefined],
  );
});

for (const [what, change, drift] of [
  ['nothing', {}, []],
  ['an audience more', { audience: ['https://a.example.com'] }, ['settings']],
  ['no audience', { audience: null }, ['settings']],
  [
    'tokens that live as long as those of others',
    { client_credentials_grant_access_token_lifespan: null },
    ['settings'],
  ],
  ['a longer life', { client_credentials_grant_access_token_lifespan: '1h0m0s' }, ['settings']],
  ['no algorithm, which is RS256', { token_endpoint_auth_signing_alg: undefined }, ['settings']],
  ['another owner', { owner: 'somebody' }, ['tag']],
  ['a grant more', { grant_types: ['client_credentials', 'refresh_token'] }, ['grantTypes']],
] as const)
  test(`seen of a client that somebody gave ${what}: ${JSON.stringify(drift)}`, async (t) => {
    const { publicJwk } = await generateKey('ES256');
    const body = { ...seen, jwks: { keys: [publicJwk] }, ...change };
    t.deepEqual(driftOf(hydra.fromBody(body), wanted(publicJwk), hydra, []).drift, drift);
    if (drift.length === 0) t.deepEqual(hydra.fromBody(body).settings, settings);
  });

test('a JWT can be revoked for those who ask, though the metadata names no place to ask at', (t) => {
  const reach = new Reach();
  reach.sawToken(true);
  const metadata = {
    issuer: 'https://idp.example.com',
    tokenEndpoint: 'https://idp.example.com/oauth2/token',
    revocationEndpoint: 'https://idp.example.com/oauth2/revoke',
  };
  t.deepEqual(
    [reach.of(metadata, noon), reach.of(metadata, noon, hydra.introspection)],
    ['ExpiryOnly', 'IntrospectionOnly'],
  );
});

test('what it says comes after a sentence of an RFC that it always says: the sentence goes', (t) => {
  const said = (error_description: string) =>
    readProviderError({ status: 400, headers: {}, body: JSON.stringify({ error: 'x', error_description }) }, []).text;
  const metadata =
    "The value of one of the Client Metadata fields is invalid and the server has rejected this request. Note that an Authorization Server MAY choose to substitute a valid value for any requested parameter of a Client's Metadata.";
  const refusal =
    'Client authentication failed (e.g., unknown client, no client authentication included, or unsupported authentication method).';
  for (const sentence of [malformed, metadata, refusal, 'The requested scope is invalid, unknown, or malformed.']) {
    t.is(said(`${sentence} This is why.`), 'This is why.');
    t.is(said(sentence)?.slice(0, 190), sentence.slice(0, 190), 'nothing follows');
  }
});

for (const [what, metadata, expected] of [
  ['none, as it comes', {}, 'https://idp.example.com/oauth2/register'],
  ['one', { registrationEndpoint: 'https://idp.example.com/elsewhere' }, 'https://idp.example.com/elsewhere'],
] as const)
  test(`where clients are registered, if the metadata names ${what}`, (t) => {
    const always = { issuer: 'https://idp.example.com', tokenEndpoint: 'https://idp.example.com/oauth2/token' };
    t.is(hydra.registrationEndpoint({ ...always, ...metadata }), expected);
  });

class SwitchedOff extends Http {
  override send(): Promise<HttpAnswer> {
    const body = {
      error: 'The requested resource could not be found',
      error_description: 'Dynamic registration is not enabled.',
    };
    return Promise.resolve({ status: 404, headers: {}, body: JSON.stringify(body) });
  }
}

test('registration is switched off there: no client counts as gone, or as one that is never changed again', async (t) => {
  const clock = new VirtualClock(noon);
  const issuer = 'https://idp.example.com';
  const metadata = { issuer, tokenEndpoint: `${issuer}/oauth2/token` };
  const changes = new Offer();
  const http = new SwitchedOff({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
  const discovery = { get: () => Promise.resolve(metadata), comesNow: () => Promise.resolve(true) } as never;
  const clients = registrationOver(http, { issuer, clock, changes, discovery, profile: hydra });
  const uri = `${issuer}/oauth2/register/one`;
  const one = { clientId: 'one', management: { token: new Redacted('a-token'), uri } };
  const { signal } = new AbortController();
  for (const call of [
    () => clients.register(wanted(), signal),
    () => clients.observe(one, wanted(), signal),
    () => clients.update(one, wanted(), signal),
    () => clients.deregister(one, signal),
    () => clients.update(one, wanted(), signal),
  ]) {
    const error = await t.throwsAsync(call(), { instanceOf: OperatorError });
    t.is(error.reason, 'RegistrationRefused');
    t.regex(error.message, /\. In Hydra switch oidc\.dynamic_client_registration\.enabled on\.$/);
    await clock.advance(30 * minute);
  }
  t.true(changes.stands(clock.now()));
});
