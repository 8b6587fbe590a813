/** Whether a client that was changed at the provider may do more than is wanted: each member alone. */
import test from 'ava';
import { hour } from '#src/clock.ts';
import { driftOf } from '#src/providers/oidc/drift.ts';
import type { ClientMetadata } from '#src/providers/oidc/profile.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import type { DesiredClient } from '#src/providers/port.ts';

const one = { kty: 'EC', kid: 'one', crv: 'P-256', x: 'x', y: 'y' };
const desired: DesiredClient = {
  clientId: 'ci-1',
  name: 'ci-bots 1',
  tag: 'tag',
  authentication: 'PrivateKeyJwt',
  keys: [one],
  scopes: ['read'],
  audiences: [],
  maxTokenLifetime: hour,
};
const elsewhere = 'https://elsewhere.example.com';

for (const profile of ['Generic', 'Keycloak'].map((name) => profiles[name]!)) {
  const ours = profile.fromBody(profile.toBody(desired, desired.scopes));
  const rows: readonly (readonly [ClientMetadata, string, boolean])[] = [
    [{ name: 'another' }, 'name', false],
    [{ tag: 'another' }, 'tag', false],
    [{ scopes: [] }, 'scopes', false],
    [{ scopes: ['read', 'write'] }, 'scopes', true],
    [{ scopes: ['write'] }, 'scopes', true],
    [{ authentication: 'none' }, 'authentication', true],
    [{ grantTypes: [] }, 'grantTypes', false],
    [{ grantTypes: ['client_credentials', 'password'] }, 'grantTypes', true],
    [{ redirects: [elsewhere] }, 'redirects', true],
    [{ keys: [] }, 'keys', false],
    [{ keys: [one, { ...one, kid: 'two' }] }, 'keys', true],
    [{ keys: [{ ...one, x: 'another' }] }, 'keys', true],
    [{ keysUri: elsewhere }, 'keys', true],
    [{ keysUri: '' }, 'keys', true],
    ...(ours.settings === undefined
      ? []
      : [[{ settings: { ...ours.settings, publicClient: true } }, 'settings', true] as const]),
  ];
  for (const [change, member, excess] of rows)
    test(`${profile.name}: ${JSON.stringify(change)} is ${excess ? 'more' : 'no more'} than is wanted`, (t) => {
      const { driftDigest, ...rest } = driftOf({ ...ours, ...change }, desired, profile, []);
      t.deepEqual(rest, { drift: [member], ...(excess ? { excess: true } : {}) });
      t.regex(driftDigest ?? '', /^[\da-f]{64}$/);
    });

  test(`${profile.name}: a client with a secret has no keys, and one that is there is more than is wanted`, (t) => {
    const { keys: _, ...rest } = desired;
    const want: DesiredClient = { ...rest, authentication: 'ClientSecretBasic', keys: [] };
    const said = profile.fromBody(profile.toBody(want, want.scopes));
    for (const keys of [undefined, []])
      t.deepEqual(driftOf({ ...said, ...(keys === undefined ? {} : { keys }) }, want, profile, []), { drift: [] });
    t.like(driftOf({ ...said, keys: [one] }, want, profile, []), { drift: ['keys'], excess: true });
  });
}

test('what is no key among the keys that a provider tells is left out', (t) => {
  const told = { keys: [null, 7, [one], one] };
  t.deepEqual(profiles['Generic']!.fromBody({ jwks: told }).keys, [one]);
  const attributes = { 'jwks.string': JSON.stringify(told) };
  t.deepEqual(profiles['Keycloak']!.fromBody({ attributes }).keys, [one]);
});
