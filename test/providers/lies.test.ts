/** What a provider, or something before it, may do to us: accidents and lies in front of a real oidc-provider. */
import test, { type ExecutionContext } from 'ava';
import { hour, minute, plus, second, systemClock } from '#src/clock.ts';
import { prove } from '#src/controllers/client/prove.ts';
import { credentialRefused, proved } from '#src/domain/client/proofs.ts';
import { authenticating } from '#src/domain/status/authentication.ts';
import type { OperatorError } from '#src/errors.ts';
import { type Issuer, Issuers, type IssuerSettings } from '#src/providers/issuers.ts';
import { withoutUndefined } from '#src/providers/fields.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { Redacted } from '#src/redacted.ts';
import { Effects } from '#src/runtime/effect.ts';
import { buildClientRecord, buildGeneration, noon } from '#test/support/builders.ts';
import { client as clientView, poolFacts } from '../unit/domain/status/facts.ts';
import { ask, desired, failure, ref, registered, signal } from './contract.ts';
import type { CannedAnswer, Endpoint, Fault } from './oidc-provider-faults.ts';
import { type OidcProvider, type OidcProviderOptions, startOidcProvider } from './oidc-provider.ts';

const audience = 'https://registry.example.com';
const scopes = ['artifacts:publish', 'artifacts:read'] as const;

interface Bench {
  readonly provider: OidcProvider;
  readonly issuer: Issuer;
  /** A second issuer object: nothing cached, other settings. */
  readonly fresh: (change?: Partial<IssuerSettings>) => Issuer;
}

async function start(t: ExecutionContext, options: OidcProviderOptions = {}): Promise<Bench> {
  const provider = await startOidcProvider(options);
  const issuers: Issuers[] = [];
  const fresh = (change: Partial<IssuerSettings> = {}): Issuer => {
    const made = new Issuers({ clock: systemClock, random: () => 0 });
    issuers.push(made);
    const settings: IssuerSettings = {
      url: provider.issuer,
      profile: 'Generic',
      registrationToken: () => new Redacted(provider.initialAccessToken),
      caBundle: () => provider.caPem,
      allowPrivateNetwork: true,
      ...change,
    };
    made.configure([settings]);
    return made.get(settings.url)!;
  };
  t.teardown(async () => {
    await Promise.all(issuers.map((made) => made.close()));
    await provider.stop();
  });
  return { provider, issuer: fresh(), fresh };
}

const subject = (issuer: Issuer) => ({ issuer, scopes, audience }) as unknown as Parameters<typeof registered>[0];
const kind = (error: OperatorError) => [error.class, error.reason, error.whose];

