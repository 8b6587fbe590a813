import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { removeInstance } from './instances.ts';

/**
 * Has the cluster in `dir` removed as soon as this process ends, however it ends.
 * A shell (1 MB) waits for the end of a pipe that only this process holds open; Node starts only to clean.
 */
export async function watchOver(dir: string): Promise<void> {
  const clean = join(import.meta.dirname, 'watchdog.ts');
  const child = spawn('/bin/sh', ['-c', 'read line; exec "$0" "$1" "$2"', process.execPath, clean, dir], {
    cwd: '/', // none of the directories that are about to go
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(child, 'spawn');
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref(); // typed as a stream, is a socket
}

if (import.meta.main) await removeInstance(process.argv[2]!);
