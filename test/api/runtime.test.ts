import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { second, systemClock } from '#src/clock.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import { LostLeaseError, OperatorError } from '#src/errors.ts';
import { type ApiConnection, connect } from '#src/kube/connection.ts';
import { leaseAccess } from '#src/kube/leases.ts';
import { create, kinds, listPage, remove } from '#src/kube/resources.ts';
import { pods } from '#src/kube/watches.ts';
import { Leader } from '#src/runtime/leader.ts';
import { Reflector, type ReflectorOptions } from '#src/runtime/reflector.ts';
import { Store } from '#src/runtime/store.ts';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { eventually } from '#test/support/eventually.ts';
import { type FaultProxy, type ProxiedRequest, startFaultProxyOf } from '#test/support/fault-proxy.ts';

const namespace = 'faults';
const forever = new AbortController().signal;

interface Context {
  cluster: Cluster;
  admin: ApiConnection;
}

const test = anyTest as TestFn<Context>;
const shared: Partial<Context> = {};

test.serial.before(async () => {
  const cluster = await startCluster();
  const manifest = `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: ${namespace}, name: watcher}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: ${namespace}, name: watcher}
rules:
- {apiGroups: [''], resources: [pods], verbs: [list, watch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: ${namespace}, name: watcher}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: watcher}
subjects: [{kind: ServiceAccount, namespace: ${namespace}, name: watcher}]
`;
  const applied = await cluster.kubectlRun(['apply', '-f', '-'], manifest);
  if (applied.code !== 0) throw new Error(applied.stderr);
  const admin = await connect({ kubeconfig: cluster.kubeconfig, clock: systemClock });
  await eventually('the default service account', async () => {
    const found = await cluster.kubectlRun(['-n', namespace, 'get', 'serviceaccount', 'default']);
    return found.code === 0 ? true : undefined;
  });
  Object.assign(shared, { cluster, admin });
});

test.after.always(async () => {
  await shared.admin?.close();
  await shared.cluster?.stop();
});

test.beforeEach((t) => {
  t.context = shared as Context;
});

interface Watching {
  readonly proxy: FaultProxy;
  readonly store: Store<PodFacts>;
  readonly reflector: Reflector<PodFacts>;
  readonly failures: unknown[];
  /** `<key> <uid before>→<uid after>`, `-` for none. */
  readonly changes: string[];
  /** `undefined` until the store is the API server's truth, by key, uid and version. */
  readonly matches: () => Promise<true | undefined>;
  stop(): Promise<void>;
}

/** A reflector of the pods of the namespace, behind a proxy of its own. Ends with the test. */
async function watchPods(
  t: ExecutionContext<Context>,
  options: Partial<ReflectorOptions<PodFacts>> = {},
): Promise<Watching> {
  const { cluster, admin } = t.context;
  const proxy = await startFaultProxyOf(cluster);
  const kubeconfig = await cluster.kubeconfigForServiceAccount(namespace, 'watcher', proxy.url);
  const connection = await connect({ kubeconfig, clock: systemClock });
  const store = new Store<PodFacts>('pods');
  const failures: unknown[] = [];
  const changes: string[] = [];
  store.onChange((key, next, previous) => changes.push(`${key} ${previous?.uid ?? '-'}→${next?.uid ?? '-'}`));
  const reflector = new Reflector({
    name: 'pods',
    source: pods(connection, namespace),
    store,
    clock: systemClock,
    random: Math.random,
    onFailure: (error) => failures.push(error),
    ...options,
  });
  const over = new AbortController();
  const ended = reflector.run(over.signal);
  const stop = async (): Promise<void> => {
    over.abort();
    await ended;
    await connection.close();
    await proxy.stop();
  };
  t.teardown(stop);
  const matches = async (): Promise<true | undefined> => {
    const { items } = await listPage<{ metadata: { name: string; uid: string; resourceVersion: string } }>(
      admin,
      kinds.pods,
      { namespace },
      { signal: forever },
    );
    const truth = items.map(({ metadata: m }) => `${namespace}/${m.name} ${m.uid} ${m.resourceVersion}`);
    const known = [...store.entries()].map(([key, value]) => `${key} ${value.uid} ${value.resourceVersion}`);
    return store.synced && truth.toSorted().join() === known.toSorted().join() ? true : undefined;
  };
  await eventually('the first sync', () => (store.synced && proxy.streams === 1 ? true : undefined));
  return { proxy, store, reflector, failures, changes, matches, stop };
}

