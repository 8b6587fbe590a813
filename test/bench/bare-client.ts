/** What every floor sends as an OAuth client with keys: its metadata, and what proves it at the provider's endpoints. */
import { type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import type { Pool } from 'undici';
import { expectStatus } from './api.ts';

/** Body of a bare registration (RFC 7591) or update (RFC 7592). `keys`: the public halves, each with its `kid`. */
export function bareMetadata(
  name: string,
  scopes: readonly string[],
  keys: readonly (JsonWebKey & { readonly kid: string })[],
): object {
  return {
    client_name: name,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    scope: scopes.join(' '),
    jwks: { keys: keys.map((key) => ({ ...key, alg: 'ES256', use: 'sig' })) },
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

export interface BareBody {
  readonly type: string;
  readonly body: string;
  readonly bearer?: string;
}

/** Metadata of a client, with what permits to send them. */
export function json(metadata: object, bearer: string): BareBody {
  return { type: 'application/json', body: JSON.stringify(metadata), bearer };
}

export function form(parameters: Readonly<Record<string, string>>, of: BareCredential): BareBody {
  return { type: 'application/x-www-form-urlencoded', body: authenticatedForm(parameters, of) };
}

/** The answer as an object, an empty one where it has no body; throws where it is none of success. */
export async function askedBare(
  provider: Pool,
  method: 'POST' | 'PUT',
  path: string,
  { type, body, bearer }: BareBody,
): Promise<Readonly<Record<string, unknown>>> {
  const authorization = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  const headers = { 'content-type': type, accept: 'application/json', ...authorization };
  const answer = await provider.request({ method, path, headers, body });
  const text = expectStatus(path, { status: answer.statusCode, text: await answer.body.text() }, 200, 201);
  return text === '' ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>);
}
