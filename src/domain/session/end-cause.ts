/** Why a session is over, from facts that are certain. */
import type { Reason } from '../../api/reasons.ts';
import { type Instant, plus } from '../../clock.ts';
import type { PodFacts, SessionSnapshot } from './machine.ts';

/** What {@link endCause} looks at. */
export type EndFacts = Pick<
  SessionSnapshot,
  'pod' | 'namespace' | 'identity' | 'poolVanishes' | 'client' | 'record' | 'maxSessionAge'
>;

/** Nothing runs in this pod any more, or will not in a moment. */
export function hasEnded({ deleting, phase }: PodFacts): boolean {
  return deleting || phase === 'Succeeded' || phase === 'Failed';
}

export function endCause(s: EndFacts, now: Instant): Reason | undefined {
  if (s.pod.is === 'Gone') return 'PodOver';
  const pod = s.pod.is === 'Seen' ? s.pod.value : undefined;
  if (pod !== undefined && hasEnded(pod)) return 'PodOver';
  if (s.namespace.is === 'Gone' || (s.namespace.is === 'Seen' && s.namespace.value === 'Leaving')) {
    return 'NamespaceLeaving';
  }
  const another = s.identity.is === 'Seen' && s.record !== undefined && s.identity.value.uid !== s.record.identity.uid;
  if (s.identity.is === 'Gone' || another) return 'IdentityGone';
  if (s.poolVanishes === true) return 'PoolMissing';
  // Another provider: its tokens and ours cannot be in one record.
  const isElsewhere = s.client.is === 'Seen' && s.record !== undefined && s.client.value.issuer !== s.record.issuer;
  if (isElsewhere) return 'ClientChanged';
  return isTooOld(s, now) ? 'SessionTooOld' : undefined;
}

export function isTooOld({ pod, record, maxSessionAge }: EndFacts, now: Instant): boolean {
  const start = pod.is === 'Seen' ? pod.value.created : record?.since;
  return start !== undefined && now >= plus(start, maxSessionAge);
}

/**
 * The session ends only because its CiIdentity, the kind of its pool or its whole namespace is not there any more. A namespace that is being
 * deleted or lost its label is somebody's decision and no accident, and so is one pool.
 */
export function isVanished(s: EndFacts, now: Instant): boolean {
  const cause = endCause(s, now);
  return (
    cause === 'IdentityGone' || cause === 'PoolMissing' || (cause === 'NamespaceLeaving' && s.namespace.is === 'Gone')
  );
}
