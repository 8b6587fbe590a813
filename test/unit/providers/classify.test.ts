import test from 'ava';
import fc from 'fast-check';
import { instant, minute, parseRfc3339, plus, second } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { type Operation, refused } from '#src/providers/classify.ts';
import { authenticate } from '#src/providers/oidc/authentication.ts';
import { Redacted } from '#src/redacted.ts';
import { LeakScanner } from '#test/support/leak-scan.ts';
import type { HttpAnswer } from '#src/providers/http.ts';

const now = parseRfc3339('2026-11-24T12:00:00Z')!;
const where = { issuer: 'https://idp.example.com', now };
const answer = (status: number, body: unknown = '', headers: Readonly<Record<string, string>> = {}): HttpAnswer => ({
  status,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const kind = (error: OperatorError): string => `${error.class} ${error.reason} ${error.whose}`;

const waf = '<html><body>Request blocked</body></html>';
const rows: readonly (readonly [Operation, HttpAnswer, string])[] = [
  ['Token', answer(400, { error: 'invalid_client' }), 'Terminal CredentialRefused Object'],
  ['Token', answer(400, { error: 'unauthorized_client' }), 'Terminal CredentialRefused Object'],
  [
    'Token',
    answer(401, '', { 'www-authenticate': 'Basic realm="x", error="invalid_client"' }),
    'Terminal CredentialRefused Object',
  ],
  ['Token', answer(401, { error: 'access_denied' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(400, { error: 'invalid_grant' }), 'Terminal CredentialRefused Object'],
  ['Token', answer(400, { error: 'invalid_scope' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(400, { error: 'invalid_resource' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(400, { error: 'use_dpop_nonce' }), 'Terminal TokenRequestRefused Object'],
  ['Token', answer(200, { error: 'invalid_client' }), 'Terminal CredentialRefused Object'],
  ['Token', answer(200, { error: 'server_error' }), 'Transient ProviderUnavailable Issuer'],
  ['Token', answer(200, { error: 'invalid_client', access_token: 'x' }), 'Transient ProviderMisbehaves Issuer'],
  ['Token', answer(200, { error: 'Busy' }), 'Transient ProviderMisbehaves Issuer'],
  ['Token', answer(400, { error: 'invalid_target' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(403, { error: 'access_denied' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(400, { error: 'invalid_request' }), 'Terminal TokenRequestRefused Object'],
  ['Token', answer(400, { error: 'temporarily_unavailable' }), 'Transient ProviderUnavailable Issuer'],
  ['Token', answer(400, { error: 'slow_down' }), 'Transient ProviderUnavailable Issuer'],
  ['Token', answer(400, { error: 'scope_invalid' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(403, { error: 'insufficient_scope' }), 'Terminal ScopeRefused Object'],
  ['Token', answer(408), 'Transient ProviderUnavailable Issuer'],
  ['Token', answer(404), 'Transient ProviderMisbehaves Issuer'],
  ['Token', answer(405), 'Transient ProviderMisbehaves Issuer'],
  ['Introspect', answer(400, { error: 'invalid_token' }), 'Terminal CredentialRefused Object'],
  ['Token', answer(403, waf), 'Transient ProviderMisbehaves Issuer'],
  ['Token', answer(302), 'Transient ProviderMisbehaves Issuer'],
  ['Token', answer(429), 'Transient RateLimited Issuer'],
  ['Token', answer(503), 'Transient ProviderUnavailable Issuer'],
  ['Token', answer(503, '', { 'retry-after': '3' }), 'Transient RateLimited Issuer'],
  ['Register', answer(401, { error: 'invalid_token' }), 'Terminal RegistrationCredentialRefused Issuer'],
  ['Register', answer(403, { error: 'insufficient_scope' }), 'Terminal RegistrationRefused Object'],
  ['Register', answer(400, { error: 'invalid_client_metadata' }), 'Terminal RegistrationRefused Object'],
  ['Register', answer(409, { errorCode: 'E0000001', errorSummary: 'exists' }), 'Terminal RegistrationRefused Object'],
  ['Register', answer(403, waf), 'Transient ProviderMisbehaves Issuer'],
  ['Register', answer(429), 'Transient RateLimited Issuer'],
  ['Manage', answer(401, { error: 'invalid_token' }), 'Terminal RegistrationAccessTokenLost Object'],
  ['Manage', answer(401, '', { 'www-authenticate': 'Bearer' }), 'Terminal RegistrationAccessTokenLost Object'],
  ['Manage', answer(401, waf, { 'www-authenticate': 'Bearer' }), 'Transient ProviderMisbehaves Issuer'],
  [
    'Manage',
    answer(401, { error: { code: 401, status: 'Unauthorized' } }),
    'Terminal RegistrationAccessTokenLost Object',
  ],
  ['Manage', answer(403, '', { 'www-authenticate': 'Bearer' }), 'Transient ProviderMisbehaves Issuer'],
  ['Manage', answer(403, { error: 'insufficient_scope' }), 'Terminal RegistrationRefused Object'],
  ['Manage', answer(404), 'Terminal RegistrationRefused Object'],
  ['Manage', answer(405), 'Terminal RegistrationRefused Object'],
  ['Manage', answer(501), 'Terminal RegistrationRefused Object'],
  ['Register', answer(501), 'Transient ProviderUnavailable Issuer'],
  ['Manage', answer(400, { error: { code: 400, reason: 'no' } }), 'Terminal RegistrationRefused Object'],
  ['Revoke', answer(400, { error: 'invalid_client' }), 'Terminal CredentialRefused Object'],
  ['Revoke', answer(500), 'Transient ProviderUnavailable Issuer'],
  ['Discovery', answer(404), 'Transient ProviderMetadataInvalid Issuer'],
  ['Discovery', answer(200, waf), 'Transient ProviderMisbehaves Issuer'],
];

/** Envoy, to a request with a token that is none of those it knows. */
const jwtAuthn = (body: string): HttpAnswer =>
  answer(401, body, {
    'content-type': 'text/plain',
    'www-authenticate': 'Bearer realm="https://idp.example.com/token", error="invalid_token"',
  });

// Envoy and Istio; an API gateway of AWS; Kong; Spring; Envoy before a token endpoint; nothing at all.
const gateways: readonly HttpAnswer[] = [
  answer(403, 'RBAC: access denied'),
  answer(403, { message: 'Forbidden' }),
  answer(401, { message: 'Unauthorized' }),
  answer(401, { status: 401, error: 'Unauthorized', path: '/' }),
  answer(401, 'Jwt is missing', { 'www-authenticate': 'Bearer realm="https://idp.example.com"' }),
  jwtAuthn('Jwt issuer is not configured'),
  answer(401, '', { 'www-authenticate': 'Basic realm="x"' }),
  answer(401),
  answer(403),
];

test('a refusal that anybody may have sent is no word about a client, but where the product is known for it', (t) => {
  for (const given of gateways)
    for (const operation of ['Token', 'Revoke', 'Introspect'] as const)
      t.is(kind(refused(given, operation, where)), 'Transient ProviderMisbehaves Issuer', `${operation} ${given.body}`);
  const silent = { ...where, silentRefusals: { Token: 403, Manage: 401 } };
  const rowsOfOne: readonly (readonly [Operation, HttpAnswer, string])[] = [
    ['Token', answer(403), 'Terminal CredentialRefused Object'],
    ['Manage', answer(401), 'Terminal RegistrationAccessTokenLost Object'],
    ['Token', answer(401), 'Transient ProviderMisbehaves Issuer'],
    ['Manage', answer(403), 'Transient ProviderMisbehaves Issuer'],
    ['Token', answer(403, 'RBAC: access denied'), 'Transient ProviderMisbehaves Issuer'],
  ];
  for (const [operation, given, expected] of rowsOfOne) t.is(kind(refused(given, operation, silent)), expected);
});

for (const operation of ['Discovery', 'Register', 'Manage', 'Token', 'Revoke', 'Introspect'] as const)
  test(`${operation}: what Envoy says in text is no word of the provider, whatever its head says`, (t) => {
    const answers = [
      answer(403, 'RBAC: access denied'),
      answer(401, 'Jwt is missing', { 'www-authenticate': 'Bearer realm="https://idp.example.com"' }),
      jwtAuthn('Jwt verification fails'),
      jwtAuthn('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'),
    ];
    for (const given of answers) {
      const error = refused(given, operation, where);
      t.is(kind(error), 'Transient ProviderMisbehaves Issuer', given.body);
      t.regex(
        error.message,
        /If a gateway or firewall .* let the operator through\. If it is the provider itself, see /,
      );
    }
  });

test('a token endpoint that fails at an unknown client: the trouble of that client, not of everybody', (t) => {
  const glewlwyd = { ...where, mayConcernClient: ({ status }: { status: number }) => status === 500 };
  t.is(kind(refused(answer(500, 'Server Error'), 'Token', glewlwyd)), 'Transient ClientUnusable Object');
  t.is(kind(refused(answer(503), 'Token', glewlwyd)), 'Transient ProviderUnavailable Issuer');
  t.is(kind(refused(answer(500), 'Revoke', glewlwyd)), 'Transient ProviderUnavailable Issuer');
});

test(`answers: ${rows.length} rows`, (t) => {
  for (const [operation, given, expected] of rows) {
    const error = refused(given, operation, where);
    t.is(kind(error), expected, `${operation} ${given.status} ${given.body}`);
    t.regex(error.message, /^issuer https:\/\/idp\.example\.com – .+\. .+\.$/);
  }
});

test('an answer that is none says whether it leads elsewhere', (t) => {
  for (const [status, says] of [
    [299, /answers something unexpected/],
    [300, /redirects, which is never followed/],
    [302, /redirects, which is never followed/],
  ] as const)
    t.regex(refused(answer(status), 'Token', where).message, says);
});

test('a refusal names what was asked for, since providers often do not', (t) => {
  const asked = { scopes: ['artifacts:read', 'aud-registry'], audiences: ['https://registry.example.com'] };
  const says = (operation: Operation, status: number, error: string): string =>
    refused(answer(status, { error }), operation, { ...where, asked }).message;
  const all = 'Asked was scope artifacts:read aud-registry, audience https://registry.example.com.';
  t.true(says('Token', 400, 'invalid_target').endsWith(` or take it out of the pool. ${all}`));
  t.true(says('Register', 400, 'invalid_client_metadata').endsWith(` what the provider supports. ${all}`));
  t.true(says('Register', 403, 'insufficient_scope').endsWith(` at the provider. ${all}`));
  t.false(says('Token', 401, 'invalid_client').includes('Asked was'));
  const many = { ...where, asked: { scopes: Array.from({ length: 64 }, () => 's'.repeat(256)), audiences: [] } };
  t.true(refused(answer(400, { error: 'invalid_scope' }), 'Token', many).message.length < 600);
});

test('the sentence quotes the provider in whichever shape it speaks', (t) => {
  const shapes: readonly (readonly [HttpAnswer, RegExp])[] = [
    [answer(403, { error: 'x', error_description: 'policy "A"' }), /\(403 x, "policy "A""\)/],
    [answer(403, { error: { code: 403, status: 'Forbidden', reason: 'not yours' } }), /\(403 Forbidden, "not yours"\)/],
    [answer(403, { error: { code: 'Denied', message: 'not yours' } }), /\(403 Denied, "not yours"\)/],
    [answer(400, { errorCode: 'E1', errorSummary: 'summary' }), /\(400 E1, "summary"\)/],
    [answer(422, { message: 'Unprocessable' }), /\(422, "Unprocessable"\)/],
    [
      answer(401, 'rubbish', { 'www-authenticate': 'Bearer error="invalid_token", error_description="old"' }),
      /\(401 invalid_token, "old"\)/,
    ],
    [answer(400, '{"error":"x","error_description":"\\u001b[31mred\\u202e\\u0000"}'), /\(400 x, "\?\[31mred\?\?"\)/],
    [answer(400, { error: 'x', error_description: 'a'.repeat(500) }), /"a{199}…"/],
  ];
  for (const [given, expected] of shapes) t.regex(refused(given, 'Register', where).message, expected);
});

test('the words of a refusal are handed on, those of an outage are not', (t) => {
  const says = (error: string) => answer(400, { error, error_description: 'client is disabled' });
  t.is(refused(says('invalid_client'), 'Token', where).said, 'client is disabled');
  t.is(refused(says('server_error'), 'Token', where).said, undefined);
  t.is(refused(answer(400, { error: 'invalid_client' }), 'Token', where).said, undefined);
});

test('a profile says what its administrator has to do', (t) => {
  const error = refused(answer(403), 'Register', { ...where, registrationHint: () => 'Click here.' });
  t.true(error.message.endsWith('Click here.'));
});

test('who wants DPoP is said to give tokens that no pod can use', (t) => {
  const okta = answer(400, { error: 'invalid_dpop_proof', error_description: 'The DPoP proof JWT header is missing.' });
  t.regex(refused(okta, 'Token', where).message, /bound to a key \(400 .*\)\. .* switch DPoP off for this client/);
});

test('who may get tokens and revoke none for the audience of assertions is told so', (t) => {
  const okta = answer(401, { error: 'invalid_client', error_description: 'The audience claim must be the endpoint' });
  t.regex(refused(okta, 'Revoke', where).message, /CalledEndpoint of this issuer\.$/);
  t.regex(refused(okta, 'Token', where).message, /still exists there and is enabled\.$/);
  const unknown = answer(401, { error: 'invalid_client' });
  t.regex(refused(unknown, 'Revoke', where).message, /still exists there and is enabled\.$/);
});

test('the page of a firewall blocks one request, so it sets no time before which nobody may ask', (t) => {
  t.is(refused(answer(403, waf), 'Token', where).retryAt, undefined);
});

test('a Retry-After date is read by the clock that wrote it', (t) => {
  const headers = { 'retry-after': 'Tue, 24 Nov 2026 13:00:30 GMT' };
  const said = { ...answer(429, '', headers), providerTime: parseRfc3339('2026-11-24T13:00:00Z')! };
  t.is(refused(said, 'Token', where).retryAt, plus(now, 30 * second));
});

test('whatever a provider answers: a class, one clean line, and no secret in it', (t) => {
  const secret = 'S3cr3t-value_of/the+client==';
  const spoken = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constant(secret),
    fc.string().map((s) => `${s}${secret}${s}`),
    fc.constant('eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln'),
  );
  const body = fc.oneof(
    spoken,
    fc.json(),
    fc
      .record(
        { error: fc.oneof(spoken, fc.record({ code: fc.jsonValue(), message: spoken })), error_description: spoken },
        { requiredKeys: [] },
      )
      .map((v) => JSON.stringify(v)),
  );
  const headers = fc.dictionary(fc.constantFrom('retry-after', 'www-authenticate', 'content-type'), spoken, {
    noNullPrototype: true,
  });
  const operation = fc.constantFrom<Operation>('Discovery', 'Register', 'Manage', 'Token', 'Revoke', 'Introspect');
  fc.assert(
    fc.property(fc.integer({ min: 200, max: 599 }), headers, body, operation, (status, given, text, what) => {
      const error = refused({ status, headers: given, body: text }, what, { ...where, secrets: [secret] });
      t.true(error instanceof OperatorError);
      const shown = `${error.message} ${error.said ?? ''}`;
      t.false(shown.includes(secret));
      t.false(shown.includes('eyJhbGciOiJub25lIn0.eyJ'));
      t.notRegex(shown, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      t.true(error.message.length < 800);
      if (error.retryAt !== undefined) t.true(error.retryAt > now && error.retryAt <= instant(now + 15 * minute));
    }),
    { numRuns: 2_000 },
  );
});

test('no request of ours can be read from what a provider repeats of it, in whichever part and form', async (t) => {
  const metadata = { issuer: where.issuer, tokenEndpoint: `${where.issuer}/token` };
  const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
  const secrets = fc.oneof(
    fc.string({ unit: printable, minLength: 16, maxLength: 32 }),
    fc.string({
      unit: fc.constantFrom('a', 'Z', '9', '-', '_', '.', '!', '~', '*', '(', ')', ' ', '+', '/', '=', 'é'),
      minLength: 16,
      maxLength: 24,
    }),
  );
  const ids = fc.string({ unit: printable, minLength: 1, maxLength: 12 });
  const around = fc.string({ unit: fc.constantFrom('x', ' ', ':', ','), maxLength: 8 });
  const small = (form: string): string => form.replaceAll(/%../g, (hex) => hex.toLowerCase());
  const repeated = async (secret: string, id: string): Promise<readonly string[]> => {
    const headers = new Headers();
    const body = new URLSearchParams();
    for (const type of ['ClientSecretBasic', 'ClientSecretPost'] as const) {
      const by = { type, secret: new Redacted(secret) };
      const authenticated = await authenticate(by, 'Issuer', metadata, metadata.tokenEndpoint, now);
      await authenticated({ issuer: where.issuer }, { client_id: id }, body, headers);
    }
    const header = headers.get('authorization')!.slice('Basic '.length);
    const user = Buffer.from(header, 'base64').toString();
    const posted = body.toString().replace(/^.*client_secret=/, '');
    const plain = Buffer.from(`${id}:${secret}`).toString('base64');
    return [secret, header, user, small(user), posted, small(posted), encodeURIComponent(secret), plain];
  };
  await fc.assert(
    fc.asyncProperty(secrets, ids, around, around, async (secret, id, before, after) => {
      const scanner = new LeakScanner();
      scanner.know('secret', secret);
      for (const said of await repeated(secret, id)) {
        const given = answer(401, { error: 'invalid_client', error_description: `${before}${said}${after}` });
        const { message, said: words = '' } = refused(given, 'Token', { ...where, secrets: [secret] });
        t.deepEqual(scanner.scan('message', `${message} ${words}`), [], message);
      }
    }),
    { numRuns: 500 },
  );
});

test('a text that is made to hold up expressions is read in a moment', (t) => {
  const units = ['eyJ', 'eyJaaaaa.', 'bearer ', `basic${' '.repeat(5_000)}`, 'token="', 'secret\\\\', 'password:'];
  const texts = [...units, 'token '].map((unit) => unit.repeat(1_000_000 / unit.length));
  const started = performance.now();
  for (const text of texts)
    refused(answer(400, { error: text, error_description: text }), 'Register', { ...where, secrets: ['a-secret'] });
  t.true(performance.now() - started < 10_000, `${performance.now() - started} ms`);
});

test('a JWT is taken out wherever it stands', (t) => {
  const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln';
  for (const text of [jwt, `it was ${jwt}!`, `x${jwt}`, `eyJ-${jwt}`, `a.b.${jwt}, ${jwt}`])
    t.notRegex(refused(answer(400, { error: 'x', error_description: text }), 'Token', where).message, /eyJhb|c2ln/);
});
