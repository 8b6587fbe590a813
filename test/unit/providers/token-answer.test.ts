/** What is kept of a token answer beside its names and times, and what of it may be read by everybody. */
import test from 'ava';
import { sha256 } from '#src/digest.ts';
import { instant } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { isSelfContained, parseTokenAnswer } from '#src/providers/oidc/token-answer.ts';
import { jwt, part } from './jwt.ts';

const issuer = 'https://idp.example.com';
const parse = (body: object | string, secrets: readonly string[] = []) =>
  parseTokenAnswer(
    { status: 200, headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body) },
    { issuer, now: instant(0), secrets },
  );

test('a token is known by its digest, and says no more than the answer does', (t) => {
  const { value, ...rest } = parse({ access_token: 'opaque' });
  t.is(value.reveal(), 'opaque');
  t.deepEqual(rest, { sha256: sha256('opaque'), tokenType: 'unknown' });
});

for (const [said, kept] of [
  ['Bearer', 'Bearer'],
  ['bearer', 'bearer'],
  ['N_A', 'N_A'],
  ['DPoP', 'DPoP'],
  ['a'.repeat(16), 'a'.repeat(16)],
  ['a'.repeat(17), 'unknown'],
  ['Bearer secret', 'unknown'],
  ['', 'unknown'],
  [7, 'unknown'],
  [null, 'unknown'],
] as const)
  test(`token_type ${JSON.stringify(said)}: ${kept}`, (t) => {
    t.is(parse({ access_token: 'opaque', token_type: said }).tokenType, kept);
  });

for (const [seconds, kept] of [
  [1, 1],
  ['1', 1],
  [315_360_000, 315_360_000],
  [315_360_001, undefined],
  ['9999999999', undefined],
] as const)
  test(`expires_in ${JSON.stringify(seconds)}: ${kept ?? 'not said'}`, (t) => {
    t.is(parse({ access_token: 'opaque', expires_in: seconds }).expiresIn, kept);
  });

test('a name that holds the token, or a secret that was sent, is told to nobody; a short secret takes no names away', (t) => {
  const eight = 'secret-8';
  const token = jwt({ iss: `at ${eight}`, aud: ['registry', eight], scope: `read ${eight}` });
  const minted = parse({ access_token: token, scope: `${token} read x${eight}x` }, [eight, 'read']);
  t.deepEqual(minted.scopes, ['[redacted]', 'read', '[redacted]', '[redacted]']);
  t.deepEqual(minted.audiences, ['registry', '[redacted]']);
  t.deepEqual(minted.jwt, { scopes: ['read', '[redacted]'], foreignIssuer: '[redacted]' });
  t.deepEqual(parse({ access_token: 'abc', scope: 'abc' }).scopes, ['abc'], 'a token of three letters is no secret');
  t.deepEqual(parse({ access_token: 'secret-7', scope: 'secret-7' }).scopes, ['[redacted]']);
});

for (const [body, sentence, owner] of [
  ['<p>', /^issuer https:\/\/idp\.example\.com – token endpoint: 200 without a JSON object\./, 'Issuer'],
  [{}, /^issuer https:\/\/idp\.example\.com – token endpoint: 200 without an access token\./, 'Object'],
  [{ access_token: 7 }, /200 without an access token/, 'Object'],
] as const)
  test(`an answer of ${JSON.stringify(body)} is none, and whose trouble that is`, (t) => {
    const error = t.throws(() => parse(body), { instanceOf: OperatorError });
    t.like(error, { class: 'Transient', reason: 'ProviderMisbehaves', whose: owner });
    t.regex(error?.message ?? '', sentence);
  });

test('a token that no header can carry: the sentence names issuer, limit and step', (t) => {
  const error = t.throws(() => parse({ access_token: '' }), { instanceOf: OperatorError });
  t.is(
    error?.message,
    `issuer ${issuer} – the token that the provider gives is empty, has characters that no header can carry, or has more than 16384 of them. Change the kind of access token at the provider.`,
  );
});

for (const [seconds, kept] of [
  [0, undefined],
  [1, 1_000],
  [99_999_999_999, 99_999_999_999_000],
  [100_000_000_000, undefined],
] as const)
  test(`a JWT that expires ${seconds} s after 1970: ${kept === undefined ? 'not said' : 'said'}`, (t) => {
    t.is(parse({ access_token: jwt({ exp: seconds }) }).jwt?.exp, kept as never);
  });

const [header, claims] = [part({ alg: 'RS256' }), part({ aud: 'registry' })];
for (const [what, token, audiences] of [
  ['a JWT', `${header}.${claims}.c2ln`, ['registry']],
  ['a JWT without its signature', `${header}.${claims}`, undefined],
  ['a JWT with a part too many', `${header}.${claims}.c2ln.c2ln`, undefined],
  ['a JWT whose header is padded', `${header}==.${claims}.c2ln`, undefined],
  ['a JWT whose claims are padded', `${header}.${claims}=.c2ln`, undefined],
] as const)
  test(`${what} is ${audiences === undefined ? 'opaque' : 'read'}`, (t) => {
    t.deepEqual(parse({ access_token: token }).audiences as unknown, audiences);
    t.is(isSelfContained(token), audiences !== undefined);
  });
