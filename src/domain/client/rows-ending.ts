/** The client is not wanted any longer, everything must be replaced now, or nothing may begin. */
import type { Instant } from '../../clock.ts';
import { isHeldBack } from '../failure.ts';
import { revokeMoment } from '../clocks.ts';
import { lanes } from '../lanes.ts';
import { isExternal } from './existing.ts';
import {
  canAuthenticate,
  highestGeneration,
  inState,
  inWork,
  isForeign,
  isNewestClient,
  managementOf,
  siblings,
} from './generations.ts';
import { mostGenerations } from './invariants.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import type { ClientRecord, Generation, Variant } from './record.ts';
import { type ClientRequest, hasRotated, isHandled, openRequests } from './requests.ts';
import { isDrained, emergencyLateAt, isOwnerKnown, isStale, mayHaveExpired, pausesPlanning } from './schedule.ts';
import {
  act,
  actOnLook,
  create,
  desiredOf,
  isLeftBehind,
  isUnmanageable,
  plan,
  prove,
  retains,
  variantAtAll,
  wait,
  write,
} from './steps.ts';
import type { ClientRow, Step } from './steps.ts';
import {
  drainedFrom,
  handled,
  moved,
  notConfirmed,
  notRemoved,
  revoked,
  without,
  withoutEmergency,
} from './transitions.ts';
import { drainedStep, isUnprovable, retirable } from './rows-retirement.ts';
import { isOfOtherAlgorithm, mayNotChange, mayProve, refusedNew } from './rows-rotation.ts';

/** From the newest generation to the oldest: nobody mints, tokens go, the client goes, and that is confirmed. */
const unwanted: ClientRow = {
  name: 'unwanted',
  when: (s) => s.wanted.is === 'Gone',
  then: (s, now) => {
    const { record } = s;
    if (record === undefined) return { reason: 'Deregistered' };
    if (record.generations.length === 0) return write(s, now, 'Deregistered', undefined);
    for (const one of record.generations.toReversed()) {
      const step = letGo(s, now, record, one);
      if (step?.action !== undefined) return step;
    }
    return wait(s, now, waitingFor(s, record));
  },
};

function letGo(s: ClientSnapshot, now: Instant, record: ClientRecord, one: Generation): Step | undefined {
  switch (one.state) {
    case 'Planned':
      return write(s, now, 'Deregistering', emptied(without(record, one.n)));
    case 'Created':
      return write(s, now, 'Deregistering', moved(record, one.n, 'Retiring', now));
    case 'Current':
      return write(s, now, 'Deregistering', drainedFrom(record, one.n, now));
    case 'Draining':
      // The newest credential of a client revokes the tokens of all.
      return [one, ...siblings(record, one)].every((each) => isDrained(s, each, now))
        ? write(s, now, 'Draining', moved(record, one.n, 'Retiring', now))
        : undefined;
    case 'Retiring':
      return remove(s, now, record, one);
  }
}

function remove(s: ClientSnapshot, now: Instant, record: ClientRecord, one: Generation): Step | undefined {
  const stays = retains(s) || isExternal(one);
  if (stays || one.clientId === undefined || isForeign(record, one)) {
    return write(s, now, stays ? 'Retained' : 'Deregistered', emptied(without(record, one.n)));
  }
  if (one.removedAt !== undefined) return confirm(s, now, record, one);
  if (one.retireAfter !== undefined && now < one.retireAfter) return undefined;
  if (siblings(record, one).some(({ state }) => state !== 'Retiring')) return undefined;
  if (s.brake === true) return undefined;
  if (isUnmanageable(s, record, one)) return triedAgain(s, now, record, one);
  // A foreign client is never deleted, and who that is may have changed since the last look.
  if (!isOwnerKnown(record, one, now)) {
    const which = isNewestClient(record, one) ? {} : { generation: one.n };
    return act(s, now, 'Deregistering', { type: 'Observe', ...which });
  }
  return actOnLook(s, now, 'Deregistering', { type: 'Deregister', generation: one.n });
}

/** The token that manages the client was refused, which may have been no more than a mishap at the provider: it is tried once a day. */
function triedAgain(s: ClientSnapshot, now: Instant, record: ClientRecord, one: Generation): Step | undefined {
  const isWorthIt = managementOf(record, one) !== undefined && isStale(record, s.jitter ?? 0, now);
  return isWorthIt ? act(s, now, 'Deregistering', { type: 'Observe' }) : undefined;
}

