import test from 'ava';
import { day, instant, second } from '#src/clock.ts';
import { bundleExpiry, tokenExpiry } from '#src/providers/expiry.ts';
import { createAuthority, issueCertificate } from '#test/cluster/x509.ts';

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: object): string => `${encoded({ alg: 'HS256' })}.${encoded(claims)}.c2ln`;

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
