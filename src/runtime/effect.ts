import type { Clock, Milliseconds } from '../clock.ts';
import { plus, second } from '../clock.ts';
import type { ErrorClass, ErrorOwner } from '../errors.ts';
import { LostLeaseError, OperatorError } from '../errors.ts';
import { follow } from './abort.ts';

/** How an outside call ended. `Cancelled`: the caller's signal aborted. `Bug`: it threw something that nobody expected. */
export type EffectOutcome = 'Done' | ErrorClass | 'LostLease' | 'Cancelled' | 'Bug';

export interface EffectsOptions {
  readonly clock: Clock;
  /** Whether this process leads at this moment ({@link Leader.surelyHeld}). */
  readonly held: () => boolean | Promise<boolean>;
  /** Aborts when the lease is lost: calls under way end then, before another process may lead. */
  readonly lost?: AbortSignal;
  readonly onEffect?: (name: string, outcome: EffectOutcome, took: Milliseconds) => void;
  /** For tests: called right before and right after each call; may never return, or throw. */
  readonly crash?: (name: string, moment: 'before' | 'after') => void | Promise<void>;
}

export interface EffectOptions {
  readonly deadline: Milliseconds;
  readonly signal: AbortSignal;
  /** Whose failure a missed deadline is; default `Object`. */
  readonly whose?: ErrorOwner;
}

/**
 * The one way to the outside world: nothing is called without the lease, without an end in time, or unseen. `Name`: the names that calls may
 * have, so that whoever enumerates them forgets none.
 */
export class Effects<Name extends string = string> {
  readonly #o: EffectsOptions;

  constructor(options: EffectsOptions) {
    this.#o = options;
  }

  /**
   * Makes one call. Throws LostLeaseError without calling where the lease is not ours (any more), OperatorError Transient `TimedOut` where
   * the call takes longer than `deadline` (its signal aborts then, and what it answers later is dropped), the reason of `signal` where that
   * aborts, else what the call throws. The call may have taken effect in all cases but the first.
   */
  async run<T>(name: Name, o: EffectOptions, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, held, lost, crash, onEffect } = this.#o;
    o.signal.throwIfAborted();
    await crash?.(name, 'before');
    const started = clock.monotonic();
    const ended = (outcome: EffectOutcome): void => onEffect?.(name, outcome, clock.monotonic() - started);
    let answer: T;
    try {
      if (!(await held())) throw new LostLeaseError(`${name} is not carried out: this process does not lead`);
      answer = await this.#bounded(name, o, call);
    } catch (caught) {
      const error = lost?.aborted === true && !(caught instanceof LostLeaseError) ? lostDuring(name, caught) : caught;
      ended(outcomeOf(error, o.signal));
      throw error;
    }
    ended('Done');
    await crash?.(name, 'after');
    return answer;
  }

  async #bounded<T>(name: string, o: EffectOptions, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, lost } = this.#o;
    const { controller, release } = lost === undefined ? follow(o.signal) : follow(o.signal, lost);
    const { signal } = controller;
    const late = clock.sleepUntil(plus(clock.now(), o.deadline), signal).then((): never => {
      signal.throwIfAborted();
      throw new OperatorError({
        class: 'Transient',
        reason: 'TimedOut',
        message: `${name} took longer than ${o.deadline / second} s; it is tried again`,
        whose: o.whose ?? 'Object',
      });
    });
    const answer = call(signal);
    // The loser of the race settles later, unseen.
    late.catch(() => {});
    answer.catch(() => {});
    try {
      return await Promise.race([answer, late]);
    } finally {
      release();
      controller.abort(callIsOver);
    }
  }
}

/** Nobody sees it; without a reason Node makes a DOMException with a stack for every call. */
const callIsOver = new Error('the call is over');

function lostDuring(name: string, cause: unknown): LostLeaseError {
  return new LostLeaseError(`the lease was lost during ${name}`, { cause });
}

function outcomeOf(error: unknown, signal: AbortSignal): EffectOutcome {
  if (error instanceof LostLeaseError) return 'LostLease';
  if (error instanceof OperatorError) return error.class;
  return signal.aborted ? 'Cancelled' : 'Bug';
}
