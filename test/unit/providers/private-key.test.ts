import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import test from 'ava';
import { decodeProtectedHeader } from 'jose';
import { instant } from '#src/clock.ts';
import { authenticate } from '#src/providers/oidc/authentication.ts';
import { readPrivateKey } from '#src/providers/oidc/private-key.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const edwards = generateKeyPairSync('ed25519');
const pem = (pair: typeof ec, type: 'pkcs8' | 'sec1' | 'pkcs1' = 'pkcs8'): string =>
  pair.privateKey.export({ format: 'pem', type } as { format: 'pem'; type: 'pkcs8' }) as string;
const jwk = (pair: typeof ec, more: object = {}): string =>
  JSON.stringify({ ...pair.privateKey.export({ format: 'jwk' }), ...more });

for (const [what, text, alg, kid] of [
  ['EC, PKCS #8', pem(ec), 'ES256', undefined],
  ['EC, SEC 1, with spaces around', `\n ${pem(ec, 'sec1')} \n`, 'ES256', undefined],
  ['RSA, PKCS #8: the algorithm that clients have by default', pem(rsa), 'RS256', undefined],
  ['RSA, PKCS #1', pem(rsa, 'pkcs1'), 'RS256', undefined],
  ['Ed25519', pem(edwards), 'EdDSA', undefined],
  ['JWK with its own names', jwk(rsa, { kid: 'mine', alg: 'PS256', use: 'sig' }), 'PS256', 'mine'],
  ['JWK without names', jwk(ec), 'ES256', undefined],
] as const) {
  test(`a private key: ${what}`, (t) => {
    const read = readPrivateKey(text, undefined);
    if (!('credential' in read) || read.credential.type !== 'PrivateKeyJwt') return t.fail(JSON.stringify(read));
    t.is(read.credential.alg, alg);
    t.is(read.credential.kid, kid);
    const key = text.startsWith('{') ? ({ key: JSON.parse(text) as JsonWebKey, format: 'jwk' } as const) : text.trim();
    t.like(read.credential.publicJwk, createPublicKey(key).export({ format: 'jwk' }), 'the whole public half');
    t.false('d' in read.credential.publicJwk, 'only the public half');
    t.truthy((JSON.parse(read.credential.privateJwk.reveal()) as { d?: string }).d);
  });
}

test('the algorithm is one that the provider verifies', (t) => {
  const read = readPrivateKey(pem(rsa), ['ES256', 'PS256']);
  t.true('credential' in read && read.credential.type === 'PrivateKeyJwt' && read.credential.alg === 'PS256');
});

test('thumbprints of its certificate stand in the header of assertions, and nothing of a JWK without', async (t) => {
  const thumbprints = { x5t: 'nQ-sdf0wmWVKFwqfU8JLq8Mk2Nw', 'x5t#S256': 'A1bC2dE3fH4iJ5kL6mN7oP8qR9sT0uA1bC2dE3fH4iJ' };
  const issuer = 'https://idp.example.com';
  for (const [more, header] of [
    [
      { ...thumbprints, kid: 'mine', x5c: ['AAAA'] },
      { alg: 'RS256', kid: 'mine', ...thumbprints },
    ],
    [
      { 'x5t#S256': thumbprints['x5t#S256'], alg: 'PS256' },
      { alg: 'PS256', 'x5t#S256': thumbprints['x5t#S256'] },
    ],
    [{ x5t: 7, 'x5t#S256': '' }, { alg: 'RS256' }],
  ] as const) {
    const read = readPrivateKey(jwk(rsa, more), undefined);
    if (!('credential' in read)) return t.fail(read.problem);
    const form = new URLSearchParams();
    const metadata = { issuer, tokenEndpoint: `${issuer}/token` };
    const endpoint = metadata.tokenEndpoint;
    const authenticated = await authenticate(read.credential, 'TokenEndpoint', metadata, endpoint, instant(0));
    await authenticated({ issuer }, { client_id: 'ci' }, form, new Headers());
    t.deepEqual(decodeProtectedHeader(form.get('client_assertion') ?? ''), header);
  }
});

test('a JWK may say when it expires', (t) => {
  const read = readPrivateKey(jwk(ec, { exp: 1_800_000_000 }), undefined);
  t.is('credential' in read ? read.expiresAt : undefined, instant(1_800_000_000_000));
});

const encrypted = ec.privateKey.export({
  format: 'pem',
  type: 'pkcs8',
  cipher: 'aes-256-cbc',
  passphrase: 'x',
}) as string;
const publicPem = ec.publicKey.export({ format: 'pem', type: 'spki' }) as string;

for (const [what, text, problem] of [
  ['nothing', ' \n', /^is empty$/],
  [
    'a secret',
    'hunter2hunter2',
    /^is neither a private JWK nor PEM; for a client secret set spec\.client\.authentication/,
  ],
  ['a public PEM', publicPem, /only its public half/],
  ['a public JWK', JSON.stringify(ec.publicKey.export({ format: 'jwk' })), /only its public half/],
  ['two private keys', pem(ec) + pem(rsa), /^holds 2 private keys; store the one that is to be used$/],
  ['a passphrase', encrypted, /behind a passphrase; store it without one/],
  ['damaged PEM', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', /holds PEM that cannot be read/],
  ['damaged JSON', '{"kty":', /begins like a JWK and is no JSON/],
  [
    'a set of keys',
    JSON.stringify({ keys: [ec.privateKey.export({ format: 'jwk' })] }),
    /a set of keys; store the one/,
  ],
  ['a symmetric key', JSON.stringify({ kty: 'oct', k: 'AAAA' }), /symmetric key/],
  ['a key for encryption', jwk(rsa, { use: 'enc' }), /not for signing/],
  ['an RSA key of 1,024 bits', pem(weak), /1024 bits; 2,048 are the least/],
  ['a curve that nobody verifies', pem(odd), /no provider verifies/],
  ['an algorithm of another kind of key', jwk(ec, { alg: 'RS256' }), /does not go with its key/],
  ['a JWK with a broken member', jwk(ec, { x: 'AAAA' }), /a JWK that cannot be read/],
] as const) {
  test(`not a usable key: ${what}`, (t) => {
    const read = readPrivateKey(text, undefined);
    if (!('problem' in read)) return t.fail('it was read');
    t.regex(read.problem, problem);
    for (const word of text.split(/[\s"]+/).filter((part) => part.length > 12)) t.false(read.problem.includes(word));
  });
}
