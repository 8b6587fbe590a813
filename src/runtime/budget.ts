import { AsyncLocalStorage } from 'node:async_hooks';
import type { Reason } from '../api/reasons.ts';
import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { minute, plus } from '../clock.ts';
import type { OperatorError } from '../errors.ts';
import { circuitBackoff, halfJitter } from './backoff.ts';
import { Bucket, type Rate } from './bucket.ts';
import { Parties, type PartyTrouble, longestPause } from './parties.ts';

/** A started call: hand it back to {@link Budgets.finish} exactly once. */
export interface Permit {
  readonly resource: string;
  readonly lane: number;
  /** The one call that finds out whether a paused circuit works again. */
  readonly probe: boolean;
}

/**
 * How a call ended. `Unused`: it was not made after all. `Done`: the other side answered, whatever it said about the one object.
 * `Unclear`: a bug or an abort says nothing about the other side.
 */
export type CallOutcome = 'Unused' | 'Done' | 'Unclear' | OperatorError;

export interface CircuitHealth {
  readonly up: boolean;
  readonly since?: Instant;
  readonly retryAt?: Instant;
  readonly message?: string;
  readonly reason?: Reason;
  /** More than one party meets it, as far as anybody can tell, or nobody may try for long. */
  readonly isEverybodys?: boolean;
  /** The end of a pause of more than a minute for which the other side asked. */
  readonly pausedUntil?: Instant;
}

interface Circuit {
  attempts: number;
  until: Milliseconds;
  probing: boolean;
  /** The other side asked for a pause in which nobody finds out whether others fare better. */
  isLong: boolean;
  /** Until when, by the wall clock. */
  pausedUntil: Instant | undefined;
  readonly since: Instant;
  message: string;
  reason: Reason;
}

/** Nobody has tried for so long although he might have: whoever met the trouble is gone, and so is what is known of it. */
const forgotten: Milliseconds = 10 * minute;

/**
 * Rates and circuits by resource name `<budget>/<circuit>`: everything before the last `/` names the budget (one token bucket), the whole
 * name the circuit. On the monotonic clock.
 */
export class Budgets {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #rateOf: (budget: string) => Rate;
  readonly #reservedShare: (lane: number) => number;
  readonly #buckets = new Map<string, Bucket>();
  /** Of the work that runs. */
  readonly #under = new AsyncLocalStorage<Permit | undefined>();
  /** Permits whose call was made. */
  readonly #used = new WeakSet<Permit>();
  readonly #circuits = new Map<string, Circuit>();
  readonly #parties: Parties;

