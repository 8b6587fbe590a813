import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheDirectory } from '#test/cluster/layout.ts';
import { withLock } from '#test/cluster/lock.ts';
import { run, runOrFail } from '#test/cluster/run.ts';
import { databaseFile, startServer } from './server.ts';

/** The version whose behaviour `src/providers/oidc/profiles/keycloak.ts` was measured with. */
const keycloakVersion = '26.4.0';

const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
const artifact = `org.keycloak:keycloak-quarkus-dist:${keycloakVersion}:zip`;

export interface Distribution {
  /** `bin/kc.sh` and what belongs to it, built for `start --optimized`. */
  readonly home: string;
  /** A database after the first start: the realm `master`, its administrator and nothing else. */
  readonly database: string;
}

/** Says in one sentence why Keycloak cannot run here, or returns `undefined`. */
export async function whyKeycloakCannotRun(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `Keycloak is started on Linux only and this is ${process.platform}`;
  const tools = ['openssl', 'java', ...((await exists(directory())) ? [] : ['mvn', 'unzip'])];
  for (const tool of tools) {
    const flag = { openssl: 'version', unzip: '-v' }[tool] ?? '-version';
    if (await run(tool, [flag]).catch(() => undefined)) continue;
    return `Keycloak needs ${tool}, which is not on the PATH – install Java 17 or newer, Maven, unzip and openssl`;
  }
  return undefined;
}

/** From the cache, else from Maven Central into the cache: 160 MB and about a minute, once. Several callers at once get it once. */
export async function ensureKeycloak(log: (line: string) => void): Promise<Distribution> {
  const obstacle = await whyKeycloakCannotRun();
  if (obstacle !== undefined) throw new Error(obstacle);
  if (!(await exists(directory()))) {
    await withLock('keycloak', async () => {
      if (!(await exists(directory()))) await make(log);
    });
  }
  return filesIn(directory());
}

function directory(): string {
  return join(dirname(cacheDirectory()), 'keycloak', keycloakVersion);
}

function filesIn(cached: string): Distribution {
  return { home: join(cached, `keycloak-${keycloakVersion}`), database: join(cached, databaseFile) };
}

async function make(log: (line: string) => void): Promise<void> {
  const partial = `${directory()}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  log(`Keycloak ${keycloakVersion}: fetching ${artifact} from Maven Central …`);
  await runOrFail('mvn', ['-q', '-B', plugin, `-Dartifact=${artifact}`, `-DoutputDirectory=${partial}`]);
  const archive = join(partial, `keycloak-quarkus-dist-${keycloakVersion}.zip`);
  await runOrFail('unzip', ['-q', archive, '-d', partial]);
  await rm(archive);
  const { home, database } = filesIn(partial);
  log(`Keycloak ${keycloakVersion}: building it and making its database, once …`);
  await runOrFail(join(home, 'bin', 'kc.sh'), ['build', '--db=dev-file']);
  const first = await startServer(home, undefined);
  await first.shutDown();
  await copyFile(join(first.dir, databaseFile), database);
  await first.remove();
  await rename(partial, directory());
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
