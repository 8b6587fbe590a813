import type { PodFacts } from '../domain/session/machine.ts';
import type { Reflector, ReflectorHealth } from '../runtime/reflector.ts';
import type { Store } from '../runtime/store.ts';
import type { Memory } from './memory.ts';

interface Watched {
  readonly reflector: Reflector<PodFacts>;
  readonly stop: AbortController;
}

export interface PodWatchesOptions {
  /** Gets one store per namespace; what is unsynced or missing there is unknown. */
  readonly memory: Pick<Memory, 'newStore' | 'pods'>;
  readonly reflector: (namespace: string, store: Store<PodFacts>) => Reflector<PodFacts>;
  /** Called for each new store, before anything is in it. */
  readonly prepare: (namespace: string, store: Store<PodFacts>) => void;
}

/**
 * Watches the pods of opted-in namespaces, each by itself: never cluster-wide, because pods carry JENKINS_SECRET, and so that a missing
 * RoleBinding in one of 200 namespaces leaves the others alone.
 */
export class PodWatches {
  readonly #o: PodWatchesOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: PodWatchesOptions) {
    this.#o = options;
  }

  /** Idempotent. */
  start(namespace: string): void {
    if (this.#watched.has(namespace)) return;
    const store = this.#o.memory.newStore<PodFacts>(`pods/${namespace}`);
    this.#o.prepare(namespace, store);
    this.#o.memory.pods.set(namespace, store);
    const reflector = this.#o.reflector(namespace, store);
    const stop = new AbortController();
    this.#watched.set(namespace, { reflector, stop });
    void reflector.run(stop.signal);
  }

  /** The namespace is gone or opted out: what was known of its pods is no longer knowledge. */
  end(namespace: string): void {
    this.#watched.get(namespace)?.stop.abort();
    this.#watched.delete(namespace);
    this.#o.memory.pods.delete(namespace);
  }

  endAll(): void {
    for (const { stop } of this.#watched.values()) stop.abort();
    this.#watched.clear();
    this.#o.memory.pods.clear();
  }

  /** Each namespace has been read completely once, or could not be. */
  tried(): boolean {
    return this.health().every(([, { synced, failingSince }]) => synced || failingSince !== undefined);
  }

  /** Every identity asks for that of its namespace. */
  healthOf(namespace: string): ReflectorHealth | undefined {
    return this.#watched.get(namespace)?.reflector.health();
  }

  /** By namespace. */
  reflectors(): readonly (readonly [string, Reflector<PodFacts>])[] {
    return [...this.#watched].map(([namespace, { reflector }]) => [namespace, reflector] as const);
  }

  /** By namespace. */
  health(): readonly (readonly [string, ReflectorHealth])[] {
    return this.reflectors().map(([namespace, reflector]) => [namespace, reflector.health()] as const);
  }
}
