import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { filesOf } from '#test/cluster/layout.ts';
import { startProcess } from '#test/cluster/processes.ts';
import { waitFor } from '#test/cluster/wait.ts';
import type { ServerCertificate } from '#test/providers/certificates.ts';
import { startOnPlace } from '#test/providers/server-place.ts';
import { Admin } from './admin.ts';
import type { Distribution } from './distribution.ts';

/** Starts what stands in front of the server at `origin`, with the server's own certificate; resolves with the address that its users know. */
export type Front = (origin: string, tls: ServerCertificate) => Promise<string>;

export interface Server {
  /** As its users know it. */
  readonly origin: string;
  readonly caPem: string;
  readonly caFile: string;
  readonly logFile: string;
  readonly admin: Admin;
  /** Ends the process and removes everything. */
  remove(): Promise<void>;
}

/** One Glewlwyd process over TLS of its own, with a SQLite database that is as Debian's package makes it. */
export async function startServer(distribution: Distribution, front?: Front): Promise<Server> {
  return startOnPlace('glewlwyd', async ({ dir, addresses, tls, remove }) => {
    const database = join(dir, 'glewlwyd.db');
    await makeDatabase(database, distribution.schema);
    const port = addresses.apiServerPort;
    const itself = `https://127.0.0.1:${port}`;
    const origin = (await front?.(itself, tls)) ?? itself;
    const configuration = join(dir, 'glewlwyd.conf');
    await writeFile(configuration, configurationText({ dir, database, port, origin, modules: distribution.modules }));
    const logFile = filesOf(dir).log('glewlwyd');
    const glewlwyd = await startProcess(distribution.program, [`--config-file=${configuration}`], {
      dir,
      logFile,
      env: { LD_LIBRARY_PATH: distribution.libraries },
    });
    const admin = new Admin(itself, tls.caPem);
    await waitFor('Glewlwyd', () => admin.isReady(), [glewlwyd]);
    return {
      origin,
      caPem: tls.caPem,
      caFile: tls.caFile,
      logFile,
      admin,
      async remove() {
        await admin.close();
        await remove();
      },
    };
  });
}

async function makeDatabase(file: string, schema: string): Promise<void> {
  const database = new DatabaseSync(file);
  database.exec(await readFile(schema, 'utf8'));
  database.close();
}

interface Place {
  readonly dir: string;
  readonly database: string;
  readonly port: number;
  readonly origin: string;
  readonly modules: string;
}

/** libconfig; `use_secure_connection` makes it serve TLS by itself. */
function configurationText({ dir, database, port, origin, modules }: Place): string {
  const settings: Readonly<Record<string, string | number | boolean>> = {
    port,
    bind_address: '127.0.0.1',
    external_url: origin,
    login_url: 'login.html',
    api_prefix: 'api',
    cookie_domain: '127.0.0.1',
    cookie_secure: 1,
    log_mode: 'console',
    log_level: 'INFO',
    admin_scope: 'g_admin',
    profile_scope: 'g_profile',
    hash_algorithm: 'SHA512',
    use_secure_connection: true,
    secure_connection_key_file: join(dir, 'tls.key'),
    secure_connection_pem_file: join(dir, 'tls.pem'),
    user_module_path: join(modules, 'user'),
    client_module_path: join(modules, 'client'),
    user_auth_scheme_module_path: join(modules, 'scheme'),
    plugin_module_path: join(modules, 'plugin'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  return `${lines.join('\n')}\ndatabase = { type = "sqlite3" path = ${JSON.stringify(database)} }\n`;
}
