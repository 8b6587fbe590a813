import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { StartedProcess } from './processes.ts';

/**
 * Asks every 30 ms until `done`; a question that fails counts as "not yet".
 * Fails after two minutes, and at once when one of `processes` has ended, with the last lines of its log.
 */
export async function waitFor(
  what: string,
  done: () => Promise<boolean>,
  processes: readonly StartedProcess[],
): Promise<void> {
  let last: unknown;
  const ask = async (): Promise<boolean> => {
    try {
      return await done();
    } catch (error) {
      last = error;
      return false;
    }
  };
  for (const deadline = Date.now() + 120_000; ; await delay(30)) {
    if (await ask()) return;
    for (const process of processes) {
      const end = process.ended();
      if (!end) continue;
      const log = (await readFile(process.logFile, 'utf8')).trimEnd().split('\n').slice(-8).join('\n');
      throw new Error(`${process.name} ended (${end}) while ${what} was waited for – the end of its log:\n${log}`);
    }
    if (Date.now() > deadline) throw new Error(`${what} is not there after two minutes`, { cause: last });
  }
}
