import { type Milliseconds, minute } from '../../clock.ts';
import type { Delivered, SessionSnapshot } from '../../domain/session/machine.ts';
import type { LastDelivery } from '../../kube/deliveries.ts';

/** What this process wrote last into a delivery Secret, and the version that it got; none where there was no Secret to be emptied. */
export type DeliveredState = Delivered & { readonly resourceVersion?: string };

/** What is known of the Secret that is to be written. */
export function lastDelivery(s: SessionSnapshot, { resourceVersion }: Partial<DeliveredState> = {}): LastDelivery {
  if (resourceVersion !== undefined) return { resourceVersion };
  return isOfAnotherLeader(s) ? 'Written' : 'Nothing';
}

/** A pod that is older than that when this process sees it first had its error from the leader before. */
const youth: Milliseconds = minute;

/** Whether an error that was just delivered, other than the one `before`, is the first that the pod reads of it. */
export function isNewDenial({ pod, seenSince }: SessionSnapshot, before: DeliveredState | undefined): boolean {
  return before !== undefined || pod.is !== 'Seen' || seenSince === undefined || seenSince - pod.value.created < youth;
}

/** Whoever wrote the record most likely wrote its delivery as well. */
function isOfAnotherLeader({ record, epoch }: SessionSnapshot): boolean {
  return record !== undefined && epoch !== undefined && record.epoch < epoch;
}
