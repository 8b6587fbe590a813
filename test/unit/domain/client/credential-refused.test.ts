/** What is remembered of the refusal of a credential. */
import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { credentialRefused, proved } from '#src/domain/client/proofs.ts';
import { buildGeneration, noon } from '#test/support/builders.ts';
import { now, record } from '../status/facts.ts';

const of = { generation: 1, overlap: 0, lastExp: undefined, use: 'Ask', hash: 'a' } as const;

for (const [what, first, expected] of [
  ['for the first time', undefined, undefined],
  ['a moment after the first time, which may be the same mishap', plus(now, -second), undefined],
  ['some seconds after the first time', plus(now, -5 * second), true],
] as const)
  test(`the credential that mints is refused ${what}`, (t) => {
    const before = record({ generations: [buildGeneration(first === undefined ? {} : { refusedAt: first })] });
    const outcome = { is: 'CredentialRefused', message: 'invalid_client' } as const;
    const after = proved(before, { ...of, use: 'Verify', outcome }, now);
    t.like(after.generations[0], { refusedAt: now, refusedAgain: expected });
    const healed = proved(after, { ...of, use: 'Verify', outcome: { is: 'Accepted' } }, now);
    t.is(healed.generations[0]?.refusedAt, undefined);
    t.is(healed.generations[0]?.refusedAgain, undefined);
  });

for (const [what, before, after] of [
  ['for the first time: when, and in which words', {}, { refusedAt: now, refusedSaying: 'no such client' }],
  [
    'once more: it stays as it was',
    { refusedAt: noon, refusedSaying: 'disabled' },
    { refusedAt: noon, refusedSaying: 'disabled' },
  ],
] as const)
  test(`a session meets a refusal of the credential ${what}`, (t) => {
    const refused = credentialRefused(record({ generations: [buildGeneration(before)] }), 1, now, 'no such client');
    t.like(refused.generations[0], after);
  });

test('the words are those of the latest refusal, also where it has none', (t) => {
  const refusal = { is: 'CredentialRefused', message: 'invalid_client' } as const;
  const told = proved(record(), { ...of, outcome: { ...refusal, said: 'disabled' } }, now);
  t.is(told.generations[0]?.refusedSaying, 'disabled');
  t.is(proved(told, { ...of, outcome: refusal }, plus(now, minute)).generations[0]?.refusedSaying, undefined);
});

test('the old credential works after all whose place another one had taken: nobody waits for that one, and the pause goes on', (t) => {
  const one = buildGeneration({ refusedAt: now });
  for (const [rollbacks, kept] of [
    [
      { count: 2, at: noon, replacedAt: noon },
      { count: 2, at: noon },
    ],
    [undefined, undefined],
  ] as const) {
    const before = record({ generations: [one], ...(rollbacks === undefined ? {} : { rollbacks }) });
    const after = proved(before, { ...of, use: 'Verify', outcome: { is: 'Accepted' } }, now);
    t.deepEqual(after.rollbacks, kept);
    t.is(after.generations[0]?.refusedAt, undefined);
  }
});
