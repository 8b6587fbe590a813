import test from 'ava';
import fc from 'fast-check';
import { hour, minute, parseRfc3339, plus } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { askParameters, carriers } from '#src/providers/oidc/audiences.ts';
import { authenticate, chooseAlgorithm, generateKey } from '#src/providers/oidc/authentication.ts';
import { documentUrls, parseMetadata } from '#src/providers/oidc/discovery.ts';
import { driftOf } from '#src/providers/oidc/drift.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { capabilitiesOf } from '#src/providers/oidc/adapter.ts';
import { Offer } from '#src/providers/oidc/offer.ts';
import { Reach } from '#src/providers/oidc/reach.ts';
import { isSelfContained, jwtClaims, parseTokenAnswer } from '#src/providers/oidc/token-answer.ts';
import type { DesiredClient } from '#src/providers/port.ts';
import { Redacted } from '#src/redacted.ts';
import { jwt, part } from './jwt.ts';

const issuer = 'https://idp.example.com/realms/ci';
const where = { issuer, now: parseRfc3339('2026-11-24T12:00:00Z')! };
const generic = profiles['Generic']!;
const keycloak = profiles['Keycloak']!;
const glewlwyd = profiles['Glewlwyd']!;
const hydra = profiles['Hydra']!;
const spring = profiles['Spring']!;
const parse = (body: unknown) =>
  parseTokenAnswer({ status: 200, headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body) }, where);
const token = { access_token: 'opaque', token_type: 'Bearer' };
const accessToken = (claims: object): string => jwt(claims, { alg: 'RS256', typ: 'at+jwt' });

test('expires_in: whole seconds or nothing', (t) => {
  const values: readonly (readonly [unknown, number | undefined])[] = [
    [300, 300],
    [299.9, 299],
    ['300', 300],
    [undefined, undefined],
    [null, undefined],
    [0, undefined],
    [-1, undefined],
    ['', undefined],
    ['300s', undefined],
    ['0x10', undefined],
    [1e12, undefined],
    [true, undefined],
    [[300], undefined],
    [0.5, undefined],
  ];
  for (const [value, expected] of values)
    t.is(parse({ ...token, expires_in: value }).expiresIn, expected, String(value));
  t.is(parse('{"access_token":"x","token_type":"Bearer","expires_in":1e999}').expiresIn, undefined);
});

test('scope: all that the answer and the JWT name, else not said', (t) => {
  t.deepEqual(parse({ ...token, scope: 'a  b' }).scopes, ['a', 'b']);
  t.deepEqual(parse({ ...token, scope: '' }).scopes, []);
  t.is(parse(token).scopes, undefined);
  t.deepEqual(parse({ ...token, scope: ['a', 'b'] }).scopes, ['a', 'b']);
  t.deepEqual(parse({ ...token, access_token: accessToken({ scope: 'a b' }) }).scopes, ['a', 'b']);
  t.deepEqual(parse({ ...token, access_token: accessToken({ scp: ['a', 'b'] }) }).scopes, ['a', 'b']);
  t.deepEqual(parse({ ...token, access_token: accessToken({ scp: 'a b' }) }).scopes, ['a', 'b']);
  t.deepEqual(parse({ ...token, scope: 'a c', access_token: accessToken({ scope: 'a b', scp: ['d'] }) }).scopes, [
    'a',
    'c',
    'b',
    'd',
  ]);
});

test('scope: what the token says stands by itself, and what is no name is not dropped', (t) => {
  t.deepEqual(parse({ ...token, scope: 'a c', access_token: accessToken({ scope: 'a', scp: ['b'] }) }).jwt?.scopes, [
    'a',
    'b',
  ]);
  t.deepEqual(parse({ ...token, scope: 'a', access_token: accessToken({ scope: '' }) }).jwt?.scopes, []);
  for (const [answer, claims, unreadable] of [
    ['a', {}, undefined],
    ['a', { scope: null, scp: null }, undefined],
    [null, { scp: [] }, undefined],
    ['a', { scp: ['a', 'admin', null] }, true],
    ['a', { scp: { admin: true } }, true],
    ['a', { scope: 7 }, true],
    [7, {}, true],
  ] as const)
    t.is(parse({ ...token, scope: answer, access_token: accessToken(claims) }).scopesUnreadable, unreadable);
});

