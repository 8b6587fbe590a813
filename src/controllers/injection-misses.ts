import { setImmediate } from 'node:timers/promises';
import { missedBy } from '../domain/access/missed.ts';
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

/** Finds pods that an identity selects and that run without it: one event for each, and the count as a metric. */
export class InjectionMisses {
  readonly #o: InjectionMissesOptions;
  readonly #told = new Set<string>();

  constructor(options: InjectionMissesOptions) {
    this.#o = options;
  }

  async look(): Promise<void> {
    const { memory, events, metrics } = this.#o;
    const found = new Set<string>();
    let looked = 0;
    for (const [namespace, pods] of memory.pods) {
      const identities = memory.identities
        .byIndex(indexes.namespace, namespace)
        .slice(0, mostIdentities)
        .map(([, identity]) => identity);
      if (!pods.synced || identities.length === 0) continue;
      for (const [, pod] of pods.entries()) {
        if ((looked += 1) % turn === 0) await setImmediate();
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
