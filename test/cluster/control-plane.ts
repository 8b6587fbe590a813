import { createServer } from 'node:net';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiClient, apiRequest } from './api-request.ts';
import type { ControlPlaneBinary } from './binaries.ts';
import { issue, writeKubeconfig } from './credentials.ts';
import { addressesOf, filesOf } from './layout.ts';
import { type StartedProcess, processesOf, signal, startProcess } from './processes.ts';
import { waitFor } from './wait.ts';

/** What is fixed when a cluster is made; with its directory everything needed to use and to restart it. */
export interface ControlPlane {
  readonly dir: string;
  readonly index: number;
  readonly binaries: Readonly<Record<ControlPlaneBinary, string>>;
  /** Whether pods run here, so that the API server must listen on more than 127.0.0.1. */
  readonly node: boolean;
  readonly audit: boolean;
  /** Flags in the form `--name=value` that are added to, or replace, our own. */
  readonly apiServerFlags: readonly string[];
  /** The same for etcd, added only. */
  readonly etcdFlags: readonly string[];
}

/** The URL under which this machine reaches the API server. */
export function serverUrl(index: number): string {
  return `https://127.0.0.1:${addressesOf(index).apiServerPort}`;
}

/** Starts etcd, API server, controller manager and scheduler; returns when pods could be created. */
export async function startControlPlane(plane: ControlPlane): Promise<ApiClient> {
  const { dir, index, binaries } = plane;
  const files = filesOf(dir);
  const start = (name: ControlPlaneBinary, flags: readonly string[]): Promise<StartedProcess> =>
    startProcess(binaries[name], flags, { dir, logFile: files.log(name) });
  const etcd = await startEtcd(plane);
  if (plane.audit) {
    const policy = {
      apiVersion: 'audit.k8s.io/v1',
      kind: 'Policy',
      rules: [{ level: 'Metadata' }],
      omitStages: ['RequestReceived'],
    };
    await writeFile(files.auditPolicy, JSON.stringify(policy));
  }
  const administrator = await issue(dir, { commonName: 'administrator', organizations: ['system:masters'] });
  await writeKubeconfig(dir, 'administrator', serverUrl(index), administrator);
  const client = {
    server: serverUrl(index),
    authority: await readFile(files.authority, 'utf8'),
    identity: administrator,
  };
  await Promise.all([startApiServer(plane, client, [etcd]), componentKubeconfigs(dir, index)]);
  const controllerManager = await start('kube-controller-manager', [
    `--kubeconfig=${files.kubeconfig('system:kube-controller-manager')}`,
    '--controllers=*',
    '--leader-elect=false',
    '--use-service-account-credentials',
    '--kube-api-qps=500', // the default makes it spend seconds on its thirty service accounts
    '--kube-api-burst=500',
    `--service-account-private-key-file=${files.serviceAccountKey}`,
    `--root-ca-file=${files.authority}`,
    `--cluster-signing-cert-file=${files.authority}`,
    `--cluster-signing-key-file=${files.authorityKey}`,
    '--secure-port=0',
  ]);
  const scheduler = await start('kube-scheduler', [
    `--kubeconfig=${files.kubeconfig('system:kube-scheduler')}`,
    '--leader-elect=false',
    '--secure-port=0',
  ]);
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  const exists = async (): Promise<boolean> => (await apiRequest(client, 'GET', account)).status === 200;
  await waitFor('the default service account', exists, [etcd, controllerManager, scheduler]);
  return client;
}

