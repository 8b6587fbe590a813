import test from 'ava';
import { nextMethod } from '#src/domain/client/variants.ts';
import { buildDesired } from '#test/support/builders.ts';

const desired = buildDesired({ authentication: 'ClientSecretBasic' });

for (const [what, variant, current, next] of [
  ['a first one, as the pool asks', 'InPlace', undefined, 'ClientSecretBasic'],
  ['with a client of its own, as the pool asks', 'NewClient', 'PrivateKeyJwt', 'ClientSecretBasic'],
  ['in place of another one, as its client does', 'InPlace', 'ClientSecretPost', 'ClientSecretPost'],
  ['beside another one, as its client does', 'TwoKeys', 'PrivateKeyJwt', 'PrivateKeyJwt'],
] as const)
  test(`how the next credential authenticates: ${what}`, (t) => t.is(nextMethod(variant, desired, current), next));
