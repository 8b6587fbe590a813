/** How a row's answer is put together, and the conditions that several rows share. */
import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import type { Decision, Row } from '../../decision.ts';
import type { Ask } from '../access/access.ts';
import { type Circuit, resourceOf } from '../circuits.ts';
import { type Lane, lanes } from '../lanes.ts';
import { defaultTokenLifetime } from '../pool-defaults.ts';
import { mayLeaveGap } from './gap.ts';
import { currentOf, highestGeneration, inWork, isForeign, isGone, lacksManagement, siblings } from './generations.ts';
import type { ClientAction, ClientRowName, ClientSnapshot, Desired, ProofUse } from './machine.ts';
import { existingChange, isExternal } from './existing.ts';
import type { ClientRecord, Generation, Variant } from './record.ts';
import { type ClientRequest, isHandled, openRequests, requestMark } from './requests.ts';
import { mostProofs } from './invariants.ts';
import { isFailing, isWorthAnotherTry, nextLook } from './schedule.ts';
import { clientRecordNameOf } from '../record-names.ts';
import type { ClientEnd } from './story.ts';
import { moved } from './transitions.ts';
import { rotationVariant } from './variants.ts';

export type ClientRow = Row<ClientSnapshot, ClientAction, ClientRowName>;
export type Step = Omit<Decision<ClientAction>, 'row'>;

export function desiredOf(s: ClientSnapshot): Desired | undefined {
  return s.wanted.is === 'Seen' ? s.wanted.value : undefined;
}

/** Nothing can be changed at the provider: the client is an administrator's, its registration access token is lost, or there never was one. */
export function isUnmanageable(s: ClientSnapshot, record: ClientRecord, of?: Generation): boolean {
  const one = of ?? currentOf(record);
  if (isExternal(one)) return true;
  if (s.managementFallback === true) return false;
  return one === undefined
    ? record.managementLost === true || record.management === undefined
    : lacksManagement(record, one);
}

/** Whatever goes, its client stays at the provider. A pool that vanished without a goodbye said so in the record. */
export function retains({ retain, record }: ClientSnapshot): boolean {
  return retain ?? record?.retain ?? false;
}

/** What becomes of the client; `undefined`: it is wanted, or nobody knows. */
export function endOf(s: ClientSnapshot): ClientEnd | undefined {
  if (s.wanted.is !== 'Gone') return undefined;
  return retains(s) ? 'Retained' : 'Removed';
}

/**
 * Which variant a rotation would take now; `undefined`: none that the provider offers, the pool allows and that can be carried out. One that
 * leaves a gap is taken where {@link mayLeaveGap} says so. An emergency takes {@link variantAtAll}.
 */
export function variantNow(s: ClientSnapshot, now: Instant): Variant | undefined {
  const variant = variantAtAll(s);
  return variant === 'InPlace' && !mayLeaveGap(s, now) ? undefined : variant;
}

/** The same, whatever the hour. */
export function variantAtAll(s: ClientSnapshot): Variant | undefined {
  const desired = desiredOf(s);
  const current = currentOf(s.record);
  if (s.record === undefined || s.capabilities === undefined || desired === undefined || current === undefined)
    return undefined;
  if (desired.existing !== undefined) return existingChange(s) === undefined ? undefined : 'External';
  const { variants } = s.capabilities;
  // The pool named an administrator's client until now: what takes its place is a client of our own, as its owner has allowed.
  if (isExternal(current)) return variants.includes('NewClient') ? 'NewClient' : undefined;
  const cannotChange = isUnmanageable(s, s.record, current) || isForeign(s.record) || isGone(s.record);
  const usable = cannotChange ? ['NewClient' as const] : variants;
  const offered = usable.filter((variant) => variants.includes(variant));
  return rotationVariant({ ...s.capabilities, variants: offered }, desired, current.credential.type);
}

/**
 * No rotation under way, neither a new credential nor an old one. For one old credential that cannot go yet nobody waits to take over an
 * administrator's replacement, nor while what mints is refused or about to expire, nor where it is a client that nobody can remove.
 */
export function isAtRest(s: ClientSnapshot, now: Instant): boolean {
  const { record } = s;
  const current = currentOf(record);
  if (record === undefined || inWork(record) !== undefined) return false;
  const cannotWait = current !== undefined && isFailing(current, now);
  const goesOn =
    cannotWait || existingChange(s) !== undefined || record.generations.some((one) => isLeftBehind(s, record, one));
  return record.generations.length <= (goesOn ? 2 : 1);
}

/** An old client of ours that stays at the provider until a person does something about it. */
export function isLeftBehind(s: ClientSnapshot, record: ClientRecord, one: Generation): boolean {
  const isOld = one.state === 'Retiring' && !isExternal(one) && one.clientId !== currentOf(record)?.clientId;
  return isOld && isUnmanageable(s, record, one);
}

export function plan(
  s: ClientSnapshot,
  now: Instant,
  reason: Reason,
  variant: Variant,
  lane: Lane = lanes.Routine,
): Step {
  const handles = carriedOutBy(s).map(requestMark);
  return act(s, now, reason, { type: 'Plan', generation: highestGeneration(s.record) + 1, variant, handles }, lane);
}

/** Of a client that does not exist yet: credential and call are noted together, right before the call leaves. */
export function planAndRegister(s: ClientSnapshot, now: Instant, variant: Variant): Step {
  const plan = { variant, handles: carriedOutBy(s).map(requestMark) };
  const action: ClientAction = { type: 'Register', generation: highestGeneration(s.record) + 1, plan };
  return act(s, now, 'Registering', action, lanes.NewPod);
}

