/** A generation on its way: create, verify, and in the end drain and retire. */
import { hour, instant, plus } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { gaveWay } from '../failure.ts';
import { asPast, isFarAhead } from '../clocks.ts';
import { lanes } from '../lanes.ts';
import type { Lane } from '../lanes.ts';
import { existingChange, isExternal } from './existing.ts';
import { mayLeaveGap } from './gap.ts';
import {
  currentOf,
  inState,
  inWork,
  isForeign,
  isGone,
  isManagementLost,
  removedLately,
  siblings,
} from './generations.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import { isPerhapsGone, mayMintAgain, variantToRegister } from './rows-planning.ts';
import type { ClientRecord, Generation } from './record.ts';
import {
  mayHaveExpired,
  isDrained,
  isOwnerKnown,
  isRetried,
  isSeenLately,
  proofPause,
  propagationOf,
  refusedPause,
} from './schedule.ts';
import {
  act,
  actOnLook,
  create,
  desiredOf,
  isUnmanageable,
  plan,
  planAndRegister,
  prove,
  wait,
  write,
} from './steps.ts';
import type { ClientRow, Step } from './steps.ts';
import { countRollback, moved, notConfirmed, replaced, rolledBack, without } from './transitions.ts';

/**
 * Planned for a method that nobody asks for any more, in a client of its own that does not exist yet; in a client that is gone, or that the
 * provider turns out not to change; with a key that was made before the provider had said which algorithms it verifies; or for a window that is
 * declared no longer.
 */
const abandoned: ClientRow = {
  name: 'abandoned',
  then: (s, now) => {
    const { record, wanted } = s;
    const of = inWork(record);
    const isOurs = of?.state === 'Planned' && !isExternal(of) && record?.intent === undefined;
    if (!isOurs || record === undefined || wanted.is !== 'Seen') return undefined;
    const next = without(record, of.n);
    // Whoever asked for a rotation has got none, so the next try is owed: see row *again*.
    if (cannotGoOn(s, of, now))
      return write(s, now, 'Planned', currentOf(next) === undefined ? next : countRollback(next, now));
    return isOutOfPlace(record, of, wanted.value) ? write(s, now, 'Planned', next) : undefined;
  },
};

function isOutOfPlace(record: ClientRecord, of: Generation, { existing, authentication }: Desired): boolean {
  if (siblings(record, of).length > 0) return isGone(record);
  return existing !== undefined || of.credential.type !== authentication;
}

/** It is still wanted, and this plan leads nowhere. */
function cannotGoOn(s: ClientSnapshot, of: Generation, now: Instant): boolean {
  return isOfOtherAlgorithm(of, s.keyAlgorithm) || waitsForNoWindow(s, now) || isNotChanged(s, of);
}

/** A second key of a client that the provider turned out not to change. */
function isNotChanged({ record, capabilities }: ClientSnapshot, of: Generation): boolean {
  const isSecondKey = record?.variant === 'TwoKeys' && siblings(record, of).length > 0;
  return isSecondKey && capabilities?.variants.includes('TwoKeys') === false;
}

/** Its key is none that would be made now that the provider has said which algorithms it verifies. */
export function isOfOtherAlgorithm({ credential }: Generation, algorithm: string | undefined): boolean {
  return credential.type === 'PrivateKeyJwt' && credential.alg !== (algorithm ?? credential.alg);
}

const createRow: ClientRow = {
  name: 'create',
  when: (s) => !gaveWay(s, 'create'),
  then: (s, now) => {
    const { record } = s;
    const of = inWork(record);
    const variant = variantToRegister(s, now);
    if (variant !== undefined) return planAndRegister(s, now, variant);
    if (record === undefined || of?.state !== 'Planned' || mayNotChange(s) || waitsForWindow(s, now)) return undefined;
    return create(s, now, record, of, currentOf(record) === undefined ? lanes.NewPod : lanes.Routine);
  },
};

/** It was planned inside the window, and by now the gap that it leaves would come outside of it. An emergency leaves it at any hour. */
function waitsForWindow(s: ClientSnapshot, now: Instant): boolean {
  const { record } = s;
  return record?.variant === 'InPlace' && record.emergency !== inWork(record)?.n && !mayLeaveGap(s, now);
}

function waitsForNoWindow(s: ClientSnapshot, now: Instant): boolean {
  return s.window === undefined && waitsForWindow(s, now);
}

/** The client of the new credential became somebody else's. */
export function mayNotChange({ record }: ClientSnapshot): boolean {
  const of = inWork(record);
  return record !== undefined && of !== undefined && isForeign(record) && siblings(record, of).length > 0;
}

