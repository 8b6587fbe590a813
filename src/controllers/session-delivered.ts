import type { Delivered, SessionSnapshot } from '../domain/session/machine.ts';
import type { LastDelivery } from '../kube/deliveries.ts';

/** What this process wrote last into a delivery Secret, and the version that it got; none where there was no Secret to be emptied. */
export type DeliveredState = Delivered & { readonly resourceVersion?: string };

/** What is known of the Secret that is to be written. */
export function lastDelivery(s: SessionSnapshot, { resourceVersion }: Partial<DeliveredState> = {}): LastDelivery {
  if (resourceVersion !== undefined) return { resourceVersion };
  return isOfAnotherLeader(s) ? 'Written' : 'Nothing';
}

/** Whoever wrote the record most likely wrote its delivery as well. */
function isOfAnotherLeader({ record, epoch }: SessionSnapshot): boolean {
  return record !== undefined && epoch !== undefined && record.epoch < epoch;
}
