import { controlPlaneBinaries, missingBinaries, nodeBinaries, whyBinariesAreMissing } from './binaries.ts';
import { whyDebianFilesAreMissing } from './debian.ts';
import { run } from './run.ts';

/** Fails with one sentence that says what this machine lacks, before anything is built or started. */
export async function requireMachine(node: boolean): Promise<void> {
  const lacking =
    process.platform === 'linux'
      ? ((node ? await whyNoNode() : undefined) ?? (await whyBinariesAreMissing(controlPlaneBinaries)))
      : `a cluster needs Linux and this is ${process.platform} – use a Linux machine or a virtual one`;
  if (lacking) throw new Error(lacking);
}

async function whyNoNode(): Promise<string | undefined> {
  const instead = 'everything but running pods works without --node';
  if (process.getuid?.() !== 0) return `a node needs root, to make name spaces and mounts – become root; ${instead}`;
  for (const tool of ['unshare', 'nsenter', 'ip', 'mount']) {
    if (!(await canRun(tool, tool === 'ip' ? '-V' : '--version'))) {
      return `a node needs ${tool}, which is not on the PATH – install util-linux and iproute2; ${instead}`;
    }
  }
  const flags = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--propagation=private', 'true'];
  const attempt = await run('unshare', flags);
  if (attempt.code !== 0) {
    return `this root may not make name spaces (${attempt.stderr.trim()}) – use a machine, or a privileged container; ${instead}`;
  }
  const debian = await whyDebianFilesAreMissing();
  if (debian) return `${debian}; ${instead}`;
  if ((await missingBinaries(['runc'])).length > 0 && !(await canRun('gcc', '--version'))) {
    return `a node needs gcc, to build runc, and it is not on the PATH – install gcc and libc6-dev; ${instead}`;
  }
  return whyBinariesAreMissing(nodeBinaries);
}

async function canRun(tool: string, flag: string): Promise<boolean> {
  return run(tool, [flag]).then(
    ({ code }) => code === 0,
    () => false,
  );
}
