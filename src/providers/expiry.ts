import { X509Certificate } from 'node:crypto';
import { decodeJwt } from 'jose';
import { type Instant, earliest, instant, parseHttpDate, second } from '../clock.ts';

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
