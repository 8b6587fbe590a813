/** What a proof says of a call of which nobody heard how it ended. */
import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { managementOf } from '#src/domain/client/generations.ts';
import { isUnmanaged } from '#src/domain/client/management.ts';
import { possibleOrphans } from '#src/domain/client/orphans.ts';
import { proved } from '#src/domain/client/proofs.ts';
import { without } from '#src/domain/client/transitions.ts';
import { buildClientRecord, buildGeneration, noon, omit } from '#test/support/builders.ts';
import { now } from '../status/facts.ts';

const open = { generation: 1, overlap: 0, lastExp: undefined, use: 'OpenIntent', hash: '' } as const;

test('the answer to a registration was lost: the new client does not get the management token of the one before it', (t) => {
  const intent = { call: 'Register', generation: 2, at: noon } as const;
  const planned = buildGeneration({ n: 2, state: 'Planned', clientId: 'ci-1-2' });
  const before = buildClientRecord({ variant: 'NewClient', generations: [buildGeneration(), planned], intent });
  const outcome = { is: 'Accepted' } as const;
  const after = proved(before, { ...open, generation: 2, outcome }, plus(noon, minute));
  t.deepEqual(
    after.generations.map((one) => [one.n, one.state, managementOf(after, one)]),
    [
      [1, 'Current', before.management],
      [2, 'Created', undefined],
    ],
  );
  t.true(isUnmanaged(after), 'so that a person is asked for one');
  t.not(after.managementLost, true, 'the client before it can still be removed');
});

test('the answer to the first registration was lost: its management token with it', (t) => {
  const intent = { call: 'Register', generation: 1, at: noon } as const;
  const planned = buildClientRecord({ generations: [buildGeneration({ state: 'Planned' })], intent });
  const before = omit(planned, 'management', 'observed', 'updatedAt', 'sent');
  const outcome = { is: 'Accepted' } as const;
  const after = proved(before, { ...open, outcome }, plus(noon, minute));
  t.is(after.managementLost, true);
});

test('a proof has not found a registration whose answer was lost: it may still arrive, so it is counted when its credential goes', (t) => {
  const intent = { call: 'Register', generation: 1, at: noon } as const;
  const before = omit(
    buildClientRecord({ generations: [buildGeneration({ state: 'Planned' })], intent }),
    'management',
    'observed',
  );
  const outcome = { is: 'CredentialRefused', message: 'no' } as const;
  const after = proved(before, { ...open, outcome }, noon);
  t.is(after.intent, undefined);
  t.is(possibleOrphans(after), 1);
  t.is(without(after, 1).possibleOrphans, 1);
  const taken = { ...after, intent: { ...intent, takenAt: noon } };
  t.is(possibleOrphans(proved(taken, { ...open, outcome: { is: 'Accepted' } }, noon)), 0, 'it has arrived');
  t.is(possibleOrphans(proved(taken, { ...open, outcome }, noon)), 0, 'somebody else has the id, so it cannot arrive');
});

const update = { call: 'Update', generation: 2, at: noon } as const;

test('the answer to an update was lost, and it took effect: whoever looked before knows nothing of it, and the client is managed as before', (t) => {
  const generations = [buildGeneration(), buildGeneration({ n: 2, state: 'Planned', refusedAt: noon })];
  const before = buildClientRecord({ generations, intent: update });
  const after = proved(before, { ...open, generation: 2, outcome: { is: 'Accepted' } }, plus(noon, minute));
  t.like(after.generations[1], { state: 'Created', since: plus(noon, minute), refusedAt: undefined });
  t.like(after, { intent: undefined, updatedAt: plus(noon, minute), managementLost: undefined });
  t.deepEqual(after.management, before.management);
});

for (const [what, more, states, rollbacks] of [
  ['it is sent again', { intent: update }, ['Current', 'Planned'], undefined],
  [
    'the registration access token was handed in meanwhile: it can be sent, so it stays',
    {},
    ['Current', 'Planned'],
    undefined,
  ],
  [
    'the registration access token was lost with its answer: nothing can be sent again, so the credential is given up',
    { managementLost: true },
    ['Current'],
    { count: 1, at: now },
  ],
  [
    'the token is lost while the call is open: the call is closed first',
    { managementLost: true, intent: update },
    ['Current', 'Planned'],
    undefined,
  ],
] as const)
  test(`an update had no effect, and ${what}`, (t) => {
    const before = buildClientRecord({
      generations: [buildGeneration(), buildGeneration({ n: 2, state: 'Planned' })],
      ...more,
    });
    const outcome = { is: 'CredentialRefused', message: 'no' } as const;
    const after = proved(before, { ...open, generation: 2, outcome }, now);
    t.deepEqual(
      after.generations.map(({ state }) => state),
      states,
    );
    t.deepEqual(after.rollbacks, rollbacks);
    t.is(after.intent, undefined);
  });
