/** An old credential on its way out: it drains, is taken out at the provider, and proven to be refused. */
import type { Instant } from '../../clock.ts';
import { isHeldBack } from '../failure.ts';
import { lanes } from '../lanes.ts';
import { existingChange, isExternal } from './existing.ts';
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
import type { ClientSnapshot } from './machine.ts';
import { isPerhapsGone, mayMintAgain } from './rows-planning.ts';
import type { ClientRecord, Generation } from './record.ts';
import { mayHaveExpired, isDrained, isFailing, isOwnerKnown, isSeenLately } from './schedule.ts';
import { act, actOnLook, isUnmanageable, prove, write } from './steps.ts';
import type { ClientRow, Step } from './steps.ts';
import { moved, notConfirmed, replaced, without } from './transitions.ts';

/** The old credential whose overlap is over, whose tokens are gone, and about whose time all clocks agree; or one that the next one needs the room of. */
export function drainedStep(s: ClientSnapshot, now: Instant): Step | undefined {
  if (s.record === undefined || mayMintAgain(s, now) !== undefined) return undefined;
  const spare = spareOf(s, s.record) ?? inTheWay(s, s.record, now);
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

/**
 * What mints is refused or about to expire, and three credentials are the most that a record holds: the oldest one makes room for the next as soon
 * as it has no tokens, whatever overlap and clocks say. It would not have been used again.
 */
function inTheWay({ lastExp }: ClientSnapshot, record: ClientRecord, now: Instant): Generation | undefined {
  const current = currentOf(record);
  const isFull = record.generations.length > 2 && inWork(record) === undefined;
  if (current === undefined || !isFull || !isFailing(current, now)) return undefined;
  return inState(record, 'Draining').find(({ n }) => !lastExp.has(n));
}

const drained: ClientRow = {
  name: 'drained',
  then: (s, now) => drainedStep(s, now),
};

/** The step that takes an old credential out, or proves that it is out. */
export function retirable(s: ClientSnapshot, now: Instant): Step | undefined {
  const { record } = s;
  if (record === undefined || isHeldBack(s, 'retire')) return undefined;
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
  if (shares && isReplacedInPlace(s, record, one)) {
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

/** The secret after it took its place, so that it is dead already. That holds also where a new client has come since. */
function isReplacedInPlace(
  { capabilities }: ClientSnapshot,
  { variant }: ClientRecord,
  { credential }: Generation,
): boolean {
  if (credential.type === 'PrivateKeyJwt') return false;
  return variant === 'InPlace' || capabilities?.variants.includes('InPlace') === true;
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

export const retirementRows: readonly ClientRow[] = [drained, retire];
