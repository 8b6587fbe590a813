import test from 'ava';
import { metadataDigest, newestSent } from '#src/domain/client/generations.ts';
import type { Generation } from '#src/domain/client/record.ts';
import { buildClientRecord, buildDesired, buildGeneration as g, omit } from '#test/support/builders.ts';

const rows: readonly {
  readonly title: string;
  readonly generations: readonly Generation[];
  readonly looksAt: number | undefined;
}[] = [
  { title: 'the one that mints', generations: [g()], looksAt: 1 },
  { title: 'the newest', generations: [g({ state: 'Draining' }), g({ n: 2 })], looksAt: 2 },
  {
    title: 'the next client is planned, and not registered',
    generations: [g(), g({ n: 2, state: 'Planned', clientId: 'ci-1-2' })],
    looksAt: 1,
  },
  { title: 'the next key is planned, and not sent', generations: [g(), g({ n: 2, state: 'Planned' })], looksAt: 1 },
  { title: 'the first is planned under an id of ours', generations: [g({ state: 'Planned' })], looksAt: 1 },
  {
    title: 'the first is planned, and the provider chooses its id',
    generations: [omit(g({ state: 'Planned' }), 'clientId')],
    looksAt: 1,
  },
  { title: 'nothing', generations: [], looksAt: undefined },
];

for (const { title, generations, looksAt } of rows) {
  test(`a look at the provider: ${title}`, (t) => t.is(newestSent(buildClientRecord({ generations }))?.n, looksAt));
}

test('the digest of what was sent is the one that older versions stored: another one sends every client again after an upgrade', (t) => {
  t.is(metadataDigest(buildDesired()), '35551a648bad2be844163dca24da2301976770d02c7d9000436a51725f9e93d3');
});
