import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { plus, second } from '../clock.ts';
import { LostLeaseError, OperatorError } from '../errors.ts';
import { compareVersions } from './store.ts';

/** What `coordination.k8s.io/v1` Lease says, as far as election cares. */
export interface LeaseState {
  /** Empty: released. */
  readonly holder: string;
  /** `leaseTransitions`: our epoch. */
  readonly transitions: number;
  readonly duration: Milliseconds;
  readonly acquired: Instant;
  readonly renewed: Instant;
}

/** A state as stored; `version` makes the next update conditional. */
export interface StoredLease extends LeaseState {
  readonly version: string;
}

/** The three calls. `create` and `update` throw OperatorError Conflict where somebody else was first. */
export interface LeaseAccess {
  get(signal: AbortSignal): Promise<StoredLease | undefined>;
  create(state: LeaseState, signal: AbortSignal): Promise<StoredLease>;
  update(state: LeaseState, version: string, signal: AbortSignal): Promise<StoredLease>;
}

export interface LeaderOptions {
  /** Unique per process, not per pod: a restarted container must not take itself for its predecessor. */
  readonly id: string;
  readonly lease: LeaseAccess;
  readonly clock: Clock;
  /** The wall clock as the machine shows it, jumps and all; default: the one of `clock`. */
  readonly wall?: () => Instant;
  readonly random: () => number;
  readonly onLost?: (why: string) => void;
  readonly onFailure?: (error: unknown) => void;
  readonly duration?: Milliseconds;
  readonly renewDeadline?: Milliseconds;
  readonly retryEvery?: Milliseconds;
}

interface Seen {
  readonly stored: StoredLease;
  /** Monotonic. */
  readonly at: Milliseconds;
}

/** The start of a call on both clocks. */
interface Started {
  readonly monotonic: Milliseconds;
  readonly wall: Instant;
}

/** The wall clock may gain so much on the monotonic one between two renewals before it looks as if the machine had stood still. */
const mostGained: Milliseconds = 5 * second;

/**
 * Leader election on a Lease, as client-go does it, with three differences: all times are measured on our own monotonic clock from the
 * start of a successful call; every process that takes the lease raises `leaseTransitions`, also over its own former self; a lost lease is
 * lost for good, the process must exit. So it must where the stored lease is older than what was seen, leading or not: etcd was set back to
 * a backup, and a process that remembers what came after it would go on with watches that look healthy and have missed all between. What it
 * remembers is lost with it: whose the lease is in the cluster that came back nobody knows at that moment, and a write without it has no fence.
 */
export class Leader {
  readonly #o: Required<Omit<LeaderOptions, 'onLost' | 'onFailure'>> & Pick<LeaderOptions, 'onLost' | 'onFailure'>;
  readonly #lost = new AbortController();
  #seen: Seen | undefined;
  #mine: StoredLease | undefined;
  /** The last successful renewal. */
  #renewed: Started;
  /** Resolves with the next renewal, or when there is none any more. */
  #next = Promise.withResolvers<void>();
  #state: 'Waiting' | 'Leading' | 'Lost' | 'Released' = 'Waiting';
  #acquired = Promise.withResolvers<void>();

  constructor(options: LeaderOptions) {
    const wall = (): Instant => options.clock.now();
    this.#o = { wall, duration: 15 * second, renewDeadline: 10 * second, retryEvery: 2 * second, ...options };
    this.#renewed = this.#now();
    this.#acquired.promise.catch(() => {});
  }

  /** True only while nobody else can lead, as far as the monotonic clock tells; also right after the process was frozen. */
  held(): boolean {
    return this.#state === 'Leading' && this.#o.clock.monotonic() < this.#deadline();
  }

