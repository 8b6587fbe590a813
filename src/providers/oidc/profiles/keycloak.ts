import { second } from '../../../clock.ts';
import type { AuthenticationMethod } from '../../../domain/client/credential.ts';
import { parseJsonObject, record, records, strings, text, withoutUndefined } from '../../fields.ts';
import type { Profile, WantedScopes } from '../profile.ts';

const authenticators: Readonly<Record<AuthenticationMethod, string>> = {
  PrivateKeyJwt: 'client-jwt',
  ClientSecretBasic: 'client-secret',
  ClientSecretPost: 'client-secret',
};
const methods: Readonly<Record<string, string>> = {
  'client-jwt': 'private_key_jwt',
  'client-secret': 'client_secret_basic',
};
const ownerAttribute = 'ci-identity.owner';

/** Keycloak gives it to every client with a service account; it adds claims about the caller, no scope. */
const builtIn = 'service_account';

function grantTypesIn(serviceAccounts: unknown): readonly string[] | undefined {
  if (typeof serviceAccounts !== 'boolean') return undefined;
  return serviceAccounts ? ['client_credentials'] : [];
}

/** Ours are all optional; a default one was added by somebody, and each token would have it. */
function scopesIn(body: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const { optionalClientScopes: optional, defaultClientScopes: always } = body;
  if (!Array.isArray(optional)) return undefined;
  return strings([...optional, ...(Array.isArray(always) ? always : [])])?.filter((scope) => scope !== builtIn);
}

const lifespan = 'access.token.lifespan';
/** The only algorithm of assertions that is let in; empty, which Keycloak does not keep: any. */
const signingAlgorithm = 'token.endpoint.auth.signing.alg';

/** How a client may be used, and how long its tokens live. */
const ownFlags = [
  'publicClient',
  'standardFlowEnabled',
  'implicitFlowEnabled',
  'directAccessGrantsEnabled',
  'fullScopeAllowed',
] as const;

function settingsIn(body: Readonly<Record<string, unknown>>): Readonly<Record<string, string | boolean>> {
  const flags = ownFlags.flatMap((flag) => {
    const value = body[flag];
    return typeof value === 'boolean' ? [[flag, value] as const] : [];
  });
  const attributes = record(body['attributes']);
  if (attributes === undefined) return Object.fromEntries(flags);
  const life = text(attributes[lifespan]);
  return Object.fromEntries([
    ...flags,
    ...(life === undefined ? [] : [[lifespan, life] as const]),
    [signingAlgorithm, text(attributes[signingAlgorithm]) ?? ''],
  ]);
}

interface RegistrationPolicy {
  /** The name that the policy comes with, or what it says in detail: an administrator may give it another name. */
  readonly says: RegExp;
  step(realm: string, wanted: WantedScopes): string;
}

const clientScopes: RegistrationPolicy = {
  says: /client ?scope/i,
  step(realm, { scopes, carriers }) {
    const each = scopes.length === 0 ? 'each scope of the pool' : `each of ${scopes.join(', ')}`;
    const mappers = carriers.length === 0 ? '' : `, and give ${carriers.join(', ')} a mapper of type Audience`;
    return `In Keycloak make ${each} an optional client scope of ${realm} (Client scopes, Assigned type Optional)${mappers}.`;
  },
};

/** Which policy of the realm refuses a client, and the step; the last row is any that an administrator added. */
const policies: readonly RegistrationPolicy[] = [
  clientScopes,
  {
    says: /max clients|max \d+ clients/i,
    step: (realm) =>
      `In Keycloak delete clients of ${realm} that nobody uses, or raise the limit (Clients, Client registration).`,
  },
  {
    says: /trusted hosts?|host not trusted/i,
    step: (realm) =>
      `In Keycloak let the policy trust the addresses of the operator (Clients of ${realm}, Client registration), or give the issuer an initial access token in registrationTokenRef.`,
  },
  {
    says: /^policy '/i,
    step: (realm) => `In Keycloak let this policy of ${realm} permit it (Clients, Client registration).`,
  },
];

/**
 * Keycloak 26 through `clients-registrations/default`: the same initial access token as the OIDC endpoint takes, but our own client id, a
 * lifespan per client, an owner attribute, and none of the realm's default scopes.
 */
export const keycloak: Profile = {
  name: 'Keycloak',
  registrationEndpoint: (metadata) => `${metadata.issuer.replace(/\/$/, '')}/clients-registrations/default`,
  toBody: (desired, scopes) => ({
    ...(desired.clientId === undefined ? {} : { clientId: desired.clientId }),
    name: desired.name,
    protocol: 'openid-connect',
    publicClient: false,
    serviceAccountsEnabled: true,
    standardFlowEnabled: false,
    implicitFlowEnabled: false,
    directAccessGrantsEnabled: false,
    fullScopeAllowed: false,
    clientAuthenticatorType: authenticators[desired.authentication],
    defaultClientScopes: [],
    optionalClientScopes: scopes,
    attributes: {
      [ownerAttribute]: desired.tag,
      [lifespan]: String(Math.floor(desired.maxTokenLifetime / second)),
      [signingAlgorithm]: '',
      // A URL wins over the keys.
      'use.jwks.url': 'false',
      ...(desired.keys.length === 0
        ? {}
        : { 'use.jwks.string': 'true', 'jwks.string': JSON.stringify({ keys: desired.keys }) }),
    },
  }),
  fromBody(body) {
    const attributes = record(body['attributes']) ?? {};
    const jwks = parseJsonObject(text(attributes['jwks.string']) ?? '');
    return withoutUndefined({
      clientId: text(body['clientId']),
      secret: text(body['secret']),
      managementToken: text(body['registrationAccessToken']),
      name: text(body['name']),
      tag: text(attributes[ownerAttribute]),
      scopes: scopesIn(body),
      authentication: methods[text(body['clientAuthenticatorType']) ?? ''],
      grantTypes: grantTypesIn(body['serviceAccountsEnabled']),
      keys: records(jwks?.['keys']),
      keysUri: attributes['use.jwks.url'] === 'true' ? (text(attributes['jwks.url']) ?? '') : undefined,
      settings: settingsIn(body),
    });
  },
  assertionAudience: 'Issuer',
  audienceBy: 'Scope',
  ignoredScopes: ['email', 'profile'],
  credentialPropagation: 10 * second,
  clientIdBy: 'Us',
  variants: (authentication) => (authentication.has('PrivateKeyJwt') ? ['TwoKeys', 'NewClient'] : ['NewClient']),
  isIdTaken: (error) =>
    error.status === 409 || (error.status === 400 && /client identifier in use/i.test(error.text ?? '')),
  registrationHint(error, issuer, wanted) {
    if (error.status !== 403) return undefined;
    const name = /\/realms\/([^/]+)\/?$/.exec(issuer)?.[1];
    const realm = name === undefined ? 'the realm of this issuer' : `realm ${name}`;
    return (policies.find(({ says }) => says.test(error.text ?? '')) ?? clientScopes).step(realm, wanted);
  },
};
