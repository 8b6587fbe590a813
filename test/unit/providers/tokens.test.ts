/** What is sent to token, revocation and introspection endpoints, and what becomes of their answers. */
import test from 'ava';
import { hour, instant, minute, plus, second } from '#src/clock.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import type { OperatorError } from '#src/errors.ts';
import { type HttpAnswer, smallAnswer } from '#src/providers/http.ts';
import { generateKey } from '#src/providers/oidc/authentication.ts';
import type { Metadata } from '#src/providers/oidc/discovery.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { jwtClaims } from '#src/providers/oidc/token-answer.ts';
import { Tokens, type TokensOptions } from '#src/providers/oidc/tokens.ts';
import { Redacted } from '#src/redacted.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { jwt } from './jwt.ts';
import { failure, json, ScriptedHttp } from './scripted-http.ts';

const issuer = 'https://idp.example.com';
const endpoint = (name: string): string => `${issuer}/${name}`;
const metadata: Metadata = {
  issuer,
  tokenEndpoint: endpoint('token'),
  revocationEndpoint: endpoint('revoke'),
  introspectionEndpoint: endpoint('introspect'),
};
const signal = new AbortController().signal;
const secret = 'secret-of-the-client';
const bySecret: Credential = { type: 'ClientSecretBasic', secret: new Redacted(secret) };
const byKey = (): Promise<Credential> => generateKey('ES256');
const ask = { scopes: ['read'], audiences: ['https://registry'], maxLifetime: hour };
const nothing = { scopes: [], audiences: [], maxLifetime: hour };
const opaque = { access_token: 'opaque-token', token_type: 'Bearer', expires_in: 300 };
const dated = (answer: HttpAnswer): HttpAnswer => ({ ...answer, providerTime: noon });

function scene(answer: HttpAnswer, profile = 'Generic', options: Partial<TokensOptions> = {}) {
  const clock = new VirtualClock(noon);
  const http = new ScriptedHttp(issuer, clock, () => answer);
  const seen: unknown[] = [];
  const tokens = new Tokens({
    issuer,
    http,
    clock,
    discovery: { get: () => Promise.resolve(metadata), forget: () => seen.push('forgotten') } as never,
    profile: profiles[profile]!,
    audience: { by: 'Profile' },
    reach: {
      sawToken: (...facts: unknown[]) => seen.push(['token', ...facts]),
      sawRefusal: (...facts: unknown[]) => seen.push(['refusal', ...facts]),
      sawRevoked: (...facts: unknown[]) => seen.push(['revoked', ...facts]),
    } as never,
    tokenIssuer: () => undefined,
    assertionAudience: () => undefined,
    ...options,
  });
  return { http, seen, tokens };
}

const form = 'application/x-www-form-urlencoded;charset=UTF-8';
const authorization = `Basic ${Buffer.from(`ci-1:${secret}`).toString('base64')}`;
const hinted = 'token=opaque-token&token_type_hint=access_token';

