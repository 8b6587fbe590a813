/**
 * Every way in which a pod may end, while the provider is well, away, slow or limits calls, and while the API server or the operator is away.
 * The last column is read from the provider: live tokens of the pod, which must be 0.
 *
 * By default: every way with a provider that is well, and what is quick in two more weathers. `ENDS_ALL=1` takes every way in every weather.
 */
import test, { type ExecutionContext } from 'ava';
import {
  type Pod,
  createPod,
  deliveryOf,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  sessions,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import type { Fault } from '#test/providers/oidc-provider-faults.ts';
import { eventually } from '#test/support/eventually.ts';
import { type FaultProxy, startFaultProxyOf } from '#test/support/fault-proxy.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';

let lab: Lab;
let proxy: FaultProxy;
let kubeconfig: string;
let operator: OperatorProcess;

const patchStatus = (status: object) => (pod: Pod) => {
  const place = ['-n', pod.namespace, pod.name, '--subresource=status'];
  return lab.kubectl(['patch', 'pod', ...place, '--type=merge', '-p', JSON.stringify({ status })]);
};
const deletePod =
  (...how: readonly string[]) =>
  (pod: Pod) =>
    lab.kubectl(['delete', 'pod', '-n', pod.namespace, pod.name, '--wait=false', ...how]);

/** Nodes without a kubelet: who is bound to one stays as it is until somebody else acts. */
const ghost = (pod: Pod): string => `ghost-${pod.name.split('-x7k2p')[0] ?? ''}`;

async function bindToGhost(pod: Pod): Promise<void> {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: ghost(pod) } };
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: pod.name, namespace: pod.namespace },
    target: { apiVersion: 'v1', kind: 'Node', name: ghost(pod) },
  };
  await lab.apply(JSON.stringify(node));
  const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/binding`;
  await lab.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(binding));
}

async function ownedByConfigMap(pod: Pod): Promise<void> {
  const name = `owner-of-${pod.name}`;
  await lab.kubectl(['create', 'configmap', '-n', pod.namespace, name]);
  const uid = await lab.kubectl(['get', 'configmap', '-n', pod.namespace, name, '-o', 'jsonpath={.metadata.uid}']);
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid }];
  const patch = JSON.stringify({ metadata: { ownerReferences } });
  await lab.kubectl(['patch', 'pod', '-n', pod.namespace, pod.name, '--type=merge', '-p', patch]);
}

const evict = (pod: Pod): Promise<string> =>
  lab.kubectl(
    ['create', '--raw', `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/eviction`, '-f', '-'],
    JSON.stringify({
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: pod.name, namespace: pod.namespace },
    }),
  );

interface Way {
  readonly title: string;
  readonly prepare?: (pod: Pod) => Promise<void>;
  readonly end: (pod: Pod) => Promise<unknown>;
  /** Takes place when its tokens are dead: until the object of a deleted pod is gone, its Secret may hold one. */
  readonly bury?: (pod: Pod) => Promise<unknown>;
  /** Its owner or node is collected only after most of a minute. */
  readonly late?: boolean;
  /** In a namespace of its own. */
  readonly apart?: boolean;
}

const ways: readonly Way[] = [
  { title: 'succeeded', end: patchStatus({ phase: 'Succeeded' }) },
  { title: 'failed', end: patchStatus({ phase: 'Failed' }) },
  { title: 'evicted by a kubelet', end: patchStatus({ phase: 'Failed', reason: 'Evicted' }) },
  { title: 'evicted through the API', end: evict },
  { title: 'deleted', end: deletePod() },
  {
    title: 'deleted, and nobody confirms it',
    prepare: bindToGhost,
    end: deletePod(),
    bury: deletePod('--grace-period=0', '--force'),
  },
  { title: 'force-deleted', prepare: bindToGhost, end: deletePod('--grace-period=0', '--force') },
  {
    title: 'node gone',
    late: true,
    prepare: bindToGhost,
    end: (pod) => lab.kubectl(['delete', 'node', ghost(pod), '--wait=false']),
  },
  {
    title: 'namespace deleted',
    apart: true,
    end: (pod) => lab.kubectl(['delete', 'namespace', pod.namespace, '--wait=false']),
  },
  {
    title: 'owner collected first',
    prepare: ownedByConfigMap,
    end: (pod) => lab.kubectl(['delete', 'configmap', '-n', pod.namespace, `owner-of-${pod.name}`]),
  },
];

interface Weather {
  readonly title: string;
  /** Part of the sample. */
  readonly sample?: boolean;
  readonly fault?: Fault;
  /** Seconds until the provider is well again; absent: never, the fault ends by itself or lasts. */
  readonly healsAfter?: number;
  readonly tokenLifetime?: number;
  /** Around the moment at which the pods end. */
  readonly away?: (endAll: () => Promise<void>) => Promise<void>;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const weathers: readonly Weather[] = [
  { title: 'the provider is well', sample: true },
  {
    title: 'the provider is away for a while',
    sample: true,
    fault: { endpoint: 'revocation', dropRequest: true },
    healsAfter: 4,
  },
  { title: 'the provider is slow', fault: { endpoint: 'revocation', delay: 1_500 } },
  {
    title: 'the provider limits calls',
    fault: { endpoint: 'revocation', times: 4, instead: { status: 429, headers: { 'retry-after': '1' } } },
  },
  {
    title: 'the provider never comes back: tokens end at exp',
    fault: { endpoint: 'revocation', instead: { status: 503 } },
    tokenLifetime: 45,
  },
  {
    title: 'the API server is away meanwhile',
    async away(endAll) {
      proxy.on({ when: () => true, fault: { type: 'Reset' } });
      proxy.killStreams();
      await endAll();
      await pause(3_000);
      proxy.heal();
    },
  },
  {
    title: 'the operator is away meanwhile',
    sample: true,
    async away(endAll) {
      await operator.stop('SIGKILL');
      await endAll();
      await pause(2_000);
      const free = JSON.stringify({ spec: { holderIdentity: null } });
      const lease = ['-n', 'ci-identity-system', 'lease', 'ci-identity-controller'];
      await lab.kubectl(['patch', ...lease, '--type=merge', '-p', free]);
      operator = lab.operator({ kubeconfig });
    },
  },
];

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  proxy = await startFaultProxyOf(lab.cluster);
  kubeconfig = await lab.cluster.kubeconfigForServiceAccount('ci-identity-system', 'controller', proxy.url);
  operator = lab.operator({ kubeconfig });
  await operator.ready();
  await lab.guarded();
});

test.after.always(async () => {
  await lab?.stop();
  await proxy?.stop();
});

interface Row {
  readonly way: Way;
  readonly pod: Pod;
  readonly token: string;
}

async function rowOf(way: Way, name: string, index: number): Promise<Row> {
  const namespace = way.apart === true ? name : team;
  const pod = await createPod(lab, `${name}-${index}-x7k2p-q0b4t-m1wz9`, [name], { namespace });
  const token = await tokenOf(lab, pod, name, undefined, 40_000);
  await way.prepare?.(pod);
  return { way, pod, token };
}

/** The pod's object is gone and its Secret with it, or the Secret holds no token any more. */
async function emptied(pod: Pod, name: string): Promise<boolean> {
  try {
    return (await deliveryOf(lab, pod, name)).files['token'] === undefined;
  } catch (error) {
    return (error as Error).message.includes('NotFound');
  }
}

async function endsWell(t: ExecutionContext, rows: readonly Row[], name: string): Promise<void> {
  const timeoutMs = 120_000;
  const from = Date.now();
  for (const { way, pod, token } of rows) {
    await eventually(`${way.title}: no live token`, () => (isLive(lab.provider, token) ? undefined : true), {
      timeoutMs,
    });
    await way.bury?.(pod);
    t.log(`${way.title}: 0 live tokens after ${Date.now() - from} ms`);
    await eventually(
      `${way.title}: nothing is delivered any more`,
      async () => ((await emptied(pod, name)) ? true : undefined),
      {
        timeoutMs,
      },
    );
  }
  const uids = rows.map(({ pod }) => pod.uid);
  await eventually(
    'no session record is left',
    async () => ((await sessions(lab)).some(({ pod }) => uids.includes(pod.uid)) ? undefined : true),
    { timeoutMs },
  );
  const ids = lab.provider.clients().filter((client) => client.name?.startsWith(`ci-identity ${name} `) === true);
  t.deepEqual(
    lab.provider.liveTokens().filter(({ clientId }) => ids.some((client) => client.clientId === clientId)),
    [],
    'no token of the pool lives, known or unknown',
  );
}

const isWhole = process.env['ENDS_ALL'] === '1';
const chosen = weathers.filter(({ sample }) => isWhole || sample === true);

for (const [index, { title, fault, healsAfter, tokenLifetime, away }] of chosen.entries()) {
  const all = ways.filter(({ late }) => isWhole || index === 0 || late !== true);
  test.serial(`${all.length} ways to end, ${title}: live tokens at the provider: 0`, async (t) => {
    t.timeout(240_000);
    const name = `end-${index + 1}`;
    const { settings, faults } = lab.provider;
    await lab.agentNamespace(name);
    await lab.apply(
      pool(name, lab.provider.issuer),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'], namespaces: [team, name] }),
      ...[team, name].map((namespace) => identity(name, { pool: name, roles: [name] }, namespace)),
    );
    for (const namespace of [team, name]) await identityReady(lab, name, namespace);
    settings.tokenTtl = tokenLifetime ?? 600;
    const rows: Row[] = [];
    for (const [n, way] of all.entries()) rows.push(await rowOf(way, name, n));
    if (fault !== undefined) faults.add(fault);
    const endAll = async (): Promise<void> => {
      for (const { way, pod } of rows) await way.end(pod);
    };
    await (away ?? ((end) => end()))(endAll);
    if (healsAfter !== undefined) {
      await pause(healsAfter * 1_000);
      faults.clear();
    }
    try {
      await endsWell(t, rows, name);
    } catch (error) {
      t.log(operator.log().slice(-4_000));
      throw error;
    } finally {
      settings.tokenTtl = 600;
      faults.clear();
    }
  });
}

test.serial('a namespace is not kept from leaving by a provider that cannot be reached', async (t) => {
  t.timeout(120_000);
  for (let index = 1; index <= chosen.length; index += 1)
    await eventually(
      `namespace end-${index} is gone`,
      async () => ((await lab.cluster.kubectlRun(['get', 'namespace', `end-${index}`])).code === 0 ? undefined : true),
      { timeoutMs: 60_000, everyMs: 500 },
    );
  t.pass();
});
