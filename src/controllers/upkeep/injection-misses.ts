import { setImmediate } from 'node:timers/promises';
import { apiVersion } from '../../api/names.ts';
import { missedBy, passedOver } from '../../domain/access/missed.ts';
import { hasEnded } from '../../domain/session/end-cause.ts';
import type { PodFacts } from '../../domain/session/machine.ts';
import type { EventNote, EventRecorder } from '../../kube/events.ts';
import type { Store } from '../../runtime/store.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type Memory, indexes } from '../memory.ts';

export interface InjectionMissesOptions {
  readonly memory: Memory;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
}

/** Others have their turn after so many comparisons of a pod with an identity. */
const turn = 5_000;
/** A team may make thousands of both: where one look takes more comparisons, its next one is so much later. */
const perLook = 250_000;

/** What is more to be told of one namespace waits for the next look, so that every namespace is heard. */
const mostTold = 20;

/** What was seen in one namespace. */
interface Seen {
  /** `<pod uid>.<identity>` or `<identity uid>` of what was told and still is so. */
  readonly told: ReadonlySet<string>;
  /** Pods that lack an identity. */
  readonly missed: number;
  /** Looks that pass it over. */
  readonly rests: number;
}

/**
 * Finds pods that run without an identity that selects them. Those that should have it are counted, and told of once for each pod and identity.
 * That a pod is passed over may be meant, and every build of a team: told to the CiIdentity, with one pod, once while there is any.
 */
export class InjectionMisses {
  readonly #o: InjectionMissesOptions;
  #seen: ReadonlyMap<string, Seen> = new Map();
  #compared = 0;

  constructor(options: InjectionMissesOptions) {
    this.#o = options;
  }

  async look(): Promise<void> {
    const { memory, metrics } = this.#o;
    const seen = new Map<string, Seen>();
    for (const [namespace, pods] of memory.pods) {
      const before = this.#seen.get(namespace);
      if (!pods.synced) continue;
      if (before !== undefined && before.rests > 0) seen.set(namespace, { ...before, rests: before.rests - 1 });
      else seen.set(namespace, await this.#lookAt(namespace, pods, before?.told ?? new Set()));
    }
    this.#seen = seen;
    const missed = [...seen.values()].reduce((sum, one) => sum + one.missed, 0);
    metrics.set('ci_identity_injection_misses', {}, missed);
  }

  async #lookAt(namespace: string, pods: Store<PodFacts>, before: ReadonlySet<string>): Promise<Seen> {
    const { memory, events } = this.#o;
    const identities = memory.identities.byIndex(indexes.namespace, namespace).map(([, identity]) => identity);
    const told = new Set<string>();
    let missed = 0;
    const news = new Map<string, EventNote>();
    const tell = (key: string, note: EventNote): void => {
      if (before.has(key)) told.add(key);
      else if (news.size < mostTold) news.set(key, note);
    };
    /** Identity → the sentence about the first pod that is passed over. */
    const passed = new Map<string, string>();
    for (const [, pod] of pods.entries()) {
      await this.#takeTurns(identities.length);
      if (hasEnded(pod)) continue;
      const { name, uid } = pod;
      const misses = missedBy(pod, identities);
      if (misses.length > 0) missed += 1;
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
    return { told, missed, rests: Math.floor((pods.size * identities.length) / perLook) };
  }

  async #takeTurns(comparisons: number): Promise<void> {
    this.#compared += comparisons;
    if (this.#compared < turn) return;
    this.#compared = 0;
    await setImmediate();
  }
}
