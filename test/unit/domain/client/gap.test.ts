import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { answered } from '#src/domain/client/answers.ts';
import { withIntent } from '#src/domain/client/intents.ts';
import { proved } from '#src/domain/client/proofs.ts';
import type { Generation } from '#src/domain/client/record.ts';
import { secretReplaced } from '#src/domain/client/story.ts';
import { Redacted } from '#src/redacted.ts';
import { buildClientRecord, buildDesired, buildGeneration, noon } from '#test/support/builders.ts';

const accepted = {
  generation: 2,
  overlap: 0,
  lastExp: undefined,
  use: 'Verify',
  hash: 'a',
  outcome: { is: 'Accepted' },
} as const;

test('in place: the gap lasts from the call that replaced the secret until the new one is proven', (t) => {
  const generations = [buildGeneration(), buildGeneration({ n: 2, state: 'Created', replacedAt: noon })];
  const before = buildClientRecord({ variant: 'InPlace', generations });
  const after = proved(before, accepted, plus(noon, 1_234));
  t.is(after.gap, 1_234);
});

const secretOf = (secret: string): Generation['credential'] => ({
  type: 'ClientSecretBasic',
  secret: new Redacted(secret),
});
const answerWith = (secret: string): Parameters<typeof answered>[1] => ({
  clientId: 'ci-1',
  secret: new Redacted(secret),
  observed: { is: 'Present', at: noon, drift: [] },
});

test('in place: the answer was lost, so the gap lasts from the first of two calls', (t) => {
  const call = { call: 'Update', generation: 2 } as const;
  const before = buildClientRecord({
    variant: 'InPlace',
    generations: [
      buildGeneration({ credential: secretOf('old') }),
      buildGeneration({ n: 2, state: 'Planned', credential: { type: 'ClientSecretBasic' } }),
    ],
  });
  const lost = withIntent(before, { ...call, at: noon });
  const again = withIntent(lost, { ...call, at: plus(noon, minute) });
  const created = answered(again, answerWith('new'), buildDesired(), plus(noon, minute + 200));
  const after = proved(created, accepted, plus(noon, minute + 700));
  t.is(after.gap, minute + 700);
});

for (const [what, secret, gap] of [
  ['costs the client its secret: the gap lasts until the new one is known', 'new', 300],
  ['leaves the secret as it was', 'old', undefined],
  ['is answered with stars in place of the secret', '********', undefined],
  ['is answered with dots in place of the secret', '••••••••', undefined],
  ['is answered with crosses in place of the secret', 'XXXXXXXX', undefined],
  ['is answered with a part of the secret', '****old', undefined],
] as const)
  test(`a change ${what}`, (t) => {
    const before = buildClientRecord({ generations: [buildGeneration({ credential: secretOf('old') })] });
    const told = withIntent(before, { call: 'Update', generation: 1, at: noon });
    const after = answered(told, answerWith(secret), buildDesired({ scopes: ['a'] }), plus(noon, 300));
    t.is(after.gap, gap);
    t.deepEqual(after.generations[0]?.credential, secretOf(gap === undefined ? 'old' : secret));
    t.deepEqual(after.sentScopes, ['a']);
    const telling = secretReplaced(told, after);
    if (gap === undefined) return t.is(telling, undefined);
    t.like(telling, { step: 'Updated', generation: 1, reason: 'CredentialCurrent', good: true });
    const says = /new secret with that\. For 0\.3 s nothing could be minted; credential generation 1 mints on/;
    return t.regex(telling?.message ?? '', says);
  });

test('a change of the client before: its new secret is that of its own credential, not of the client that mints', (t) => {
  const before = buildClientRecord({
    variant: 'NewClient',
    generations: [
      buildGeneration({ state: 'Retiring', credential: secretOf('one') }),
      buildGeneration({ n: 2, state: 'Draining', credential: secretOf('two') }),
      buildGeneration({ n: 3, clientId: 'ci-1_3', credential: secretOf('three') }),
    ],
  });
  const told = withIntent(before, { call: 'Update', generation: 1, at: noon });
  const after = answered(told, answerWith('new'), buildDesired(), plus(noon, 300));
  t.deepEqual(
    after.generations.map(({ credential }) => credential),
    ['one', 'new', 'three'].map(secretOf),
  );
});

test('a secret that comes along with a client that has a key is none of ours: the key stays', (t) => {
  const key = buildGeneration({ state: 'Planned' });
  const asked = withIntent(buildClientRecord({ generations: [key] }), { call: 'Register', generation: 1, at: noon });
  const [after] = answered(asked, answerWith('unasked'), buildDesired(), noon).generations;
  t.deepEqual(after?.credential, key.credential);
});
