/** What a change of a client record means for people: one sentence per step of a credential's life, for audit lines and events. */
import { formatDuration, toRfc3339 } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { asClause } from '../access/explain.ts';
import { isExternal } from './existing.ts';
import { currentOf, generation, highestGeneration, isForeign, isManagementLost, siblings } from './generations.ts';
import type { ProofUse } from './machine.ts';
import { openOrphans, possibleOrphans } from './orphans.ts';
import { dealtWith, forgotten } from './orphan-story.ts';
import type { ProofOutcome } from './proofs.ts';
import type { ClientRecord, Generation, Intent } from './record.ts';
import type { Telling } from './telling.ts';
import { isOwnClient } from './variants.ts';

/** Somebody deleted the Secret of this record or wrote nonsense into it, and it was written again. `name`: of the Secret. */
export function restored(record: ClientRecord, name: string): Telling {
  const message = `somebody deleted or changed Secret ${name}, which holds the credential of the client. It was written again as it was, so nothing is lost; leave it alone. For another credential set spec.rotation.request.`;
  return {
    step: 'Restored',
    generation: currentOf(record)?.n ?? highestGeneration(record),
    reason: 'RecordRestored',
    good: false,
    message,
  };
}

/**
 * The call of ours of which nobody heard how it ended, and a proof shows that it took effect: a new credential authenticates, or one that was
 * to be taken out is refused.
 */
export function foundOut(
  record: ClientRecord,
  n: number,
  use: ProofUse,
  outcome: ProofOutcome,
  isWanted: boolean,
): { readonly call: Intent['call']; readonly message: string } | undefined {
  if (outcome.is === 'Unclear') return undefined;
  const authenticates = outcome.is !== 'CredentialRefused';
  // Where the registration access token was lost with the answer, the intent is closed already.
  if (use === 'OpenIntent' && authenticates) {
    const message = 'its answer was lost; a token request shows that it took effect';
    return { call: record.intent?.call ?? 'Update', message };
  }
  const one = generation(record, n);
  if (use !== 'Retired' || authenticates || one?.removedAt === undefined) return undefined;
  const call = isWanted && !isOwnClient(record.variant) ? 'Update' : 'Deregister';
  if (one.stillThere !== undefined && call === 'Deregister')
    return { call, message: 'the provider had said so before, and it was still there' };
  if (!isManagementLost(record, one)) return undefined;
  return { call, message: 'its answer was lost or refused; a token request shows that the credential is out' };
}

/** What becomes at the provider of a client that is not wanted any longer. */
export type ClientEnd = 'Removed' | 'Retained';

/**
 * In the order in which they happened. A change that nobody needs to hear of (an intent, an observation) says nothing. `end`: of a client that
 * goes; absent: it is wanted.
 */
export function tell(
  before: ClientRecord | undefined,
  after: ClientRecord | undefined,
  now: Instant,
  end?: ClientEnd,
): readonly Telling[] {
  if (after === undefined) return before !== undefined && possibleOrphans(before) > 0 ? [forgotten(before)] : [];
  const change: Change = { before, after, end };
  const steps = after.generations.flatMap((one) => ofGeneration(before && generation(before, one.n), one, change));
  if (before === undefined) return steps;
  const gone = before.generations.filter(({ n }) => generation(after, n) === undefined);
  const done = after.revoking === undefined ? before.revoking : undefined;
  return [
    ...steps,
    ...gone.map((old) => dropped(old, before, after, end)),
    ...(before.acknowledgedOrphans === after.acknowledgedOrphans ? [] : [dealtWith(before)]),
    ...(done === undefined ? [] : [completed(done, before, after, now)]),
  ];
}

interface Change {
  readonly before: ClientRecord | undefined;
  readonly after: ClientRecord;
  readonly end: ClientEnd | undefined;
}

/** `old`: as it was before; `undefined`: it is new. */
function ofGeneration(old: Generation | undefined, one: Generation, change: Change): readonly Telling[] {
  if (old === undefined) return [planned(one, change)];
  if (old.state !== one.state) return moved(old, one, change);
  if (old.stillThere === undefined && one.stillThere !== undefined) return stillThere(old, one, change.after);
  return offeredSettled(old, one, change.after);
}

