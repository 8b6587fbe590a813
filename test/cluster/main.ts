import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { controlPlaneBinaries, ensureBinaries } from './binaries.ts';
import { attachCluster, ensureNodeTools, startCluster } from './cluster.ts';
import { findInstance, removeInstance } from './instances.ts';
import { defaultDirectory, filesOf, shortHash } from './layout.ts';
import { withLock } from './lock.ts';
import { processesOf } from './processes.ts';
import { nodeObstacle, requireMachine } from './requirements.ts';

const help = `A Kubernetes cluster of one's own: etcd, API server, controller manager, scheduler and, with --node, a node that runs pods.

  npm run cluster -- build                   builds what is not there yet, for a node too where this machine can run one
  npm run cluster -- up [--node] [--dir D]   starts it, or does nothing if it runs; prints: export KUBECONFIG=…
  npm run cluster -- down [--dir D]          stops it and removes D
  npm run cluster -- status [--dir D]        says what runs; exit code 1 if nothing does

  --dir D   a directory that is new or empty (default ${defaultDirectory()})
  --node    containerd, kubelet and kube-proxy too: needs root
`;

const log = (line: string): void => console.error(line);

/** Once per machine, several minutes; tests then find everything ready. */
async function build(): Promise<void> {
  await requireMachine(false);
  await ensureBinaries(controlPlaneBinaries, log);
  const obstacle = await nodeObstacle();
  if (obstacle !== undefined) return log(`no node here: ${obstacle}`);
  await ensureNodeTools(log);
}

async function up(dir: string, node: boolean): Promise<void> {
  await withLock(
    `up:${shortHash(dir)}`,
    async () => {
      if (!(await isRunning(dir, node))) {
        await removeInstance(dir); // what a killed one left
        const begin = Date.now();
        await startCluster({ dir, node, keep: true, log });
        log(`the cluster in ${dir} is ready after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
      }
    },
    () => log(`another process works on the cluster in ${dir}, waiting for it`),
  );
  process.stdout.write(`export KUBECONFIG=${quoted(filesOf(dir).kubeconfig('administrator'))}\n`);
}

/** One word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

async function isRunning(dir: string, node: boolean): Promise<boolean> {
  if ((await processesOf(dir)).length === 0) return false;
  const cluster = await attachCluster(dir).catch(() => undefined);
  if (!cluster) return false;
  if (node && !cluster.node) {
    throw new Error(`the cluster in ${dir} runs without a node – stop it first: npm run cluster -- down --dir ${dir}`);
  }
  return (await missingProcesses(dir, cluster.node !== undefined)).length === 0;
}

async function down(dir: string): Promise<void> {
  await withLock(`up:${shortHash(dir)}`, async () => {
    const existed = await findInstance(dir);
    await removeInstance(dir);
    log(existed ? `the cluster in ${dir} is stopped and removed` : `no cluster in ${dir}`);
  });
}

async function status(dir: string): Promise<void> {
  const cluster = await attachCluster(dir).catch(() => undefined);
  if (!cluster) {
    log(`no cluster in ${dir}`);
    process.exitCode = 1;
    return;
  }
  log(`cluster in ${dir}, API server at ${cluster.server}`);
  for (const { name, pid } of await processesOf(dir)) log(`  ${name} (${pid})`);
  const missing = await missingProcesses(dir, cluster.node !== undefined);
  if (missing.length > 0) {
    log(`not running: ${missing.join(', ')} – start the cluster anew with: npm run cluster -- up`);
    process.exitCode = 1;
  } else {
    log((await cluster.kubectlRun(['get', '--raw', '/readyz'])).stdout === 'ok' ? 'ready' : 'not ready');
  }
}

async function missingProcesses(dir: string, node: boolean): Promise<readonly string[]> {
  const names = new Set((await processesOf(dir)).map(({ name }) => name));
  const expected = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
  if (node) expected.push('containerd', 'kubelet', 'kube-proxy');
  return expected.filter((name) => !names.has(name));
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { dir: { type: 'string' }, node: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  const dir = resolve(values.dir ?? defaultDirectory());
  const [command, ...rest] = positionals;
  if (values.help || rest.length > 0) process.stderr.write(help);
  else if (command === 'build') return build();
  else if (command === 'up') return up(dir, values.node ?? false);
  else if (command === 'down') return down(dir);
  else if (command === 'status') return status(dir);
  else process.stderr.write(help);
  if (!values.help) process.exitCode = 2;
}

try {
  await main();
} catch (error) {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
