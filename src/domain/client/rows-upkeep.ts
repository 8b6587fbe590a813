/** What a working client needs: the daily look at the provider, and a proof for every ask. */
import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import type { Ask } from '../access/access.ts';
import { isHeldBack } from '../failure.ts';
import { existingChange, isExternal } from './existing.ts';
import { changeWaits } from './gap.ts';
import { currentOf, inState, inWork, isAsWanted, isForeign, isGone } from './generations.ts';
import type { ClientSnapshot } from './machine.ts';
import { openOrphans, orphansAcknowledged } from './orphans.ts';
import type { ClientRecord, Generation } from './record.ts';
import { isUnmanaged } from './management.ts';
import { dueAt, isSeenLately, isStale, isWorthAnotherTry } from './schedule.ts';
import {
  act,
  actOnLook,
  desiredOf,
  isUnmanageable,
  prove,
  rememberedAsks,
  variantAtAll,
  wait,
  write,
} from './steps.ts';
import type { ClientRow } from './steps.ts';
import { withoutRollbacks } from './transitions.ts';
import { isOwnClient } from './variants.ts';

/**
 * The record knows what shall become of the client, for the day on which its pool is gone without a goodbye. And it forgets the refused credential
 * that an administrator took back: nothing is tried again then, and nobody should read that it is.
 */
const noted: ClientRow = {
  name: 'noted',
  then: (s, now) => {
    const { record } = s;
    if (record === undefined) return undefined;
    const retain = retainChange(s, record);
    if (retain !== undefined) return write(s, now, 'InProgress', { ...record, retain });
    return isTakenBack(s, record) ? write(s, now, 'CredentialCurrent', withoutRollbacks(record)) : undefined;
  },
};

function retainChange(s: ClientSnapshot, record: ClientRecord): boolean | undefined {
  const desired = desiredOf(s);
  if (desired === undefined) return undefined;
  const retain = desired.deletionPolicy === 'Retain';
  return (record.retain ?? false) === retain ? undefined : retain;
}

/** The Secret of the administrator holds what mints again. */
function isTakenBack(s: ClientSnapshot, record: ClientRecord): boolean {
  const isUsable = desiredOf(s)?.existing !== undefined && s.existing?.is === 'Usable';
  const isSettled = currentOf(record) !== undefined && inWork(record) === undefined;
  return record.rollbacks !== undefined && isUsable && isSettled && existingChange(s) === undefined;
}

const acknowledged: ClientRow = {
  name: 'acknowledged',
  when: (s) => s.orphansAcknowledged === true,
  then: (s, now) =>
    s.record === undefined || openOrphans(s.record) === 0
      ? undefined
      : write(s, now, 'OrphanAcknowledged', orphansAcknowledged(s.record)),
};

/**
 * The client authenticates and gets nothing of what it was registered for. Some providers lose part of a registration or of a change and do not
 * show that (Glewlwyd, of two at the same moment), so it is sent once more before the refusal is believed.
 */
const nothingGiven: ClientRow = {
  name: 'nothing-given',
  when: (s) => isNothingGiven(s) && s.record?.nothingGiven === undefined && mayChange(s),
  then: (s, now) => s.record && write(s, now, 'ScopeRefused', { ...s.record, nothingGiven: now }),
};

/** Since it was last sent. */
function isNothingGiven({ asks, record }: ClientSnapshot): boolean {
  const { proofs = {}, updatedAt } = record ?? {};
  const isRefused = (hash: string): boolean => {
    const known = proofs[hash];
    return known?.reason === 'ScopeRefused' && updatedAt !== undefined && known.at >= updatedAt;
  };
  return asks.length > 0 && asks.every(({ hash }) => isRefused(hash));
}

function mayChange(s: ClientSnapshot): boolean {
  const { record } = s;
  const current = currentOf(record);
  if (record === undefined || current === undefined || isExternal(current)) return false;
  return !isUnmanageable(s, record, current) && !isForeign(record) && record.observed?.is !== 'Gone';
}

/** The daily look; and what the provider has otherwise than is wanted, unless that waits for the window: {@link changeWaits}. */
const stale: ClientRow = {
  name: 'stale',
  when: (s) => !isHeldBack(s, 'stale'),
  then: (s, now) => {
    const { record } = s;
    const current = currentOf(record);
    const desired = desiredOf(s);
    if (record === undefined || current === undefined || desired === undefined || isExternal(current)) return undefined;
    const isWrong = !isAsWanted(record, desired) && !changeWaits({ ...s, record, desired }, now);
    if (mayChange(s) && (isWrong || (isNothingGiven(s) && isPerhapsLost(record, now)))) {
      // Whose client it is may have changed since the last look, and a foreign one is never written to.
      return isSeenLately(record, now)
        ? actOnLook(s, now, 'ClientDrifted', { type: 'Update', generation: current.n })
        : act(s, now, 'ClientDrifted', { type: 'Observe' });
    }
    const isUnseen = mayChange(s) && record.repairing === true;
    return isUnseen || isStale(record, s.jitter ?? 0, now) ? act(s, now, 'InProgress', { type: 'Observe' }) : undefined;
  },
};