for (const [what, call, url, body] of [
  [
    'a token',
    (tokens: Tokens) => tokens.mint(ask, 'ci-1', bySecret, signal),
    metadata.tokenEndpoint,
    'scope=read&resource=https%3A%2F%2Fregistry&grant_type=client_credentials',
  ],
  [
    'a revocation',
    (tokens: Tokens) => tokens.revoke(new Redacted('opaque-token'), 'ci-1', bySecret, signal),
    metadata.revocationEndpoint,
    hinted,
  ],
  [
    'an introspection',
    (tokens: Tokens) => tokens.introspect(new Redacted('opaque-token'), 'ci-1', bySecret, signal),
    metadata.introspectionEndpoint,
    hinted,
  ],
] as const) {
  test(`${what} is asked for by one form, with the credential in its place`, async (t) => {
    const { http, tokens } = scene(json(200, { ...opaque, active: true }));
    await call(tokens);
    const headers = { authorization, 'content-type': form };
    t.deepEqual(http.sent as unknown, [{ method: 'POST', url, headers, body, maxBytes: smallAnswer }]);
  });

  for (const [status, code, reason, seen] of [
    [404, undefined, 'ProviderMisbehaves', ['forgotten']],
    [405, undefined, 'ProviderMisbehaves', ['forgotten']],
    [400, 'invalid_request', 'TokenRequestRefused', []],
    [401, 'invalid_client', 'CredentialRefused', []],
    [500, undefined, 'ProviderUnavailable', []],
    [302, undefined, 'ProviderMisbehaves', []],
  ] as const)
    test(`${what} is answered with ${status} ${code ?? ''}: ${reason}${seen.length > 0 ? ', and metadata is read again' : ''}`, async (t) => {
      const description = `no ${secret}, no ${btoa(`ci-1:${secret}`)}`;
      const scenery = scene(json(status, { error: code, error_description: description }));
      const error = await failure(call(scenery.tokens));
      t.is(error.reason, reason);
      t.deepEqual(scenery.seen, [...seen]);
      t.false(error.message.includes(secret));
      t.false(error.message.includes(btoa(secret).slice(0, 12)));
    });

  test(`${what} is answered with a wish to wait`, async (t) => {
    const { tokens } = scene(json(429, {}, { 'retry-after': '90' }));
    t.is((await failure(call(tokens))).retryAt, plus(noon, 90 * second));
  });
}

test('what an endpoint repeats of the token or of the id of the key is not told', async (t) => {
  const key = await generateKey('ES256');
  const token = new Redacted('opaque-token');
  const { tokens } = scene(json(400, { error: 'invalid_request', error_description: `opaque-token ${key.kid}` }));
  for (const work of [tokens.revoke(token, 'ci-1', key, signal), tokens.introspect(token, 'ci-1', key, signal)])
    t.regex((await failure(work)).message, /"\[redacted\] \[redacted\]"/);
  t.regex((await failure(tokens.mint(ask, 'ci-1', key, signal))).message, /"opaque-token \[redacted\]"/);
});

for (const [profile, answer, reason, whose] of [
  ['Generic', json(500, {}), 'ProviderUnavailable', 'Issuer'],
  ['Glewlwyd', json(500, {}), 'ClientUnusable', 'Object'],
  ['Glewlwyd', json(502, {}), 'ProviderUnavailable', 'Issuer'],
  ['Generic', { status: 403, headers: {}, body: '' }, 'ProviderMisbehaves', 'Issuer'],
  ['Glewlwyd', { status: 403, headers: {}, body: '' }, 'CredentialRefused', 'Object'],
  [
    'Hydra',
    json(400, { error: 'invalid_request', error_description: "Requested audience 'x' is not whitelisted" }),
    'ScopeRefused',
    'Object',
  ],
  ['Generic', json(201, opaque), 'ProviderMisbehaves', 'Issuer'],
  ['Generic', json(200, { error: 'invalid_scope' }), 'ScopeRefused', 'Object'],
] as const)
  test(`${profile}: a token request that is answered with ${answer.status} ${answer.body}: ${reason}`, async (t) => {
    const error = await failure(scene(answer, profile).tokens.mint(ask, 'ci-1', bySecret, signal));
    t.deepEqual([error.reason, error.whose], [reason, whose]);
  });

for (const [what, asked, mapping, said] of [
  ['scope and audience', ask, { by: 'Profile' }, /Asked was scope read, audience https:\/\/registry\.$/],
  [
    'an audience by its scope',
    ask,
    { by: 'Scope', scopes: { 'https://registry': 'aud-registry' } },
    /Asked was scope read aud-registry, audience https:\/\/registry\.$/,
  ],
  ['nothing', nothing, { by: 'Profile' }, /take it out of the pool\.$/],
] as const)
  test(`${what} that was refused is told as it was asked for`, async (t) => {
    const { tokens } = scene(json(400, { error: 'invalid_scope' }), 'Generic', { audience: mapping });
    t.regex((await failure(tokens.mint(asked, 'ci-1', bySecret, signal))).message, said);
  });

