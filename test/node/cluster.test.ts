import { existsSync, readFileSync, readdirSync } from 'node:fs';
import test from 'ava';
import { type Cluster, attachCluster, startCluster } from '#test/cluster/cluster.ts';
import { findInstance } from '#test/cluster/instances.ts';
import { addressesOf } from '#test/cluster/layout.ts';
import { controlGroupMounts, controlGroupOf } from '#test/cluster/node-traces.ts';
import { processesOf, signal } from '#test/cluster/processes.ts';
import { waitFor } from '#test/cluster/wait.ts';

/** Fixed in kubelet, containerd and its network library; not to appear outside of the node. */
const shared = ['/run/netns', '/run/containerd', '/var/lib/cni', '/var/lib/kubelet', '/var/log/pods'].filter(
  (path) => !existsSync(path),
);

async function kubectl(cluster: Cluster, args: readonly string[], input?: string): Promise<string> {
  const { stdout, stderr, code } = await cluster.kubectlRun(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function startPod(cluster: Cluster, name: string): Promise<void> {
  const script = 'trap exit TERM; while true; do sleep 0.1; done';
  const container = {
    name: 'agent',
    image: cluster.node!.agentImage,
    command: ['sh', '-c', script],
    volumeMounts: [{ name: 'token', mountPath: '/token' }],
  };
  const items = [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { token: 'one' } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { containers: [container], volumes: [{ name: 'token', secret: { secretName: name } }] },
    },
  ];
  await kubectl(cluster, ['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(cluster, ['wait', `pod/${name}`, '--for=condition=Ready', '--timeout=180s']);
}

/** What a node of instance `index` could leave on the machine. */
async function traces(index: number, dir: string): Promise<readonly string[]> {
  const mounts = await controlGroupMounts();
  return [
    ...(await processesOf(dir)).map(({ name }) => name),
    ...mounts.map((mount) => `${mount}${controlGroupOf(index)}`).filter((path) => existsSync(path)),
    ...readdirSync('/sys/class/net').filter((link) => link === addressesOf(index).link),
    ...readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dir)),
    ...[dir, ...shared].filter((path) => existsSync(path)),
  ];
}

test.serial('a pod runs, its Secret file changes, it reaches the API server and this machine, it goes', async (t) => {
  await using cluster = await startCluster({ node: true });
  const { index } = (await findInstance(cluster.dir))!;
  await startPod(cluster, 'agent');
  const read = (): Promise<string> => kubectl(cluster, ['exec', 'agent', '--', 'cat', '/token/token']);
  t.is(await read(), 'one');
  await kubectl(cluster, ['patch', 'secret', 'agent', '-p', '{"stringData":{"token":"two"}}']);
  await waitFor('the changed file', async () => (await read()) === 'two', []);

  // Plain HTTP to a TLS port: a refusal that only the API server would write, through the Service and to the machine.
  const { hostAddress, apiServerPort } = addressesOf(index);
  for (const address of ['$KUBERNETES_SERVICE_HOST:443', `${hostAddress}:${apiServerPort}`]) {
    const script = `timeout 10 wget -q -O - http://${address}/ 2>&1; true`;
    t.regex(await kubectl(cluster, ['exec', 'agent', '--', 'sh', '-c', script]), /400 Bad Request/, address);
  }
  await kubectl(cluster, ['delete', 'pod', 'agent', '--timeout=90s']);
  t.not((await cluster.kubectlRun(['get', 'pod', 'agent'])).code, 0);

  await startPod(cluster, 'still-running');
  await cluster.stop();
  t.deepEqual(await traces(index, cluster.dir), []);
});

test.serial('two nodes run side by side; what a kill -9 of one leaves goes with the next start', async (t) => {
  const [killed, other] = await Promise.all([startCluster({ node: true, keep: true }), startCluster({ node: true })]);
  try {
    const { index } = (await findInstance(killed.dir))!;
    await Promise.all([startPod(killed, 'agent'), startPod(other, 'agent')]);
    for (const { pid } of await processesOf(killed.dir)) signal(pid, 'SIGKILL');
    await waitFor('the end of the killed processes', async () => (await processesOf(killed.dir)).length === 0, []);
    t.true(existsSync(killed.dir));
    await using next = await startCluster();
    t.not(next.dir, killed.dir);
    t.deepEqual(await traces(index, killed.dir), []);
    await t.throwsAsync(attachCluster(killed.dir), { message: /^no cluster runs in / });
    t.is(await kubectl(other, ['exec', 'agent', '--', 'cat', '/token/token']), 'one', 'the other one runs on');
  } finally {
    await Promise.all([killed.stop(), other.stop()]);
  }
});
