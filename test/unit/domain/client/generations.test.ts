import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { answered, lookedAt } from '#src/domain/client/answers.ts';
import {
  holdsCredential,
  isAsAnswered,
  isForeign,
  managementOf,
  metadataDigest,
  newestSent,
  objectionTo,
  tagText,
} from '#src/domain/client/generations.ts';
import { withIntent } from '#src/domain/client/intents.ts';
import { moved, planned, replaced } from '#src/domain/client/transitions.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { Redacted } from '#src/redacted.ts';
import { buildClientRecord, buildDesired, buildGeneration as g, buildKey, noon, omit } from '#test/support/builders.ts';

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

const ours = tagText(buildClientRecord().tag);
const tags: readonly (readonly [
  what: string,
  answer: string | undefined,
  later: string | undefined,
  isOthers: boolean,
])[] = [
  ['kept', ours, ours, false],
  ['kept, and edited by somebody', ours, 'other/one', true],
  ['shortened by the provider', ours.slice(0, 8), ours.slice(0, 8), false],
  ['replaced by the provider', 'dcr', 'dcr', false],
  ['replaced by the provider, which shows ours later', 'dcr', ours, false],
  ['replaced by the provider, and edited by somebody', 'dcr', 'other/one', true],
  ['dropped by the provider', undefined, undefined, false],
  ['dropped by the provider, and set by somebody', undefined, 'other/one', true],
];

for (const [what, answer, later, isOthers] of tags) {
  test(`the tag of a client of ours: ${what}`, (t) => {
    const seen = (tag: string | undefined) =>
      ({ is: 'Present', at: noon, drift: [], ...(tag === undefined ? {} : { tag }) }) as const;
    const plan = { desired: buildDesired(), variant: 'TwoKeys', clientIdBy: 'Provider', handles: [] } as const;
    const first = planned(undefined, { ...plan, generation: 1, credential: buildKey() }, noon);
    const asked = withIntent(first, { call: 'Register', generation: 1, at: noon });
    const made = answered(asked, { clientId: 'c1', observed: seen(answer) }, plan.desired, noon);
    t.false(isForeign(made), 'as it was answered');
    t.is(isForeign({ ...made, observed: seen(later) }), isOthers);
    const leaving = lookedAt(moved(made, 1, 'Retiring', noon), 1, seen(later));
    t.is(isForeign({ ...leaving, observed: seen(answer) }, leaving.generations[0]), isOthers, 'before it is deleted');

    const current = replaced(made, 1, (one) => ({ ...one, state: 'Current' }));
    const next = planned(current, { ...plan, generation: 2, credential: buildKey('k2') }, noon);
    const sent = withIntent(next, { call: 'Update', generation: 2, at: noon });
    const rotated = answered(sent, { clientId: 'c1', observed: seen(later) }, plan.desired, noon);
    t.is(isForeign(rotated), isOthers, 'after a rotation');
  });
}

for (const [title, record, holds] of [
  ['one mints', {}, true],
  ['one drains', { generations: [g({ state: 'Draining' })] }, true],
  ['one is planned, and nothing was sent', { generations: [g({ state: 'Planned' })] }, false],
  [
    'one is planned, and may have been sent',
    { generations: [g({ state: 'Planned' })], intent: { call: 'Register', generation: 1, at: noon } },
    true,
  ],
  ['all are on their way out', { generations: [g({ state: 'Retiring' })] }, false],
] satisfies readonly (readonly [string, Partial<ClientRecord>, boolean])[]) {
  test(`a record ${holds ? 'holds' : 'does not hold'} what nobody else could use or remove: ${title}`, (t) => {
    t.is(holdsCredential(buildClientRecord(record)), holds);
  });
}

test('the token that manages a client is known of one of its credentials at least', (t) => {
  const token = new Redacted('old');
  const own = { token, uri: 'https://idp.example.com/clients/old' };
  const first = g({ state: 'Draining', clientId: 'old' });
  const second = g({ n: 2, state: 'Draining', clientId: 'old', management: own });
  const third = g({ n: 3 });
  const record = buildClientRecord({ generations: [first, second, third] });
  t.deepEqual(
    [first, second].map((one) => managementOf(record, one)),
    [own, own],
  );
  t.is(managementOf(record, third), record.management);
});

for (const [title, at, ownDrift, isOwn] of [
  ['it was seen in the answer itself', noon, undefined, true],
  ['a look after it showed it first', plus(noon, minute), undefined, false],
  ['a look after it showed what the answer had', plus(noon, minute), 'as-answered', true],
  ['a look after it showed something else', plus(noon, minute), 'before', false],
] as const) {
  test(`a difference that is ${isOwn ? "the provider's own answer" : 'drift'}: ${title}`, (t) => {
    const observed = { is: 'Present', at, drift: ['scope'], driftDigest: 'as-answered' } as const;
    const record = buildClientRecord({ observed, updatedAt: noon, ...(ownDrift === undefined ? {} : { ownDrift }) });
    t.is(isAsAnswered(record), isOwn);
  });
}
