/** Which tokens are to be revoked, and which of them now. */
import type { Instant } from '../../clock.ts';
import { isHeldBack } from '../failure.ts';
import { lastFifthAt } from '../renewal.ts';
import type { Token } from '../token.ts';
import {
  awaitsRevocation,
  awaitsToken,
  deliveryFailed,
  hasRoom,
  isDelivered,
  isDue,
  isEnding,
  mustBeReplaced,
  isOlder,
  isUnrevoked,
  isIssuerDown,
  isRevokeRequested,
  isUnknown,
  mintable,
  supersededGoFrom,
  usableToken,
} from './facts.ts';
import type { SessionSnapshot } from './machine.ts';
import { clientOf } from './record.ts';

/**
 * Superseded tokens that somebody asked to revoke, or whose pool is stopped, and that no narrowing takes along, because the usable token is
 * younger than the request or from another client.
 */
export function recalledTokens(s: SessionSnapshot, now: Instant): readonly string[] {
  const { record, revokedBefore, stoppedClients } = s;
  if (record === undefined || isRevokeRequested(s, now)) return [];
  return record.tokens
    .filter((token) => token.end === 'Superseded' && isUnrevoked(s, token))
    .filter((token) => {
      const client = clientOf(record, token);
      return stoppedClients?.has(client) === true || isOlder(token, revokedBefore?.get(client), now);
    })
    .map((token) => token.sha256);
}

/**
 * The next token to revoke. A Forbidden one may go once its successor was delivered or that failed once, a Superseded one `deliveryLag`
 * after the delivery; while Ending nothing is waited for, unless revocations are paused and a build waits for its token. A revocation that
 * failed gives way to every other row until its time comes again. In a live session narrowing comes first, before a Superseded one a renewal
 * too; before a Forbidden one only in the last fifth of the usable token, which would expire while revocations are paused. While it is not
 * known which clients exist, nobody knows as whom to revoke.
 */
export function revocable(s: SessionSnapshot, now: Instant): Token | undefined {
  if (s.record === undefined || s.client.is === 'Unknown' || isHeldBack(s, 'revoke')) return undefined;
  // Newest first: where one cannot be revoked, it is an older one, whose client or credential is gone by now.
  const open = s.record.tokens.filter((token) => isUnrevoked(s, token)).toReversed();
  const forbidden = open.find((token) => token.end === 'Forbidden');
  if (isEnding(s)) return mintGoesFirst(s, now) ? undefined : forbidden;
  const renews = isDue(s, now) && mintable(s) !== undefined && hasRoom(s);
  if (mustBeReplaced(s, now) || (renews && mustRenewNow(s, now))) return undefined;
  if (forbidden !== undefined && (isDelivered(s) || deliveryFailed(s))) return forbidden;
  if (renews) return undefined;
  const supersededFrom = supersededGoFrom(s);
  return supersededFrom !== undefined && now >= supersededFrom ? open.find((t) => t.end === 'Superseded') : undefined;
}

/**
 * Nothing could be revoked now, and a build waits: it gets its token, and the revocation follows. Not where the provider is away altogether, or
 * where there would be no Mint either.
 */
function mintGoesFirst(s: SessionSnapshot, now: Instant): boolean {
  return isPaused(s) && awaitsRevocation(s, now) && isMintNext(s, now);
}

/** Nothing is known that keeps a revocation from being tried now. */
export function mayRevoke(s: SessionSnapshot): boolean {
  return !isPaused(s) && !isHeldBack(s, 'revoke');
}

function isPaused({ client }: SessionSnapshot): boolean {
  return client.is === 'Seen' && client.value.revocationsPaused === true;
}

/** A build waits for a token, and nothing is known that keeps it from coming. */
function isMintNext(s: SessionSnapshot, now: Instant): boolean {
  const canMint = hasRoom(s) && s.limit === undefined && !isUnknown(s) && !isIssuerDown(s) && !isHeldBack(s, 'first');
  return canMint && awaitsToken(s, now);
}

/** The usable token is about to expire, and nothing is known that keeps its successor from coming. */
function mustRenewNow(s: SessionSnapshot, now: Instant): boolean {
  const token = usableToken(s);
  return token !== undefined && now >= lastFifthAt(token) && !isHeldBack(s, 'due') && !isIssuerDown(s);
}

/** The record of the next token will say what the provider answered as well: a write of its own would only keep the build waiting. */
export function isToldWithMint(s: SessionSnapshot, now: Instant): boolean {
  return isEnding(s) && isMintNext(s, now);
}

/** Tokens about which the provider answered, while the record does not say so. */
export function answeredTokens({ record, answered }: SessionSnapshot): readonly string[] {
  if (record === undefined || answered === undefined) return [];
  return record.tokens.map(({ sha256 }) => sha256).filter((sha256) => answered.has(sha256));
}
