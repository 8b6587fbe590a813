import test from 'ava';
import { hour, plus, toRfc3339 } from '#src/clock.ts';
import { missedBy, passedOver } from '#src/domain/access/missed.ts';
import { hasEnded } from '#src/domain/session/end-cause.ts';
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
  ['mirror pod', bare({ containers: [] }), false],
] as const) {
  test(`${missed ? 'missed' : 'not missed'}: ${title}`, (t) =>
    t.is(missedBy(pod, [identity({}, made(hour))]).length, missed ? 1 : 0));
}

for (const [title, pod, needs] of [
  ['runs', bare(), true],
  ['waits', bare({ phase: 'Pending' }), true],
  ['has ended well', bare({ phase: 'Succeeded' }), false],
  ['has ended badly', bare({ phase: 'Failed' }), false],
  ['is being deleted', bare({ deleting: true }), false],
] as const) {
  test(`a pod that ${title} needs ${needs ? 'its' : 'no'} identities`, (t) => t.is(!hasEnded(pod), needs));
}

const toolbox = (containers: readonly string[], more: object = {}): ReturnType<typeof identity> =>
  identity({ delivery: { containers }, ...more }, { name: 'toolbox' });

for (const [title, pod, one, over] of [
  ['one for a container that the pod has not', bare({ containers: ['jnlp', 'maven'] }), toolbox(['mavn']), true],
  ['one for a container that it has', bare({ containers: ['jnlp', 'maven'] }), toolbox(['go', 'maven']), false],
  ['one for all containers', bare(), identity(), false],
  [
    'one for other labels',
    bare(),
    toolbox(['mavn'], { agents: { podSelector: { matchLabels: { app: 'x' } } } }),
    false,
  ],
  [
    'one that it was given before somebody renamed the container',
    bare({ claims: { toolbox: 'uid' } }),
    toolbox(['mavn']),
    false,
  ],
  ['of a mirror pod', bare({ containers: [] }), toolbox(['mavn']), false],
] as const) {
  test(`${over ? 'passed over' : 'not passed over'}: ${title}`, (t) => {
    t.is(passedOver(pod, [one]).length, over ? 1 : 0);
    if (over) t.deepEqual(missedBy(pod, [one]), [], 'it is not missed, for that may be meant');
  });
}

test('who is passed over hears which names do not meet', (t) => {
  const [told] = passedOver(bare({ containers: ['jnlp', 'maven'] }), [toolbox(['mavn'])]);
  t.is(
    told?.message,
    'Pod ci-payments/agent-1: CiIdentity toolbox selects it by its labels and is not given to it – spec.delivery.containers names mavn, and the pod has jnlp, maven. If it is meant to have it, correct the name of the container.',
  );
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