/**
 * Many providers answer for a deleted client only that the token is unknown, and something before a provider may answer that a client is gone;
 * so its own credential must be refused.
 */
function confirm(s: ClientSnapshot, now: Instant, record: ClientRecord, one: Generation): Step {
  // What is refused for its age shows nothing: that is left to the other credential of the same client.
  const spent = siblings(record, one).find((each) => each.removedAt !== undefined && mayHaveExpired(each, now));
  if (spent !== undefined && !mayHaveExpired(one, now)) return write(s, now, 'Deregistering', without(record, spent.n));
  // A look is at the newest client, and says nothing of the one before it.
  const seen = isNewestClient(record, one) ? record.observed?.is : 'Unknowable';
  switch (seen) {
    case undefined:
      return act(s, now, 'Deregistering', { type: 'Observe' });
    case 'Present':
      return write(s, now, 'Deregistering', notRemoved(record, one.n, now));
    case 'Gone':
    case 'Unknowable':
      if (seen === 'Unknowable' && isUnprovable(s, record, one, now))
        return write(s, now, 'Deregistering', notConfirmed(record, one.n));
      return canAuthenticate(one)
        ? prove(s, now, 'Deregistering', one, 'Retired')
        : write(s, now, 'Deregistered', emptied(without(record, one.n)));
  }
}

function emptied(record: ClientRecord): ClientRecord | undefined {
  return record.generations.length === 0 ? undefined : record;
}

function waitingFor(s: ClientSnapshot, record: ClientRecord): Step['reason'] {
  if (inState(record, 'Draining').length > 0) return 'Draining';
  if (s.brake === true) return 'BrakeHolds';
  if (!isUnmanageable(s, record)) return 'Deregistering';
  return s.capabilities?.registersOnly === true ? 'RegistrationRefused' : 'RegistrationAccessTokenLost';
}

/** The same id in `revokeRequest` and `rotation.request`: a rotation that does not wait, also while stopped. And the end of each revocation. */
const emergency: ClientRow = {
  name: 'emergency',
  then: (s, now) => emergencyStep(s, now),
};

/** What an emergency asks for next; `undefined`: none does, or it has to wait. */
export function emergencyStep(s: ClientSnapshot, now: Instant): Step | undefined {
  const { record } = s;
  const desired = desiredOf(s);
  if (record === undefined || desired === undefined || record.generations.length === 0) return undefined;
  const request = openRequests(record, desired).find(({ kind }) => kind === 'Emergency');
  const begun = request && beginEmergency(s, now, record, request, desired);
  return begun ?? continueEmergency(s, now, record);
}

function beginEmergency(
  s: ClientSnapshot,
  now: Instant,
  record: ClientRecord,
  request: ClientRequest,
  { asked }: Desired,
): Step | undefined {
  // What an administrator put into the Secret of his client may be the very credential to rotate to.
  if (s.existing?.is === 'Unknown') return undefined;
  const begin = (done: ClientRequest, changes: Pick<ClientRecord, 'emergency' | 'revokeBefore'>): Step => {
    const next = handled(record, done, asked, { ...changes, revoking: { id: request.id, since: now } });
    return write(s, now, changes.emergency === undefined ? 'RotationUnsupported' : 'RevokeRequested', next, lanes.Stop);
  };
  const onItsWay = inWork(record);
  const variant = variantAtAll(s);
  if (onItsWay === undefined ? variant === undefined : cannotArrive(s, onItsWay)) {
    // Nothing can replace the credential now. What it minted so far is revoked, and the rotation is still owed.
    const half = { kind: 'Revoke', id: request.id } as const;
    return isHandled(record.handled, half) ? undefined : begin(half, { revokeBefore: revokeMoment(s.youngest, now) });
  }
  if (onItsWay !== undefined) return begin(request, { emergency: onItsWay.n });
  if (isFull(s, record))
    return begin(request, { emergency: highestGeneration(record) + 1, revokeBefore: revokeMoment(s.youngest, now) });
  return variant && plan(s, now, 'RevokeRequested', variant, lanes.Stop);
}

function cannotArrive(s: ClientSnapshot, { state }: Generation): boolean {
  return state === 'Planned' && mayNotChange(s);
}

/**
 * Two old credentials are still there, and a new one is one too many. Their tokens end first: an emergency waits for no overlap. Nor does it wait
 * for old clients that nobody can remove: what leaks must be replaced.
 */