/** Not sent since it was found to get nothing; by a clock that went ahead that would stay so however often it is sent. */
function isPerhapsLost({ updatedAt, nothingGiven: at }: ClientRecord, now: Instant): boolean {
  return at !== undefined && at <= now && updatedAt !== undefined && updatedAt < at;
}

const proof: ClientRow = {
  name: 'proof',
  when: (s) => !isHeldBack(s, 'proof'),
  then: (s, now) => {
    const next = unproven(s, now);
    if (next === undefined) return undefined;
    const { generation, hash, ask } = next;
    return act(s, now, 'Probing', { type: 'Prove', generation: generation.n, hash, ask, settles: 'Ask' });
  },
};

interface Unproven {
  readonly generation: Generation;
  readonly hash: string;
  readonly ask: Ask;
}

/**
 * An ask without a proof, one that only the client before this one was given, or one whose refusal is worth another try: the client was changed
 * since, some minutes have passed, or somebody asks for it.
 */
function unproven(s: ClientSnapshot, now: Instant): Unproven | undefined {
  const generation = currentOf(s.record);
  const { record } = s;
  if (record === undefined || generation === undefined || generation.refusedAt !== undefined) return undefined;
  const { proofs, updatedAt, variant } = record;
  const found = rememberedAsks(s).find(({ hash }) => {
    const known = proofs[hash];
    if (known?.outcome !== 'Refused') {
      return known === undefined || (isOwnClient(variant) && known.generation < generation.n);
    }
    const isChanged = updatedAt !== undefined && updatedAt > known.at;
    return isChanged || isWorthAnotherTry(record, known, now);
  });
  return found && { generation, ...found };
}

/**
 * Who needs a token finds out by itself that an outage, or the trouble of this client alone, is over. Where nobody does, somebody has to: the
 * circuit of the issuer lets one call through now and then, and everything else goes before this one.
 */
const outage: ClientRow = {
  name: 'outage',
  when: (s) => s.outage === true || s.failing === true,
  then: (s, now) => {
    const current = currentOf(s.record);
    return current && prove(s, now, 'ProviderUnavailable', current, 'Ask');
  },
};

const settled: ClientRow = {
  name: 'settled',
  when: () => true,
  then: (s, now) => wait(s, now, s.record === undefined ? 'Settled' : settledReason(s, s.record, now)),
};

/** What a person should know of a client with which nothing is to be done now; the worst first. */
function settledReason(s: ClientSnapshot, record: ClientRecord, now: Instant): Reason {
  const current = currentOf(record);
  if (s.existing !== undefined && s.existing.is === 'Unusable') return s.existing.reason;
  if (isExternal(current)) return current?.refusedAt === undefined ? 'CredentialCurrent' : 'CredentialRefused';
  const trouble = troubleOf(s, record) ?? drainingReason(s, record, now);
  if (trouble !== undefined || current === undefined) return trouble ?? 'InProgress';
  return missedRotation(s, current, now) ?? 'CredentialCurrent';
}

/** Somebody has to see to it at the provider. */
function troubleOf(s: ClientSnapshot, record: ClientRecord): Reason | undefined {
  const current = currentOf(record);
  if (isForeign(record)) return 'ClientForeign';
  if (isGone(record) && current !== undefined) return 'ClientGone';
  if (current?.refusedAt !== undefined) return 'CredentialRefused';
  const isLost = isUnmanaged(record) && s.managementFallback !== true && s.capabilities?.registersOnly !== true;
  return isLost ? 'RegistrationAccessTokenLost' : undefined;
}

/** A credential from before is still there: its time is not over, or it is not sure that it is. */
function drainingReason(s: ClientSnapshot, record: ClientRecord, now: Instant): Reason | undefined {
  const isDue = inState(record, 'Draining').some(({ retireAfter }) => retireAfter !== undefined && now >= retireAfter);
  if (isDue && !s.clockAgrees) return 'ClockUnsure';
  return inState(record, 'Draining', 'Retiring').length > 0 ? 'Draining' : undefined;
}

/** The next credential should be there by now, and the rows that make it had nothing to do: it waits, or there is no way to it. */
function missedRotation(s: ClientSnapshot, current: Generation, now: Instant): Reason | undefined {
  const desired = desiredOf(s);
  if (desired === undefined) return undefined;
  if (current.credential.type !== desired.authentication) return 'RotationUnsupported';
  if (now < dueAt(current, desired.rotateEvery, s.jitter ?? 0)) return undefined;
  return variantAtAll(s) === undefined ? 'RotationUnsupported' : 'RotationDue';
}

export const upkeepRows: readonly ClientRow[] = [noted, acknowledged, nothingGiven, stale, proof, outage, settled];
