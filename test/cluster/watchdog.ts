import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeAbandoned } from './instances.ts';
import { type ProcessIdentity, isAlive } from './processes.ts';

/**
 * Has the clusters of this process removed as soon as it ends, however it ends, until the returned function is called.
 * A shell (1 MB) waits for the end of a pipe that only this process holds open; Node starts only to clean.
 */
export async function watchOver(owner: ProcessIdentity): Promise<() => void> {
  const program = join(import.meta.dirname, 'watchdog.ts');
  const script = 'read line && exit; exec "$@"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, program, JSON.stringify(owner)], {
    cwd: '/', // none of the directories that are about to go
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(child, 'spawn');
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref(); // typed as a stream, is a socket
  child.stdin.on('error', () => {}); // somebody ended the shell
  return () => child.stdin.end('done\n');
}

if (import.meta.main) {
  const owner = JSON.parse(process.argv[2]!) as ProcessIdentity;
  while (await isAlive(owner)) await delay(20); // a dying process closes its files first
  await removeAbandoned(() => {});
}
