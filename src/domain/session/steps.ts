/** How a row's answer is put together: an action with its lane, or waiting. */
import type { Reason } from '../../api/reasons.ts';
import { earliest, plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { Decision, Row, Work } from '../../decision.ts';
import { type Circuit, resourceOf } from '../circuits.ts';
import { lanes } from '../lanes.ts';
import type { Lane } from '../lanes.ts';
import { lastFifthAt } from '../renewal.ts';
import type { Token } from '../token.ts';
import {
  awaitsToken,
  isDelivered,
  mustBeReplaced,
  mintable,
  missesDelivery,
  needsDelivery,
  nextLook,
  usableToken,
} from './facts.ts';
import type { DeliveredError, SessionAction, SessionRowName, SessionSnapshot } from './machine.ts';
import { newestOf } from './record.ts';
import { answeredTokens, revocable } from './revocation.ts';

export type SessionRow = Row<SessionSnapshot, SessionAction, SessionRowName>;
export type Step = Omit<Decision<SessionAction>, 'row'>;

/** Nothing to do until something changes or time passes. */
export function wait(s: SessionSnapshot, now: Instant, reason: Reason): Step {
  return step(s, now, reason);
}

export function forbidAll(s: SessionSnapshot, now: Instant, reason: Reason): Step {
  const tokens = (s.record?.tokens ?? []).filter((token) => token.end !== 'Forbidden').map((token) => token.sha256);
  return forbid(s, now, tokens, reason);
}

export function forbid(s: SessionSnapshot, now: Instant, tokens: readonly string[], reason: Reason): Step {
  return step(s, now, reason, { type: 'Forbid', tokens }, work(s, now, lanes.Stop));
}

export function revoke(s: SessionSnapshot, now: Instant, token: Token): Step {
  const reason: Reason = token.end === 'Superseded' ? 'Superseded' : 'InProgress';
  const of = providerWork(s, now, 'revocations', lanes.Stop, token.exp);
  return step(s, now, reason, { type: 'Revoke', token: token.sha256 }, of);
}

/** These tokens are dead already, so it comes after what kills others, unless it stands before something of this session that is as urgent. */
export function conclude(s: SessionSnapshot, now: Instant): Step {
  return step(
    s,
    now,
    'InProgress',
    { type: 'Conclude', tokens: answeredTokens(s) },
    work(s, now, concludeLane(s, now)),
  );
}

function concludeLane(s: SessionSnapshot, now: Instant): Lane {
  if (mustBeReplaced(s, now)) return lanes.Stop;
  const lane = renewalLane(s, now);
  const buildWaits = usableToken(s) === undefined ? awaitsToken(s, now) : needsDelivery(s, now);
  return buildWaits && lane > lanes.NewPod ? lanes.NewPod : lane;
}

export function renewalLane(s: SessionSnapshot, now: Instant): Lane {
  const token = usableToken(s);
  return token !== undefined && now >= lastFifthAt(token) ? lanes.Expiring : lanes.Renew;
}

/** Waits, but a token that is forbidden already is revoked all the same. */
export function waitButRevoke(s: SessionSnapshot, now: Instant, reason: Reason): Step {
  const token = revocable(s, now);
  if (token?.end === 'Forbidden') return { ...revoke(s, now, token), reason };
  return answeredTokens(s).length > 0 ? { ...conclude(s, now), reason } : wait(s, now, reason);
}

/** What a build reads may change with each edit of somebody, and is written at most this often. */
const errorPause: Milliseconds = 10 * second;

/**
 * Writes `error.json`, unless it says this already and the pod does not seem to miss it. The build that has one goes on already, so nobody waits for
 * the next: it comes after what others wait for.
 */
export function deliverError(
  s: SessionSnapshot,
  now: Instant,
  reason: Reason,
  error: DeliveredError,
  lane: Lane = lanes.NewPod,
): Step {
  const says = saysAlready(s, error);
  if (says && !missesDelivery(s, now)) return wait(s, now, reason);
  if (!says && s.delivered?.content === 'Error') {
    const from = plus(s.delivered.at, errorPause);
    if (now < from) return { ...wait(s, now, reason), recheckAt: earliest(from, nextLook(s, now)) ?? from };
    return step(s, now, reason, { type: 'Deliver', content: 'Error', error }, work(s, now, lanes.Routine));
  }
  const again = says ? onceMore(s) : {};
  return step(s, now, reason, { type: 'Deliver', content: 'Error', error, ...again }, work(s, now, lane));
}

/** The words of a failure may change with each attempt, its reason is enough. */
export function saysAlready(s: SessionSnapshot, error: DeliveredError): boolean {
  if (s.delivered?.content !== 'Error') return false;
  const said = s.delivered.error;
  if (said === undefined || (s.failure !== undefined && said.reason === error.reason)) return true;
  return said.reason === error.reason && said.message === error.message && said.fix === error.fix;
}

export function deliver(s: SessionSnapshot, now: Instant, content: 'Token' | 'Empty', lane: Lane): Step {
  const again = isDelivered(s) ? onceMore(s) : {};
  return content === 'Token'
    ? step(s, now, 'Undelivered', { type: 'Deliver', content, ...again }, work(s, now, lane))
    : step(s, now, 'PodOver', { type: 'Deliver', content }, work(s, now, lane));
}

/** Once more, although it is written: an action of its own each time, so that the loop does not take it for one that has no effect. */
function onceMore({ delivered }: SessionSnapshot): { readonly again?: Instant } {
  return delivered === undefined ? {} : { again: delivered.at };
}

/** @throws Error when nothing can be minted: the row must have asked. */
export function mint(
  s: SessionSnapshot,
  now: Instant,
  reason: Reason,
  predecessor: 'Superseded' | 'Forbidden',
  lane: Lane,
): Step {
  const ready = mintable(s);
  if (ready === undefined) throw new Error('nothing can be minted');
  const action: SessionAction = { type: 'Mint', ask: ready.ask, hash: ready.hash, predecessor };
  const of = { ...providerWork(s, now, 'tokens', lane), party: ready.client.name };
  return step(s, now, reason, action, of);
}

export function restore(s: SessionSnapshot, now: Instant): Step {
  return step(s, now, 'RecordRestored', { type: 'Restore' }, work(s, now, lanes.Stop));
}

export function drop(s: SessionSnapshot, now: Instant, tokens: readonly string[]): Step {
  return step(s, now, 'Expired', { type: 'Drop', tokens }, work(s, now, lanes.Expiring));
}

function step(s: SessionSnapshot, now: Instant, reason: Reason, action?: SessionAction, of?: Work): Step {
  const recheckAt = nextLook(s, now);
  return {
    reason,
    ...(action === undefined ? {} : { action }),
    ...(of === undefined ? {} : { work: of }),
    ...(recheckAt === undefined ? {} : { recheckAt }),
  };
}

/** By expiry; a session without a token by the age of its pod. */
function work(s: SessionSnapshot, now: Instant, lane: Lane, by?: Instant): Work {
  const pod = s.pod.is === 'Seen' ? s.pod.value : undefined;
  const order = by ?? (s.record === undefined ? (pod?.created ?? now) : newestOf(s.record).exp);
  return { lane, by: order, group: s.record?.pod.namespace ?? pod?.namespace ?? '' };
}

/** One budget, two circuits: an endpoint that fails pauses its own calls only. */
function providerWork(s: SessionSnapshot, now: Instant, circuit: Circuit, lane: Lane, by?: Instant): Work {
  const issuer = s.record?.issuer ?? (s.client.is === 'Seen' ? s.client.value.issuer : undefined);
  const plain = work(s, now, lane, by);
  return issuer === undefined ? plain : { ...plain, resource: resourceOf(issuer, circuit) };
}
