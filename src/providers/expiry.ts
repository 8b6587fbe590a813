import { X509Certificate } from 'node:crypto';
import { decodeJwt } from 'jose';
import { type Instant, earliest, instant, minute, parseHttpDate, plus, second } from '../clock.ts';
import { latestEpochSeconds } from './fields.ts';
import type { ClientAnswer } from './port.ts';

/** What an issuer depends on that can expire. */
export type Expiring = 'RegistrationToken' | 'ManagementToken' | 'CaBundle' | 'TlsCertificate';

/** `read`, but not again while the text stays the same: every look at a pool asks. */
export function remembering<T>(read: (text: string | undefined) => T): (text: string | undefined) => T {
  let last: { readonly text: string | undefined; readonly value: T } | undefined;
  return (text) => {
    if (last === undefined || last.text !== text) last = { text, value: read(text) };
    return last.value;
  };
}

const blocks = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** When the first certificate of a PEM bundle expires; `undefined` where it holds none that can be read. */
export function bundleExpiry(pem: string | undefined): Instant | undefined {
  return earliest(...[...(pem ?? '').matchAll(blocks)].map(([block]) => certificateExpiry(block)));
}

function certificateExpiry(pem: string): Instant | undefined {
  try {
    return parseHttpDate(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** `exp` of a token that is a JWT (an initial access token of Keycloak is); not verified, for it is our own credential. */
export function tokenExpiry(token: string | undefined): Instant | undefined {
  try {
    const { exp } = decodeJwt(token ?? '');
    return exp === undefined || exp === 0 ? undefined : instant(exp * second);
  } catch {
    return undefined;
  }
}

/**
 * Seconds since the epoch by the provider's clock; 0 is never (RFC 7591 §3.2.1). What is no plausible number of seconds is ignored, and told. A
 * secret that was given just now and expired long ago was meant otherwise (a duration, perhaps): believed, it would be replaced again and again.
 */
export function secretExpiry(
  said: number | string | undefined,
  now: Instant,
  providerNow: Instant,
): Pick<ClientAnswer, 'secretExpiresAt' | 'secretExpiryIgnored'> {
  if (said === undefined || said === 0) return {};
  if (typeof said === 'string') return { secretExpiryIgnored: 'Text' };
  if (said >= latestEpochSeconds) return { secretExpiryIgnored: 'TooLarge' };
  const at = plus(instant(said * second), now - providerNow);
  return at > plus(now, minute) ? { secretExpiresAt: at } : { secretExpiryIgnored: 'Past' };
}
