import { copyFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimInstance, removeInstance } from '#test/cluster/instances.ts';
import { addressesOf, filesOf } from '#test/cluster/layout.ts';
import { killProcessesOf, processesOf, signal, startProcess } from '#test/cluster/processes.ts';
import { waitFor } from '#test/cluster/wait.ts';
import { watchOver } from '#test/cluster/watchdog.ts';
import { makeServerCertificate } from '#test/providers/certificates.ts';
import { Admin } from './admin.ts';

/** Below a server's directory; H2 keeps everything in this one file. */
export const databaseFile = 'keycloak.mv.db';

export const administrator = { username: 'admin', password: 'only-for-tests' };

export interface Server {
  readonly origin: string;
  readonly dir: string;
  readonly caPem: string;
  readonly caFile: string;
  readonly logFile: string;
  readonly admin: Admin;
  /** Ends the process as an orderly shutdown does; the directory stays. */
  shutDown(): Promise<void>;
  /** Ends the process if it still runs, and removes everything. */
  remove(): Promise<void>;
}

/**
 * One Keycloak process over TLS on ports of its own, with a copy of `database` or a new one. It does not outlive this process: it is in
 * the same register as the clusters, and the same watchdog removes it.
 */
export async function startServer(home: string, database: string | undefined): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), 'ci-identity-keycloak-'));
  const instance = await claimInstance(dir, () => {});
  const unwatch = await watchOver(instance.owner);
  const remove = async (): Promise<void> => {
    await removeInstance(dir);
    unwatch();
  };
  try {
    const tls = await makeServerCertificate(dir, ['127.0.0.1', 'localhost']);
    if (database !== undefined) await copyFile(database, join(dir, databaseFile));
    const port = addressesOf(instance.index).apiServerPort;
    const origin = `https://127.0.0.1:${port}`;
    const logFile = filesOf(dir).log('keycloak');
    const keycloak = await startProcess(join(home, 'bin', 'kc.sh'), ['start', '--optimized'], {
      dir,
      logFile,
      env: {
        ...(process.env['JAVA_HOME'] === undefined ? {} : { JAVA_HOME: process.env['JAVA_HOME'] }),
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1', // halves the time to the first answer
        KC_HTTP_HOST: '127.0.0.1',
        KC_HTTPS_PORT: String(port),
        KC_HTTPS_CERTIFICATE_FILE: join(dir, 'tls.pem'),
        KC_HTTPS_CERTIFICATE_KEY_FILE: join(dir, 'tls.key'),
        // Issuer and audience of registration access tokens come from it.
        KC_HOSTNAME: origin,
        KC_CACHE: 'local',
        KC_DB_URL: `jdbc:h2:file:${join(dir, databaseFile.replace('.mv.db', ''))};NON_KEYWORDS=VALUE`,
        KC_BOOTSTRAP_ADMIN_USERNAME: administrator.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: administrator.password,
      },
    });
    const admin = new Admin(origin, tls.caPem, administrator);
    await waitFor('Keycloak', () => admin.isReady(), [keycloak]);
    return {
      origin,
      dir,
      caPem: tls.caPem,
      caFile: tls.caFile,
      logFile,
      admin,
      async shutDown() {
        // kc.sh waits for java and would not pass the signal on.
        for (const { pid } of await processesOf(dir)) signal(pid, 'SIGTERM');
        await waitFor('the end of Keycloak', async () => (await processesOf(dir)).length === 0, []);
      },
      async remove() {
        await admin.close();
        await remove();
      },
    };
  } catch (error) {
    await killProcessesOf(dir);
    await remove();
    throw error;
  }
}