test('a JWT tells audience, end and subject; what is not one tells nothing', (t) => {
  const minted = parse({ ...token, access_token: accessToken({ aud: 'one', exp: 1_800_000_000, sub: 'client' }) });
  t.deepEqual([minted.audiences, minted.jwt?.exp, minted.subject], [['one'], 1_800_000_000_000 as never, 'client']);
  t.deepEqual(parse({ ...token, access_token: accessToken({ aud: ['one', 'two'] }) }).audiences, ['one', 'two']);
  t.deepEqual(parse({ ...token, access_token: accessToken({ nbf: 1_800_000_000 }) }).jwt, {
    notBefore: 1_800_000_000_000 as never,
  });
  t.deepEqual(parse({ ...token, access_token: accessToken({ exp: '1', nbf: '1', aud: 5, sub: {}, iss: {} }) }).jwt, {});
  t.deepEqual(parse({ ...token, access_token: accessToken({ exp: 1_800_000_000_000 }) }).jwt, {}, 'milliseconds');
  t.deepEqual(parse({ ...token, access_token: accessToken({ iss: where.issuer }) }).jwt, {});
  t.deepEqual(parse({ ...token, access_token: accessToken({ cnf: { jkt: 'thumbprint' } }) }).jwt, { isBound: true });
  t.deepEqual(parse({ ...token, access_token: accessToken({ cnf: null }) }).jwt, {});
  t.deepEqual(parse({ ...token, access_token: accessToken({ iss: 'https://sts.example.com' }) }).jwt, {
    foreignIssuer: 'https://sts.example.com',
  });
  const secret = 'secret-of-the-client';
  const echo = {
    status: 200,
    headers: {},
    body: JSON.stringify({ ...token, access_token: accessToken({ iss: `x ${secret}` }) }),
  };
  t.is(parseTokenAnswer(echo, { ...where, secrets: [secret] }).jwt?.foreignIssuer, '[redacted]');
  t.is(parse(token).jwt, undefined);
  for (const claims of [{}, { aud: 5 }, { aud: null }, { aud: [5] }, { aud: [] }])
    t.deepEqual(parse({ ...token, access_token: accessToken(claims) }).audiences, [], 'for nobody');
  t.is(parse(token).audiences, undefined);
  for (const opaque of [
    'ghs_123_abc',
    'a.b.c',
    'a.b',
    `${part({ alg: 'dir' })}.a.b.c.d`,
    `${part({ typ: 'JWT' })}.${part({})}.x`,
    '..',
  ]) {
    t.is(jwtClaims(opaque), undefined, opaque);
    t.false(isSelfContained(opaque), opaque);
  }
  const encrypted = part({ alg: 'RSA-OAEP-256', enc: 'A256GCM' });
  for (const readable of [accessToken({}), `${encrypted}.key.iv.text.tag`, `${encrypted}..iv.text.tag`])
    t.true(isSelfContained(readable), readable);
  t.is(parse({ ...token, access_token: `${encrypted}.key.iv.text.tag` }).audiences, undefined, 'sealed');
});

test('a token that no header can carry is of no use: too long, empty, or with characters of its own', (t) => {
  t.is(parse({ ...token, access_token: 'x'.repeat(16_384) }).value.reveal().length, 16_384);
  for (const value of ['x'.repeat(16_385), '', 'a b', 'a\nb', 'ä', '\u007f']) {
    const error = t.throws(() => parse({ ...token, access_token: value }), { instanceOf: OperatorError });
    t.like(error, { class: 'Terminal', reason: 'TokenUnusable' }, value);
    t.true(value.length < 2 || !error?.message.includes(value));
  }
});

test("the provider's clock: its Date header, and when it issued the JWT", (t) => {
  const time = parseRfc3339('2026-11-24T12:00:07Z')!;
  const body = JSON.stringify({ ...token, access_token: accessToken({ iat: time / 1_000 - 300 }) });
  t.is(parseTokenAnswer({ status: 200, headers: {}, body, providerTime: time }, where).providerTime, time);
  t.deepEqual([parse(body).providerTime, parse(body).jwt?.issuedAt], [undefined, (time - 300_000) as never]);
  for (const iat of ['1', -1, 1e12, null])
    t.is(parse({ ...token, access_token: accessToken({ iat }) }).jwt?.issuedAt, undefined);
});

