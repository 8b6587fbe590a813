/** `spec.limits` of a CiIdentity: how many sessions it may have, at once and in an hour. */
import { hour } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { decodeRecord } from '../record-json.ts';
import type { Decoded, JsonReader } from '../record-json.ts';
import { limitsRecordName } from '../record-names.ts';

export interface Limits {
  readonly concurrentSessions?: number;
  readonly sessionsPerHour?: number;
}

/** A session that got its first token. */
export interface Start {
  /** Uid of its pod. */
  readonly pod: string;
  readonly at: Instant;
}

/** The durable truth about the sessions that one identity began within the last hour: pods and session records are gone before it is over. */
export interface LimitsRecord {
  readonly formatVersion: 1;
  readonly epoch: number;
  readonly identity: { readonly namespace: string; readonly name: string; readonly uid: string };
  /** Oldest first; a pod once. */
  readonly starts: readonly Start[];
}

const window: Milliseconds = hour;

export function startsIn(record: LimitsRecord | undefined, now: Instant): readonly Start[] {
  // A clock that was set back must not keep a start for longer than its hour.
  return (record?.starts ?? []).filter(({ at }) => now - at < window && at - now < window);
}

/** The record with one start more; what is older than an hour leaves. A pod that is there already is not counted twice. */
export function begun(
  record: LimitsRecord | undefined,
  identity: LimitsRecord['identity'],
  pod: string,
  now: Instant,
): LimitsRecord {
  const starts = startsIn(record, now);
  const next = starts.some((start) => start.pod === pod) ? starts : [...starts, { pod, at: now }];
  return { formatVersion: 1, epoch: record?.epoch ?? 0, identity, starts: next };
}

/** Which limit one session more would break, as a sentence; `undefined`: none. `live` and `starts` are without the session itself. */
export function breachOf(limits: Limits | undefined, live: number, starts: number): string | undefined {
  const { concurrentSessions, sessionsPerHour } = limits ?? {};
  if (concurrentSessions !== undefined && live >= concurrentSessions)
    return `${live} sessions hold a token that works (of a pod that has ended until it is revoked or expires) and spec.limits.concurrentSessions allows ${concurrentSessions}; the next one gets its token when one of them is over`;
  if (sessionsPerHour !== undefined && starts >= sessionsPerHour)
    return `${starts} sessions began within an hour and spec.limits.sessionsPerHour allows ${sessionsPerHour}; the next one gets its token when the first of them is an hour old`;
  return undefined;
}

export const limitsCodec = {
  encode: (record: LimitsRecord): string => JSON.stringify(record),
  decode: (text: string): Decoded<LimitsRecord> => decodeRecord(text, readRecord),
  nameOf: ({ identity }: LimitsRecord): string => limitsRecordName(identity.uid),
} as const;

function readRecord(root: JsonReader): LimitsRecord {
  const identity = root.at('identity');
  return {
    formatVersion: 1,
    epoch: root.at('epoch').epoch(),
    identity: {
      namespace: identity.at('namespace').text(),
      name: identity.at('name').text(),
      uid: identity.at('uid').text(),
    },
    starts: root.at('starts').list((start) => ({ pod: start.at('pod').text(), at: start.at('at').instant() })),
  };
}
