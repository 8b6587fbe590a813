import type { Admin } from './admin.ts';
import { kcadmSteps } from './kcadm.ts';
import type { Server } from './server.ts';

/** What the administrator of a realm prepares for one pool. */
export interface RealmNeeds {
  readonly scopes: readonly string[];
  /** Audience → name of the client scope that carries it. */
  readonly audiences: Readonly<Record<string, string>>;
}

/** A resource server that asks Keycloak about every token it is shown. */
const auditor = { clientId: 'auditor', secret: 'only-for-tests' };

type Representation = Readonly<Record<string, unknown>>;

interface Client {
  readonly clientId: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

const keyIds = ({ attributes }: Client): readonly string[] => {
  const { keys } = JSON.parse(attributes?.['jwks.string'] ?? '{"keys":[]}') as { readonly keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
};

/** One realm as its administrator sees it. */
export class Realm {
  readonly issuer: string;
  readonly #admin: Admin;
  readonly #path: string;
  #asking: ReturnType<Realm['resourceServer']> | undefined;

  private constructor(server: Server, name: string) {
    this.issuer = `${server.origin}/realms/${name}`;
    this.#admin = server.admin;
    this.#path = `/realms/${name}`;
  }

  /** A stock realm: whatever Keycloak gives to one that is created with nothing but a name. */
  static async create(server: Server, name: string): Promise<Realm> {
    await server.admin.post('/realms', { realm: name, enabled: true });
    return new Realm(server, name);
  }

  /** `count`: registrations that it is good for; `expiration`: seconds, 0 for ever. */
  async initialAccessToken({ count = 10_000, expiration = 0 } = {}): Promise<string> {
    const made = (await this.#admin.post(`${this.#path}/clients-initial-access`, { count, expiration })) as {
      readonly token: string;
    };
    return made.token;
  }

  /** Exactly the steps of `README.md`, and nothing else. */
  async prepare({ scopes, audiences }: RealmNeeds): Promise<void> {
    for (const scope of scopes) await this.#optionalScope(scope, true);
    for (const [audience, carrier] of Object.entries(audiences)) {
      const id = await this.#optionalScope(carrier, false);
      await this.#admin.post(`${this.#path}/client-scopes/${id}/protocol-mappers/models`, {
        name: 'audience',
        protocol: 'openid-connect',
        protocolMapper: 'oidc-audience-mapper',
        config: {
          'included.custom.audience': audience,
          'access.token.claim': 'true',
          'introspection.token.claim': 'true',
        },
      });
    }
  }

  /** What {@link prepare} does, as an administrator types it. */
  steps({ scopes, audiences }: RealmNeeds): string {
    return kcadmSteps(this.#path.split('/').at(-1) ?? '', scopes, audiences);
  }

  async #optionalScope(name: string, inTokenScope: boolean): Promise<string> {
    const id = (await this.#admin.post(`${this.#path}/client-scopes`, {
      name,
      protocol: 'openid-connect',
      attributes: { 'include.in.token.scope': String(inTokenScope) },
    })) as string;
    await this.#admin.put(`${this.#path}/default-optional-client-scopes/${id}`);
    return id;
  }

  async client(clientId: string): Promise<Representation | undefined> {
    const found = await this.#admin.get<readonly Representation[]>(
      `${this.#path}/clients?clientId=${encodeURIComponent(clientId)}`,
    );
    return found[0];
  }

  /** Clients whose tag ends with this, and the ids of the keys with which they may authenticate. */
  async clientsOf(owner: string): Promise<readonly { readonly clientId: string; readonly kids: readonly string[] }[]> {
    const own = (await this.#clients()).filter(({ attributes }) => attributes?.['ci-identity.owner']?.endsWith(owner));
    return own.map((client) => ({ clientId: client.clientId, kids: keyIds(client) }));
  }

  /** Ids of the clients that did not come with the realm. */
  async clientIds(): Promise<readonly string[]> {
    const stock = ['account', 'account-console', 'admin-cli', 'broker', 'realm-management', 'security-admin-console'];
    return (await this.#clients())
      .map(({ clientId }) => clientId)
      .filter((clientId) => !stock.includes(clientId) && clientId !== auditor.clientId);
  }

  async editClient(clientId: string, change: Representation): Promise<void> {
    const client = await this.#existing(clientId);
    await this.#admin.put(`${this.#path}/clients/${client.id}`, { ...client, ...change });
  }

  async editAttributes(clientId: string, change: Representation): Promise<void> {
    const { attributes } = await this.#existing(clientId);
    await this.editClient(clientId, { attributes: { ...(attributes as object), ...change } });
  }

  /** As a click in the console does: every token of the client has this scope from now on. */
  async addDefaultScope(clientId: string, scope: string): Promise<void> {
    const client = await this.#existing(clientId);
    const scopes = await this.#admin.get<readonly { readonly id: string; readonly name: string }[]>(
      `${this.#path}/client-scopes`,
    );
    const found = scopes.find(({ name }) => name === scope);
    if (found === undefined) throw new Error(`no client scope ${scope} in ${this.#path}`);
    await this.#admin.put(`${this.#path}/clients/${client.id}/default-client-scopes/${found.id}`);
  }

  /** The client has this certificate, in base64 without line breaks, and no other. */
  async replaceCertificate(clientId: string, certificate: string): Promise<void> {
    await this.editAttributes(clientId, { 'jwt.credential.certificate': certificate });
  }

  /** Keycloak makes another secret and knows the old one no longer. */
  async replaceSecret(clientId: string): Promise<string> {
    const client = await this.#existing(clientId);
    const made = (await this.#admin.post(`${this.#path}/clients/${client.id}/client-secret`, undefined)) as {
      readonly value: string;
    };
    return made.value;
  }

  async removeClient(clientId: string): Promise<void> {
    const client = await this.#existing(clientId);
    await this.#admin.delete(`${this.#path}/clients/${client.id}`);
  }

  /** Whatever the old registration access token of this client could, the answered one can now, and the old one nothing. */
  async replaceManagementToken(clientId: string): Promise<string> {
    const client = await this.#existing(clientId);
    const answer = (await this.#admin.post(
      `${this.#path}/clients/${client.id}/registration-access-token`,
      undefined,
    )) as {
      readonly registrationAccessToken: string;
    };
    return answer.registrationAccessToken;
  }

  /** A client of its own for a resource server, which is made when it is first needed; with it, it may introspect. */
  async resourceServer(): Promise<{ readonly clientId: string; readonly clientSecret: string }> {
    if ((await this.client(auditor.clientId)) === undefined) await this.#admin.post(`${this.#path}/clients`, auditor);
    return { clientId: auditor.clientId, clientSecret: auditor.secret };
  }

  /** RFC 7662, as a resource server. */
  async isLive(token: string): Promise<boolean> {
    const { clientId: client_id, clientSecret: client_secret } = await (this.#asking ??= this.resourceServer());
    const { status, body } = await this.#admin.request(
      'POST',
      `${this.#path}/protocol/openid-connect/token/introspect`,
      {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ client_id, client_secret, token }).toString(),
      },
    );
    if (status !== 200) throw new Error(`introspection: ${status} ${body.slice(0, 200)}`);
    return (JSON.parse(body) as { readonly active: boolean }).active;
  }

  #clients(): Promise<readonly Client[]> {
    return this.#admin.get(`${this.#path}/clients?max=1000`);
  }

  async #existing(clientId: string): Promise<Representation & { readonly id: string }> {
    const client = await this.client(clientId);
    if (client === undefined) throw new Error(`no client ${clientId} in ${this.#path}`);
    return client as Representation & { readonly id: string };
  }
}
