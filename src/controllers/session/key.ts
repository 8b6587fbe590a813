import { sha256 } from '../../digest.ts';
import { sessionRecordName } from '../../domain/record-names.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import type { SessionRecord } from '../../domain/session/record.ts';

/** Names one session; everything needed to find its pod and record is in it. */
export interface SessionKey {
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly identity: string;
}

/** How the loop names it. */
export function sessionKey({ namespace, pod, podUid, identity }: SessionKey): string {
  return `${namespace}/${pod}/${podUid}/${identity}`;
}

export function sessionKeyOf({ pod, identity }: SessionRecord): string {
  return sessionKey({ namespace: pod.namespace, pod: pod.name, podUid: pod.uid, identity: identity.name });
}

/** The inverse of {@link sessionKey}; none of the four can have a `/`. */
export function parseSessionKey(key: string): SessionKey {
  const [namespace = '', pod = '', podUid = '', identity = ''] = key.split('/');
  return { namespace, pod, podUid, identity };
}

/** Name of the record that a session of this pod and identity has or would have. The claim never changes, so neither does the name. */
export function recordNameOf(snapshot: SessionSnapshot): string | undefined {
  if (snapshot.record !== undefined) return sessionRecordName(snapshot.record.pod.uid, snapshot.record.identity.uid);
  if (snapshot.pod.is !== 'Seen') return undefined;
  const claimed = snapshot.pod.value.claims[snapshot.identityName];
  return claimed === undefined ? undefined : sessionRecordName(snapshot.pod.value.uid, claimed);
}

/** In [-1, 1], the same for the same session, so that renewals of pods that were created together spread out. */
export function jitterOf(key: string): number {
  return (Number.parseInt(sha256(key).slice(0, 8), 16) / 0xffff_ffff) * 2 - 1;
}
