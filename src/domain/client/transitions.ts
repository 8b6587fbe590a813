/**
 * Every way in which a client record changes, but for what one token request showed (`proofs.ts`). Pure: the old record stays as it is, the
 * new one is frozen. The record store writes its own epoch into whatever it stores.
 */
import { plus } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';
import type { Credential } from './credential.ts';
import { currentOf, generation, managementOf } from './generations.ts';
import { assertClientInvariants } from './invariants.ts';
import type { Desired } from './machine.ts';
import type { ClientObservation, ClientRecord, Generation, Intent, Variant } from './record.ts';
import { isOwnClient } from './variants.ts';

const mostHandled = 16;

export interface Plan {
  readonly desired: Desired;
  readonly generation: number;
  readonly variant: Variant;
  /** Generated and not yet known to anybody; a secret comes with the provider's answer. */
  readonly credential: Credential;
  readonly clientIdBy: 'Us' | 'Provider';
  readonly handles: readonly string[];
}

/** Key first: the new credential is stored before anybody else knows it. An emergency is what both requests ask for with one id. */
export function planned(record: ClientRecord | undefined, plan: Plan, now: Instant, epoch: number): ClientRecord {
  const { desired, handles, generation: n, variant, credential } = plan;
  const { installation, owner, issuer, pool, namespace, identity } = desired;
  const clientId = plannedClientId(record, plan);
  const asked = desired.rotateRequest === desired.revokeRequest ? desired.revokeRequest : undefined;
  const begins = asked !== undefined && handles.includes(asked) && record !== undefined;
  const goesOn = record?.emergency !== undefined && currentOf(record)?.n !== record.emergency;
  const made: Generation = {
    n,
    state: 'Planned',
    since: now,
    credential,
    ...(clientId === undefined ? {} : { clientId }),
  };
  return checked({
    ...(record ?? {
      formatVersion: 1,
      tag: { installation, owner },
      issuer,
      pool,
      ...(namespace === undefined ? {} : { namespace }),
      ...(identity === undefined ? {} : { identity }),
      proofs: {},
    }),
    epoch,
    variant,
    generations: [...(record?.generations ?? []), made],
    highest: n,
    handled: withHandled(record?.handled ?? [], handles, desired.asked),
    ...(begins || goesOn ? { emergency: n } : {}),
    ...(begins ? { revoking: { id: asked, since: now } } : {}),
  });
}

/** The last few, and whatever still stands on the objects: a request that stays in Git for years is not carried out again. */
function withHandled(
  before: readonly string[],
  handles: readonly string[],
  asked: readonly string[] = [],
): readonly string[] {
  const all = [...new Set([...before, ...handles])];
  return all.filter((id, index) => index >= all.length - mostHandled || asked.includes(id));
}

function plannedClientId(record: ClientRecord | undefined, plan: Plan): string | undefined {
  const current = currentOf(record);
  if (current !== undefined && !isOwnClient(plan.variant)) return current.clientId;
  if (plan.clientIdBy === 'Provider') return undefined;
  const { clientId } = plan.desired;
  return plan.generation > 1 && isOwnClient(plan.variant) ? `${clientId}-${plan.generation}` : clientId;
}

/**
 * The note before the call. `orphanPossible`: an earlier Register may have left a client that nobody can find, so it is counted.
 */
export function withIntent(record: ClientRecord, intent: Intent, orphanPossible = false): ClientRecord {
  const orphans = (record.possibleOrphans ?? 0) + (orphanPossible ? 1 : 0);
  return checked({ ...record, intent, ...(orphans === 0 ? {} : { possibleOrphans: orphans }) });
}

/** The call surely had no effect: it was refused, or never left. */
export function withoutIntent(record: ClientRecord, orphanPossible = false): ClientRecord {
  const { intent: _, ...rest } = record;
  return orphanPossible ? checked({ ...rest, possibleOrphans: (rest.possibleOrphans ?? 0) + 1 }) : checked(rest);
}

/** What an answer to Register or Update says; the shape of the provider port's `ClientAnswer`. */
export interface AnswerFacts {
  readonly clientId: string;
  readonly secret?: Redacted<string>;
  readonly secretExpiresAt?: Instant;
  readonly management?: { readonly token: Redacted<string>; readonly uri: string };
  readonly observed: ClientObservation;
}

/** Register or Update took effect. Closes the intent and stores whatever secret or management token came along. `sent`: `metadataDigest`. */
export function answered(record: ClientRecord, answer: AnswerFacts, sent: string, now: Instant): ClientRecord {
  const { intent, managementLost, management: before, ...rest } = withOwnManagement(record, answer);
  const subject = intent === undefined ? undefined : generation(record, intent.generation);
  if (intent === undefined || subject === undefined) throw new Error('client record has no intent that is answered');
  const secretFor = subject.state === 'Planned' ? subject.n : currentOf(record)?.n;
  const hasOwn = intent.call === 'Update' && subject.management !== undefined;
  const management = hasOwn ? before : (answer.management ?? (intent.call === 'Register' ? undefined : before));
  const generations = rest.generations.map((one) => {
    const known = one.n === secretFor ? { ...one, credential: withSecret(one.credential, answer) } : one;
    if (one.n !== subject.n) return known;
    if (one.state === 'Planned') {
      const replaced = record.variant === 'InPlace' && intent.call === 'Update' ? { replacedAt: intent.at } : {};
      return { ...known, ...replaced, state: 'Created' as const, since: now, clientId: answer.clientId };
    }
    const removed = one.state === 'Retiring' ? { removedAt: now } : {};
    return {
      ...known,
      ...removed,
      ...(hasOwn && answer.management !== undefined ? { management: answer.management } : {}),
    };
  });
  return checked({
    ...rest,
    generations,
    ...(management === undefined ? {} : { management }),
    ...(hasOwn && managementLost === true ? { managementLost } : {}),
    observed: answer.observed,
    updatedAt: now,
    sent,
  });
}

