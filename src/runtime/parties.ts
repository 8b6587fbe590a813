import type { Reason } from '../api/reasons.ts';
import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { hour, minute, plus } from '../clock.ts';
import type { OperatorError } from '../errors.ts';

/** What one party has met at a resource since it last got through. */
export interface PartyTrouble {
  readonly since: Instant;
  readonly attempts: number;
  /** It was asked to wait for long, and others were not: until then. */
  readonly pausedUntil?: Instant;
  readonly message: string;
  readonly reason: Reason;
}

interface Failing extends PartyTrouble {
  /** Monotonic: first and last failure. */
  readonly from: Milliseconds;
  readonly at: Milliseconds;
  /** Monotonic: nothing is tried on its behalf before. */
  readonly until: Milliseconds;
}

interface Served {
  readonly party: string;
  /** Monotonic. */
  readonly at: Milliseconds;
}

interface Known {
  readonly failing: Map<string, Failing>;
  /** Who last got through, and who did last before that one. */
  served: Served | undefined;
  servedBefore: Served | undefined;
}

/** Nobody has tried for so long on its behalf although he might have: whoever met the trouble is gone. */
const forgotten: Milliseconds = 10 * minute;

/** Somebody who got through in this time shows that the other side is not in trouble as a whole. */
const lately: Milliseconds = 10 * minute;

/** A shorter pause is taken for everybody's: whose calls are one too many, where all of them together are, is chance. */
const longPause: Milliseconds = 1 * minute;

/** No pause is longer, whatever the other side asks for: lane 0 must be able to try. */
export const longestPause: Milliseconds = 1 * hour;

/** The party of work that names none: what it meets is everybody's. */
const nobody = '';

/**
 * On whose behalf calls of a resource fail, so that the trouble of one is not taken for that of all. It is everybody's once two have failed
 * since anybody last got through, one of them for the first time: those that fail all the time beside others are no outage, however many. One that is asked to wait for long while others get through waits alone.
 */
export class Parties {
  readonly #clock: Clock;
  readonly #resources = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failed(resource: string, party: string = nobody, { message, reason, retryAt }: OperatorError): void {
    const known = this.#known(resource);
    const [now, at] = [this.#clock.now(), this.#clock.monotonic()];
    for (const [name, one] of known.failing) if (this.#isForgotten(one)) known.failing.delete(name);
    const { since, from, attempts } = known.failing.get(party) ?? { since: now, from: at, attempts: 0 };
    const failing = { since, from, at, attempts: attempts + 1, message, reason, until: 0 };
    known.failing.set(party, failing);
    const asked = retryAt === undefined ? 0 : Math.min(retryAt - now, longestPause);
    const isAlone = !this.isEverybodys(resource) && this.#othersAreServed(known, party);
    if (asked > longPause && isAlone)
      known.failing.set(party, { ...failing, until: at + asked, pausedUntil: plus(now, asked) });
  }

  /** What ends while a party is held began before. */
  worked(resource: string, party: string = nobody): void {
    const known = this.#known(resource);
    if (this.heldUntil(resource, party) === undefined) known.failing.delete(party);
    if (known.served?.party !== party) known.servedBefore = known.served;
    known.served = { party, at: this.#clock.monotonic() };
  }

  /** Monotonic: until when this party alone has to wait; `undefined`: it has not. */
  heldUntil(resource: string, party: string = nobody): Milliseconds | undefined {
    const until = this.#resources.get(resource)?.failing.get(party)?.until ?? 0;
    return until > this.#clock.monotonic() ? until : undefined;
  }

  isEverybodys(resource: string): boolean {
    const { failing = new Map<string, Failing>(), served } = this.#resources.get(resource) ?? {};
    const workedAt = served?.at ?? -1;
    let [met, isNew] = [0, false];
    for (const [party, { from, at }] of failing) {
      if (at <= workedAt) continue;
      met += 1;
      isNew ||= from > workedAt;
      if (party === nobody || (met > 1 && isNew)) return true;
    }
    return false;
  }

  of(resource: string, party: string): PartyTrouble | undefined {
    const one = this.#resources.get(resource)?.failing.get(party);
    return one === undefined || this.#isForgotten(one) ? undefined : one;
  }

  /** Those in trouble, by resource. */
  *all(): Iterable<readonly [resource: string, party: string]> {
    for (const [resource, { failing }] of this.#resources)
      for (const [party, one] of failing) if (!this.#isForgotten(one)) yield [resource, party];
  }

  #known(resource: string): Known {
    const known = this.#resources.get(resource) ?? {
      failing: new Map<string, Failing>(),
      served: undefined,
      servedBefore: undefined,
    };
    this.#resources.set(resource, known);
    return known;
  }

  #othersAreServed({ served, servedBefore }: Known, party: string): boolean {
    const other = served?.party === party ? servedBefore : served;
    return other !== undefined && this.#clock.monotonic() < other.at + lately;
  }

  #isForgotten({ at, until }: Failing): boolean {
    return this.#clock.monotonic() >= Math.max(at, until) + forgotten;
  }
}
