import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { doubted, proved } from '#src/domain/client/proofs.ts';
import type { Proof } from '#src/domain/client/record.ts';
import { now, record } from '../status/facts.ts';

const accepted: Proof = { outcome: 'Accepted', at: now, generation: 1 };
const refused: Proof = {
  outcome: 'Refused',
  at: now,
  generation: 1,
  reason: 'ScopeWider',
  message: 'm',
  lasting: true,
};
const of = { generation: 1, overlap: 0, lastExp: undefined, use: 'Ask', hash: 'a' } as const;

test('a refusal keeps its reason and its sentence', (t) => {
  const outcome = { is: 'AskRefused', reason: 'LifetimeTooLong', message: 'they live an hour', lasting: true } as const;
  t.deepEqual(proved(record(), { ...of, outcome }, plus(now, minute)).proofs, {
    a: {
      outcome: 'Refused',
      at: plus(now, minute),
      generation: 1,
      reason: 'LifetimeTooLong',
      message: 'they live an hour',
      lasting: true,
    },
  });
});

test('a proof that a session contradicts goes, and only that one', (t) => {
  t.deepEqual(doubted(record({ proofs: { a: accepted, b: accepted } }), 'a').proofs, { b: accepted });
});

for (const [name, proofs] of [
  ['a refusal stays: sessions that meet it too tell nothing new', { a: refused }],
  ['nothing was proven', { b: accepted }],
] as const) {
  test(name, (t) => {
    const before = record({ proofs });
    t.is(doubted(before, 'a'), before);
  });
}
