/** What a snapshot means: the words in which the rows of the session table are written. */
import { minute, plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { earliest } from '../../clock.ts';
import type { Ask } from '../access/access.ts';
import { clocksDiffer, isFarAhead } from '../clocks.ts';
import { isHeldBack } from '../failure.ts';
import { lastFifthAt, renewAt } from '../renewal.ts';
import { usableLife } from '../token.ts';
import type { Token } from '../token.ts';
import { endCause, isTooOld, isVanished } from './end-cause.ts';
import { hasRoomFor } from './invariants.ts';
import type { ClientFacts, SessionSnapshot } from './machine.ts';
import { type SessionRecord, clientOf, newestOf } from './record.ts';

/** Temporary trouble after admission is told to the build after this long. */
export const patience: Milliseconds = 5 * minute;

/** After a take-over, how long a Mint may take before an old pod is told that it waits too long, and before nothing is waited for. */
const takeOverPause: Milliseconds = 30 * second;

/** The token that the pod shall use; absent without a record and while Ending. */
export function usableToken({ record }: { readonly record?: SessionRecord | undefined }): Token | undefined {
  const newest = record === undefined ? undefined : newestOf(record);
  return newest?.end === undefined ? newest : undefined;
}

export function isEnding(s: SessionSnapshot): boolean {
  return s.record !== undefined && usableToken(s) === undefined;
}

export function isUnknown(s: SessionSnapshot): boolean {
  return !s.synced || [s.pod, s.namespace, s.identity, s.access].some((known) => known.is === 'Unknown');
}

/** The brake holds this end back. What somebody asked to revoke, took from the grant, or bounded in time it does not hold. */
export function isHeld(s: SessionSnapshot, now: Instant): boolean {
  return s.brake === true && isVanished(s, now) && !mustBeReplaced(s, now) && !isTooOld(s, now);
}

/** Somebody decided against it: a stop, no rule, no right. Only facts that are certain. */
export function isForbidden(s: SessionSnapshot): boolean {
  if (s.stop !== undefined) return true;
  const access = s.access.is === 'Seen' ? s.access.value : undefined;
  return access?.is === 'Denied' && access.lasting;
}

/** The creator lost (or never had) the verb `use`. */
export function mayNotUse(s: SessionSnapshot): boolean {
  return s.mayUse.is === 'Seen' && !s.mayUse.value;
}

/** Somebody asked to revoke everything that is older than the usable token, or that its credential minted. */
export function isRevokeRequested(s: SessionSnapshot, now: Instant): boolean {
  const token = usableToken(s);
  if (s.record === undefined || token === undefined) return false;
  const revokeBefore = s.client.is === 'Seen' ? s.client.value.revokeBefore : undefined;
  const honoured = s.firstHonoured?.get(clientOf(s.record, token)) ?? 0;
  return isOlder(token, revokeBefore, now) || token.generation < honoured;
}

/**
 * A moment further ahead than clocks differ (the clock was set back) is none yet: every token is older, and so would be its successor, which is
 * minted after any other moment (`mintMoment`).
 */
export function isOlder({ minted }: Token, moment: Instant | undefined, now: Instant): boolean {
  return moment !== undefined && !isFarAhead(moment, now) && minted < moment;
}

/** The usable token is no longer allowed as it is: somebody asked to revoke it, its time is over, or the rules grant less than it carries. */
export function mustBeReplaced(s: SessionSnapshot, now: Instant): boolean {
  const token = usableToken(s);
  if (token === undefined) return false;
  if (isRevokeRequested(s, now)) return true;
  if (isLifetimeOver(s, now)) return true;
  const granted = grantedAsk(s);
  return granted !== undefined && !contains(granted, token.ask);
}

/** It is not expired, but was allowed a shorter life, when it was minted or by what is granted now. */
export function isLifetimeOver(s: SessionSnapshot, now: Instant): boolean {
  const token = usableToken(s);
  const until = usableUntil(s);
  return token !== undefined && until !== undefined && now >= until && now < token.exp;
}

function usableUntil(s: SessionSnapshot): Instant | undefined {
  const token = usableToken(s);
  if (token === undefined) return undefined;
  return plus(token.minted, Math.min(usableLife(token), grantedAsk(s)?.maxLifetime ?? Infinity));
}

/** What the rules give now, also while nothing new is given. */
function grantedAsk({ access }: SessionSnapshot): Ask | undefined {
  return access.is === 'Seen' ? access.value.ask : undefined;
}

function contains(granted: Ask, held: Ask): boolean {
  return (
    held.scopes.every((scope) => granted.scopes.includes(scope)) &&
    held.audiences.every((audience) => granted.audiences.includes(audience))
  );
}

function renewalOf(s: SessionSnapshot): Instant | undefined {
  const token = usableToken(s);
  if (token === undefined || s.nodeLost) return undefined;
  const planned = renewAt(token, s.deliveryLag, s.jitter);
  const access = s.access.is === 'Seen' && s.access.value.is === 'Granted' ? s.access.value.ask : undefined;
  if (access === undefined || access.maxLifetime >= token.ask.maxLifetime) return planned;
  return earliest(planned, renewAt({ ...token, ask: access }, s.deliveryLag, s.jitter));
}

/** Another client works for the identity by now (`client.per` or the pool was changed): it makes the next token, and the old one goes after. */
export function isServedByAnotherClient(s: SessionSnapshot): boolean {
  const token = usableToken(s);
  if (s.record === undefined || token === undefined || s.nodeLost || s.client.is !== 'Seen') return false;
  return s.client.value.current !== undefined && clientOf(s.record, token) !== s.client.value.name;
}

export function isDue(s: SessionSnapshot, now: Instant): boolean {
  if (isServedByAnotherClient(s)) return true;
  const renewal = renewalOf(s);
  return renewal !== undefined && now >= renewal;
}

/** What a Mint needs, all of it there. */
export interface Mintable {
  readonly ask: Ask;
  readonly hash: string;
  readonly client: ClientFacts;
}

export function mintable(s: SessionSnapshot): Mintable | undefined {
  if (s.guard.is !== 'Intact' || s.access.is !== 'Seen' || s.access.value.is !== 'Granted') return undefined;
  if (s.client.is !== 'Seen' || s.client.value.current === undefined) return undefined;
  if (s.client.value.refusal !== undefined || mayNotUse(s)) return undefined;
  return { ask: s.access.value.ask, hash: s.access.value.hash, client: s.client.value };
}

/**
 * A new process has not looked at the guard or the clients yet, so whether a successor can be had is open. Only for a moment: what is no
 * longer allowed must go in any case.
 */
export function isLearning(s: SessionSnapshot, now: Instant): boolean {
  const until = learnsUntil(s);
  return until !== undefined && now < until;
}

function learnsUntil(s: SessionSnapshot): Instant | undefined {
  const isOpen = s.guard.is === 'Unknown' || s.client.is === 'Unknown';
  return isOpen && s.seenSince !== undefined ? plus(s.seenSince, takeOverPause) : undefined;
}

/** The pod waits for its first token, or for one after the end of its last, and nothing forbids it. */
export function awaitsToken(s: SessionSnapshot, now: Instant): boolean {
  return (
    usableToken(s) === undefined &&
    !s.nodeLost &&
    !isForbidden(s) &&
    mintable(s) !== undefined &&
    endCause(s, now) === undefined
  );
}

/** The pod waits for a token, while what was taken from it is still to be revoked. */
export function awaitsRevocation(s: SessionSnapshot, now: Instant): boolean {
  return s.record?.tokens.some((token) => isUnrevoked(s, token)) === true && awaitsToken(s, now);
}

/** Nobody has got a token from the issuer for a while. */
export function isIssuerDown({ client }: SessionSnapshot): boolean {
  return client.is === 'Seen' && client.value.outage !== undefined;
}

export function hasRoom(s: SessionSnapshot): boolean {
  return hasRoomFor(s.record?.tokens ?? []);
}

/** The pod has, as far as this process knows, what the record says. */
export function isDelivered(s: SessionSnapshot): boolean {
  return s.delivered?.content === 'Token' && (s.wantedDigest === undefined || s.delivered.digest === s.wantedDigest);
}

/**
 * A node mounts volumes within a second or two; what takes longer may miss the delivery, which somebody then deleted. What is still missed
 * after it was written again is something else as a rule, such as a volume that does not exist: then it is written ever more rarely.
 */
const mountPatience: Milliseconds = 10 * second;
const longestMountPatience: Milliseconds = 5 * minute;

function missesDeliveryFrom(s: SessionSnapshot): Instant | undefined {
  const since = s.pod.is === 'Seen' ? s.pod.value.unmountedSince : undefined;
  if (since === undefined || s.delivered === undefined || s.delivered.content === 'Empty') return undefined;
  const { at, again = 0 } = s.delivered;
  return plus(since > at ? since : at, Math.min(mountPatience * 2 ** again, longestMountPatience));
}

/** The pod waits for its Secret although it was written. */
export function missesDelivery(s: SessionSnapshot, now: Instant): boolean {
  const from = missesDeliveryFrom(s);
  return from !== undefined && now >= from;
}

/** The Secret is not known to hold what the record says, or the pod waits for it although it was written. */
export function needsDelivery(s: SessionSnapshot, now: Instant): boolean {
  return !isDelivered(s) || missesDelivery(s, now);
}

/** The delivery that would come first failed and is held back, so that nothing waits for it. */
export function deliveryFailed(s: SessionSnapshot): boolean {
  return isHeldBack(s, 'undelivered') || isHeldBack(s, 'clean');
}

/** The provider knows nothing of its end yet, as far as this process knows. */
export function isUnrevoked(
  { answered }: { readonly answered?: ReadonlyMap<string, unknown> | undefined },
  { sha256, end, value }: Token,
): boolean {
  return end !== undefined && value !== undefined && answered?.has(sha256) !== true;
}

/** When what the usable token has replaced may go. */
export function supersededGoFrom(s: SessionSnapshot): Instant | undefined {
  const awaits = usableToken(s) !== undefined && isDelivered(s);
  return awaits && s.delivered !== undefined ? plus(s.delivered.at, s.deliveryLag) : undefined;
}

/** The pod has waited so long that its build is told. */
function patienceEndsAt(s: SessionSnapshot): Instant | undefined {
  if (s.pod.is !== 'Seen') return undefined;
  const byPod = plus(s.pod.value.created, patience);
  if (isHeldBack(s, 'first') || s.seenSince === undefined) return byPod;
  return plus(s.seenSince, Math.max(takeOverPause, byPod - s.seenSince));
}

export function waitsTooLong(s: SessionSnapshot, now: Instant): boolean {
  const end = patienceEndsAt(s);
  return end !== undefined && now >= end;
}

/** Nobody reports that revocations are paused or go on: a build that waits for one, and what has expired and is revoked first, looks again this often. */
const revocationPause: Milliseconds = 5 * second;

/** The next moment at which time alone may change the decision. */
export function nextLook(s: SessionSnapshot, now: Instant): Instant | undefined {
  const token = usableToken(s);
  const held = s.record?.tokens ?? [];
  const pod = s.pod.is === 'Seen' ? s.pod.value : undefined;
  const start = pod?.created ?? s.record?.since;
  const moments = [
    ...held.map(({ exp }) => exp),
    ...(token === undefined ? [] : held.map(lastFifthAt)),
    renewalOf(s),
    usableUntil(s),
    start && plus(start, s.maxSessionAge),
    supersededGoFrom(s),
    missesDeliveryFrom(s),
    learnsUntil(s),
    s.successorUntil,
    awaitsRevocation(s, now) || held.some(({ exp }) => exp <= now) ? plus(now, revocationPause) : undefined,
    s.client.is === 'Seen' && s.client.value.revokeBefore !== undefined
      ? plus(s.client.value.revokeBefore, -clocksDiffer)
      : undefined,
    s.record === undefined ? patienceEndsAt(s) : undefined,
  ];
  return earliest(...moments.filter((moment) => moment !== undefined && moment > now));
}
