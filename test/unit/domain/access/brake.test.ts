import test from 'ava';
import fc from 'fast-check';
import { day, instant, plus } from '#src/clock.ts';
import {
  type Brake,
  type BrakedThing,
  type Ending,
  type MassChange,
  brakeOf,
  isHeldBy,
  isPiledUp,
} from '#src/domain/access/brake.ts';

const now = instant(20_781.5 * day);

/** So many of each namespace. */
function losing(lost: Readonly<Record<string, number>>, more: Partial<Ending> = {}): readonly Ending[] {
  return Object.entries(lost).flatMap(([namespace, many]) =>
    Array.from({ length: many }, (_, n) => ({ key: `${namespace}/${n}`, namespace, ...more })),
  );
}

const change = (ending: number, total: number, acknowledged?: string): MassChange => ({
  what: 'clients',
  subject: 'IdentityPool ci-bots',
  ending: losing({ 'ci-payments': ending }),
  total,
  acknowledged,
});

const held = (brake: Brake | undefined): number => (brake?.acknowledged === false ? brake.keys.size : 0);
const isHeldIn = (brake: Brake | undefined, namespace: string): boolean => isHeldBy(brake, `${namespace}/0`);

for (const [ending, total, holds] of [
  [0, 0, false],
  [10, 10, false],
  [11, 11, true],
  [11, 55, false],
  [11, 54, true],
  [20, 100, false],
  [21, 100, true],
] as const) {
  test(`${ending} of ${total} at once: ${holds ? 'held' : 'goes on'}`, (t) =>
    t.is(held(brakeOf(change(ending, total), now)), holds ? ending : 0));
}

test('the message says how to acknowledge, and that id lets it go on while the number shrinks', (t) => {
  const brake = brakeOf(change(40, 100), now);
  t.regex(
    brake?.message ?? '',
    /40 of 100 clients .* kubectl annotate identitypool ci-bots --overwrite ci-identity\.dev\/acknowledge=clients-40-20781\./,
  );
  for (const ending of [40, 39, 12]) t.is(held(brakeOf(change(ending, 60 + ending, brake?.id), now)), 0);
});

for (const [what, ending, id, at] of [
  ['more than were shown', 41, 'clients-40-20781', now],
  ['two days later', 40, 'clients-40-20781', plus(now, 2 * day)],
  ['an id of the future', 40, 'clients-40-20783', now],
  ['an id for sessions', 40, 'sessions-40-20781', now],
  ['not an id', 40, 'yes', now],
  ['empty', 40, '', now],
] as const) {
  test(`an acknowledgement does not count: ${what}`, (t) => t.is(held(brakeOf(change(ending, 100, id), at)), ending));
}

test('what was deleted is not promised back: who applies a pool again learns that its client is a new one', (t) => {
  const ending = losing({ 'ci-payments': 20, 'ci-web': 20 });
  const words = (what: BrakedThing): string => brakeOf({ ...change(40, 100), what, ending }, now)?.message ?? '';
  t.regex(words('clients'), /undo it: .* deleted gets a new client with a new subject .* take the finalizer away/);
  t.regex(words('sessions'), /If it is not, bring back what was deleted\.$/);
});

test('several ids in one annotation', (t) => {
  t.is(held(brakeOf(change(40, 100, 'sessions-90-20781, clients-40-20780'), now)), 0);
});

test('never holds for at most 10 or at most a fifth, always above both', (t) => {
  fc.assert(
    fc.property(fc.nat(500), fc.nat(500), (ending, rest) => {
      const total = ending + rest;
      t.is(held(brakeOf(change(ending, total), now)), ending > 10 && ending * 5 > total ? ending : 0);
    }),
  );
});

/** Who loses how many, how many stay in all, and whose are held. */
const losses: readonly (readonly [string, Readonly<Record<string, number>>, number, readonly string[]])[] = [
  ['one namespace loses many, another one thing', { a: 20, b: 1 }, 30, ['a']],
  ['… which is a whole pool', { a: 20, '': 1 }, 30, ['a']],
  ['ten of one and one of another', { a: 10, b: 1 }, 30, ['a']],
  ['many pools are deleted, and a namespace loses a few', { '': 20, a: 3 }, 30, ['']],
  ['the others alone are a mass change as well', { a: 30, b: 11 }, 10, ['a', 'b']],
  ['what one namespace loses does not make that of the others few', { a: 500, b: 50, c: 50 }, 10, ['a', 'b', 'c']],
  ['two namespaces lose many, another one thing', { a: 30, b: 31, c: 1 }, 139, ['a', 'b']],
  ['… and several', { a: 30, b: 30, c: 25, d: 12, e: 5 }, 139, ['a', 'b', 'c']],
  ['nobody loses more than all others together', { a: 6, b: 6, c: 6 }, 30, ['a', 'b', 'c']],
  ['every object of a kind, a few in each namespace', { a: 3, b: 3, c: 3, d: 3 }, 0, ['a', 'b', 'c', 'd']],
  ['every object of a kind, most of them in one namespace', { a: 20, b: 1 }, 0, ['a', 'b']],
  ['a few', { a: 6, b: 4 }, 0, []],
];

