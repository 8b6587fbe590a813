import { conditionTypes, type Reason } from '../../api/reasons.ts';
import type { Condition } from '../../api/meta.ts';
import { earliest, minute, plus, type Instant, type Milliseconds } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { lanes } from '../lanes.ts';

/** One effect each: the whole status, or our finalizer. */
export type StatusAction<S> =
  | { readonly type: 'WriteStatus'; readonly status: S }
  | { readonly type: 'AddFinalizer' }
  | { readonly type: 'RemoveFinalizer' };

/** What the three projections have in common. */
export interface StatusFacts {
  /** When this process last wrote the status of this object; absent: not yet. */
  readonly writtenAt?: Instant;
}

interface WithConditions {
  readonly conditions?: readonly Condition[];
}

/** Numbers and times that change without news are written at most this often. */
export const countsEvery: Milliseconds = minute;

/**
 * Whether `next` is worth a write: at once when it says something else, after `countsEvery` when nothing but the members in `counts`
 * differs, never when it says the same. Time alone never causes a write.
 */
export function statusDecision<S extends WithConditions>(
  question: {
    readonly current: S | undefined;
    readonly next: S;
    readonly counts: readonly (keyof S)[];
    readonly writtenAt: Instant | undefined;
    /** Fair share goes by it: the namespace, or the kind. */
    readonly group: string;
    readonly recheckAt?: Instant | undefined;
  },
  now: Instant,
): Decision<StatusAction<S>> {
  const { current, next, counts, writtenAt, group } = question;
  const reason = readyReason(next);
  const recheckAt = question.recheckAt === undefined ? {} : { recheckAt: question.recheckAt };
  const write = (row: string): Decision<StatusAction<S>> => ({
    row,
    action: { type: 'WriteStatus', status: next },
    work: { lane: lanes.Routine, by: now, group },
    reason,
    ...recheckAt,
  });
  if (!saysTheSame(without(current ?? {}, counts), without(next, counts))) return write('changed');
  if (saysTheSame(current ?? {}, next)) return { row: 'settled', reason, ...recheckAt };
  const due = writtenAt === undefined ? now : plus(writtenAt, countsEvery);
  if (now >= due) return write('counts');
  return { row: 'counts-later', reason, recheckAt: earliest(due, question.recheckAt) ?? due };
}

/** Not everything has been read yet: the status that is there stays. */
export function notSynced<S>(): Decision<StatusAction<S>> {
  return { row: 'unknown', reason: 'NotSynced' };
}

export function finalizerDecision<S>(
  type: 'AddFinalizer' | 'RemoveFinalizer',
  group: string,
  now: Instant,
): Decision<StatusAction<S>> {
  const add = type === 'AddFinalizer';
  return {
    row: add ? 'finalizer-missing' : 'finalizer-done',
    action: { type },
    work: { lane: lanes.Routine, by: now, group },
    reason: add ? 'InProgress' : 'Deregistered',
  };
}

/** Equal but for the order of members and conditions, absent members, and conditions of types that are not ours. */
export function saysTheSame(a: WithConditions, b: WithConditions): boolean {
  return canonical(comparable(a)) === canonical(comparable(b));
}

function comparable(status: WithConditions): unknown {
  const own = (status.conditions ?? []).filter(({ type }) => type in conditionTypes);
  return { ...status, conditions: Object.fromEntries(own.map((condition) => [condition.type, condition])) };
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

function without<S extends object>(status: S, members: readonly PropertyKey[]): WithConditions {
  return Object.fromEntries(Object.entries(status).filter(([name]) => !members.includes(name)));
}

function readyReason(status: WithConditions): Reason {
  return (status.conditions?.find(({ type }) => type === 'Ready')?.reason ?? 'InProgress') as Reason;
}