/** A client that is made now is all that anybody asked for so far: it is new, and no token of it is there yet. */
function carriedOutBy(s: ClientSnapshot): readonly ClientRequest[] {
  const desired = desiredOf(s);
  if (desired === undefined) return [];
  const { handled = [], generations = [] } = s.record ?? {};
  if (generations.length > 0) return openRequests(s.record, desired);
  return (desired.asked ?? []).filter((one) => !isHandled(handled, one));
}

/** The call that makes a planned credential known to the provider; an administrator's is known there already. */
export function create(s: ClientSnapshot, now: Instant, record: ClientRecord, of: Generation, lane: Lane): Step {
  if (isExternal(of)) return write(s, now, 'Planned', moved(record, of.n, 'Created', now), lane);
  const isFirst = siblings(record, of).length === 0;
  const action: ClientAction = isFirst ? { type: 'Register', generation: of.n } : { type: 'Update', generation: of.n };
  return act(s, now, isFirst ? 'Registering' : 'Planned', action, lane);
}

export function prove(
  s: ClientSnapshot,
  now: Instant,
  reason: Reason,
  of: Generation,
  settles: ProofUse,
  lane: Lane = lanes.Routine,
): Step {
  return act(s, now, reason, { type: 'Prove', generation: of.n, settles, ...anyAsk(s, of, now) }, lane);
}

interface HashedAsk {
  readonly hash: string;
  readonly ask: Ask;
}

/** As many asks as a record remembers proofs of; those of others would be forgotten, and asked for again without end. */
export function rememberedAsks({ asks }: ClientSnapshot): readonly HashedAsk[] {
  return asks.toSorted((a, b) => (a.hash < b.hash ? -1 : 1)).slice(0, mostProofs);
}

/**
 * What this credential was not given before, as long as somebody asks for it: another ask would show nothing about that. What is known to be
 * given, else what nobody tried yet, or not for a while: the ask of one identity that the provider refuses must not hold up the others. Without
 * any, a request for nothing in particular shows as well whether the credential authenticates. For an administrator's client it has a scope and
 * an audience of the ceiling: the provider may take no request without (Entra ID).
 */
function anyAsk(s: ClientSnapshot, { lacksAsk }: Generation, now: Instant): HashedAsk {
  const { record } = s;
  const asks = rememberedAsks(s).map((one) => ({ one, proof: record?.proofs[one.hash] }));
  const chosen =
    asks.find(({ one, proof }) => one.hash === lacksAsk && proof?.outcome !== 'Refused') ??
    asks.find(({ proof }) => proof?.outcome === 'Accepted') ??
    asks.find(({ proof }) => proof === undefined) ??
    asks.find(({ proof }) => record !== undefined && proof !== undefined && isWorthAnotherTry(record, proof, now));
  if (chosen !== undefined) return chosen.one;
  const desired = desiredOf(s);
  const { scopes = [], audiences = [] } = desired?.existing === undefined ? {} : desired;
  const maxLifetime = desired?.maxTokenLifetime ?? defaultTokenLifetime;
  return { hash: '', ask: { scopes: scopes.slice(0, 1), audiences: audiences.slice(0, 1), maxLifetime } };
}

export function write(
  s: ClientSnapshot,
  now: Instant,
  reason: Reason,
  next: ClientRecord | undefined,
  lane: Lane = lanes.Routine,
): Step {
  return act(s, now, reason, { type: 'Record', next }, lane);
}

/** What rests on a look that counts for a minute goes before the looks of others: in a long queue for a slow provider it would never come. */
export function actOnLook(s: ClientSnapshot, now: Instant, reason: Reason, action: ClientAction): Step {
  return act(s, now, reason, action, lanes.Renew);
}

export function act(
  s: ClientSnapshot,
  now: Instant,
  reason: Reason,
  action: ClientAction,
  lane: Lane = lanes.Routine,
): Step {
  const circuit = circuitOf(action, lane);
  const issuer = s.record?.issuer ?? desiredOf(s)?.issuer;
  const group = s.record?.pool.name ?? desiredOf(s)?.pool.name ?? '';
  const member = s.record?.namespace ?? desiredOf(s)?.namespace;
  const share = member === undefined ? { group } : { group, member };
  const client = s.record ?? desiredOf(s);
  const party = circuit === 'tokens' && client !== undefined ? { party: clientRecordNameOf(client) } : {};
  const spends =
    circuit === undefined || issuer === undefined ? {} : { resource: resourceOf(issuer, circuit), ...party };
  return { ...wait(s, now, reason), action, work: { lane, by: now, ...share, ...spends } };
}

/**
 * A plan calls nobody. Where nobody waits for it, it takes its turn with the calls of those before it all the same: rotations begin as fast as
 * they end then, however many are asked for at once. A registration needs a credential that no other call needs: where that one is used up,
 * clients that exist are rotated, repaired and deleted all the same.
 */
function circuitOf(action: ClientAction, lane: Lane): Circuit | undefined {
  switch (action.type) {
    case 'Plan':
      return lane === lanes.Routine ? 'plans' : undefined;
    case 'Register':
      return 'registrations';
    case 'Update':
    case 'Deregister':
    case 'Observe':
      return 'clients';
    case 'Prove':
      return 'tokens';
    default:
      return undefined;
  }
}

export function wait(s: ClientSnapshot, now: Instant, reason: Reason): Step {
  const recheckAt = s.record === undefined ? undefined : nextLook(s, s.record, desiredOf(s), now);
  return { reason, ...(recheckAt === undefined ? {} : { recheckAt }) };
}
