import { join } from 'node:path';
import { type DebianPackages, librariesIn, unpackedPackages, whyPackagesAreMissing } from './debian-packages.ts';
import { cacheDirectory } from './layout.ts';

/** kube-proxy runs nft, runc links libseccomp, pods run busybox; the rest is what nft needs at run time. */
const wanted = (): DebianPackages => ({
  name: 'debian',
  cache: cacheDirectory(),
  packages: (
    'nftables libnftables1 libnftnl11 libmnl0 libjansson4 libedit2 libbsd0 libmd0 libxtables12 libgmp10 ' +
    'libseccomp-dev busybox-static'
  ).split(' '),
});

/** Files of Debian packages, unpacked into the cache: nothing is installed on the machine. */
export interface DebianFiles {
  readonly busybox: string;
  readonly sbin: string;
  readonly libraries: string;
  readonly headers: string;
}

/** Says in one sentence why the packages cannot be had here, or returns `undefined`. */
export function whyDebianFilesAreMissing(): Promise<string | undefined> {
  return whyPackagesAreMissing(wanted(), 'a node');
}

/** Downloads and unpacks the packages unless the cache has them. */
export async function ensureDebianFiles(log: (line: string) => void): Promise<DebianFiles> {
  const directory = await unpackedPackages(wanted(), log);
  return {
    busybox: join(directory, 'bin/busybox'),
    sbin: join(directory, 'usr/sbin'),
    libraries: await librariesIn(directory),
    headers: join(directory, 'usr/include'),
  };
}
