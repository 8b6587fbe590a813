import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory, shortHash } from './layout.ts';
import { withLock } from './lock.ts';
import { run, runOrFail } from './run.ts';

/** kube-proxy runs nft, runc links libseccomp, pods run busybox; the rest is what nft needs at run time. */
const packages = (
  'nftables libnftables1 libnftnl11 libmnl0 libjansson4 libedit2 libbsd0 libmd0 libxtables12 libgmp10 ' +
  'libseccomp-dev busybox-static'
).split(' ');

/** Files of Debian packages, unpacked into the cache: nothing is installed on the machine. */
export interface DebianFiles {
  readonly busybox: string;
  readonly sbin: string;
  readonly libraries: string;
  readonly headers: string;
}

/** Says in one sentence why the packages cannot be had here, or returns `undefined`. */
export async function whyDebianFilesAreMissing(): Promise<string | undefined> {
  if (await exists(await unpackedDirectory())) return undefined;
  for (const tool of ['apt-get', 'dpkg']) {
    const found = await run(tool, ['--version']).catch(() => undefined);
    if (!found)
      return `a node needs the Debian packages ${packages.join(', ')} and ${tool} is not here – use Debian or Ubuntu`;
  }
  return undefined;
}

/** Downloads and unpacks the packages unless the cache has them. */
export async function ensureDebianFiles(log: (line: string) => void): Promise<DebianFiles> {
  const directory = await unpackedDirectory();
  if (!(await exists(directory))) {
    await withLock('debian', async () => {
      if (!(await exists(directory))) await unpack(directory, log);
    });
  }
  const libraries = join(directory, 'usr/lib');
  const triplet = (await readdir(libraries)).find((name) => name.endsWith('-linux-gnu'));
  if (!triplet) throw new Error(`${libraries} has no directory of libraries – remove ${directory} and start again`);
  return {
    busybox: join(directory, 'bin/busybox'),
    sbin: join(directory, 'usr/sbin'),
    libraries: join(libraries, triplet),
    headers: join(directory, 'usr/include'),
  };
}

async function unpackedDirectory(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return join(cacheDirectory(), `debian-${shortHash(release + packages.join())}-${process.arch}`);
}

async function unpack(directory: string, log: (line: string) => void): Promise<void> {
  log(`Debian packages ${packages.join(', ')}: downloading and unpacking into ${directory} …`);
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  const downloads = join(partial, 'download');
  await mkdir(downloads, { recursive: true });
  // As root: apt's own user may not write below a home directory.
  const download = ['-o', 'APT::Sandbox::User=root', '-q', 'download', ...packages];
  if ((await run('apt-get', download, { cwd: downloads })).code !== 0) {
    await runOrFail('apt-get', ['-q', 'update']); // a fresh machine has no lists, an old one stale ones
    await runOrFail('apt-get', download, { cwd: downloads });
  }
  for (const name of await readdir(downloads)) await runOrFail('dpkg', ['-x', join(downloads, name), partial]);
  await rm(downloads, { recursive: true });
  await rename(partial, directory);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
