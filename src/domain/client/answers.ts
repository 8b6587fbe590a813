/** What the provider's answers to our calls change in a client record. Pure, as in `transitions.ts`. */
import type { Instant } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';
import type { IgnoredExpiry } from './credential.ts';
import { isExternal } from './existing.ts';
import {
  generation,
  inState,
  isForeign,
  isManagementLost,
  isOthersTag,
  managementOf,
  metadataDigest,
  newestSent,
  ownManagementOf,
  tagText,
} from './generations.ts';
import { begunAt } from './intents.ts';
import type { Desired } from './machine.ts';
import { unlost, withLost, withOwn } from './management.ts';
import { withSecretOf } from './offered.ts';
import type { ClientObservation, ClientRecord, Generation, Intent } from './record.ts';
import { checked, unrefused } from './transitions.ts';

/** What an answer to Register or Update says: the provider port's `ClientAnswer`. */
export interface AnswerFacts {
  readonly clientId: string;
  readonly secret?: Redacted<string>;
  readonly secretExpiresAt?: Instant;
  readonly secretExpiryIgnored?: IgnoredExpiry;
  readonly management?: { readonly token: Redacted<string>; readonly uri: string };
  readonly observed: ClientObservation;
}

/** Register or Update took effect. Closes the intent and stores whatever secret or management token came along. */
export function answered(record: ClientRecord, answer: AnswerFacts, desired: Desired, now: Instant): ClientRecord {
  const base = withOwnManagement(record, answer.clientId);
  const { intent, managementLost, management: before, repairing: _, ...rest } = base;
  const subject = intent === undefined ? undefined : generation(record, intent.generation);
  if (intent === undefined || subject === undefined) throw new Error('client record has no intent that is answered');
  const isTaken = intent.call === 'Register' && isForeign(record);
  const secretFor = subject.state === 'Planned' ? subject.n : inUse(record, subject.clientId)?.n;
  const own = intent.call === 'Update' ? ownManagementOf(record, subject) : undefined;
  const management =
    own !== undefined ? before : (answer.management ?? (intent.call === 'Register' ? undefined : before));
  const generations = rest.generations.map((one) => {
    const known = one.n === secretFor ? withSecretOf(one, answer, begunAt(intent)) : one;
    if (one.n === subject.n) return reached(known, { record, intent, answer }, now);
    return isTaken && one.clientId !== answer.clientId ? { ...known, foreign: true } : known;
  });
  const repairs = intent.call === 'Update' && (record.observed?.drift.length ?? 0) > 0;
  const next = checked({
    ...rest,
    generations,
    ...(management === undefined ? {} : { management }),
    ...(own !== undefined && managementLost === true ? { managementLost } : {}),
    ...(repairs ? { repairing: true } : {}),
    observed: answer.observed,
    updatedAt: now,
    sent: metadataDigest(desired),
    sentCarriers: desired.carriers,
    ...(subject.credential.type === 'PrivateKeyJwt' ? {} : { sentScopes: desired.scopes }),
  });
  return own === undefined ? next : withOwn(next, subject, answer.management ?? unlost(own));
}

/** The generation that the call was about: the provider knows it now, or knows it no longer. */
function reached(
  one: Generation,
  o: { readonly record: ClientRecord; readonly intent: Intent; readonly answer: AnswerFacts },
  now: Instant,
): Generation {
  const { record, intent, answer } = o;
  if (one.state === 'Planned') {
    const replaced = record.variant === 'InPlace' && intent.call === 'Update' ? { replacedAt: begunAt(intent) } : {};
    const { tag } = answer.observed;
    const own = intent.call === 'Register' && tag !== undefined && tag !== tagText(record.tag) ? { tag } : {};
    return { ...unrefused(one), ...replaced, ...own, state: 'Created', since: now, clientId: answer.clientId };
  }
  return {
    ...one,
    ...(one.state === 'Retiring' ? { removedAt: now } : {}),
  };
}

/** With a client per generation, the older ones keep their own management token when `clientId` is registered. */
export function withOwnManagement(record: ClientRecord, clientId: string | undefined): ClientRecord {
  if (record.intent?.call !== 'Register') return record;
  const generations = record.generations.map((one) => {
    const own = managementOf(record, one);
    const isOlder =
      !isExternal(one) &&
      one.clientId !== undefined &&
      one.clientId !== clientId &&
      one.n !== record.intent?.generation;
    const isLost = isManagementLost(record, one) || own === undefined;
    return isOlder ? { ...one, management: { uri: '', ...own, ...(isLost ? { lost: true } : {}) } } : one;
  });
  return { ...record, generations };
}

/** The credential that a client has now, also one that mints no more since another client took its place. */
function inUse(record: ClientRecord, clientId: string | undefined): Generation | undefined {
  return inState(record, 'Current', 'Draining').findLast((one) => one.clientId === clientId);
}

/** Deregister took effect, or `Gone` was answered: every retiring credential of that client is out; an Observe and a proof confirm it. */
export function deregistered(record: ClientRecord, said: 'Deleted' | 'Gone', now: Instant): ClientRecord {
  const { intent, observed: _, ...rest } = record;
  const subject = intent === undefined ? undefined : generation(record, intent.generation);
  if (intent === undefined || subject === undefined) throw new Error('client record has no intent that is answered');
  const saidGone = said === 'Gone' ? { saidGone: true } : {};
  const generations = rest.generations.map((one) =>
    one.state === 'Retiring' && one.clientId === subject.clientId ? { ...one, removedAt: now, ...saidGone } : one,
  );
  return checked({ ...rest, generations });
}

/** Whose client it is that is about to be deleted. */
export function lookedAt(record: ClientRecord, n: number, { at, tag }: ClientObservation): ClientRecord {
  const of = generation(record, n);
  const clientId = of?.clientId;
  const foreign = isOthersTag(record, of, tag) ? { foreign: true } : {};
  const generations = record.generations.map((one) =>
    one.clientId === clientId && one.state === 'Retiring' ? { ...one, lookedAt: at, ...foreign } : one,
  );
  return checked({ ...record, generations });
}

/**
 * What an Observe saw. Nothing to see although there is a management token: it is refused, which is better known now than on the day of a
 * rotation.
 */
export function observed(record: ClientRecord, observation: ClientObservation): ClientRecord {
  const { repairing, ownDrift: known, ...rest } = record;
  const ownDrift = repairing === true ? observation.driftDigest : known;
  const next = checked({
    ...rest,
    observed: observation,
    ...(ownDrift === undefined ? {} : { ownDrift }),
  });
  const of = newestSent(next);
  if (of === undefined) return next;
  const isLeaving = record.generations.some((one) => one.removedAt !== undefined);
  const isRefused = observation.is === 'Unknowable' && managementOf(record, of) !== undefined && !isLeaving;
  if (isRefused) return withLost(next, of, true);
  return observation.is === 'Present' ? withLost(next, of, false) : next;
}
