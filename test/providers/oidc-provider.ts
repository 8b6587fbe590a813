/**
 * A real oidc-provider 9.13 over TLS in this process, with counters, faults and a look at its insides for auditors.
 * It really keeps clients and tokens; only what `faults` says is a lie.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Provider, { errors, type IssuedToken } from 'oidc-provider';
import { makeServerCertificate, renewServerCertificate } from './certificates.ts';
import { faultMiddleware, Faults, Stats } from './oidc-provider-faults.ts';
import { expiringSecrets, Store } from './oidc-provider-store.ts';
import { inTimeOf } from './own-clock.ts';

export interface OidcProviderOptions {
  readonly port?: number;
  /** The address to listen on; default 127.0.0.1. */
  readonly address?: string;
  /** The host in the issuer URL; default `address`. */
  readonly host?: string;
  /** Names and addresses in the certificate besides `host`; default 127.0.0.1 and localhost. */
  readonly names?: readonly string[];
  /** Scopes that the provider knows; default `artifacts:publish artifacts:read deploy:staging`. */
  readonly scopes?: readonly string[];
  /** Resources (audiences) that the provider knows, each with all scopes; default one. */
  readonly resources?: readonly string[];
  /** Lifetime of an access token in seconds; default 300. */
  readonly tokenTtl?: number;
  readonly tokenFormat?: 'opaque' | 'jwt';
  /** Default true: every PUT gives a new registration access token and kills the old one. */
  readonly rotateManagementToken?: boolean;
  /** Default true: `software_id` is kept and answered. A stock oidc-provider drops it. */
  readonly keepSoftwareId?: boolean;
  /** Keep certificate and state here and find them again at the next start; default a temporary directory, removed by `stop`. */
  readonly dir?: string;
  /** Sign the server certificate to live this many days; negative: already expired. */
  readonly certificateDays?: number;
  /** Milliseconds that its clock is ahead of this machine's; absent: it has none of its own, whatever the settings say. */
  readonly clockOffset?: number;
  /** Client secrets expire after so many seconds; default never. */
  readonly secretTtl?: number;
  /** Algorithms of client assertions that it verifies; default those of oidc-provider. */
  readonly keyAlgorithms?: readonly string[];
  /** Everything in the metadata document that shall differ from what oidc-provider says. */
  readonly discovery?: Readonly<Record<string, unknown>>;
}

export interface ProviderClient {
  readonly clientId: string;
  readonly name?: string;
  readonly softwareId?: string;
  readonly scopes: readonly string[];
  readonly authentication: string;
  readonly grantTypes: readonly string[];
  readonly kids: readonly string[];
}

export interface LiveToken {
  readonly value: string;
  readonly sha256: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly audience?: string;
  /** Epoch seconds. */
  readonly exp: number;
}

/** What a test may change while the provider runs. */
export interface OidcProviderSettings {
  tokenTtl: number;
  clockOffset: number;
  rotateManagementToken: boolean;
  /** The only audience that assertions of clients may have, as where a proxy gives the provider another name; absent: what the library takes. */
  assertionAudience?: string;
}

export interface OidcProvider {
  readonly issuer: string;
  readonly settings: OidcProviderSettings;
  readonly caPem: string;
  readonly caFile: string;
  readonly initialAccessToken: string;
  readonly stats: Stats;
  readonly faults: Faults;
  clients(): readonly ProviderClient[];
  /** Opaque tokens that the provider would still honour. JWTs are not kept by it, so they are not listed. */
  liveTokens(): readonly LiveToken[];
  /** Whether it would still honour this opaque token; costs nothing, however many there are. */
  honours(value: string): boolean;
  /** Opaque tokens that were revoked, by whomever. `at`: milliseconds since the epoch. */
  revokedTokens(): readonly { readonly sha256: string; readonly at: number }[];
  /** Every secret that this provider ever gave out: opaque tokens, client secrets, management and initial access tokens, revoked ones too. */
  secrets(): readonly { readonly kind: string; readonly value: string }[];
  /** How many tokens of either format were issued. */
  issued(): number;
  /** Epoch milliseconds of each token that was revoked, in order. */
  revokedAt(): readonly number[];
  /** Ids of clients that were deleted by a request for it (RFC 7592). */
  deregisteredClients(): readonly string[];
  /** Deletes a client behind everybody's back, as an administrator would. */
  removeClient(clientId: string): void;
  /** Revokes an opaque token behind everybody's back. */
  revokeToken(value: string): void;
  /** Changes a client's metadata behind everybody's back. */
  editClient(clientId: string, change: Readonly<Record<string, unknown>>): void;
  /** A client that an administrator registers by hand; the metadata are those of RFC 7591. */
  addClient(clientId: string, metadata: Readonly<Record<string, unknown>>): void;
  /** A new registration access token, as an administrator makes one for a client. */
  newManagementToken(clientId: string): Promise<string>;
  /** An administrator's credential that manages every client and does not rotate. */
  readonly administratorToken: string;
  /** Registration access tokens of this client stop working. */
  loseManagementToken(clientId: string): void;
  /** The initial access token stops working; the answer is a new one. */
  replaceInitialAccessToken(): Promise<string>;
  /** A certificate of the same authority that is good for a month, for connections from now on. */
  renewCertificate(): Promise<void>;
  stop(): Promise<void>;
}

