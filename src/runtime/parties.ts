import type { Reason } from '../api/reasons.ts';
import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { minute } from '../clock.ts';
import type { OperatorError } from '../errors.ts';

/** What one party has met at a resource since it last got through. */
export interface PartyTrouble {
  readonly since: Instant;
  readonly attempts: number;
  readonly message: string;
  readonly reason: Reason;
}

interface Failing extends PartyTrouble {
  /** Monotonic: first and last failure. */
  readonly from: Milliseconds;
  readonly at: Milliseconds;
}

interface Known {
  readonly failing: Map<string, Failing>;
  /** Monotonic: when anybody last got through. */
  workedAt: Milliseconds;
}

/** Nobody has tried for so long on its behalf: whoever met the trouble is gone. */
const forgotten: Milliseconds = 10 * minute;

/** The party of work that names none: what it meets is everybody's. */
const nobody = '';

/**
 * On whose behalf calls of a resource fail, so that the trouble of one is not taken for that of all. It is everybody's once two have failed
 * since anybody last got through, one of them for the first time: those that fail all the time beside others are no outage, however many.
 */
export class Parties {
  readonly #clock: Clock;
  readonly #resources = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failed(resource: string, party: string = nobody, { message, reason }: OperatorError): void {
    const known = this.#known(resource);
    const [now, at] = [this.#clock.now(), this.#clock.monotonic()];
    for (const [name, one] of known.failing) if (this.#isForgotten(one)) known.failing.delete(name);
    const { since, from, attempts } = known.failing.get(party) ?? { since: now, from: at, attempts: 0 };
    known.failing.set(party, { since, from, at, attempts: attempts + 1, message, reason });
  }

  worked(resource: string, party: string = nobody): void {
    const known = this.#known(resource);
    known.failing.delete(party);
    known.workedAt = this.#clock.monotonic();
  }

  isEverybodys(resource: string): boolean {
    const { failing = new Map<string, Failing>(), workedAt = -1 } = this.#resources.get(resource) ?? {};
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
    const known = this.#resources.get(resource) ?? { failing: new Map<string, Failing>(), workedAt: -1 };
    this.#resources.set(resource, known);
    return known;
  }

  #isForgotten({ at }: Failing): boolean {
    return this.#clock.monotonic() >= at + forgotten;
  }
}
