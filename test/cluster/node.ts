import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ApiClient, apiRequest } from './api-request.ts';
import { busyboxEntries, imageArchive } from './image-archive.ts';
import { addressesOf, filesOf } from './layout.ts';
import { type NodeParts, nodeFilesOf, sandboxImage, writeNodeFiles } from './node-files.ts';
import { controlGroupMounts, controlGroupOf } from './node-traces.ts';
import { type StartedProcess, startProcess } from './processes.ts';
import { runOrFail } from './run.ts';
import { waitFor } from './wait.ts';

/** Busybox with all its applets, for containers of tests: no registry is there to pull from. */
export const agentImage = 'ci-identity.dev/agent:test';

/**
 * Process 1 of the node. The node has its own network, mounts and process numbers, so that several run side by side and the
 * kernel removes all of it with this one process. Some paths are fixed in kubelet, containerd and its network library: the
 * node sees those directories with what they hold, but what it makes there stays its own, and what others made there it
 * does not see. The shell's last loop reaps what containerd's shims leave.
 */
const init = `set -e
cover="$1/cover"
mkdir "$cover"
for directory in /run /var/lib /var/log; do
  mount -t tmpfs tmpfs "$cover"
  for entry in "$directory"/*/; do
    name=$(basename "$entry")
    case "$name" in cni | containerd | containers | kubelet | netns | nri | pods) continue ;; esac
    [ -d "$entry" ] && [ ! -L "$directory/$name" ] || continue
    mkdir "$cover/$name"
    mount --rbind "$directory/$name" "$cover/$name"
  done
  mount --move "$cover" "$directory"
done
mount --make-rshared /
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$1/initialized"
while sleep 3600; do :; done`;

/** Starts the node's namespaces, network and containerd with our images; needs no API server yet. */
export async function startRuntime(parts: NodeParts): Promise<NodeRuntime> {
  const { dir, index, binaries, debian } = parts;
  const files = nodeFilesOf(dir);
  await mkdir(filesOf(dir).node, { recursive: true });
  for (const mount of await controlGroupMounts()) {
    await mkdir(join(mount, controlGroupOf(index)), { recursive: true });
  }
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation=private'];
  const namespaces = await startProcess('unshare', [...flags, '/bin/sh', '-c', init, 'init', filesOf(dir).node], {
    dir,
    logFile: filesOf(dir).log('node'),
  });
  await waitFor("the node's name spaces", async () => (await stat(files.initialized)).isFile(), [namespaces]);
  const children = await readFile(`/proc/${namespaces.pid}/task/${namespaces.pid}/children`, 'utf8');
  const enter = ['--target', children.trim(), '--net', '--mount', '--pid', '--'];
  await connect(index, children.trim(), enter);
  await writeNodeFiles(parts);
  const path = [binaries.containerd, binaries.runc].map((binary) => dirname(binary)).join(':');
  const start = (name: 'containerd' | 'kubelet' | 'kube-proxy', args: readonly string[]): Promise<StartedProcess> =>
    startProcess('nsenter', [...enter, binaries[name], ...args], {
      dir,
      logFile: filesOf(dir).log(name),
      env: { PATH: `${path}:${debian.sbin}:${process.env['PATH']}`, LD_LIBRARY_PATH: debian.libraries },
    });
  const containerd = await start('containerd', ['--config', files.containerdConfig, '--log-level', 'warn']);
  await waitFor('containerd', async () => (await stat(files.containerdSocket)).isSocket(), [namespaces, containerd]);
  await importOurImages(parts);
  return { parts, start, processes: [namespaces, containerd] };
}

/** A node whose containers could run, before the API server knows it. */
export interface NodeRuntime {
  readonly parts: NodeParts;
  readonly start: (name: 'kubelet' | 'kube-proxy', args: readonly string[]) => Promise<StartedProcess>;
  readonly processes: readonly StartedProcess[];
}

/** Starts kubelet and kube-proxy and returns when the node takes pods. */
export async function startKubelet({ parts, start, processes }: NodeRuntime, client: ApiClient): Promise<void> {
  const { dir, index, name } = parts;
  const files = nodeFilesOf(dir);
  const kubelet = await start('kubelet', [
    `--config=${files.kubeletConfig}`,
    `--kubeconfig=${filesOf(dir).kubeconfig('kubelet')}`,
    `--root-dir=${files.kubelet}`,
    `--hostname-override=${name}`,
    `--node-ip=${addressesOf(index).nodeAddress}`,
  ]);
  const proxy = await start('kube-proxy', [`--config=${files.proxyConfig}`]);
  const isReady = async (): Promise<boolean> => {
    const { status, text } = await apiRequest(client, 'GET', `/api/v1/nodes/${name}`);
    if (status !== 200) return false;
    const node = JSON.parse(text) as NodeObject;
    const conditions = node.status?.conditions ?? [];
    return (
      !node.spec.taints?.length && conditions.some(({ type, status: value }) => type === 'Ready' && value === 'True')
    );
  };
  await waitFor('a ready node', isReady, [...processes, kubelet, proxy]);
}

interface NodeObject {
  readonly spec: { readonly taints?: readonly unknown[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Imports a docker archive into the node of the cluster in `dir` and returns when the kubelet sees its images. */
export async function importImage(dir: string, ctr: string, archive: string): Promise<void> {
  const args = ['--address', nodeFilesOf(dir).containerdSocket, '--namespace', 'k8s.io', 'images'];
  await runOrFail(ctr, [...args, 'import', archive]);
  const seen = async (): Promise<boolean> => {
    const [, ...lines] = (await runOrFail(ctr, [...args, 'list'])).trim().split('\n');
    return lines.every((line) => line.includes('io.cri-containerd.image=managed')); // a moment after the import
  };
  await waitFor('the imported image', seen, []);
}

async function importOurImages({ dir, binaries, debian }: NodeParts): Promise<void> {
  const applets = (await runOrFail(debian.busybox, ['--list'])).trim().split('\n');
  const entries = busyboxEntries(
    await readFile(debian.busybox),
    applets.filter((applet) => applet !== 'busybox'),
  );
  const archive = imageArchive([
    { name: agentImage, entries, command: ['sh'] },
    { name: sandboxImage, entries, command: ['sleep', '2147483647'] },
  ]);
  await writeFile(nodeFilesOf(dir).images, archive);
  await importImage(dir, binaries.ctr, nodeFilesOf(dir).images);
}

async function connect(index: number, init: string, enter: readonly string[]): Promise<void> {
  const { link, hostAddress, nodeAddress, podNetwork } = addressesOf(index);
  await runOrFail('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', init]);
  await runOrFail('ip', ['address', 'add', `${hostAddress}/30`, 'dev', link]);
  await runOrFail('ip', ['link', 'set', link, 'up']);
  await runOrFail('ip', ['route', 'add', podNetwork, 'via', nodeAddress]);
  const inside = (...args: string[]): Promise<string> => runOrFail('nsenter', [...enter, 'ip', ...args]);
  await inside('address', 'add', `${nodeAddress}/30`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('route', 'add', 'default', 'via', hostAddress);
}