  /**
   * The same, to be asked right before each effect. A machine may have stood still as a whole, and its monotonic clock with it, while another
   * process took over: where the wall clock has run ahead since the last renewal, the next one decides. A wall clock that somebody set forward
   * costs the wait for it, two seconds at most, and no more.
   */
  async surelyHeld(): Promise<boolean> {
    while (this.held() && this.#mayHaveStoodStill()) await this.#next.promise;
    return this.held();
  }

  /** `leaseTransitions` under which this process leads. Throws where it never led. */
  get epoch(): number {
    if (this.#mine === undefined) throw new LostLeaseError('this process does not lead');
    return this.#mine.transitions;
  }

  /** Aborts when the lease is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Resolves when this process leads; rejects when {@link run} ends before. */
  acquired(): Promise<void> {
    return this.#acquired.promise;
  }

  /** Runs for the lease, then keeps it. When `signal` aborts it releases the lease and resolves; a lost lease rejects with LostLeaseError. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, renewDeadline } = this.#o;
    while (!signal.aborted) {
      this.#mustHold();
      await this.#try(signal, Math.min(this.#deadline(), clock.monotonic() + renewDeadline / 2));
      this.#mustHold();
      if (this.lost.aborted) throw this.lost.reason;
      await clock.sleepUntil(plus(clock.now(), Math.ceil(this.#pause())), signal);
    }
    this.#acquired.reject(new LostLeaseError('stopped before this process led'));
    await this.#release();
  }

  /** Raises the epoch of a held lease, for records that carry a higher one than ours (somebody deleted the Lease). */
  async raiseEpoch(atLeast: number, signal: AbortSignal): Promise<void> {
    const mine = this.#mine;
    if (!this.held() || mine === undefined) throw new LostLeaseError('this process does not lead');
    if (mine.transitions < atLeast) await this.#renew(mine, signal, atLeast);
  }

  /** Towards the end of a lease that cannot be renewed tries come closer together, so that the last second still counts. */
  #pause(): Milliseconds {
    const { clock, random, retryEvery } = this.#o;
    if (this.#state !== 'Leading') return retryEvery * (1 + random() * 0.2);
    const left = this.#deadline() - clock.monotonic();
    return left < 0.2 * retryEvery ? left : Math.min(retryEvery, left / 2);
  }

  #mustHold(): void {
    if (this.#state === 'Leading' && !this.held()) throw this.#lose('it could not be renewed in time');
  }

  async #try(signal: AbortSignal, until: Milliseconds): Promise<void> {
    const { clock } = this.#o;
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const late = clock.sleepUntil(plus(clock.now(), Math.max(0, Math.ceil(until - clock.monotonic()))), both);
    const work = (this.#mine === undefined ? this.#acquire(both) : this.#renew(this.#mine, both)).catch(
      (error: unknown) => {
        if (!both.aborted && !isConflict(error)) this.#o.onFailure?.(error);
      },
    );
    await Promise.race([work, late]);
    over.abort();
  }

  async #acquire(signal: AbortSignal): Promise<void> {
    const { clock, id, lease, duration } = this.#o;
    const started = this.#now();
    const stored = await lease.get(signal);
    // Given up meanwhile: a later look may have seen a newer one.
    signal.throwIfAborted();
    const now = clock.now();
    const fresh = { holder: id, duration, acquired: now, renewed: now };
    if (stored === undefined) {
      this.#lead(await lease.create({ ...fresh, transitions: 1 }, signal), started, signal);
      return;
    }
    if (this.#seen !== undefined) this.#mustNotBeOlder(stored, this.#seen.stored);
    if (this.#seen === undefined || this.#seen.stored.version !== stored.version)
      this.#seen = { stored, at: clock.monotonic() };
    // Whose clock says what does not matter: a lease that did not change for its whole length, as we saw it, is over.
    const over = stored.holder === '' || clock.monotonic() >= this.#seen.at + Math.max(stored.duration, duration);
    if (!over) return;
    const next = { ...fresh, transitions: stored.transitions + 1 };
    this.#lead(await lease.update(next, stored.version, signal), started, signal);
  }

  /** Monotonic: from then on this process does not lead any more. */
  #deadline(): Milliseconds {
    return this.#state === 'Leading' ? this.#renewed.monotonic + this.#o.renewDeadline : Number.POSITIVE_INFINITY;
  }

  #mayHaveStoodStill(): boolean {
    const { monotonic, wall } = this.#now();
    return wall - this.#renewed.wall - (monotonic - this.#renewed.monotonic) > mostGained;
  }

