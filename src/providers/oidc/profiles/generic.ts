import { second } from '../../../clock.ts';
import type { AuthenticationMethod } from '../../../domain/client/credential.ts';
import { record, records, strings, text, withoutUndefined, words } from '../../fields.ts';
import type { ClientMetadata, Profile } from '../profile.ts';

const methodNames: Readonly<Record<AuthenticationMethod, string>> = {
  PrivateKeyJwt: 'private_key_jwt',
  ClientSecretBasic: 'client_secret_basic',
  ClientSecretPost: 'client_secret_post',
};

/** For products that ask for one whatever the grant is. Nobody can send a code there: `.invalid` never resolves (RFC 2606 §2). */
export const unusedRedirect = 'https://ci-identity.invalid/unused';

/** A server that follows RFC 7591, 7592, 8414, 8707 and 7523 as they are written; oidc-provider is one. */
export const generic: Profile = {
  name: 'Generic',
  registrationEndpoint: (metadata) => metadata.registrationEndpoint,
  toBody(desired, scopes) {
    const algorithms = new Set(desired.keys.map((key) => key['alg']));
    const [algorithm] = algorithms;
    return {
      ...(desired.clientId === undefined ? {} : { client_id: desired.clientId }),
      client_name: desired.name,
      software_id: desired.tag,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: methodNames[desired.authentication],
      scope: scopes.join(' '),
      ...(desired.keys.length === 0 ? {} : { jwks: { keys: desired.keys } }),
      // One algorithm only: while keys of two algorithms overlap, naming either would shut the other out.
      ...(algorithms.size === 1 && algorithm !== undefined ? { token_endpoint_auth_signing_alg: algorithm } : {}),
    };
  },
  fromBody: readClientMetadata,
  assertionAudience: 'Issuer',
  audienceBy: 'Resource',
  ignoredScopes: [],
  credentialPropagation: 10 * second,
  clientIdBy: 'Provider',
  variants: (authentication) => (authentication.has('PrivateKeyJwt') ? ['TwoKeys', 'NewClient'] : ['NewClient']),
  registrationHint: () => undefined,
};

/** The answer of RFC 7591 §3.2.1 and RFC 7592 §3, with what real servers make of it. */
function readClientMetadata(body: Readonly<Record<string, unknown>>): ClientMetadata {
  const [method] = strings(body['token_endpoint_auth_method']) ?? [];
  return withoutUndefined({
    clientId: text(body['client_id']),
    secret: text(body['client_secret']),
    secretExpiresAt: numberOrText(body['client_secret_expires_at']),
    managementToken: text(body['registration_access_token']),
    managementUri: text(body['registration_client_uri']),
    name: text(body['client_name']),
    tag: text(body['software_id']),
    scopes: words(body['scope']),
    authentication: method,
    grantTypes: strings(body['grant_types']),
    redirects: strings(body['redirect_uris']),
    keys: records(record(body['jwks'])?.['keys']),
    keysUri: text(body['jwks_uri']),
  });
}

function numberOrText(value: unknown): number | string | undefined {
  return typeof value === 'number' ? value : text(value);
}
