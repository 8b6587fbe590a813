/** The lower half of the session table: from trust to a delivered token and its renewal. */
import type { Reason } from '../../api/reasons.ts';
import { earliest, minute, plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { trustPod } from '../access/trust.ts';
import { lanes } from '../lanes.ts';
import type { Lane } from '../lanes.ts';
import { lastFifthAt } from '../renewal.ts';
import { forbiddenError, fullError, guardError, limitError, untrustedError, waitingError } from './explain.ts';
import { endCause } from './end-cause.ts';
import {
  awaitsToken,
  hasRoom,
  needsDelivery,
  isDue,
  isLearning,
  isLifetimeOver,
  isServedByAnotherClient,
  mustBeReplaced,
  isRevokeRequested,
  mayNotUse,
  mintable,
  missesDelivery,
  usableToken,
  waitsTooLong,
} from './facts.ts';
import type { SessionSnapshot } from './machine.ts';
import { deliver, deliverError, forbidAll, mint, renewalLane, saysAlready, wait } from './steps.ts';
import type { SessionRow } from './steps.ts';

/** How often a session that waits for room looks again. */
const limitPause: Milliseconds = 10 * second;

/** For so long a token is young, see *narrowed*. */
const youth: Milliseconds = minute;

/** Nothing is minted; what was minted is still delivered, and still taken back. */
const guard: SessionRow = {
  name: 'guard',
  when: (s, now) => s.guard.is !== 'Intact' && !isBusy(s, now),
  then: (s, now) => {
    const reason: Reason = s.guard.is === 'Missing' ? 'GuardMissing' : 'GuardUnknown';
    const tell = s.record === undefined && waitsTooLong(s, now) && s.guard.is === 'Missing';
    return tell ? deliverError(s, now, reason, guardError(s)) : wait(s, now, reason);
  },
};

/** Decided at the first token only. */
const untrusted: SessionRow = {
  name: 'untrusted',
  when: (s) => s.record === undefined,
  then: (s, now) => {
    const reason = distrust(s);
    if (reason === undefined) return undefined;
    const error = reason === 'CreatorMayNotUse' ? forbiddenError(s) : untrustedError(s, reason);
    return deliverError(s, now, reason, error);
  },
};

const waiting: SessionRow = {
  name: 'waiting',
  when: (s, now) => {
    if (usableToken(s) !== undefined) return mintable(s) === undefined && !isBusy(s, now);
    if (mintable(s) === undefined) return endCause(s, now) === undefined;
    return s.record === undefined && tellsNow(s, now) && !hasError(s, now);
  },
  then: (s, now) => {
    const reason = waitingReason(s);
    const tell = s.record === undefined && tellsNow(s, now);
    return tell ? deliverError(s, now, reason, waitingError(s)) : wait(s, now, reason);
  },
};

const undelivered: SessionRow = {
  name: 'undelivered',
  when: (s, now) => usableToken(s) !== undefined && needsDelivery(s, now) && !mustBeReplaced(s, now),
  then: (s, now) => deliver(s, now, 'Token', deliveryLane(s, now)),
};

/** One session more would break a limit of the identity. The pod is told, and gets its token when there is room. */
const limited: SessionRow = {
  name: 'limited',
  when: (s, now) =>
    usableToken(s) === undefined &&
    s.limit !== undefined &&
    mintable(s) !== undefined &&
    endCause(s, now) === undefined,
  then: (s, now) => {
    const step = deliverError(s, now, 'LimitReached', limitError(s));
    return { ...step, recheckAt: earliest(step.recheckAt, plus(now, limitPause)) ?? plus(now, limitPause) };
  },
};

/** What was taken from the session is still alive, as often as that may be. The build reads why its file is gone, and that it comes back. */
const full: SessionRow = {
  name: 'full',
  when: (s, now) => awaitsToken(s, now) && !hasRoom(s),
  then: (s, now) => deliverError(s, now, 'TooManyTokens', fullError(s)),
};

const first: SessionRow = {
  name: 'first',
  when: (s, now) => awaitsToken(s, now) && hasRoom(s),
  then: (s, now) => mint(s, now, 'NewPod', 'Superseded', lanes.NewPod),
};

/**
 * Narrowed, and no successor can be had in time: the Mint was refused, failed twice, failed once and does not come within 2 s, or does not leave
 * within a second (`successor.ts`), as many are held as may be, or nothing mints. Then the token goes first, and *first* mints after that. A row of its
 * own, because a row that failed is held back and this must not wait. A new process looks first: it waits in *guard* or *waiting*.
 */
const withdrawn: SessionRow = {
  name: 'withdrawn',
  when: (s, now) => mustBeReplaced(s, now) && (mintable(s) === undefined || !hasRoom(s) || isSuccessorLate(s, now)),
  then: (s, now) => forbidAll(s, now, narrowingReason(s, now)),
};

const narrowed: SessionRow = {
  name: 'narrowed',
  when: (s, now) => mustBeReplaced(s, now),
  then: (s, now) => {
    const youngUntil = waitsWithNewPodsUntil(s, now);
    const lane = youngUntil === undefined ? lanes.Stop : lanes.NewPod;
    const step = mint(s, now, narrowingReason(s, now), 'Forbidden', lane);
    const recheckAt = earliest(step.recheckAt, youngUntil);
    return recheckAt === undefined ? step : { ...step, recheckAt };
  },
};

const due: SessionRow = {
  name: 'due',
  when: (s, now) => isDue(s, now) && hasRoom(s),
  then: (s, now) =>
    mint(s, now, isServedByAnotherClient(s) ? 'ClientChanged' : 'RenewalDue', 'Superseded', renewalLane(s, now)),
};

const settled: SessionRow = {
  name: 'settled',
  when: () => true,
  then: (s, now) => wait(s, now, usableToken(s) === undefined ? 'Settled' : 'Delivered'),
};

export const mintingRows: readonly SessionRow[] = [
  guard,
  untrusted,
  waiting,
  undelivered,
  limited,
  full,
  first,
  withdrawn,
  narrowed,
  due,
  settled,
];

/** A live session that has something to do which needs no new token, or that must lose the one it has. */
function isBusy(s: SessionSnapshot, now: Instant): boolean {
  if (usableToken(s) === undefined) return false;
  return mustBeReplaced(s, now) ? !isLearning(s, now) : needsDelivery(s, now);
}

/** Whoever reads the audit log must be able to tell a leak response from an edit. */
function narrowingReason(s: SessionSnapshot, now: Instant): Reason {
  if (isRevokeRequested(s, now)) return 'RevokeRequested';
  return isLifetimeOver(s, now) ? 'LifetimeOver' : 'Narrowed';
}

function isSuccessorLate({ successorUntil }: SessionSnapshot, now: Instant): boolean {
  return successorUntil !== undefined && now >= successorUntil;
}

function distrust(s: SessionSnapshot): 'CreatorMayNotUse' | 'ClaimInvalid' | 'PodOlderThanGuard' | undefined {
  if (mayNotUse(s)) return 'CreatorMayNotUse';
  if (s.pod.is !== 'Seen' || s.identity.is !== 'Seen') return 'ClaimInvalid';
  const trust = trustPod(s.pod.value, { name: s.identityName, uid: s.identity.value.uid }, s.guard);
  return trust === 'Valid' ? undefined : trust;
}

/** The build is told at once what waiting cannot heal, and everything else when its patience ends. */
function tellsNow(s: SessionSnapshot, now: Instant): boolean {
  if (s.client.is === 'Unknown') return false;
  const client = s.client.is === 'Seen' ? s.client.value : undefined;
  const forGood =
    client?.refusal !== undefined ||
    (client?.current === undefined && client?.lasting === true) ||
    (s.failure?.row === 'first' && s.failure.terminal);
  return forGood || waitsTooLong(s, now);
}

/** The pod was told already, so trying goes on. Another failure is told as well if it is one for good. */
function hasError(s: SessionSnapshot, now: Instant): boolean {
  if (s.delivered?.content !== 'Error' || missesDelivery(s, now)) return false;
  const toTell = s.failure?.row === 'first' && s.failure.terminal;
  return !toTell || saysAlready(s, waitingError(s));
}

function waitingReason(s: SessionSnapshot): Reason {
  if (s.access.is === 'Seen' && s.access.value.is === 'Denied')
    return s.access.value.denials[0]?.reason ?? 'NothingGranted';
  const client = s.client.is === 'Seen' ? s.client.value : undefined;
  if (client?.refusal !== undefined) return client.refusal.reason;
  if (client?.current === undefined) return 'WaitingForClient';
  return (s.failure ?? client.outage)?.reason ?? 'ProviderUnavailable';
}

/** The build uses the token before until this is done, so it is as urgent as that is near its end. */
function deliveryLane({ record }: SessionSnapshot, now: Instant): Lane {
  if (record?.tokens.some((token) => token.end === 'Forbidden') === true) return lanes.Stop;
  const before = record?.tokens.at(-2);
  return before !== undefined && now >= lastFifthAt(before) ? lanes.Expiring : lanes.NewPod;
}

/**
 * A team may narrow its own identity again and again. Where each time 200 sessions came before everybody else's, nobody else would be served:
 * whose token is young waits with new pods. What somebody asked to revoke does not.
 */
function waitsWithNewPodsUntil(s: SessionSnapshot, now: Instant): Instant | undefined {
  const token = usableToken(s);
  if (token === undefined || isRevokeRequested(s, now)) return undefined;
  const until = plus(token.minted, youth);
  return now < until ? until : undefined;
}
