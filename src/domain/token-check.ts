import { clean } from '../clean.ts';
import { formatDuration, minute, plus, second, toRfc3339 } from '../clock.ts';
import type { Instant, Milliseconds } from '../clock.ts';
import type { Reason } from '../api/reasons.ts';
import type { Ask } from './access/access.ts';
import type { Minted } from './token.ts';

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
