import type { Redacted } from '../../redacted.ts';

/**
 * The initial access token (RFC 7591). `undefined`: none is configured, registration is open. `Missing`: one is configured and not there, so
 * nothing is registered: a client that a provider makes for anybody may be another one than with the token.
 */
export type RegistrationToken = Redacted<string> | 'Missing' | undefined;

export function knownToken(token: RegistrationToken): Redacted<string> | undefined {
  return token === 'Missing' ? undefined : token;
}
