/** How a client proves itself: keys (RFC 7523 `private_key_jwt`) and secrets (RFC 6749 §2.3.1). */
import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { type ClientAuth, ClientSecretPost, modifyAssertion, PrivateKeyJwt } from 'openid-client';
import { type Instant, second } from '../../clock.ts';
import type { AuthenticationMethod, Credential } from '../../domain/client/credential.ts';
import { OperatorError } from '../../errors.ts';
import { Redacted } from '../../redacted.ts';
import type { Metadata } from './discovery.ts';
import { thumbprintsIn } from './private-key.ts';
import type { AssertionAudience } from './profile.ts';

/** Best first. ES256 is small and the one that nearly every server verifies. */
const algorithms = ['ES256', 'PS256', 'RS256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'] as const;

/** The algorithm for new keys. Works without metadata, because a key is made before the provider is asked. */
export function chooseAlgorithm(supported: readonly string[] | undefined): string {
  return algorithms.find((algorithm) => supported?.includes(algorithm) ?? true) ?? algorithms[0];
}

export type GeneratedKey = Credential & { readonly type: 'PrivateKeyJwt'; readonly kid: string };

/** A new key pair; `kid` is the thumbprint (RFC 7638). Pure computation, no call. */
export async function generateKey(algorithm: string): Promise<GeneratedKey> {
  const pair = await generateKeyPair(algorithm, { extractable: true, modulusLength: 3_072 });
  const open = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(open);
  const closed = await exportJWK(pair.privateKey);
  const publicJwk = { ...(open as Record<string, string>), kid, alg: algorithm, use: 'sig' };
  return {
    type: 'PrivateKeyJwt',
    kid,
    alg: algorithm,
    publicJwk,
    privateJwk: new Redacted(JSON.stringify({ ...closed, kid, alg: algorithm, use: 'sig' })),
  };
}

/** Methods that the provider's metadata offers; everything that we can do where it does not say. */
export function supportedMethods(metadata: Metadata | undefined): ReadonlySet<AuthenticationMethod> {
  const all = {
    PrivateKeyJwt: 'private_key_jwt',
    ClientSecretBasic: 'client_secret_basic',
    ClientSecretPost: 'client_secret_post',
  };
  const offered = metadata?.authenticationMethods;
  const names = Object.entries(all) as [AuthenticationMethod, string][];
  return new Set(names.filter(([, name]) => offered?.includes(name) ?? true).map(([method]) => method));
}

/** Seconds that an assertion is good for; several servers refuse more. */
const assertionLifetime = 60;

/** Puts into form or headers of a request what proves the client. openid-client's type does not say that signing takes its time. */
type Authenticated = (...request: Parameters<ClientAuth>) => void | Promise<void>;

/**
 * How a request authenticates as this credential at `endpoint`. `now`: by the provider's clock. Throws
 * `Terminal` `CredentialRefused` for a credential that cannot be used.
 */
export async function authenticate(
  credential: Credential,
  assertionAudience: AssertionAudience,
  metadata: Metadata,
  endpoint: string,
  now: Instant,
): Promise<Authenticated> {
  if (credential.type === 'PrivateKeyJwt') {
    const key = await importPrivateKey(credential, metadata.issuer);
    const audiences = { Issuer: metadata.issuer, TokenEndpoint: metadata.tokenEndpoint, CalledEndpoint: endpoint };
    return PrivateKeyJwt(credential.kid === undefined ? key : { key, kid: credential.kid }, {
      [modifyAssertion]: (header, payload) => {
        Object.assign(header, thumbprintsIn(credential.publicJwk));
        const iat = Math.floor(now / second);
        Object.assign(payload, { aud: audiences[assertionAudience], iat, nbf: iat, exp: iat + assertionLifetime });
      },
    });
  }
  if (credential.secret === undefined) throw unusable(metadata.issuer, 'it has no client secret');
  const secret = credential.secret.reveal();
  return credential.type === 'ClientSecretBasic' ? secretBasic(secret) : ClientSecretPost(secret);
}

/** Each half is encoded as a form is (RFC 6749 §2.3.1), and not more: at a server that forgets to decode, openid-client's `%2D` is another client. */
function secretBasic(secret: string): Authenticated {
  const encoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);
  return (_server, client, _form, headers) => {
    headers.set('authorization', `Basic ${btoa(`${encoded(client.client_id)}:${encoded(secret)}`)}`);
  };
}

/** Importing costs nearly as much as signing, so it is done once for as long as the credential is in memory. */
const importedKeys = new WeakMap<Credential, CryptoKey>();

async function importPrivateKey(
  credential: Credential & { type: 'PrivateKeyJwt' },
  issuer: string,
): Promise<CryptoKey> {
  const known = importedKeys.get(credential);
  if (known !== undefined) return known;
  try {
    const imported = await importJWK(JSON.parse(credential.privateJwk.reveal()) as JWK, credential.alg);
    if (!(imported instanceof Uint8Array)) {
      importedKeys.set(credential, imported);
      return imported;
    }
  } catch {
    // What the parser or importer says may quote the key.
  }
  throw unusable(issuer, 'its private key cannot be read');
}

function unusable(issuer: string, why: string): OperatorError {
  const message = `issuer ${issuer}: the stored credential of the client cannot be used, because ${why}. Rotate the pool.`;
  return new OperatorError({ class: 'Terminal', reason: 'CredentialRefused', message });
}
