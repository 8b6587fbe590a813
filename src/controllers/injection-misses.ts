import { setImmediate } from 'node:timers/promises';
import type { Reason } from '../api/reasons.ts';
import { type Miss, missedBy, needsIdentities, passedOver } from '../domain/access/missed.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Memory, indexes } from './memory.ts';

export interface InjectionMissesOptions {
  readonly memory: Memory;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
}

/** A pod gets at most twelve. A team may make thousands, with selectors of 32 clauses, and shall not hold up everybody else by that. */
const mostIdentities = 100;
/** Others have their turn after so many pods. */
const turn = 100;

/** Finds pods that run without an identity that selects them, and tells once of each: those that should have it are counted as well. */
export class InjectionMisses {
  readonly #o: InjectionMissesOptions;
  /** `<pod uid>.<identity>` of what was told and still is so. */
  #told: ReadonlySet<string> = new Set();

  constructor(options: InjectionMissesOptions) {
    this.#o = options;
  }

  async look(): Promise<void> {
    const { memory, metrics } = this.#o;
    const found = new Set<string>();
    let missed = 0;
    let looked = 0;
    for (const [namespace, pods] of memory.pods) {
      const identities = memory.identities
        .byIndex(indexes.namespace, namespace)
        .slice(0, mostIdentities)
        .map(([, identity]) => identity);
      if (!pods.synced || identities.length === 0) continue;
      for (const [, pod] of pods.entries()) {
        if ((looked += 1) % turn === 0) await setImmediate();
        if (!needsIdentities(pod)) continue;
        const misses = missedBy(pod, identities);
        missed += misses.length;
        for (const miss of misses) found.add(this.#tell(pod, 'Warning', 'InjectionMissed', miss));
        for (const miss of passedOver(pod, identities)) found.add(this.#tell(pod, 'Normal', 'ContainerMissing', miss));
      }
    }
    this.#told = found;
    metrics.set('ci_identity_injection_misses', {}, missed);
  }

  #tell(pod: PodFacts, type: 'Normal' | 'Warning', reason: Reason, { identity, message }: Miss): string {
    const key = `${pod.uid}.${identity}`;
    const { namespace, name, uid } = pod;
    if (!this.#told.has(key))
      this.#o.events.record({
        regarding: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
        type,
        reason,
        message,
      });
    return key;
  }
}
