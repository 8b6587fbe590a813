import test from 'ava';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { firstHonoured } from '#src/domain/client/requests.ts';
import { planned } from '#src/domain/client/transitions.ts';
import { buildClientRecord, buildDesired, buildGeneration as g, buildKey, noon } from '#test/support/builders.ts';

const both = { rotateRequest: 'e1', revokeRequest: 'e1' } as const;
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

for (const [title, wants, handles, record, begins] of [
  ['one id asks for both', both, ['e1'], buildClientRecord(), true],
  ['two ids are two requests', { rotateRequest: 'r1', revokeRequest: 'e1' }, ['r1'], buildClientRecord(), false],
  ['this rotation was planned for another cause', both, [], buildClientRecord(), false],
  ['there is no client yet whose tokens could be revoked', both, ['e1'], undefined, false],
] as const) {
  test(`an emergency ${begins ? 'begins' : 'does not begin'} with a new credential: ${title}`, (t) => {
    const desired = buildDesired(wants);
    const plan = {
      desired,
      generation: 2,
      variant: 'TwoKeys',
      credential: buildKey(),
      clientIdBy: 'Us',
      handles,
    } as const;
    const { emergency, revoking } = planned(record, plan, noon);
    t.deepEqual([emergency, revoking], begins ? [2, { id: 'e1', since: noon }] : [undefined, undefined]);
  });
}
