/** A new generation on its way: it is created and verified, or taken back. */
import { hour, instant, plus } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { isHeldBack } from '../failure.ts';
import { asPast, isFarAhead } from '../clocks.ts';
import { lanes } from '../lanes.ts';
import type { Lane } from '../lanes.ts';
import { isExternal } from './existing.ts';
import { mayLeaveGap } from './gap.ts';
import { currentOf, inWork, isForeign, isGone, siblings } from './generations.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import { variantToRegister } from './rows-planning.ts';
import type { ClientRecord, Generation } from './record.ts';
import { isRefusedLately, isRetried, isSeenSince, proofPause, propagationOf, refusedPause } from './schedule.ts';
import { act, create, desiredOf, isUnmanageable, plan, planAndRegister, prove, wait, write } from './steps.ts';
import type { ClientRow, Step } from './steps.ts';
import { countRollback, rolledBack, without } from './transitions.ts';

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

/** Whether it works decides what mints, so it goes before the looks and proofs of others. */
const offered: ClientRow = {
  name: 'offered',
  when: (s) => !isHeldBack(s, 'offered'),
  then: (s, now) => {
    const of = currentOf(s.record);
    if (of?.offered === undefined || !mayProve(s, { ...of.offered, since: of.offered.at }, now)) return undefined;
    return prove(s, now, 'CredentialUnverified', of, 'Offered', lanes.Renew);
  },
};

const createRow: ClientRow = {
  name: 'create',
  when: (s) => !isHeldBack(s, 'create'),
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
  when: (s) => !isHeldBack(s, 'verify'),
  then: (s, now) => {
    const of = inWork(s.record);
    if (of?.state !== 'Created' || !mayProve(s, of, now)) return undefined;
    const lane = currentOf(s.record) === undefined ? lanes.NewPod : lanes.Routine;
    return prove(s, now, 'CredentialUnverified', of, 'Verify', lane);
  },
};

/** A refusal counts once the provider had its time; until then it is asked again. */
export function mayProve(s: ClientSnapshot, of: Pick<Generation, 'since' | 'refusedAt'>, now: Instant): boolean {
  return of.refusedAt === undefined || (of.refusedAt < takenBy(s, of, now) && now >= plus(of.refusedAt, proofPause));
}

/** One that was made in the future was made before our clock was set back, and would be asked about for as long as that was ahead. */
function takenBy(s: ClientSnapshot, of: Pick<Generation, 'since'>, now: Instant): Instant {
  return isFarAhead(of.since, now) ? instant(0) : plus(of.since, propagationOf(s));
}

const notAccepted: ClientRow = {
  name: 'not-accepted',
  when: (s) => !isHeldBack(s, 'not-accepted'),
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
  const isLate = of.state === 'Created' && now >= plus(of.since, unprovenFor) && isHeldBack(s, 'verify');
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
    return isRefusedLately(current, now) ? undefined : prove(s, now, 'CredentialRefused', current, 'Verify');
  if (!isSeenSince(record, refusedAt, now) && !isUnmanageable(s, record, current))
    return act(s, now, 'CredentialRefused', { type: 'Observe' });
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

export const rotationRows: readonly ClientRow[] = [abandoned, offered, createRow, verify, notAccepted];
