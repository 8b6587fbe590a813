import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { isNewDenial } from '#src/controllers/session/delivered.ts';
import { buildPod, buildSessionSnapshot, noon } from '#test/support/builders.ts';

const pod = { is: 'Seen', value: buildPod({ created: noon }) } as const;
const before = { content: 'Error', digest: 'another', at: noon } as const;

for (const [title, age, known, isNew] of [
  ['a pod that this process saw as it was made', second, undefined, true],
  ['a pod that the leader before had served', 10 * minute, undefined, false],
  ['an old pod whose error is another one now', 10 * minute, before, true],
] as const)
  test(`a denial counts: ${title}: ${isNew}`, (t) =>
    t.is(isNewDenial(buildSessionSnapshot({ pod, seenSince: plus(noon, age) }), known), isNew));
