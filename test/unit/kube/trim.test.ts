import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { instant } from '#src/clock.ts';
import { trimNamespace, trimNode, trimPod, trimResource } from '#src/kube/trim.ts';

const meta = { uid: 'u1', resourceVersion: '7', creationTimestamp: '2026-11-24T12:00:00Z' };

const pod = {
  metadata: {
    ...meta,
    name: 'agent-1',
    namespace: 'ci-payments',
    labels: { 'ci-identity.dev/injected': 'true', 'jenkins/label': 'x', team: 'payments' },
    annotations: {
      'ci-identity.dev/requester': 'system:serviceaccount:jenkins:jenkins',
      'identity.ci-identity.dev/publisher': 'uid-of-publisher',
      runUrl: 'job/Team/job/deploy/42/',
      other: 'JENKINS_SECRET=hunter2',
    },
    managedFields: [{ manager: 'hunter2' }],
  },
  spec: {
    nodeName: 'node-1',
    containers: [{ name: 'jnlp', env: [{ name: 'JENKINS_SECRET', value: 'hunter2' }], args: ['hunter2'] }],
    volumes: [
      { name: 'ci-identity-publisher', secret: { secretName: 'ci-identity-publisher.agent-1' } },
      { name: 'ci-identity-wrong', secret: { secretName: 'ci-identity-wrong.agent-2' } },
      { name: 'ci-identity-empty', emptyDir: {} },
      { name: 'renamed', secret: { secretName: 'ci-identity-renamed.agent-1' } },
      { name: 'workspace-volume', emptyDir: {} },
    ],
  },
  status: { phase: 'Running', containerStatuses: [{ state: { terminated: { message: 'hunter2' } } }] },
};

test('a pod keeps what decisions need and nothing else', (t) => {
  t.deepEqual(trimPod(pod), {
    uid: 'u1',
    resourceVersion: '7',
    namespace: 'ci-payments',
    name: 'agent-1',
    created: instant(Date.UTC(2026, 10, 24, 12)),
    deleting: false,
    phase: 'Running',
    claims: { publisher: 'uid-of-publisher' },
    volumes: ['publisher'],
    labels: { 'ci-identity.dev/injected': 'true', 'jenkins/label': 'x', team: 'payments' },
    containers: ['jnlp'],
    node: 'node-1',
    requester: 'system:serviceaccount:jenkins:jenkins',
    claimedRunUrl: 'job/Team/job/deploy/42/',
  });
});

test('owners that a pod forges are not kept', (t) => {
  const forged = [{ apiVersion: 'ci-identity.dev/v1alpha1', kind: 'CiIdentity', name: 'publisher', uid: 'forged' }];
  const metadata = { ...pod.metadata, ownerReferences: forged };
  t.notRegex(JSON.stringify(trimPod({ ...pod, metadata })), /forged/);
});