// One row: what happens instead of a good answer of the token endpoint → class, reason, whose it is.
const tokenRows: readonly (readonly [string, Partial<Fault>, readonly string[]])[] = [
  ['500', { instead: { status: 500 } }, ['Transient', 'ProviderUnavailable', 'Issuer']],
  [
    '502 with a page',
    { instead: { status: 502, body: '<html>bad gateway</html>' } },
    ['Transient', 'ProviderUnavailable', 'Issuer'],
  ],
  ['connection cut before the request', { dropRequest: true }, ['Transient', 'ProviderUnavailable', 'Issuer']],
  ['answer lost', { dropAnswer: true }, ['Transient', 'ProviderUnavailable', 'Issuer']],
  [
    'a redirect',
    { instead: { status: 307, headers: { location: '/jwks' } } },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  [
    '200 with a page',
    { instead: { status: 200, body: '<html>welcome</html>' } },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  ['200 and nothing', { instead: { status: 200, body: '' } }, ['Transient', 'ProviderMisbehaves', 'Issuer']],
  ['204', { instead: { status: 204 } }, ['Transient', 'ProviderMisbehaves', 'Issuer']],
  ['truncated JSON', { instead: json(200, '{"access_token":"abc') }, ['Transient', 'ProviderMisbehaves', 'Issuer']],
  ['a list', { instead: json(200, '[]') }, ['Transient', 'ProviderMisbehaves', 'Issuer']],
  [
    'a token that is a number',
    { instead: json(200, '{"access_token":5,"token_type":"Bearer"}') },
    ['Transient', 'ProviderMisbehaves', 'Object'],
  ],
  [
    'an empty token',
    { instead: json(200, '{"access_token":"","token_type":"Bearer"}') },
    ['Terminal', 'TokenUnusable', 'Object'],
  ],
  [
    'a token with a newline',
    { instead: json(200, '{"access_token":"a\\nb","token_type":"Bearer"}') },
    ['Terminal', 'TokenUnusable', 'Object'],
  ],
  [
    'a token of 20,000 characters',
    { instead: json(200, { access_token: 'a'.repeat(20_000), token_type: 'Bearer' }) },
    ['Terminal', 'TokenUnusable', 'Object'],
  ],
  [
    'an answer of 100,000 bytes',
    { instead: json(200, { access_token: 'a', token_type: 'Bearer', padding: 'a'.repeat(100_000) }) },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  [
    'a compressed answer',
    {
      instead: {
        ...json(200, { access_token: 'a', token_type: 'Bearer', expires_in: 300 }),
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      },
    },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  [
    'invalid_client with Basic challenge',
    {
      instead: {
        ...json(401, { error: 'invalid_client' }),
        headers: { 'content-type': 'application/json', 'www-authenticate': 'Basic realm="x"' },
      },
    },
    ['Terminal', 'CredentialRefused', 'Object'],
  ],
  ['401 without a body', { instead: { status: 401 } }, ['Transient', 'ProviderMisbehaves', 'Issuer']],
  ['an empty 403', { instead: { status: 403 } }, ['Transient', 'ProviderMisbehaves', 'Issuer']],
  [
    'a 403 of a service mesh',
    { instead: { status: 403, headers: { 'content-type': 'text/plain' }, body: 'RBAC: access denied' } },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  [
    'a 403 of an API gateway',
    { instead: json(403, { message: 'Forbidden' }) },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  [
    'a 403 page of a firewall',
    { instead: { status: 403, body: '<!doctype html><p>blocked' } },
    ['Transient', 'ProviderMisbehaves', 'Issuer'],
  ],
  ['scope_invalid', { instead: json(400, { error: 'scope_invalid' }) }, ['Terminal', 'ScopeRefused', 'Object']],
  [
    'unsupported_grant_type',
    { instead: json(400, { error: 'unsupported_grant_type' }) },
    ['Terminal', 'TokenRequestRefused', 'Object'],
  ],
  [
    'a nested error',
    { instead: json(400, { error: { code: 400, message: 'no' } }) },
    ['Terminal', 'TokenRequestRefused', 'Object'],
  ],
  [
    '200 with an error: a wrong credential',
    { instead: json(200, { error: 'invalid_client', error_description: 'The client secret has expired' }) },
    ['Terminal', 'CredentialRefused', 'Object'],
  ],
  [
    '200 with an error: a wrong scope',
    { instead: json(200, { error: 'invalid_scope' }) },
    ['Terminal', 'ScopeRefused', 'Object'],
  ],
  [
    '200 with an error of nobody knows whom',
    { instead: json(200, { error: 'Busy' }) },
    ['Transient', 'ProviderMisbehaves', 'Object'],
  ],
  ['429 without a time', { instead: { status: 429 } }, ['Transient', 'RateLimited', 'Issuer']],
];

function json(status: number, body: string | object): CannedAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body };
}

test('the token endpoint: each row has its class, and exactly one request was made', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, tokens, key } = await registered(subject(issuer));
  for (const [name, fault, expected] of tokenRows) {
    provider.stats.reset();
    const remove = provider.faults.add({ endpoint: 'token', ...fault });
    const error = await failure(t, tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()));
    remove();
    t.deepEqual(kind(error), expected, name);
    t.is(provider.stats.count(), 1, name);
  }
  await t.notThrowsAsync(tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()));
});

test('it takes assertions for another audience only: the condition names that cause, whoever met the refusal', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, tokens, key, provider: adapter } = await registered(subject(issuer));
  provider.settings.assertionAudience = 'https://idp.internal.example.com';
  const refusal = await failure(t, tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()));
  t.deepEqual(kind(refusal), ['Terminal', 'CredentialRefused', 'Object']);
  const outcome = await prove({
    effects: new Effects({ clock: systemClock, held: () => true }),
    provider: adapter,
    tokens,
    ask: ask(audience, scopes[0]),
    clientId: client.clientId,
    credential: key,
    settles: 'Verify',
    isRemovalBelieved: false,
    isKnownGood: false,
    inUse: () => false,
    defer: () => false,
    revoked: () => undefined,
    now: () => systemClock.now(),
    signal: signal(),
  });
  const record = buildClientRecord({ generations: [buildGeneration({ credential: key })] });
  const created = buildClientRecord({ generations: [buildGeneration({ credential: key, state: 'Created' })] });
  const proof = { use: 'Verify', generation: 1, hash: '', outcome, overlap: 0, lastExp: undefined } as const;
  for (const [who, after] of [
    ['a Mint of a session', credentialRefused(record, 1, noon, refusal.said)],
    ['a proof', proved(record, proof, noon)],
    ['the first proof', proved(created, proof, noon)],
  ] as const) {
    const condition = authenticating(poolFacts({ clients: [clientView({ record: after })] }), noon);
    t.is(condition.reason, 'AssertionAudienceWrong', who);
    t.regex(condition.message, /Compare the issuer URL in the configuration/);
  }
});

