import { controlPlaneBinaries, missingBinaries, nodeBinaries, whyBinariesAreMissing } from './binaries.ts';
import { whyDebianFilesAreMissing } from './debian.ts';
import { run } from './run.ts';

/** Fails with one sentence that says what this machine lacks, before anything is built or started. */
export async function requireMachine(node: boolean): Promise<void> {
  if (process.platform !== 'linux') {
    throw new Error(`a cluster needs Linux and this is ${process.platform} – use a Linux machine or a virtual one`);
  }
  const obstacle = await whyBinariesAreMissing(controlPlaneBinaries);
  if (obstacle) throw new Error(obstacle);
  const nodeLacks = node ? await nodeObstacle() : undefined;
  if (nodeLacks) throw new Error(`${nodeLacks}; everything but running pods works without a node`);
}

/** Says in one sentence why no node, and so no pod, can run on this machine, or returns `undefined` where one can. */
export async function nodeObstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `a node needs Linux and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return `a node needs root, to make name spaces and mounts – become root`;
  for (const tool of ['unshare', 'nsenter', 'ip', 'mount']) {
    if (!(await canRun(tool, tool === 'ip' ? '-V' : '--version'))) {
      return `a node needs ${tool}, which is not on the PATH – install util-linux and iproute2`;
    }
  }
  const flags = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--propagation=private', 'true'];
  const attempt = await run('unshare', flags);
  if (attempt.code !== 0) {
    return `this root may not make name spaces (${attempt.stderr.trim()}) – use a machine, or a privileged container`;
  }
  const debian = await whyDebianFilesAreMissing();
  if (debian) return debian;
  if ((await missingBinaries(['runc'])).length > 0 && !(await canRun('gcc', '--version'))) {
    return `a node needs gcc, to build runc, and it is not on the PATH – install gcc and libc6-dev`;
  }
  return whyBinariesAreMissing(nodeBinaries);
}

async function canRun(tool: string, flag: string): Promise<boolean> {
  return run(tool, [flag]).then(
    ({ code }) => code === 0,
    () => false,
  );
}
