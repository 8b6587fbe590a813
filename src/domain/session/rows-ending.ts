/** The upper half of the session table: everything that ends a token comes before anything that makes one. */
import { isHeldBack } from '../failure.ts';
import { lanes } from '../lanes.ts';
import { endCause } from './end-cause.ts';
import {
  deliveryFailed,
  isEnding,
  isForbidden,
  isHeld,
  isUnknown,
  mayNotUse,
  usableToken,
  waitsTooLong,
} from './facts.ts';
import { forbiddenError, goneError, unreadableError } from './explain.ts';
import type { SessionSnapshot } from './machine.ts';
import { answeredTokens, isToldWithMint, mayRevoke, recalledTokens, revocable } from './revocation.ts';
import {
  conclude,
  deliver,
  deliverError,
  drop,
  forbid,
  forbidAll,
  restore,
  revoke,
  wait,
  waitButRevoke,
} from './steps.ts';
import type { SessionRow } from './steps.ts';
import type { Instant } from '../../clock.ts';
import type { Token } from '../token.ts';
import type { Reason } from '../../api/reasons.ts';

const lostLease: SessionRow = {
  name: 'lost-lease',
  when: (s) => s.newerFormat === true || isNewerEpoch(s),
  then: (s) => ({ reason: isNewerEpoch(s) ? 'LostLease' : 'NewerFormat' }),
};

/** The record as last stored is the truth, whatever somebody did to its Secret: nobody else knows of its tokens. */
const damaged: SessionRow = {
  name: 'damaged',
  when: (s, now) => s.damaged === true && holdsLiving(s, now) && !isHeldBack(s, 'damaged'),
  then: restore,
};

const expired: SessionRow = {
  name: 'expired',
  when: (s, now) => expiredTokens(s, now).length > 0,
  then: (s, now) => drop(s, now, expiredTokens(s, now)),
};

/** A token may be alive that only this record names: nothing is minted over it. A build that never had one does not wait for ever. */
const unreadable: SessionRow = {
  name: 'unreadable',
  when: (s) => s.invalid === true,
  then: (s, now) =>
    s.pod.is === 'Seen' && s.pod.value.phase === 'Pending' && waitsTooLong(s, now)
      ? deliverError(s, now, 'RecordInvalid', unreadableError(s))
      : wait(s, now, 'RecordInvalid'),
};

/** Facts that are missing end nothing; facts that are certain (the pod is gone, somebody stops it) end a live session all the same. */
const unknown: SessionRow = {
  name: 'unknown',
  when: (s, now) => isUnknown(s) && !(s.synced && usableToken(s) !== undefined && mustEnd(s, now)),
  then: (s, now) => waitButRevoke(s, now, 'NotSynced'),
};

/** The usable token may stay, an older one may not: somebody asked to revoke it, or its pool, which the identity has left, is stopped. */
const recalled: SessionRow = {
  name: 'recalled',
  when: (s, now) => recalledTokens(s, now).length > 0,
  then: (s, now) =>
    forbid(s, now, recalledTokens(s, now), s.stoppedClients === undefined ? 'RevokeRequested' : 'Suspended'),
};

/**
 * The old file is worthless in a moment; trying to say so once is enough while there is something to revoke, it never holds that back. Without a
 * record the pod is what remembers it, so that what failed is tried again, and a new process writes once more.
 */
const clean: SessionRow = {
  name: 'clean',
  when: (s, now) => mayHoldToken(s) && mustBeClean(s, now) && !deliveryFailed(s),
  then: (s, now) => {
    const cause = endCause(s, now);
    if (cause === undefined) return deliverError(s, now, denialReason(s), forbiddenError(s));
    const lane = isEnding(s) ? lanes.Stop : lanes.Routine;
    // The build goes on, and whoever looks for its token there reads why it went.
    if (cause === 'IdentityGone' || cause === 'SessionTooOld')
      return deliverError(s, now, cause, goneError(s, cause), lane);
    return { ...deliver(s, now, 'Empty', lane), reason: cause };
  },
};

const over: SessionRow = {
  name: 'over',
  when: (s, now) => !isEnding(s) && !(isHeld(s, now) && isDenied(s)),
  then: (s, now) => {
    const cause = endCause(s, now);
    if (cause === undefined) return undefined;
    if (isHeld(s, now)) return waitButRevoke(s, now, 'BrakeHolds');
    if (s.record !== undefined) return forbidAll(s, now, cause);
    return hangs(s, cause) ? deliverError(s, now, cause, goneError(s, cause)) : wait(s, now, cause);
  },
};

