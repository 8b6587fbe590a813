import { isConditionType, type Reason } from '../../api/reasons.ts';
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
  /** When this process last wrote this object, its status or its finalizer; absent: not yet. */
  readonly writtenAt?: Instant;
  /** When this process first looked at this object; absent where no first status waits. */
  readonly seenAt?: Instant;
}

interface WithConditions {
  readonly conditions?: readonly Condition[];
}

/** Numbers and times that change without news are written at most this often: all of {@link statusDecision}'s `counts`, but for what `zeroIsNews` says. */
const countsEvery: Milliseconds = minute;

/**
 * Whether `next` is worth a write: at once when it says something else, not before `firstFrom`, not before `wordsFrom` when nothing but messages
 * differ, after `countsEvery` when nothing but the members in `counts` does, never when it says the same. Time alone never causes a write.
 */
export function statusDecision<S extends WithConditions>(
  question: {
    readonly current: S | undefined;
    readonly next: S;
    readonly counts: readonly (keyof S)[];
    /** A count that leaves or reaches 0 is worth a write at once: whoever waits for the first one looks at it. */
    readonly zeroIsNews?: boolean;
    readonly writtenAt: Instant | undefined;
    /** Fair share goes by it: the namespace, or the kind. */
    readonly group: string;
    readonly recheckAt?: Instant | undefined;
    /** Messages change with each step of something that is under way, and are worth a write once a step has lasted. */
    readonly wordsFrom?: Instant | undefined;
    /** Until then a first status waits, because the next one is likely to say more; the API server says Pending meanwhile. */
    readonly firstFrom?: Instant | undefined;
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
  const later = (row: string, at: Instant): Decision<StatusAction<S>> => ({
    row,
    reason,
    recheckAt: earliest(at, question.recheckAt) ?? at,
  });
  if (saysTheSame(current ?? {}, next)) return { row: 'settled', reason, ...recheckAt };
  const [before, after] = [without(current ?? {}, counts), without(next, counts)];
  if (!saysTheSame(before, after)) {
    const { wordsFrom = now, firstFrom = now } = question;
    if (now < firstFrom) return later('first-later', firstFrom);
    if (now >= wordsFrom || !saysTheSame(wordless(before), wordless(after))) return write('changed');
    return later('words-later', wordsFrom);
  }
  if (question.zeroIsNews === true && !saysTheSame(zeroes(current ?? {}), zeroes(next))) return write('changed');
  const due = writtenAt === undefined ? now : plus(writtenAt, countsEvery);
  if (now >= due) return write('counts');
  return later('counts-later', due);
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
  return isSame(comparable(a), comparable(b));
}

function comparable(status: WithConditions): unknown {
  const own = (status.conditions ?? []).filter(({ type }) => isConditionType(type));
  return { ...status, conditions: Object.fromEntries(own.map((condition) => [condition.type, condition])) };
}

/** Thousands of objects are compared at each start, so nothing is made of them here. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const one = a as Readonly<Record<string, unknown>>;
  const other = b as Readonly<Record<string, unknown>>;
  return (
    Object.keys(one).every((name) => isSame(one[name], other[name])) &&
    Object.keys(other).every((name) => other[name] === undefined || one[name] !== undefined)
  );
}

function without<S extends object>(status: S, members: readonly PropertyKey[]): WithConditions {
  return Object.fromEntries(Object.entries(status).filter(([name]) => !members.includes(name)));
}

function wordless(status: WithConditions): WithConditions {
  return blurred(status, (key, value) => (key === 'message' ? '' : value));
}

function zeroes(status: WithConditions): WithConditions {
  return blurred(status, (_key, value) => (typeof value === 'number' ? value > 0 : value));
}

/** Without the differences that `replace` makes equal. */
function blurred(status: WithConditions, replace: (key: string, value: unknown) => unknown): WithConditions {
  return JSON.parse(JSON.stringify(status, replace)) as WithConditions;
}

export function readyReason(status: WithConditions): Reason {
  return (status.conditions?.find(({ type }) => type === 'Ready')?.reason ?? 'InProgress') as Reason;
}
