import test from 'ava';
import fc from 'fast-check';
import { inspect } from 'node:util';
import { instant, minute, parseRfc3339, plus, second } from '#src/clock.ts';
import { Redacted } from '#src/redacted.ts';
import { formats } from '#src/domain/delivery/formats.ts';
import { renderEmpty, renderError, renderToken, type Rendered, tokenDigest } from '#src/domain/delivery/render.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import { renewAt } from '#src/domain/renewal.ts';
import type { Token } from '#src/domain/token.ts';
import { buildAsk, buildSessionRecord, buildToken } from '#test/support/builders.ts';

const minted = parseRfc3339('2026-11-24T12:00:00Z') ?? instant(0);
const lag = 150 * second;

const token = (partial: Partial<Token> = {}): Token =>
  buildToken({
    value: new Redacted('s3cr3t.t0ken'),
    ask: buildAsk({ scopes: ['artifacts:publish', 'artifacts:read'] }),
    minted,
    ...partial,
  });

const record = (tokens: SessionRecord['tokens'] = [token()], partial: Partial<SessionRecord> = {}): SessionRecord =>
  buildSessionRecord({ subject: 'service-account-ci', tokens, ...partial });

function filesOf(rendered: Rendered): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(rendered.data).map(([name, text]) => [name, text.reveal()]));
}

test('the files, byte by byte', (t) => {
  t.deepEqual(filesOf(renderToken(record(), lag, 0)), {
    token: 's3cr3t.t0ken',
    header: 'Authorization: Bearer s3cr3t.t0ken',
    'token.json': `{
  "expires_at": "2026-11-24T12:15:00Z",
  "renew_at": "2026-11-24T12:07:30Z",
  "scope": "artifacts:publish artifacts:read",
  "audience": [
    "https://registry.example.com"
  ],
  "issuer": "https://idp.example.com/realms/ci",
  "token_type": "Bearer",
  "subject": "service-account-ci",
  "identity": "publisher",
  "session_id": "pod-uid.publisher"
}
`,
  });
});

test('the newest token is delivered, and renew_at is when it is renewed', (t) => {
  const newest = token({ value: new Redacted('second'), minted: plus(minted, minute) });
  const files = filesOf(renderToken(record([token({ end: 'Superseded' }), newest]), lag, 0.7));
  t.is(files['token'], 'second');
  t.is(
    parseRfc3339(JSON.parse(files['token.json'] ?? '').renew_at),
    instant(Math.floor(renewAt(newest, lag, 0.7) / 1000) * 1000),
  );
});

test('a token that is replaced early ends for the build when it will be revoked', (t) => {
  const files = filesOf(renderToken(record([token({ exp: plus(minted, 60 * minute) })]), lag, 0));
  t.is(JSON.parse(files['token.json'] ?? '').expires_at, '2026-11-24T12:15:00Z');
});

test('without a known subject there is none, not an empty one', (t) => {
  const { subject: _, ...rest } = record();
  t.false('subject' in JSON.parse(filesOf(renderToken(rest, lag, 0))['token.json'] ?? ''));
});

for (const [what, ended] of [
  ['superseded', token({ end: 'Superseded' })],
  ['forbidden', token({ end: 'Forbidden' })],
] as const) {
  test(`a record whose newest token is ${what} renders empty`, (t) => {
    t.deepEqual(renderToken(record([ended]), lag, 0), renderEmpty());
  });
}

test('a record whose newest value was dropped renders empty', (t) => {
  const { value: _, ...dropped } = token();
  t.is(renderToken(record([dropped]), lag, 0).content, 'Empty');
});

test('an error is one file, error.json', (t) => {
  const error = renderError({ reason: 'ScopeRefused', message: 'the provider refuses it', fix: 'allow it' });
  t.is(error.content, 'Error');
  t.deepEqual(filesOf(error), {
    'error.json': '{\n  "reason": "ScopeRefused",\n  "message": "the provider refuses it",\n  "fix": "allow it"\n}\n',
  });
});

test('what is empty has no file', (t) => t.deepEqual(filesOf(renderEmpty()), {}));

test('the digest changes with what is delivered, and only with that', (t) => {
  const digest = renderToken(record(), lag, 0).digest;
  t.is(renderToken(record([token()], { epoch: 9, requester: 'somebody', client: 'client-2' }), lag, 0).digest, digest);
  for (const other of [
    renderToken(record([token({ value: new Redacted('other') })]), lag, 0),
    renderToken(record([token({ exp: plus(minted, 10 * minute) })]), lag, 0),
    renderToken(record([token()], { subject: 'x' }), lag, 0),
    renderToken(record(), lag, 1),
    renderError({ reason: 'Suspended', message: 'b', fix: 'c' }),
    renderEmpty(),
  ]) {
    t.not(other.digest, digest);
  }
  t.not(renderError({ reason: 'Suspended', message: 'b', fix: 'c' }).digest, renderEmpty().digest);
});

test('whatever the subject is, token.json is JSON; the token is in it never, and prints nowhere', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (subject) => {
      const rendered = renderToken(record([token()], { subject }), lag, 0);
      const text = filesOf(rendered)['token.json'] ?? '';
      t.is(JSON.parse(text).subject, subject);
      t.false(text.includes('s3cr3t'));
      t.false(`${JSON.stringify(rendered)}${inspect(rendered, { depth: 9, showHidden: true })}`.includes('s3cr3t'));
    }),
  );
});

test('every format writes the files that it says, and no file belongs to two formats', (t) => {
  const files = formats.flatMap((format) => format.files);
  t.is(new Set(files).size, files.length);
  t.deepEqual(Object.keys(filesOf(renderToken(record(), lag, 0))).toSorted(), files.toSorted());
});

test('the digest, known or not, is that of what would be written with the same lag and jitter', (t) => {
  const [one, other] = [record(), record([token({ sha256: 'bb', value: new Redacted('another') })])];
  const asks = [one, other].flatMap((r) => [lag, 0].flatMap((l) => [0, 0.5].map((jitter) => [r, l, jitter] as const)));
  for (const ask of [...asks, ...asks.toReversed()]) t.is(tokenDigest(...ask), renderToken(...ask).digest);
  t.is(tokenDigest(one, lag, 0), tokenDigest(one, lag, 0));
});