const revokeRow: SessionRow = {
  name: 'revoke',
  when: (s) => !(usableToken(s) !== undefined && isDenied(s)),
  then: (s, now) => {
    const token = revocable(s, now);
    return token && revoke(s, now, token);
  },
};

/** By itself and not with the call, so that where a thousand tokens have to die no record waits before the last of them. */
const revoked: SessionRow = {
  name: 'revoked',
  when: (s, now) => {
    const isDue = answeredTokens(s).length > 0 && !isToldWithMint(s, now);
    return isDue && !isHeldBack(s, 'revoked') && !(usableToken(s) !== undefined && isDenied(s));
  },
  then: conclude,
};

const stopped: SessionRow = {
  name: 'stopped',
  when: (s) => isForbidden(s) || (s.record !== undefined && mayNotUse(s)),
  then: (s, now) => {
    const reason = denialReason(s);
    if (s.record === undefined) return deliverError(s, now, reason, forbiddenError(s));
    return isEnding(s) ? wait(s, now, reason) : forbidAll(s, now, reason);
  },
};

export const endingRows: readonly SessionRow[] = [
  lostLease,
  damaged,
  unreadable,
  expired,
  unknown,
  recalled,
  clean,
  over,
  revokeRow,
  revoked,
  stopped,
];

function isNewerEpoch(s: SessionSnapshot): boolean {
  return s.record !== undefined && s.epoch !== undefined && s.record.epoch > s.epoch;
}

function expiredTokens(s: SessionSnapshot, now: Instant): readonly string[] {
  const expired = (s.record?.tokens ?? []).filter((token) => token.exp <= now && !isRevokedFirst(s, token, now));
  return expired.map((token) => token.sha256);
}

/**
 * It has expired by our clock, which others contradict: what nobody may use any longer is revoked before it is forgotten. Only where that can be
 * done now, so that nothing waits for it.
 */
function isRevokedFirst(s: SessionSnapshot, token: Token, now: Instant): boolean {
  const isOpen = token.value !== undefined && s.answered?.has(token.sha256) !== true;
  if (s.clocksDisagree !== true || s.damaged === true || !isOpen || !mayRevoke(s)) return false;
  return isEnding(s) ? token.end === 'Forbidden' : mustEnd(s, now);
}

function isDenied(s: SessionSnapshot): boolean {
  return isForbidden(s) || mayNotUse(s);
}

/** A token that only the record names, and about which the provider was not asked yet. */
function holdsLiving({ record, answered }: SessionSnapshot, now: Instant): boolean {
  return record?.tokens.some(({ exp, sha256 }) => exp > now && answered?.has(sha256) !== true) === true;
}

function mustEnd(s: SessionSnapshot, now: Instant): boolean {
  const cause = endCause(s, now);
  return isDenied(s) || (cause !== undefined && !isHeld(s, now));
}

function mayHoldToken({ pod, delivered }: SessionSnapshot): boolean {
  const isThere = pod.is === 'Seen' && !pod.value.deleting;
  return isThere && delivered?.content !== 'Empty' && delivered?.content !== 'Error';
}

function mustBeClean(s: SessionSnapshot, now: Instant): boolean {
  const cause = endCause(s, now);
  if (isEnding(s)) return cause !== undefined || isDenied(s);
  return s.record === undefined && cause !== undefined && cause !== 'NamespaceLeaving' && !hangs(s, cause);
}

/** A pod that will never get its Secret, and whose containers wait for it. */
function hangs(s: SessionSnapshot, cause: Reason): boolean {
  return cause !== 'PodOver' && cause !== 'NamespaceLeaving' && s.pod.is === 'Seen' && s.pod.value.phase === 'Pending';
}

function denialReason(s: SessionSnapshot): Reason {
  if (s.stop !== undefined) return 'Suspended';
  if (s.access.is === 'Seen' && s.access.value.is === 'Denied' && s.access.value.lasting) {
    return s.access.value.denials[0]?.reason ?? 'NothingGranted';
  }
  return 'CreatorMayNotUse';
}
