/** What a request carries to prove the client, and which credentials cannot prove it. */
import test from 'ava';
import { exportJWK, generateSecret } from 'jose';
import { parseRfc3339 } from '#src/clock.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import { OperatorError } from '#src/errors.ts';
import { authenticate, generateKey, supportedMethods } from '#src/providers/oidc/authentication.ts';
import { Redacted } from '#src/redacted.ts';

const issuer = 'https://idp.example.com';
const metadata = { issuer, tokenEndpoint: `${issuer}/token` };
const now = parseRfc3339('2026-11-24T12:00:07.900Z')!;
const iat = parseRfc3339('2026-11-24T12:00:07Z')! / 1_000;

async function sent(credential: Credential) {
  const form = new URLSearchParams();
  const headers = new Headers();
  const authenticated = await authenticate(credential, 'Issuer', metadata, metadata.tokenEndpoint, now);
  await authenticated({ issuer }, { client_id: 'ci-1' }, form, headers);
  return { form: Object.fromEntries(form), headers: Object.fromEntries(headers) };
}

async function assertion(credential: Credential): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { form } = await sent(credential);
  const [header = '', payload = ''] = (form['client_assertion'] ?? '').split('.');
  return [header, payload].map(
    (part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as object as never,
  );
}

test('an assertion is good for a minute of whole seconds and for one use, and names its key', async (t) => {
  const key = await generateKey('ES256');
  const [header, { jti, ...payload } = {}] = await assertion(key);
  t.deepEqual(header, { alg: 'ES256', kid: key.kid });
  t.deepEqual(payload, { iss: 'ci-1', sub: 'ci-1', aud: issuer, iat, nbf: iat, exp: iat + 60 });
  const [, again] = await assertion(key);
  t.not(again?.['jti'], jti);
  const { form, headers } = await sent(key);
  t.deepEqual(
    { ...form, client_assertion: '' },
    {
      client_id: 'ci-1',
      client_assertion: '',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    },
  );
  t.deepEqual(headers, {});
});

test('a key that has no id is not given one, and thumbprints of its certificate go with it', async (t) => {
  const { kid: _, ...key } = await generateKey('PS256');
  const thumbprints = { x5t: 'dGh1bWI', 'x5t#S256': 'dGh1bWIyNTY' };
  t.deepEqual((await assertion({ ...key, publicJwk: {} }))[0], { alg: 'PS256' });
  t.deepEqual((await assertion({ ...key, publicJwk: thumbprints }))[0], { alg: 'PS256', ...thumbprints });
});

test('a secret in the form: as it is, and nothing in a header', async (t) => {
  t.deepEqual(await sent({ type: 'ClientSecretPost', secret: new Redacted('a:b c') }), {
    form: { client_id: 'ci-1', client_secret: 'a:b c' },
    headers: {},
  });
});

test('a credential that cannot be used is told by issuer and step, and never quoted', async (t) => {
  const key = await generateKey('ES256');
  const symmetric = await exportJWK(await generateSecret('HS256', { extractable: true }));
  const holding = (privateJwk: string): Credential => ({ ...key, privateJwk: new Redacted(privateJwk) });
  for (const [credential, why] of [
    [{ type: 'ClientSecretBasic' }, 'it has no client secret'],
    [{ type: 'ClientSecretPost' }, 'it has no client secret'],
    [holding('hush-hush'), 'its private key cannot be read'],
    [holding('{"kty":"EC","crv":"P-256","x":"hush-hush","y":"y","d":"d"}'), 'its private key cannot be read'],
    [holding(JSON.stringify({ ...symmetric, alg: 'HS256' })), 'its private key cannot be read'],
  ] as const) {
    const error = await t.throwsAsync(sent(credential), { instanceOf: OperatorError });
    t.like(error, { class: 'Terminal', reason: 'CredentialRefused', whose: 'Object' });
    t.is(
      error?.message,
      `issuer ${issuer}: the stored credential of the client cannot be used, because ${why}. Rotate the pool.`,
    );
    t.is(error?.cause, undefined);
  }
});

test('a key is imported once for as long as its credential lives', async (t) => {
  const key = await generateKey('ES256');
  let reveals = 0;
  const privateJwk = { reveal: () => ((reveals += 1), key.privateJwk.reveal()) } as never;
  const credential: Credential = { ...key, privateJwk };
  await sent(credential);
  await sent(credential);
  t.is(reveals, 1);
  await sent({ ...credential });
  t.is(reveals, 2);
});

for (const [authenticationMethods, methods] of [
  [undefined, ['PrivateKeyJwt', 'ClientSecretBasic', 'ClientSecretPost']],
  [
    ['client_secret_post', 'private_key_jwt', 'tls_client_auth'],
    ['PrivateKeyJwt', 'ClientSecretPost'],
  ],
  [['client_secret_basic'], ['ClientSecretBasic']],
  [[], []],
] as const)
  test(`metadata that offers ${authenticationMethods?.join(', ') ?? 'what it does not say'}: ${methods.join(', ')}`, (t) => {
    const known = authenticationMethods === undefined ? metadata : { ...metadata, authenticationMethods };
    t.deepEqual([...supportedMethods(known)], [...methods]);
    if (authenticationMethods === undefined) t.deepEqual([...supportedMethods(undefined)], [...methods]);
  });

test('a new key is a pair: the private half in its box is the public one and its secret number', async (t) => {
  const key = await generateKey('RS256');
  const closed = JSON.parse(key.privateJwk.reveal()) as Record<string, string>;
  const { n, e, kty } = key.publicJwk as Record<string, string>;
  t.like(closed, { kid: key.kid, alg: 'RS256', use: 'sig', kty, n, e });
  t.is(Buffer.from(n ?? '', 'base64url').length * 8, 3_072);
  t.deepEqual([key.type, key.alg], ['PrivateKeyJwt', 'RS256']);
});