/** `count` keys that begin with `prefix`, each as long as the API server allows. */
const many = (count: number, prefix: string, value: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix}${'x'.repeat(50)}${n}`, value]));

const manyClaims = Object.fromEntries(
  Array.from({ length: 3_000 }, (_, n) => [`identity.ci-identity.dev/${'x'.repeat(40)}-${n}`, 'u'.repeat(30)]),
);

for (const [what, metadata, spec] of [
  ['annotations', { annotations: { ...pod.metadata.annotations, big: 'x'.repeat(250_000) } }, {}],
  ['labels', { labels: { ...pod.metadata.labels, ...many(3_900, `${'p'.repeat(250)}.example/`, 'v'.repeat(63)) } }, {}],
  ['claims', { annotations: { ...pod.metadata.annotations, ...manyClaims } }, {}],
  [
    'a claimed uid',
    { annotations: { ...pod.metadata.annotations, 'identity.ci-identity.dev/publisher': 'u'.repeat(250_000) } },
    {},
  ],
  ['environment', {}, { containers: [{ name: 'jnlp', env: [{ name: 'V', value: 'x'.repeat(1_000_000) }] }] }],
  ['containers', {}, { containers: Array.from({ length: 5_000 }, (_, n) => ({ name: `${'c'.repeat(58)}-${n}` })) }],
] as const) {
  test(`of a pod with a megabyte of ${what} little is kept`, (t) => {
    const large = { ...pod, metadata: { ...pod.metadata, ...metadata }, spec: { ...pod.spec, ...spec } };
    const { length } = JSON.stringify(trimPod(large));
    t.true(length < 30_000, `${length}`);
  });
}

for (const [title, status, expected] of [
  ['no sandbox yet', { phase: 'Pending', sandbox: 'False' }, instant(Date.UTC(2026, 10, 24, 12, 0, 3))],
  ['it has its sandbox', { phase: 'Pending', sandbox: 'True' }, undefined],
  ['it runs', { phase: 'Running', sandbox: 'False' }, undefined],
] as const) {
  test(`since when a pod cannot mount its volumes: ${title}`, (t) => {
    const { phase, sandbox } = status;
    const condition = {
      type: 'PodReadyToStartContainers',
      status: sandbox,
      lastTransitionTime: '2026-11-24T12:00:03Z',
    };
    t.is(trimPod({ ...pod, status: { phase, conditions: [condition] } }).unmountedSince, expected);
  });
}

test('a mirror pod has no containers for an identity', (t) => {
  const annotations = { 'kubernetes.io/config.mirror': 'x' };
  t.deepEqual(trimPod({ ...pod, metadata: { ...pod.metadata, annotations } }).containers, []);
});

test('who was not admitted as the creator of an agent claims nothing, and nobody claims what no CiIdentity can be called', (t) => {
  const claims = (annotations: Readonly<Record<string, string>>, labels: object = pod.metadata.labels): unknown =>
    trimPod({ ...pod, metadata: { ...pod.metadata, annotations, labels } }).claims;
  const claim = { 'identity.ci-identity.dev/publisher': 'u' };
  t.deepEqual(claims(claim), {});
  const admitted = { 'ci-identity.dev/requester': 'system:serviceaccount:jenkins:jenkins' };
  t.deepEqual(claims({ ...admitted, ...claim, 'identity.ci-identity.dev/publisher.a': 'u' }), { publisher: 'u' });
  for (const labels of [{}, { 'ci-identity.dev/injected': 'false' }, { 'jenkins/label': 'true' }]) {
    t.deepEqual(claims({ ...admitted, ...claim }, labels), {}, 'updates of such a pod are looked at by no policy');
    const unlabelled = trimPod({ ...pod, metadata: { ...pod.metadata, labels } });
    t.is(unlabelled.requester, undefined);
  }
});

test('JENKINS_SECRET leaves no trace', (t) => {
  t.notRegex(JSON.stringify(trimPod(pod)), /hunter2|JENKINS_SECRET/);
});

test('a pod without anything has empty facts, and none that it does not say', (t) => {
  const facts = trimPod({
    metadata: { ...meta, name: 'p', namespace: 'n', deletionTimestamp: '2026-11-24T12:01:00Z' },
  });
  t.like(facts, { phase: 'Pending', deleting: true, claims: {}, volumes: [], labels: {} });
  t.false('requester' in facts || 'node' in facts || 'claimedRunUrl' in facts);
});

for (const runUrl of ['with\nnewline', 'a b', '', 'x'.repeat(513), '‮job']) {
  test(`a run URL that cannot be one is dropped: ${JSON.stringify(runUrl).slice(0, 20)}`, (t) => {
    t.false('claimedRunUrl' in trimPod({ metadata: { ...meta, name: 'p', annotations: { runUrl } } }));
  });
}

test('a namespace keeps labels and our annotations', (t) => {
  const raw = {
    metadata: {
      ...meta,
      name: 'ci-payments',
      labels: { team: 'payments' },
      annotations: {
        'ci-identity.dev/emergency-stop': 'leak',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        'xci-identity.dev/a': 'b',
      },
    },
  };
  t.deepEqual(trimNamespace(raw), {
    uid: 'u1',
    resourceVersion: '7',
    name: 'ci-payments',
    labels: { team: 'payments' },
    annotations: { 'ci-identity.dev/emergency-stop': 'leak' },
    terminating: false,
  });
});

const since = instant(Date.UTC(2026, 10, 24, 13));
const nodes = [
  ['ready', [{ type: 'Ready', status: 'True' }], { ready: true }],
  [
    'not ready',
    [{ type: 'Ready', status: 'False', lastTransitionTime: '2026-11-24T13:00:00Z' }],
    { ready: false, notReadySince: since },
  ],
  [
    'unknown',
    [
      { type: 'MemoryPressure', status: 'False' },
      { type: 'Ready', status: 'Unknown', lastTransitionTime: '2026-11-24T13:00:00Z' },
    ],
    { ready: false, notReadySince: since },
  ],
  ['never heard of', undefined, { ready: false, notReadySince: instant(Date.UTC(2026, 10, 24, 12)) }],
] as const;

for (const [name, conditions, facts] of nodes) {
  test(`a node that is ${name}`, (t) => {
    t.deepEqual(trimNode({ metadata: { ...meta, name: 'node-1' }, status: { conditions } }), {
      uid: 'u1',
      resourceVersion: '7',
      ...facts,
    });
  });
}

test('of the metadata of a custom resource only what decisions need stays', (t) => {
  const raw = {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'CiIdentity',
    metadata: {
      ...meta,
      name: 'publisher',
      finalizers: Array.from({ length: 4_000 }, (_, n) => `example.com/${n}`),
      managedFields: [{}],
      labels: { 'app.kubernetes.io/instance': 'payments' },
      ownerReferences: [{ kind: 'Application' }],
      annotations: {
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        'example.com/note': 'x'.repeat(200_000),
        'ci-identity.dev/rotate': '1',
        'ci-identity.dev/emergency-stop': 'x'.repeat(200_000),
        ...many(3_000, 'ci-identity.dev/', 'x'),
      },
    },
    spec: { pool: 'ci-bots' },
  };
  const annotations = { 'ci-identity.dev/rotate': '1', 'ci-identity.dev/emergency-stop': 'x'.repeat(1_024) };
  t.deepEqual(trimResource<unknown, unknown>(raw), {
    uid: 'u1',
    resourceVersion: '7',
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'CiIdentity',
    metadata: { ...meta, name: 'publisher', annotations },
    spec: { pool: 'ci-bots' },
  });
});

test('the finalizers of a pool stay, because ours is taken out by its place among them', (t) => {
  const finalizers = ['example.com/theirs', 'ci-identity.dev/clients'];
  const raw = { kind: 'IdentityPool', metadata: { ...meta, name: 'ci-bots', finalizers } };
  t.deepEqual(trimResource(raw).metadata.finalizers, finalizers);
});

function used(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

test.serial('what many identities say alike is in memory once', (t) => {
  const message = `mallory may use identities in ${'team-1, '.repeat(100)}…`;
  const text = JSON.stringify({ metadata: { ...meta, name: 'i' }, spec: {}, status: { conditions: [{ message }] } });
  const before = used();
  const kept = Array.from({ length: 200 }, () =>
    trimResource<unknown, { readonly conditions: unknown }>(JSON.parse(text)),
  );
  const each = (used() - before) / kept.length;
  t.true(each < 1_600, `${each} bytes for each of ${kept.length}, where the message alone has ${2 * message.length}`);
  t.deepEqual(kept[199]?.status, { conditions: [{ message }] });
});

test.serial('what was cut off is really gone from memory', (t) => {
  const before = used();
  const kept = Array.from({ length: 200 }, (_, n) => {
    const annotations = { 'ci-identity.dev/emergency-stop': `${n}${'x'.repeat(200_000)}` };
    return trimResource(JSON.parse(JSON.stringify({ metadata: { ...meta, name: `i${n}`, annotations } })));
  });
  const each = (used() - before) / kept.length;
  t.true(each < 20_000, `${each} bytes for each of ${kept.length}`);
});
