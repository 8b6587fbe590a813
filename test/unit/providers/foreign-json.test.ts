/** JSON as providers should never write it. */
import test from 'ava';
import { instant } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { parseJsonObject } from '#src/providers/fields.ts';
import { driftOf } from '#src/providers/oidc/drift.ts';
import { parseMetadata } from '#src/providers/oidc/discovery.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { parseTokenAnswer } from '#src/providers/oidc/token-answer.ts';

const issuer = 'https://idp.example.com';
const where = { issuer, now: instant(0) };
const answer = (body: string, headers: Readonly<Record<string, string>> = {}) => ({ status: 200, headers, body });

for (const [what, text] of [
  ['a byte order mark', '\uFEFF{"access_token":"t"}'],
  ['NaN', '{"access_token":"t","expires_in":NaN}'],
  ['Infinity', '{"access_token":"t","expires_in":Infinity}'],
  ['a comment', '{"access_token":"t" /* yours */}'],
  ['a comma too many', '{"access_token":"t",}'],
  ['single quotes', "{'access_token':'t'}"],
  ['two documents', '{"access_token":"t"}{"access_token":"t"}'],
  ['UTF-16', Buffer.from('{"access_token":"t"}', 'utf16le').toString('utf8')],
] as const) {
  test(`${what}: no JSON, so the whole answer is none`, (t) => {
    t.is(parseJsonObject(text), undefined);
    const error = t.throws(() => parseTokenAnswer(answer(text), where), { instanceOf: OperatorError });
    t.is(error?.reason, 'ProviderMisbehaves');
  });
}

test('JSON is what reads as JSON, whatever the content type calls it', (t) => {
  for (const type of ['text/html', 'text/plain; charset=utf-16', 'application/octet-stream', '']) {
    const minted = parseTokenAnswer(answer('{"access_token":"t"}', { 'content-type': type }), where);
    t.is(minted.value.reveal(), 't');
  }
});

test('the names of prototypes are members like others: they name nothing and change nothing', (t) => {
  const text = '{"__proto__":{"access_token":"evil","polluted":1},"constructor":{"prototype":{"polluted":1}}}';
  t.throws(() => parseTokenAnswer(answer(text), where), { instanceOf: OperatorError, message: /without an access/ });
  const evil = parseJsonObject(text) ?? {};
  for (const profile of Object.values(profiles)) t.is(profile.fromBody(evil).clientId, undefined);
  t.throws(() => parseMetadata(evil, issuer, false), { instanceOf: OperatorError });
  t.is(({} as { polluted?: unknown }).polluted, undefined);
});

test('nested as deep as the largest answer allows: read, and never written again', (t) => {
  const deep = `${'['.repeat(300_000)}${']'.repeat(300_000)}`;
  const members = ['client_id', 'scope', 'jwks', 'grant_types', 'token_endpoint_auth_method', 'attributes', 'issuer'];
  const body = parseJsonObject(
    `{${members.map((name) => `"${name}":${name === 'jwks' ? `{"keys":[{"x":${deep}}]}` : deep}`).join()}}`,
  );
  t.truthy(body);
  const want = {
    clientId: 'ci-1',
    name: 'ci-bots 1',
    tag: 'tag',
    authentication: 'PrivateKeyJwt',
    keys: [],
    scopes: [],
    audiences: [],
    maxTokenLifetime: 1,
  } as const;
  for (const profile of Object.values(profiles))
    t.notThrows(() => driftOf(profile.fromBody(body ?? {}), want, profile, []), profile.name);
  t.throws(() => parseMetadata(body ?? {}, issuer, false), { instanceOf: OperatorError });
  t.throws(() => parseTokenAnswer(answer(`{"access_token":${deep}}`), where), { instanceOf: OperatorError });
});
