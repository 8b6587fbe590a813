/**
 * Every way in which a client record changes, but for what an answer of the provider held (`answers.ts`) and one token request showed
 * (`proofs.ts`). Pure: the old record stays as it is, the new one is frozen. The record store writes its own epoch into whatever it stores.
 */
import { plus } from '../../clock.ts';
import type { Instant } from '../../clock.ts';
import type { Credential } from './credential.ts';
import { isExternal } from './existing.ts';
import { currentOf, generation, isForeign } from './generations.ts';
import { assertClientInvariants } from './invariants.ts';
import type { Desired } from './machine.ts';
import type { ClientRecord, Generation, Variant } from './record.ts';
import { type ClientRequest, hasRotated, marksOf, requestMark } from './requests.ts';
import { removeAgainAfter } from './schedule.ts';
import { isOwnClient } from './variants.ts';

/**
 * So many request ids are remembered. One that is set back later is not carried out again; one that was forgotten by then would be, which
 * costs one rotation without a break, or one new token per build.
 */
const mostHandled = 200;

export interface Plan {
  readonly desired: Desired;
  readonly generation: number;
  readonly variant: Variant;
  /** Generated and not yet known to anybody; a secret comes with the provider's answer. */
  readonly credential: Credential;
  readonly clientIdBy: 'Us' | 'Provider';
  /** Of an administrator's credential: see {@link Generation.source}. */
  readonly source?: string;
  readonly expiresAt?: Instant;
  readonly handles: readonly string[];
}

/** Key first: the new credential is stored before anybody else knows it. */
export function planned(record: ClientRecord | undefined, plan: Plan, now: Instant): ClientRecord {
  const { desired, handles, generation: n, variant } = plan;
  return checked({
    ...(record ?? firstRecord(desired)),
    epoch: record?.epoch ?? 0,
    variant,
    generations: [...(record?.generations ?? []), newGeneration(record, plan, now)],
    highest: n,
    retain: desired.deletionPolicy === 'Retain',
    handled: withHandled(record?.handled ?? [], handles, desired.asked),
    ...emergencyOf(record, plan, now),
  });
}

/** Whose client it is, and where. */
function firstRecord({
  installation,
  owner,
  issuer,
  pool,
  namespace,
  identity,
}: Desired): Omit<ClientRecord, 'epoch' | 'variant' | 'generations' | 'handled'> {
  return {
    formatVersion: 1,
    tag: { installation, owner },
    issuer,
    pool,
    ...(namespace === undefined ? {} : { namespace }),
    ...(identity === undefined ? {} : { identity }),
    proofs: {},
  };
}