/**
 * The client was changed, not its credential, and the provider answered with another secret all the same: it works by now, or it is refused
 * while the one before it is not.
 */
function offeredSettled(old: Generation, one: Generation, after: ClientRecord): readonly Telling[] {
  if (old.offered === undefined) return [];
  const told = { step: 'Updated', generation: one.n } as const;
  if (one.offered === undefined) {
    const message = `the client was changed, and the provider gave it a new secret with that. For ${took(after.gap ?? 0)} nothing could be minted; credential generation ${one.n} mints on with the new one.`;
    return [{ ...told, reason: 'CredentialCurrent', good: true, message }];
  }
  const isFirst = old.offered.refusedAt === undefined && one.offered.refusedAt !== undefined;
  if (!isFirst || one.refusedAt !== undefined) return [];
  const message = `the client was changed, and the provider answered that with another secret, which its token endpoint refuses: a hash of the one before, perhaps. Credential generation ${one.n} mints on with the one before. The other one is kept, and tried when that one is refused.`;
  return [{ ...told, reason: 'ProviderMisbehaves', good: false, message }];
}

function planned(one: Generation, { before, after }: Change): Telling {
  const { n } = one;
  const current = currentOf(before);
  const until = after.variant === 'InPlace' ? 'the provider replaces its secret' : 'it is proven';
  const meanwhile = current === undefined ? '' : `; generation ${current.n} mints until ${until}`;
  const what = isExternal(one)
    ? `the administrator's Secret was taken over as credential generation ${n}; it is proven next`
    : `credential generation ${n} was made and stored; the provider is told next`;
  const message = `${what}${meanwhile}.`;
  return { step: 'Planned', generation: n, reason: 'Planned', good: true, message };
}

function moved(old: Generation, one: Generation, change: Change): readonly Telling[] {
  const { n, state } = one;
  if (state === 'Current') return [activated(n, change.after)];
  if (state !== 'Retiring') return [];
  if (old.state === 'Created') return [takenBack(old, change)];
  const message = `no token of credential generation ${n} is left; ${afterItsTokens(one, change)}.`;
  return [{ step: 'Drained', generation: n, reason: 'Draining', good: true, message }];
}

function takenBack(one: Generation, { before, after, end }: Change): Telling {
  const current = end === undefined ? currentOf(before) : undefined;
  const works =
    after.variant === 'InPlace'
      ? `Its secret took the place of the one of generation ${current?.n ?? 0}; whether that still works is seen when it mints next.`
      : `Generation ${current?.n ?? 0} goes on minting.`;
  const stays = current === undefined ? '' : ` ${works}`;
  const taken = end === undefined ? 'so it is taken out again' : 'and its client is not wanted any longer';
  const message = `${whyTakenBack(one)}, ${taken}.${stays}`;
  const isRefused = one.refusedAt !== undefined && one.lacks === undefined;
  const reason = isRefused ? 'CredentialRefused' : 'CredentialUnverified';
  return { step: 'RolledBack', generation: one.n, reason, good: false, message };
}

function afterItsTokens(one: Generation, { before, end }: Change): string {
  if (isExternal(one)) return 'its administrator may take it out at the provider';
  if (end === 'Retained') return 'it stays at the provider (deletionPolicy Retain)';
  return before !== undefined && isForeign(before, one)
    ? "its client is somebody else's by now (software_id), so it is left as it is"
    : 'it is taken out at the provider next';
}

function whyTakenBack({ n, refusedAt, lacks }: Generation): string {
  if (lacks !== undefined) {
    return `credential generation ${n} was not given what the one before it is given (${asClause(lacks)})`;
  }
  return refusedAt === undefined
    ? `credential generation ${n} was given up before anything proved it`
    : `the provider refused credential generation ${n} when it was proven`;
}