test('whatever a token endpoint answers: parsed, or an error of ours that does not quote it', (t) => {
  const secret = 'the-secret-access-token-value';
  const value = fc.oneof(fc.jsonValue(), fc.constant(secret), fc.constant(accessToken({ sub: 'x', aud: [] })));
  const others = fc.dictionary(
    fc.constantFrom('token_type', 'expires_in', 'scope', '__proto__', 'constructor'),
    fc.jsonValue(),
  );
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.tuple(value, others).map(([first, rest]) => JSON.stringify({ access_token: first, ...rest })),
    fc.constant(`{"access_token":"${secret}`),
    fc.constant(`{"access_token":["${secret}"]}`),
    fc.constant(`{"access_token":"${secret}\\n"}`),
  );
  fc.assert(
    fc.property(body, (text) => {
      try {
        const minted = parse(text);
        t.regex(minted.value.reveal(), /^[!-~]{1,16384}$/);
        t.false(JSON.stringify(minted).includes(secret));
        if (minted.expiresIn !== undefined) t.true(Number.isSafeInteger(minted.expiresIn) && minted.expiresIn > 0);
      } catch (error) {
        t.true(error instanceof OperatorError, String(error));
        t.false((error as Error).message.includes(secret));
      }
    }),
    { numRuns: 2_000 },
  );
});

const desired = (keys: DesiredClient['keys'] = []): DesiredClient => ({
  clientId: 'ci-1',
  name: 'ci-bots 1',
  tag: 'tag',
  authentication: 'PrivateKeyJwt',
  keys,
  scopes: ['b', 'a'],
  audiences: [],
  maxTokenLifetime: hour,
});

for (const profile of [generic, keycloak, glewlwyd, hydra, spring]) {
  test(`${profile.name}: what is written is read back without drift`, async (t) => {
    const { publicJwk } = await generateKey('ES256');
    const want = desired([publicJwk]);
    const body = profile.toBody(want, ['a', 'b', 'carrier']);
    t.deepEqual(driftOf(profile.fromBody(body), want, profile, ['carrier']), { drift: [] });
    const other = { ...want, name: 'other', tag: 'other', scopes: ['a'], keys: [] };
    const { drift } = driftOf(profile.fromBody(body), other, profile, []);
    for (const member of ['name', 'tag', 'scopes', 'keys']) t.true(drift.includes(member), member);
    t.false(JSON.stringify(body).includes('"d":'));
  });

  for (const [what, change, excess] of [
    ['a name', { name: 'other' }, undefined],
    ['a scope less', { scopes: ['a'] }, undefined],
    ['a scope more', { scopes: ['a', 'b', 'c'] }, true],
    ['another method', { authentication: 'ClientSecretBasic' }, true],
    ['a key that is not ours', { keys: [{ kty: 'EC', kid: 'x' }] }, true],
  ] as const)
    test(`${profile.name}: ${what} at the provider is drift, and ${excess ? 'more' : 'no more'} than is wanted`, (t) => {
      const there = { ...desired(), ...change };
      const said = profile.fromBody(profile.toBody(there, [...there.scopes]));
      const { drift, ...rest } = driftOf(said, desired(), profile, []);
      t.true(drift.length > 0);
      t.is(rest.excess, excess);
    });

  test(`${profile.name}: whatever a registration answers, reading it never fails`, (t) => {
    const names = [
      'client_id',
      'client_secret',
      'client_secret_expires_at',
      'jwks',
      'scope',
      'grant_types',
      'token_endpoint_auth_method',
      'clientId',
      'attributes',
      'optionalClientScopes',
      '__proto__',
      'registration_access_token',
    ];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.jsonValue()), (body) => {
        const said = profile.fromBody(body);
        t.true(Array.isArray(driftOf(said, desired(), profile, []).drift));
        if (said.scopes !== undefined) t.true(said.scopes.every((scope) => typeof scope === 'string'));
      }),
      { numRuns: 1_000 },
    );
  });
}

test('the body of a registration: whole, public, and one algorithm only where all keys share it', async (t) => {
  const es = (await generateKey('ES256')).publicJwk;
  const ed = (await generateKey('Ed25519')).publicJwk;
  const { clientId: _, ...unnamed } = desired([es]);
  const body = generic.toBody(unnamed, ['a', 'b']);
  t.deepEqual(
    { ...body, jwks: undefined },
    {
      client_name: 'ci-bots 1',
      software_id: 'tag',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: 'private_key_jwt',
      scope: 'a b',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: undefined,
    },
  );
  t.false('token_endpoint_auth_signing_alg' in generic.toBody(desired([es, ed]), []));
  t.is(generic.toBody(desired([es]), [])['client_id'], 'ci-1');
});

