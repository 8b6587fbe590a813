import { clean } from '../clean.ts';
import { formatDuration, minute, plus, second, toRfc3339 } from '../clock.ts';
import type { Instant, Milliseconds } from '../clock.ts';
import type { Reason } from '../api/reasons.ts';
import type { Redacted } from '../redacted.ts';
import type { Ask } from './access/access.ts';

/** A token that a session was given. `sha256` is of the token's value and names it in records, audit and logs. */
export interface Token {
  readonly sha256: string;
  /** Absent once the token has an `end` and cannot be revoked at this provider (`ExpiryOnly`). */
  readonly value?: Redacted<string>;
  readonly ask: Ask;
  readonly minted: Instant;
  readonly exp: Instant;
  /** The credential generation that minted it: the same one revokes it. */
  readonly generation: number;
  /** The client id that minted it. */
  readonly clientId: string;
  /** Name of the client record that minted it, where that is not the one of the session record any more. */
  readonly client?: string;
  /** `Superseded`: a successor took over; `Forbidden`: no longer allowed. A token with an end never becomes usable again. */
  readonly end?: 'Superseded' | 'Forbidden';
  /** When it got its end. */
  readonly endedAt?: Instant;
  /** Why it is Forbidden; absent in records from before it was kept, and where another version of the operator has said it in a word of its own. */
  readonly endedFor?: Reason;
}

/** `Confirmed`: nobody can use it any more. `Requested`: some may still accept it. `NotSupported`: the provider does not revoke such tokens. */
export type RevocationOutcome = 'Confirmed' | 'Requested' | 'NotSupported';

/** What a token says of itself, as resource servers will read it; what is not readable is left out (RFC 7519 §4.1). */
export interface JwtFacts {
  readonly exp?: Instant;
  readonly notBefore?: Instant;
  /** `iat`: the provider's clock when it signed, which some products date back. */
  readonly issuedAt?: Instant;
  /** What it carries; absent where it says nothing of it. */
  readonly scopes?: readonly string[];
  /** `iss`, where it is not whom the tokens of this provider name. */
  readonly foreignIssuer?: string;
  /** `cnf` (RFC 7800): only who holds a key may use it, whatever `token_type` says. */
  readonly isBound?: true;
}

/** What a token endpoint answered, parsed but not judged (RFC 6749 §5.1). */
export interface Minted {
  readonly value: Redacted<string>;
  readonly sha256: string;
  readonly tokenType: string;
  /** `expires_in` in seconds, if the answer had one. */
  readonly expiresIn?: number;
  /** All that the answer or the token itself names; absent where neither does: then the scope is as asked. */
  readonly scopes?: readonly string[];
  /** The answer or the token says something of the scope that is neither text nor a list of it: what it gives nobody knows. */
  readonly scopesUnreadable?: true;
  /** From the token itself where it is a JWT, empty if that names none; absent for opaque tokens. */
  readonly audiences?: readonly string[];
  /** Absent for opaque tokens. */
  readonly jwt?: JwtFacts;
  readonly subject?: string;
  /** The provider's clock at the answer, from its `Date` header. */
  readonly providerTime?: Instant;
}

/** What is known beside the answer itself; all from the pool and from the provider's profile. */
export interface TokenRules {
  /** Scopes that the provider adds by itself and that give nothing. */
  readonly ignoredScopes: readonly string[];
  /** Scopes that were sent only to carry the audiences of this ask; they may be missing from the answer. */
  readonly carrierScopes: readonly string[];
  /** The ceiling of the pool; the ask's own lifetime may be lower. */
  readonly maxLifetime: Milliseconds;
  readonly onExceed: 'Refuse' | 'RevokeEarly';
  /** `ExpiryOnly`: what lives too long cannot be ended early, so it is refused whatever `onExceed` says. */
  readonly revocation: 'Immediate' | 'IntrospectionOnly' | 'ExpiryOnly';
}

/** `revoke`: the token is worth something to somebody, so it must be revoked before it is forgotten. */
export type CheckedToken =
  | { readonly is: 'Usable'; readonly exp: Instant; readonly scopes: readonly string[]; readonly subject?: string }
  | { readonly is: 'Unusable'; readonly reason: Reason; readonly message: string; readonly revoke: boolean };

/** Providers round to whole seconds and take a moment to answer. */
const lifetimeSlack: Milliseconds = 5 * second;

/** Shorter lives would be over before a pod has the token, and renewing them would keep everybody busy. */
const shortestLife: Milliseconds = 10 * second;
/** What a JWT says of its end is in whole seconds, and the answer was on its way. */
const shortestLeft: Milliseconds = 5 * second;

