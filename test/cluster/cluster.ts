import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ApiClient, apiRequest } from './api-request.ts';
import { type NodeBinary, controlPlaneBinaries, ensureBinaries, nodeBinaries } from './binaries.ts';
import {
  type ControlPlane,
  backUp,
  serverUrl,
  startApiServer,
  startControlPlane,
  stopApiServer,
} from './control-plane.ts';
import { createCredentials, issue, writeKubeconfig } from './credentials.ts';
import { type DebianFiles, ensureDebianFiles } from './debian.ts';
import { claimInstance, disownInstance, findInstance, removeInstance } from './instances.ts';
import { addressesOf, filesOf, rootDirectory } from './layout.ts';
import { agentImage, importImage, startKubelet, startRuntime } from './node.ts';
import { nodeFilesOf } from './node-files.ts';
import { requireMachine } from './requirements.ts';
import { type RunResult, run } from './run.ts';
import { watchOver } from './watchdog.ts';

export interface ClusterOptions {
  /** New or empty; by default a new one below the system's temporary directory. Removed with the cluster. */
  readonly dir?: string;
  /** Also start a node, so that pods run. */
  readonly node?: boolean;
  /** The cluster outlives this process; without, it is removed when this process ends, however it ends. */
  readonly keep?: boolean;
  /** Write an audit log of all requests, without bodies. */
  readonly audit?: boolean;
  /** `--name=value`, added to the API server's flags or replacing one of ours, such as `--feature-gates=X=true`. */
  readonly apiServerFlags?: readonly string[];
  /** `--name=value`, added to etcd's flags. */
  readonly etcdFlags?: readonly string[];
  /** Told what takes long. */
  readonly log?: (line: string) => void;
}

