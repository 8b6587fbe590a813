import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { addressesOf, filesOf, maximumInstances } from './layout.ts';
import { withLock } from './lock.ts';
import { removeNodeTraces } from './node-traces.ts';
import { type ProcessIdentity, identityOf, isAlive, killProcessesOf, processesOf } from './processes.ts';

/** An entry of the register: who uses which number, so that any process can find and clean what another one left. */
export interface Instance {
  readonly index: number;
  readonly dir: string;
  /** The process that the cluster must not outlive; absent for a cluster that runs on its own. */
  readonly owner?: ProcessIdentity;
}

/**
 * Registers a cluster in `dir`, owned by this process, after cleaning what dead owners left. Creates the directory.
 * Fails if `dir` holds something else or a running cluster.
 */
export async function claimInstance(dir: string, log: (line: string) => void): Promise<OwnedInstance> {
  const owner = await identityOf(process.pid);
  if (!owner) throw new Error('this process is not found in /proc – mount it');
  return underLock(async () => {
    await cleanAbandoned(log);
    const instances = await registered();
    if (instances.some((instance) => instance.dir === dir)) {
      throw new Error(`a cluster runs in ${dir} already – stop it, or choose another directory`);
    }
    await requireOurs(dir);
    await killProcessesOf(dir); // a register that was removed does not know what it left
    await rm(dir, { recursive: true, force: true });
    const index = await freeIndex(instances);
    const instance = { index, dir, owner };
    await writeEntry(instance); // before the directory: what is registered gets cleaned
    await mkdir(filesOf(dir).logs, { recursive: true });
    await writeFile(filesOf(dir).state, '{}');
    return instance;
  });
}

/** An instance that lives no longer than a process. */
export type OwnedInstance = Instance & Required<Pick<Instance, 'owner'>>;

/** Lets a cluster outlive this process. */
export async function disownInstance(instance: Instance): Promise<void> {
  const { index, dir } = instance;
  await underLock(() => writeEntry({ index, dir }));
}

/** Stops and removes everything that belongs to the cluster in `dir`; nothing to do if it has gone. */
export async function removeInstance(dir: string): Promise<void> {
  await underLock(async () => {
    const instance = (await registered()).find((candidate) => candidate.dir === dir);
    if (instance) await clean(instance);
  });
}

/** Removes the clusters whose owner has gone, and those without an owner whose last process has. */
export async function removeAbandoned(log: (line: string) => void): Promise<void> {
  await underLock(() => cleanAbandoned(log));
}

/** The entry of the cluster in `dir`. */
export async function findInstance(dir: string): Promise<Instance | undefined> {
  return underLock(async () => (await registered()).find((instance) => instance.dir === dir));
}

async function underLock<T>(work: () => Promise<T>): Promise<T> {
  return withLock(`instances:${registerDirectory}`, work);
}

/** Not in `$TMPDIR`: ports, links and control groups are the machine's, so all work trees and shells share one register. */
const registerDirectory = `/tmp/ci-identity-cluster-${userInfo().uid}/instances`;

function entryFile(index: number): string {
  return join(registerDirectory, `${index}.json`);
}

async function writeEntry(instance: Instance): Promise<void> {
  const temporary = join(registerDirectory, 'entry.tmp'); // one is enough, the caller holds the lock
  await writeFile(temporary, JSON.stringify(instance));
  await rename(temporary, entryFile(instance.index));
}

async function registered(): Promise<readonly Instance[]> {
  await mkdir(registerDirectory, { recursive: true });
  const names = (await readdir(registerDirectory)).filter((name) => name.endsWith('.json'));
  const texts = await Promise.all(names.map((name) => readFile(join(registerDirectory, name), 'utf8')));
  return texts.map((text) => JSON.parse(text) as Instance);
}

async function cleanAbandoned(log: (line: string) => void): Promise<void> {
  for (const instance of await registered()) {
    const { dir, owner } = instance;
    const abandoned = owner ? !(await isAlive(owner)) : (await processesOf(dir)).length === 0;
    if (!abandoned) continue;
    // What cannot be cleaned keeps its number and must not keep others from starting.
    await clean(instance).catch((error: unknown) => log(`${dir}, left by another process, stays: ${String(error)}`));
  }
}

async function clean({ index, dir }: Instance): Promise<void> {
  await killProcessesOf(dir);
  await removeNodeTraces(index);
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  await rm(entryFile(index));
}

/** Guards a directory that somebody named by mistake from being used, and later removed, as ours. */
async function requireOurs(dir: string): Promise<void> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length > 0 && !names.includes('cluster.json')) {
    throw new Error(`${dir} holds files that are not a cluster's – name a new or an empty directory`);
  }
}

async function freeIndex(instances: readonly Instance[]): Promise<number> {
  for (let index = 0; index < maximumInstances; index++) {
    if (instances.some((instance) => instance.index === index)) continue;
    const { etcdPort, etcdPeerPort, apiServerPort } = addressesOf(index);
    if ((await isFree(etcdPort)) && (await isFree(etcdPeerPort)) && (await isFree(apiServerPort))) return index;
  }
  throw new Error(`${maximumInstances} clusters run on this machine – stop some`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}