/** Clocks of providers and resource servers differ by that much. */
const skew: Milliseconds = 60 * second;

/** Where the provider's clock differs from ours by more, how long others accept its tokens is not what it seems. */
const clocksApart: Milliseconds = 10 * minute;

/**
 * Judges what came back against what was asked for (RFC 6749 §5.1). `now` is the moment of the answer. A token that is
 * wider in scope or audience, or lives too long, is never used.
 */
export function checkMinted(asked: Ask, minted: Minted, rules: TokenRules, now: Instant): CheckedToken {
  if (minted.value.reveal() === '') return unusable('TokenUnusable', 'the answer holds no access token', false);
  if (minted.tokenType.toLowerCase() !== 'bearer') {
    return unusable(
      'TokenUnusable',
      'the answer is not a bearer token (token_type); the client must not be bound to DPoP or mTLS',
    );
  }
  return (
    checkScopes(asked, minted, rules) ??
    checkAudiences(asked, minted) ??
    checkJwt(minted, now) ??
    checkLifetime(asked, minted, rules, now)
  );
}

/** Resource servers go by the token, whatever the answer says about it. */
function checkJwt(minted: Minted, now: Instant): CheckedToken | undefined {
  const { jwt } = minted;
  if (jwt === undefined) return undefined;
  const at = clockOf(minted, now);
  if (jwt.isBound === true) {
    return unusable(
      'TokenUnusable',
      'the token is bound to a key (cnf), which no build has; the client must not be bound to DPoP or mTLS',
    );
  }
  if (jwt.foreignIssuer !== undefined) {
    return unusable(
      'TokenUnusable',
      `the token is of the issuer ${clean(jwt.foreignIssuer, 512)} (iss), which is not this one; if that is right, write it into tokenIssuer of this issuer in the operator's configuration`,
    );
  }
  if (jwt.exp === undefined)
    return unusable('LifetimeUnknown', 'the token is a JWT without a usable exp; the provider must put one into it');
  if (Math.abs(at - now) > clocksApart) {
    return unusable(
      'TokenUnusable',
      `the clock of the provider shows ${toRfc3339(at)} and ours ${toRfc3339(now)}, so by the right time the token would live longer than it may, or not at all; compare both clocks with a time server (NTP)`,
    );
  }
  if (jwt.exp <= at)
    return unusable('TokenUnusable', 'the token has expired already (exp); compare the clocks of the provider');
  if (jwt.notBefore !== undefined && jwt.notBefore > plus(at, skew))
    return unusable('TokenUnusable', 'the token is not valid yet (nbf); compare the clocks of the provider');
  return undefined;
}

/**
 * The provider's clock at the answer. Without a `Date` what it signed tells it, but only ahead of ours: an `iat` that is behind may as well be
 * dated back, or the answer may be an old one that something kept.
 */
function clockOf({ providerTime, jwt }: Minted, now: Instant): Instant {
  if (providerTime !== undefined) return providerTime;
  return jwt?.issuedAt !== undefined && jwt.issuedAt > now ? jwt.issuedAt : now;
}

function checkScopes(asked: Ask, minted: Minted, rules: TokenRules): CheckedToken | undefined {
  if (minted.scopesUnreadable === true)
    return unusable(
      'TokenUnusable',
      'what is said of its scope (scope, scp) is neither text nor a list of names; the provider must write it so',
    );
  if (minted.scopes === undefined) return undefined;
  const wider = without(minted.scopes, [...asked.scopes, ...rules.ignoredScopes, ...rules.carrierScopes]);
  if (wider.length > 0) {
    return unusable(
      'ScopeWider',
      `the provider granted ${list(wider)}, which was not asked for; take it out of the client's default scopes`,
    );
  }
  const missing = without(asked.scopes, [...rules.carrierScopes, ...(minted.jwt?.scopes ?? minted.scopes)]);
  if (missing.length === 0) return undefined;
  return unusable(
    'ScopeNarrower',
    `the provider did not grant ${list(missing)}; allow it for this client at the provider`,
  );
}

function checkAudiences(asked: Ask, minted: Minted): CheckedToken | undefined {
  if (minted.audiences === undefined || asked.audiences.length === 0) return undefined;
  const { audiences: given } = minted;
  if (without(given, asked.audiences).length + without(asked.audiences, given).length === 0) return undefined;
  return unusable(
    'AudienceWrong',
    `the token is meant for ${given.length === 0 ? 'no audience' : list(given)}, asked was ${list(asked.audiences)}; ` +
      'correct the audience mapping at the provider or spec.provider.audience of the pool',
  );
}

