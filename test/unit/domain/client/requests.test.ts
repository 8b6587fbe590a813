import test from 'ava';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { firstHonoured } from '#src/domain/client/requests.ts';
import { buildClientRecord, buildGeneration as g } from '#test/support/builders.ts';

const draining = [g({ state: 'Draining' }), g({ n: 2 })];

for (const [title, partial, expected] of [
  ['one credential', {}, 1],
  ['an old one drains: its tokens stay', { generations: draining }, 1],
  ['and is out: what a Mint brings of it late does not', { generations: [g({ n: 2 })] }, 2],
  ['an emergency is under way: its credential is still to come', { generations: [g()], emergency: 2 }, 1],
  ['its credential mints: no token of an older one stays, however young', { generations: draining, emergency: 2 }, 2],
  ['nothing is left', { generations: [] }, 0],
] satisfies readonly (readonly [string, Partial<ClientRecord>, number])[]) {
  test(`the first generation whose tokens may stay: ${title}`, (t) => {
    t.is(firstHonoured(buildClientRecord(partial)), expected);
  });
}