const verify: ClientRow = {
  name: 'verify',
  when: (s) => !gaveWay(s, 'verify'),
  then: (s, now) => {
    const of = inWork(s.record);
    if (of?.state !== 'Created' || !mayProve(s, of, now)) return undefined;
    const lane = currentOf(s.record) === undefined ? lanes.NewPod : lanes.Routine;
    return prove(s, now, 'CredentialUnverified', of, 'Verify', lane);
  },
};

/** A refusal counts once the provider had its time; until then it is asked again. */
export function mayProve(s: ClientSnapshot, of: Generation, now: Instant): boolean {
  return of.refusedAt === undefined || (of.refusedAt < takenBy(s, of, now) && now >= plus(of.refusedAt, proofPause));
}

/** One that was made in the future was made before our clock was set back, and would be asked about for as long as that was ahead. */
function takenBy(s: ClientSnapshot, of: Generation, now: Instant): Instant {
  return isFarAhead(of.since, now) ? instant(0) : plus(of.since, propagationOf(s));
}

const notAccepted: ClientRow = {
  name: 'not-accepted',
  when: (s) => !gaveWay(s, 'not-accepted'),
  then: (s, now) => {
    const of = inWork(s.record);
    if (s.record !== undefined && of?.state === 'Created' && of.refusedAt !== undefined) {
      return refusedNew(s, now, s.record, of);
    }
    const current = currentOf(s.record);
    if (s.record !== undefined && of !== undefined && isNeverProven(s, of, now))
      return write(s, now, 'CredentialUnverified', rolledBack(s.record, of.n, now));
    return current?.refusedAt === undefined ? undefined : refusedCurrent(s, now, current, current.refusedAt);
  },
};

/**
 * So long something else than a refusal may keep a new credential from being proven, while others get tokens of its issuer. One that was
 * replaced in place is kept: the one before it may be dead, so it may be the only one that works.
 */
const unprovenFor: Milliseconds = hour;

function isNeverProven(s: ClientSnapshot, of: Generation, now: Instant): boolean {
  const current = currentOf(s.record);
  const isLate = of.state === 'Created' && now >= plus(of.since, unprovenFor) && gaveWay(s, 'verify');
  const isReplaced = s.record?.variant === 'InPlace';
  return isLate && !isReplaced && s.outage !== true && current !== undefined && current.refusedAt === undefined;
}

/** While the provider may still be taking it over it is asked again; then it is taken back. */
export function refusedNew(s: ClientSnapshot, now: Instant, record: ClientRecord, of: Generation, lane?: Lane): Step {
  return (of.refusedAt ?? now) < takenBy(s, of, now)
    ? wait(s, now, 'CredentialUnverified')
    : write(s, now, 'CredentialRefused', rolledBack(record, of.n, now), lane);
}

/** Once may be a mishap on the way, so it is asked again. Is the client still there? Gone: only a new client helps, where that is allowed. There: row *refused* plans. And it is tried again. */
function refusedCurrent(s: ClientSnapshot, now: Instant, current: Generation, refusedAt: Instant): Step | undefined {
  const { record } = s;
  if (record === undefined) return undefined;
  if (current.refusedAgain !== true)
    return now < plus(asPast(refusedAt, now), proofPause)
      ? undefined
      : prove(s, now, 'CredentialRefused', current, 'Verify');
  const { observed } = record;
  const isSeen = observed !== undefined && observed.at >= refusedAt;
  if (!isSeen && !isUnmanageable(s, record, current)) return act(s, now, 'CredentialRefused', { type: 'Observe' });
  const gone = isGone(record) && !isExternal(current);
  if (gone && mayReplaceGone(s, record)) return plan(s, now, 'ClientGone', 'NewClient', lanes.Renew);
  if (now < plus(asPast(refusedAt, now), refusedPause) && !isRetried(record, refusedAt, now)) return undefined;
  return prove(s, now, gone ? 'ClientGone' : 'CredentialRefused', current, 'Verify');
}

/** Whatever else the provider offers for clients that are there. What still drains went with the client, so nobody waits for it. */
function mayReplaceGone(s: ClientSnapshot, record: ClientRecord): boolean {
  const desired = desiredOf(s);
  const isAllowed = desired?.allowSubjectChange === true && desired.existing === undefined && s.leaving !== true;
  const isOffered = s.capabilities?.variants.includes('NewClient') === true;
  return isAllowed && isOffered && inWork(record) === undefined && record.generations.length <= 2;
}

