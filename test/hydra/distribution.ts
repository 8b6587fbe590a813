import { ensureBinaries, missingBinaries, whyBinariesAreMissing } from '#test/cluster/binaries.ts';
import { run } from '#test/cluster/run.ts';

/** The program: from the cache, else built into it, once; several callers at once build it once. Fails with one sentence that says why it cannot. */
export async function ensureHydra(log: (line: string) => void): Promise<string> {
  const obstacle = (await whyBinariesAreMissing(['hydra'])) ?? (await whyNoCompiler());
  if (obstacle !== undefined) throw new Error(obstacle);
  return (await ensureBinaries(['hydra'], log)).hydra;
}

async function whyNoCompiler(): Promise<string | undefined> {
  if ((await missingBinaries(['hydra'])).length === 0) return undefined;
  const compiler = await run('gcc', ['--version']).catch(() => undefined);
  return compiler?.code === 0
    ? undefined
    : 'Hydra cannot be built because gcc is not on the PATH – install gcc and libc6-dev';
}
