/** Private keys that an administrator made: PKCS #8, PKCS #1 and SEC 1 in PEM (RFC 7468), or one JWK (RFC 7517). */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Instant } from '../../clock.ts';
import type { Credential } from '../../domain/client/credential.ts';
import { Redacted } from '../../redacted.ts';
import { epochSeconds, parseJsonObject, text as textOf } from '../fields.ts';

/** `problem`: the end of a sentence that begins with where the key was found. It never quotes the text. */
export type ReadKey = { readonly credential: Credential; readonly expiresAt?: Instant } | { readonly problem: string };

const leastRsaBits = 2_048;
const curves: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
/** RS256 first: it is what a client registered by hand expects, unless somebody chose otherwise. */
const rsaAlgorithms = ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'];
const edwardsAlgorithms = ['EdDSA', 'Ed25519'];

/** @param supported Algorithms that the provider verifies; `undefined`: not known yet. */
export function readPrivateKey(text: string, supported: readonly string[] | undefined): ReadKey {
  const trimmed = text.trim();
  if (trimmed === '') return { problem: 'is empty' };
  if (trimmed.startsWith('{')) return readJwk(trimmed, supported);
  if (!trimmed.includes('-----BEGIN ')) {
    return {
      problem:
        'is neither a private JWK nor PEM; for a client secret set spec.client.authentication to ClientSecretBasic or ClientSecretPost',
    };
  }
  const found = trimmed.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----/g)?.length ?? 0;
  if (found === 0) return { problem: 'holds no private key, only its public half' };
  if (found > 1) return { problem: `holds ${found} private keys; store the one that is to be used` };
  if (trimmed.includes('ENCRYPTED')) return { problem: 'holds a key behind a passphrase; store it without one' };
  const key = importKey({ key: trimmed, format: 'pem' });
  return key === undefined ? { problem: 'holds PEM that cannot be read' } : credentialOf(key, undefined, {}, supported);
}

function readJwk(text: string, supported: readonly string[] | undefined): ReadKey {
  const jwk = parseJsonObject(text);
  if (jwk === undefined) return { problem: 'begins like a JWK and is no JSON' };
  if (Array.isArray(jwk['keys'])) return { problem: 'holds a set of keys; store the one private JWK' };
  if (jwk['kty'] === 'oct') return { problem: 'holds a symmetric key; PrivateKeyJwt needs a key pair' };
  if (jwk['d'] === undefined) return { problem: 'holds no private key, only its public half' };
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return { problem: 'holds a key that is not for signing (use)' };
  const key = importKey({ key: jwk as JsonWebKey, format: 'jwk' });
  if (key === undefined) return { problem: 'holds a JWK that cannot be read' };
  return credentialOf(key, textOf(jwk['alg']), jwk, supported);
}

function credentialOf(
  key: KeyObject,
  named: string | undefined,
  jwk: Readonly<Record<string, unknown>>,
  supported: readonly string[] | undefined,
): ReadKey {
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < leastRsaBits)
    return { problem: `holds an RSA key of ${bits} bits; 2,048 are the least` };
  const fitting = algorithmsOf(key);
  if (fitting.length === 0) return { problem: 'holds a key of a kind that no provider verifies; take EC P-256 or RSA' };
  if (named !== undefined && !fitting.includes(named))
    return { problem: 'names an algorithm (alg) that does not go with its key' };
  const usable = fitting.filter((algorithm) => supported?.includes(algorithm) ?? true);
  const alg = named ?? usable[0] ?? fitting[0] ?? '';
  const kid = textOf(jwk['kid']);
  const names = { alg, use: 'sig', ...(kid === undefined ? {} : { kid }), ...thumbprintsIn(jwk) };
  const expiresAt = epochSeconds(jwk['exp']);
  return {
    credential: {
      type: 'PrivateKeyJwt',
      ...(kid === undefined ? {} : { kid }),
      alg,
      publicJwk: { ...(createPublicKey(key).export({ format: 'jwk' }) as Record<string, string>), ...names },
      privateJwk: new Redacted(JSON.stringify({ ...key.export({ format: 'jwk' }), ...names })),
    },
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

/** By which some providers (Entra ID) find the certificate that they know of the client (RFC 7517 §4.8, §4.9). */
export function thumbprintsIn(jwk: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const found = ['x5t', 'x5t#S256'].flatMap((name) => {
    const value = textOf(jwk[name]);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

function algorithmsOf(key: KeyObject): readonly string[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return rsaAlgorithms;
    case 'ed25519':
      return edwardsAlgorithms;
    case 'ec': {
      const algorithm = curves[key.asymmetricKeyDetails?.namedCurve ?? ''];
      return algorithm === undefined ? [] : [algorithm];
    }
    default:
      return [];
  }
}

/** What the importer or the parser says may quote the key. */
function importKey(input: Parameters<typeof createPrivateKey>[0]): KeyObject | undefined {
  try {
    return createPrivateKey(input);
  } catch {
    return undefined;
  }
}
