import { dirname, join } from 'node:path';
import {
  type DebianPackages,
  librariesIn,
  unpackedPackages,
  whyPackagesAreMissing,
} from '#test/cluster/debian-packages.ts';
import { cacheDirectory } from '#test/cluster/layout.ts';
import { run } from '#test/cluster/run.ts';

const wanted = (): DebianPackages => ({
  name: 'glewlwyd',
  cache: dirname(cacheDirectory()),
  packages: ['glewlwyd', 'glewlwyd-common'],
  withLibraries: true,
});

export interface Distribution {
  readonly program: string;
  /** For `LD_LIBRARY_PATH`. */
  readonly libraries: string;
  /** Holds `user`, `client`, `scheme` and `plugin`. */
  readonly modules: string;
  /** SQL that makes the tables and the administrator. */
  readonly schema: string;
}

/** Says in one sentence why Glewlwyd cannot run here, or returns `undefined`. */
async function whyGlewlwydCannotRun(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `Glewlwyd is started on Linux only and this is ${process.platform}`;
  if ((await run('openssl', ['version']).catch(() => undefined)) === undefined)
    return 'Glewlwyd needs openssl, which is not on the PATH – install it';
  return whyPackagesAreMissing(wanted(), 'Glewlwyd');
}

/** From the cache, else Debian's packages into the cache, once. Several callers at once get them once. */
export async function ensureGlewlwyd(log: (line: string) => void): Promise<Distribution> {
  const obstacle = await whyGlewlwydCannotRun();
  if (obstacle !== undefined) throw new Error(obstacle);
  const directory = await unpackedPackages(wanted(), log);
  return {
    program: join(directory, 'usr/bin/glewlwyd'),
    libraries: await librariesIn(directory),
    modules: join(directory, 'usr/lib/glewlwyd'),
    schema: join(directory, 'usr/share/dbconfig-common/data/glewlwyd/install/sqlite3'),
  };
}