test('an encrypted token is read by resource servers alone: its revocation is asked for, not confirmed', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, tokens, key, provider: adapter } = await registered(subject(issuer));
  const header = Buffer.from(JSON.stringify({ alg: 'RSA-OAEP-256', enc: 'A256GCM' })).toString('base64url');
  const body = { access_token: `${header}.a2V5.aXY.dGV4dA.dGFn`, token_type: 'Bearer', expires_in: 300 };
  provider.faults.add({ endpoint: 'token', times: 1, instead: json(200, body) });
  const { value } = await tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal());
  t.is(adapter.capabilities.revocation, 'IntrospectionOnly');
  provider.faults.add({ endpoint: 'revocation', times: 1, instead: { status: 200 } });
  t.is(await tokens.revoke(value, client.clientId, key, signal()), 'Requested');
});

test('a revocation that is answered with 200 and an error is none', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, tokens, key, provider: adapter } = await registered(subject(issuer));
  const { value } = await tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal());
  const revoke = () => tokens.revoke(value, client.clientId, key, signal());
  const answers: readonly (readonly [string, string])[] = [
    ['server_error', 'ProviderUnavailable'],
    ['unauthorized_client', 'CredentialRefused'],
  ];
  for (const [error, reason] of answers) {
    provider.faults.add({ endpoint: 'revocation', times: 1, instead: json(200, { error }) });
    t.is((await failure(t, revoke())).reason, reason as never);
  }
  provider.faults.add({ endpoint: 'revocation', times: 1, instead: json(200, { error: 'unsupported_token_type' }) });
  t.is(await revoke(), 'NotSupported');
  t.is(adapter.capabilities.revocation, 'IntrospectionOnly');
  t.is(await revoke(), 'Confirmed');
  t.is(adapter.capabilities.revocation, 'Immediate');
});

test('credentials in the place of names are not told', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, tokens, key } = await registered(subject(issuer));
  const scope = 'artifacts:publish x-opaque-token-1';
  const body = { access_token: 'opaque-token-1', token_type: 'Bearer', expires_in: 300, scope };
  provider.faults.add({ endpoint: 'token', times: 1, instead: json(200, body) });
  const minted = await tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal());
  t.deepEqual(minted.scopes, ['artifacts:publish', '[redacted]']);
  for (const members of [
    { client_id: provider.initialAccessToken },
    { client_id: 'id-management-token-1', registration_access_token: 'management-token-1' },
    { client_id: 'id-client-secret-1', client_secret: 'client-secret-1' },
  ]) {
    const rewrite: Fault['rewrite'] = ({ body: answer }) => ({ body: { ...(answer as object), ...members } });
    provider.faults.add({ endpoint: 'register', times: 1, rewrite });
    const { clients } = issuer.provider({ audienceBy: 'Profile' });
    const want = desired({ audience }, [scopes[0]], await issuer.generateKey());
    const { reason, message } = await failure(t, clients!.register(want, signal()));
    t.is(reason, 'ProviderMisbehaves');
    t.regex(message, /201 with a credential as client id/);
  }
});

test('429 and 503 name when to come back', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, tokens, key } = await registered(subject(issuer));
  const wishes: readonly (readonly [number, string, number])[] = [
    [429, '120', 120 * second],
    [503, '7', 7 * second],
    [429, '-5', second],
    [429, '86400', 15 * minute],
    [429, new Date(Date.now() + 60_000).toUTCString(), 60 * second],
  ];
  for (const [status, value, expected] of wishes) {
    provider.faults.add({ endpoint: 'token', times: 1, instead: { status, headers: { 'retry-after': value } } });
    const before = systemClock.now();
    const error = await failure(t, tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()));
    t.deepEqual(kind(error), ['Transient', 'RateLimited', 'Issuer']);
    t.true(Math.abs(error.retryAt! - before - expected) < 2.5 * second, `${status} ${value}`);
  }
});

test('twenty tokens cost twenty-one calls: metadata is read once, for all who wait', async (t) => {
  const { provider, issuer, fresh } = await start(t);
  const { client, key } = await registered(subject(issuer));
  provider.stats.reset();
  const { tokens } = fresh().provider({ audienceBy: 'Profile' });
  const mint = () => tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal());
  const minted = await Promise.all(Array.from({ length: 20 }, mint));
  t.is(new Set(minted.map(({ sha256 }) => sha256)).size, 20);
  t.deepEqual([provider.stats.count('discovery'), provider.stats.count('token'), provider.stats.count()], [1, 20, 21]);
});

test('a registration whose answer is lost is not sent again, and the client is there', async (t) => {
  const { provider, issuer } = await start(t);
  provider.faults.add({ endpoint: 'register', times: 1, dropAnswer: true });
  const { clients } = issuer.provider({ audienceBy: 'Profile' });
  const want = desired({ audience }, [scopes[0]], await issuer.generateKey());
  t.deepEqual(kind(await failure(t, clients!.register(want, signal()))), [
    'Transient',
    'ProviderUnavailable',
    'Issuer',
  ]);
  t.is(provider.stats.count('register'), 1);
  t.deepEqual(
    provider.clients().map(({ softwareId }) => softwareId),
    [want.tag],
  );
});

