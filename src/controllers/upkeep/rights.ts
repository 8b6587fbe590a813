import type { Memory } from '../memory.ts';
import type { Reviews } from '../session/reviews.ts';
import { usableToken } from '../../domain/session/facts.ts';

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

/** So many questions at most in one turn; what is left over comes first in the next one. A look is one turn, and where a right was withdrawn more: of that namespace and of all, in turns. */
const mostPerTurn = 100;
const atOnce = 4;

/**
 * Asks again and again about the rights on which live sessions rest: RBAC is not watched (the operator may not read it), so this is how a
 * creator that lost `use` is found. Sessions of one creator and identity cost one question. The namespaces take turns, so that nobody waits
 * for the many rights of another one.
 */
export class Rights {
  readonly #o: RightsOptions;
  /** By namespace: the key of the right that was asked about last. */
  readonly #asked = new Map<string, string>();
  #lastNamespace: string | undefined;

  constructor(options: RightsOptions) {
    this.#o = options;
  }

  /** Rejects with what the API server yields; nobody loses anything for that, and whoever had no turn yet comes first in the next look. */
  async look(signal: AbortSignal): Promise<void> {
    const rights = this.#inUse();
    const isAsked = new Set<Right>();
    const found = new Set<string>();
    const open: string[] = [];
    const ask = async (turn: readonly Right[]): Promise<boolean> => {
      for (const right of turn) isAsked.add(right);
      const lost = await this.#askAll(turn, signal);
      for (const right of lost) rights.get(right.namespace)?.delete(keyOf(right));
      const more = new Set(lost.map(({ namespace }) => namespace).filter((namespace) => !found.has(namespace)));
      for (const namespace of more) {
        found.add(namespace);
        open.push(namespace);
      }
      return lost.length > 0;
    };
    await ask(this.#nextTurn(rights));
    // A right seldom goes alone: those that a RoleBinding took along are looked for at once, until a turn finds none.
    for (let namespace = open.shift(); namespace !== undefined; namespace = open.shift()) {
      const others = [...(rights.get(namespace)?.values() ?? [])].filter((right) => !isAsked.has(right));
      if (!(await ask(others.slice(0, mostPerTurn)))) continue;
      open.push(namespace);
      // Nobody waits for the many rights of another one here either.
      await ask(this.#nextTurn(rights));
    }
  }

  /** Those that were withdrawn. */
  async #askAll(turn: readonly Right[], signal: AbortSignal): Promise<readonly Right[]> {
    const lost: Right[] = [];
    const ask = async (right: Right): Promise<void> => {
      if (!(await this.#ask(right, signal))) lost.push(right);
    };
    for (let i = 0; i < turn.length; i += atOnce) await Promise.all(turn.slice(i, i + atOnce).map(ask));
    return lost;
  }

  async #ask(right: Right, signal: AbortSignal): Promise<boolean> {
    const { user, namespace, identity } = right;
    this.#asked.set(namespace, keyOf(right));
    this.#lastNamespace = namespace;
    const allowed = await this.#o.reviews.again(user, namespace, identity, signal);
    if (!allowed) this.#o.withdrawn(`${namespace}/${identity}`);
    return allowed;
  }

  /** One of each namespace, then another one of each, and so on. */
  #nextTurn(rights: ReadonlyMap<string, ReadonlyMap<string, Right>>): readonly Right[] {
    for (const namespace of this.#asked.keys()) if (!rights.has(namespace)) this.#asked.delete(namespace);
    const waiting = after([...rights.keys()], this.#lastNamespace).map((namespace) => {
      const own = rights.get(namespace) ?? new Map<string, Right>();
      return after([...own.keys()], this.#asked.get(namespace)).flatMap((key) => own.get(key) ?? []);
    });
    const turn: Right[] = [];
    for (let round = 0; turn.length < mostPerTurn; round += 1) {
      const next = waiting.flatMap((own) => own[round] ?? []);
      if (next.length === 0) break;
      turn.push(...next);
    }
    return turn.slice(0, mostPerTurn);
  }

  /** By namespace and key. */
  #inUse(): ReadonlyMap<string, Map<string, Right>> {
    const rights = new Map<string, Map<string, Right>>();
    for (const [, { record }] of this.#o.memory.sessions.entries()) {
      if (record === undefined || usableToken({ record }) === undefined) continue;
      const right = { user: record.requester, namespace: record.pod.namespace, identity: record.identity.name };
      const own = rights.get(right.namespace) ?? new Map<string, Right>();
      rights.set(right.namespace, own.set(keyOf(right), right));
    }
    return rights;
  }
}

function keyOf({ user, identity }: Right): string {
  return `${identity} ${user}`;
}

/** In order, and what comes behind `last` first. */
function after(keys: readonly string[], last: string | undefined): readonly string[] {
  const sorted = keys.toSorted();
  const start = last === undefined ? -1 : sorted.findIndex((key) => key > last);
  return start === -1 ? sorted : [...sorted.slice(start), ...sorted.slice(0, start)];
}
