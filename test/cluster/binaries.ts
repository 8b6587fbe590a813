import { access, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type GoBuild, type GoModule, goBuild, pinnedVersion, whyGoCannotBuild } from './go-build.ts';
import { cacheDirectory } from './layout.ts';
import { withLock } from './lock.ts';

const kubernetes = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'] as const;
const kubernetesNode = ['kubelet', 'kube-proxy'] as const;
const containerd = ['containerd', 'containerd-shim-runc-v2', 'ctr'] as const;
const cni = { ptp: 'main/ptp', loopback: 'main/loopback', 'host-local': 'ipam/host-local' } as const;

export type ControlPlaneBinary = 'etcd' | (typeof kubernetes)[number];
export type NodeBinary = (typeof kubernetesNode)[number] | (typeof containerd)[number] | keyof typeof cni | 'runc';
/** No cluster needs the last. */
export type Binary = ControlPlaneBinary | NodeBinary | 'hydra';

export const controlPlaneBinaries: readonly ControlPlaneBinary[] = ['etcd', ...kubernetes];
export const nodeBinaries: readonly NodeBinary[] = [
  ...kubernetesNode,
  ...containerd,
  'runc',
  ...(Object.keys(cni) as (keyof typeof cni)[]),
];

/** Those of the named programs that have yet to be built. */
export async function missingBinaries<N extends Binary>(names: readonly N[]): Promise<readonly N[]> {
  const found = await Promise.all(names.map(findBinary));
  return names.filter((_, index) => found[index] === undefined);
}

/** Says in one sentence why a binary that is not there yet cannot be built here, or returns `undefined`. */
export async function whyBinariesAreMissing(names: readonly Binary[]): Promise<string | undefined> {
  const missing = await missingBinaries(names);
  if (missing.length === 0) return undefined;
  const reason = await whyGoCannotBuild('kubernetes');
  if (!reason) return undefined;
  return (
    `${missing.join(', ')} cannot be built because ${reason} – install Go 1.26 or newer, ` +
    `or put the programs into a directory and name it in KUBEBUILDER_ASSETS`
  );
}

/**
 * The paths of the named programs: from `$KUBEBUILDER_ASSETS`, else from the cache, else built from Go modules into the cache.
 * Several callers at once build each program once. `seccomp` says where runc finds libseccomp.
 */
export async function ensureBinaries<N extends Binary>(
  names: readonly N[],
  log: (line: string) => void,
  seccomp?: GoBuild['cgo'],
): Promise<Readonly<Record<N, string>>> {
  if ((await missingBinaries(names)).length > 0) {
    const building = async (): Promise<void> => {
      const missing = await missingBinaries(names);
      if (missing.length > 0)
        log(
          `building into ${cacheDirectory()}, once; ${names.some((name) => name === 'hydra') ? 'ten minutes or more' : 'everything takes about six minutes'}`,
        );
      for (const [index, name] of missing.entries())
        await build(name, `${index + 1} of ${missing.length}`, log, seccomp);
    };
    await withLock('build', building, () => log('another process builds programs, waiting for it'));
  }
  const found = await Promise.all(names.map(async (name) => [name, await findBinary(name)]));
  return Object.fromEntries(found) as Record<N, string>;
}

async function findBinary(name: Binary): Promise<string | undefined> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const candidates = [...(assets ? [join(assets, name)] : []), await cachedPath(name)];
  for (const path of candidates) if (await isExecutable(path)) return path;
  return undefined;
}

/** Every directory names its version, so a new pin builds anew and the old one stays usable by another work tree. */
async function cachedPath(name: Binary): Promise<string> {
  const { module, versionOf } = origin(name);
  const version = await pinnedVersion(module, versionOf);
  const label = name === 'etcd' ? 'etcd' : module;
  return join(cacheDirectory(), `${label}-${version}-${process.arch}`, name);
}

function origin(name: Binary): { module: GoModule; package: string; versionOf: string } {
  if (name === 'etcd') {
    return { module: 'kubernetes', package: 'go.etcd.io/etcd/server/v3', versionOf: 'go.etcd.io/etcd/server/v3' };
  }
  if (name === 'runc') {
    return { module: 'runc', package: 'github.com/opencontainers/runc', versionOf: 'github.com/opencontainers/runc' };
  }
  if (name === 'hydra') {
    const hydra = 'github.com/ory/hydra/v2';
    return { module: 'hydra', package: hydra, versionOf: hydra };
  }
  if (name in cni) {
    const plugins = 'github.com/containernetworking/plugins';
    return { module: 'cni', package: `${plugins}/plugins/${cni[name as keyof typeof cni]}`, versionOf: plugins };
  }
  if ((containerd as readonly string[]).includes(name)) {
    const v2 = 'github.com/containerd/containerd/v2';
    return { module: 'containerd', package: `${v2}/cmd/${name}`, versionOf: v2 };
  }
  return { module: 'kubernetes', package: `k8s.io/kubernetes/cmd/${name}`, versionOf: 'k8s.io/kubernetes' };
}

async function build(
  name: Binary,
  position: string,
  log: (line: string) => void,
  seccomp?: GoBuild['cgo'],
): Promise<void> {
  const { module, package: path, versionOf } = origin(name);
  const version = await pinnedVersion(module, versionOf);
  const target = await cachedPath(name);
  await mkdir(dirname(target), { recursive: true });
  await removeUnfinished(dirname(target));
  log(`${name} ${version}: building (${position}) …`);
  const begin = Date.now();
  const partial = `${target}.partial-${process.pid}`;
  await goBuild({
    module,
    package: path,
    output: partial,
    ldflags: linkerFlags(name, version),
    // Without seccomp every sandbox dies: containerd's profile is refused by a runc that cannot apply it.
    ...(name === 'runc' && { tags: 'seccomp netgo osusergo', ...(seccomp && { cgo: seccomp }) }),
    // As its own Makefile builds it; the C code of SQLite is in its module.
    ...(name === 'hydra' && { tags: 'sqlite,sqlite_omit_load_extension', cgo: 'Own' as const }),
  });
  await rename(partial, target);
  log(`${name} ${version}: done in ${Math.round((Date.now() - begin) / 1000)} s`);
}

function linkerFlags(name: Binary, version: string): string {
  if (name === 'runc') return `-s -w -X main.version=${version.slice(1)} -extldflags -static`;
  if (origin(name).versionOf !== 'k8s.io/kubernetes') return '-s -w';
  const [major, minor] = version.slice(1).split('.');
  const variable = 'k8s.io/component-base/version';
  // Without these the API server calls itself v0.0.0.
  return `-s -w -X ${variable}.gitVersion=${version} -X ${variable}.gitMajor=${major} -X ${variable}.gitMinor=${minor}`;
}

/** What a killed build left; the caller holds the lock, so nobody else is writing here. */
async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.includes('.partial-')) await rm(join(directory, name), { force: true });
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