/** With a client per generation, the older ones keep their own management token. */
function withOwnManagement(record: ClientRecord, answer: AnswerFacts): ClientRecord {
  if (record.intent?.call !== 'Register') return record;
  const generations = record.generations.map((one) => {
    const own = managementOf(record, one);
    const isOlder =
      one.clientId !== undefined && one.clientId !== answer.clientId && one.n !== record.intent?.generation;
    return isOlder && own !== undefined ? { ...one, management: own } : one;
  });
  return { ...record, generations };
}

function withSecret(credential: Credential, answer: AnswerFacts): Credential {
  if (credential.type === 'PrivateKeyJwt' || answer.secret === undefined) return credential;
  const expiresAt = answer.secretExpiresAt;
  return { type: credential.type, secret: answer.secret, ...(expiresAt === undefined ? {} : { expiresAt }) };
}

/** Deregister took effect, or the client was gone before: every retiring credential of that client is out; an Observe confirms it. */
export function deregistered(record: ClientRecord, now: Instant): ClientRecord {
  const { intent, observed: _, ...rest } = record;
  const subject = intent === undefined ? undefined : generation(record, intent.generation);
  if (intent === undefined || subject === undefined) throw new Error('client record has no intent that is answered');
  const generations = rest.generations.map((one) =>
    one.state === 'Retiring' && one.clientId === subject.clientId ? { ...one, removedAt: now } : one,
  );
  return checked({ ...rest, generations });
}

/**
 * The provider refuses the registration access token: what was under way stays open to proof, what needs the token waits. A credential that
 * was to be taken out may be out already, so that is looked at anew.
 */
export function managementRefused(record: ClientRecord, now: Instant): ClientRecord {
  const { intent, observed: seen, ...rest } = record;
  const wasRetiring = rest.generations.some((one) => one.n === intent?.generation && one.state === 'Retiring');
  const generations = rest.generations.map((one) =>
    one.n === intent?.generation && one.state === 'Retiring' ? { ...one, removedAt: now } : one,
  );
  const kept = wasRetiring || seen === undefined ? {} : { observed: seen };
  return checked({ ...rest, ...kept, generations, managementLost: true });
}

/** What an Observe saw. A client found by its tag tells its id. */
export function observed(record: ClientRecord, observation: ClientObservation): ClientRecord {
  const found = observation.clientId;
  const generations = record.generations.map((one) =>
    one.state === 'Planned' && one.clientId === undefined && found !== undefined ? { ...one, clientId: found } : one,
  );
  return checked({ ...record, generations, observed: observation });
}

export function moved(record: ClientRecord, n: number, state: 'Created' | 'Retiring', now: Instant): ClientRecord {
  return replaced(record, n, (one) => ({ ...one, state, since: now }));
}

/** The Current one mints no more, because the client is not wanted any longer. */
export function drainedFrom(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return replaced(record, n, (one) => ({ ...one, state: 'Draining', since: now, retireAfter: now }));
}

/** The created credential never came to work: it is taken out, and the next one waits. */
export function rolledBack(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return countRollback(moved(record, n, 'Retiring', now), now);
}

export function countRollback(record: ClientRecord, now: Instant): ClientRecord {
  return checked({ ...record, rollbacks: { count: (record.rollbacks?.count ?? 0) + 1, at: now } });
}

/** The generation has come to its end. */
export function without(record: ClientRecord, n: number): ClientRecord {
  const { intent, ...rest } = record;
  const kept = intent === undefined || intent.generation === n ? {} : { intent };
  return checked({ ...rest, ...kept, generations: rest.generations.filter((one) => one.n !== n) });
}

/** The provider still knows what it said it had removed: the call is made again after a pause. */
export function notRemoved(record: ClientRecord, n: number, now: Instant, pause: Milliseconds): ClientRecord {
  return replaced(record, n, (one) => {
    const { removedAt: _, ...rest } = one;
    return { ...rest, retireAfter: plus(now, pause) };
  });
}

/** These requests need nothing more, or `changes` is what they asked for. `asked`: every id on the objects. */
export function handled(
  record: ClientRecord,
  requests: readonly string[],
  asked: readonly string[] | undefined,
  changes: Pick<ClientRecord, 'revokeBefore' | 'emergency' | 'revoking'> = {},
): ClientRecord {
  return checked({ ...record, ...changes, handled: withHandled(record.handled, requests, asked) });
}

/** The request to revoke is carried out: nothing is left of what it was about. */
export function revoked(record: ClientRecord): ClientRecord {
  const { revoking: _, emergency: _emergency, ...rest } = record;
  return checked(rest);
}

/** The token endpoint refused this credential (`invalid_client`) when a session minted with it; a refusal that is known stays as it is. */
export function credentialRefused(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return replaced(record, n, (one) => ({ ...one, refusedAt: one.refusedAt ?? now }));
}

export function replaced(record: ClientRecord, n: number, change: (one: Generation) => Generation): ClientRecord {
  return checked({ ...record, generations: record.generations.map((one) => (one.n === n ? change(one) : one)) });
}

export function checked(record: ClientRecord): ClientRecord {
  assertClientInvariants(record);
  for (const one of record.generations) Object.freeze(one);
  Object.freeze(record.generations);
  return Object.freeze(record);
}
