import test from 'ava';
import fc from 'fast-check';
import { day, instant, plus } from '#src/clock.ts';
import { brakeOf, isHeldIn, isPiledUp, type MassChange } from '#src/domain/access/brake.ts';

const now = instant(20_781.5 * day);
const change = (ending: number, total: number, acknowledged?: string): MassChange => ({
  what: 'clients',
  subject: 'IdentityPool ci-bots',
  ending: new Map([['ci-payments', ending]]),
  total,
  acknowledged,
});

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
    t.is(brakeOf(change(ending, total), now) !== undefined, holds));
}

test('the message says how to acknowledge, and that id lets it go on while the number shrinks', (t) => {
  const brake = brakeOf(change(40, 100), now);
  t.regex(
    brake?.message ?? '',
    /40 of 100 clients .* kubectl annotate identitypool ci-bots --overwrite ci-identity\.dev\/acknowledge=clients-40-20781\./,
  );
  for (const ending of [40, 39, 12]) t.is(brakeOf(change(ending, 60 + ending, brake?.id), now), undefined);
});

for (const [what, ending, id, at] of [
  ['more than were shown', 41, 'clients-40-20781', now],
  ['two days later', 40, 'clients-40-20781', plus(now, 2 * day)],
  ['an id of the future', 40, 'clients-40-20783', now],
  ['an id for sessions', 40, 'sessions-40-20781', now],
  ['not an id', 40, 'yes', now],
  ['empty', 40, '', now],
] as const) {
  test(`an acknowledgement does not count: ${what}`, (t) => t.truthy(brakeOf(change(ending, 100, id), at)));
}

test('several ids in one annotation', (t) => {
  t.is(brakeOf(change(40, 100, 'sessions-90-20781, clients-40-20780'), now), undefined);
});

test('never holds for at most 10 or at most a fifth, always above both', (t) => {
  fc.assert(
    fc.property(fc.nat(500), fc.nat(500), (ending, rest) => {
      const total = ending + rest;
      t.is(brakeOf(change(ending, total), now) !== undefined, ending > 10 && ending * 5 > total);
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

for (const [title, ending, staying, held] of losses) {
  test(`${title}: ${held.length === 0 ? 'nothing is held' : `held is what belongs to ${JSON.stringify(held)}`}`, (t) => {
    const counts = new Map(Object.entries(ending));
    const all = [...counts.values()].reduce((sum, n) => sum + n, 0);
    const brake = brakeOf({ ...change(0, 0), ending: counts, total: all + staying }, now);
    t.deepEqual(
      [...counts.keys()].filter((name) => isHeldIn(brake, name)),
      [...held],
    );
    t.is(
      brake?.held ?? 0,
      held.map((name) => counts.get(name) ?? 0).reduce((sum, n) => sum + n, 0),
    );
  });
}

test('the message names the namespace that alone is held, and its id lets that one go on', (t) => {
  const ending = new Map([
    ['ci-evil', 20],
    ['ci-payments', 1],
  ]);
  const brake = brakeOf({ ...change(0, 50), ending }, now);
  t.regex(brake?.message ?? '', /21 of 50 .* Held back are the 20 of namespace ci-evil\. .*=clients-20-20781\./);
  t.is(brakeOf({ ...change(0, 50), ending, acknowledged: brake?.id }, now), undefined);
});

test('whatever one namespace loses: while something stays, it holds up no others that lose few', (t) => {
  fc.assert(
    fc.property(fc.nat(500), fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 500 }), (own, others, rest) => {
      fc.pre(own > others);
      const ending = new Map([
        ['ci-evil', own],
        ['ci-payments', others],
      ]);
      t.false(isHeldIn(brakeOf({ ...change(0, 0), ending, total: own + others + rest }, now), 'ci-payments'));
    }),
  );
});

test('what goes on although the brake holds is at most ten, or a fifth', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('', 'a', 'b', 'c', 'd'), fc.nat(60)), fc.nat(300), (lost, staying) => {
      const ending = new Map(Object.entries(lost));
      const all = [...ending.values()].reduce((sum, n) => sum + n, 0);
      const total = all + staying;
      const brake = brakeOf({ ...change(0, 0), ending, total }, now);
      t.is(brake !== undefined, all > 10 && all * 5 > total);
      const goOn = brake === undefined ? 0 : all - brake.held;
      t.true(goOn <= 10 || goOn * 5 <= total);
    }),
  );
});

for (const [held, piledUp] of [
  [99, false],
  [100, true],
] as const)
  test(`${held} of one namespace wait: ${piledUp ? 'no more is made for it' : 'more may be made'}`, (t) => {
    const brake = brakeOf({ ...change(0, held + 1), ending: new Map([['ci-evil', held]]) }, now);
    t.is(isPiledUp(brake, 'ci-evil'), piledUp);
    t.false(isPiledUp(brake, 'ci-payments'));
  });

test('many namespaces lose alike: it is an accident, everything is held, and none of them is said to pile up clients', (t) => {
  const ending = new Map(Array.from({ length: 30 }, (_, n) => [`ci-${n}`, 150] as const));
  const brake = brakeOf({ ...change(0, 0), ending, total: 30 * 150 + 1_000 }, now);
  t.is(brake?.only, undefined);
  t.is(brake?.held, 30 * 150);
  t.false(isPiledUp(brake, 'ci-1'));
});
