/** Ways in which a pod may end and weathers in which that happens, for the tests with and without a node: both ask the provider what lives. */
import type { ExecutionContext } from 'ava';
import {
  type Pod,
  createPod,
  deliveryOf,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
} from '#test/api/operator-lab.ts';
import { sessions, team, tokenOf } from '#test/api/operator-lab.ts';
import type { Fault } from '#test/providers/oidc-provider-faults.ts';
import { eventually } from '#test/support/eventually.ts';
import type { AgentPodOptions } from '#test/support/jenkins-pod.ts';
import type { Lab } from '#test/support/lab.ts';

export interface Way {
  readonly title: string;
  /** Of the pod. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** When the pod has its token. */
  readonly prepare?: (lab: Lab, pod: Pod) => Promise<unknown>;
  readonly end: (lab: Lab, pod: Pod) => Promise<unknown>;
  /** When its tokens are dead: until the object of a deleted pod is gone, its Secret may hold one. */
  readonly bury?: (lab: Lab, pod: Pod) => Promise<unknown>;
  /** Its owner or node is collected only after most of a minute. */
  readonly late?: boolean;
  /** In the sample also where the weather is not. */
  readonly quick?: boolean;
  /** In a namespace of its own. */
  readonly apart?: boolean;
}

export const deletePod =
  (...how: readonly string[]) =>
  (lab: Lab, pod: Pod): Promise<string> =>
    lab.kubectl(['delete', 'pod', '-n', pod.namespace, pod.name, '--wait=false', ...how]);

const force = deletePod('--grace-period=0', '--force');

async function ownedByConfigMap(lab: Lab, pod: Pod): Promise<void> {
  const name = `owner-of-${pod.name}`;
  await lab.kubectl(['create', 'configmap', '-n', pod.namespace, name]);
  const uid = await lab.kubectl(['get', 'configmap', '-n', pod.namespace, name, '-o', 'jsonpath={.metadata.uid}']);
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid }];
  const patch = JSON.stringify({ metadata: { ownerReferences } });
  await lab.kubectl(['patch', 'pod', '-n', pod.namespace, pod.name, '--type=merge', '-p', patch]);
}

/** Ways that are the same with and without a node; without one there is nobody for whom the API server would wait. */
export const commonWays = {
  evicted: {
    title: 'evicted through the API',
    end(lab, { name, namespace }) {
      const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
      return lab.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(body));
    },
  },
  deleted: { title: 'deleted', quick: true, end: deletePod() },
  unconfirmed: { title: 'deleted, and nobody confirms it', end: deletePod(), bury: force },
  forced: { title: 'force-deleted', quick: true, end: force },
  namespace: {
    title: 'namespace deleted',
    apart: true,
    end: (lab, pod) => lab.kubectl(['delete', 'namespace', pod.namespace, '--wait=false']),
  },
  owner: {
    title: 'owner collected first',
    prepare: ownedByConfigMap,
    end: (lab, pod) => lab.kubectl(['delete', 'configmap', '-n', pod.namespace, `owner-of-${pod.name}`]),
  },
} as const satisfies Readonly<Record<string, Way>>;

export interface Weather {
  readonly title: string;
  /** Part of the sample with every way that is not late; the others only with what is quick, and without a node. */
  readonly sample?: boolean;
  readonly fault?: Fault;
  /** Seconds until the provider is well again; absent: never, the fault ends by itself or lasts. */
  readonly healsAfter?: number;
  /** Seconds that tokens live. */
  readonly tokenLifetime?: number;
  /** Around the moment at which the pods end. */
  readonly away?: (endAll: () => Promise<void>) => Promise<void>;
}

export const providerWeathers: readonly Weather[] = [
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
];

export const isWhole = process.env['ENDS_ALL'] === '1';

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Pool, policy and identity of that name for the pods of a weather, and a namespace of that name for those that want one of their own. */
export async function settle(lab: Lab, name: string): Promise<void> {
  await lab.agentNamespace(name);
  await lab.apply(
    pool(name, lab.provider.issuer),
    policy(name, { role: name, pool: name, scopes: ['artifacts:publish'], namespaces: [team, name] }),
    ...[team, name].map((namespace) => identity(name, { pool: name, roles: [name] }, namespace)),
  );
  for (const namespace of [team, name]) await identityReady(lab, name, namespace);
  // The token that proved the client is revoked when nothing else is to be done, and nobody would know it from one that was lost.
  await eventually('no token of a proof is alive', () => (liveOf(lab, name).length === 0 ? true : undefined), {
    timeoutMs: 60_000,
  });
}

export interface Row {
  readonly way: Way;
  readonly pod: Pod;
  readonly token: string;
}

/** A pod with its token. */
export async function begin(lab: Lab, way: Way, name: string, index: number): Promise<Row> {
  const options: AgentPodOptions = {
    ...(way.apart === true ? { namespace: name } : {}),
    ...(way.spec === undefined ? {} : { spec: way.spec }),
  };
  const pod = await createPod(lab, `${name}-${index}-x7k2p-q0b4t-m1wz9`, [name], options);
  const token = await tokenOf(lab, pod, name, undefined, 40_000);
  await way.prepare?.(lab, pod);
  return { way, pod, token };
}

/** Ends the pods in this weather; the provider is well again afterwards, if it ever is. */
export async function endIn({ fault, healsAfter, away }: Weather, lab: Lab, rows: readonly Row[]): Promise<void> {
  const { faults } = lab.provider;
  if (fault !== undefined) faults.add(fault);
  const endAll = async (): Promise<void> => {
    for (const { way, pod } of rows) await way.end(lab, pod);
  };
  await (away ?? ((end) => end()))(endAll);
  if (healsAfter === undefined) return;
  await pause(healsAfter * 1_000);
  faults.clear();
}

/** The pod's object is gone and its Secret with it, or the Secret holds no token any more. */
async function emptied(lab: Lab, pod: Pod, name: string): Promise<boolean> {
  try {
    return (await deliveryOf(lab, pod, name)).files['token'] === undefined;
  } catch (error) {
    return (error as Error).message.includes('NotFound');
  }
}

/** Resolves when nothing of the rows is left: no token at the provider, none in a Secret, no session record. */
export async function endsWell(t: ExecutionContext, lab: Lab, rows: readonly Row[], name: string): Promise<void> {
  const timeoutMs = 120_000;
  const from = Date.now();
  const dies = async ({ way, token }: Row): Promise<void> => {
    await eventually(`${way.title}: no live token`, () => (isLive(lab.provider, token) ? undefined : true), {
      timeoutMs,
    });
    t.log(`${way.title}: 0 live tokens after ${Date.now() - from} ms`);
  };
  await Promise.all(rows.map(dies));
  for (const { way, pod } of rows) {
    await way.bury?.(lab, pod);
    await eventually(
      `${way.title}: nothing is delivered any more`,
      async () => ((await emptied(lab, pod, name)) ? true : undefined),
      { timeoutMs },
    );
  }
  const uids = rows.map(({ pod }) => pod.uid);
  await eventually(
    'no session record is left',
    async () => ((await sessions(lab)).some(({ pod }) => uids.includes(pod.uid)) ? undefined : true),
    { timeoutMs },
  );
}

/** Every token of the pool that the provider honours, known to us or not. */
export function liveOf(lab: Lab, name: string): readonly string[] {
  const ids = lab.provider.clients().filter((client) => client.name?.startsWith(`ci-identity ${name} `) === true);
  return lab.provider
    .liveTokens()
    .filter(({ clientId }) => ids.some((client) => client.clientId === clientId))
    .map(({ sha256 }) => sha256);
}
