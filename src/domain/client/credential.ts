import type { Instant } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';

export type AuthenticationMethod = 'PrivateKeyJwt' | 'ClientSecretBasic' | 'ClientSecretPost';

/** Public half of a key, as it goes into a client's JWKS (RFC 7517). */
export type PublicJwk = Readonly<Record<string, string>>;

/** Text instead of a number; a moment that had passed already when the secret came (a duration?); one that is far too late (milliseconds?). */
export type IgnoredExpiry = 'Text' | 'Past' | 'TooLarge';

/** How a client proves itself to the token endpoint. */
export type Credential =
  | {
      readonly type: 'PrivateKeyJwt';
      /** Absent where an administrator's key names none: the provider then tries every key that it knows of the client. */
      readonly kid?: string;
      readonly alg: string;
      readonly publicJwk: PublicJwk;
      /** Private JWK as JSON text. */
      readonly privateJwk: Redacted<string>;
    }
  | {
      readonly type: 'ClientSecretBasic' | 'ClientSecretPost';
      /** Absent until the provider has answered with one. */
      readonly secret?: Redacted<string>;
      /** What the provider said of its expiry and nobody can go by, so that it counts as none. */
      readonly expiryIgnored?: IgnoredExpiry;
      /** RFC 7591 `client_secret_expires_at`; absent: never. */
      readonly expiresAt?: Instant;
    };

/** When it expires, where it is a secret of which the provider says so. */
export function secretExpiresAt(credential: Credential | undefined): Instant | undefined {
  return credential === undefined || credential.type === 'PrivateKeyJwt' ? undefined : credential.expiresAt;
}
