/** What a real token request showed, written into the client record. */
import type { Reason } from '../../api/reasons.ts';
import { hour, plus } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { assertNever } from '../../errors.ts';
import { currentOf, generation, isManagementLost } from './generations.ts';
import { withoutIntent } from './intents.ts';
import { mostProofs } from './invariants.ts';
import type { ProofUse } from './machine.ts';
import { offeredRefused, takenOver, toTryAgain } from './offered.ts';
import type { ClientRecord, Generation, Proof } from './record.ts';
import { isFailing, isRefusedLately, retireAfter } from './schedule.ts';
import { withOwnManagement } from './answers.ts';
import { checked, countRollback, notRemoved, replaced, unrefused, without } from './transitions.ts';
import { isOwnClient } from './variants.ts';

/**
 * `Accepted`: a usable token came; the caller revokes it. `CredentialRefused`: `invalid_client`. `AskRefused`: the credential authenticates,
 * but the provider does not give the ask, or gives something else. `Unclear`: it refuses the ask for a reason that says nothing about the
 * credential, so another ask has to show that. Anything else (an outage) is no outcome and is thrown.
 */
export type ProofOutcome =
  | { readonly is: 'Accepted' }
  | { readonly is: 'CredentialRefused'; readonly message: string; readonly said?: string }
  | {
      readonly is: 'AskRefused' | 'Unclear';
      readonly reason: Reason;
      readonly message: string;
      readonly lasting: boolean;
    };

export interface ProofResult {
  readonly use: ProofUse;
  readonly generation: number;
  /** Of the ask; empty: an ask of nobody, which is not remembered. */
  readonly hash: string;
  readonly outcome: ProofOutcome;
  /** `rotation.overlap` of the pool. */
  readonly overlap: Milliseconds;
  /** Last `exp` of the tokens that the Current generation minted, if any is left. */
  readonly lastExp: Instant | undefined;
}

export function proved(record: ClientRecord, result: ProofResult, now: Instant): ClientRecord {
  const subject = generation(record, result.generation);
  if (subject === undefined) return record;
  const authenticates = result.outcome.is !== 'CredentialRefused';
  if (givesLess(record, subject, result, now)) return lessGiven(record, result, now);
  const known = remembered(record, result, now);
  if (result.outcome.is === 'Unclear') return known;
  switch (result.use) {
    case 'OpenIntent':
      return authenticates ? tookEffect(known, result.generation, now) : hadNoEffect(known, result.generation, now);
    case 'Verify':
      if (!authenticates) return refused(known, result.generation, now, saidIn(result));
      return subject.state === 'Created' ? switched(known, result, now) : worksAgain(known, result.generation);
    case 'Ask':
      return authenticates
        ? replaced(known, result.generation, unrefused)
        : refused(known, result.generation, now, saidIn(result));
    case 'WantedAgain':
      return authenticates
        ? mintsAgain(known, result.generation, now)
        : refused(known, result.generation, now, saidIn(result));
    case 'Retired':
      return authenticates ? notRemoved(known, result.generation, now) : without(known, result.generation);
    case 'Offered':
      return authenticates ? takenOver(known, result.generation, now) : offeredRefused(known, result.generation, now);
    default:
      return assertNever(result.use);
  }
}

/**
 * A new client that authenticates and does not give what the old one gives, as far as anybody knows: builds would lose it. Whether the old one
 * still gives it row *proof* asks after the rollback, so what was withdrawn from both holds up the next try no more. In an emergency the old one
 * is in the wrong hands: it goes, whatever builds lose.
 */
function givesLess(record: ClientRecord, subject: Generation, result: ProofResult, now: Instant): boolean {
  const { use, hash, outcome } = result;
  const current = currentOf(record);
  const mayLose = subject.state === 'Created' && current !== undefined && !isFailing(current, now);
  const isLess = use === 'Verify' && outcome.is === 'AskRefused' && hash !== '';
  const isOnTrial = isOwnClient(record.variant) && record.emergency !== subject.n;
  return isLess && mayLose && isOnTrial && record.proofs[hash]?.outcome !== 'Refused';
}

/**
 * Whether a provider that fails as it does at a client that is gone shows that it is: where it confirmed the removal itself, and else an hour
 * later, because it also fails so while it starts.
 */
export function isRemovalBelieved({ removedAt, saidGone, since }: Generation, now: Instant): boolean {
  return (removedAt !== undefined && saidGone !== true) || now >= plus(removedAt ?? since, hour);
}

/** It is no proof about the client that mints, so it stays out of `proofs`: sessions go by those. */
function lessGiven(record: ClientRecord, { generation: n, hash, outcome }: ProofResult, now: Instant): ClientRecord {
  const lacks = outcome.is === 'AskRefused' ? { lacks: outcome.message, lacksAsk: hash } : {};
  return replaced(doubted(record, hash), n, (one) => ({ ...one, refusedAt: now, ...lacks }));
}

/** Of a client that is asked for more than a record remembers the first by hash are tried ahead, and a pod tries any other. */
export function isTriedAhead({ proofs }: ClientRecord, hash: string): boolean {
  return Object.keys(proofs).filter((known) => known < hash).length < mostProofs;
}

/**
 * A session got something else than what was proven for this ask: the proof counts no longer, and a new one says whether that is so for
 * everybody. What is refused already stays so.
 */
