import test from 'ava';
import { day, hour, instant, minute, plus, second } from '#src/clock.ts';
import { bundleExpiry, remembering, secretExpiry, tokenExpiry } from '#src/providers/expiry.ts';
import { createAuthority, issueCertificate } from '#test/cluster/x509.ts';
import { noon } from '#test/support/builders.ts';
import { jwt } from './jwt.ts';

const tokens: readonly (readonly [what: string, token: string | undefined, at: number | undefined])[] = [
  ['an initial access token of Keycloak', jwt({ exp: 1_800_000_000 }), 1_800_000_000],
  ['one that never expires', jwt({ exp: 0 }), undefined],
  ['one without an end', jwt({ iat: 1 }), undefined],
  ['an opaque one', 'u7f9', undefined],
  ['one that is no JSON', 'a.b.c', undefined],
  ['none', undefined, undefined],
];

for (const [what, token, at] of tokens)
  test(`token: ${what}`, (t) => t.is(tokenExpiry(token), at === undefined ? undefined : instant(at * second)));

test('bundle: the certificate that expires first counts, what is no certificate does not', (t) => {
  const authority = createAuthority('root');
  const leaf = issueCertificate(authority, 'root', { commonName: 'leaf' });
  const [early, late] = [bundleExpiry(leaf.certificate), bundleExpiry(authority.certificate)].toSorted(
    (a, b) => (a ?? 0) - (b ?? 0),
  );
  t.true(early !== undefined && late !== undefined && early > Date.now() + day / 2);
  t.is(bundleExpiry(`# two\n${authority.certificate}\n${leaf.certificate}`), early);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
  t.is(bundleExpiry(`${broken}\n${authority.certificate}`), bundleExpiry(authority.certificate));
  for (const none of [undefined, '', 'no PEM', broken]) t.is(bundleExpiry(none), undefined);
});

const inSeconds = (length: number): number => (noon + length) / second;

for (const [what, said, ahead, expected] of [
  ['nothing', undefined, 0, {}],
  ['never', 0, 0, {}],
  ['in an hour', inSeconds(hour), 0, { secretExpiresAt: plus(noon, hour) }],
  [
    'in an hour by a clock that is ten minutes ahead',
    inSeconds(70 * minute),
    10 * minute,
    { secretExpiresAt: plus(noon, hour) },
  ],
  [
    'in an hour by a clock that is ten minutes behind',
    inSeconds(50 * minute),
    -10 * minute,
    { secretExpiresAt: plus(noon, hour) },
  ],
  ['in a minute: that is used up before it is stored', inSeconds(minute), 0, { secretExpiryIgnored: 'Past' }],
  ['a duration in place of a moment', 3_600, 0, { secretExpiryIgnored: 'Past' }],
  ['milliseconds', noon + hour, 0, { secretExpiryIgnored: 'TooLarge' }],
  ['the year 5138', 100_000_000_000, 0, { secretExpiryIgnored: 'TooLarge' }],
  ['text', '2027-01-31', 0, { secretExpiryIgnored: 'Text' }],
] as const)
  test(`a provider says when a secret ends: ${what}`, (t) => {
    t.deepEqual(secretExpiry(said, noon, plus(noon, ahead)), expected);
  });

test('a text is read once for as long as it stays the same, also where there is none', (t) => {
  const read: (string | undefined)[] = [];
  const expiry = remembering((text) => {
    read.push(text);
    return `end of ${text}`;
  });
  const texts = [undefined, undefined, 'a', 'a', 'b', 'a'];
  t.deepEqual(
    texts.map((text) => expiry(text)),
    texts.map((text) => `end of ${text}`),
  );
  t.deepEqual(read, [undefined, 'a', 'b', 'a']);
});
