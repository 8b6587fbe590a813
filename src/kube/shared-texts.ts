/** So many texts are remembered; then it begins anew, so that what nobody says any longer does not stay. */
const most = 4_096;

/**
 * Keeps equal texts once. Ten thousand identities say nearly the same in their conditions, a kilobyte each, and what comes from JSON is a
 * copy each time.
 */
export class SharedTexts {
  #known = new Map<string, string>();

  /** The same value, whose texts are now those that were seen first. `value` is JSON that was parsed for the caller alone. */
  within<T>(value: T): T {
    if (typeof value === 'string') return this.#first(value) as T;
    if (typeof value !== 'object' || value === null) return value;
    const members = value as Record<string, unknown>;
    for (const name of Object.keys(members)) {
      const member = members[name];
      if (typeof member === 'string') members[name] = this.#first(member);
      else this.within(member);
    }
    return value;
  }

  #first(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= most) this.#known.clear();
    this.#known.set(text, text);
    return text;
  }
}
