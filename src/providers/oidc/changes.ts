import { hour, type Instant, minute, plus } from '../../clock.ts';

/** What stands before a provider, or one server of several, may have refused for a moment. */
const provenAfter = 10 * minute;

/** Somebody may switch it on. */
const believedFor = 24 * hour;

/** Whether a provider changes clients that it registered (RFC 7592 §2.2): metadata does not say it, so it is learnt from its answers. */
export class Changes {
  #refused: { readonly first: Instant; readonly last: Instant } | undefined;

  sawRefusal(at: Instant): void {
    this.#refused = { first: this.#refused?.first ?? at, last: at };
  }

  sawChange(): void {
    this.#refused = undefined;
  }

  /** It does as long as nothing but refusals has come for a while. */
  areOffered(now: Instant): boolean {
    if (this.#refused === undefined) return true;
    const { first, last } = this.#refused;
    return last < plus(first, provenAfter) || now >= plus(last, believedFor);
  }
}
