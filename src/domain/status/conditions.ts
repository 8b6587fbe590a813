import { conditionTypes, type ConditionType, type Reason } from '../../api/reasons.ts';
import type { Condition } from '../../api/meta.ts';
import { toRfc3339, type Instant } from '../../clock.ts';
import { clean } from '../../clean.ts';

/** A condition as a projection says it; {@link setConditions} adds when and about which generation. */
export interface Draft {
  readonly type: ConditionType;
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
}

/** Bound of the CRDs, and of `metav1.Condition`. */
export const longestMessage = 2_048;

const order = Object.keys(conditionTypes);

/**
 * The conditions to write: one per draft, in the order of the table. `lastTransitionTime` is kept while `status` stays the same; a
 * condition that no draft speaks of goes. One without `observedGeneration` is the default of the CRD, of which nobody knows the time. Conditions of types that are not ours belong to others and are left out (`writeStatus`
 * leaves them as they are). Sentences quote others (the name of a creator, a reason to stop), and terminals show them.
 */
export function setConditions(
  previous: readonly Condition[] | undefined,
  drafts: readonly Draft[],
  generation: number,
  now: Instant,
): readonly Condition[] {
  return drafts
    .toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type))
    .map(({ type, status, reason, message }) => {
      const before = previous?.find(
        (condition) =>
          condition.type === type && condition.status === status && condition.observedGeneration !== undefined,
      );
      return {
        type,
        status,
        reason,
        message: clean(message, longestMessage),
        observedGeneration: generation,
        lastTransitionTime: before?.lastTransitionTime ?? toRfc3339(now),
      };
    });
}

export function draft(type: ConditionType, status: Draft['status'], reason: Reason, message: string): Draft {
  return { type, status, reason, message };
}

/**
 * `Ready` from the conditions that it depends on: the first that is False speaks, else the first that is Unknown, else everything is
 * well and `happy` speaks.
 */
export function summarise(dependents: readonly Draft[], happy: string): Draft {
  const trouble =
    dependents.find(({ status }) => status === 'False') ?? dependents.find(({ status }) => status === 'Unknown');
  return trouble === undefined ? draft('Ready', 'True', 'Ready', happy) : { ...trouble, type: 'Ready' };
}

/** What kstatus has to know of an object that is not Ready. `Neither`: part of it works, and nobody is working on the rest. */
export type Going = 'Reconciling' | 'Stalled' | 'Neither';

/** `Ready` with its kstatus mark, which is there only while it is true and never together with `Ready=True`. */
export function marked(ready: Draft, going: Going): readonly Draft[] {
  if (ready.status === 'True' || going === 'Neither') return [ready];
  return [ready, { ...ready, type: going, status: 'True' }];
}

/** Puts the subject in front, unless the sentence names it already. */
export function about(subject: string, message: string): string {
  return message.startsWith(`${subject}:`) ? message : `${subject}: ${message}`;
}
