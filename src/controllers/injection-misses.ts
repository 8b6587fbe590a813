import { setImmediate } from 'node:timers/promises';
import { apiVersion } from '../api/names.ts';
import { missedBy, passedOver } from '../domain/access/missed.ts';
import { hasEnded } from '../domain/session/facts.ts';
import type { EventNote, EventRecorder } from '../kube/events.ts';
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

/** What is more to be told of one namespace waits for the next look, so that every namespace is heard. */
const mostTold = 20;

/**
 * Finds pods that run without an identity that selects them. Those that should have it are counted, and told of once for each pod and identity.
 * That a pod is passed over may be meant, and every build of a team: told to the CiIdentity, with one pod, once while there is any.
 */
export class InjectionMisses {
  readonly #o: InjectionMissesOptions;
  /** `<pod uid>.<identity>` or `<identity uid>` of what was told and still is so. */
  #told: ReadonlySet<string> = new Set();

  constructor(options: InjectionMissesOptions) {
    this.#o = options;
  }

  async look(): Promise<void> {
    const { memory, events, metrics } = this.#o;
    const told = new Set<string>();
    let missed = 0;
    let looked = 0;
    for (const [namespace, pods] of memory.pods) {
      const identities = memory.identities
        .byIndex(indexes.namespace, namespace)
        .slice(0, mostIdentities)
        .map(([, identity]) => identity);
      if (!pods.synced || identities.length === 0) continue;
      const news = new Map<string, EventNote>();
      const tell = (key: string, note: EventNote): void => {
        if (this.#told.has(key)) told.add(key);
        else if (news.size < mostTold) news.set(key, note);
      };
      /** Identity → the sentence about the first pod that is passed over. */
      const passed = new Map<string, string>();
      for (const [, pod] of pods.entries()) {
        if ((looked += 1) % turn === 0) await setImmediate();
        if (hasEnded(pod)) continue;
        const { name, uid } = pod;
        const misses = missedBy(pod, identities);
        missed += misses.length;
        for (const { identity, message } of misses) {
          const regarding = { apiVersion: 'v1', kind: 'Pod', name, namespace, uid };
          tell(`${uid}.${identity}`, { regarding, type: 'Warning', reason: 'InjectionMissed', message });
        }
        const others = identities.filter(({ metadata }) => !passed.has(metadata.name));
        for (const { identity, message } of passedOver(pod, others)) passed.set(identity, message);
      }
      for (const { metadata, uid } of identities) {
        const message = passed.get(metadata.name);
        if (message === undefined) continue;
        const regarding = { apiVersion, kind: 'CiIdentity', name: metadata.name, namespace, uid };
        tell(uid, { regarding, type: 'Normal', reason: 'ContainerMissing', message });
      }
      for (const [key, note] of news) if (events.record(note)) told.add(key);
    }
    this.#told = told;
    metrics.set('ci_identity_injection_misses', {}, missed);
  }
}