async function startEtcd({ dir, index, binaries, etcdFlags }: ControlPlane): Promise<StartedProcess> {
  const files = filesOf(dir);
  const addresses = addressesOf(index);
  const flags = [
    `--data-dir=${files.etcd}`,
    `--listen-client-urls=http://127.0.0.1:${addresses.etcdPort}`,
    `--advertise-client-urls=http://127.0.0.1:${addresses.etcdPort}`,
    `--listen-peer-urls=http://127.0.0.1:${addresses.etcdPeerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${addresses.etcdPeerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${addresses.etcdPeerPort}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
    ...etcdFlags,
  ];
  return startProcess(binaries.etcd, flags, { dir, logFile: files.log('etcd') });
}

/** Puts etcd's data aside as they are now; the function that it returns puts them back. Each stops API server and etcd and starts them again. */
export async function backUp(plane: ControlPlane, client: ApiClient): Promise<() => Promise<void>> {
  const { etcd: data } = filesOf(plane.dir);
  const copy = `${data}-backup`;
  const whileStopped = async (work: () => Promise<void>): Promise<void> => {
    await stopApiServer(plane, 'SIGTERM');
    await stopAll(plane, 'etcd', 'SIGTERM');
    await work();
    await startApiServer(plane, client, [await startEtcd(plane)]);
  };
  await whileStopped(() => cp(data, copy, { recursive: true }));
  return () =>
    whileStopped(async () => {
      await rm(data, { recursive: true });
      await cp(copy, data, { recursive: true });
    });
}

/** Starts the API server, also one that was stopped before, and returns when it is ready. */
export async function startApiServer(
  plane: ControlPlane,
  client: ApiClient,
  others: StartedProcess[] = [],
): Promise<void> {
  const server = await startProcess(plane.binaries['kube-apiserver'], apiServerFlags(plane), {
    dir: plane.dir,
    logFile: filesOf(plane.dir).log('kube-apiserver'),
  });
  const ready = async (): Promise<boolean> => (await apiRequest(client, 'GET', '/readyz')).status === 200;
  await waitFor('a ready API server', ready, [server, ...others]);
}

/** Ends the API server and returns when it has gone; nothing to do if it does not run. */
export async function stopApiServer(plane: ControlPlane, by: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await stopAll(plane, 'kube-apiserver', by);
  // A process that ends loses its memory, by which it is found, before its sockets.
  while (!(await isFree(addressesOf(plane.index).apiServerPort))) await delay(20);
}

async function stopAll({ dir }: ControlPlane, program: ControlPlaneBinary, by: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  for (let sent = false; ; sent = true) {
    const running = (await processesOf(dir)).filter(({ name }) => name === program);
    if (running.length === 0) return;
    if (!sent) for (const { pid } of running) signal(pid, by);
    await delay(20);
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
      .once('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

function apiServerFlags(plane: ControlPlane): readonly string[] {
  const files = filesOf(plane.dir);
  const addresses = addressesOf(plane.index);
  const own = [
    `--etcd-servers=http://127.0.0.1:${addresses.etcdPort}`,
    `--secure-port=${addresses.apiServerPort}`,
    `--bind-address=${plane.node ? '0.0.0.0' : '127.0.0.1'}`,
    `--advertise-address=${addresses.hostAddress}`,
    `--service-cluster-ip-range=${addresses.serviceNetwork}`,
    `--client-ca-file=${files.authority}`,
    `--tls-cert-file=${files.pki}/apiserver.crt`,
    `--tls-private-key-file=${files.pki}/apiserver.key`,
    `--kubelet-certificate-authority=${files.authority}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--kubelet-client-certificate=${files.pki}/apiserver-kubelet.crt`,
    `--kubelet-client-key=${files.pki}/apiserver-kubelet.key`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${files.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged',
    '--profiling=false',
    '--shutdown-watch-termination-grace-period=1s', // without, open watches hold a SIGTERM up for a minute
    ...(plane.audit ? [`--audit-policy-file=${files.auditPolicy}`, `--audit-log-path=${files.auditLog}`] : []),
  ];
  const nameOf = (flag: string): string | undefined => flag.split('=')[0];
  const replaced = new Set(plane.apiServerFlags.map(nameOf));
  return [...own.filter((flag) => !replaced.has(nameOf(flag))), ...plane.apiServerFlags];
}

async function componentKubeconfigs(dir: string, index: number): Promise<void> {
  for (const user of ['system:kube-controller-manager', 'system:kube-scheduler']) {
    await writeKubeconfig(dir, user, serverUrl(index), await issue(dir, { commonName: user }));
  }
}
