/** When a new credential is made: the first one, and every reason for a rotation. */
import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import { isHeldBack } from '../failure.ts';
import { lanes } from '../lanes.ts';
import type { Lane } from '../lanes.ts';
import { existingChange, isAnotherTry, isExternal } from './existing.ts';
import { canAuthenticate, currentOf, inWork, isForeign } from './generations.ts';
import type { ClientRowName, ClientSnapshot, Desired } from './machine.ts';
import type { ClientRecord, Generation, Variant } from './record.ts';
import { openRequests } from './requests.ts';
import {
  dueAt,
  expiringAt,
  isExpiringSoon,
  isFailing,
  isRefusedLately,
  isSeenLately,
  isSeenSince,
  pausesPlanning,
  turnAt,
} from './schedule.ts';
import { desiredOf, isAtRest, plan, prove, variantAtAll, variantNow, wait } from './steps.ts';
import type { ClientRow } from './steps.ts';
import { firstVariant } from './variants.ts';

/** Waits, or copies an administrator's credential. A client of our own begins with row *create*. */
const first: ClientRow = {
  name: 'first',
  when: (s, now) => isToBegin(s) && variantToRegister(s, now) === undefined,
  then: (s, now) => {
    if (s.piledUp === true) return wait(s, now, 'BrakeHolds');
    return isPaused(s, now) ? wait(s, now, 'CredentialRefused') : plan(s, now, 'Planned', 'External', lanes.NewPod);
  },
};

function isToBegin(s: ClientSnapshot): boolean {
  return (s.record?.generations.length ?? 0) === 0 && s.unasked !== true && variantOfFirst(s) !== 'None';
}

/** How a client of our own will be rotated that is to be registered now; `undefined`: none is. */
export function variantToRegister(s: ClientSnapshot, now: Instant): Variant | undefined {
  const variant = variantOfFirst(s);
  return isToBegin(s) && variant !== 'External' && s.piledUp !== true && !isPaused(s, now) ? variant : undefined;
}

function variantOfFirst(s: ClientSnapshot): Variant {
  const desired = desiredOf(s);
  if (desired?.existing !== undefined) return existingChange(s) === undefined ? 'None' : 'External';
  return s.capabilities === undefined || desired === undefined ? 'None' : firstVariant(s.capabilities, desired);
}

/**
 * Its removal has begun, and somebody wants the client again (a GitOps tool pruned too much): its newest credential is proven, and accepted it mints
 * again, so the client keeps its id and its subject. Refused more than once, or taken out already, it goes on its way, and the next client is a new
 * one.
 */
const wantedAgain: ClientRow = {
  name: 'wanted-again',
  when: (s) => !isHeldBack(s, 'wanted-again'),
  then: (s, now) => {
    const one = mayMintAgain(s, now);
    if (one === undefined || isRefusedLately(one, now)) return undefined;
    return prove(s, now, 'InProgress', one, 'WantedAgain', lanes.NewPod);
  },
};

/** What row *wanted-again* proves. Until that is done, whatever holds it up, nothing of the client is taken out. */
export function mayMintAgain(s: ClientSnapshot, now: Instant): Generation | undefined {
  const { record } = s;
  const desired = desiredOf(s);
  const isNeeded = desired !== undefined && s.leaving !== true && s.unasked !== true;
  if (!isNeeded || record === undefined || currentOf(record) !== undefined || inWork(record) !== undefined)
    return undefined;
  const newest = record.generations.at(-1);
  if (newest === undefined || isExternal(newest) !== (desired.existing !== undefined)) return undefined;
  const isThere = newest.refusedAgain !== true && newest.removedAt === undefined && newest.clientId !== undefined;
  if (!isThere || !canAuthenticate(newest) || isForeign(record, newest) || isMissed(s, record, now)) return undefined;
  // Another method takes a new client, and without one the pool keeps the method that its client has.
  const isReplaced = newest.credential.type !== desired.authentication && desired.allowSubjectChange;
  return isReplaced ? undefined : newest;
}

/** The provider fails at it as it also does at a client that is gone, and a look shows none. */
function isMissed(s: ClientSnapshot, record: ClientRecord, now: Instant): boolean {
  return isPerhapsGone(s) && isSeenLately(record, now) && record.observed?.is !== 'Present';
}

/** What fails so may be there all the same: a look shows it. */
export function isPerhapsGone({ failure }: ClientSnapshot): boolean {
  return failure?.row === 'wanted-again' && failure.reason === 'ClientUnusable';
}

