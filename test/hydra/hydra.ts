import { parseJsonObject, record, records, strings, withoutUndefined, words } from '#src/providers/fields.ts';
import type { Introspection } from '#src/providers/oidc/tokens.ts';
import { ensureHydra } from './distribution.ts';
import { type Server, type ServerOptions, startServer } from './server.ts';

type Representation = Readonly<Record<string, unknown>> & { readonly client_id: string };

export interface HydraOptions extends ServerOptions {
  readonly log?: (line: string) => void;
}

/** A real Hydra over TLS as a process that does not outlive this one, where clients may register; some seconds once it is built. */
export async function startHydra(options: HydraOptions = {}): Promise<Hydra> {
  return new Hydra(await startServer(await ensureHydra(options.log ?? console.error), options));
}

/** What its administrator and resource servers see and do. */
export class Hydra {
  readonly issuer: string;
  readonly caPem: string;
  readonly logFile: string;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    this.issuer = server.origin;
    ({ caPem: this.caPem, logFile: this.logFile } = server);
  }

  async clientIds(): Promise<readonly string[]> {
    const clients = JSON.parse(await this.#call('GET', '/clients?page_size=1000')) as readonly Representation[];
    return clients.map(({ client_id: id }) => id);
  }

  async client(clientId: string): Promise<Representation> {
    return JSON.parse(await this.#call('GET', pathOf(clientId))) as Representation;
  }

  /** A client that the administrator makes by hand. */
  async addClient(client: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#call('POST', '/clients', client);
  }

  /** As `hydra patch`; `hydra update` would take away the client's registration access token. */
  async editClient(clientId: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    const patch = Object.entries(change).map(([name, value]) => ({ op: 'replace', path: `/${name}`, value }));
    await this.#call('PATCH', pathOf(clientId), patch);
  }

  /** The whole client, as `hydra update oauth2-client` does it. */
  async replaceClient(clientId: string, client: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#call('PUT', pathOf(clientId), client);
  }

  async removeClient(clientId: string): Promise<void> {
    await this.#call('DELETE', pathOf(clientId));
  }

  /** RFC 7662, which is offered to whoever reaches the administration API. */
  async introspect(token: string): Promise<Introspection> {
    const answer = parseJsonObject(await this.#call('POST', '/oauth2/introspect', new URLSearchParams({ token })));
    return {
      active: answer?.['active'] === true,
      ...withoutUndefined({ scopes: words(answer?.['scope']), audiences: strings(answer?.['aud']) }),
    };
  }

  async isLive(token: string): Promise<boolean> {
    return (await this.introspect(token)).active;
  }

  stop(): Promise<void> {
    return this.#server.remove();
  }

  async #call(method: string, path: string, body?: object): Promise<string> {
    const isForm = body instanceof URLSearchParams;
    const answer = await fetch(`${this.#server.admin}/admin${path}`, {
      method,
      headers: { 'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json' },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
    return text;
  }
}

/** Ids of the keys with which this client may authenticate. */
export function keyIdsOf({ jwks }: Representation): readonly string[] {
  return (records(record(jwks)?.['keys']) ?? []).map((key) => String(key['kid']));
}

const pathOf = (clientId: string): string => `/clients/${encodeURIComponent(clientId)}`;
