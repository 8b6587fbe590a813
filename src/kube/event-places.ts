/**
 * What waits to be written, in a bounded number of places. An owner has no more of them than are free for all others, so that however much some
 * make, there is room for one who makes little; and owners take turns.
 */
export class EventPlaces<T> {
  readonly #most: number;
  /** Owner → what waits, by key. Whose turn it is comes first. */
  readonly #lines = new Map<string, Map<string, T>>();
  #size = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get(owner: string, key: string): T | undefined {
    return this.#lines.get(owner)?.get(key);
  }

  /** `false`: there is no place for it. The key must not wait already. */
  add(owner: string, key: string, value: T): boolean {
    const line = this.#lines.get(owner) ?? new Map<string, T>();
    if (line.size >= this.#most - this.#size) return false;
    this.#lines.set(owner, line.set(key, value));
    this.#size += 1;
    return true;
  }

  /** Whose turn it is, and what waits longest of it; it keeps its place. */
  next(): { readonly owner: string; readonly key: string; readonly value: T } | undefined {
    for (const [owner, line] of this.#lines) for (const [key, value] of line) return { owner, key, value };
    return undefined;
  }

  /** It is through, and the others of its owner come after those of everybody else. */
  done(owner: string, key: string): void {
    const line = this.#lines.get(owner);
    if (line?.delete(key) !== true) return;
    this.#size -= 1;
    this.#lines.delete(owner);
    if (line.size > 0) this.#lines.set(owner, line);
  }
}
