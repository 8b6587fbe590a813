import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { earliest, plus, second } from '../clock.ts';
import type { Decision } from '../decision.ts';
import type { ErrorClass } from '../errors.ts';
import { LostLeaseError, OperatorError } from '../errors.ts';
import { Agenda } from './agenda.ts';
import type { Budgets, CallOutcome } from './budget.ts';
import { Failures } from './failures.ts';
import type { KeyState, Look } from './look.ts';
import { bug, isSpinning, isStillThat, lookAt, settle, workOf } from './look.ts';
import type { FailureNote, Machine } from './machine.ts';
import { Queue, type QueueOptions, type Taken } from './queue.ts';
import { Alarm, Appointments } from './timers.ts';

export type WorkOutcome = 'Done' | 'Bug' | ErrorClass;

export interface LoopOptions extends Pick<QueueOptions, 'maxConcurrent' | 'maxConsecutiveStarts'> {
  readonly clock: Clock;
  readonly random: () => number;
  readonly budgets: Budgets;
  /** How many pieces of work may be under way at once; asked each time. Default 16. */
  readonly workers?: () => number;
  /** How long work that is under way may go on after a stop before its signal aborts. */
  readonly drain?: Milliseconds;
  /** Called when the row of a key changes. */
  readonly onDecision?: (machine: string, key: string, decision: Decision<unknown>, previousRow?: string) => void;
  /** Called for every failure. An `error` that is no OperatorError is a bug. */
  readonly onFailure?: (machine: string, key: string, row: string, error: unknown, attempts: number) => void;
  /** Called after every piece of work that was carried out. */
  readonly onWork?: (machine: string, row: string, outcome: WorkOutcome, took: Milliseconds) => void;
}

/** The row under which a machine's own exception is filed. */
const thrown = '(thrown)';

/**
 * Drives every registered machine: wake → triage in memory → queue → worker: look again, one effect → look again. What failed comes back
 * as its error's class says; nothing that one key does stops another.
 */
export class Loop {
  readonly #o: LoopOptions;
  readonly #workers: () => number;
  readonly #queue: Queue;
  readonly #failures: Failures;
  readonly #appointments = new Appointments();
  readonly #alarm: Alarm;
  readonly #machines = new Map<string, Machine<unknown, unknown>>();
  readonly #keys = new Map<string, KeyState>();
  readonly #agenda: Agenda;
  readonly #abandon = new AbortController();
  readonly #lost = new AbortController();
  #idleWaiters: (() => void)[] = [];
  #running = 0;
  #going = false;
  #pumping = false;

  constructor(options: LoopOptions) {
    this.#o = options;
    this.#workers = options.workers ?? (() => 16);
    this.#queue = new Queue(options);
    this.#failures = new Failures(options);
    this.#alarm = new Alarm(options.clock);
    this.#agenda = new Agenda(options.clock, (id) => this.#keys.get(id)?.machine.canWait === true);
  }