async function addPod({ admin }: Context, name: string): Promise<string> {
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'none' }],
    },
  };
  const made = await create<{ metadata: { uid: string } }>(admin, kinds.pods, { namespace }, body, { signal: forever });
  return made.metadata.uid;
}

async function removePod({ admin }: Context, name: string): Promise<void> {
  await remove(admin, kinds.pods, { namespace, name }, {}, { signal: forever });
}

const isList = ({ path, watch }: ProxiedRequest): boolean => path.includes('/pods') && !watch;
const isWatch = ({ path, watch }: ProxiedRequest): boolean => path.includes('/pods') && watch;
const lists = ({ requests }: FaultProxy): number => requests.filter(isList).length;
const status = (code: number, reason: string): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason });
const asOperatorError = (error: unknown): Partial<OperatorError> =>
  error instanceof OperatorError ? { class: error.class, reason: error.reason } : {};

test.serial(
  'a watch that is killed again and again while pods come and go: resumed each time, without a new list',
  async (t) => {
    const { proxy, matches, reflector } = await watchPods(t);
    for (let i = 0; i < 6; i += 1) {
      proxy.killStreams();
      await addPod(t.context, `kill-${i}`);
      if (i % 2 === 0) await removePod(t.context, `kill-${i}`);
      await eventually('the next watch', () => (proxy.streams === 1 ? true : undefined));
    }
    await eventually('the truth', matches);
    t.is(lists(proxy), 1);
    t.true(reflector.health().synced);
    t.is(reflector.health().failingSince, undefined);
  },
);

for (const how of ['as the answer', 'inside the stream'] as const) {
  test.serial(`410 ${how}: a new list, and what vanished or was replaced meanwhile is told by uid`, async (t) => {
    const name = how === 'as the answer' ? 'gone-a' : 'gone-b';
    const { proxy, matches, changes } = await watchPods(t);
    const old = await addPod(t.context, name);
    await addPod(t.context, `${name}-2`);
    await eventually('both pods', matches);
    changes.length = 0;
    const heal = proxy.on({ when: (r) => isWatch(r) || isList(r), fault: { type: 'Reset' } });
    proxy.killStreams();
    await removePod(t.context, name);
    await removePod(t.context, `${name}-2`);
    const fresh = await addPod(t.context, name);
    if (how === 'as the answer') {
      proxy.on({ when: isWatch, times: 1, fault: { type: 'Answer', status: 410, body: status(410, 'Expired') } });
    } else {
      const event = `${JSON.stringify({ type: 'ERROR', object: JSON.parse(status(410, 'Expired')) as unknown })}\n`;
      proxy.on({ when: isWatch, times: 1, fault: { type: 'Answer', status: 200, body: event } });
    }
    heal();
    await eventually('the truth', matches);
    t.is(lists(proxy), 2);
    t.true(changes.some((change) => change === `${namespace}/${name} ${old}→-`));
    t.true(changes.some((change) => change === `${namespace}/${name} -→${fresh}`));
    t.is(changes.filter((change) => change.startsWith(`${namespace}/${name}-2 `)).length, 1);
  });
}

test.serial('429 with Retry-After: not one call before its time', async (t) => {
  const { proxy, failures, matches } = await watchPods(t);
  const busy = {
    type: 'Answer',
    status: 429,
    headers: { 'retry-after': '2' },
    body: status(429, 'TooManyRequests'),
  } as const;
  proxy.on({ when: isWatch, times: 2, fault: busy });
  const from = proxy.requests.length;
  proxy.killStreams();
  await addPod(t.context, 'busy');
  await eventually('the truth', matches);
  const at = proxy.requests.slice(from).map((r) => r.at);
  t.is(at.length, 3);
  t.true(at[1]! - at[0]! >= 1990 && at[2]! - at[1]! >= 1990, at.join());
  t.is(lists(proxy), 1);
  t.deepEqual(failures.slice(-2).map(asOperatorError), [
    { class: 'Transient', reason: 'RateLimited' },
    { class: 'Transient', reason: 'RateLimited' },
  ]);
});