const iat = (noon + minute) / second;
for (const [what, answer, offset] of [
  ['a token without a time', json(200, opaque), undefined],
  ['a JWT without a time', json(200, { ...opaque, access_token: jwt({}) }), undefined],
  ['a JWT with a time', json(200, { ...opaque, access_token: jwt({ iat }) }), minute + 500],
  [
    'a JWT with a time, in an answer with another',
    dated(json(200, { ...opaque, access_token: jwt({ iat }) })),
    undefined,
  ],
] as const)
  test(`${what}: the clock of the provider is ${offset === undefined ? 'not ' : ''}learnt from it`, async (t) => {
    const { http, tokens } = scene(answer);
    await tokens.mint(ask, 'ci-1', bySecret, signal);
    t.is(http.clockOffset, offset);
  });

for (const [asked, token, seen] of [
  [ask, 'opaque-token', [['token', false]]],
  [ask, jwt({}), [['token', true]]],
  [nothing, jwt({}), []],
] as const)
  test(`what kind tokens are is learnt of ${asked.scopes.length} scopes and ${token.slice(0, 6)}`, async (t) => {
    const scenery = scene(json(200, { ...opaque, access_token: token }));
    await scenery.tokens.mint(asked, 'ci-1', bySecret, signal);
    t.deepEqual(scenery.seen as unknown, seen);
  });

test('whom JWTs name as their issuer may be somebody else, where that is configured', async (t) => {
  const sts = 'https://sts.example.com';
  const answer = json(200, { ...opaque, access_token: jwt({ iss: sts }) });
  for (const [tokenIssuer, foreignIssuer] of [
    [undefined, sts],
    [sts, undefined],
  ] as const) {
    const { tokens } = scene(answer, 'Generic', { tokenIssuer: () => tokenIssuer });
    t.is((await tokens.mint(ask, 'ci-1', bySecret, signal)).jwt?.foreignIssuer, foreignIssuer);
  }
});

for (const [profile, configured, aud] of [
  ['Generic', undefined, issuer],
  ['Hydra', undefined, metadata.tokenEndpoint],
  ['Hydra', 'Issuer', issuer],
  ['Generic', 'CalledEndpoint', metadata.revocationEndpoint],
] as const)
  test(`${profile} with assertionAudience ${configured ?? 'as it comes'}: an assertion is for ${aud}`, async (t) => {
    const { http, tokens } = scene(json(200, {}), profile, { assertionAudience: () => configured });
    http.sawTime(instant(noon + hour));
    await tokens.revoke(new Redacted('opaque-token'), 'ci-1', await generateKey('ES256'), signal);
    const claims = jwtClaims(new URLSearchParams(http.sent[0]?.body).get('client_assertion') ?? '');
    t.is(claims?.['aud'], aud);
    t.is(claims?.['iat'], (noon + hour) / second, 'by the clock of the provider');
  });

for (const [what, makes, isKnown, answer, requests] of [
  ['a key', byKey, true, json(401, { error: 'invalid_client' }), 2],
  ['a key by a clock that is not known', byKey, false, json(401, { error: 'invalid_client' }), 1],
  ['a key in an answer with a time', byKey, true, dated(json(401, { error: 'invalid_client' })), 1],
  ['a key for another reason', byKey, true, json(400, { error: 'invalid_scope' }), 1],
  ['a secret', () => bySecret, true, json(401, { error: 'invalid_client' }), 1],
] as const)
  test(`${what} is refused: ${requests} ${requests === 1 ? 'request' : 'requests'}`, async (t) => {
    const { http, tokens } = scene(answer);
    if (isKnown) http.sawTime(plus(noon, hour));
    await failure(tokens.mint(ask, 'ci-1', await makes(), signal));
    t.is(http.sent.length, requests);
    t.is(http.clockOffset !== undefined, isKnown && requests === 1);
  });

