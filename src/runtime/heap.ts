/** A binary heap from which any item can be removed. Each item is in it at most once. All operations are O(log n). */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #at = new Map<T, number>();
  readonly #before: (a: T, b: T) => boolean;

  /** `before` must not change its answer for two items while they are in the heap. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** In no particular order. */
  items(): Iterable<T> {
    return this.#items;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#place(item, this.#items.length);
    this.#up(item);
  }

  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Nothing happens where the item is not in the heap. */
  remove(item: T): void {
    const at = this.#at.get(item);
    if (at === undefined) return;
    this.#at.delete(item);
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#place(last, at);
    this.#up(last);
    this.#down(last);
  }

  #place(item: T, at: number): void {
    this.#items[at] = item;
    this.#at.set(item, at);
  }

  #up(item: T): void {
    let at = this.#at.get(item) ?? 0;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#items[parentAt];
      if (parent === undefined || !this.#before(item, parent)) return;
      this.#place(parent, at);
      this.#place(item, parentAt);
      at = parentAt;
    }
  }

  #down(item: T): void {
    let at = this.#at.get(item) ?? 0;
    for (;;) {
      const left = this.#items[2 * at + 1];
      const right = this.#items[2 * at + 2];
      if (left === undefined) return;
      const leads = right !== undefined && this.#before(right, left) ? right : left;
      if (!this.#before(leads, item)) return;
      const leadsAt = this.#at.get(leads) ?? 0;
      this.#place(leads, at);
      this.#place(item, leadsAt);
      at = leadsAt;
    }
  }
}