test.serial(
  'a storm of 503: few calls, knowledge is kept, the trouble is named, and the truth comes back',
  async (t) => {
    const { proxy, store, reflector, matches } = await watchPods(t);
    const heal = proxy.on({
      when: () => true,
      fault: { type: 'Answer', status: 503, body: status(503, 'ServiceUnavailable') },
    });
    const from = proxy.requests.length;
    proxy.killStreams();
    await addPod(t.context, 'storm');
    await eventually('the trouble to be named', () => reflector.health().message);
    // The calls of this time are counted.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    t.true(store.synced);
    t.true(proxy.requests.length - from <= 20, `${proxy.requests.length - from} calls in 3 s`);
    heal();
    await eventually('the truth', matches, { timeoutMs: 40_000 });
    t.is(reflector.health().failingSince, undefined);
  },
);

test.serial('a stream that stalls without a word is cut and resumed', async (t) => {
  const { proxy, matches, failures } = await watchPods(t, { idleCut: 1 * second });
  proxy.stallStreams();
  await addPod(t.context, 'stall');
  await eventually('the truth', matches);
  t.true(failures.some((error) => error instanceof Error && error.message === 'watch pods: nothing came for 1 s'));
});

for (const [name, garbage] of [
  ['a line that is no JSON', '{"type":"ADDED","object":{"kind":"Pod","meta\n'],
  ['an event of an unknown type', '{"type":"SURPRISE","object":{"metadata":{}}}\n'],
  ['bytes of something else', '<html><body>502 Bad Gateway</body></html>\n'],
] as const) {
  test.serial(`${name} in the stream: a new list, since nobody knows what was lost`, async (t) => {
    const { proxy, matches, failures } = await watchPods(t);
    proxy.writeToStreams(garbage);
    await eventually('the new list', () => (lists(proxy) === 2 ? true : undefined));
    await eventually('the truth', matches);
    t.is(failures.length, 1);
    t.false(String(failures[0]).includes('ADDED'));
  });
}

test.serial('an error event in the stream is reported and the watch resumed', async (t) => {
  const { proxy, matches, failures } = await watchPods(t);
  const event = `${JSON.stringify({ type: 'ERROR', object: JSON.parse(status(500, 'InternalError')) as unknown })}\n`;
  proxy.on({ when: isWatch, times: 1, fault: { type: 'Answer', status: 200, body: event } });
  proxy.killStreams();
  await addPod(t.context, 'error-event');
  await eventually('the truth', matches);
  t.is(lists(proxy), 1);
  t.true(failures.some((error) => asOperatorError(error).reason === 'ApiServerUnavailable'));
});

test.serial('three watches that end at once, without a 410 and without an event: a new list', async (t) => {
  const { proxy, matches } = await watchPods(t);
  proxy.on({ when: isWatch, times: 3, fault: { type: 'Answer', status: 200 } });
  proxy.killStreams();
  await addPod(t.context, 'empty');
  await eventually('the new list', () => (lists(proxy) === 2 ? true : undefined));
  await eventually('the truth', matches);
  await eventually('the next watch', () => (proxy.streams === 1 ? true : undefined));
  t.is(proxy.requests.filter(isWatch).length, 5);
});