test('an update whose answer is lost took effect: the new key works and the management token is lost', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, clients, tokens, key, want } = await registered(subject(issuer));
  const next = await issuer.generateKey();
  provider.faults.add({ endpoint: 'update', times: 1, dropAnswer: true });
  const both = { ...want, keys: [key.publicJwk, next.publicJwk] };
  t.is((await failure(t, clients.update(ref(client), both, signal()))).reason, 'ProviderUnavailable');
  t.is(provider.stats.count('update'), 1);
  await t.notThrowsAsync(tokens.mint(ask(audience, scopes[0]), client.clientId, next, signal()));
  t.is((await failure(t, clients.update(ref(client), both, signal()))).reason, 'RegistrationAccessTokenLost');
});

test('a management credential of the issuer heals a lost management token', async (t) => {
  const { issuer, fresh } = await start(t, { rotateManagementToken: false });
  const { client, want } = await registered(subject(issuer));
  const lost = { clientId: client.clientId, management: { ...client.management!, token: new Redacted('lost') } };
  const healed = fresh({ managementToken: () => client.management!.token }).provider({
    audienceBy: 'Profile',
  }).clients!;
  t.is((await healed.observe(lost, want, signal())).is, 'Present');
  t.deepEqual((await healed.update(lost, want, signal())).observed.drift, []);
  t.is(await healed.deregister({ clientId: client.clientId }, signal()), 'Deleted');
});

type Rewrite = (body: Record<string, unknown>) => { status?: number; body?: unknown };

// Registration answers that are not quite RFC 7591, all of which must lead to a client that can be used and managed.
const registrationRows: Readonly<Record<string, Rewrite>> = {
  'status 200': () => ({ status: 200 }),
  'an array-valued authentication method': (body) => ({
    body: { ...body, token_endpoint_auth_method: ['private_key_jwt'] },
  }),
  'a management URI on another host': (body) => ({
    body: { ...body, registration_client_uri: 'https://elsewhere.example.com/reg/x' },
  }),
  'no management URI': (body) => ({ body: { ...body, registration_client_uri: undefined } }),
  'unknown members and null': (body) => ({ body: { ...body, logo_uri: null, x: { y: [1] } } }),
};

test('a registration answer may be odd in many ways, and the client works all the same', async (t) => {
  const { provider, issuer } = await start(t);
  for (const [name, rewrite] of Object.entries(registrationRows)) {
    provider.faults.add({
      endpoint: 'register',
      times: 1,
      rewrite: ({ body }) => rewrite(body as Record<string, unknown>),
    });
    const { client, clients, tokens, key, want } = await registered(subject(issuer));
    t.deepEqual(client.observed.drift, [], name);
    await t.notThrowsAsync(tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()), name);
    t.is((await clients.observe(ref(client), want, signal())).is, 'Present', name);
    t.true(client.management!.uri.startsWith(provider.issuer), name);
  }
});

test('a registration answer without a management token still gives a client that mints', async (t) => {
  const { provider, issuer } = await start(t);
  const rewrite: Fault['rewrite'] = ({ body }) => {
    return { body: { ...(body as object), registration_access_token: undefined } };
  };
  provider.faults.add({ endpoint: 'register', times: 1, rewrite });
  const { client, tokens, key } = await registered(subject(issuer));
  t.is(client.management, undefined);
  await t.notThrowsAsync(tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()));
});

test('deleting: 200 and 204 are deleted, 404 and 410 are gone, the rest says why', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, clients, want } = await registered(subject(issuer));
  const rows: readonly (readonly [number, 'Deleted' | 'Gone'])[] = [
    [200, 'Deleted'],
    [204, 'Deleted'],
    [404, 'Gone'],
    [410, 'Gone'],
  ];
  for (const [status, expected] of rows) {
    provider.faults.add({ endpoint: 'delete', times: 1, instead: { status } });
    t.is(await clients.deregister(ref(client), signal()), expected);
  }
  const backend = { status: 404, headers: { 'content-type': 'text/plain' }, body: 'default backend - 404' };
  const page = { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>default backend - 404</html>' };
  const blocked = { ...page, status: 403 };
  const login = { ...page, status: 401 };
  const mesh = { ...backend, status: 403, body: 'RBAC: access denied' };
  const key = json(401, { message: 'Unauthorized' });
  for (const instead of [backend, page, blocked, login, mesh, key, { status: 403 }, { status: 401 }]) {
    for (const endpoint of ['delete', 'read', 'update'] as const) provider.faults.add({ endpoint, times: 1, instead });
    const calls = [
      clients.deregister(ref(client), signal()),
      clients.observe(ref(client), want, signal()),
      clients.update(ref(client), want, signal()),
    ];
    for (const call of calls) t.is((await failure(t, call)).reason, 'ProviderMisbehaves', 'that is not the provider');
  }
  provider.faults.add({ endpoint: 'delete', times: 1, instead: { status: 503 } });
  t.is((await failure(t, clients.deregister(ref(client), signal()))).reason, 'ProviderUnavailable');
});