function isFull(s: ClientSnapshot, record: ClientRecord): boolean {
  const old = inState(record, 'Draining', 'Retiring').filter((one) => !isLeftBehind(s, record, one));
  return old.length > 1 || record.generations.length >= mostGenerations;
}

function continueEmergency(s: ClientSnapshot, now: Instant, record: ClientRecord): Step | undefined {
  if (isRevoked(s, record)) return write(s, now, 'RequestDone', revoked(record), lanes.Stop);
  if (record.emergency === undefined) return undefined;
  if (hasRotated(record)) return endOverlap(s, now, record);
  const next = inWork(record);
  if (next === undefined && s.existing?.is === 'Unknown') return undefined;
  const variant = variantAtAll(s);
  if (next === undefined ? variant === undefined : cannotArrive(s, next)) return onlyRevoke(s, now, record);
  if (isRevokedFirst(s, now, record)) {
    const changed = { ...record, revokeBefore: revokeMoment(s.youngest, now) };
    return write(s, now, 'RevokeRequested', changed, lanes.Stop);
  }
  if (next === undefined) return variant && planAgain(s, now, record, variant);
  return isHeldBack(s, 'emergency') ? undefined : bring(s, now, record, next);
}

/** The new credential mints and the old one is gone, where that was asked for, and no token from before is left. */
function isRevoked(s: ClientSnapshot, record: ClientRecord): boolean {
  if (record.revoking === undefined || (s.revokedTokens ?? 0) > 0) return false;
  return record.emergency === undefined || (record.generations.length === 1 && hasRotated(record));
}

/**
 * The new credential was taken back, is refused for good, or takes too long, and nobody knows when one comes: what the old one has minted so far is
 * revoked without it. What it mints from then on is revoked when the new one has come.
 */
function isRevokedFirst(
  { failure }: ClientSnapshot,
  now: Instant,
  { revoking, revokeBefore, rollbacks }: ClientRecord,
): boolean {
  if (revoking === undefined || (revokeBefore !== undefined && revokeBefore >= revoking.since)) return false;
  const isTakenBack = rollbacks !== undefined && rollbacks.at >= revoking.since;
  const isRefused = failure?.row === 'emergency' && failure.terminal;
  return isTakenBack || isRefused || now >= emergencyLateAt(revoking.since);
}

/** The steps of every rotation, but ahead of all other work and also while stopped. */
function bring(s: ClientSnapshot, now: Instant, record: ClientRecord, next: Generation): Step {
  if (next.state === 'Planned') {
    if (isOfOtherAlgorithm(next, s.keyAlgorithm)) return write(s, now, 'Planned', without(record, next.n), lanes.Stop);
    return create(s, now, record, next, lanes.Stop);
  }
  return mayProve(s, next, now)
    ? prove(s, now, 'CredentialUnverified', next, 'Verify', lanes.Stop)
    : refusedNew(s, now, record, next, lanes.Stop);
}

/** The credential that the emergency brought was taken back, or there was no room for it yet: the next one, after the pause. What was given less waits for none. */
function planAgain(s: ClientSnapshot, now: Instant, record: ClientRecord, variant: Variant): Step | undefined {
  if (isFull(s, record)) return endOverlap(s, now, record);
  const isPaused = record.rollbacks?.lacked === undefined && pausesPlanning(record, now);
  return isPaused ? undefined : plan(s, now, 'RevokeRequested', variant, lanes.Stop);
}

/** Nothing can replace the credential any more: what was minted so far is revoked all the same, and the rotation is owed. */
function onlyRevoke(s: ClientSnapshot, now: Instant, record: ClientRecord): Step {
  return write(s, now, 'RotationUnsupported', withoutEmergency(record, revokeMoment(s.youngest, now)), lanes.Stop);
}

function endOverlap(s: ClientSnapshot, now: Instant, record: ClientRecord): Step | undefined {
  const spent = inState(record, 'Draining').find((one) => s.lastExp.get(one.n) === undefined);
  return spent && write(s, now, 'Draining', moved(record, spent.n, 'Retiring', now), lanes.Stop);
}

/** Stopped on purpose: nothing new begins, what is on its way out goes on. */
const stopped: ClientRow = {
  name: 'stopped',
  when: (s) => s.stop !== undefined,
  then: (s, now) => drainedStep(s, now) ?? retirable(s, now) ?? wait(s, now, 'Suspended'),
};

export const endingRows: readonly ClientRow[] = [unwanted, emergency, stopped];
