/** How a resource server checks a token of ours. The README shows this file. */
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';

export interface Trust {
  /** The issuer, as the pool names it. */
  readonly issuer: string;
  /** What this resource server is called in `ceiling.audiences`. */
  readonly audience: string;
  /** Of its own client at the issuer, with which it may introspect. */
  readonly clientId: string;
  readonly clientSecret: string;
}

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

// #region validate
/** By JWKS, for JWTs: no call to the issuer for each request; a revoked token is accepted until it expires. */
export async function byJwks(trust: Trust, fetch: Fetch) {
  const { jwks_uri } = await metadataOf(trust.issuer, fetch);
  const keys = createRemoteJWKSet(new URL(jwks_uri), { [customFetch]: fetch });
  return async (token: string): Promise<readonly string[]> => {
    const { issuer, audience } = trust;
    const { payload } = await jwtVerify<{ scope?: string | readonly string[] }>(token, keys, {
      issuer,
      audience,
      requiredClaims: ['exp', 'sub'],
    });
    // Text by RFC 9068; a list at some products.
    return [payload.scope ?? ''].flat().join(' ').split(' ');
  };
}

/** By introspection (RFC 7662), for JWTs and opaque tokens: one call for each request; a revoked token is refused at once. */
export async function byIntrospection(trust: Trust, fetch: Fetch) {
  const { introspection_endpoint } = await metadataOf(trust.issuer, fetch);
  const basic = Buffer.from(`${encodeURIComponent(trust.clientId)}:${encodeURIComponent(trust.clientSecret)}`);
  return async (token: string): Promise<readonly string[]> => {
    const answer = await fetch(introspection_endpoint, {
      method: 'POST',
      headers: { authorization: `Basic ${basic.toString('base64')}` },
      body: new URLSearchParams({ token }),
    });
    const found = (await answer.json()) as { active?: boolean; scope?: string; aud?: string | string[] };
    if (found.active !== true) throw new Error('the token is not active');
    if (![found.aud ?? []].flat().includes(trust.audience)) throw new Error('the token is for another audience');
    return (found.scope ?? '').split(' ');
  };
}
// #endregion

async function metadataOf(issuer: string, fetch: Fetch) {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  return (await answer.json()) as { readonly jwks_uri: string; readonly introspection_endpoint: string };
}
