import test from 'ava';
import { hour, plus, toRfc3339 } from '#src/clock.ts';
import { missedBy } from '#src/domain/access/missed.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import { buildPod, noon } from '#test/support/builders.ts';
import { identity } from './objects.ts';

const bare = (overrides: Partial<PodFacts> = {}): PodFacts =>
  buildPod({ claims: {}, volumes: [], created: noon, phase: 'Running', ...overrides });
const made = (at: number): { creationTimestamp: string } => ({ creationTimestamp: toRfc3339(plus(noon, at)) });

for (const [title, pod, missed] of [
  ['created before the identity', bare(), true],
  ['has the identity', buildPod(), false],
  ['carries another identity only', bare({ claims: { other: 'uid' } }), true],
  ['not selected', bare({ labels: {} }), false],
  ['waits to be started', bare({ phase: 'Pending' }), true],
  ['has ended well', bare({ phase: 'Succeeded' }), false],
  ['has ended badly', bare({ phase: 'Failed' }), false],
  ['is being deleted', bare({ deleting: true }), false],
  ['mirror pod', bare({ containers: [] }), false],
] as const) {
  test(`${missed ? 'missed' : 'not missed'}: ${title}`, (t) =>
    t.is(missedBy(pod, [identity({}, made(hour))]).length, missed ? 1 : 0));
}

test('an identity for containers that the pod does not have is not missed', (t) => {
  t.deepEqual(missedBy(bare(), [identity({ delivery: { containers: ['maven'] } })]), []);
});

test('the sentence says which of the two came first', (t) => {
  const [late] = missedBy(bare(), [identity({}, made(0))]);
  t.regex(
    late?.message ?? '',
    /^Pod ci-payments\/agent-1: CiIdentity publisher selects it.*created before the CiIdentity.*run the build again\.$/,
  );
  const [labelled] = missedBy(bare(), [identity({}, made(-hour))]);
  t.regex(labelled?.message ?? '', /got its labels after it was created/);
});
