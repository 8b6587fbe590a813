/**
 * Every way in which a pod may end, while the provider is well, away, slow or limits calls, and while the API server or the operator is away.
 * The last column is read from the provider: live tokens of the pod, which must be 0. No pod runs here: what a kubelet would say is patched.
 * test/node/end-of-life.test.ts has those ways that need a real one.
 *
 * By default: every way with a provider that is well, all but one while it or the operator is away, and three in the other weathers.
 * `ENDS_ALL=1` (`npm run test:ends`) takes every way in every weather.
 */
import test from 'ava';
import type { Pod } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { type FaultProxy, startFaultProxyOf } from '#test/support/fault-proxy.ts';
import { stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Row,
  type Way,
  type Weather,
  begin,
  commonWays,
  endIn,
  endsWell,
  isWhole,
  liveOf,
  pause,
  providerWeathers,
  settle,
} from './ends.ts';

let lab: Lab;
let proxy: FaultProxy;
let kubeconfig: string;
let operator: OperatorProcess;

const patchStatus = (status: object) => (_: Lab, pod: Pod) => {
  const place = ['-n', pod.namespace, pod.name, '--subresource=status'];
  return lab.kubectl(['patch', 'pod', ...place, '--type=merge', '-p', JSON.stringify({ status })]);
};

/** Nodes without a kubelet: who is bound to one stays as it is until somebody else acts. */
const ghost = (pod: Pod): string => `ghost-${pod.name.split('-x7k2p')[0] ?? ''}`;

async function bindToGhost(_: Lab, pod: Pod): Promise<void> {
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

const ways: readonly Way[] = [
  { title: 'succeeded', quick: true, end: patchStatus({ phase: 'Succeeded' }) },
  { title: 'failed', end: patchStatus({ phase: 'Failed' }) },
  { title: 'evicted by a kubelet', end: patchStatus({ phase: 'Failed', reason: 'Evicted' }) },
  commonWays.evicted,
  commonWays.deleted,
  { ...commonWays.unconfirmed, prepare: bindToGhost },
  { ...commonWays.forced, prepare: bindToGhost },
  {
    title: 'node gone',
    late: true,
    prepare: bindToGhost,
    end: (_, pod) => lab.kubectl(['delete', 'node', ghost(pod), '--wait=false']),
  },
  commonWays.namespace,
  commonWays.owner,
];

const weathers: readonly Weather[] = [
  ...providerWeathers,
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

stopAfterwards(() => [lab, proxy]);

const nameOf = (weather: Weather): string => `end-${weathers.indexOf(weather) + 1}`;

function waysIn(weather: Weather): readonly Way[] {
  if (isWhole || weather === weathers[0]) return ways;
  return ways.filter(({ late, quick }) => (weather.sample === true ? late !== true : quick === true));
}

for (const weather of weathers) {
  const all = waysIn(weather);
  test.serial(`${all.length} ways to end, ${weather.title}: live tokens at the provider: 0`, async (t) => {
    t.timeout(720_000);
    const name = nameOf(weather);
    const { settings, faults } = lab.provider;
    await settle(lab, name);
    settings.tokenTtl = weather.tokenLifetime ?? 600;
    const rows: Row[] = [];
    for (const [n, way] of all.entries()) rows.push(await begin(lab, way, name, n));
    await endIn(weather, lab, rows);
    try {
      await endsWell(t, lab, rows, name);
      t.deepEqual(liveOf(lab, name), [], 'no token of the pool lives, known or unknown');
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
  t.timeout(360_000);
  for (const name of weathers.filter((weather) => waysIn(weather).some(({ apart }) => apart === true)).map(nameOf))
    await t.notThrowsAsync(
      eventually(
        `namespace ${name} is gone`,
        async () => ((await lab.cluster.kubectlRun(['get', 'namespace', name])).code === 0 ? undefined : true),
        { timeoutMs: 60_000, everyMs: 500 },
      ),
    );
});
