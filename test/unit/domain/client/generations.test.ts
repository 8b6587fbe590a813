import test from 'ava';
import { metadataDigest, newestSent, objectionTo } from '#src/domain/client/generations.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
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

const stored = buildClientRecord({ epoch: 9, generations: [g({ n: 3 })], highest: 3 });
const others = buildClientRecord({ tag: { installation: 'another', owner: 'pool-uid' } });
const here = stored.tag.installation;

const found: readonly (readonly [
  string,
  ClientRecord,
  ClientRecord | undefined,
  string | undefined,
  RegExp | undefined,
])[] = [
  ['the first that is seen', stored, undefined, here, undefined],
  ['the same again', stored, stored, here, undefined],
  ['of a later leader', { ...stored, epoch: 10 }, stored, here, undefined],
  ['with a later generation', { ...stored, highest: 4 }, stored, here, undefined],
  ['of a leader before', { ...stored, epoch: 8 }, stored, here, /older/],
  ['of an earlier generation', buildClientRecord({ epoch: 9 }), stored, here, /older/],
  ['of another installation', others, undefined, here, /belongs to installation another/],
  ['of another installation, before it is known which one this is', others, undefined, undefined, undefined],
];

for (const [what, record, known, installation, objection] of found) {
  test(`a record is found, ${what}: ${objection === undefined ? 'it counts' : 'it does not count'}`, (t) => {
    const said = objectionTo(record, known, installation);
    if (objection === undefined) t.is(said, undefined);
    else t.regex(said ?? '', objection);
  });
}