test('keys: an algorithm that the provider verifies, the same key id as its thumbprint, nothing private in the public half', async (t) => {
  t.is(chooseAlgorithm(undefined), 'ES256');
  t.is(chooseAlgorithm(['RS256', 'ES256']), 'ES256');
  t.is(chooseAlgorithm(['HS256', 'RS256']), 'RS256');
  t.is(chooseAlgorithm([]), 'ES256');
  for (const algorithm of ['ES256', 'Ed25519', 'PS256']) {
    const key = await generateKey(algorithm);
    t.deepEqual([key.publicJwk['kid'], key.publicJwk['alg'], key.publicJwk['use']], [key.kid, algorithm, 'sig']);
    t.deepEqual(
      Object.keys(key.publicJwk).filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name)),
      [],
    );
    t.false(JSON.stringify(key).includes((JSON.parse(key.privateJwk.reveal()) as { d: string }).d));
  }
});

test('whom an assertion is for: the issuer, the token endpoint, or whatever is called', async (t) => {
  const key = await generateKey('ES256');
  const metadata = parseMetadata({ issuer, token_endpoint: `${issuer}/token` }, issuer, false);
  const audienceOf = async (of: 'Issuer' | 'TokenEndpoint' | 'CalledEndpoint'): Promise<unknown> => {
    const form = new URLSearchParams();
    const authenticated = await authenticate(key, of, metadata, `${issuer}/revoke`, where.now);
    await authenticated({ issuer }, { client_id: 'ci' }, form, new Headers());
    return jwtClaims(form.get('client_assertion') ?? '')?.['aud'];
  };
  t.is(await audienceOf('Issuer'), issuer);
  t.is(await audienceOf('TokenEndpoint'), `${issuer}/token`);
  t.is(await audienceOf('CalledEndpoint'), `${issuer}/revoke`);
});

test('a secret in a header is encoded as a form is, and no more: our ids stay what they are', async (t) => {
  const metadata = parseMetadata({ issuer, token_endpoint: `${issuer}/token` }, issuer, false);
  for (const [id, secret, sent] of [
    ['ci-1234abcd-ci-bots', '0jQKm_heHj4Ba7-IPXk1.*', 'ci-1234abcd-ci-bots:0jQKm_heHj4Ba7-IPXk1.*'],
    ['https://ci', 'a:b+c/d=% ü', 'https%3A%2F%2Fci:a%3Ab%2Bc%2Fd%3D%25+%C3%BC'],
  ] as const) {
    const credential = { type: 'ClientSecretBasic', secret: new Redacted(secret) } as const;
    const headers = new Headers();
    const authenticated = await authenticate(credential, 'Issuer', metadata, metadata.tokenEndpoint, where.now);
    await authenticated({ issuer }, { client_id: id }, new URLSearchParams(), headers);
    t.is(headers.get('authorization'), `Basic ${Buffer.from(sent).toString('base64')}`);
  }
});

test('an audience is asked for in the way of the provider', (t) => {
  const ask = { scopes: ['a'], audiences: ['https://one', 'https://two'], maxLifetime: hour };
  const scopes = { 'https://one': 'carrier-1', 'https://two': 'carrier-2' };
  const rows: readonly (readonly [Parameters<typeof askParameters>[1], typeof generic, string])[] = [
    [{ by: 'Profile' }, generic, 'scope=a&resource=https%3A%2F%2Fone&resource=https%3A%2F%2Ftwo'],
    [{ by: 'Resource' }, keycloak, 'scope=a&resource=https%3A%2F%2Fone&resource=https%3A%2F%2Ftwo'],
    [{ by: 'Audience' }, generic, 'scope=a&audience=https%3A%2F%2Fone&audience=https%3A%2F%2Ftwo'],
    [{ by: 'Scope', scopes }, generic, 'scope=a+carrier-1+carrier-2'],
    [{ by: 'Profile', scopes }, keycloak, 'scope=a+carrier-1+carrier-2'],
    [{ by: 'None' }, generic, 'scope=a'],
  ];
  for (const [mapping, profile, expected] of rows)
    t.is(askParameters(ask, mapping, profile, issuer).toString(), expected);
  const nothing = { scopes: [], audiences: [], maxLifetime: hour };
  t.is(askParameters(nothing, { by: 'Profile' }, generic, issuer).toString(), '');
  t.is(askParameters(nothing, { by: 'Profile' }, glewlwyd, issuer).toString(), 'scope=openid');
  t.throws(() => askParameters(ask, { by: 'Scope' }, generic, issuer), {
    instanceOf: OperatorError,
    message: /https:\/\/one, https:\/\/two/,
  });
  t.deepEqual(carriers(['https://one', 'toString'], { by: 'Scope', scopes }, generic), ['carrier-1']);
  t.deepEqual(carriers(['https://one'], { by: 'Resource', scopes }, generic), []);
});