function newGeneration(record: ClientRecord | undefined, plan: Plan, now: Instant): Generation {
  const { generation: n, credential, source, expiresAt } = plan;
  const clientId = plannedClientId(record, plan);
  const current = currentOf(record);
  return {
    n,
    state: 'Planned',
    since: now,
    credential,
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientId === current?.clientId && current?.tag !== undefined ? { tag: current.tag } : {}),
    ...(source === undefined ? {} : { source }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

/**
 * An emergency is what both requests ask for with one id. It begins with this credential, or this one takes the place of one that never came
 * to work.
 */
function emergencyOf(
  record: ClientRecord | undefined,
  { desired, handles, generation: n }: Plan,
  now: Instant,
): Pick<ClientRecord, 'emergency' | 'revoking'> {
  if (record === undefined) return {};
  const asked = desired.rotateRequest === desired.revokeRequest ? desired.revokeRequest : undefined;
  if (asked !== undefined && handles.includes(asked)) return { emergency: n, revoking: { id: asked, since: now } };
  return record.emergency !== undefined && !hasRotated(record) ? { emergency: n } : {};
}

/** The last few, and whatever still stands on the objects: a request that stays in Git for years is not carried out again. */
function withHandled(
  before: readonly string[],
  handles: readonly string[],
  asked: readonly ClientRequest[] = [],
): readonly string[] {
  const all = [...new Set([...before, ...handles])];
  const standing = asked.flatMap(({ id }) => marksOf(id));
  return all.filter((mark, index) => index >= all.length - mostHandled || standing.includes(mark));
}

function plannedClientId(record: ClientRecord | undefined, plan: Plan): string | undefined {
  if (plan.source !== undefined) return plan.desired.existing?.clientId;
  const current = currentOf(record);
  if (current !== undefined && !isOwnClient(plan.variant)) return current.clientId;
  if (plan.clientIdBy === 'Provider') return undefined;
  const { clientId } = plan.desired;
  // No name of an object has an underscore, so this is no other pool's client.
  return plan.generation > 1 ? `${clientId}_${plan.generation}` : clientId;
}

/** No refusal of this credential is remembered any longer. */
export function unrefused(one: Generation): Generation {
  const {
    refusedAt: _,
    refusedAgain: _again,
    refusedSaying: _said,
    lacks: _less,
    lacksAsk: _ask,
    unheard: _call,
    ...rest
  } = one;
  return rest;
}

/** Whoever moves it on has waited long enough: an overlap that is not over yet is cut short in an emergency. */
export function moved(record: ClientRecord, n: number, state: 'Created' | 'Retiring', now: Instant): ClientRecord {
  return replaced(record, n, (one) => {
    const { retireAfter: _, ...rest } = one;
    return { ...rest, state, since: now };
  });
}

/** The Current one mints no more, because the client is not wanted any longer. */
export function drainedFrom(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return replaced(record, n, (one) => ({
    ...one,
    state: 'Draining',
    since: now,
    currentSince: one.since,
    retireAfter: now,
  }));
}

/** The created credential never came to work: it is taken out, and the next one waits. */
export function rolledBack(record: ClientRecord, n: number, now: Instant): ClientRecord {
  const { source, clientId, lacks, replacedAt } = generation(record, n) ?? {};
  return countRollback(moved(record, n, 'Retiring', now), now, {
    ...(source === undefined ? {} : { source, ...(clientId === undefined ? {} : { clientId }) }),
    ...(lacks === undefined ? {} : { lacked: lacks }),
    ...(replacedAt === undefined ? {} : { replacedAt }),
  });
}

/** Another content of an administrator's credential begins to count anew, and so does one that is refused after those that were given less. */
export function countRollback(
  record: ClientRecord,
  now: Instant,
  why: Pick<NonNullable<ClientRecord['rollbacks']>, 'source' | 'clientId' | 'lacked' | 'unusable' | 'replacedAt'> = {},
): ClientRecord {
  const { count = 0, source, clientId, lacked, replacedAt = why.replacedAt } = record.rollbacks ?? {};
  const goesOn =
    source === why.source &&
    (clientId === undefined || clientId === why.clientId) &&
    (lacked === undefined) === (why.lacked === undefined);
  const first = replacedAt === undefined ? {} : { replacedAt };
  return checked({ ...record, rollbacks: { count: goesOn ? count + 1 : 1, at: now, ...why, ...first } });
}

/** What was given up is not tried again. */
export function withoutRollbacks(record: ClientRecord): ClientRecord {
  const { rollbacks: _, ...rest } = record;
  return checked(rest);
}

/**
 * The generation has come to its end. With the last credential of a client of ours goes what was known of that client; a registration that may
 * still take effect is counted.
 */
export function without(record: ClientRecord, n: number): ClientRecord {
  const { intent, ...before } = record;
  const kept = intent === undefined || intent.generation === n ? {} : { intent };
  const isUnheard = generation(record, n)?.unheard === true;
  const rest = {
    ...before,
    ...(isUnheard ? { possibleOrphans: (before.possibleOrphans ?? 0) + 1 } : {}),
    ...leftThere(record, n),
  };
  const generations = rest.generations.filter((one) => one.n !== n);
  const onlyExternal = generations.length > 0 && generations.every(isExternal);
  if (!onlyExternal) return checked(withOneToken({ ...rest, ...kept, generations }));
  const { management: _, managementLost: _lost, observed: _seen, ...more } = rest;
  const {
    sent: _sent,
    sentScopes: _scopes,
    sentCarriers: _carriers,
    ownDrift: _own,
    repairing: _repair,
    nothingGiven: _nothing,
    ...external
  } = more;
  return checked({ ...external, ...kept, generations });
}

/** Whoever asked to revoke hears in the end that an old credential may still work. */
function leftThere(record: ClientRecord, n: number): Pick<ClientRecord, 'revoking'> {
  const one = generation(record, n);
  if (record.revoking === undefined || one?.state !== 'Retiring') return {};
  if (isExternal(one)) return { revoking: { ...record.revoking, left: 'External' } };
  return isForeign(record, one) ? { revoking: { ...record.revoking, left: 'Foreign' } } : {};
}

/** Of two clients one is left: its token is the record's again, whichever went. */
function withOneToken(record: ClientRecord): ClientRecord {
  const [first, ...others] = record.generations;
  const isOnly = others.every(({ clientId }) => clientId === first?.clientId);
  const own = record.generations.findLast((one) => one.management !== undefined)?.management;
  if (!isOnly || own === undefined || first?.clientId === undefined) return record;
  const { token, uri, lost } = own;
  const { managementLost: _, management: _other, ...rest } = record;
  const generations = record.generations.map(({ management: _own, ...one }) => one);
  const management = token === undefined ? {} : { management: { token, uri } };
  return { ...rest, generations, ...management, ...(lost === true ? { managementLost: true } : {}) };
}

/** The provider still knows what it said it had removed: the call is made again after a pause. */
export function notRemoved(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return replaced(notConfirmed(record, n), n, (one) => {
    const stillThere = (one.stillThere ?? 0) + 1;
    return { ...one, stillThere, retireAfter: plus(now, removeAgainAfter(stillThere)) };
  });
}

/** Whether it was removed nothing shows, so that it counts as there. */
export function notConfirmed(record: ClientRecord, n: number): ClientRecord {
  return replaced(record, n, (one) => {
    const { removedAt: _, saidGone: _said, ...rest } = one;
    return rest;
  });
}

/** The request needs nothing more, or `changes` is what it asked for. `asked`: the marks of every id on the objects. */
export function handled(
  record: ClientRecord,
  request: ClientRequest,
  asked: readonly ClientRequest[] | undefined,
  changes: Pick<ClientRecord, 'revokeBefore' | 'emergency' | 'revoking'> = {},
): ClientRecord {
  return checked({ ...record, ...changes, handled: withHandled(record.handled, [requestMark(request)], asked) });
}

/** The emergency brings no new credential for now; it revokes, and of its request that half is done. */
export function withoutEmergency(record: ClientRecord, revokeBefore: Instant): ClientRecord {
  const { emergency: _, ...rest } = record;
  const id = record.revoking?.id;
  const marks = record.handled.map((mark) => (mark === id ? requestMark({ kind: 'Revoke', id: mark }) : mark));
  return checked({ ...rest, revokeBefore, handled: marks });
}

/** The request to revoke is carried out: nothing is left of what it was about. */
export function revoked(record: ClientRecord): ClientRecord {
  const { revoking: _, emergency: _emergency, ...rest } = record;
  return checked(rest);
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
