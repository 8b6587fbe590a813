import { ensureKeycloak } from './distribution.ts';
import { Realm } from './realm.ts';
import { startServer } from './server.ts';

export interface KeycloakOptions {
  readonly log?: (line: string) => void;
}

export interface Keycloak {
  readonly origin: string;
  readonly caPem: string;
  readonly caFile: string;
  readonly logFile: string;
  /** A new stock realm; its issuer is `<origin>/realms/<name>`. */
  realm(name?: string): Promise<Realm>;
  stop(): Promise<void>;
}

/** A real Keycloak 26.4.0 over TLS as a process that does not outlive this one; about 10 s once its distribution is in the cache. */
export async function startKeycloak(options: KeycloakOptions = {}): Promise<Keycloak> {
  const { home, database } = await ensureKeycloak(options.log ?? (() => {}));
  const server = await startServer(home, database);
  return {
    origin: server.origin,
    caPem: server.caPem,
    caFile: server.caFile,
    logFile: server.logFile,
    realm: (name = 'ci') => Realm.create(server, name),
    stop: () => server.remove(),
  };
}
