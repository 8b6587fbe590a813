import { missedBy } from '../domain/access/missed.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Memory, indexes } from './memory.ts';

export interface InjectionMissesOptions {
  readonly memory: Memory;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
}

/** Finds pods that an identity selects and that run without it: one event for each, and the count as a metric. */
export class InjectionMisses {
  readonly #o: InjectionMissesOptions;
  readonly #told = new Set<string>();

  constructor(options: InjectionMissesOptions) {
    this.#o = options;
  }

  look(): void {
    const { memory, events, metrics } = this.#o;
    const found = new Set<string>();
    for (const [namespace, pods] of memory.pods) {
      const identities = memory.identities.byIndex(indexes.namespace, namespace).map(([, identity]) => identity);
      if (!pods.synced || identities.length === 0) continue;
      for (const [, pod] of pods.entries()) {
        for (const { identity, message } of missedBy(pod, identities)) {
          const key = `${pod.uid}.${identity}`;
          found.add(key);
          if (this.#told.has(key)) continue;
          this.#told.add(key);
          const regarding = { apiVersion: 'v1', kind: 'Pod', name: pod.name, namespace, uid: pod.uid };
          events.record({ regarding, type: 'Warning', reason: 'InjectionMissed', message });
        }
      }
    }
    for (const key of this.#told) if (!found.has(key)) this.#told.delete(key);
    metrics.set('ci_identity_injection_misses', {}, found.size);
  }
}