  register<S, A>(machine: Machine<S, A>): void {
    if (this.#machines.has(machine.name)) throw new Error(`machine ${machine.name} is registered twice`);
    this.#machines.set(machine.name, machine);
  }

  /**
   * The key is looked at soon; any number of wakes before that cost one look. `Changed`: something that it depends on did, so that what was
   * refused is worth another try; `Check`: only in case something was missed, which ends no back-off.
   */
  wake(machine: string, key: string, why: 'Changed' | 'Check' = 'Changed'): void {
    const found = this.#machines.get(machine);
    if (found === undefined) throw new Error(`there is no machine ${machine}`);
    const id = idOf(machine, key);
    const known = this.#keys.get(id);
    const state = known ?? { machine: found, key, row: undefined, changes: 0, lastAction: undefined, repeats: 0 };
    if (known === undefined) this.#keys.set(id, state);
    if (why === 'Changed') {
      state.changes += 1;
      this.#failures.changed(id);
    }
    // Before it runs the last wake decides on the order, and not which list came first.
    if (!this.#going) this.#agenda.delete(id);
    this.#agenda.add(id);
    this.#pump();
  }

  /** The last failure of this key's work, while it is still what the world asks for. */
  failure(machine: string, key: string): FailureNote | undefined {
    return this.#failures.note(idOf(machine, key));
  }

  /** For metrics: keys that could run now, per lane; that wait for a time; that run. */
  depth(): ReturnType<Queue['depth']> {
    return this.#queue.depth();
  }

  /** Resolves once nothing is left to look at and nothing runs; work that waits for a time or a budget does not count. */
  async idle(): Promise<void> {
    if (!this.#isIdle()) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /**
   * Runs until `signal` aborts, then starts nothing more and resolves when what runs has ended, after `drain` at the latest. Rejects with
   * LostLeaseError as soon as any work meets it: the process must exit. Once per loop.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, drain = 20 * second } = this.#o;
    const stop = AbortSignal.any([signal, this.#lost.signal]);
    this.#going = true;
    this.#pump();
    while (!stop.aborted) {
      await this.#alarm.sleep(stop);
      this.#keepAppointments();
      this.#dispatch();
    }
    this.#going = false;
    if (!this.#lost.signal.aborted && this.#running > 0) {
      const drained = new AbortController();
      void this.idle().then(() => drained.abort());
      await clock.sleepUntil(plus(clock.now(), drain), AbortSignal.any([drained.signal, this.#lost.signal]));
    }
    this.#abandon.abort(this.#lost.signal.reason);
    if (this.#lost.signal.aborted) throw this.#lost.signal.reason;
  }

  #isIdle(): boolean {
    const nothingToLookAt = !this.#going || (this.#agenda.size === 0 && !this.#pumping);
    return this.#running === 0 && nothingToLookAt;
  }

  #pump(): void {
    if (!this.#going || this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      // A key that runs is looked at when it is through.
      for (const id of this.#agenda.turn(this.#isBusy())) if (!this.#queue.isRunning(id)) this.#triage(id);
      this.#dispatch();
      this.#settle();
    });
  }

  #settle(): void {
    if (!this.#isIdle()) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #keepAppointments(): void {
    const now = this.#o.clock.now();
    for (let id = this.#appointments.take(now); id !== undefined; id = this.#appointments.take(now))
      this.#agenda.add(id);
  }

  #isBusy(): boolean {
    return this.#running >= this.#workers();
  }

  /** Starts what can start, then sees to it that the rest has its turn, some of which only time can start. */
  #dispatch(): void {
    while (this.#going && !this.#isBusy()) {
      const taken = this.#queue.take();
      if (taken === undefined) break;
      this.#running += 1;
      void this.#work(taken);
    }
    const { clock } = this.#o;
    const look = this.#agenda.nextAt(this.#isBusy());
    if (look !== undefined && look <= clock.monotonic()) this.#pump();
    else if (look !== undefined) this.#alarm.atLatest(look);
    if (!this.#isBusy()) this.#alarm.atLatest(this.#queue.nextAt() ?? Number.POSITIVE_INFINITY);
    const appointment = this.#appointments.next();
    if (appointment !== undefined) this.#alarm.atLatest(clock.monotonic() + (appointment - clock.now()));
  }

  /** Decides only to learn what is to be done and how urgent it is. */
  #triage(id: string): void {
    const state = this.#keys.get(id);
    if (state === undefined) return;
    const look = this.#look(id, state);
    if (look === undefined) return;
    const { decision } = look;
    if (state.row !== decision.row) {
      this.#o.onDecision?.(state.machine.name, state.key, decision, state.row);
      state.row = decision.row;
    }
    // What failed and gave way may be past its time by now, and comes back all the same.
    const retry = look.retryAt === undefined ? undefined : this.#wall(look.retryAt);
    this.#appointments.set(id, earliest(this.#recheck(decision), retry));
    if (decision.action === undefined) {
      this.#queue.remove(id);
      // With a failure its row only gives way and comes again.
      if (this.#failures.note(id) === undefined) settle(state);
    } else {
      const work = workOf(decision);
      this.#queue.put(id, work, this.#failures.dueAt(id, decision.row, work.lane));
    }
  }

  /** A recheck that lies in the past would have the same key looked at for ever; one to come keeps its moment, however near it is. */
  #recheck({ recheckAt }: Decision<unknown>): Instant | undefined {
    const now = this.#o.clock.now();
    return recheckAt === undefined || recheckAt > now ? recheckAt : plus(now, 1 * second);
  }

  /** `undefined`: nothing is known of the key, or its machine threw and gets a pause. */
  #look(id: string, state: KeyState): Look | undefined {
    const { machine, key } = state;
    const { clock, onFailure } = this.#o;
    const pausedUntil = this.#failures.dueAt(id, thrown, 0);
    if (pausedUntil > clock.monotonic()) return this.#setAside(id, this.#wall(pausedUntil));
    try {
      const look = lookAt(id, machine, key, this.#failures, clock);
      if (look !== undefined) return look;
      this.#failures.forget(id);
      this.#keys.delete(id);
      return this.#setAside(id, undefined);
    } catch (error) {
      const attempts = this.#failures.record(id, thrown, 0, bug(error, 'Waiting'));
      onFailure?.(machine.name, key, thrown, error, attempts);
      return this.#setAside(id, this.#wall(this.#failures.dueAt(id, thrown, 0)));
    }
  }

  #setAside(id: string, until: Instant | undefined): undefined {
    this.#appointments.set(id, until);
    this.#queue.remove(id);
  }

  async #work({ key: id, work, permit }: Taken): Promise<void> {
    const state = this.#keys.get(id);
    const look = state === undefined ? undefined : this.#look(id, state);
    let outcome: CallOutcome = 'Unused';
    if (state !== undefined && look !== undefined && isStillThat(look.decision, work)) {
      // Also without a permit: what woke it may be work that runs under one.
      outcome = await this.#o.budgets.under(permit, () => this.#apply(id, state, look));
    }
    if (permit !== undefined) this.#o.budgets.finish(permit, outcome, work.party);
    this.#queue.done(id);
    this.#running -= 1;
    this.#agenda.delete(id);
    if (this.#going) this.#triage(id);
    this.#dispatch();
    this.#settle();
  }

  async #apply(id: string, state: KeyState, { snapshot, decision }: Look): Promise<CallOutcome> {
    const { machine, key, changes } = state;
    const { row, action } = decision;
    const started = this.#o.clock.monotonic();
    const ended = (outcome: WorkOutcome): void =>
      this.#o.onWork?.(machine.name, row, outcome, this.#o.clock.monotonic() - started);
    try {
      await machine.apply(key, snapshot, { ...decision, action }, this.#abandon.signal);
      ended('Done');
      if (isSpinning(state, decision)) this.#slowDown(id, state, decision);
      else this.#failures.succeeded(id, row);
      return 'Done';
    } catch (error) {
      if (error instanceof LostLeaseError) {
        this.#lost.abort(error);
        return 'Unclear';
      }
      if (this.#abandon.signal.aborted) return 'Unclear';
      state.repeats = 0;
      const known = error instanceof OperatorError ? error : bug(error, 'Transient');
      const attempts = this.#failures.record(id, row, workOf(decision).lane, known);
      // What was reported while the call was under way may be the very mend.
      if (state.changes > changes) this.#failures.changed(id);
      this.#o.onFailure?.(machine.name, key, row, error, attempts);
      ended(known === error ? known.class : 'Bug');
      return known === error ? known : 'Unclear';
    }
  }

  #slowDown(id: string, state: KeyState, decision: Decision<unknown>): void {
    const { name } = state.machine;
    const error = new Error(
      `row ${decision.row} of ${name} was carried out and is chosen again, ${state.repeats} times`,
    );
    this.#failures.record(id, decision.row, workOf(decision).lane, bug(error, 'Transient'));
    this.#o.onFailure?.(name, state.key, decision.row, error, state.repeats);
  }

  #wall(monotonic: Milliseconds): Instant {
    const { clock } = this.#o;
    return plus(clock.now(), Math.ceil(Math.max(0, monotonic - clock.monotonic())));
  }
}

function idOf(machine: string, key: string): string {
  return `${machine}\u0000${key}`;
}