// Envoy without a route; Kong; an API gateway of AWS.
const gateways: Readonly<Record<string, CannedAnswer>> = {
  'an empty 404': { status: 404 },
  'a JSON 404': json(404, { message: 'no Route matched with those values' }),
  'a JSON 404 of few words': json(404, { message: 'Not Found' }),
};

for (const [what, instead] of Object.entries(gateways))
  test(`${what} of a gateway is no word of the provider about a client, and one beside metadata is`, async (t) => {
    const { provider, issuer } = await start(t);
    const { client, clients, want } = await registered(subject(issuer));
    const calls: readonly (() => Promise<unknown>)[] = [
      () => clients.deregister(ref(client), signal()),
      () => clients.observe(ref(client), want, signal()),
      () => clients.update(ref(client), want, signal()),
    ];
    for (const call of calls) {
      const back = provider.faults.add({ instead });
      const error = await failure(t, call());
      t.deepEqual(kind(error), ['Transient', 'ProviderMisbehaves', 'Object']);
      t.regex(error.message, /404, and no metadata either: something else seems to answer/);
      t.false(surelyWithoutEffect(error));
      back();
    }
    const away = provider.faults.add({ endpoint: 'discovery', dropRequest: true });
    const half = provider.faults.add({ endpoint: 'read', instead });
    t.is((await failure(t, clients.observe(ref(client), want, signal()))).reason, 'ProviderMisbehaves');
    away();
    t.is((await clients.observe(ref(client), want, signal())).is, 'Gone');
    const before = provider.stats.count('discovery');
    t.is((await clients.observe(ref(client), want, signal())).is, 'Gone');
    t.is(provider.stats.count('discovery'), before + 1, 'asked anew, although the metadata are known');
    half();
    const back = await clients.observe(ref(client), want, signal());
    t.deepEqual([back.is, back.drift], ['Present', []]);
  });

// Frameworks without a route; servers that know the path and not the verb; what RFC 9110 has for it.
for (const status of [404, 405, 501])
  test(`a provider that answers ${status} to every change: a client there can be replaced, not changed, and is not gone`, async (t) => {
    const { provider, issuer } = await start(t);
    const { client, clients, want } = await registered(subject(issuer));
    const instead = status === 404 ? json(status, { status, error: 'Not Found', path: '/reg' }) : { status };
    const away = provider.faults.add({ endpoint: 'update', instead });
    const error = await failure(t, clients.update(ref(client), want, signal()));
    t.deepEqual(kind(error), ['Terminal', 'RegistrationRefused', 'Object']);
    t.regex(error.message, /offers no way to change or delete clients \(\d+.*\)\. Set rotation\.allowSubjectChange /);
    t.true(surelyWithoutEffect(error));
    away();
    await t.notThrowsAsync(clients.update(ref(client), want, signal()));
    if (status === 404) return;
    provider.faults.add({ endpoint: 'delete', instead });
    const undeleted = await failure(t, clients.deregister(ref(client), signal()));
    t.deepEqual(kind(undeleted), ['Terminal', 'RegistrationRefused', 'Object']);
  });

test('a read that rotates the management token hands the new one over', async (t) => {
  const { provider, issuer } = await start(t);
  const { client, clients, want } = await registered(subject(issuer));
  const rewrite: Fault['rewrite'] = ({ body }) => ({
    body: { ...(body as object), registration_access_token: 'rotated' },
  });
  provider.faults.add({ endpoint: 'read', times: 1, rewrite });
  const seen = await clients.observe(ref(client), want, signal());
  t.is(seen.management?.token.reveal(), 'rotated');
  t.is((await clients.observe(ref(client), want, signal())).management, undefined);
});

