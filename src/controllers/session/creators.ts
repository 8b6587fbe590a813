import type { SharedCreator } from '../../domain/status/identity-facts.ts';
import type { NamespaceFacts } from '../../kube/trim.ts';
import type { PodFacts } from '../../domain/session/machine.ts';
import type { Store } from '../../runtime/store.ts';

/**
 * Who created agent pods with identities, and in which namespaces. A creator that does so in several makes those namespaces share their
 * identities, because a pipeline author chooses the namespace. Kept as long as the namespace is there: a creator that could do so yesterday
 * can do so today.
 */
export class Creators {
  readonly #seen = new Map<string, Set<string>>();
  readonly #shared: (namespaces: Iterable<string>) => void;

  /** `shared`: told of all namespaces of a creator as soon as it is seen in one more, or one of several is gone. */
  constructor(namespaces: Store<NamespaceFacts>, shared: (namespaces: Iterable<string>) => void) {
    this.#shared = shared;
    namespaces.onChange((name, next) => {
      if (next === undefined) this.#forget(name);
    });
  }

  connect(store: Store<PodFacts>): void {
    store.onChange((_key, next) => this.#note(next));
  }

  /** The creators seen in this namespace that were seen in others as well. */
  sharedIn(namespace: string): readonly SharedCreator[] {
    return [...this.#seen]
      .filter(([, namespaces]) => namespaces.size > 1 && namespaces.has(namespace))
      .map(([creator, namespaces]) => ({ creator, namespaces: [...namespaces].toSorted() }));
  }

  #note(pod: PodFacts | undefined): void {
    if (pod?.requester === undefined || Object.keys(pod.claims).length === 0) return;
    const namespaces = this.#seen.get(pod.requester) ?? new Set<string>();
    if (namespaces.has(pod.namespace)) return;
    this.#seen.set(pod.requester, namespaces.add(pod.namespace));
    if (namespaces.size > 1) this.#shared(namespaces);
  }

  #forget(namespace: string): void {
    for (const [creator, namespaces] of this.#seen) {
      if (!namespaces.delete(namespace)) continue;
      if (namespaces.size === 0) this.#seen.delete(creator);
      else this.#shared(namespaces);
    }
  }
}
