import test from 'ava';
import { plus } from '#src/clock.ts';
import { noon } from '#test/support/builders.ts';
import { meaningOf } from '#test/rotation/refusal.ts';

const switched = { n: 2, state: 'Current', since: noon } as const;

for (const [what, at, known, expected] of [
  ['it is the one that mints', noon, [{ n: 1, state: 'Current', since: noon }], 'Failed'],
  ['it was taken out after the switch', noon, [{ n: 1, state: 'Retiring', since: noon }, switched], 'Overtaken'],
  ['it is gone since the switch', plus(noon, 1), [switched], 'Overtaken'],
  ['it is in its overlap', plus(noon, 250), [{ n: 1, state: 'Draining', since: noon }, switched], 'Failed'],
  ['the switch came 1 ms later', plus(noon, -1), [{ n: 1, state: 'Retiring', since: noon }, switched], 'Failed'],
  ['the old one went 250 ms before the switch', plus(noon, -250), [switched], 'Failed'],
  ['nothing is known', noon, [], 'Failed'],
] as const)
  test(`the load is refused with generation 1, and ${what}: ${expected}`, (t) =>
    t.is(meaningOf(1, at, known), expected));
