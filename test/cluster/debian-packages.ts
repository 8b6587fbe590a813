import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { shortHash } from './layout.ts';
import { withLock } from './lock.ts';
import { run, runOrFail } from './run.ts';

/** Packages of this machine's Debian or Ubuntu, to be unpacked: nothing is installed on the machine. */
export interface DebianPackages {
  /** Of the cached directory and of the lock. */
  readonly name: string;
  /** Below which the cached directory is made. */
  readonly cache: string;
  readonly packages: readonly string[];
  /** Also unpack every library that they need, whether the machine has it or not. */
  readonly withLibraries?: boolean;
}

/** Says in one sentence why the packages cannot be had here, or returns `undefined`. */
export async function whyPackagesAreMissing(wanted: DebianPackages, whoNeedsThem: string): Promise<string | undefined> {
  if (await exists(await directoryOf(wanted))) return undefined;
  for (const tool of ['apt-get', 'dpkg']) {
    const found = await run(tool, ['--version']).catch(() => undefined);
    if (!found) {
      const names = wanted.packages.join(', ');
      return `${whoNeedsThem} needs the Debian packages ${names} and ${tool} is not here – use Debian or Ubuntu`;
    }
  }
  return undefined;
}

/** The directory with their files; downloads and unpacks them unless the cache has them. */
export async function unpackedPackages(wanted: DebianPackages, log: (line: string) => void): Promise<string> {
  const directory = await directoryOf(wanted);
  if (!(await exists(directory))) {
    await withLock(wanted.name, async () => {
      if (!(await exists(directory))) await unpack(wanted, directory, log);
    });
  }
  return directory;
}

/** Where Debian puts the shared libraries of this machine's architecture. */
export async function librariesIn(directory: string): Promise<string> {
  const libraries = join(directory, 'usr/lib');
  const triplet = (await readdir(libraries)).find((name) => name.endsWith('-linux-gnu'));
  if (!triplet) throw new Error(`${libraries} has no directory of libraries – remove ${directory} and start again`);
  return join(libraries, triplet);
}

async function directoryOf({ name, cache, packages }: DebianPackages): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return join(cache, `${name}-${shortHash(release + packages.join())}-${process.arch}`);
}

async function unpack(wanted: DebianPackages, directory: string, log: (line: string) => void): Promise<void> {
  log(`Debian packages ${wanted.packages.join(', ')}: downloading and unpacking into ${directory} …`);
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  const downloads = join(partial, 'download');
  await mkdir(downloads, { recursive: true });
  if (!(await download(wanted, downloads))) {
    await runOrFail('apt-get', ['-q', 'update']); // a fresh machine has no lists, an old one stale ones
    if (!(await download(wanted, downloads))) throw new Error(`apt-get cannot download ${wanted.packages.join(', ')}`);
  }
  for (const name of await readdir(downloads)) await runOrFail('dpkg', ['-x', join(downloads, name), partial]);
  await rm(downloads, { recursive: true });
  await rename(partial, directory);
}

async function download(wanted: DebianPackages, into: string): Promise<boolean> {
  const libraries = wanted.withLibraries === true ? await librariesOf(wanted.packages) : [];
  // As root: apt's own user may not write below a home directory.
  const download = ['-o', 'APT::Sandbox::User=root', '-q', 'download', ...wanted.packages, ...libraries];
  return (await run('apt-get', download, { cwd: into })).code === 0;
}

/** What belongs to the machine itself: another one than the loader's would not start. */
const ofTheMachine = ['libc6', 'libgcc-s1', 'libcrypt1', 'libstdc++6'];

async function librariesOf(packages: readonly string[]): Promise<readonly string[]> {
  const direct = await dependencies(packages, []);
  const all = await dependencies(direct, ['--recurse']);
  return [...new Set([...direct, ...all])].filter((name) => !ofTheMachine.includes(name)).toSorted();
}

async function dependencies(packages: readonly string[], flags: readonly string[]): Promise<readonly string[]> {
  const only = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`);
  const { stdout } = await run('apt-cache', ['depends', ...only, ...flags, ...packages]);
  return [...stdout.matchAll(/^ *\|?(?:Pre)?Depends: (lib\S+)$/gm)].map(([, name]) => name ?? '');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
