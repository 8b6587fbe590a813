/** Rows that come first: may we act at all, and what became of a call whose answer was lost. */
import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import { isFarAhead, revokeMoment } from '../clocks.ts';
import { lanes } from '../lanes.ts';
import { isExternal } from './existing.ts';
import { withoutIntent } from './intents.ts';
import { isUnmanaged, managementHandedIn } from './management.ts';
import { openOrphans } from './orphans.ts';
import { generation, inState, isLive, isManagementLost, isRestored, siblings } from './generations.ts';
import type { ClientSnapshot } from './machine.ts';
import type { ClientRecord, Generation, Intent } from './record.ts';
import { type ClientRequest, openRequests } from './requests.ts';
import { emergencyStep } from './rows-ending.ts';
import { isStale, provableAt } from './schedule.ts';
import { act, desiredOf, isUnmanageable, prove, retains, wait, write } from './steps.ts';
import type { ClientRow, Step } from './steps.ts';
import { countRollback, handled, without } from './transitions.ts';

const lostLease: ClientRow = {
  name: 'lost-lease',
  when: (s) => s.record !== undefined && s.epoch !== undefined && s.record.epoch > s.epoch,
  then: () => ({ reason: 'LostLease' }),
};

const unknown: ClientRow = {
  name: 'unknown',
  then: (s) => {
    const reason = unknownReason(s);
    return reason && { reason };
  },
};

/** The record as last stored is the truth, whatever somebody did to its Secret. */
const damaged: ClientRow = {
  name: 'damaged',
  when: ({ record, damaged: isDamaged }) => record !== undefined && isDamaged === true,
  then: (s, now) => write(s, now, 'RecordRestored', s.record, lanes.Stop),
};

/**
 * What is revoked was minted in the past. Were the clock set back, every new token would count as one that somebody asked to revoke. Where two
 * leaders differ, to go by the later of them revokes a few tokens too many, and none too few.
 */
const clockSetBack: ClientRow = {
  name: 'clock-set-back',
  when: ({ record }, now) => isFarAhead(record?.revokeBefore ?? now, now),
  then: (s, now) => s.record && write(s, now, 'RevokeRequested', { ...s.record, revokeBefore: now }, lanes.Stop),
};

/** A `revokeRequest` alone changes nothing at the provider, so it waits for no call whose answer was lost, and for nobody. */
const revocation: ClientRow = {
  name: 'revocation',
  then: (s, now) => {
    const { record } = s;
    const asked = askedToRevoke(s);
    if (record === undefined || asked === undefined) return undefined;
    // An emergency under way revokes these tokens too, and whether its rotation is still owed is known by its id.
    const revoking = record.emergency === undefined ? undefined : record.revoking;
    const changes = { revokeBefore: revokeMoment(s.youngest, now), revoking: revoking ?? { id: asked.id, since: now } };
    return write(s, now, 'RevokeRequested', handled(record, asked, desiredOf(s)?.asked, changes), lanes.Stop);
  },
};

function askedToRevoke(s: ClientSnapshot): ClientRequest | undefined {
  const desired = desiredOf(s);
  if (s.record === undefined || desired === undefined || s.record.generations.length === 0) return undefined;
  return openRequests(s.record, desired).find(({ kind }) => kind === 'Revoke');
}

/**
 * The provider is ahead of us. Nothing is changed there, what works goes on working. An emergency is somebody's word that everything which is
 * there shall be replaced, and a client that stays when its pool goes needs none.
 */
const restored: ClientRow = {
  name: 'restored',
  when: (s, now) =>
    s.record !== undefined &&
    isRestored(s.record) &&
    emergencyStep(s, now) === undefined &&
    !(s.wanted.is === 'Gone' && retains(s)),
  then: (s, now) =>
    s.record !== undefined && isStale(s.record, s.jitter ?? 0, now)
      ? act(s, now, 'RestoredState', { type: 'Observe' })
      : wait(s, now, 'RestoredState'),
};