interface Trigger {
  readonly name: ClientRowName;
  readonly reason: Reason;
  /** Default: with all others. */
  readonly lane?: Lane;
  /** `AtOnce`: neither the window nor the pause after a failed rotation holds it back. `AnyHour`: the window does not. */
  readonly waits: 'AtOnce' | 'AnyHour' | 'ForWindow';
  /** Also of a client that another one takes the place of, so that it works until then; never by a third one. */
  readonly whileLeaving?: true;
  readonly holds: (current: Generation, desired: Desired, s: ClientSnapshot, now: Instant) => boolean;
}

/** In the table one row: "due / asked / key expires soon / method changed / Current refused by the provider". */
const triggers: readonly Trigger[] = [
  {
    name: 'replaced',
    reason: 'Planned',
    waits: 'AnyHour',
    holds: (current, desired, s) =>
      desired.existing === undefined ? isExternal(current) : existingChange(s) !== undefined,
  },
  {
    name: 'asked',
    reason: 'RotationRequested',
    waits: 'AtOnce',
    holds: (_, desired, s) => openRequests(s.record, desired).some(({ kind }) => kind !== 'Revoke'),
  },
  {
    name: 'expiring-soon',
    reason: 'RotationDue',
    waits: 'AnyHour',
    whileLeaving: true,
    lane: lanes.Renew,
    holds: (current, _desired, _s, now) => isExpiringSoon(current, now),
  },
  {
    name: 'due',
    reason: 'RotationDue',
    waits: 'ForWindow',
    holds: (current, desired, s, now) => {
      const due = dueAt(current, desired.rotateEvery, s.jitter ?? 0);
      return now >= due && turnAt(due, s, now) === now;
    },
  },
  {
    name: 'expiring',
    reason: 'RotationDue',
    waits: 'ForWindow',
    whileLeaving: true,
    holds: (current, _desired, s, now) => {
      const expiring = expiringAt(current, s.jitter ?? 0);
      return expiring !== undefined && now >= expiring && turnAt(expiring, s, now) === now;
    },
  },
  {
    name: 'method-changed',
    reason: 'RotationDue',
    waits: 'ForWindow',
    holds: (current, desired, s) =>
      current.credential.type !== desired.authentication && variantAtAll(s) === 'NewClient',
  },
  {
    name: 'again',
    reason: 'RotationRequested',
    waits: 'AnyHour',
    holds: (current, _desired, { record }) => record?.rollbacks !== undefined && !isExternal(current),
  },
  {
    name: 'refused',
    reason: 'CredentialRefused',
    waits: 'AnyHour',
    whileLeaving: true,
    lane: lanes.Renew,
    holds: (current, _desired, { record }, now) =>
      current.refusedAt !== undefined &&
      current.refusedAgain === true &&
      record?.observed?.is === 'Present' &&
      isSeenSince(record, current.refusedAt, now),
  },
];

function rotation({ name, reason, waits, whileLeaving, holds, lane }: Trigger): ClientRow {
  return {
    name,
    then: (s, now) => {
      const current = currentOf(s.record);
      const desired = desiredOf(s);
      if (s.leaving === true && whileLeaving !== true) return undefined;
      if (current === undefined || desired === undefined || !isAtRest(s, now) || isHeldBack(s, name)) return undefined;
      if (waits === 'ForWindow' && s.window !== undefined && s.window.is !== 'Open') return undefined;
      const variant = variantNow(s, now);
      if (variant === undefined || (s.leaving === true && variant === 'NewClient')) return undefined;
      if (waits !== 'AtOnce' && isPaused(s, now)) return undefined;
      return holds(current, desired, s, now) ? plan(s, now, reason, variant, lane) : undefined;
    },
  };
}

/** What the last new credential was not given keeps nobody from the next one once the old one fails: then everything would be lost. */
function isPaused(s: ClientSnapshot, now: Instant): boolean {
  const { record } = s;
  const current = currentOf(record);
  const isUrgent = record?.rollbacks?.lacked !== undefined && current !== undefined && isFailing(current, now);
  if (record?.rollbacks === undefined || isUrgent || isAnotherTry(s)) return false;
  return pausesPlanning(record, now);
}

export const planningRows: readonly ClientRow[] = [first, wantedAgain, ...triggers.map(rotation)];
