/** When something is due. Instants only: who acts on them is the table's business. */
import { day, earliest, hour, instant, minute, plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { asPast, isFarAhead } from '../clocks.ts';
import { secretExpiresAt } from './credential.ts';
import { isExternal, remindAt } from './existing.ts';
import { currentOf, inWork, isAsWanted, isNewestClient } from './generations.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import type { ClientRecord, Generation, Intent, Proof } from './record.ts';
import { spreadOver } from './window.ts';
import type { WindowState } from './window.ts';

/** Clocks of pods, provider and controller may differ by this much. */
const skew: Milliseconds = 30 * second;

/** A refusal is asked about again after this long, while the provider may still be taking the credential over. */
export const proofPause: Milliseconds = 5 * second;

/** A refused Current is tried again this often: an administrator may have switched the client off and on. */
export const refusedPause: Milliseconds = 5 * minute;

/** A refused ask is proven again this often: nobody tells us when an administrator allows the scope or shortens the lifetime. */
const proveAgainAfter: Milliseconds = 5 * minute;

/** Somebody asked since then to try again what was refused. What is still to come (the clock was set back) has not been asked. */
export function isRetried({ retried }: ClientRecord, refusedAt: Instant, now: Instant): boolean {
  return retried !== undefined && retried.at > asPast(refusedAt, now) && retried.at <= now;
}

/** A refusal of an ask some minutes ago, or one after which somebody asked for another try. */
export function isWorthAnotherTry(record: ClientRecord, { at }: Pick<Proof, 'at'>, now: Instant): boolean {
  return now >= plus(asPast(at, now), proveAgainAfter) || isRetried(record, at, now);
}

/** The daily drift check. */
const lookAgainAfter: Milliseconds = day;

/** A client that works is not gone, whatever was answered for it. */
const lookAgainIfGone: Milliseconds = 5 * minute;

/** Before a client is changed for its metadata or deleted, it is looked at, unless that was done so lately. */
const lookBefore: Milliseconds = minute;

export function isSeenLately({ observed }: ClientRecord, now: Instant): boolean {
  return isLately(observed?.at, now);
}

/** The same of the client of this generation. A look at the record's is at the newest one, and says nothing of the one before it. */
export function isOwnerKnown(record: ClientRecord, of: Generation, now: Instant): boolean {
  return isLately(of.lookedAt, now) || (isNewestClient(record, of) && isSeenLately(record, now));
}

/** A look showed the client since it was refused; where a clock that was ahead wrote down the refusal, a look just now. */
export function isSeenSince(record: ClientRecord, refusedAt: Instant, now: Instant): boolean {
  if (refusedAt > now) return isSeenLately(record, now);
  return record.observed !== undefined && asPast(record.observed.at, now) >= refusedAt;
}

function isLately(at: Instant | undefined, now: Instant): boolean {
  return at !== undefined && now < plus(asPast(at, now), lookBefore);
}

/** When the Current credential reaches its age: up to 5 % early, so that pools made together do not rotate together; never late. */
export function dueAt(current: Generation, every: Milliseconds, jitter: number): Instant {
  return plus(current.since, every * (1 - 0.05 * Math.abs(jitter)));
}

/** Work that waited for its window, or that everybody is late with, is spread over this many turns. */
const turns = 60;

/** Late by less than this, nobody waits for a turn. */
const onTime: Milliseconds = minute;

/**
 * When a rotation that is due at `due` may begin, looked at from `now`: at once if it is on time. What was missed (the controller slept, the
 * interval was shortened in a thousand pools at once) or had to wait for its window takes its own turn out of sixty, in each hour that the
 * window is open; who missed the last one begins in what is left of the window. `undefined`: never, because the window cannot be used.
 */
export function turnAt(
  due: Instant,
  { window, jitter = 0 }: Pick<ClientSnapshot, 'window' | 'jitter'>,
  now: Instant,
): Instant | undefined {
  if (window?.is === 'Unusable') return undefined;
  const period = spreadOver(window);
  const length = period / turns;
  const own = Math.min(Math.floor(Math.abs(jitter) * turns), turns - 1) * length;
  if (window?.is === 'Closed') return plus(window.opensAt, own);
  const from = window?.since ?? instant(0);
  if (now < plus(due, onTime) && from <= due) return now;
  const phase = (now - from) % period;
  const next = plus(now, (own - phase + period) % period);
  const isLast = window !== undefined && phase >= own && next >= plus(from, window.length);
  return (phase >= own && phase < own + length) || isLast ? now : next;
}

/** For people: when the next rotation by schedule begins, if nothing holds it up. */
export function nextRotation(
  current: Generation,
  every: Milliseconds,
  jitter: number,
  windowAt: (at: Instant) => WindowState | undefined,
): Instant | undefined {
  const due = dueAt(current, every, jitter);
  const turnOf = (at: Instant): Instant | undefined => turnAt(at, { jitter, ...windowOf(windowAt(at)) }, at);
  const expiring = expiringAt(current, jitter);
  const ahead = expiring === undefined ? undefined : earliest(turnOf(expiring), expiringSoonAt(current));
  const bySchedule = turnOf(due);
  return bySchedule && earliest(bySchedule, ahead);
}

function windowOf(window: WindowState | undefined): Pick<ClientSnapshot, 'window'> {
  return window === undefined ? {} : { window };
}

/** The token endpoint refused it a moment ago, so that asking again would tell nothing new. */
export function isRefusedLately({ refusedAt }: Generation, now: Instant): boolean {
  return refusedAt !== undefined && now < plus(asPast(refusedAt, now), proofPause);
}

/** A secret with a tenth of its life left is replaced whatever the hour: a window that opens too late would leave none that works. */
function expiringSoonAt({ credential, since }: Generation): Instant | undefined {
  const expiresAt = secretExpiresAt(credential);
  return expiresAt && plus(expiresAt, (since - expiresAt) / 10);
}

export function isExpiringSoon(one: Generation, now: Instant): boolean {
  return now >= (expiringSoonAt(one) ?? Number.POSITIVE_INFINITY);
}

/** A provider's clock may be so far ahead of ours. */
const providerAhead: Milliseconds = 10 * minute;

/** The provider refuses it for its age, or may, so that a refusal says nothing about its client. */
export function mayHaveExpired({ credential }: Generation, now: Instant): boolean {
  const expiresAt = secretExpiresAt(credential);
  return expiresAt !== undefined && plus(now, providerAhead) >= expiresAt;
}

/** It is refused, more than once, or will be soon: what takes its place is better, whatever that is. */
export function isFailing(one: Generation, now: Instant): boolean {
  return one.refusedAgain === true || isExpiringSoon(one, now);
}

/** A secret with an expiry is replaced when a third of its life is left; up to 5 % of it earlier, as in {@link dueAt}. */
export function expiringAt({ credential, since }: Generation, jitter: number): Instant | undefined {
  const expiresAt = secretExpiresAt(credential);
  return expiresAt && plus(since, (expiresAt - since) * (2 / 3 - 0.05 * Math.abs(jitter)));
}

/** Until when an old credential is kept: the overlap, and the last token that it minted. */
export function retireAfter(now: Instant, overlap: Milliseconds, lastExp: Instant | undefined): Instant {
  return plus(now, Math.max(overlap, lastExp === undefined ? 0 : lastExp + skew - now));
}

/** No token of this generation is left that is unexpired and unrevoked. Where clocks disagree a record that holds one has the last word. */
export function isDrained(s: ClientSnapshot, { n }: Generation, now: Instant): boolean {
  const last = s.lastExp.get(n);
  return last === undefined || (s.clockAgrees && last + skew <= now);
}

function staleAt(record: ClientRecord, jitter: number): Instant | undefined {
  const { observed } = record;
  if (observed === undefined) return undefined;
  const current = currentOf(record);
  const isDoubtful = observed.is === 'Gone' && current !== undefined && current.refusedAt === undefined;
  return plus(observed.at, (isDoubtful ? lookAgainIfGone : lookAgainAfter) * (1 + 0.1 * jitter));
}

/** The provider was never asked, or not for a day; or it refused the token that manages the client, and somebody asked for another try since. */
export function isStale(record: ClientRecord, jitter: number, now: Instant): boolean {
  const at = record.observed?.at;
  const isAhead = at !== undefined && isFarAhead(at, now);
  const isAgain = at !== undefined && record.managementLost === true && isRetried(record, at, now);
  return isAhead || isAgain || now >= (staleAt(record, jitter) ?? now);
}

/** After new credentials that never worked: 5 minutes, doubling, a day at most, and no longer than {@link longestPause}. */
export function planAgainAt(record: Pick<ClientRecord, 'rollbacks' | 'generations'>): Instant | undefined {
  const { rollbacks } = record;
  return rollbacks && plus(rollbacks.at, Math.min(doubled(rollbacks.count, day), longestPause(record, rollbacks.at)));
}

/**
 * What mints is to be replaced before it expires, and soon where it is refused; but each registration whose answer is lost may leave a client at the
 * provider. What an administrator stored is the same again until he stores something else.
 */
function longestPause(record: Pick<ClientRecord, 'generations'>, from: Instant): Milliseconds {
  const current = currentOf(record);
  if (current === undefined || isExternal(current)) return day;
  if (current.refusedAgain === true) return hour;
  const expiresAt = secretExpiresAt(current.credential);
  return expiresAt === undefined ? day : Math.max(refusedPause, (expiresAt - from) / 2);
}

/** What the provider said that it had removed, and has not, so many times: 5 minutes, doubling, an hour at most. */
export function removeAgainAfter(times: number): Milliseconds {
  return doubled(times, hour);
}

function doubled(times: number, most: Milliseconds): Milliseconds {
  return Math.min(5 * minute * 2 ** (times - 1), most);
}

/** The pause after new credentials that never worked is not over, and nobody has asked for the next one since. */
export function pausesPlanning(record: ClientRecord, now: Instant): boolean {
  const { rollbacks } = record;
  if (rollbacks === undefined || isRetried(record, rollbacks.at, now)) return false;
  return now < (planAgainAt({ ...record, rollbacks: { ...rollbacks, at: asPast(rollbacks.at, now) } }) ?? now);
}

/** A window that opens counts only for what is due: it would wake every client each night. */
function rotationMoments(
  s: ClientSnapshot,
  one: Generation,
  { rotateEvery }: Desired,
  now: Instant,
): (Instant | undefined)[] {
  const jitter = s.jitter ?? 0;
  const moments = [dueAt(one, rotateEvery, jitter), expiringAt(one, jitter)].filter((at) => at !== undefined);
  const late = moments.filter((at) => now >= at);
  const opens = s.window?.is === 'Closed' && late.length > 0 ? s.window.opensAt : undefined;
  return [...moments, opens, ...late.map((at) => turnAt(at, s, now))];
}

/**
 * How long a new credential may be refused before it is given up: what the profile says, doubled with each one that was given up before,
 * because a provider with replicas may need longer than its profile knows; one that authenticated and was given less says nothing of that. A first
 * credential that we registered gets two minutes: nothing mints meanwhile anyhow, and giving it up would register another client. One that took the
 * place of the old one gets five: the old one is dead already, and the next one would begin from the start.
 */
export function propagationOf({ record, capabilities }: Pick<ClientSnapshot, 'record' | 'capabilities'>): Milliseconds {
  const { count, lacked } = record?.rollbacks ?? { count: 0 };
  const refusals = lacked === undefined ? count : 0;
  const tookPlace = record?.variant === 'InPlace' && inWork(record) !== undefined;
  const once = Math.max(capabilities?.credentialPropagation ?? 0, tookPlace ? 5 * minute : 0);
  const usual = Math.min(once * 2 ** refusals, hour);
  const isFirst = currentOf(record) === undefined && record?.variant !== 'External';
  return isFirst ? Math.max(usual, 2 * minute) : usual;
}

/** When a proof can show whether the provider has the credential of a call whose outcome is not known. */
export function provableAt({ at, takenAt }: Intent, capabilities: ClientSnapshot['capabilities']): Instant {
  return plus(takenAt ?? at, capabilities?.credentialPropagation ?? 0);
}

/** When an emergency revokes although its new credential has not come. */
export function emergencyLateAt(since: Instant): Instant {
  return plus(since, 5 * minute);
}

/** The next moment at which time alone may change the decision about `record`. */
export function nextLook(
  s: ClientSnapshot,
  record: ClientRecord,
  desired: Desired | undefined,
  now: Instant,
): Instant | undefined {
  const propagation = s.capabilities?.credentialPropagation ?? 0;
  const jitter = s.jitter ?? 0;
  const opening = s.window?.is === 'Closed' ? s.window.opensAt : undefined;
  const moments: (Instant | undefined)[] = [staleAt(record, jitter), planAgainAt(record)];
  if (desired !== undefined && !isAsWanted(record, desired)) moments.push(opening);
  for (const one of record.generations) {
    const last = s.lastExp.get(one.n);
    if (one.state === 'Current') {
      if (desired !== undefined) moments.push(...rotationMoments(s, one, desired, now));
      if (desired !== undefined && isExternal(one)) moments.push(remindAt(one, desired.rotateEvery), one.expiresAt);
      moments.push(expiringSoonAt(one));
      if (one.offered?.refusedAt !== undefined) moments.push(plus(one.offered.refusedAt, proofPause));
    }
    if (one.state === 'Planned') moments.push(opening);
    if (one.state === 'Draining') moments.push(last && plus(last, skew));
    moments.push(one.retireAfter);
    if (one.refusedAt !== undefined) {
      moments.push(
        plus(one.refusedAt, proofPause),
        plus(one.refusedAt, refusedPause),
        plus(one.since, propagationOf(s)),
      );
    }
    if (one.removedAt !== undefined) moments.push(plus(one.removedAt, propagation), plus(one.removedAt, hour));
  }
  if (record.revoking !== undefined) moments.push(emergencyLateAt(record.revoking.since));
  if (record.intent !== undefined) moments.push(provableAt(record.intent, s.capabilities));
  const refused = Object.values(record.proofs).filter((proof) => proof.outcome === 'Refused');
  moments.push(...refused.map((proof) => plus(proof.at, proveAgainAfter)));
  return earliest(...moments.filter((moment) => moment !== undefined && moment > now));
}
