/** What a pool's status is told of how the credential of a client is replaced. */
import test from 'ava';
import { rotationFacts } from '#src/controllers/status/rotation-facts.ts';
import type { Capabilities } from '#src/providers/port.ts';
import { Redacted } from '#src/redacted.ts';
import { buildClientRecord, buildGeneration, noon } from '#test/support/builders.ts';
import { pool } from '../../domain/access/objects.ts';

const registersOnly: Capabilities = {
  variants: ['NewClient'],
  clientIdBy: 'Provider',
  registersOnly: true,
  revocation: 'IntrospectionOnly',
  credentialPropagation: 0,
  ignoredScopes: [],
  carrierScopes: () => [],
};
const { registersOnly: _, ...changes } = registersOnly;

const target = { recordName: 'client-1', pool: { name: 'ci-bots', uid: 'pool-uid' } };
const secret = buildGeneration({ credential: { type: 'ClientSecretBasic', secret: new Redacted('s') } });

for (const [what, capabilities, sentScopes, lacks] of [
  [
    'of a provider that changes no clients lacks what came in since',
    registersOnly,
    ['artifacts:read'],
    ['artifacts:publish'],
  ],
  ['that has all scopes lacks none', registersOnly, ['artifacts:publish', 'artifacts:read', 'old'], undefined],
  ['of which nobody knows what was sent lacks nothing', registersOnly, undefined, undefined],
  ['of a provider that changes it lacks nothing for long', changes, ['artifacts:read'], undefined],
] as const)
  test(`a client ${what}`, (t) => {
    const record = buildClientRecord({ generations: [secret], ...(sentScopes === undefined ? {} : { sentScopes }) });
    t.deepEqual(rotationFacts(pool(), target, record, capabilities, noon).lacks, lacks);
  });

test('a key is no way out where the provider rotates none', (t) => {
  const record = buildClientRecord({ generations: [secret] });
  t.true(rotationFacts(pool(), target, record, registersOnly, noon).noKeys);
  const both: Capabilities = { ...changes, variants: ['TwoKeys', 'NewClient'] };
  t.is(rotationFacts(pool(), target, record, both, noon).noKeys, undefined);
});