  #now(): Started {
    return { monotonic: this.#o.clock.monotonic(), wall: this.#o.wall() };
  }

  /** Whoever waits for the next renewal looks again. */
  #decided(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  #lead(stored: StoredLease, started: Started, signal: AbortSignal): void {
    // The answer came after we gave up waiting: the lease is ours by name, and simply runs out.
    if (signal.aborted) return;
    this.#mine = stored;
    this.#seen = { stored, at: this.#o.clock.monotonic() };
    this.#renewed = started;
    this.#state = 'Leading';
    this.#acquired.resolve();
  }

  /** Renews, and raises the epoch where it is below `atLeast`. */
  async #renew(mine: StoredLease, signal: AbortSignal, atLeast = 0): Promise<void> {
    const { lease, id } = this.#o;
    for (let known = mine; ;) {
      const transitions = Math.max(known.transitions, atLeast);
      try {
        return await this.#write(known, { ...this.#renewal(known), transitions }, signal);
      } catch (error) {
        if (!isConflict(error)) throw error;
        const stored = await lease.get(signal);
        const ours = stored !== undefined && stored.holder === id && stored.transitions >= known.transitions;
        if (!ours) throw this.#lose(`it is held by ${stored?.holder ?? 'nobody'} now`);
        this.#mustNotBeOlder(stored, known);
        if (stored.version === known.version) throw error;
        // Somebody else edited the object, the answer to an earlier renewal was lost, or another write of ours came first: this one builds on it.
        known = stored;
      }
    }
  }

  #mustNotBeOlder(stored: StoredLease, known: StoredLease): void {
    if (compareVersions(stored.version, known.version) < 0)
      throw this.#lose('it is older than it was before, so the cluster was set back to a backup');
  }

  #renewal({ holder, transitions, duration, acquired }: StoredLease): LeaseState {
    return { holder, transitions, duration, acquired, renewed: this.#o.clock.now() };
  }

  async #write(mine: StoredLease, next: LeaseState, signal: AbortSignal): Promise<void> {
    const started = this.#now();
    const stored = await this.#o.lease.update(next, mine.version, signal);
    if (signal.aborted || this.#state !== 'Leading') return;
    // Answers may come in another order than the writes took effect in.
    if (compareVersions(stored.version, this.#mine?.version ?? '') > 0) this.#mine = stored;
    if (started.monotonic >= this.#renewed.monotonic) this.#renewed = started;
    this.#decided();
  }

  #lose(why: string): LostLeaseError {
    const error = new LostLeaseError(`the lease is lost: ${why}; this process stops acting and must be restarted`);
    if (this.#state === 'Lost') return error;
    this.#state = 'Lost';
    this.#decided();
    this.#lost.abort(error);
    this.#acquired.reject(error);
    this.#o.onLost?.(why);
    return error;
  }

  async #release(): Promise<void> {
    const mine = this.#mine;
    if (!this.held() || mine === undefined) return;
    this.#state = 'Released';
    this.#decided();
    const { clock, lease, retryEvery } = this.#o;
    const over = new AbortController();
    const late = clock.sleepUntil(plus(clock.now(), retryEvery), over.signal);
    const free = (held: StoredLease): Promise<StoredLease> =>
      lease.update({ ...this.#renewal(held), holder: '', duration: 1 * second }, held.version, over.signal);
    const write = free(mine)
      .catch(async (error: unknown) => {
        if (!isConflict(error)) throw error;
        // The end came in the middle of a renewal whose answer nobody waited for.
        const stored = await lease.get(over.signal);
        if (stored?.holder === this.#o.id && stored.transitions >= mine.transitions) await free(stored);
      })
      .catch((error: unknown) => this.#o.onFailure?.(error));
    await Promise.race([write, late]);
    over.abort();
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof OperatorError && error.class === 'Conflict';
}
