/** What a Spring Authorization Server answered (7.0.6, of Spring Boot 4.0.7, run by hand), and what comes of it. Secrets and tokens are shortened. */
import test from 'ava';
import { minute } from '#src/clock.ts';
import type { AuthenticationMethod } from '#src/domain/client/credential.ts';
import { Http, type HttpAnswer } from '#src/providers/http.ts';
import { driftOf } from '#src/providers/oidc/drift.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import type { DesiredClient } from '#src/providers/port.ts';
import { Redacted } from '#src/redacted.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { registrationOver } from './registration-over.ts';

const issuer = 'https://127.0.0.1:9544';
const spring = profiles['Spring']!;

const desired = (authentication: AuthenticationMethod = 'ClientSecretBasic'): DesiredClient => ({
  name: 'ci-bots 1',
  tag: 'installation.owner',
  authentication,
  keys: [],
  scopes: ['artifacts:publish', 'artifacts:read'],
  audiences: [],
  maxTokenLifetime: minute,
});

const registeredByOpenId = {
  client_id: 'kmXMvvkZq6stCDzf32J6ksjenxgkxRZMZZ_hf5E9doE',
  client_id_issued_at: 1_795_828_498,
  client_name: 'ci-bots 1',
  client_secret: '-7xRtKHFAnd_UEriYSpgroOa1A',
  redirect_uris: ['https://ci-identity.invalid/unused'],
  grant_types: ['client_credentials'],
  scope: 'artifacts:read artifacts:publish',
  token_endpoint_auth_method: 'client_secret_basic',
  id_token_signed_response_alg: 'RS256',
  registration_client_uri: `${issuer}/connect/register?client_id=kmXMvvkZq6stCDzf32J6ksjenxgkxRZMZZ_hf5E9doE`,
  registration_access_token: 'eyJraWQiOiJhOWZhZDJkZSJ9.eyJzY29wZSI6WyJjbGllbnQucmVhZCJdfQ.EBQHtNTCSPXmcEmD',
  client_secret_expires_at: 0,
};

const registeredByRfc7591 = {
  client_id: 'dNQI3grSd-IlO-sEjq6mer4-A429X6nKQkHctAhiE60',
  client_id_issued_at: 1_795_828_546,
  client_name: 'ci-bots 1',
  token_endpoint_auth_method: 'client_secret_basic',
  client_secret: 'v76da7NOy5s-V1bRKHLVaXQ8_uYDGR',
  redirect_uris: ['https://ci-identity.invalid/unused'],
  grant_types: ['client_credentials'],
  scope: 'artifacts:read artifacts:publish',
  client_secret_expires_at: 0,
};

class Answering extends Http {
  sent: string[] = [];
  readonly #answer: HttpAnswer;

  constructor(status: number, body: unknown, clock: VirtualClock) {
    super({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
    this.#answer = { status, headers: {}, body: JSON.stringify(body) };
  }

  override send(request: Parameters<Http['send']>[0]): Promise<HttpAnswer> {
    this.sent.push(request.body ?? '');
    return Promise.resolve(this.#answer);
  }
}

function answered(status: number, body: unknown) {
  const clock = new VirtualClock(noon);
  const http = new Answering(status, body, clock);
  const metadata = {
    issuer,
    tokenEndpoint: `${issuer}/oauth2/token`,
    registrationEndpoint: `${issuer}/connect/register`,
  };
  const registration = registrationOver(http, {
    issuer,
    clock,
    discovery: { get: () => Promise.resolve(metadata), known: metadata, forget: () => undefined } as never,
    profile: spring,
    registrationToken: () => new Redacted('initial-access-token'),
  });
  const register = (want: DesiredClient = desired()) => registration.register(want, new AbortController().signal);
  return { http, register };
}

test('a client is asked for with a redirect URI and a response type, and without the grant that stands beside an empty list', async (t) => {
  const { http, register } = answered(201, registeredByOpenId);
  await register();
  const { redirect_uris, response_types, grant_types } = JSON.parse(http.sent[0] ?? '') as Record<string, unknown>;
  t.deepEqual(redirect_uris, ['https://ci-identity.invalid/unused']);
  t.deepEqual(response_types, ['none']);
  t.deepEqual(grant_types, ['client_credentials']);
});

for (const [endpoint, body] of [
  ['OpenID Connect registration', registeredByOpenId],
  ['RFC 7591', registeredByRfc7591],
] as const)
  test(`${endpoint}: the secret of the answer is taken, nothing is drift, and no token that manages it is kept`, async (t) => {
    const client = await answered(201, body).register();
    t.is(client.clientId, body.client_id);
    t.is(client.secret?.reveal(), body.client_secret);
    t.is(client.secretExpiresAt, undefined);
    t.deepEqual(client.observed.drift, []);
    t.is(client.management, undefined);
  });

test('without a response type a client may ask for codes as well, which is more than is wanted', (t) => {
  const said = spring.fromBody({
    ...registeredByOpenId,
    grant_types: ['client_credentials', 'authorization_code'],
    response_types: ['code'],
  });
  t.like(driftOf(said, desired(), spring, []), { drift: ['grantTypes'], excess: true });
});

test('a client with a key is not even asked for: one of its two endpoints refuses it, the other makes one with a secret', async (t) => {
  const { http, register } = answered(201, registeredByRfc7591);
  const error = await t.throwsAsync(register(desired('PrivateKeyJwt')));
  t.like(error, { class: 'Terminal', reason: 'RegistrationRefused', whose: 'Object' });
  t.regex(error.message, /Set spec\.client\.authentication of the pool to ClientSecretBasic or ClientSecretPost\.$/);
  t.deepEqual(http.sent, []);
});

for (const [what, status, body, reason, sentence] of [
  [
    'the application accepts no scopes, as it comes',
    400,
    { error: 'invalid_scope', error_description: 'Invalid Client Registration: scope' },
    'RegistrationRefused',
    /validator \(setAuthenticationValidator\) that accepts artifacts:publish, artifacts:read; as it comes it accepts no scope at all\.$/,
  ],
  [
    'another trouble with the metadata',
    400,
    { error: 'invalid_redirect_uri', error_description: 'Invalid Client Registration: redirect_uris' },
    'RegistrationRefused',
    /Compare the pool's scopes and authentication with what the provider supports\./,
  ],
  [
    'the initial access token registered a client already',
    401,
    { error: 'invalid_token' },
    'RegistrationCredentialRefused',
    /used up: put a new initial access token/,
  ],
] as const)
  test(`refused: ${what}`, async (t) => {
    const error = await t.throwsAsync(answered(status, body).register());
    t.is((error as { reason?: string }).reason, reason);
    t.regex(error.message, sentence);
  });
