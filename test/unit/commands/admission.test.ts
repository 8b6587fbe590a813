import test from 'ava';
import type { CiIdentity } from '#src/api/v1alpha1/ci-identity.ts';
import { type PodDraft, type Uses, draftOf, expectAdmission } from '#src/commands/admission.ts';
import type { Manifest } from '#src/commands/manifests.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { identity } from '../domain/access/objects.ts';

const condition = (type: string, status: string, reason: string, observedGeneration = 1): object => ({
  type,
  status,
  reason,
  message: `${reason} is the matter.`,
  observedGeneration,
  lastTransitionTime: '2026-11-24T12:00:00Z',
});
const withStatus = (...conditions: readonly object[]): CiIdentity =>
  ({ ...identity(), status: { conditions } }) as unknown as CiIdentity;
const agent = draftOf(agentPod({ name: 'agent' }) as unknown as Manifest);
const creator = 'system:serviceaccount:jenkins:jenkins';

const cases: readonly {
  readonly name: string;
  readonly pod?: Partial<PodDraft>;
  readonly identities?: readonly CiIdentity[];
  readonly optedIn?: boolean;
  readonly uses?: Uses;
  readonly selected: readonly string[];
  readonly refusals?: readonly RegExp[];
}[] = [
  { name: 'an agent pod', selected: ['publisher'] },
  { name: 'a pod without the plugin’s label', pod: { labels: {} }, selected: [] },
  { name: 'a namespace that does not opt in', optedIn: false, selected: [] },
  { name: 'a mirror pod', pod: { annotations: { 'kubernetes.io/config.mirror': 'x' } }, selected: [] },
  {
    name: 'no container that the identity names',
    identities: [identity({ delivery: { containers: ['gradle'] } })],
    selected: [],
  },
  { name: 'creator and pod account as they should be', uses: { creator: true, pod: false }, selected: ['publisher'] },
  {
    name: 'more annotations than admission looks through',
    pod: { annotations: Object.fromEntries(Array.from({ length: 2_001 }, (_, i) => [`note-${i}`, ''])) },
    selected: ['publisher'],
    refusals: [/^the pod has 2001 annotations, at most 2000 are possible\.$/],
  },
  {
    name: 'a creator without use',
    uses: { creator: false },
    selected: ['publisher'],
    refusals: [/^system:serviceaccount:jenkins:jenkins may not use CiIdentity publisher: give it the verb use/],
  },
  {
    name: 'a pod whose account holds use',
    uses: { pod: true },
    selected: ['publisher'],
    refusals: [/^the account that the pod runs as holds the verb use/],
  },
  {
    name: 'a denied identity',
    identities: [withStatus(condition('Authorized', 'False', 'NoRule'))],
    selected: ['publisher'],
    refusals: [/^CiIdentity publisher: NoRule is the matter\.$/],
  },
  {
    name: 'a suspended one',
    identities: [withStatus(condition('Issuing', 'False', 'Suspended'))],
    selected: ['publisher'],
    refusals: [/Suspended is the matter/],
  },
  {
    name: 'a stalled one',
    identities: [withStatus(condition('Stalled', 'True', 'ScopeRefused'))],
    selected: ['publisher'],
    refusals: [/ScopeRefused is the matter/],
  },
  {
    name: 'enforcement Audit: granted, so admitted',
    identities: [withStatus(condition('Authorized', 'True', 'ShadowDenied'))],
    selected: ['publisher'],
  },
  {
    name: 'a provider that is away: admitted, and waits',
    identities: [withStatus(condition('Issuing', 'False', 'ProviderUnavailable'))],
    selected: ['publisher'],
  },
  {
    name: 'a condition about an older spec',
    identities: [withStatus(condition('Authorized', 'False', 'NoRule', 0))],
    selected: ['publisher'],
  },
  {
    name: 'a pod that names what it does not get',
    pod: { annotations: { 'ci-identity.dev/identities': 'publisher, deployer' } },
    selected: ['publisher'],
    refusals: [/^it names CiIdentity deployer/],
  },
  {
    name: 'a claim by hand',
    pod: { annotations: { 'identity.ci-identity.dev/publisher': 'x' } },
    selected: ['publisher'],
    refusals: [/written by admission, not by hand/],
  },
  { name: 'a name of 190 characters', pod: { name: 'a'.repeat(190) }, selected: ['publisher'] },
  { name: 'a name of 191', pod: { name: 'a'.repeat(191) }, selected: ['publisher'], refusals: [/has 191 characters/] },
  {
    name: 'two defaults',
    identities: ['a', 'b'].map((name) => identity({ delivery: { default: true } }, { name })),
    selected: ['a', 'b'],
    refusals: [/a and b both have delivery\.default/],
  },
  {
    name: 'thirteen identities',
    identities: Array.from({ length: 13 }, (_, index) => identity({}, { name: `i${index}` })),
    selected: Array.from({ length: 13 }, (_, index) => `i${index}`),
    refusals: [/13 CiIdentities select this pod, at most 12 may/],
  },
];

for (const { name, pod = {}, identities = [identity()], optedIn = true, uses, selected, refusals = [] } of cases) {
  test(`admission expected: ${name}`, (t) => {
    const expected = expectAdmission({ ...agent, ...pod }, identities, {
      optedIn,
      creator,
      namespace: 'ci-payments',
      uses: new Map(uses === undefined ? [] : [['publisher', uses]]),
    });
    t.deepEqual(
      expected.selected.map(({ metadata }) => metadata.name),
      selected,
    );
    t.is(expected.refusals.length, refusals.length, expected.refusals.join('\n'));
    for (const [index, pattern] of refusals.entries()) t.regex(expected.refusals[index] ?? '', pattern);
  });
}

test('admission expected: a pod with generateName is refused', (t) => {
  const { name: _, ...unnamed } = agent;
  const o = { optedIn: true, creator, namespace: 'ci-payments', uses: new Map() };
  t.regex(expectAdmission(unnamed, [identity()], o).refusals.join(), /has generateName/);
});
