import test from 'ava';
import fc from 'fast-check';
import { day, instant, plus } from '#src/clock.ts';
import { brakeOf, type MassChange } from '#src/domain/access/brake.ts';

const now = instant(20_781.5 * day);
const change = (ending: number, total: number, acknowledged?: string): MassChange => ({
  what: 'clients',
  subject: 'IdentityPool ci-bots',
  ending,
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
