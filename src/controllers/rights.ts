import type { Memory } from './memory.ts';
import type { Reviews } from './reviews.ts';

interface Right {
  readonly user: string;
  readonly namespace: string;
  readonly identity: string;
}

export interface RightsOptions {
  readonly memory: Memory;
  readonly reviews: Reviews;
  /** The creator of live sessions of this identity (`<namespace>/<name>`) lost the verb `use`. */
  readonly withdrawn: (identity: string) => void;
}

/** So many questions at most in one look; what is left over comes first in the next one. */
const mostPerLook = 100;
const atOnce = 4;

/**
 * Asks again and again about the rights on which live sessions rest: RBAC is not watched (the operator may not read it), so this is how a
 * creator that lost `use` is found. Sessions of one creator and identity cost one question.
 */
export class Rights {
  readonly #o: RightsOptions;
  #next = 0;

  constructor(options: RightsOptions) {
    this.#o = options;
  }

  /** Rejects with what the API server yields; nobody loses anything for that. */
  async look(signal: AbortSignal): Promise<void> {
    const all = this.#inUse();
    const start = this.#next < all.length ? this.#next : 0;
    const turn = all.slice(start, start + mostPerLook);
    this.#next = start + turn.length;
    for (let i = 0; i < turn.length; i += atOnce)
      await Promise.all(turn.slice(i, i + atOnce).map((right) => this.#ask(right, signal)));
  }

  async #ask({ user, namespace, identity }: Right, signal: AbortSignal): Promise<void> {
    const allowed = await this.#o.reviews.again(user, namespace, identity, signal);
    if (!allowed) this.#o.withdrawn(`${namespace}/${identity}`);
  }

  #inUse(): readonly Right[] {
    const rights = new Map<string, Right>();
    for (const [, { record }] of this.#o.memory.sessions.entries()) {
      if (record === undefined || record.tokens.at(-1)?.end !== undefined) continue;
      const right = { user: record.requester, namespace: record.pod.namespace, identity: record.identity.name };
      rights.set(`${right.namespace}/${right.identity} ${right.user}`, right);
    }
    return [...rights.values()];
  }
}