for (const [title, lost, staying, losers] of losses) {
  test(`${title}: ${losers.length === 0 ? 'nothing is held' : `held is what belongs to ${JSON.stringify(losers)}`}`, (t) => {
    const ending = losing(lost);
    const brake = brakeOf({ ...change(0, 0), ending, total: ending.length + staying }, now);
    t.deepEqual(
      Object.keys(lost).filter((name) => isHeldIn(brake, name)),
      [...losers],
    );
    t.is(
      held(brake),
      losers.map((name) => lost[name] ?? 0).reduce((sum, n) => sum + n, 0),
    );
  });
}

/** The same of sessions: whose kind or namespace vanished, whose identity somebody deleted, how many go on, and how many are held. */
const sessions: readonly (readonly [
  string,
  Readonly<Record<string, number>>,
  Readonly<Record<string, number>>,
  number,
  number,
])[] = [
  ['every identity goes with its kind', { a: 9, b: 2 }, {}, 0, 11],
  ['… and it was one namespace that had all', { a: 11 }, {}, 0, 11],
  ['… and few had any', { a: 6, b: 4 }, {}, 0, 0],
  ['a team deletes identities of its namespace', {}, { a: 20 }, 30, 0],
  ['… and nobody else has any', {}, { a: 20 }, 0, 0],
  ['… and another team one of its own', {}, { a: 20, b: 1 }, 30, 0],
  ['a tool prunes several namespaces', {}, { a: 12, b: 11 }, 30, 23],
  ['… and a team deletes one in another', {}, { a: 30, b: 31, c: 1 }, 139, 61],
  ['… and nothing is left', {}, { a: 20, b: 1 }, 0, 21],
  ['a namespace vanishes, and a team deletes one identity', { a: 12 }, { b: 3 }, 20, 12],
  ['few vanish, few are deleted, and it is a mass change only together', { a: 6 }, { b: 3, c: 3 }, 20, 6],
];
for (const [title, vanished, deleted, staying, holds] of sessions)
  test(`sessions: ${title}: ${holds} held`, (t) => {
    const ending = [...losing(vanished, { accident: true }), ...losing(deleted)];
    t.is(held(brakeOf({ ...change(0, 0), what: 'sessions', ending, total: ending.length + staying }, now)), holds);
  });

test('what is held stays held when few are left and many others came, until somebody acknowledges it', (t) => {
  const left = { ...change(0, 0), what: 'sessions', total: 500 } as const;
  const ending = [...losing({ a: 2, b: 1 }, { held: true }), ...losing({ c: 3 })];
  const brake = brakeOf({ ...left, ending }, now);
  t.deepEqual([...(brake?.keys ?? [])], ['a/0', 'a/1', 'b/0'], 'and nothing else');
  t.regex(
    brake?.message ?? '',
    /: 3 of 500 sessions would end .*, what is left of a mass change\. Held back are the 2 of namespace a and the 1 of namespace b\. .*=sessions-3-20781\./,
  );
  t.is(held(brakeOf({ ...left, ending, acknowledged: brake?.id }, now)), 0);
});

test('the message names the namespace that alone is held, and its id lets that one go on', (t) => {
  const ending = losing({ 'ci-evil': 20, 'ci-payments': 1 });
  const brake = brakeOf({ ...change(0, 50), ending }, now);
  t.regex(brake?.message ?? '', /21 of 50 .* Held back are the 20 of namespace ci-evil\. .*=clients-20-20781\./);
  t.is(held(brakeOf({ ...change(0, 50), ending, acknowledged: brake?.id }, now)), 0);
});

test('whatever one namespace loses: while something stays, it holds up no others that lose few', (t) => {
  fc.assert(
    fc.property(fc.nat(500), fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 500 }), (own, others, rest) => {
      fc.pre(own > others);
      const ending = losing({ 'ci-evil': own, 'ci-payments': others });
      for (const what of ['clients', 'sessions'] as const)
        t.false(isHeldIn(brakeOf({ ...change(0, 0), what, ending, total: own + others + rest }, now), 'ci-payments'));
    }),
  );
});

test('what goes on although the brake holds is at most ten, or a fifth', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('', 'a', 'b', 'c', 'd'), fc.nat(60)), fc.nat(300), (lost, staying) => {
      const ending = losing(lost);
      const all = ending.length;
      const total = all + staying;
      const brake = brakeOf({ ...change(0, 0), ending, total }, now);
      t.is(brake !== undefined, all > 10 && all * 5 > total);
      const goOn = brake === undefined ? 0 : all - held(brake);
      t.true(goOn <= 10 || goOn * 5 <= total);
    }),
  );
});

for (const [size, piledUp] of [
  [99, false],
  [100, true],
] as const)
  test(`${size} of one namespace wait: ${piledUp ? 'no more is made for it' : 'more may be made'}`, (t) => {
    const brake = brakeOf({ ...change(0, size + 1), ending: losing({ 'ci-evil': size }) }, now);
    t.is(isPiledUp(brake, 'ci-evil'), piledUp);
    t.false(isPiledUp(brake, 'ci-payments'));
  });

test('many namespaces lose alike: it is an accident, everything is held, and none of them is said to pile up clients', (t) => {
  const ending = losing(Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`ci-${n}`, 150])));
  const brake = brakeOf({ ...change(0, 0), ending, total: 30 * 150 + 1_000 }, now);
  t.false(brake?.isOfFew);
  t.is(held(brake), 30 * 150);
  t.false(isPiledUp(brake, 'ci-1'));
});
