/** A provider that sends no `Date`, as Keycloak: its clock is known from what it signs, and forgotten when assertions of that time are refused. */
import test from 'ava';
import { type Instant, instant, minute, plus, second } from '#src/clock.ts';
import { Http, type HttpAnswer, type HttpRequest } from '#src/providers/http.ts';
import { generateKey } from '#src/providers/oidc/authentication.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { jwtClaims } from '#src/providers/oidc/token-answer.ts';
import { Tokens } from '#src/providers/oidc/tokens.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { jwt } from './jwt.ts';
import { registrationOver } from './registration-over.ts';

const issuer = 'https://idp.example.com/realms/ci';
const keycloak = profiles['Keycloak']!;
const signal = new AbortController().signal;
const metadata = { issuer, tokenEndpoint: `${issuer}/token`, registrationEndpoint: `${issuer}/register` };
const discovery = { get: () => Promise.resolve(metadata), known: metadata, forget: () => undefined } as never;

/** The wire to a provider whose clock is `ahead` of ours. */
class Dateless extends Http {
  ahead = 0;
  requests = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    super({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
    this.#clock = clock;
  }

  override send({ url, body = '' }: HttpRequest): Promise<HttpAnswer> {
    this.requests += 1;
    const now = plus(this.#clock.now(), this.ahead);
    if (url !== metadata.tokenEndpoint)
      return Promise.resolve(json(201, { ...client, registrationAccessToken: signed(now) }));
    const { iat = 0, exp = 0 } = jwtClaims(new URLSearchParams(body).get('client_assertion') ?? '') as Record<
      string,
      number
    >;
    const isInTime = iat * second <= now + 15 * second && exp * second >= now;
    return Promise.resolve(
      isInTime
        ? json(200, { access_token: signed(now), token_type: 'Bearer', expires_in: 300 })
        : json(401, { error: 'invalid_client', error_description: 'Token is not active' }),
    );
  }
}

const client = { clientId: 'ci-1' };
const json = (status: number, body: object): HttpAnswer => ({ status, headers: {}, body: JSON.stringify(body) });
const signed = (now: Instant): string =>
  jwt({ iss: issuer, iat: Math.floor(now / second), exp: Math.floor(now / second) + 300 });

async function scene(): Promise<{ http: Dateless; mint: () => Promise<string>; register: () => Promise<unknown> }> {
  const clock = new VirtualClock(noon);
  const http = new Dateless(clock);
  const tokens = new Tokens({
    issuer,
    http,
    clock,
    discovery,
    profile: keycloak,
    audience: { by: 'None' },
    reach: { sawToken: () => undefined, sawRefusal: () => undefined, sawRevoked: () => undefined } as never,
    tokenIssuer: () => undefined,
    assertionAudience: () => undefined,
  });
  const registration = registrationOver(http, { issuer, clock, discovery, profile: keycloak });
  const key = await generateKey('ES256');
  const ask = { scopes: [], audiences: [], maxLifetime: 5 * minute };
  return {
    http,
    mint: () =>
      tokens.mint(ask, 'ci-1', key, signal).then(
        () => 'minted',
        (error: { reason: string }) => error.reason,
      ),
    register: () =>
      registration.register(
        { clientId: 'ci-1', scopes: [], audiences: [], maxTokenLifetime: minute, tag: 't', keys: [] } as never,
        signal,
      ),
  };
}

test('clocks that were apart when the provider last told the time and agree now: the assertion is made anew', async (t) => {
  const { http, mint } = await scene();
  http.sawTime(instant(noon + 5 * minute));
  t.is(await mint(), 'minted');
  t.is(http.requests, 2);
  t.true(Math.abs(http.clockOffset ?? Infinity) <= second);
});

test('five minutes ahead, which the registration access token tells', async (t) => {
  const { http, mint, register } = await scene();
  http.ahead = 5 * minute;
  t.is(await mint(), 'CredentialRefused');
  t.is(http.requests, 1, 'nothing was known of its clock, so nothing is tried again');
  await register();
  t.is(await mint(), 'minted');
});