/** The old credential whose overlap is over, whose tokens are gone, and about whose time all clocks agree. */
export function drainedStep(s: ClientSnapshot, now: Instant): Step | undefined {
  if (s.record === undefined || mayMintAgain(s, now) !== undefined) return undefined;
  const spare = spareOf(s, s.record);
  if (spare !== undefined) return write(s, now, 'Draining', moved(s.record, spare.n, 'Retiring', now));
  if (!s.clockAgrees) return undefined;
  const drained = inState(s.record, 'Draining').find(
    (one) => one.retireAfter !== undefined && now >= one.retireAfter && isDrained(s, one, now),
  );
  return drained && write(s, now, 'Draining', moved(s.record, drained.n, 'Retiring', now));
}

/**
 * An administrator has stored the next credential of his client while two old ones drain, more than which no record holds. Nothing is taken out at the
 * provider for their sake, and a newer one of the same client revokes their tokens, so the older one goes without waiting.
 */
function spareOf(s: ClientSnapshot, record: ClientRecord): Generation | undefined {
  const [oldest, second] = inState(record, 'Draining').filter(isExternal);
  if (oldest === undefined || second === undefined || record.emergency !== undefined) return undefined;
  return existingChange(s) !== undefined && siblings(record, oldest).length > 0 ? oldest : undefined;
}

const drained: ClientRow = {
  name: 'drained',
  then: (s, now) => drainedStep(s, now),
};

/** The step that takes an old credential out, or proves that it is out. */
export function retirable(s: ClientSnapshot, now: Instant): Step | undefined {
  const { record } = s;
  if (record === undefined || gaveWay(s, 'retire')) return undefined;
  if (mayMintAgain(s, now) !== undefined)
    return isPerhapsGone(s) && !isSeenLately(record, now) ? act(s, now, 'InProgress', { type: 'Observe' }) : undefined;
  for (const one of inState(record, 'Retiring').toReversed()) {
    const step = retireStep(s, now, one);
    if (step !== undefined) return step;
  }
  return undefined;
}

function retireStep(s: ClientSnapshot, now: Instant, one: Generation): Step | undefined {
  const { record } = s;
  if (record === undefined || (one.retireAfter !== undefined && now < one.retireAfter)) return undefined;
  const lane = record.revoking === undefined ? lanes.CleanUp : lanes.Routine;
  const nothingToDo = isExternal(one) || one.clientId === undefined || isForeign(record, one);
  if (nothingToDo) return write(s, now, 'Retired', without(record, one.n));
  const propagation = s.capabilities?.credentialPropagation ?? 0;
  if (one.removedAt !== undefined) {
    if (isUnprovable(s, record, one, now)) return write(s, now, 'Retired', notConfirmed(record, one.n), lane);
    return removedLately(one, propagation, now) ? undefined : prove(s, now, 'Retired', one, 'Retired', lane);
  }
  const shares = siblings(record, one).some(({ state }) => state !== 'Retiring');
  if (record.variant === 'InPlace' && shares) {
    return write(
      s,
      now,
      'Retired',
      replaced(record, one.n, (old) => ({ ...old, removedAt: now })),
    );
  }
  if (isUnmanageable(s, record, one)) {
    // Nothing can be taken out. Where the client may be gone as a whole, its old credential shows it, unless it is refused for its age anyhow.
    const mayBeGone = isGone(record) || currentOf(record)?.clientId !== one.clientId;
    return mayBeGone && !mayHaveExpired(one, now) ? prove(s, now, 'Retired', one, 'Retired', lane) : undefined;
  }
  if (shares) return act(s, now, 'Retired', { type: 'Update', generation: one.n, without: one.n }, lane);
  // A foreign client is never deleted, and who that is may have changed since the last look.
  return isOwnerKnown(record, one, now)
    ? actOnLook(s, now, 'Retired', { type: 'Deregister', generation: one.n })
    : act(s, now, 'Retired', { type: 'Observe', generation: one.n }, lane);
}

/**
 * Whether its client is gone nothing can show: the provider refused the token that was to remove it, nobody gave another one, and its last
 * credential may be refused for its age anyhow.
 */
export function isUnprovable(s: ClientSnapshot, record: ClientRecord, one: Generation, now: Instant): boolean {
  const isLast = siblings(record, one).every(({ state }) => state === 'Retiring');
  const isRefused = isManagementLost(record, one) && s.managementFallback !== true;
  return isLast && isRefused && mayHaveExpired(one, now);
}

const retire: ClientRow = {
  name: 'retire',
  then: (s, now) => retirable(s, now),
};

export const rotationRows: readonly ClientRow[] = [abandoned, createRow, verify, notAccepted, drained, retire];
