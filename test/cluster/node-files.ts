import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import type { NodeBinary } from './binaries.ts';
import { issue, issueToFile, writeKubeconfig } from './credentials.ts';
import type { DebianFiles } from './debian.ts';
import { addressesOf, filesOf } from './layout.ts';
import { controlGroupOf } from './node-traces.ts';

/** The image that a pod sandbox runs. */
export const sandboxImage = 'ci-identity.dev/sandbox:test';

/** What a node is made of. */
export interface NodeParts {
  readonly dir: string;
  readonly index: number;
  readonly name: string;
  readonly binaries: Readonly<Record<NodeBinary, string>>;
  readonly debian: DebianFiles;
}

/** The files of the node of the cluster in `dir`. */
export function nodeFilesOf(dir: string) {
  const { node } = filesOf(dir);
  return {
    initialized: join(node, 'initialized'),
    images: join(node, 'images.tar'),
    containerdSocket: join(node, 'containerd.sock'),
    containerdConfig: join(node, 'containerd.toml'),
    networkConfig: join(node, 'net.d', '10-ptp.conflist'),
    kubeletConfig: join(node, 'kubelet.yaml'),
    kubelet: join(node, 'kubelet'),
    proxyConfig: join(node, 'kube-proxy.yaml'),
  } as const;
}

/** Writes the configuration of containerd, its network plugins, kubelet and kube-proxy, and their credentials. */
export async function writeNodeFiles(parts: NodeParts): Promise<void> {
  const { dir, index, name } = parts;
  const files = nodeFilesOf(dir);
  const addresses = addressesOf(index);
  await mkdir(dirname(files.networkConfig), { recursive: true });
  await writeFile(files.containerdConfig, containerdConfig(parts));
  await writeFile(files.networkConfig, networkConfig(parts));
  await writeFile(join(filesOf(dir).node, 'resolv.conf'), '');
  await writeFile(files.kubeletConfig, stringify(kubeletConfig(parts)));
  await writeFile(files.proxyConfig, stringify(proxyConfig(parts)));
  const server = `https://${addresses.hostAddress}:${addresses.apiServerPort}`;
  const user = `system:node:${name}`;
  await writeKubeconfig(
    dir,
    'kubelet',
    server,
    await issue(dir, { commonName: user, organizations: ['system:nodes'] }),
  );
  await writeKubeconfig(dir, 'kube-proxy', server, await issue(dir, { commonName: 'system:kube-proxy' }));
  await issueToFile(dir, 'kubelet', { commonName: user, serverNames: [name, addresses.nodeAddress] });
}

function containerdConfig({ dir, binaries }: NodeParts): string {
  const { node } = filesOf(dir);
  const files = nodeFilesOf(dir);
  const text = (value: string): string => JSON.stringify(value);
  return `version = 3
root = ${text(join(node, 'containerd'))}
state = ${text(join(node, 'containerd-state'))}
# What would write outside of this directory, or needs a file system that is not here.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = ${text(files.containerdSocket)}

[plugins.'io.containerd.cri.v1.images']
pinned_images.sandbox = ${text(sandboxImage)}

[plugins.'io.containerd.cri.v1.runtime']
# A root without CAP_SYS_RESOURCE (a container, a build machine) may not lower the score, and every sandbox would die.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
cni.bin_dirs = [${text(dirname(binaries.ptp))}]
cni.conf_dir = ${text(dirname(files.networkConfig))}

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
options.BinaryName = ${text(binaries.runc)}
`;
}

function networkConfig({ dir, index }: NodeParts): string {
  const { podNetwork, link } = addressesOf(index);
  const ipam = {
    type: 'host-local',
    dataDir: join(filesOf(dir).node, 'pod-addresses'),
    ranges: [[{ subnet: podNetwork }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return JSON.stringify({ cniVersion: '1.0.0', name: link, plugins: [{ type: 'ptp', ipam }] });
}

function kubeletConfig({ dir, index }: NodeParts): object {
  const { node, pki, authority } = filesOf(dir);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: `unix://${nodeFilesOf(dir).containerdSocket}`,
    address: addressesOf(index).nodeAddress,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: authority } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(pki, 'kubelet.crt'),
    tlsPrivateKeyFile: join(pki, 'kubelet.key'),
    syncFrequency: '2s', // the longest that a changed Secret waits for its file; a minute by default
    cgroupDriver: 'cgroupfs',
    cgroupRoot: controlGroupOf(index),
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    makeIPTablesUtilChains: false,
    maxPods: 250,
    podLogsDir: join(node, 'pod-logs'),
    resolvConf: join(node, 'resolv.conf'),
    // Neither a full disk of the machine nor time removes what no registry could bring back.
    evictionHard: { 'imagefs.available': '0%', 'nodefs.available': '0%', 'nodefs.inodesFree': '0%' },
    imageGCHighThresholdPercent: 100,
  };
}

function proxyConfig({ dir, index, name }: NodeParts): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: filesOf(dir).kubeconfig('kube-proxy') },
    clusterCIDR: addressesOf(index).podNetwork,
    hostnameOverride: name,
    conntrack: { maxPerCore: 0 },
  };
}