/** A running cluster. */
export interface Cluster {
  readonly dir: string;
  /** The API server's URL for this machine. */
  readonly server: string;
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Path of kubectl. */
  readonly kubectl: string;
  /** Path of the authority's certificate. */
  readonly caFile: string;
  /** Path of the audit log (JSON lines), if it was asked for. */
  readonly audit?: string;
  readonly node?: ClusterNode;
  /** Writes a kubeconfig with a client certificate for a user and returns its path. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>;
  /**
   * Writes a kubeconfig with a token of an existing service account, valid for 24 hours, and returns its path.
   * `server` replaces the URL, for a proxy in front.
   */
  kubeconfigForServiceAccount(namespace: string, name: string, server?: string): Promise<string>;
  /** Runs kubectl as administrator; look at `code`. */
  kubectlRun(args: readonly string[], input?: string): Promise<RunResult>;
  /** Returns when the API server has gone. */
  stopApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Returns when the API server is ready. */
  startApiServer(): Promise<void>;
  restartApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Puts the whole state aside; the function that it returns brings it back. For each, API server and etcd are down for a moment. */
  backUp(): Promise<() => Promise<void>>;
  /** Where etcd listens, without TLS. */
  readonly etcd: string;
  /** Stops every process and removes the directory. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The node of a cluster that runs pods. */
export interface ClusterNode {
  readonly name: string;
  /** Path of containerd's socket; its name space is `k8s.io`. */
  readonly containerdSocket: string;
  /** The address under which pods reach this machine; its processes must listen on it, or on 0.0.0.0. */
  readonly hostAddress: string;
  /** An image that is there: busybox with all its applets. */
  readonly agentImage: string;
  /** Imports a docker archive, see `imageArchive`; there is no registry to pull from. */
  importImage(archive: string): Promise<void>;
}

/** Starts a cluster and returns when pods can be created in it. Fails with one sentence if the machine lacks something. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const log = options.log ?? (() => {});
  const node = options.node ?? false;
  await requireMachine(node);
  const binaries = await ensureBinaries(controlPlaneBinaries, log);
  const nodeTools = node ? await ensureNodeTools(log) : undefined;
  const dir = resolve(options.dir ?? join(rootDirectory(), `${process.pid}-${crypto.randomUUID().slice(0, 8)}`));
  const instance = await claimInstance(dir, log);
  const dismissWatchdog = await watchOver(instance.owner);
  try {
    const plane: ControlPlane = {
      dir,
      index: instance.index,
      binaries,
      node,
      audit: options.audit ?? false,
      apiServerFlags: options.apiServerFlags ?? [],
      etcdFlags: options.etcdFlags ?? [],
    };
    await createCredentials(dir, plane.index);
    const name = addressesOf(plane.index).link;
    // Both to their end, also if one fails: what is yet to be started then would escape the cleaning.
    const [control, runtime] = await Promise.allSettled([
      startControlPlane(plane),
      nodeTools && startRuntime({ dir, index: plane.index, name, ...nodeTools }),
    ]);
    if (control.status === 'rejected') throw control.reason;
    if (runtime.status === 'rejected') throw runtime.reason;
    const client = control.value;
    if (runtime.value) await startKubelet(runtime.value, client);
    const state: State = { plane, identity: client.identity, ...(nodeTools && { ctr: nodeTools.binaries.ctr }) };
    await writeFile(filesOf(dir).state, JSON.stringify(state), { mode: 0o600 });
    if (options.keep) {
      await disownInstance(instance);
      dismissWatchdog();
    }
    return clusterOf(state, client, dismissWatchdog);
  } catch (error) {
    await removeInstance(dir);
    dismissWatchdog();
    throw error;
  }
}

/** The cluster that another process started in `dir`. Fails if none runs there. */
export async function attachCluster(dir: string): Promise<Cluster> {
  const path = resolve(dir);
  const text = (await findInstance(path)) && (await readFile(filesOf(path).state, 'utf8'));
  const state = JSON.parse(text ?? '{}') as Partial<State>;
  if (!isComplete(state))
    throw new Error(`no cluster runs in ${path} – start one with: npm run cluster -- up --dir ${path}`);
  const authority = await readFile(filesOf(path).authority, 'utf8');
  return clusterOf(state, { server: serverUrl(state.plane.index), authority, identity: state.identity }, () => {});
}

/** What `cluster.json` holds once the cluster is ready; an empty object before. */
interface State {
  readonly plane: ControlPlane;
  readonly identity: ApiClient['identity'];
  /** Path of ctr, if there is a node. */
  readonly ctr?: string;
}

function isComplete(state: Partial<State>): state is State {
  return state.plane !== undefined && state.identity !== undefined;
}

/** What a node runs, built or fetched where it is not there yet. */
export async function ensureNodeTools(
  log: (line: string) => void,
): Promise<{ binaries: Readonly<Record<NodeBinary, string>>; debian: DebianFiles }> {
  const debian = await ensureDebianFiles(log);
  const seccomp = { include: debian.headers, lib: debian.libraries, libraries: ['seccomp'] };
  return { binaries: await ensureBinaries(nodeBinaries, log, seccomp), debian };
}

function nodeOf({ plane: { dir, index }, ctr }: State): ClusterNode | undefined {
  if (!ctr) return undefined;
  const { link, hostAddress } = addressesOf(index);
  return {
    name: link,
    containerdSocket: nodeFilesOf(dir).containerdSocket,
    hostAddress,
    agentImage,
    importImage: (archive) => importImage(dir, ctr, archive),
  };
}

function clusterOf(state: State, client: ApiClient, dismissWatchdog: () => void): Cluster {
  const { plane } = state;
  const { dir } = plane;
  const node = nodeOf(state);
  const files = filesOf(dir);
  const kubectl = plane.binaries.kubectl;
  const stop = async (): Promise<void> => {
    await removeInstance(dir);
    dismissWatchdog();
  };
  const stopServer = (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => stopApiServer(plane, signal);
  const startServer = (): Promise<void> => startApiServer(plane, client);
  return {
    dir,
    server: client.server,
    kubeconfig: files.kubeconfig('administrator'),
    kubectl,
    caFile: files.authority,
    ...(plane.audit && { audit: files.auditLog }),
    ...(node && { node }),
    kubeconfigFor: async (user, groups = []) => {
      const identity = await issue(dir, { commonName: user, organizations: groups });
      return writeKubeconfig(dir, fileName(user), client.server, identity);
    },
    kubeconfigForServiceAccount: async (namespace, name, server = client.server) => {
      const token = await serviceAccountToken(client, namespace, name);
      return writeKubeconfig(dir, fileName(`${namespace}-${name}`), server, { token }, namespace);
    },
    kubectlRun: (args, input) =>
      run(kubectl, [`--kubeconfig=${files.kubeconfig('administrator')}`, ...args], {
        // kubectl keeps what it discovers below HOME; nothing of a cluster stays elsewhere.
        env: { PATH: process.env['PATH'], HOME: dir },
        ...(input !== undefined && { input }),
      }),
    stopApiServer: stopServer,
    startApiServer: startServer,
    restartApiServer: async (signal) => {
      await stopServer(signal);
      await startServer();
    },
    backUp: () => backUp(plane, client),
    etcd: `http://127.0.0.1:${addressesOf(plane.index).etcdPort}`,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Two kubeconfigs of one user may differ (server, groups), so each gets a file of its own. */
function fileName(user: string): string {
  return `${user.replace(/[^\w.-]/g, '_').slice(0, 100)}-${crypto.randomUUID().slice(0, 8)}`;
}

async function serviceAccountToken(client: ApiClient, namespace: string, name: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 24 * 3600 },
  };
  const response = await apiRequest(client, 'POST', path, body);
  if (response.status !== 201) {
    throw new Error(`no token for service account ${namespace}/${name}: ${response.status} ${response.text}`);
  }
  return (JSON.parse(response.text) as { status: { token: string } }).status.token;
}