const revoked = { opaque: ['revoked', false], jwt: ['revoked', true] } as const;
for (const [token, status, error, outcome, seen] of [
  ['opaque', 200, undefined, 'Confirmed', [revoked.opaque]],
  ['opaque', 204, undefined, 'Confirmed', [revoked.opaque]],
  ['opaque', 299, undefined, 'Confirmed', [revoked.opaque]],
  ['jwt', 200, undefined, 'Requested', [revoked.jwt]],
  ['opaque', 400, 'invalid_token', 'Confirmed', [revoked.opaque]],
  ['jwt', 200, 'invalid_token', 'Requested', [revoked.jwt]],
  ['opaque', 400, 'unsupported_token_type', 'NotSupported', [['refusal', false, noon]]],
  ['jwt', 200, 'unsupported_token_type', 'NotSupported', [['refusal', true, noon]]],
  ['opaque', 200, 'invalid_client', 'CredentialRefused', []],
  ['opaque', 400, 'invalid_client', 'CredentialRefused', []],
  ['opaque', 401, 'invalid_token', 'CredentialRefused', []],
  ['opaque', 403, 'unsupported_token_type', 'TokenRequestRefused', []],
  ['opaque', 300, undefined, 'ProviderMisbehaves', []],
  ['opaque', 199, undefined, 'ProviderMisbehaves', []],
] as const)
  test(`a revocation of ${token} that is answered with ${status} ${error ?? ''}: ${outcome}`, async (t) => {
    const scenery = scene(json(status, { error }));
    const value = new Redacted(token === 'jwt' ? jwt({}) : 'opaque-token');
    const got = await scenery.tokens
      .revoke(value, 'ci-1', bySecret, signal)
      .catch(({ reason }: OperatorError) => reason);
    t.is(got, outcome);
    t.deepEqual(scenery.seen as unknown, seen);
  });

test('a provider without the endpoint is not called', async (t) => {
  const discovery = { get: () => Promise.resolve({ issuer, tokenEndpoint: metadata.tokenEndpoint }) } as never;
  const { http, tokens } = scene(json(500, {}), 'Generic', { discovery });
  t.is(await tokens.revoke(new Redacted('opaque-token'), 'ci-1', bySecret, signal), 'NotSupported');
  t.is(await tokens.introspect(new Redacted('opaque-token'), 'ci-1', bySecret, signal), undefined);
  t.is(http.sent.length, 0);
});

for (const [answer, told] of [
  [json(200, { active: false }), { active: false }],
  [json(200, { active: true }), { active: true }],
  [
    json(200, { active: true, client_id: 'ci-1', scope: 'read  write', aud: 'https://registry' }),
    { active: true, clientId: 'ci-1', scopes: ['read', 'write'], audiences: ['https://registry'] },
  ],
  [json(200, { active: true, client_id: 7, scope: ['read'], aud: [7] }), { active: true }],
  [json(200, { active: true, aud: ['a', 'b'] }), { active: true, audiences: ['a', 'b'] }],
  [json(400, { error: 'unsupported_token_type' }), undefined],
  [json(400, { error: 'invalid_request' }), 'TokenRequestRefused'],
  [json(422, { error: 'unsupported_token_type' }), 'TokenRequestRefused'],
  [json(201, { active: true }), 'ProviderMisbehaves'],
  [json(200, { active: 'true' }), 'ProviderMisbehaves'],
  [json(200, [true]), 'ProviderMisbehaves'],
] as const)
  test(`an introspection that is answered with ${answer.status} ${answer.body}`, async (t) => {
    const { tokens } = scene(answer);
    const work = tokens.introspect(new Redacted('opaque-token'), 'ci-1', bySecret, signal);
    t.deepEqual(await work.catch(({ reason }: OperatorError) => reason), told as never);
  });
