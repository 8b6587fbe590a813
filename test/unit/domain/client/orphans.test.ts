import test from 'ava';
import { isNamedIn, openOrphans, orphansAcknowledged, orphansId, possibleOrphans } from '#src/domain/client/orphans.ts';
import { withoutIntent } from '#src/domain/client/intents.ts';
import { without } from '#src/domain/client/transitions.ts';
import { buildClientRecord, buildGeneration, noon } from '#test/support/builders.ts';

const record = buildClientRecord;

test('what was acknowledged is counted no longer, and what comes after it is', (t) => {
  const two = record({ possibleOrphans: 2 });
  t.is(openOrphans(two), 2);
  const dealtWith = orphansAcknowledged(two);
  t.is(openOrphans(dealtWith), 0);
  const intent = { call: 'Register', generation: 2, at: noon } as const;
  const planned = buildGeneration({ n: 2, state: 'Planned', unheard: true });
  const open = { ...dealtWith, generations: [buildGeneration(), planned], intent };
  t.is(openOrphans(withoutIntent(open, true)), 1);
  t.is(possibleOrphans(open), 1, 'it may still arrive');
  t.is(openOrphans(without(open, 2)), 1);
  t.is(openOrphans(orphansAcknowledged(record())), 0);
});

test('an id is that of all orphans of the pool there are: another one more, and it acknowledges nothing', (t) => {
  const id = orphansId([
    ['client-a', record({ possibleOrphans: 1 })],
    ['client-b', record()],
  ]);
  t.regex(id, /^orphans-[0-9a-f]{8}$/);
  const same = [
    [
      ['client-b', record()],
      ['client-a', record({ possibleOrphans: 1, acknowledgedOrphans: 1 })],
    ],
    [['client-a', record({ possibleOrphans: 1 })]],
  ] as const;
  const others = [
    [['client-a', record({ possibleOrphans: 2 })]],
    [['client-a', record({ possibleOrphans: 2, acknowledgedOrphans: 1 })]],
    [['client-b', record({ possibleOrphans: 1 })]],
    [
      ['client-a', record({ possibleOrphans: 1 })],
      ['client-b', record({ possibleOrphans: 1 })],
    ],
  ] as const;
  for (const records of same) t.is(orphansId(records), id);
  for (const records of others) t.not(orphansId(records), id);
});

for (const [annotation, holds] of [
  ['orphans-1', true],
  ['clients-40-20781 orphans-1', true],
  ['orphans-0,orphans-1', true],
  ['orphans-12', false],
  ['', false],
  [undefined, false],
] as const)
  test(`acknowledge: ${annotation ?? 'nothing'} ${holds ? 'names' : 'does not name'} orphans-1`, (t) =>
    t.is(isNamedIn(annotation, 'orphans-1'), holds));
