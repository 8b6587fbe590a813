/** What a provider may do to us, as rows: the lie, who tells it, in which words, and what heals it. */
import type { Reason } from '#src/api/reasons.ts';
import type { Fault } from '#test/providers/oidc-provider-faults.ts';
import type { OidcProvider, OidcProviderOptions } from '#test/providers/oidc-provider.ts';

/** Where a person reads it: a condition of the pool or of the identity, or `error.json` of a pod. */
export type Told =
  | {
      readonly on: 'pool' | 'identity';
      readonly type: string;
      readonly status?: string;
      readonly reason: Reason;
      readonly says: RegExp;
    }
  | { readonly on: 'pod'; readonly reason: Reason; readonly says: RegExp; readonly fix?: RegExp };

/** What somebody does, as the sentence says, once the faults are gone. With nothing in it, all is well again by itself. */
export interface Cure {
  /** The pool is given this ceiling. */
  readonly ceiling?: Readonly<Record<string, unknown>>;
  /** Members of the issuer's entry in the configuration are given these values. */
  readonly issuer?: Readonly<Record<string, unknown>>;
  readonly atProvider?: (provider: OidcProvider) => Promise<void>;
  /** A refusal is asked about again after minutes, and at once after the annotation `ci-identity.dev/retry` on the pool. */
  readonly retry?: true;
}

export interface FaultRow {
  /** A DNS label: names pool and identity. */
  readonly name: string;
  readonly title: string;
  /**
   * `Tenant`: one client is in trouble, and a pool beside it at the same provider is spared: a new pod of that one gets its token meanwhile.
   * Absent: the provider as a whole.
   */
  readonly whose?: 'Tenant';
  readonly provider?: OidcProviderOptions;
  /** Members of the issuer's entry in the configuration that differ; with `url`, no provider is started at all. */
  readonly issuer?: { readonly url?: string; readonly [member: string]: unknown };
  readonly ceiling?: Readonly<Record<string, unknown>>;
  readonly faults: readonly Fault[];
  /** What befalls the client at the provider, which tells no lie about it. */
  readonly befalls?: (provider: OidcProvider, clientId: string) => void;
  readonly told: readonly Told[];
  /** The API server refuses the next pod with the sentence of the identity. */
  readonly refusesPods?: true;
  /** Absent: nothing heals it, or what does is shown elsewhere. */
  readonly heals?: Cure;
}

const itself: Cure = {};
const retried: Cure = { retry: true };

const json = (body: object | string, status = 200): NonNullable<Fault['instead']> => ({
  status,
  headers: { 'content-type': 'application/json' },
  body,
});
const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<!doctype html><p>Sign in' } as const;
const big = 'a'.repeat(10_000_000);
const refusedClient = json({ error: 'invalid_client' }, 401);

/** Whatever the token endpoint really said, changed. */
export const token = (change: Readonly<Record<string, unknown>>): Fault => ({
  endpoint: 'token',
  rewrite: ({ status, body }) => (status === 200 ? { body: { ...(body as object), ...change } } : {}),
});
const metadata = (change: Readonly<Record<string, unknown>>): Fault => ({
  endpoint: 'discovery',
  rewrite: ({ body }) => ({ body: { ...(body as object), ...change } }),
});
const pool = (reason: Reason, says: RegExp, type = 'Ready'): Told => ({ on: 'pool', type, reason, says });
/** A registration that was answered so: the next one waits. */
const unusable = (what: string): RegExp =>
  new RegExp(`answered with nothing usable: ${what}\\. .*that nobody uses .* not before .* at once after kubectl`);
/** A refusal of what one identity asks for: the probe finds it as well, and the pod reads it. */
const ask = (reason: Reason, says: RegExp): readonly Told[] => [
  { on: 'identity', type: 'Probed', reason, says },
  { on: 'identity', type: 'Stalled', status: 'True', reason, says },
  { on: 'pod', reason, says, fix: /at the identity provider or in the pool/ },
];