/** A person handed in a new registration access token: it is tried, and refused it is asked for again. */
const handedInRow: ClientRow = {
  name: 'handed-in',
  then: (s, now) => {
    const { record, handedIn } = s;
    if (record === undefined || !isUnmanaged(record) || handedIn === undefined) return undefined;
    return handedIn.digest === record.handedIn
      ? undefined
      : write(s, now, 'RegistrationAccessTokenLost', managementHandedIn(record, handedIn));
  },
};

/**
 * Somebody mended what a refusal complained of, and does not want to wait. Noted only while something is refused: a pool may have thousands of
 * clients, of which one is in trouble.
 */
const retry: ClientRow = {
  name: 'retry',
  then: (s, now) => {
    const id = retryRequested(s);
    if (s.record === undefined || id === undefined) return undefined;
    return write(s, now, 'Probing', { ...s.record, retried: { id, at: now } });
  },
};

function retryRequested(s: ClientSnapshot): string | undefined {
  const id = s.retryRequest;
  return s.record === undefined || s.record.retried?.id === id || !isRefused(s.record) ? undefined : id;
}

function isRefused({ generations, proofs, rollbacks, managementLost }: ClientRecord): boolean {
  const isAny = Object.values(proofs).some(({ outcome }) => outcome === 'Refused');
  const isOne = generations.some(({ refusedAt }) => refusedAt !== undefined);
  return isAny || isOne || rollbacks !== undefined || managementLost === true;
}

const openIntent: ClientRow = {
  name: 'open-intent',
  when: ({ record }) => record?.intent !== undefined,
  then: (s, now) => {
    const { record } = s;
    const intent = record?.intent;
    const of = record === undefined || intent === undefined ? undefined : generation(record, intent.generation);
    if (record === undefined || intent === undefined || of === undefined) return wait(s, now, 'InProgress');
    switch (intent.call) {
      case 'Deregister':
        return act(s, now, 'Deregistering', { type: 'Deregister', generation: of.n });
      case 'Update':
        return reopenUpdate(s, now, record, of, intent);
      case 'Register':
        return reopenRegister(s, now, record, of, intent);
    }
  },
};

/**
 * A credential on its way shows by itself whether the provider knows it; anything else is sent again, which changes nothing twice. A client
 * that nobody wants any more goes as a whole, whatever became of the call.
 */
function reopenUpdate(s: ClientSnapshot, now: Instant, record: ClientRecord, of: Generation, intent: Intent): Step {
  if (s.wanted.is === 'Gone') return write(s, now, 'Deregistering', withoutIntent(record));
  if (of.state === 'Planned' && of.credential.type === 'PrivateKeyJwt') return proveWhenTaken(s, now, of, intent);
  const without = of.state === 'Retiring' ? { without: of.n } : {};
  return act(s, now, 'InProgress', { type: 'Update', generation: of.n, ...without });
}

/**
 * Each registration that nobody hears of may leave a client that nobody knows. After so many of which nobody said that they are dealt with, and after
 * one that was answered with nothing usable, the next one waits as long as after a credential that never came to work.
 */
const mostUnheard = 3;

function reopenRegister(s: ClientSnapshot, now: Instant, record: ClientRecord, of: Generation, intent: Intent): Step {
  const isKey = of.credential.type === 'PrivateKeyJwt';
  if (isKey && of.clientId !== undefined) return proveWhenTaken(s, now, of, intent);
  if (s.wanted.is === 'Gone') return write(s, now, 'Deregistering', withoutIntent(record, true));
  if (s.capabilities?.clientIdBy === 'Us') return registerAgain(s, now, record, of);
  if (!isKey) return waitForPerson(s, now, record);
  const { unusable } = intent;
  if (unusable === undefined && openOrphans(record) + 1 < mostUnheard)
    return act(s, now, 'Registering', { type: 'Register', generation: of.n, orphanPossible: true });
  const why = unusable === undefined ? {} : { unusable };
  return write(s, now, 'OrphanPossible', countRollback(without(withoutIntent(record, true), of.n), now, why));
}

