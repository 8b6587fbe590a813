import type { SharedCreator } from '../domain/status/identity-facts.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import type { Store } from '../runtime/store.ts';

/**
 * Who created agent pods with identities, and in which namespaces. A creator that does so in several makes those namespaces share their
 * identities, because a pipeline author chooses the namespace (reference: jenkins-agents.md §1.6).
 */
export class Creators {
  readonly #seen = new Map<string, Map<string, number>>();

  connect(store: Store<PodFacts>): void {
    store.onChange((_key, next, previous) => {
      this.#count(previous, -1);
      this.#count(next, 1);
    });
  }

  /** The creators seen in this namespace that were seen in others as well. */
  sharedIn(namespace: string): readonly SharedCreator[] {
    return [...this.#seen]
      .filter(([, namespaces]) => namespaces.size > 1 && namespaces.has(namespace))
      .map(([creator, namespaces]) => ({ creator, namespaces: [...namespaces.keys()].toSorted() }));
  }

  #count(pod: PodFacts | undefined, by: number): void {
    if (pod?.requester === undefined || Object.keys(pod.claims).length === 0) return;
    const namespaces = this.#seen.get(pod.requester) ?? new Map<string, number>();
    const left = (namespaces.get(pod.namespace) ?? 0) + by;
    if (left > 0) namespaces.set(pod.namespace, left);
    else namespaces.delete(pod.namespace);
    if (namespaces.size > 0) this.#seen.set(pod.requester, namespaces);
    else this.#seen.delete(pod.requester);
  }
}