  /**
   * `rateOf` is asked each time, so a changed configuration holds at once. `reservedShare`: the part of a budget, below 1,
   * that is kept from a lane for more urgent ones.
   */
  constructor(o: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly rateOf: (budget: string) => Rate;
    readonly reservedShare: (lane: number) => number;
  }) {
    this.#clock = o.clock;
    this.#random = o.random;
    this.#rateOf = o.rateOf;
    this.#reservedShare = o.reservedShare;
    this.#parties = new Parties(o.clock);
  }

  /** Takes one call's worth, or `undefined`: not now. */
  start(resource: string, lane: number): Permit | undefined {
    if (this.isPaused(resource)) return undefined;
    const circuit = this.#circuits.get(resource);
    if (!this.#bucket(resource).start(lane)) return undefined;
    if (circuit !== undefined) circuit.probing = true;
    return { resource, lane, probe: circuit !== undefined };
  }

  /** Runs work with the permit that was taken for it, so that {@link awaitTurn} knows its calls; `undefined`: it spends no budget. */
  under<T>(permit: Permit | undefined, work: () => Promise<T>): Promise<T> {
    return this.#under.run(permit, work);
  }

  /**
   * To be awaited before each call. The first of a work is the one that its permit paid for; any other waits for its turn as if it began now, so
   * that no work takes with its second call what was left to more urgent ones. Works that started in time may come to their calls together, such
   * as after a slow write: then the call waits here too. Rejects when `signal` aborts, and with OperatorError Transient `TimedOut` where its turn does
   * not come.
   */
  async awaitTurn(resource: string, signal: AbortSignal): Promise<void> {
    const permit = this.#under.getStore();
    const isPaid = permit !== undefined && budgetOf(permit.resource) === budgetOf(resource) && !this.#used.has(permit);
    if (isPaid) this.#used.add(permit);
    try {
      await this.#bucket(resource).awaitTurn(permit?.lane ?? 0, isPaid, signal);
    } catch (error) {
      if (isPaid) this.#used.delete(permit);
      throw error;
    }
  }

  /** `party`: on whose behalf it was made, where others of the same resource may fare better. */
  finish(permit: Permit, outcome: CallOutcome, party?: string): void {
    this.#bucket(permit.resource).finish(this.#used.has(permit));
    const circuit = this.#circuit(permit.resource);
    if (permit.probe && circuit !== undefined) circuit.probing = false;
    if (typeof outcome === 'object' && outcome.whose === 'Issuer') {
      this.#parties.failed(permit.resource, party, outcome);
      if (this.heldUntil(permit.resource, party) === undefined) this.#trip(permit, outcome);
    } else if (isAnswer(outcome) && (permit.probe || circuit === undefined)) {
      this.#parties.worked(permit.resource, party);
      this.#circuits.delete(permit.resource);
    }
  }

  /** What one party meets at this resource, as long as nothing made on its behalf gets through. */
  troubleOf(resource: string, party: string): PartyTrouble | undefined {
    return this.#parties.of(resource, party);
  }

  /** Monotonic: until when nothing may start at this resource for this party alone; `undefined`: it has not to wait. */
  heldUntil(resource: string, party: string | undefined): Milliseconds | undefined {
    return this.#parties.heldUntil(resource, party);
  }

  /** Its circuit is open, and the call that finds out whether it works again is not due or under way: whatever the budget has, none starts. */
  isPaused(resource: string): boolean {
    const circuit = this.#circuit(resource);
    return circuit !== undefined && (circuit.probing || this.#clock.monotonic() < circuit.until);
  }

  /** Monotonic time of the next possible start; `undefined`: only the end of a running call can change it. */
  nextStart(resource: string, lane: number): Milliseconds | undefined {
    const circuit = this.#circuit(resource);
    const wait = this.#bucket(resource).untilStart(lane);
    if (circuit?.probing === true || wait === undefined) return undefined;
    return Math.max(this.#clock.monotonic() + wait, circuit?.until ?? 0);
  }

  health(resource: string): CircuitHealth {
    const circuit = this.#circuit(resource);
    if (circuit === undefined) return { up: true };
    const retryAt = plus(this.#clock.now(), Math.max(0, circuit.until - this.#clock.monotonic()));
    const { since, message, reason, isLong, pausedUntil } = circuit;
    const isEverybodys = isLong || this.#parties.isEverybodys(resource);
    const paused = pausedUntil === undefined ? {} : { pausedUntil };
    return { up: false, since, retryAt, message, reason, isEverybodys, ...paused };
  }

  /** Every resource whose circuit is open now. */
  troubles(): readonly (readonly [string, CircuitHealth])[] {
    const open = [...this.#circuits.keys()].filter((resource) => this.#circuit(resource) !== undefined);
    return open.map((resource) => [resource, this.health(resource)] as const);
  }

  /** Every party in trouble, by resource, whether the circuit is open or not. */
  partiesInTrouble(): Iterable<readonly [resource: string, party: string]> {
    return this.#parties.all();
  }

  /** The circuit of this resource, if it is open. */
  #circuit(resource: string): Circuit | undefined {
    const circuit = this.#circuits.get(resource);
    if (circuit === undefined || circuit.probing || this.#clock.monotonic() < circuit.until + forgotten) return circuit;
    this.#circuits.delete(resource);
    return undefined;
  }

  #trip(permit: Permit, error: OperatorError): void {
    const known = this.#circuit(permit.resource);
    const asked = error.retryAt === undefined ? 0 : error.retryAt - this.#clock.now();
    // Calls that were under way when the circuit opened fail for the same cause, which is counted once.
    const counts = known === undefined || permit.probe;
    const attempts = (known?.attempts ?? 0) + (counts ? 1 : 0);
    const backoff = counts ? halfJitter(circuitBackoff, attempts, this.#random) : 0;
    const until = this.#clock.monotonic() + Math.min(Math.max(backoff, asked), longestPause);
    const { reason, message } = error;
    const isLong = asked > minute;
    const pausedUntil = isLong ? plus(this.#clock.now(), Math.min(asked, longestPause)) : undefined;
    if (known === undefined) {
      const since = this.#clock.now();
      this.#circuits.set(permit.resource, {
        attempts,
        until,
        probing: false,
        isLong,
        pausedUntil,
        since,
        message,
        reason,
      });
      return;
    }
    known.isLong ||= isLong;
    if (counts || isLong) known.pausedUntil = pausedUntil;
    known.until = Math.max(known.until, until);
    known.attempts = attempts;
    known.message = message;
    known.reason = reason;
  }

  #bucket(resource: string): Bucket {
    const name = budgetOf(resource);
    const bucket =
      this.#buckets.get(name) ??
      new Bucket({ clock: this.#clock, name, rate: () => this.#rateOf(name), reservedShare: this.#reservedShare });
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

/** A refusal of the one object is an answer too; a conflict or trouble elsewhere says nothing about this resource. */
function isAnswer(outcome: CallOutcome): boolean {
  return (
    outcome === 'Done' || (typeof outcome === 'object' && (outcome.class === 'Terminal' || outcome.class === 'Waiting'))
  );
}

/** `<budget>/<kind>` → the budget on which the resource draws. */
export function budgetOf(resource: string): string {
  const slash = resource.lastIndexOf('/');
  return slash < 0 ? resource : resource.slice(0, slash);
}
