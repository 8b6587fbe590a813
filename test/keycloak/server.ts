import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesOf } from '#test/cluster/layout.ts';
import { processesOf, signal, startProcess } from '#test/cluster/processes.ts';
import { waitFor } from '#test/cluster/wait.ts';
import { startOnPlace } from '#test/providers/server-place.ts';
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

/** One Keycloak process over TLS of its own, with a copy of `database` or a new one. */
export async function startServer(home: string, database: string | undefined): Promise<Server> {
  return startOnPlace('keycloak', async ({ dir, addresses, tls, remove }) => {
    if (database !== undefined) await copyFile(database, join(dir, databaseFile));
    const port = addresses.apiServerPort;
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
  });
}
