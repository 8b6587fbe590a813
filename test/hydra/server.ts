import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesOf } from '#test/cluster/layout.ts';
import { startProcess } from '#test/cluster/processes.ts';
import { runOrFail } from '#test/cluster/run.ts';
import { waitFor } from '#test/cluster/wait.ts';
import { startOnPlace } from '#test/providers/server-place.ts';

export interface ServerOptions {
  /** Default: opaque. */
  readonly tokenFormat?: 'opaque' | 'jwt';
}

export interface Server {
  /** As its users know it, over TLS. */
  readonly origin: string;
  /** The administration API, which has no authentication, so it listens on a port of its own. */
  readonly admin: string;
  readonly caPem: string;
  readonly logFile: string;
  /** Ends the process and removes everything. */
  remove(): Promise<void>;
}

/** One Hydra process over TLS of its own, with a SQLite database. */
export async function startServer(program: string, options: ServerOptions): Promise<Server> {
  return startOnPlace('hydra', async ({ dir, addresses, tls: { caPem }, remove }) => {
    const { apiServerPort, etcdPort } = addresses;
    const origin = `https://127.0.0.1:${apiServerPort}`;
    const admin = `http://127.0.0.1:${etcdPort}`;
    const configuration = join(dir, 'hydra.json');
    const place = { dir, publicPort: apiServerPort, adminPort: etcdPort, origin, admin };
    await writeFile(configuration, JSON.stringify(configurationOf(place, options), null, 2));
    const environment = { PATH: process.env['PATH'], HOME: dir };
    await runOrFail(program, ['migrate', 'sql', '-e', '--yes', '--config', configuration], { env: environment });
    const logFile = filesOf(dir).log('hydra');
    const hydra = await startProcess(program, ['serve', 'all', '--config', configuration], { dir, logFile });
    await waitFor('Hydra', async () => (await fetch(`${admin}/health/ready`)).ok, [hydra]);
    return { origin, admin, caPem, logFile, remove };
  });
}

interface Place {
  readonly dir: string;
  readonly publicPort: number;
  readonly adminPort: number;
  readonly origin: string;
  readonly admin: string;
}

function configurationOf({ dir, publicPort, adminPort, origin, admin }: Place, { tokenFormat }: ServerOptions): object {
  const host = '127.0.0.1';
  const file = (name: string): { readonly path: string } => ({ path: join(dir, name) });
  return {
    dsn: `sqlite://${join(dir, 'hydra.sqlite')}?_fk=true&_journal_mode=WAL&_busy_timeout=10000&_txlock=immediate`,
    secrets: { system: ['only-for-tests-and-32-characters'] },
    serve: {
      public: { host, port: publicPort, tls: { enabled: true, cert: file('tls.pem'), key: file('tls.key') } },
      admin: { host, port: adminPort, tls: { enabled: false } },
    },
    urls: { self: { issuer: origin, public: origin, admin } },
    oidc: { dynamic_client_registration: { enabled: true } },
    strategies: { access_token: tokenFormat ?? 'opaque' },
    log: { level: 'warn' },
    // It calls home otherwise.
    sqa: { opt_out: true },
  };
}
