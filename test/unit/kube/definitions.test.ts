import test from 'ava';
import { instant, parseRfc3339, plus, second, toRfc3339 } from '#src/clock.ts';
import {
  kindLife,
  kindStands,
  missingMembers,
  problemOf,
  readShippedDefinitions,
  type Schema,
  whyKindGoes,
} from '#src/kube/definitions.ts';

type Definition = ReturnType<typeof readShippedDefinitions>[number];
const shipped = readShippedDefinitions();

const leaf: Schema = {};
const of = (properties: Readonly<Record<string, Schema>>): Schema => ({ properties });

// wanted, found → what is missing
const rows: readonly (readonly [string, Schema, Schema, readonly string[]])[] = [
  ['equal', of({ a: leaf }), of({ a: leaf }), []],
  ['a newer one has more', of({ a: leaf }), of({ a: leaf, b: leaf }), []],
  ['a member', of({ a: leaf, b: leaf }), of({ a: leaf }), ['b']],
  ['a member inside', of({ spec: of({ a: of({ b: leaf }) }) }), of({ spec: of({ a: of({}) }) }), ['spec.a.b']],
  ['the outermost only', of({ spec: of({ a: of({ b: leaf }) }) }), of({ spec: of({}) }), ['spec.a']],
  ['in the items of a list', of({ a: { items: of({ b: leaf }) } }), of({ a: { items: of({}) } }), ['a.b']],
  [
    'in the values of a map',
    of({ a: { additionalProperties: of({ b: leaf }) } }),
    of({ a: { additionalProperties: of({}) } }),
    ['a.b'],
  ],
];

const definitionOf = (openAPIV3Schema: Schema): Definition => ({
  metadata: { name: 'identitypools.ci-identity.dev' },
  spec: { versions: [{ name: 'v1alpha1', schema: { openAPIV3Schema } }] },
});

for (const [name, wanted, found, missing] of rows)
  test(`members of a schema: ${name}`, (t) =>
    t.deepEqual(missingMembers(definitionOf(wanted), definitionOf(found)), missing));

test('what is shipped fits itself', (t) => {
  t.is(shipped.length, 3);
  for (const definition of shipped) t.is(problemOf(definition, definition), undefined);
});

const edited = (
  change: (schema: { properties: Record<string, { properties: Record<string, unknown> }> }) => void,
): Definition => {
  const copy = structuredClone(shipped[0]) as Definition;
  change(copy.spec.versions[0]?.schema?.openAPIV3Schema as never);
  return copy;
};

test('missing, older, or of another version: a sentence with the command that heals it', (t) => {
  const [pool] = shipped;
  if (pool === undefined) throw new Error('nothing is shipped');
  const heal = 'run kubectl apply --server-side -k crds with the files of this version';
  t.is(
    problemOf(pool, undefined),
    `CustomResourceDefinition identitypools.ci-identity.dev: it is not installed, so nothing of its kind can exist; ${heal}`,
  );
  const older = edited(({ properties }) => {
    delete properties['status']?.properties['requests'];
    delete properties['spec']?.properties['suspend'];
  });
  t.is(
    problemOf(pool, older),
    `CustomResourceDefinition identitypools.ci-identity.dev: it is of an older version and lacks spec.suspend, status.requests, which the API server would drop without a word; ${heal}`,
  );
  const other = { ...pool, spec: { ...pool.spec, versions: [{ name: 'v1' }] } };
  t.is(
    problemOf(pool, other),
    `CustomResourceDefinition identitypools.ci-identity.dev: it does not serve ci-identity.dev/v1alpha1; ${heal}`,
  );
});

test('an empty definition lacks much: five are named, the rest is counted', (t) => {
  const empty = edited((schema) => {
    schema.properties = { spec: { properties: {} } };
  });
  t.regex(problemOf(shipped[0] as Definition, empty) ?? '', /lacks (?:[\w.]+, ){4}[\w.]+ and \d+ more, which/);
});

test('objects that go with their kind were deleted by nobody, and a kind that was made anew has a moment to get them back', async (t) => {
  let now = instant(0);
  let found: { uid: string; deletionTimestamp?: string } | undefined = { uid: 'one' };
  const kind = { name: 'things.example', clock: { now: () => now }, look: () => Promise.resolve(found) };
  const [stands, whyGoes] = [kindStands(kind), whyKindGoes(kind)];
  const { signal } = new AbortController();
  const asked = async (): Promise<string> => {
    const why = await whyGoes(signal);
    if (why === undefined) await t.notThrowsAsync(stands(signal));
    else t.true((await t.throwsAsync(stands(signal))).message.startsWith(why));
    return why ?? 'deleted by somebody';
  };
  t.is(await asked(), 'deleted by somebody');
  found = { uid: 'one', deletionTimestamp: '2026-11-24T12:00:00Z' };
  t.regex(await asked(), /things\.example is gone or being deleted; run kubectl apply/);
  found = undefined;
  t.regex(await asked(), /things\.example is gone or being deleted/);
  found = { uid: 'two' };
  t.regex(await asked(), /was made anew, and its objects have a moment/);
  now = plus(now, 29 * second);
  t.regex(await asked(), /was made anew/);
  now = plus(now, 1 * second);
  t.is(await asked(), 'deleted by somebody');
});

for (const [title, found, since, goes] of [
  ['there', { creationTimestamp: '2026-11-24T12:00:00Z' }, '2026-11-24T12:00:00Z', false],
  [
    'being deleted',
    { creationTimestamp: '2026-11-24T12:00:00Z', deletionTimestamp: '2026-11-24T13:00:00Z' },
    '2026-11-24T14:00:00Z',
    true,
  ],
  ['gone', undefined, '2026-11-24T14:00:00Z', true],
] as const)
  test(`since when a kind is there whose definition is ${title}`, async (t) => {
    const clock = { now: () => parseRfc3339('2026-11-24T14:00:00Z') ?? instant(0) };
    const kind = { name: 'things.example', clock, look: () => Promise.resolve(found) };
    const life = await kindLife(kind, new AbortController().signal);
    t.deepEqual([toRfc3339(life.since), life.goes], [since, goes]);
  });

test('a kind that was not there at first was made anew as well', async (t) => {
  const found = [undefined, { uid: 'one' }];
  const kind = { name: 'things.example', clock: { now: () => instant(0) }, look: () => Promise.resolve(found.shift()) };
  const whyGoes = whyKindGoes(kind);
  const { signal } = new AbortController();
  t.regex((await whyGoes(signal)) ?? '', /is gone or being deleted/);
  t.regex((await whyGoes(signal)) ?? '', /was made anew/);
});