test('registration refused: the sentence names the cause, and whose trouble it is', async (t) => {
  const { provider, issuer, fresh } = await start(t);
  const want = desired({ audience }, [scopes[0]], await issuer.generateKey());
  const rows: readonly (readonly [CannedAnswer, string, RegExp])[] = [
    [
      json(401, { error: 'invalid_token', error_description: 'No remaining count' }),
      'RegistrationCredentialRefused',
      /No remaining count.*registrationTokenRef/,
    ],
    [
      json(403, { error: 'insufficient_scope', error_description: 'Allowed Client Scopes' }),
      'RegistrationRefused',
      /403 insufficient_scope, "Allowed Client Scopes"/,
    ],
    [json(400, { error: 'invalid_client_metadata' }), 'RegistrationRefused', /invalid_client_metadata/],
    [{ status: 404 }, 'RegistrationRefused', /Switch dynamic client registration on/],
    [json(201, '{"client_id":'), 'ProviderMisbehaves', /without a JSON object/],
    [json(201, {}), 'ProviderMisbehaves', /without a usable client id/],
  ];
  for (const [instead, reason, sentence] of rows) {
    provider.faults.add({ endpoint: 'register', times: 1, instead });
    const error = await failure(t, issuer.provider({ audienceBy: 'Profile' }).clients!.register(want, signal()));
    t.is(error.reason, reason as never);
    t.regex(error.message, sentence);
  }
  const bare = fresh({ registrationToken: () => undefined }).provider({ audienceBy: 'Profile' }).clients!;
  t.deepEqual(kind(await failure(t, bare.register(want, signal()))), [
    'Terminal',
    'RegistrationCredentialMissing',
    'Issuer',
  ]);
});

for (const method of ['ClientSecretBasic', 'ClientSecretPost'] as const) {
  test(`${method}: the secret of the answer mints and revokes, a wrong one is refused and not quoted`, async (t) => {
    const { issuer } = await start(t);
    const { clients, tokens } = issuer.provider({ audienceBy: 'Profile' });
    const want = { ...desired({ audience }, [scopes[0]]), authentication: method };
    const client = await clients!.register(want, signal());
    t.deepEqual(client.observed.drift, []);
    t.is(client.secretExpiresAt, undefined);
    const good = { type: method, secret: client.secret! };
    const { value } = await tokens.mint(ask(audience, scopes[0]), client.clientId, good, signal());
    t.is(await tokens.revoke(value, client.clientId, good, signal()), 'Confirmed');
    const bad = { type: method, secret: new Redacted('a wrong secret: 100 % & + =') };
    const error = await failure(t, tokens.mint(ask(audience, scopes[0]), client.clientId, bad, signal()));
    t.deepEqual(kind(error), ['Terminal', 'CredentialRefused', 'Object'], error.message);
    t.false(error.message.includes('a wrong secret'));
    t.is(
      (await failure(t, tokens.mint(ask(audience), client.clientId, { type: method }, signal()))).reason,
      'CredentialRefused',
    );
  });
}

test('what is no token is not sent, and the sentence names its Secret', async (t) => {
  const { provider, fresh } = await start(t);
  const printed = new Redacted(`{\n  "token" : "${provider.initialAccessToken}"\n}`);
  const { clients } = fresh({ registrationToken: () => printed, managementToken: () => printed }).provider({
    audienceBy: 'Profile',
  });
  const want = desired({ audience }, [scopes[0]], await fresh().generateKey());
  const register = await failure(t, clients!.register(want, signal()));
  t.deepEqual(kind(register), ['Terminal', 'RegistrationCredentialRefused', 'Issuer']);
  t.regex(register.message, /the Secret of registrationTokenRef holds more than a token/);
  const manage = await failure(t, clients!.deregister({ clientId: 'any' }, signal()));
  t.deepEqual(kind(manage), ['Terminal', 'RegistrationAccessTokenLost', 'Object']);
  t.regex(manage.message, /the Secret of managementTokenRef, or what was handed in, holds more/);
  t.false(`${register.message}${manage.message}`.includes(provider.initialAccessToken));
  t.deepEqual([provider.stats.count('register'), provider.stats.count('delete')], [0, 0]);
});

test('id and secret are those of the answer, and the end of a secret is seconds since 1970 that are still to come, or never', async (t) => {
  const { provider, issuer } = await start(t);
  const { clients, tokens } = issuer.provider({ audienceBy: 'Profile' });
  const want = { ...desired({ audience }, [scopes[0]]), authentication: 'ClientSecretBasic' as const };
  const answered = (change: Readonly<Record<string, unknown>>) => {
    const rewrite: Fault['rewrite'] = ({ body }) => ({ body: { ...(body as object), ...change } });
    provider.faults.add({ endpoint: 'register', times: 1, rewrite });
    return clients!.register(want, signal());
  };
  t.is((await answered({ client_id: 'chosen-by-the-server' })).clientId, 'chosen-by-the-server');
  for (const [said, expected] of [
    [4_000_000_000, 4_000_000_000_000],
    [1_700_000_000, undefined],
    [7_776_000, undefined],
    [0, undefined],
    [-1, undefined],
    [1_800_000_000_000, undefined],
    ['1800000000', undefined],
    [null, undefined],
  ] as const)
    t.is((await answered({ client_secret_expires_at: said })).secretExpiresAt, expected as never, String(said));
  const { clientId, secret } = await answered({ client_secret: undefined });
  t.is(secret, undefined);
  const error = await failure(
    t,
    tokens.mint(ask(audience, scopes[0]), clientId, { type: 'ClientSecretBasic' }, signal()),
  );
  t.deepEqual(kind(error), ['Terminal', 'CredentialRefused', 'Object']);
  t.regex(error.message, /cannot be used, because it has no client secret\. Rotate the pool\./);
});