test('where the metadata document may be', (t) => {
  t.deepEqual(documentUrls('https://idp.example.com'), [
    'https://idp.example.com/.well-known/openid-configuration',
    'https://idp.example.com/.well-known/oauth-authorization-server',
  ]);
  t.deepEqual(documentUrls(issuer), [
    `${issuer}/.well-known/openid-configuration`,
    'https://idp.example.com/.well-known/oauth-authorization-server/realms/ci',
  ]);
  t.deepEqual(documentUrls(`${issuer}/`), documentUrls(issuer));
});

test('whatever a metadata document says: our origin over https, or an error of ours', (t) => {
  const url = fc.oneof(
    fc.webUrl({ validSchemes: ['https', 'http'] }),
    fc.constant('https://idp.example.com/x'),
    fc.constant('https://idp.example.com.evil.example/x'),
    fc.constant('https://idp.example.com@evil.example/'),
    fc.constant('https://idp.example.com:444/x'),
    fc.string(),
    fc.jsonValue(),
  );
  const document = fc.record(
    {
      issuer: fc.constantFrom<unknown>(issuer, `${issuer}/`, issuer.toUpperCase(), null),
      token_endpoint: url,
      registration_endpoint: url,
      revocation_endpoint: url,
      introspection_endpoint: url,
      token_endpoint_auth_methods_supported: fc.jsonValue(),
    },
    { requiredKeys: ['issuer'] },
  );
  fc.assert(
    fc.property(document, (given) => {
      try {
        const { tokenEndpoint, registrationEndpoint, revocationEndpoint, introspectionEndpoint } = parseMetadata(
          given,
          issuer,
          false,
        );
        for (const endpoint of [tokenEndpoint, registrationEndpoint, revocationEndpoint, introspectionEndpoint]) {
          if (endpoint !== undefined) t.is(new URL(endpoint).origin, 'https://idp.example.com');
        }
        t.is(given.issuer, issuer);
      } catch (error) {
        t.true(error instanceof OperatorError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('that clients are not changed is believed after ten minutes of refusals, for a day, or until one was', (t) => {
  const changes = new Offer();
  const clock = { at: where.now, now: () => clock.at };
  const shared = { profile: generic, changes, clock, reach: new Reach(), discovery: { known: undefined } };
  const variants = () => capabilitiesOf(shared as never, { by: 'None' }).variants;
  const all = ['TwoKeys', 'NewClient'];
  const refusedAfter = (minutes: number): void => changes.sawRefusal(plus(where.now, minutes * minute));
  t.deepEqual(variants(), all);
  refusedAfter(0);
  refusedAfter(9);
  t.deepEqual(variants(), all, 'for a moment');
  refusedAfter(10);
  t.deepEqual(variants(), ['NewClient']);
  clock.at = plus(where.now, 24 * hour + 10 * minute);
  t.deepEqual(variants(), all, 'asked again');
  refusedAfter(24 * 60 + 10);
  t.deepEqual(variants(), ['NewClient']);
  changes.sawSuccess();
  t.deepEqual(variants(), all);
});

const unasked = { issuer, tokenEndpoint: 'x', revocationEndpoint: 'x' };
const askable = { ...unasked, introspectionEndpoint: 'x' };

for (const [seen, metadata, reaches, why = ''] of [
  ['opaque', { issuer, tokenEndpoint: 'x' }, 'ExpiryOnly'],
  ['', askable, 'IntrospectionOnly'],
  ['opaque', askable, 'Immediate'],
  ['jwt', askable, 'IntrospectionOnly'],
  ['opaque jwt', askable, 'IntrospectionOnly'],
  ['jwt jwt-refused', askable, 'ExpiryOnly'],
  ['opaque jwt jwt-refused', askable, 'IntrospectionOnly'],
  ['opaque refused', askable, 'IntrospectionOnly', 'something before the provider may have said it'],
  ['opaque refused refused-later', askable, 'ExpiryOnly'],
  ['opaque refused revoked refused-later', askable, 'IntrospectionOnly'],
  ['opaque refused refused-later revoked', askable, 'Immediate'],
  ['refused refused-later', askable, 'ExpiryOnly', 'a new process revokes before it mints'],
  ['opaque refused refused-later jwt', askable, 'IntrospectionOnly'],
  ['opaque refused refused-later jwt jwt-refused', askable, 'ExpiryOnly'],
  ['jwt', unasked, 'ExpiryOnly', 'a revocation endpoint for refresh tokens alone, as Auth0 has it'],
  ['jwt', undefined, 'IntrospectionOnly', 'metadata may still say otherwise'],
  ['', unasked, 'IntrospectionOnly'],
  ['opaque', unasked, 'Immediate'],
] as const) {
  test(`what revocation reaches is learnt: ${seen || 'nothing'} at ${Object.keys(metadata ?? {}).join(' ')}`, (t) => {
    const reach = new Reach();
    const later = plus(where.now, 10 * minute);
    const events: Readonly<Record<string, () => void>> = {
      opaque: () => reach.sawToken(false),
      jwt: () => reach.sawToken(true),
      'jwt-refused': () => reach.sawRefusal(true, where.now),
      refused: () => reach.sawRefusal(false, where.now),
      'refused-later': () => reach.sawRefusal(false, later),
      revoked: () => reach.sawRevoked(false),
    };
    for (const event of seen.split(' ')) events[event]?.();
    t.is(reach.of(metadata, later), reaches, why);
  });
}

test('a day after the last refusal opaque tokens are asked to be revoked again', (t) => {
  const reach = new Reach();
  reach.sawToken(false);
  for (const minutes of [0, 10]) reach.sawRefusal(false, plus(where.now, minutes * minute));
  t.is(reach.of(askable, plus(where.now, 24 * hour)), 'ExpiryOnly');
  t.is(reach.of(askable, plus(where.now, 25 * hour)), 'IntrospectionOnly');
});

for (const profile of [generic, glewlwyd, hydra, spring]) {
  test(`${profile.name}: whatever we set of a client and somebody changed is drift, in whatever order it is told`, async (t) => {
    const { publicJwk } = await generateKey('ES256');
    const want = desired([publicJwk]);
    const body = profile.toBody(want, ['a', 'b']);
    const redirects = body['redirect_uris'] as readonly string[];
    const rows: readonly (readonly [Readonly<Record<string, unknown>>, readonly string[]])[] = [
      [{ grant_types: ['client_credentials', 'password'] }, ['grantTypes']],
      [{ grant_types: ['client_credentials', 'authorization_code'] }, profile === glewlwyd ? [] : ['grantTypes']],
      [{ grant_types: ['authorization_code'] }, ['grantTypes']],
      [{ grant_types: [] }, ['grantTypes']],
      [{ redirect_uris: [...redirects, 'https://elsewhere.example.com'] }, ['redirects']],
      [{ token_endpoint_auth_method: 'none' }, ['authentication']],
      [{ jwks: undefined, jwks_uri: 'https://elsewhere.example.com/keys' }, ['keys']],
      [{ jwks: { keys: [publicJwk, (await generateKey('ES256')).publicJwk] } }, ['keys']],
      [{ scope: 'b a' }, []],
      [{ grant_types: 'client_credentials', response_types: ['none'], redirect_uris: redirects.toReversed() }, []],
      [{ grant_types: undefined, redirect_uris: null, jwks: undefined, scope: undefined }, []],
    ];
    for (const [change, drift] of rows) {
      const seen = driftOf(profile.fromBody({ ...body, ...change }), want, profile, []);
      t.deepEqual(seen.drift, drift, JSON.stringify(change));
      t.is(seen.driftDigest === undefined, drift.length === 0);
    }
  });
}

test('what differs is known again, and told from a difference in the same member', (t) => {
  const digest = (...grants: readonly string[]) =>
    driftOf(generic.fromBody({ grant_types: grants }), desired(), generic, []).driftDigest;
  const added = digest('client_credentials', 'refresh_token');
  t.is(digest('refresh_token', 'client_credentials', 'refresh_token'), added);
  t.not(digest('client_credentials', 'refresh_token', 'authorization_code'), added);
});

test('Keycloak: whatever we set of a client and somebody changed is drift', async (t) => {
  const want = desired([(await generateKey('ES256')).publicJwk]);
  const body = keycloak.toBody(want, ['a', 'b']);
  const attributes = (changed: Readonly<Record<string, unknown>>) => ({
    attributes: { ...(body['attributes'] as object), ...changed },
  });
  const changes: readonly (readonly [Readonly<Record<string, unknown>>, readonly string[]])[] = [
    [{ publicClient: true }, ['settings']],
    [{ standardFlowEnabled: true }, ['settings']],
    [{ implicitFlowEnabled: true }, ['settings']],
    [{ directAccessGrantsEnabled: true }, ['settings']],
    [{ fullScopeAllowed: true }, ['settings']],
    [attributes({ 'access.token.lifespan': '28800' }), ['settings']],
    [attributes({ 'token.endpoint.auth.signing.alg': 'RS256' }), ['settings']],
    [
      attributes({
        'use.jwks.string': 'false',
        'use.jwks.url': 'true',
        'jwks.url': 'https://elsewhere.example.com/keys',
      }),
      ['keys'],
    ],
    [attributes({ 'use.jwks.url': 'true' }), ['keys']],
    [attributes({ 'jwks.url': 'https://elsewhere.example.com/keys' }), []],
    [attributes({ 'use.jwks.url': undefined, 'token.endpoint.auth.signing.alg': undefined }), []],
  ];
  for (const [change, drift] of changes)
    t.deepEqual(driftOf(keycloak.fromBody({ ...body, ...change }), want, keycloak, []).drift, drift);
  const { fullScopeAllowed: _, ...silent } = body;
  t.deepEqual(driftOf(keycloak.fromBody(silent), want, keycloak, []).drift, [], 'what is not said is none');
});

test('Keycloak: an id that is taken, also should it answer as HTTP has it', (t) => {
  t.true(keycloak.isIdTaken?.({ status: 400, text: 'Client Identifier in use', page: false }));
  t.true(keycloak.isIdTaken?.({ status: 409, page: false }));
  t.false(keycloak.isIdTaken?.({ status: 400, text: 'another', page: false }));
});

test('a refused registration: each product names the steps of its administrator', (t) => {
  const refusedWith = (status: number) => ({ status, page: false });
  const wanted = { scopes: ['a', 'aud-a'], carriers: ['aud-a'] };
  t.is(
    keycloak.registrationHint(refusedWith(403), issuer, wanted),
    'In Keycloak make each of a, aud-a an optional client scope of realm ci (Client scopes, Assigned type Optional), and give aud-a a mapper of type Audience.',
  );
  t.is(
    keycloak.registrationHint(refusedWith(403), 'https://idp.example.com', { scopes: [], carriers: [] }),
    'In Keycloak make each scope of the pool an optional client scope of the realm of this issuer (Client scopes, Assigned type Optional).',
  );
  const said = (policy: string, details: string): string => {
    const text = `Policy '${policy}' rejected request to client-registration service. Details: ${details}`;
    return keycloak.registrationHint({ ...refusedWith(403), text }, issuer, wanted) ?? '';
  };
  for (const [policy, details, hint] of [
    ['Allowed Client Scopes', 'Not permitted to use specified clientScope', /make each of a, aud-a an optional/],
    ['ours', 'Not permitted to use specified clientScope', /make each of a, aud-a an optional/],
    ['Max Clients Limit', "It's allowed to have max 200 clients per realm", /delete clients of realm ci .* raise the/],
    ['ours', "It's allowed to have max 7 clients per realm", /delete clients of realm ci .* raise the limit/],
    ['Trusted Hosts', 'Host not trusted.', /trust the addresses of the operator .* registrationTokenRef/],
    ['Consent Required', 'no', /^In Keycloak let this policy of realm ci permit it/],
  ] as const)
    t.regex(said(policy, details), hint);
  t.regex(
    glewlwyd.registrationHint(refusedWith(400), 'https://idp.example.com/api/ci', wanted) ?? '',
    /plugin ci allows/,
  );
  t.regex(hydra.registrationHint(refusedWith(404), issuer, wanted) ?? '', /dynamic_client_registration/);
  for (const profile of [generic, keycloak, glewlwyd, hydra, spring])
    t.is(profile.registrationHint(refusedWith(500), issuer, wanted), undefined);
});
