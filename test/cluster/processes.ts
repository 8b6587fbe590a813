import { spawn } from 'node:child_process';
import { open, readFile, readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Every process of a cluster, and what those start in turn, carries its directory in this variable: the mark by which all are found again. */
const mark = 'CI_IDENTITY_CLUSTER';

export interface StartOptions {
  /** The cluster's directory: mark, working directory and home of the process. */
  readonly dir: string;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that was started; its end is noticed only while its starter lives. */
export interface StartedProcess {
  readonly pid: number;
  readonly name: string;
  readonly logFile: string;
  /** How it ended, or `undefined` while it runs. */
  ended(): string | undefined;
}

/** Starts a program in a session of its own, so that it outlives its starter and no Ctrl-C reaches it; output goes to `logFile`. */
export async function startProcess(
  command: string,
  args: readonly string[],
  options: StartOptions,
): Promise<StartedProcess> {
  const log = await open(options.logFile, 'a');
  try {
    const child = spawn(command, args, {
      cwd: options.dir,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      // Nothing else of ours: a proxy variable, for one, would send a kubelet's requests astray.
      env: { PATH: process.env['PATH'], HOME: options.dir, [mark]: options.dir, ...options.env },
    });
    let ended: string | undefined;
    child.once('exit', (code, signal) => (ended = signal ?? `exit code ${code}`));
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    return { pid: child.pid!, name: basename(command), logFile: options.logFile, ended: () => ended };
  } finally {
    await log.close();
  }
}

export interface RunningProcess {
  readonly pid: number;
  /** The program's file name, such as `kube-apiserver`. */
  readonly name: string;
}

/** All running processes that carry the mark of the cluster in `dir`, without this one. */
export async function processesOf(dir: string): Promise<readonly RunningProcess[]> {
  const wanted = `${mark}=${dir}`;
  const found = await Promise.all(
    (await readdir('/proc')).map(async (entry) => {
      const pid = Number(entry);
      if (!Number.isInteger(pid) || pid === process.pid) return undefined;
      const environment = await readProc(pid, 'environ'); // empty for a zombie, forbidden for another user's process
      if (!environment?.split('\0').includes(wanted)) return undefined;
      return { pid, name: basename((await readProc(pid, 'cmdline'))?.split('\0')[0] ?? '') };
    }),
  );
  return found.filter((candidate) => candidate !== undefined);
}

/** Kills all marked processes, also those that they start meanwhile, and returns when none is left. */
export async function killProcessesOf(dir: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; ; await delay(20)) {
    const running = await processesOf(dir);
    if (running.length === 0) return;
    if (Date.now() > deadline) {
      const names = running.map(({ pid, name }) => `${name} (${pid})`).join(', ');
      throw new Error(`the cluster in ${dir} could not be stopped: ${names} survive SIGKILL for 20 s`);
    }
    for (const { pid } of running) signal(pid, 'SIGKILL');
  }
}

/** Sends a signal to a process that may have ended meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A process that a number alone would not identify, because the kernel uses numbers again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The kernel's start time, in clock ticks since boot. */
  readonly startTime: string;
}

export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readProc(pid, 'stat');
  // The program's name, in parentheses, may hold spaces; state is the first field after it, start time the twentieth.
  const [state, ...rest] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  const startTime = rest[18];
  return state === undefined || state === 'Z' || startTime === undefined ? undefined : { pid, startTime };
}

export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  return (await identityOf(process.pid))?.startTime === process.startTime;
}

async function readProc(pid: number, file: string): Promise<string | undefined> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => undefined);
}
