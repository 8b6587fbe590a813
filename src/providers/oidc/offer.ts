import { hour, type Instant, minute, plus } from '../../clock.ts';

/** What stands before a provider, or one server of several, may have refused for a moment. */
const provenAfter = 10 * minute;

/** Somebody may switch it on. */
const believedFor = 24 * hour;

/** Whether a provider does what its metadata promises or does not speak of, learnt from its answers. */
export class Offer {
  #refused: { readonly first: Instant; readonly last: Instant } | undefined;

  sawRefusal(at: Instant): void {
    this.#refused = { first: this.#refused?.first ?? at, last: at };
  }

  sawSuccess(): void {
    this.#refused = undefined;
  }

  /** Its last answer was a refusal. */
  get isDoubted(): boolean {
    return this.#refused !== undefined;
  }

  /** It does, unless nothing but refusals has come for a while. */
  stands(now: Instant): boolean {
    if (this.#refused === undefined) return true;
    const { first, last } = this.#refused;
    return last < plus(first, provenAfter) || now >= plus(last, believedFor);
  }
}
