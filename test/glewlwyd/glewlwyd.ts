import { generateKeyPairSync } from 'node:crypto';
import { ensureGlewlwyd } from './distribution.ts';
import { type Front, type Server, startServer } from './server.ts';

export interface GlewlwydOptions {
  /** Scopes that every registered client gets; default `artifacts:publish artifacts:read`. */
  readonly scopes?: readonly string[];
  /** Audiences (`resource`) that each of these scopes may be asked for; default one. */
  readonly audiences?: readonly string[];
  /** Lifetime of every access token in seconds, registration tokens included; default an hour. */
  readonly tokenTtl?: number;
  readonly front?: Front;
  readonly log?: (line: string) => void;
}

type Representation = Readonly<Record<string, unknown>> & { readonly client_id: string };

const plugin = 'ci';
/** The scope whose holders may register clients. */
const registering = 'clients:register';
const registrar = { id: 'registrar', secret: 'only-for-tests', scope: registering };
/** A resource server: only who holds a token with this scope is told about the tokens of others. */
const introspecting = 'tokens:introspect';
const auditor = { id: 'auditor', secret: 'only-for-tests', scope: introspecting };

/**
 * A real Glewlwyd (Debian's) over TLS as a process that does not outlive this one, with one OpenID Connect plugin that an administrator
 * set up for the operator; about a second once its packages are in the cache.
 */
export async function startGlewlwyd(options: GlewlwydOptions = {}): Promise<Glewlwyd> {
  const server = await startServer(await ensureGlewlwyd(options.log ?? (() => {})), options.front);
  try {
    await administer(server, options);
    return new Glewlwyd(server);
  } catch (error) {
    await server.remove();
    throw error;
  }
}

/** Exactly the steps of `README.md`. */
async function administer({ admin, origin }: Server, options: GlewlwydOptions): Promise<void> {
  const scopes = options.scopes ?? ['artifacts:publish', 'artifacts:read'];
  const audiences = options.audiences ?? ['https://registry.example.com'];
  for (const name of [...scopes, registering, introspecting])
    await admin.post('/scope/', { name, password_required: false });
  const signing = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await admin.post('/mod/plugin/', {
    module: 'oidc',
    name: plugin,
    display_name: plugin,
    enabled: true,
    parameters: {
      iss: `${origin}/api/${plugin}`,
      'jwt-type': 'ecdsa',
      'jwt-key-size': '256',
      key: signing.privateKey,
      cert: signing.publicKey,
      'jwks-show': true,
      'subject-type': 'public',
      'access-token-duration': options.tokenTtl ?? 3_600,
      'refresh-token-duration': 3_600,
      'code-duration': 60,
      'allow-non-oidc': true,
      'auth-type-client-enabled': true,
      'auth-type-code-enabled': false,
      'auth-type-token-enabled': false,
      'auth-type-id-token-enabled': false,
      'auth-type-none-enabled': false,
      'auth-type-password-enabled': false,
      'auth-type-device-enabled': false,
      'auth-type-refresh-enabled': false,
      // The two that let a client prove itself with a key.
      'request-parameter-allow': true,
      'client-jwks-parameter': 'jwks',
      'introspection-revocation-allowed': true,
      'introspection-revocation-allow-target-client': true,
      'introspection-revocation-auth-scope': [introspecting],
      'register-client-allowed': true,
      'register-client-management-allowed': true,
      'register-client-auth-scope': [registering],
      'register-client-credentials-scope': scopes,
      'resource-allowed': true,
      'resource-scope': Object.fromEntries(scopes.map((scope) => [scope, audiences])),
      'resource-client-property': '',
      'resource-scope-and-client-property': false,
    },
  });
  for (const { id, secret, scope } of [registrar, auditor]) {
    await admin.post('/client/', {
      ...madeByHand(id),
      client_secret: secret,
      token_endpoint_auth_method: ['client_secret_basic'],
      scope: [scope],
    });
  }
}

const madeByHand = (id: string) => ({
  client_id: id,
  name: id,
  enabled: true,
  confidential: true,
  authorization_type: ['client_credentials'],
  redirect_uri: [],
});

/** What its administrator sees and does. */
export class Glewlwyd {
  readonly issuer: string;
  readonly caPem: string;
  readonly caFile: string;
  readonly logFile: string;
  readonly #server: Server;
  #asking: { readonly authorization: string; readonly until: number } | undefined;

  constructor(server: Server) {
    this.#server = server;
    this.issuer = `${server.origin}/api/${plugin}`;
    ({ caPem: this.caPem, caFile: this.caFile, logFile: this.logFile } = server);
  }

  /** An access token with which clients are registered; it lives as long as any other. */
  registrationToken(): Promise<string> {
    return this.#tokenOf(registrar);
  }

  client(clientId: string): Promise<Representation> {
    return this.#server.admin.get(`/client/${encodeURIComponent(clientId)}`);
  }

  /** Ids of the clients that were registered. */
  async clientIds(): Promise<readonly string[]> {
    const all = await this.#server.admin.get<readonly Representation[]>('/client/?limit=1000');
    return all.map(({ client_id: id }) => id).filter((id) => id !== registrar.id && id !== auditor.id);
  }

  /** Ids of the keys with which this client may authenticate. */
  async keyIdsOf(clientId: string): Promise<readonly string[]> {
    const { jwks } = (await this.client(clientId)) as { readonly jwks?: { readonly keys: readonly { kid: string }[] } };
    return (jwks?.keys ?? []).map(({ kid }) => kid);
  }

  /** A client that the administrator makes by hand, for the client credentials grant. */
  async addClient(clientId: string, what: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#server.admin.post('/client/', { ...madeByHand(clientId), ...what });
  }

  async editClient(clientId: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    const client = await this.client(clientId);
    await this.#server.admin.put(`/client/${encodeURIComponent(clientId)}`, { ...client, ...change });
  }

  removeClient(clientId: string): Promise<void> {
    return this.#server.admin.delete(`/client/${encodeURIComponent(clientId)}`);
  }

  /** RFC 7662, asked by a resource server. */
  async isLive(token: string): Promise<boolean> {
    return (await this.#call('introspect', await this.#asAuditor(), { token }))['active'] === true;
  }

  stop(): Promise<void> {
    return this.#server.remove();
  }

  /** A token of the auditor serves many questions, because the tokens of this server may live no longer than a minute. */
  async #asAuditor(): Promise<string> {
    if (this.#asking === undefined || Date.now() >= this.#asking.until) {
      this.#asking = { authorization: `Bearer ${await this.#tokenOf(auditor)}`, until: Date.now() + 20_000 };
    }
    return this.#asking.authorization;
  }

  async #tokenOf({ id, secret, scope }: typeof registrar): Promise<string> {
    const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    const answer = await this.#call('token', authorization, { grant_type: 'client_credentials', scope });
    return String(answer['access_token']);
  }

  async #call(
    endpoint: string,
    authorization: string,
    form: Record<string, string>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { status, body } = await this.#server.admin.request('POST', `/api/${plugin}/${endpoint}`, {
      headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    if (status !== 200) throw new Error(`${endpoint} of Glewlwyd: ${status} ${body.slice(0, 200)}`);
    return JSON.parse(body) as Record<string, unknown>;
  }
}