test.serial(
  'a list that hangs or breaks off in the middle is tried again, and nothing is believed before it is whole',
  async (t) => {
    const { proxy, store, matches } = await watchPods(t, { listDeadline: 1 * second });
    await addPod(t.context, 'hang');
    await eventually('the truth', matches);
    const before = store.size;
    proxy.on({ when: isList, times: 1, fault: { type: 'Hang' } });
    proxy.on({ when: isList, times: 1, fault: { type: 'Truncate', bytes: 1000 } });
    proxy.on({ when: isWatch, times: 1, fault: { type: 'Answer', status: 410, body: status(410, 'Expired') } });
    const sizes: number[] = [];
    store.onChange(() => sizes.push(store.size));
    proxy.killStreams();
    await eventually('three more lists', () => (lists(proxy) >= 4 ? true : undefined));
    await eventually('the truth', matches);
    t.true(sizes.every((size) => size >= before));
  },
);

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test.serial(
    `a restart of the API server (${signal}): knowledge is kept, the truth comes back, and few calls were made`,
    async (t) => {
      const { store, proxy, reflector, matches } = await watchPods(t);
      const synced: boolean[] = [];
      store.onSynced((now) => synced.push(now));
      const vanished: string[] = [];
      store.onChange((key, next) => {
        if (next === undefined) vanished.push(key);
      });
      const from = proxy.requests.length;
      await t.context.cluster.restartApiServer(signal);
      await eventually('a pod after the restart', () => addPod(t.context, `restart-${signal.toLowerCase()}`));
      await eventually('the truth', matches, { timeoutMs: 40_000 });
      t.deepEqual([synced, vanished], [[], []]);
      t.true(proxy.requests.length - from < 30);
      await eventually('good health', () => (reflector.health().failingSince === undefined ? true : undefined));
    },
  );
}

test.serial('a leader that only it cannot reach the API server stops before another one starts', async (t) => {
  const { cluster } = t.context;
  const proxy = await startFaultProxyOf(cluster);
  t.teardown(() => proxy.stop());
  const times = { duration: 6 * second, renewDeadline: 4 * second, retryEvery: 300 };
  const elect = async (
    id: string,
    server?: string,
  ): Promise<{ leader: Leader; stop: AbortController; ended: Promise<unknown> }> => {
    const kubeconfig = await cluster.kubeconfigForServiceAccount(namespace, 'watcher', server);
    const connection = await connect({ kubeconfig, clock: systemClock });
    t.teardown(() => connection.close());
    const lease = leaseAccess(connection, { namespace, name: 'leader' });
    const leader = new Leader({ id, lease, clock: systemClock, random: Math.random, ...times });
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    return { leader, stop, ended: leader.run(stop.signal).catch((error: unknown) => error) };
  };
  const a = await elect('a', proxy.url);
  await a.leader.acquired();
  const b = await elect('b');
  // One answer lost on the way: the renewal took effect, and the next one builds on it.
  proxy.on({ when: (r) => r.method === 'PUT', times: 1, fault: { type: 'AnswerLost' } });
  await eventually('a renewal after the lost answer', () =>
    proxy.requests.filter((r) => r.method === 'PUT').length > 3 ? true : undefined,
  );
  t.true(a.leader.held());
  t.false(b.leader.held());
  proxy.on({ when: () => true, fault: { type: 'Hang' } });
  let both = 0;
  const watching = setInterval(() => {
    if (a.leader.held() && b.leader.held()) both += 1;
  }, 5);
  t.teardown(() => clearInterval(watching));
  await b.leader.acquired();
  t.true((await a.ended) instanceof LostLeaseError);
  t.is(both, 0);
  t.is(a.leader.epoch, 1);
  t.is(b.leader.epoch, 2);
  const released = performance.now();
  const c = await elect('c');
  b.stop.abort();
  await b.ended;
  await c.leader.acquired();
  t.true(performance.now() - released < 2 * times.duration);
  t.is(c.leader.epoch, 3);
  c.stop.abort();
  await c.ended;
});

test.serial('a list in pages is one list: synced after the last page, whole', async (t) => {
  await Promise.all(Array.from({ length: 45 }, (_, i) => addPod(t.context, `many-${i}`)));
  const { proxy, store, matches } = await watchPods(t, { pageSize: 20 });
  await eventually('the truth', matches);
  t.is(lists(proxy), Math.ceil(store.size / 20));
});
