/** How long a token that must go may wait for the one that takes its place. It goes without one after that, at its expiry in any case. */
import { plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { isIssuerDown } from './facts.ts';
import type { SessionSnapshot } from './machine.ts';

/**
 * Until the Mint has left. Whoever takes a right away means now, and ending a token takes about half of what replacing it does. A build reads its
 * file up to a minute late, so it misses little by that. A dead token endpoint keeps no token alive that can be revoked.
 */
const firstTryWithin: Milliseconds = 1 * second;

/**
 * Until the second Mint has left: an answer that was lost once comes with the next try as a rule, the provider that just failed is not asked to
 * revoke any sooner, and a build that is without a token for a moment has failed for good.
 */
const secondTryWithin: Milliseconds = 2 * second;

/** Until when the token, which is seen to have to go now, may wait for the first try. */
export function firstTryUntil(now: Instant): Instant {
  return plus(now, firstTryWithin);
}

/**
 * Until when the token, the Mint of whose successor failed now, may wait. Not at all after a refusal, after a second failure, or where
 * nobody has got a token from this issuer for a while. A try that is under way by then is not cut short: the provider may have minted.
 */
export function secondTryUntil(s: SessionSnapshot, isRefusal: boolean, now: Instant): Instant {
  return isRefusal || isIssuerDown(s) || s.successorFailed === true ? now : plus(now, secondTryWithin);
}