/**
 * Under the id that we chose there is never a second client: if the lost call took effect, the provider says that the id is taken, until a
 * person deletes that client or makes a request, which is then carried out with a client of another id.
 */
function registerAgain(s: ClientSnapshot, now: Instant, record: ClientRecord, of: Generation): Step {
  const desired = desiredOf(s);
  const isAsked = desired !== undefined && openRequests(record, desired).some(({ kind }) => kind !== 'Revoke');
  return isAsked
    ? write(s, now, 'RotationRequested', without(withoutIntent(record, true), of.n), lanes.Stop)
    : act(s, now, 'Registering', { type: 'Register', generation: of.n });
}

/**
 * A secret that was lost with its answer: only a new registration helps, and a rotation request is the word of a person for it. An emergency
 * wants more than that, and is carried out next.
 */
function waitForPerson(s: ClientSnapshot, now: Instant, record: ClientRecord): Step {
  const desired = desiredOf(s);
  if (desired === undefined) return write(s, now, 'Deregistering', withoutIntent(record, true));
  const asked = openRequests(record, desired).find(({ kind }) => kind !== 'Revoke');
  const without = withoutIntent(record, true);
  if (asked?.kind === 'Emergency') return write(s, now, 'RevokeRequested', without, lanes.Stop);
  if (asked !== undefined) return write(s, now, 'RotationRequested', handled(without, asked, desired.asked));
  return wait(s, now, 'CredentialUnverified');
}

function proveWhenTaken(s: ClientSnapshot, now: Instant, of: Generation, intent: Intent): Step {
  return now < provableAt(intent, s.capabilities)
    ? wait(s, now, 'InProgress')
    : prove(s, now, 'InProgress', of, 'OpenIntent');
}

/** The new credential cannot be sent again, so a proof says whether it arrived. Everything else that needs the token waits in its own row. */
const answerTooLate: ClientRow = {
  name: 'answer-too-late',
  then: (s, now) => {
    const of = lateGeneration(s);
    if (s.record === undefined || of === undefined) return undefined;
    return of.credential.type === 'PrivateKeyJwt'
      ? prove(s, now, 'RegistrationAccessTokenLost', of, 'OpenIntent')
      : write(s, now, 'RegistrationAccessTokenLost', countRollback(without(s.record, of.n), now));
  },
};

function lateGeneration(s: ClientSnapshot): Generation | undefined {
  const { record } = s;
  if (record === undefined) return undefined;
  return inState(record, 'Planned').find(
    (one) =>
      !isExternal(one) &&
      siblings(record, one).some(({ state }) => state !== 'Planned') &&
      isManagementLost(record, one) &&
      isUnmanageable(s, record, one),
  );
}

function unknownReason(s: ClientSnapshot): Reason | undefined {
  if (s.newerFormat === true) return 'NewerFormat';
  if (s.invalid === true) return 'RecordInvalid';
  if (!s.synced || s.wanted.is === 'Unknown') return 'NotSynced';
  if (!needsProvider(s)) return undefined;
  if (!s.issuerConfigured) return 'IssuerNotConfigured';
  return s.capabilities === undefined ? 'ProviderUnavailable' : undefined;
}

/** What is not wanted and exists nowhere but here needs no provider to go, nor does a request to revoke to be noted. */
function needsProvider(s: ClientSnapshot): boolean {
  const { wanted, record } = s;
  if (wanted.is !== 'Gone') return askedToRevoke(s) === undefined;
  return (
    record !== undefined && !retains(s) && record.generations.some((one) => isLive(one, record) && !isExternal(one))
  );
}

export const recoveryRows: readonly ClientRow[] = [
  lostLease,
  unknown,
  damaged,
  clockSetBack,
  revocation,
  restored,
  handedInRow,
  retry,
  openIntent,
  answerTooLate,
];