/** From the first call on. */
export const startRows: readonly FaultRow[] = [
  {
    name: 'slow-to-know',
    title: '401 for a minute after registration: waited for, and no second client is registered',
    faults: [{ endpoint: 'token', instead: refusedClient, lasts: 60_000 }],
    told: [
      pool(
        'CredentialUnverified',
        /no credential of the client is proven yet; tokens wait for it/,
        'CredentialCurrent',
      ),
    ],
    heals: itself,
  },
  {
    name: 'other-issuer',
    title: 'discovery names another issuer',
    faults: [metadata({ issuer: 'https://evil.example.com' })],
    told: [pool('ProviderMetadataInvalid', /it names another issuer, and the two must be equal to the letter/)],
    heals: itself,
  },
  {
    name: 'points-elsewhere',
    title: 'discovery points to another host',
    faults: [metadata({ token_endpoint: 'https://evil.example.com/token' })],
    told: [
      pool(
        'ProviderMetadataInvalid',
        /token_endpoint is on another origin than the issuer\. Set the provider's public URL/,
      ),
    ],
    heals: itself,
  },
  {
    name: 'expired',
    title: 'an expired certificate',
    provider: { certificateDays: -1 },
    faults: [],
    told: [pool('TlsInvalid', /CERT_HAS_EXPIRED\): renew it at the provider, and compare the clocks/)],
    heals: { atProvider: (provider) => provider.renewCertificate() },
  },
  {
    name: 'foreign',
    title: 'a certificate of a foreign authority',
    issuer: { caBundleRef: { name: 'issuer-ca', key: 'ca.crt' } },
    faults: [],
    told: [pool('TlsInvalid', /give the certificate authority in caBundleRef of this issuer/)],
    heals: { issuer: { caBundleRef: { name: 'foreign-ca', key: 'ca.crt' } } },
  },
  {
    name: 'html',
    title: 'HTML instead of metadata',
    faults: [{ endpoint: 'discovery', instead: page }],
    told: [pool('ProviderMisbehaves', /metadata document: the answer is not a JSON object/)],
    heals: itself,
  },
  {
    name: 'ten-megabytes',
    title: 'ten megabytes of metadata',
    faults: [{ endpoint: 'discovery', instead: json(`{"a":"${big}"}`) }],
    told: [pool('ProviderMisbehaves', /the answer has more than 1048576 bytes/)],
    heals: itself,
  },
  {
    name: 'endless',
    title: 'metadata that drips and never ends',
    faults: [{ endpoint: 'discovery', endless: { text: ' ', every: 200 } }],
    told: [pool('ProviderUnavailable', /cannot be reached: no answer in time/)],
    heals: itself,
  },
  {
    name: 'redirect',
    title: 'a redirect to another host',
    faults: [{ endpoint: 'discovery', instead: { status: 302, headers: { location: 'https://evil.example.com/' } } }],
    told: [pool('ProviderMisbehaves', /redirects, which is never followed \(302\)/)],
    heals: itself,
  },
  {
    name: 'private',
    title: 'a private address without permission',
    issuer: { allowPrivateNetwork: false },
    faults: [],
    told: [pool('AddressNotAllowed', /127\.0\.0\.1 is private; allowPrivateNetwork of this issuer permits it/)],
    heals: { issuer: { allowPrivateNetwork: true } },
  },
  {
    name: 'private-name',
    title: 'a name of a private address without permission',
    provider: { host: 'localhost' },
    issuer: { allowPrivateNetwork: false },
    faults: [],
    told: [pool('AddressNotAllowed', /is private; allowPrivateNetwork of this issuer permits it/)],
    heals: { issuer: { allowPrivateNetwork: true } },
  },
  {
    name: 'link-local',
    title: 'the address behind which clouds keep machine credentials, even with permission',
    issuer: { url: 'https://169.254.169.254' },
    faults: [],
    told: [pool('AddressNotAllowed', /the address 169\.254\.169\.254 is never called/)],
  },
  {
    name: 'no-proxy',
    title: 'a proxy that does not answer',
    issuer: { proxyUrl: 'http://127.0.0.1:1' },
    faults: [],
    told: [pool('ProviderUnavailable', /the proxy of this issuer \(proxyUrl\) does not answer/)],
    heals: { issuer: { proxyUrl: undefined } },
  },
  {
    name: 'no-audience',
    title: 'an audience that the provider does not know',
    whose: 'Tenant',
    ceiling: { audiences: ['https://elsewhere.example.com'] },
    faults: [],
    told: [
      {
        on: 'identity',
        type: 'Probed',
        reason: 'ScopeRefused',
        says: /refuses the scope or audience \(400 invalid_target.*take it out of the pool/,
      },
    ],
    refusesPods: true,
    heals: { ceiling: { audiences: ['https://registry.example.com'] } },
  },
  {
    name: 'no-registration',
    title: 'no dynamic registration',
    faults: [{ endpoint: 'register', instead: { status: 404 } }],
    told: [
      pool('RegistrationRefused', /Switch dynamic client registration on at the provider, or name an existing client/),
      {
        on: 'pool',
        type: 'Stalled',
        status: 'True',
        reason: 'RegistrationRefused',
        says: /registration endpoint refuses/,
      },
    ],
    heals: retried,
  },
  {
    name: 'registers-html',
    title: 'HTML instead of a registration',
    faults: [{ endpoint: 'register', instead: page }],
    told: [pool('OrphanPossible', unusable('200 without a JSON object'))],
    heals: retried,
  },
  {
    name: 'registers-nameless',
    title: 'a registration without a client id',
    faults: [{ endpoint: 'register', instead: json({ client_name: 'ci' }, 201) }],
    told: [pool('OrphanPossible', unusable('201 without a usable client id'))],
    heals: retried,
  },
  {
    name: 'ok-not-created',
    title: '200 instead of 201: accepted',
    faults: [{ endpoint: 'register', rewrite: ({ status }) => (status === 201 ? { status: 200 } : {}) }],
    told: [pool('Ready', /tokens can be issued/)],
    heals: itself,
  },
  {
    name: 'no-management',
    title: 'no registration access token: tokens are issued, and what waits is said',
    faults: [
      {
        endpoint: 'register',
        rewrite: ({ body }) => ({ body: { ...(body as object), registration_access_token: undefined } }),
      },
    ],
    told: [
      pool('Ready', /tokens can be issued/),
      {
        on: 'pool',
        type: 'Registered',
        status: 'True',
        reason: 'RegistrationAccessTokenLost',
        says: /did not arrive with the answer of the provider: tokens are issued, rotation and deletion wait\. Make a new one at the provider and put it under key client-\w+ of Secret management-tokens/,
      },
    ],
    heals: itself,
  },
  {
    name: 'busy',
    title: '429 with Retry-After at registration',
    faults: [{ endpoint: 'register', instead: { status: 429, headers: { 'retry-after': '2' } } }],
    told: [pool('RateLimited', /registration endpoint asks to wait \(429\)\. The work keeps its place/)],
    heals: itself,
  },
];

