/** What a token endpoint answered → `Minted`: parsed, not judged, nothing trusted (RFC 6749 §5.1). */
import { sha256 } from '../../digest.ts';
import type { JwtFacts, Minted } from '../../domain/token.ts';
import { OperatorError } from '../../errors.ts';
import { Redacted } from '../../redacted.ts';
import { misbehaves, type Where } from '../classify.ts';
import { epochSeconds, parseJsonObject, strings, text, withoutUndefined, words } from '../fields.ts';
import type { HttpAnswer } from '../http.ts';

/** Characters of the longest token that is delivered: headers of 16 KiB are what common servers still accept. */
const longestToken = 16_384;
/** `expires_in` beyond this is no lifetime but a mistake: ten years. */
const longestLife = 315_360_000;

/**
 * Throws `Transient` `ProviderMisbehaves` for what is no token answer, `Terminal` `TokenUnusable` for a token that no HTTP header can carry.
 * A lifetime that is not a positive number of seconds is left out. `tokenIssuer`: whom its JWTs name as their issuer.
 */
export function parseTokenAnswer(answer: HttpAnswer, where: Where, tokenIssuer = where.issuer): Minted {
  const body = parseJsonObject(answer.body);
  if (body === undefined) throw misbehaves('Token', where, `${answer.status} without a JSON object`, 'Issuer');
  const value = body['access_token'];
  if (typeof value !== 'string') throw misbehaves('Token', where, `${answer.status} without an access token`);
  if (value.length > longestToken || !/^[\u0021-\u007e]+$/.test(value)) {
    const message =
      `issuer ${where.issuer} – the token that the provider gives is empty, has characters that no header can carry, or has more than ` +
      `${longestToken} of them. Change the kind of access token at the provider.`;
    throw new OperatorError({ class: 'Terminal', reason: 'TokenUnusable', message });
  }
  const claims = jwtClaims(value);
  // Names of what was granted stand in sentences that everybody reads.
  const secrets = [value, ...(where.secrets ?? [])].filter((secret) => secret.length >= 8);
  const named = (name: string): string => (secrets.some((secret) => name.includes(secret)) ? '[redacted]' : name);
  const scopes = [body['scope'], claims?.['scope'], claims?.['scp']];
  return {
    value: new Redacted(value),
    sha256: sha256(value),
    tokenType: /^[A-Za-z_-]{1,16}$/.exec(text(body['token_type']) ?? '')?.[0] ?? 'unknown',
    ...withoutUndefined({
      expiresIn: lifetime(body['expires_in']),
      scopes: scopesIn(...scopes)?.map(named),
      scopesUnreadable: scopes.some(isUnreadable) || undefined,
      // A JWT that names no audience is for none: only an opaque token leaves it open.
      audiences: claims === undefined ? undefined : (strings(claims['aud'] ?? []) ?? []).map(named),
      jwt: claims && jwtFacts(claims, tokenIssuer, named),
      subject: text(claims?.['sub']),
      providerTime: answer.providerTime,
    }),
  };
}

/** The union: a token gives what any of them names. */
function scopesIn(...said: readonly unknown[]): readonly string[] | undefined {
  const readable = said.map((scope) => words(scope) ?? strings(scope)).filter((scopes) => scopes !== undefined);
  return readable.length === 0 ? undefined : [...new Set(readable.flat())];
}

/** `null` is how some products write that they say nothing. */
function isUnreadable(scope: unknown): boolean {
  return scope !== undefined && scope !== null && strings(scope) === undefined;
}

function jwtFacts(
  claims: Readonly<Record<string, unknown>>,
  tokenIssuer: string,
  named: (name: string) => string,
): JwtFacts {
  const issuer = text(claims['iss']);
  return withoutUndefined({
    exp: epochSeconds(claims['exp']),
    notBefore: epochSeconds(claims['nbf']),
    issuedAt: epochSeconds(claims['iat']),
    scopes: scopesIn(claims['scope'], claims['scp'])?.map(named),
    isBound: (claims['cnf'] !== undefined && claims['cnf'] !== null) || undefined,
    foreignIssuer: issuer === undefined || issuer === tokenIssuer ? undefined : named(issuer),
  });
}

function lifetime(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && seconds >= 1 && seconds <= longestLife ? Math.floor(seconds) : undefined;
}

/** Claims of a JWS in compact form; `undefined` for opaque and encrypted tokens. The signature is not checked: nothing is granted by them. */
export function jwtClaims(token: string): Readonly<Record<string, unknown>> | undefined {
  const [header = '', payload = '', ...more] = token.split('.');
  // Opaque tokens end here: parsing what is no JSON costs more than the rest of the answer.
  if (more.length !== 1) return undefined;
  return typeof decode(header)?.['alg'] === 'string' ? decode(payload) : undefined;
}

/** Whether a resource server may read it without asking the provider: a JWT, signed or encrypted to that server (JWE, RFC 7516 §3.1). */
export function isSelfContained(token: string): boolean {
  const [header = '', ...more] = token.split('.');
  return more.length === 4 ? typeof decode(header)?.['enc'] === 'string' : jwtClaims(token) !== undefined;
}

function decode(part: string): Readonly<Record<string, unknown>> | undefined {
  return /^[\w-]+$/.test(part) ? parseJsonObject(Buffer.from(part, 'base64url').toString('utf8')) : undefined;
}
