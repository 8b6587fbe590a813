/** What every floor sends as an OAuth client with one key: its metadata, and what proves it at the provider's endpoints. */
import { type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto';

/** Body of a bare registration (RFC 7591). `key`: the public half. */
export function bareMetadata(name: string, scopes: readonly string[], key: JsonWebKey, kid: string): object {
  return {
    client_name: name,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    scope: scopes.join(' '),
    jwks: { keys: [{ ...key, kid, alg: 'ES256', use: 'sig' }] },
  };
}

export interface BareCredential {
  readonly issuer: string;
  readonly clientId: string;
  readonly kid: string;
  readonly key: KeyObject;
}

/** Form of a request to the token or the revocation endpoint, authenticated as RFC 7523 §3 says. */
export function authenticatedForm(parameters: Readonly<Record<string, string>>, of: BareCredential): string {
  return new URLSearchParams({
    ...parameters,
    client_id: of.clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion(of),
  }).toString();
}

function assertion({ issuer, clientId, kid, key }: BareCredential): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat, nbf: iat, exp: iat + 60 };
  const signed = `${encode({ alg: 'ES256', kid })}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