/** Once the identity was Ready. */
export const workingRows: readonly FaultRow[] = [
  {
    name: 'client-fails',
    title: '500 for one client',
    whose: 'Tenant',
    faults: [{ endpoint: 'token', instead: { status: 500 } }],
    told: [pool('ProviderUnavailable', /no tokens since .*token endpoint fails \(500\)/)],
    heals: itself,
  },
  {
    name: 'firewall',
    title: 'the page of a firewall that blocks one client',
    whose: 'Tenant',
    faults: [{ endpoint: 'token', instead: { status: 403, body: '<html>blocked</html>' } }],
    told: [pool('ProviderMisbehaves', /no tokens since .*A proxy or firewall seems to stand before the provider/)],
    heals: itself,
  },
  {
    name: 'client-hangs',
    title: 'no answer for one client',
    whose: 'Tenant',
    faults: [{ endpoint: 'token', hang: true }],
    told: [pool('ProviderUnavailable', /no tokens since .*cannot be reached: no answer in time/)],
    heals: itself,
  },
  {
    name: 'client-busy',
    title: '429 with a long Retry-After for one client',
    whose: 'Tenant',
    faults: [{ endpoint: 'token', instead: { status: 429, headers: { 'retry-after': '900' } } }],
    told: [pool('RateLimited', /no tokens since .*asks to wait \(429\).* Next try at /)],
  },
  {
    name: 'client-refused',
    title: '401 for one client',
    whose: 'Tenant',
    faults: [{ endpoint: 'token', instead: refusedClient }],
    told: [
      pool(
        'CredentialRefused',
        /does not let us in, and the likely cause is: it refuses the credential/,
        'Authenticating',
      ),
    ],
  },
  {
    name: 'client-deleted',
    title: 'one client is deleted at the provider',
    whose: 'Tenant',
    faults: [],
    befalls: (provider, clientId) => provider.removeClient(clientId),
    told: [
      pool('ClientGone', /does not let us in, and the likely cause is: the client no longer exists/, 'Authenticating'),
    ],
  },
  {
    name: 'wider',
    title: 'a scope wider than asked: never used, revoked, told',
    whose: 'Tenant',
    faults: [token({ scope: 'artifacts:publish deploy:production' })],
    told: ask(
      'ScopeWider',
      /the provider granted deploy:production, which was not asked for; take it out of the client's default scopes/,
    ),
    refusesPods: true,
    heals: retried,
  },
  {
    name: 'narrower',
    title: 'a scope narrower than asked',
    whose: 'Tenant',
    faults: [token({ scope: '' })],
    told: ask(
      'ScopeNarrower',
      /the provider did not grant artifacts:publish; allow it for this client at the provider/,
    ),
    refusesPods: true,
    heals: retried,
  },
  {
    name: 'no-expiry',
    title: 'a token without expiry',
    whose: 'Tenant',
    faults: [token({ expires_in: undefined })],
    told: ask('LifetimeUnknown', /no usable expires_in; the provider must say in seconds how long its tokens live/),
    heals: retried,
  },
  {
    name: 'absurd',
    title: 'an absurd lifetime',
    whose: 'Tenant',
    faults: [token({ expires_in: 1e12 })],
    told: ask('LifetimeUnknown', /no usable expires_in; the provider must say in seconds how long its tokens live/),
    heals: retried,
  },
  {
    name: 'too-long',
    title: 'a lifetime above the ceiling: the message names what to write, and that heals it',
    whose: 'Tenant',
    faults: [token({ expires_in: 3_600 })],
    told: ask(
      'LifetimeTooLong',
      /tokens live 1h, allowed is 15m; shorten them at the provider, or write 1h into spec\.ceiling\.maxTokenLifetime .*onExceed: RevokeEarly/,
    ),
    refusesPods: true,
    heals: { ceiling: { maxTokenLifetime: '1h' } },
  },
  {
    name: 'not-bearer',
    title: 'a token that is bound to a key',
    whose: 'Tenant',
    faults: [token({ token_type: 'DPoP' })],
    told: ask('TokenUnusable', /not a bearer token \(token_type\); the client must not be bound to DPoP or mTLS/),
    heals: retried,
  },
  {
    name: 'scope-gone',
    title: 'the scope is refused from now on',
    whose: 'Tenant',
    faults: [{ endpoint: 'token', instead: json({ error: 'invalid_scope', error_description: 'not here' }, 400) }],
    told: ask(
      'ScopeRefused',
      /refuses the scope or audience \(400 invalid_scope, "not here"\)\. Allow it for this client/,
    ),
    heals: retried,
  },
  {
    name: 'token-html',
    title: 'HTML instead of a token',
    faults: [{ endpoint: 'token', instead: page }],
    told: [pool('ProviderMisbehaves', /no tokens since .*token endpoint: 200 without a JSON object/)],
    heals: itself,
  },
  {
    name: 'token-big',
    title: 'ten megabytes instead of a token',
    faults: [{ endpoint: 'token', instead: json({ access_token: big }) }],
    told: [pool('ProviderMisbehaves', /no tokens since .*the answer has more than 65536 bytes/)],
    heals: itself,
  },
  {
    name: 'token-endless',
    title: 'a token that never ends',
    faults: [{ endpoint: 'token', endless: { text: 'a'.repeat(1_000), every: 0 } }],
    told: [pool('ProviderMisbehaves', /no tokens since .*the answer has more than 65536 bytes/)],
    heals: itself,
  },
  {
    name: 'token-hangs',
    title: 'a token endpoint that never answers',
    faults: [{ endpoint: 'token', hang: true }],
    told: [pool('ProviderUnavailable', /no tokens since .*cannot be reached: no answer in time/)],
    heals: itself,
  },
  {
    name: 'token-redirect',
    title: 'a token endpoint that redirects to another host',
    faults: [{ endpoint: 'token', instead: { status: 307, headers: { location: 'https://evil.example.com/token' } } }],
    told: [pool('ProviderMisbehaves', /no tokens since .*redirects, which is never followed/)],
    heals: itself,
  },
  {
    name: 'token-fails',
    title: '500 from the token endpoint',
    faults: [{ endpoint: 'token', instead: { status: 500 } }],
    told: [
      pool(
        'ProviderUnavailable',
        /no tokens since .*token endpoint fails \(500\).* Tokens that pods hold stay good until they expire/,
      ),
    ],
    heals: itself,
  },
  {
    name: 'token-cut',
    title: 'connections that are cut',
    faults: [{ dropRequest: true }],
    told: [pool('ProviderUnavailable', /no tokens since .*cannot be reached: the connection was cut/)],
    heals: itself,
  },
  {
    name: 'token-busy',
    title: '429 with Retry-After from the token endpoint',
    faults: [{ endpoint: 'token', instead: { status: 429, headers: { 'retry-after': '3' } } }],
    told: [pool('RateLimited', /no tokens since .*asks to wait \(429\)/)],
    heals: itself,
  },
  {
    name: 'token-busier',
    title: '429 without Retry-After from the token endpoint',
    faults: [{ endpoint: 'token', instead: { status: 429 } }],
    told: [pool('RateLimited', /no tokens since .*asks to wait \(429\)/)],
    heals: itself,
  },
];

export const faultRows: readonly FaultRow[] = [...startRows, ...workingRows];

/** Its provider is away for longer than its tokens live. */
export const outage: FaultRow = {
  name: 'outage',
  title: 'an outage longer than a token lives',
  provider: { tokenTtl: 12 },
  faults: [],
  told: [],
  heals: itself,
};

/** Its registration credential is used up before two more pools want clients. */
export const usedUp: FaultRow = {
  name: 'used-up',
  title: 'a registration credential that is used up',
  whose: 'Tenant',
  faults: [],
  told: [],
};

/** Its provider gives a second pod the token of the first. */
export const shared: FaultRow = { name: 'shared', title: 'the same token for two pods', faults: [], told: [] };

/** Its provider gives tokens of five minutes, of which one is allowed. */
export const early: FaultRow = {
  name: 'early',
  title: 'a lifetime above the ceiling, cut short',
  ceiling: { maxTokenLifetime: '1m', onExceed: 'RevokeEarly' },
  faults: [],
  told: [],
};
