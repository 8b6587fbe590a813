import type { ClientTargets } from './client/targets.ts';
import { type Wake, machines } from './machine-names.ts';
import { type Memory, indexes } from './memory.ts';

/**
 * Wakes that have a second's time, each once however often it was asked for: identities count their sessions, tell with whom they share a
 * creator and what is wrong with their namespace; pools count their clients, and tell what is wrong with their issuer, whose end their clients
 * look out for; a client that works for many looks at their asks.
 */
export class DeferredWakes {
  readonly #memory: Memory;
  readonly #targets: ClientTargets;
  readonly #wake: Wake;
  readonly #identities = new Set<string>();
  /** All of whose identities wait. */
  readonly #namespaces = new Set<string>();
  readonly #policies = new Set<string>();
  readonly #clients = new Set<string>();
  readonly #pools = new Set<string>();

  constructor(memory: Memory, targets: ClientTargets, wake: Wake) {
    this.#memory = memory;
    this.#targets = targets;
    this.#wake = wake;
  }

  /** `key`: namespace/name. */
  identity(key: string): void {
    this.#identities.add(key);
  }

  namespaces(names: Iterable<string>): void {
    for (const name of names) this.#namespaces.add(name);
  }

  policies(names: Iterable<string>): void {
    for (const name of names) this.#policies.add(name);
  }

  client(name: string): void {
    this.#clients.add(name);
  }

  /** And those of its clients that nobody wants any longer: one whose successors work by now goes. */
  pool(name: string): void {
    this.#pools.add(name);
  }

  /**
   * Wakes all that waits, and what the trouble of an issuer or namespace concerns that began or ended. Identities come before what asks about
   * all of them at once. To be called about once a second.
   */
  wake(troubled: { readonly issuers: readonly string[]; readonly namespaces: readonly string[] }): void {
    this.namespaces(troubled.namespaces);
    for (const namespace of taken(this.#namespaces))
      for (const [key] of this.#memory.identities.byIndex(indexes.namespace, namespace)) this.#identities.add(key);
    for (const key of taken(this.#identities)) this.#wake(machines.identity, key);
    for (const policy of taken(this.#policies)) this.#wake(machines.policy, policy);
    for (const client of taken(this.#clients)) this.#wake(machines.client, client);
    for (const pool of taken(this.#pools)) {
      this.#wake(machines.pool, pool);
      for (const client of this.#targets.ofPool(pool))
        if (!this.#targets.isWanted(client)) this.#wake(machines.client, client);
    }
    this.#wakeAt(troubled.issuers);
  }

  #wakeAt(issuers: readonly string[]): void {
    for (const [name, { spec }] of this.#memory.pools.entries()) {
      if (!issuers.includes(spec.provider.issuer)) continue;
      this.#wake(machines.pool, name);
      for (const client of this.#targets.ofPool(name)) this.#wake(machines.client, client);
    }
  }
}

function taken(waiting: Set<string>): readonly string[] {
  const all = [...waiting];
  waiting.clear();
  return all;
}
