import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { answered } from '#src/domain/client/answers.ts';
import { withIntent } from '#src/domain/client/intents.ts';
import { credentialRefused, proved } from '#src/domain/client/proofs.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { tell } from '#src/domain/client/story.ts';
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

const withOld = buildClientRecord({ generations: [buildGeneration({ credential: secretOf('old') })] });
const changed = (secret: string): ClientRecord => {
  const told = withIntent(withOld, { call: 'Update', generation: 1, at: noon });
  return answered(told, answerWith(secret), buildDesired({ scopes: ['a'] }), plus(noon, 300));
};

for (const [what, secret] of [
  ['leaves the secret as it was', 'old'],
  ['is answered with stars in place of the secret', '********'],
  ['is answered with dots in place of the secret', '••••••••'],
  ['is answered with crosses in place of the secret', 'XXXXXXXX'],
  ['is answered with a part of the secret', '****old'],
] as const)
  test(`a change ${what}: there is nothing to try`, (t) => {
    const after = changed(secret);
    t.deepEqual(after.generations[0]?.credential, secretOf('old'));
    t.is(after.generations[0]?.offered, undefined);
    t.deepEqual(after.sentScopes, ['a']);
  });

const offeredProof = { ...accepted, generation: 1, use: 'Offered' } as const;

test('a change is answered with another secret: the one that works stays until a token request shows that the other one does', (t) => {
  const after = changed('new');
  t.deepEqual(after.generations[0]?.credential, secretOf('old'));
  t.deepEqual(after.generations[0]?.offered, { credential: secretOf('new'), at: noon });
  t.deepEqual(tell(withOld, after, noon), []);
  const proven = proved(after, offeredProof, plus(noon, 700));
  t.deepEqual(proven.generations[0]?.credential, secretOf('new'));
  t.is(proven.generations[0]?.offered, undefined);
  t.is(proven.gap, 700);
  const [telling] = tell(after, proven, noon);
  t.like(telling, { step: 'Updated', generation: 1, reason: 'CredentialCurrent', good: true });
  const says = /new secret with that\. For 0\.7 s nothing could be minted; credential generation 1 mints on/;
  t.regex(telling?.message ?? '', says);
});

const hashed = '{bcrypt}$2a$10$GRLdNijSQMUvl/au9ofL.eDwmoohzzS7.rmNSJZ.0FxO/BTk76klW';
const refusal = { is: 'CredentialRefused', message: 'invalid_client' } as const;

test('a change is answered with a hash of the secret: it is told once, and what works mints on', (t) => {
  const after = changed(hashed);
  const tried = proved(after, { ...offeredProof, outcome: refusal }, plus(noon, 700));
  t.deepEqual(tried.generations[0]?.credential, secretOf('old'));
  t.is(tried.generations[0]?.refusedAt, undefined, 'nothing is known against it');
  t.is(tried.gap, undefined);
  const [telling, ...others] = tell(after, tried, noon);
  t.like(telling, { step: 'Updated', good: false, reason: 'ProviderMisbehaves' });
  t.notRegex(telling?.message ?? '', /bcrypt/);
  t.deepEqual(others, []);
  const again = proved(tried, { ...offeredProof, outcome: refusal }, plus(noon, 5_700));
  t.deepEqual(tell(tried, again, noon), []);
});

test('the secret that mints is refused after all: the one that came unasked is tried again, and nobody is told of that', (t) => {
  const tried = proved(changed('new'), { ...offeredProof, outcome: refusal }, plus(noon, 700));
  const refusedNow = credentialRefused(tried, 1, plus(noon, minute));
  t.is(refusedNow.generations[0]?.offered?.refusedAt, undefined);
  t.deepEqual(
    tell(refusedNow, proved(refusedNow, { ...offeredProof, outcome: refusal }, plus(noon, minute)), noon),
    [],
  );
  const works = proved(refusedNow, offeredProof, plus(noon, minute + 100));
  t.deepEqual(works.generations[0]?.credential, secretOf('new'));
  t.is(works.generations[0]?.refusedAt, undefined);
  t.is(works.gap, minute + 100);
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