export function doubted(record: ClientRecord, hash: string): ClientRecord {
  if (record.proofs[hash]?.outcome !== 'Accepted') return record;
  const { [hash]: _, ...proofs } = record.proofs;
  return checked({ ...record, proofs });
}

/** Of a client that was registered the management token went with the answer; what is known is that of the client before it. */
function tookEffect(record: ClientRecord, n: number, now: Instant): ClientRecord {
  const registered = record.intent?.call === 'Register';
  const { intent: _, management, ...rest } = withOwnManagement(record, generation(record, n)?.clientId);
  const generations = rest.generations.map((one) => {
    if (one.n !== n || one.state !== 'Planned') return one;
    return { ...unrefused(one), state: 'Created' as const, since: now };
  });
  return checked({
    ...rest,
    generations,
    updatedAt: now,
    ...(registered || management === undefined ? {} : { management }),
    ...(registered && management === undefined ? { managementLost: true } : {}),
  });
}

/**
 * Without a management token nothing can be sent again, so this credential will never be known. Where the id of a registration was taken before
 * the proof, it is remembered that whoever has it is somebody else. Otherwise the registration itself may still arrive.
 */
function hadNoEffect(record: ClientRecord, n: number, now: Instant): ClientRecord {
  const subject = generation(record, n);
  const isLost = subject !== undefined && isManagementLost(record, subject);
  if (isLost && record.intent === undefined) return countRollback(without(record, n), now);
  const next = withoutIntent(record);
  if (record.intent?.call !== 'Register') return next;
  if (record.intent.takenAt === undefined) return replaced(next, n, (one) => ({ ...unrefused(one), unheard: true }));
  return refused(replaced(next, n, unrefused), n, now);
}

/** The credential works: it mints from now on, the old one drains. In an emergency everything minted before this is forbidden. */
function switched(record: ClientRecord, { generation: n, overlap, lastExp }: ProofResult, now: Instant): ClientRecord {
  const { rollbacks, ...rest } = record;
  const generations = rest.generations.map((one) => {
    if (one.n === n) {
      return { ...unrefused(one), state: 'Current' as const, since: now };
    }
    if (one.state !== 'Current') return one;
    return { ...one, state: 'Draining' as const, since: now, retireAfter: retireAfter(now, overlap, lastExp) };
  });
  const replacedAt = rollbacks?.replacedAt ?? generation(record, n)?.replacedAt;
  return checked({
    ...rest,
    generations,
    ...(record.emergency === n ? { revokeBefore: now } : {}),
    ...(replacedAt === undefined ? {} : { gap: now - replacedAt }),
  });
}

/** Nothing of the removal that had begun is left to do, and the credential is as old as it was. */
function mintsAgain(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return replaced(record, n, (one) => {
    const { retireAfter: _, stillThere: _kept, currentSince = now, ...rest } = unrefused(one);
    return { ...rest, state: 'Current' as const, since: currentSince };
  });
}

/** The old credential, whose place another one had taken, works after all: nobody waits for that one any longer. */
function worksAgain(record: ClientRecord, n: number): ClientRecord {
  const { rollbacks, ...rest } = replaced(record, n, unrefused);
  if (rollbacks === undefined) return rest;
  const { replacedAt: _, ...kept } = rollbacks;
  return checked({ ...rest, rollbacks: kept });
}

/** The token endpoint refused this credential (`invalid_client`) when a session minted with it; a refusal that is known stays as it is. */
export function credentialRefused(record: ClientRecord, n: number, now: Instant, said?: string): ClientRecord {
  return replaced(record, n, (one) => (one.refusedAt === undefined ? refusedWith(one, now, said) : one));
}

/** The token endpoint refuses this credential now, in these words. */
function refusedWith(one: Generation, now: Instant, said?: string): Generation {
  const { refusedSaying: _, ...rest } = one;
  return { ...rest, ...toTryAgain(one), refusedAt: now, ...(said === undefined ? {} : { refusedSaying: said }) };
}

function refused(record: ClientRecord, n: number, now: Instant, said?: string): ClientRecord {
  return replaced(record, n, (one) => {
    const isAgain = one.refusedAt !== undefined && !isRefusedLately(one, now);
    return { ...refusedWith(one, now, said), ...(isAgain ? { refusedAgain: true } : {}) };
  });
}

function saidIn({ outcome }: ProofResult): string | undefined {
  return outcome.is === 'CredentialRefused' ? outcome.said : undefined;
}

function remembered(
  record: ClientRecord,
  { hash, outcome, generation: n, use }: ProofResult,
  now: Instant,
): ClientRecord {
  if (hash === '' || outcome.is === 'CredentialRefused' || use === 'Retired') return record;
  const proof: Proof =
    outcome.is === 'Accepted'
      ? { outcome: 'Accepted', at: now, generation: n }
      : {
          outcome: 'Refused',
          at: now,
          generation: n,
          reason: outcome.reason,
          message: outcome.message,
          lasting: outcome.lasting,
        };
  const { [hash]: _, ...others } = record.proofs;
  const kept = Object.entries(others)
    .toSorted(([, a], [, b]) => a.at - b.at)
    .slice(-(mostProofs - 1));
  const { nothingGiven, ...rest } = record;
  const still = nothingGiven === undefined || outcome.is === 'Accepted' ? {} : { nothingGiven };
  return checked({ ...rest, ...still, proofs: { ...Object.fromEntries(kept), [hash]: proof } });
}
