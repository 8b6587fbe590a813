import type { Reason } from '../api/reasons.ts';
import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { hour, minute, plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { circuitBackoff, halfJitter } from './backoff.ts';
import { Parties, type PartyTrouble } from './parties.ts';

/**
 * What one budget allows. In any window of w seconds at most `burst + perSecond * w` starts, in the long run no more calls than that, and in
 * no second do more than `burst + perSecond` calls leave.
 */
export interface Rate {
  readonly perSecond: number;
  /** At least 1; default: one second's worth. */
  readonly burst?: number;
  /** How many calls may be under way at once, so that one that hangs does not take every worker; default 8. */
  readonly parallel?: number;
}

/** A started call: hand it back to {@link Budgets.finish} exactly once. */
export interface Permit {
  readonly resource: string;
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
  /** More than one party meets it, as far as anybody can tell. */
  readonly isEverybodys?: boolean;
}

interface Bucket {
  tokens: number;
  filledAt: Milliseconds;
  running: number;
  /** Calls that permits paid for and that were not made yet. */
  paid: number;
  /** When the calls of the last second left. */
  readonly left: Milliseconds[];
}

interface Circuit {
  attempts: number;
  until: Milliseconds;
  probing: boolean;
  readonly since: Instant;
  message: string;
  reason: Reason;
}

/** No pause is longer, whatever the other side asks for: lane 0 must be able to try. */
const longestPause: Milliseconds = 1 * hour;

/** Nobody has tried for so long although he might have: whoever met the trouble is gone, and so is what is known of it. */
const forgotten: Milliseconds = 10 * minute;

/**
 * No call waits longer for the others of its budget. That is less than the deadline of any call: one that ran out meanwhile would look as if the
 * call had been made.
 */
const longestWait: Milliseconds = 8 * second;

/**
 * Rates and circuits by resource name `<budget>/<circuit>`: everything before the last `/` names the budget (one token bucket), the whole
 * name the circuit. On the monotonic clock.
 */
export class Budgets {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #rateOf: (budget: string) => Rate;
  readonly #leaves: (lane: number) => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #circuits = new Map<string, Circuit>();
  readonly #parties: Parties;

  /**
   * `rateOf` is asked each time, so a changed configuration holds at once. `leaves`: the share of a budget, below 1, that a lane leaves to
   * more urgent ones.
   */
  constructor(o: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly rateOf: (budget: string) => Rate;
    readonly leaves: (lane: number) => number;
  }) {
    this.#clock = o.clock;
    this.#random = o.random;
    this.#rateOf = o.rateOf;
    this.#leaves = o.leaves;
    this.#parties = new Parties(o.clock);
  }

  /** Takes one call's worth, or `undefined`: not now. */
  start(resource: string, lane: number): Permit | undefined {
    if (this.isPaused(resource)) return undefined;
    const circuit = this.#circuits.get(resource);
    const bucket = this.#filled(resource);
    if (bucket.running >= this.#slots(resource, lane) || bucket.tokens < this.#needed(resource, lane)) return undefined;
    bucket.tokens -= 1;
    bucket.running += 1;
    bucket.paid += 1;
    if (circuit !== undefined) circuit.probing = true;
    return { resource, probe: circuit !== undefined };
  }

  /**
   * To be awaited before each call. A permit pays for one; what its work calls besides is charged now, so that others start later. Works that
   * started in time may come to their calls together, such as after a slow write: then the call waits here. Rejects when `signal` aborts, and
   * with OperatorError Transient `TimedOut` where its turn does not come.
   */
  async leave(resource: string, signal: AbortSignal): Promise<void> {
    const until = this.#clock.monotonic() + longestWait;
    for (let wait = this.#untilRoom(resource); wait > 0; wait = this.#untilRoom(resource)) {
      if (this.#clock.monotonic() >= until) throw noTurn(resource);
      await this.#clock.sleepUntil(plus(this.#clock.now(), Math.ceil(wait)), signal);
      signal.throwIfAborted();
    }
    const bucket = this.#filled(resource);
    bucket.left.push(this.#clock.monotonic());
    if (bucket.paid > 0) bucket.paid -= 1;
    else bucket.tokens -= 1;
  }

  /** `party`: on whose behalf it was made, where others of the same resource may fare better. */
  finish(permit: Permit, outcome: CallOutcome, party?: string): void {
    const bucket = this.#filled(permit.resource);
    bucket.running -= 1;
    const unused = Math.max(0, bucket.paid - bucket.running);
    bucket.paid -= unused;
    bucket.tokens += unused;
    const circuit = this.#circuit(permit.resource);
    if (permit.probe && circuit !== undefined) circuit.probing = false;
    if (typeof outcome === 'object' && outcome.whose === 'Issuer') {
      this.#trip(permit, outcome);
      this.#parties.failed(permit.resource, party, outcome);
    } else if (isAnswer(outcome) && (permit.probe || circuit === undefined)) {
      this.#parties.worked(permit.resource, party);
      this.#circuits.delete(permit.resource);
    }
  }

  /** What one party meets at this resource, as long as nothing made on its behalf gets through. */
  troubleOf(resource: string, party: string): PartyTrouble | undefined {
    return this.#parties.of(resource, party);
  }

  /** Its circuit is open, and the call that finds out whether it works again is not due or under way: whatever the budget has, none starts. */
  isPaused(resource: string): boolean {
    const circuit = this.#circuit(resource);
    return circuit !== undefined && (circuit.probing || this.#clock.monotonic() < circuit.until);
  }

  /** Monotonic time of the next possible start; `undefined`: only the end of a running call can change it. */
  nextStart(resource: string, lane: number): Milliseconds | undefined {
    const circuit = this.#circuit(resource);
    const bucket = this.#filled(resource);
    if (circuit?.probing === true || bucket.running >= this.#slots(resource, lane)) return undefined;
    const missing = Math.max(0, this.#needed(resource, lane) - bucket.tokens);
    const { perSecond } = this.#rateOf(budgetOf(resource));
    return Math.max(this.#clock.monotonic() + (missing / perSecond) * second, circuit?.until ?? 0);
  }

  health(resource: string): CircuitHealth {
    const circuit = this.#circuit(resource);
    if (circuit === undefined) return { up: true };
    const retryAt = plus(this.#clock.now(), Math.max(0, circuit.until - this.#clock.monotonic()));
    const { since, message, reason } = circuit;
    return { up: false, since, retryAt, message, reason, isEverybodys: this.#parties.isEverybodys(resource) };
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
    if (known === undefined) {
      const since = this.#clock.now();
      this.#circuits.set(permit.resource, { attempts, until, probing: false, since, message, reason });
      return;
    }
    known.until = Math.max(known.until, until);
    known.attempts = attempts;
    known.message = message;
    known.reason = reason;
  }

  #untilRoom(resource: string): Milliseconds {
    const { left } = this.#filled(resource);
    const now = this.#clock.monotonic();
    while (left[0] !== undefined && left[0] <= now - second) left.shift();
    const most = Math.floor(this.#burst(resource) + this.#rateOf(budgetOf(resource)).perSecond);
    const earlier = left.at(-most);
    return left.length < most || earlier === undefined ? 0 : earlier + second - now;
  }

  #burst(resource: string): number {
    const { perSecond, burst } = this.#rateOf(budgetOf(resource));
    return Math.max(1, burst ?? perSecond);
  }

  #needed(resource: string, lane: number): number {
    const burst = this.#burst(resource);
    return Math.min(burst, 1 + burst * this.#leaves(lane));
  }

  #slots(resource: string, lane: number): number {
    const parallel = this.#rateOf(budgetOf(resource)).parallel ?? 8;
    const share = this.#leaves(lane);
    return share === 0 || parallel === 1 ? parallel : parallel - Math.max(1, Math.floor(parallel * share));
  }

  #filled(resource: string): Bucket {
    const name = budgetOf(resource);
    const now = this.#clock.monotonic();
    const burst = this.#burst(resource);
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      const fresh = { tokens: burst, filledAt: now, running: 0, paid: 0, left: [] };
      this.#buckets.set(name, fresh);
      return fresh;
    }
    const gained = ((now - bucket.filledAt) / second) * this.#rateOf(name).perSecond;
    bucket.tokens = Math.min(burst, bucket.tokens + gained);
    bucket.filledAt = now;
    return bucket;
  }
}

/** The code says to whoever asks that the call was not made. */
function noTurn(resource: string): OperatorError {
  const budget = budgetOf(resource);
  return new OperatorError({
    class: 'Transient',
    reason: 'TimedOut',
    message: `${budget}: a call was not made, because other calls had its turn for ${longestWait / second} s; it is tried again`,
    cause: Object.assign(new Error(`no turn at ${budget}`), { code: 'NO_TURN' }),
  });
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