for (const [what, clockOffset] of [
  ['ahead', 5 * minute],
  ['behind', -5 * minute],
] as const)
  test(`a clock that is five minutes ${what} is no lie: keys and secrets are honoured from the first call on, and end when they do by our clock`, async (t) => {
    const life = 2 * minute;
    const { provider, issuer } = await start(t, { clockOffset, secretTtl: life / second });
    const { clients, tokens } = issuer.provider({ audienceBy: 'Profile' });
    for (const authentication of ['PrivateKeyJwt', 'ClientSecretBasic'] as const) {
      const key = authentication === 'PrivateKeyJwt' ? await issuer.generateKey() : undefined;
      const before = systemClock.now();
      const want = { ...desired({ audience }, [scopes[0]], ...(key === undefined ? [] : [key])), authentication };
      const client = await clients!.register(want, signal());
      const credential = key ?? { type: 'ClientSecretBasic', ...withoutUndefined({ secret: client.secret }) };
      const minted = await tokens.mint(ask(audience, scopes[0]), client.clientId, credential, signal());
      t.true(provider.honours(minted.value.reveal()));
      t.is(await tokens.revoke(minted.value, client.clientId, credential, signal()), 'Confirmed');
      if (key !== undefined) continue;
      const end = client.secretExpiresAt! - before;
      t.true(end >= life - 2 * second && end < life + minute, `${end} ms`);
    }
    t.is(provider.stats.count('token', 200), 2);
    t.is(provider.stats.count('token'), 2);
  });

// Metadata that must not be used, and one word of the sentence that says why.
const metadataRows: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['another issuer', { issuer: 'https://evil.example.com' }, /another issuer/],
  [
    'a token endpoint on another host',
    { token_endpoint: 'https://evil.example.com/token' },
    /token_endpoint is on another origin/,
  ],
  ['a token endpoint without TLS', { token_endpoint: 'http://127.0.0.1/token' }, /only https/],
  [
    'a revocation endpoint at the metadata address',
    { revocation_endpoint: 'https://169.254.169.254/x' },
    /never called/,
  ],
  ['no token endpoint', { token_endpoint: undefined }, /no token_endpoint/],
  ['a token endpoint that is a list', { token_endpoint: [] }, /not text/],
];

test('metadata that points elsewhere is never used', async (t) => {
  const { provider, fresh } = await start(t);
  for (const [name, change, sentence] of metadataRows) {
    provider.faults.add({
      endpoint: 'discovery',
      times: 1,
      rewrite: ({ body }) => ({ body: { ...(body as object), ...change } }),
    });
    const issuer = fresh();
    const error = await failure(t, issuer.ready(signal()));
    t.deepEqual(kind(error), ['Terminal', 'ProviderMetadataInvalid', 'Issuer'], name);
    t.regex(error.message, sentence, name);
    t.is(issuer.capabilities(), undefined);
  }
});

test('metadata at the place of RFC 8414 is found, and a minimal document is enough', async (t) => {
  const { provider, fresh } = await start(t);
  const missing: Fault = { endpoint: 'discovery', times: 1, instead: { status: 404 } };
  provider.faults.add({ ...missing, times: 2 });
  t.is((await failure(t, fresh().ready(signal()))).reason, 'ProviderMetadataInvalid');
  provider.faults.add(missing);
  provider.faults.add({
    endpoint: 'discovery',
    times: 1,
    instead: json(200, { issuer: provider.issuer, token_endpoint: `${provider.issuer}/token` }),
  });
  const issuer = fresh();
  await issuer.ready(signal());
  t.deepEqual(issuer.capabilities()?.variants, []);
  t.is(issuer.capabilities()?.revocation, 'ExpiryOnly');
  t.is(issuer.provider({ audienceBy: 'Profile' }).clients, undefined);
});

