/**
 * Says something about a change of `from` once, however often the write of that change has to be tried: lines are written before the record
 * that they tell of. What is remembered goes with `from`.
 */
export class OncePerRecord<T extends object> {
  readonly #said = new WeakMap<T, Set<string>>();

  /** `true`: it was not said before. Without `from` (nothing is there yet) it always is. */
  isNew(from: T | undefined, what: string): boolean {
    if (from === undefined) return true;
    const said = this.#said.get(from) ?? new Set<string>();
    this.#said.set(from, said);
    return !said.has(what) && said.add(what).size > 0;
  }
}