/** The first time; the pool says it for as long as it lasts. */
function stillThere(old: Generation, one: Generation, record: ClientRecord): readonly Telling[] {
  const isWhole = siblings(record, one).every(({ state }) => state === 'Retiring');
  if (!isWhole) return [];
  if (old.removedAt === undefined) {
    const message = `client ${one.clientId ?? ''} mints no more and still works at the provider, where the operator cannot delete it. Delete it there by hand.`;
    const reason = isManagementLost(record, one) ? 'RegistrationAccessTokenLost' : 'RegistrationRefused';
    return [{ step: 'Deregistered', generation: one.n, reason, good: false, message }];
  }
  const message = `the provider said that it deleted client ${one.clientId ?? ''}, and the client is still there.`;
  return [{ step: 'Deregistered', generation: one.n, reason: 'ProviderMisbehaves', good: false, message }];
}

function activated(n: number, after: ClientRecord): Telling {
  const old = after.generations.find(({ state }) => state === 'Draining');
  const until = old?.retireAfter === undefined ? '' : ` until ${toRfc3339(old.retireAfter)} at least`;
  const stays = old === undefined ? '' : `; generation ${old.n} stays${until} and until its last token has ended`;
  const gap =
    after.gap === undefined || after.variant !== 'InPlace' ? '' : ` For ${took(after.gap)} nothing could be minted.`;
  const message = `credential generation ${n} was proven by a token request of its own and mints from now on${stays}.${gap}`;
  return { step: 'Activated', generation: n, reason: 'CredentialCurrent', good: true, message };
}

function dropped(one: Generation, before: ClientRecord, after: ClientRecord, end: ClientEnd | undefined): Telling {
  const { n, state } = one;
  if (state === 'Retiring') {
    const message =
      leftAlone(one, before, end) ?? `credential generation ${n} is gone at the provider and is refused there.`;
    return { step: 'Retired', generation: n, reason: 'Retired', good: true, message };
  }
  const current = end === undefined ? currentOf(after) : undefined;
  const stays = current === undefined ? '' : ` Generation ${current.n} goes on minting.`;
  const orphan =
    openOrphans(after) === 0
      ? ''
      : ' The answer to a registration was lost, so a client that nobody uses may be left at the provider; status.clients.possibleOrphans counts it.';
  const message = `credential generation ${n} was given up before it came to work.${orphan}${stays}`;
  return { step: 'RolledBack', generation: n, reason: 'CredentialUnverified', good: false, message };
}

function leftAlone(one: Generation, record: ClientRecord, end: ClientEnd | undefined): string | undefined {
  const what = `credential generation ${one.n} is used no longer;`;
  if (isExternal(one)) return `${what} whether the provider still knows it is its administrator's business.`;
  if (end === 'Retained')
    return `${what} it stays at the provider, where it may still work, because deletionPolicy is Retain.`;
  return isForeign(record, one)
    ? `${what} its client ${one.clientId ?? ''} is somebody else's by now (software_id), so it was left as it is.`
    : undefined;
}

const stillWorks = {
  External: 'which its administrator has to take out at the provider, where it works until then',
  Foreign:
    "whose client is somebody else's by now (software_id), so that it was left as it is and may still work there",
} as const;

function completed(
  { id, since, left }: NonNullable<ClientRecord['revoking']>,
  before: ClientRecord,
  after: ClientRecord,
  now: Instant,
): Telling {
  const n = currentOf(after)?.n ?? highestGeneration(after);
  const old = isExternal(currentOf(after)) ? 'External' : left;
  const rotated =
    before.emergency === undefined
      ? ''
      : `credential generation ${n} replaced the one before, ${old === undefined ? 'which is refused' : stillWorks[old]}, and `;
  const message = `request ${id} was carried out in ${took(now - since)}: ${rotated}every token minted before ${toRfc3339(after.revokeBefore ?? since)} is revoked or has expired.`;
  return { step: 'Completed', generation: n, reason: 'RequestDone', good: true, message };
}

/** Short times with a tenth of a second, because that is what people compare. */
export function took(length: Milliseconds): string {
  return length < 60_000 ? `${(Math.max(0, length) / 1_000).toFixed(1)} s` : formatDuration(length);
}