const words = (value: unknown): readonly string[] =>
  typeof value === 'string' && value !== '' ? value.split(' ') : [];

/** oidc-provider's names of what it keeps under the secret value itself. */
const secretModels = ['ClientCredentials', 'RegistrationAccessToken', 'InitialAccessToken'];

const signingKey = (pair: { readonly privateKey: KeyObject }, alg: string): object => ({
  ...pair.privateKey.export({ format: 'jwk' }),
  alg,
  use: 'sig',
});

/** Made once per process: RSA keys are slow. */
let signingKeys: readonly object[] | undefined;

export async function startOidcProvider(options: OidcProviderOptions = {}): Promise<OidcProvider> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'oidc-provider-')));
  await mkdir(dir, { recursive: true });
  const address = options.address ?? '127.0.0.1';
  const host = options.host ?? address;
  const hosts = [...new Set([host, ...(options.names ?? ['127.0.0.1', 'localhost'])])];
  const tls = await makeServerCertificate(dir, hosts, options.certificateDays);

  const server = createServer({ cert: tls.certPem, key: tls.keyPem });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port ?? 0, address, resolve);
  });
  const issuer = `https://${host}:${(server.address() as AddressInfo).port}`;
  const scopes = options.scopes ?? ['artifacts:publish', 'artifacts:read', 'deploy:staging'];
  const resources = options.resources ?? ['https://registry.example.com'];
  const store = new Store(options.dir === undefined ? undefined : join(dir, 'state.json'));
  signingKeys ??= [
    signingKey(generateKeyPairSync('rsa', { modulusLength: 2_048 }), 'RS256'),
    signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'ES256'),
  ];
  const stats = new Stats();
  const faults = new Faults();
  const settings: OidcProviderSettings = {
    tokenTtl: options.tokenTtl ?? 300,
    clockOffset: options.clockOffset ?? 0,
    rotateManagementToken: options.rotateManagementToken ?? true,
  };

  const inItsTime = <T>(work: () => T): T => (options.clockOffset === undefined ? work() : inTimeOf(settings, work));

  const provider = new Provider(issuer, {
    adapter: store.adapter(),
    clients: [],
    cookies: { keys: ['only tests use this'] },
    scopes: [...scopes],
    assertJwtClientAuthClaimsAndHeader: (_ctx: unknown, { aud }: { readonly aud?: unknown }) => {
      if (settings.assertionAudience !== undefined && aud !== settings.assertionAudience)
        throw new errors.CustomOIDCProviderError('invalid_client', 'unexpected "aud" (JWT audience) in the assertion');
    },
    ttl: { ClientCredentials: () => settings.tokenTtl },
    extraClientMetadata: { properties: options.keepSoftwareId === false ? [] : ['software_id'] },
    responseTypes: ['code'],
    jwks: { keys: signingKeys },
    ...(options.keyAlgorithms === undefined
      ? {}
      : { enabledJWA: { clientAuthSigningAlgValues: options.keyAlgorithms } }),
    ...(options.discovery === undefined ? {} : { discovery: options.discovery }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx: unknown, client: { clientId: string }, token: { clientId: string }) =>
          token.clientId === client.clientId,
      },
      registration: { enabled: true, initialAccessToken: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: () => settings.rotateManagementToken },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_ctx: unknown, resource: string) => {
          if (!resources.includes(resource)) throw new errors.InvalidTarget('this resource is not known here');
          return {
            scope: scopes.join(' '),
            audience: resource,
            accessTokenTTL: settings.tokenTtl,
            accessTokenFormat: options.tokenFormat ?? 'opaque',
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
  });
  provider.silent = true;
  let issued = 0;
  provider.on('client_credentials.issued', () => void (issued += 1));
  provider.on('client_credentials.saved', () => void (issued += 1));
  const administratorToken = randomBytes(24).toString('base64url');
  const newManagementToken = async (clientId: string): Promise<string> => {
    const client = await provider.Client.find(clientId);
    if (client === undefined) throw new Error(`no client ${clientId}`);
    return new provider.RegistrationAccessToken({ client }).save();
  };
  // oidc-provider knows tokens of one client only; an administrator's right is turned into one on the way in.
  provider.use(async (ctx, next) => {
    const [, clientId] = /^\/reg\/([^/]+)$/.exec(ctx.path) ?? [];
    const asked = clientId === undefined ? undefined : decodeURIComponent(clientId);
    const isAdministrator = ctx.req.headers.authorization === `Bearer ${administratorToken}`;
    if (isAdministrator && asked !== undefined && store.get('Client', asked) !== undefined) {
      ctx.req.headers.authorization = `Bearer ${await newManagementToken(asked)}`;
    }
    await next();
  });
  const revokedAt: number[] = [];
  provider.on('client_credentials.destroyed', () => void revokedAt.push(Date.now()));
  provider.use(faultMiddleware(faults, stats));
  if (options.secretTtl !== undefined) provider.use(expiringSecrets(store, options.secretTtl));
  const handle = provider.callback();
  server.on('request', (request, response) =>
    inItsTime(() => {
      response.setHeader('date', new Date().toUTCString());
      handle(request, response);
    }),
  );

  const removedByHand = new Set<string>();
  const initialAccessTokens = (): readonly string[] => store.list('InitialAccessToken').map(({ id }) => id);
  const newInitialAccessToken = (): Promise<string> => inItsTime(() => new provider.InitialAccessToken({}).save());

  return {
    issuer,
    settings,
    caPem: tls.caPem,
    caFile: tls.caFile,
    initialAccessToken: initialAccessTokens()[0] ?? (await newInitialAccessToken()),
    stats,
    faults,
    issued: () => issued,
    revokedAt: () => revokedAt,
    secrets: () =>
      store
        .ever()
        .flatMap(({ model, id, payload }) => [
          ...(secretModels.includes(model) ? [{ kind: model, value: id }] : []),
          ...(typeof payload['client_secret'] === 'string'
            ? [{ kind: 'client_secret', value: payload['client_secret'] }]
            : []),
        ]),
    clients: () =>
      store.list('Client').map(({ id, payload }) => ({
        clientId: id,
        ...(typeof payload['client_name'] === 'string' ? { name: payload['client_name'] } : {}),
        ...(typeof payload['software_id'] === 'string' ? { softwareId: payload['software_id'] } : {}),
        scopes: words(payload['scope']),
        authentication: String(payload['token_endpoint_auth_method']),
        grantTypes: payload['grant_types'] as readonly string[],
        kids: ((payload['jwks'] as { keys?: { kid: string }[] } | undefined)?.keys ?? []).map(({ kid }) => kid),
      })),
    liveTokens: () =>
      inItsTime(() => store.list('ClientCredentials')).map(({ id, payload }) => {
        const token = payload as unknown as IssuedToken;
        return {
          value: id,
          sha256: createHash('sha256').update(id).digest('hex'),
          clientId: token.clientId,
          scopes: words(token.scope),
          ...(typeof token.aud === 'string' ? { audience: token.aud } : {}),
          exp: token.exp ?? 0,
        };
      }),
    honours: (value) => inItsTime(() => store.get('ClientCredentials', value)) !== undefined,
    revokedTokens: () =>
      store.deleted('ClientCredentials').map(({ id, at }) => ({
        sha256: createHash('sha256').update(id).digest('hex'),
        at,
      })),
    deregisteredClients: () => store.deleted('Client').flatMap(({ id }) => (removedByHand.has(id) ? [] : [id])),
    removeClient(clientId) {
      removedByHand.add(clientId);
      store.delete('Client', clientId);
    },
    revokeToken: (value) => store.delete('ClientCredentials', value),
    editClient(clientId, change) {
      const entry = store.get('Client', clientId);
      if (entry === undefined) throw new Error(`no client ${clientId}`);
      store.put({ ...entry, payload: { ...entry.payload, ...change } });
    },
    addClient(clientId, metadata) {
      const payload = {
        client_id: clientId,
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        scope: scopes.join(' '),
        ...metadata,
      };
      store.put({ model: 'Client', id: clientId, payload });
    },
    newManagementToken: (clientId) => newManagementToken(clientId),
    administratorToken,
    loseManagementToken(clientId) {
      for (const { id, payload } of store.list('RegistrationAccessToken')) {
        if (payload['clientId'] === clientId) store.delete('RegistrationAccessToken', id);
      }
    },
    async replaceInitialAccessToken() {
      for (const id of initialAccessTokens()) store.delete('InitialAccessToken', id);
      return newInitialAccessToken();
    },
    async renewCertificate() {
      const { certPem, keyPem } = await renewServerCertificate(dir, hosts);
      server.setSecureContext({ cert: certPem, key: keyPem });
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}