test('a provider that does not answer: each of its troubles has a reason', async (t) => {
  const { provider, fresh } = await start(t);
  const gone = await startOidcProvider();
  await gone.stop();
  const expired = await start(t, { certificateDays: -1 });
  const elsewhere = await start(t, { host: 'localhost', names: [] });
  const rows: readonly (readonly [string, Issuer, string, string, RegExp])[] = [
    [
      'unknown CA',
      fresh({ caBundle: () => expired.provider.caPem }),
      'Transient',
      'TlsInvalid',
      /give the certificate authority in caBundleRef/,
    ],
    ...[undefined, '', 'rubbish', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'].map(
      (bundle) =>
        [
          'CA that is not there or no certificate',
          fresh({ caBundle: () => bundle }),
          'Transient',
          'TlsInvalid',
          /not called, because what caBundleRef .* does not exist or holds no certificate/,
        ] as const,
    ),
    ['expired certificate', expired.issuer, 'Transient', 'TlsInvalid', /CERT_HAS_EXPIRED/],
    [
      'certificate for another name',
      elsewhere.fresh({ url: elsewhere.provider.issuer.replace('localhost', '127.0.0.1') }),
      'Transient',
      'TlsInvalid',
      /another host name/,
    ],
    [
      'private address without permission',
      fresh({ allowPrivateNetwork: false }),
      'Terminal',
      'AddressNotAllowed',
      /allowPrivateNetwork/,
    ],
    [
      'name of a private address without permission',
      fresh({ allowPrivateNetwork: false, url: provider.issuer.replace('127.0.0.1', 'localhost') }),
      'Transient',
      'AddressNotAllowed',
      /allowPrivateNetwork/,
    ],
    ['nobody listens', fresh({ url: gone.issuer }), 'Transient', 'ProviderUnavailable', /refused/],
    ['no such name', fresh({ url: 'https://nothing.invalid' }), 'Transient', 'ProviderUnavailable', /resolve/],
  ];
  for (const [name, issuer, errorClass, reason, sentence] of rows) {
    const error = await failure(t, issuer.ready(signal()));
    t.deepEqual(kind(error), [errorClass, reason, 'Issuer'], name);
    t.regex(error.message, sentence, name);
  }
});

test('a new CA bundle is used from the next call on', async (t) => {
  const { provider, fresh } = await start(t);
  const mounted: { bundle?: string } = {};
  const issuer = fresh({ caBundle: () => mounted.bundle });
  t.is((await failure(t, issuer.ready(signal()))).reason, 'TlsInvalid');
  mounted.bundle = provider.caPem;
  await t.notThrowsAsync(issuer.ready(signal()));
});

const hanging: readonly Endpoint[] = ['token', 'discovery'];
for (const endpoint of hanging) {
  test(`a hanging ${endpoint} endpoint ends with the caller's deadline`, async (t) => {
    const { provider, issuer, fresh } = await start(t);
    const { client, key } = await registered(subject(issuer));
    provider.faults.add({ endpoint, hang: true });
    const { tokens } = (endpoint === 'discovery' ? fresh() : issuer).provider({ audienceBy: 'Profile' });
    const work = tokens.mint(ask(audience, scopes[0]), client.clientId, key, AbortSignal.timeout(200));
    const error = await failure(t, work);
    t.deepEqual(kind(error), ['Transient', 'ProviderUnavailable', 'Issuer']);
    t.regex(error.message, /in time/);
  });
}

test('the clock of the provider is known from its answers', async (t) => {
  const { issuer } = await start(t);
  t.is(issuer.clockOffset(), undefined);
  await issuer.ready(signal());
  t.true(Math.abs(issuer.clockOffset()!) <= 2 * second);
});

for (const hours of [-3, 3]) {
  test(`a clock that is ${hours} h off is seen, and assertions follow the clock of the provider`, async (t) => {
    const { provider, issuer } = await start(t);
    const { client, key } = await registered(subject(issuer));
    const clock = { ...systemClock, now: () => plus(systemClock.now(), hours * hour) };
    const issuers = new Issuers({ clock, random: () => 0 });
    t.teardown(() => issuers.close());
    issuers.configure([issuer.settings]);
    const wrong = issuers.get(provider.issuer)!;
    const { tokens } = wrong.provider({ audienceBy: 'Profile' });
    await t.notThrowsAsync(tokens.mint(ask(audience, scopes[0]), client.clientId, key, signal()));
    t.true(Math.abs(wrong.clockOffset()! + hours * hour) <= 2 * second);
  });
}

test('issuers: configuring again keeps what stays, drops what is not listed, and never knows more', async (t) => {
  const { provider, issuer } = await start(t);
  const issuers = new Issuers({ clock: systemClock, random: () => 0 });
  t.teardown(() => issuers.close());
  const settings: IssuerSettings = { ...issuer.settings };
  issuers.configure([settings]);
  const first = issuers.get(provider.issuer)!;
  await first.ready(signal());
  issuers.configure([{ ...settings }]);
  t.is(issuers.get(provider.issuer), first);
  issuers.configure([{ ...settings, profile: 'Keycloak' }]);
  t.not(issuers.get(provider.issuer), first);
  t.is(issuers.get(provider.issuer)!.capabilities(), undefined);
  issuers.configure([]);
  t.is(issuers.get(provider.issuer), undefined);
  t.is(issuers.get('https://elsewhere.example.com'), undefined);
});
