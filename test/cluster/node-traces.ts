import { readFile, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { addressesOf } from './layout.ts';
import { run } from './run.ts';

/** The control group below which the kubelet of instance `index` puts its pods. */
export function controlGroupOf(index: number): string {
  return `/ci-identity${index}`;
}

/** The mount points of the control group hierarchies: several with version 1, one with version 2. */
export async function controlGroupMounts(): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const mounts = lines.filter(([, , type]) => type === 'cgroup' || type === 'cgroup2').map(([, path]) => path!);
  return [...new Set(mounts)];
}

/**
 * Removes what a node leaves on the machine after its last process was killed: control groups and the network link.
 * Mounts and network namespaces need no cleaning, they go with the node's own namespaces.
 */
export async function removeNodeTraces(index: number): Promise<void> {
  for (const mount of await controlGroupMounts()) await removeControlGroup(join(mount, controlGroupOf(index)));
  const { link } = addressesOf(index);
  const links = await readdir('/sys/class/net');
  if (links.includes(link)) await run('ip', ['link', 'delete', link]);
}

async function removeControlGroup(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeControlGroup(join(path, entry.name));
  for (let attempt = 0; ; attempt++) {
    try {
      return await rmdir(path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      // Killed processes leave their group a moment after they were seen to be gone.
      if (code !== 'EBUSY' || attempt > 100) throw error;
      await delay(20);
    }
  }
}