function checkLifetime(asked: Ask, minted: Minted, rules: TokenRules, now: Instant): CheckedToken {
  const byAnswer = minted.expiresIn === undefined ? undefined : minted.expiresIn * second;
  const exp = minted.jwt?.exp;
  const byToken = exp === undefined ? undefined : exp - clockOf(minted, now);
  if (byAnswer === undefined && byToken === undefined) {
    return unusable(
      'LifetimeUnknown',
      'the answer has no usable expires_in; the provider must say in seconds how long its tokens live',
    );
  }
  const life = Math.max(byAnswer ?? 0, byToken ?? 0);
  if (!Number.isFinite(life) || life <= 0) return unusable('TokenUnusable', 'the token has expired already', false);
  const left = byToken ?? life;
  return (
    tooShort(life, left) ??
    tooLong(life, asked, rules) ?? {
      is: 'Usable',
      exp: plus(now, left),
      scopes: without(minted.scopes ?? asked.scopes, rules.ignoredScopes).toSorted((a, b) => (a < b ? -1 : 1)),
      ...(minted.subject === undefined ? {} : { subject: minted.subject }),
    }
  );
}

/** `life`: as the provider says it; `left`: of that by our clock. */
function tooShort(life: Milliseconds, left: Milliseconds): CheckedToken | undefined {
  if (life >= shortestLife && left >= shortestLeft) return undefined;
  const remedy =
    life < shortestLife
      ? 'let them live minutes there'
      : `its answer says ${formatDuration(life)}, so see whether the provider's clock is behind ours`;
  const lives = formatDuration(Math.max(0, Math.min(life, left)));
  return unusable(
    'TokenLifetimeTooShort',
    `the provider's tokens live ${lives}, which is over before a pod has one; ${remedy}`,
  );
}

function tooLong(life: Milliseconds, asked: Ask, rules: TokenRules): CheckedToken | undefined {
  const allowed = Math.min(asked.maxLifetime, rules.maxLifetime);
  const endsEarly = rules.revocation !== 'ExpiryOnly';
  if (life <= allowed + lifetimeSlack || (endsEarly && rules.onExceed === 'RevokeEarly')) return undefined;
  const early = endsEarly
    ? ', or set spec.ceiling.onExceed: RevokeEarly of the pool'
    : '; it revokes no tokens, so RevokeEarly does not help';
  const limits = [
    ...(asked.maxLifetime < rules.maxLifetime ? ['spec.rules[].maxTokenLifetime of the ScopePolicy'] : []),
    ...(life > rules.maxLifetime + lifetimeSlack ? ['spec.ceiling.maxTokenLifetime of the pool'] : []),
  ];
  return unusable(
    'LifetimeTooLong',
    `the provider's tokens live ${formatDuration(life)}, allowed is ${formatDuration(allowed)}; shorten them at the provider, ` +
      `or write ${formatDuration(life)} into ${limits.join(' and ')}${early}`,
  );
}

function unusable(reason: Reason, message: string, revoke = true): CheckedToken {
  return { is: 'Unusable', reason, message, revoke };
}

/** Each once. */
function without(all: readonly string[], taken: readonly string[]): string[] {
  return [...new Set(all)].filter((one) => !taken.includes(one));
}

/** Names of the provider's choosing: at most five, cut, without control characters. */
function list(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => name.slice(0, 64).replace(/\p{C}/gu, '?'));
  return shown.join(', ') + (names.length > shown.length ? ` and ${names.length - shown.length} more` : '');
}

/** How long the token may be used: until it expires, or with `RevokeEarly` until the lifetime that was asked for is over. */
export function usableLife(token: Pick<Token, 'minted' | 'exp' | 'ask'>): Milliseconds {
  return Math.min(token.exp - token.minted, token.ask.maxLifetime);
}

/**
 * When to renew: max(min(half life, life − 2 × `deliveryLag`), life / 3), moved by up to 5 % of the life. `jitter` is in [-1, 1] and fixed
 * per session, so that the answer does not change from look to look.
 */
export function renewAt(
  token: Pick<Token, 'minted' | 'exp' | 'ask'>,
  deliveryLag: Milliseconds,
  jitter: number,
): Instant {
  const life = usableLife(token);
  const after = Math.max(Math.min(life / 2, life - 2 * deliveryLag), life / 3);
  return plus(token.minted, after + jitter * 0.05 * life);
}

/** The last fifth of the life: from then on a renewal is more urgent than a new pod. */
export function lastFifthAt(token: Pick<Token, 'minted' | 'exp' | 'ask'>): Instant {
  return plus(token.minted, usableLife(token) * 0.8);
}
