import type { Clock, Milliseconds } from '../clock.ts';
import type { Work } from '../decision.ts';
import { type Budgets, type Permit, budgetOf } from './budget.ts';
import { Heap } from './heap.ts';
import { ProbeTurns } from './probe-turns.ts';
import { type Entry, Ring } from './ring.ts';

/** One key that a worker has now: hand it back with {@link Queue.done}. */
export interface Taken {
  readonly key: string;
  readonly work: Work;
  readonly permit?: Permit;
}

interface Lane {
  readonly number: number;
  /** Resource ('' for none) → its entries. The one that was served last is the last one: resources take turns too. */
  readonly rings: Map<string, Ring>;
}

export interface QueueOptions {
  readonly clock: Clock;
  readonly budgets: Budgets;
  /** How many keys of a lane that spend no budget may run at once; default any number. */
  readonly maxConcurrent?: ((lane: number) => number) | undefined;
  /** How many works of a lane start, of all and of each budget, before a less urgent lane gets one; default any number. */
  readonly maxConsecutiveStarts?: ((lane: number) => number) | undefined;
}

/** Where starts are counted that take from no budget or from any: workers are everybody's. */
const anyBudget = '';

/**
 * What waits for a worker: one entry per key, and never two workers on a key. Lanes first, but for `maxConsecutiveStarts`; inside a lane
 * resources and groups take turns, and inside a group its members; of a member the earliest `by`. What its resource cannot serve now keeps its
 * place while others go on. Who finds out whether it works again is chosen across lanes ({@link ProbeTurns}); nothing else here is O(number of
 * keys). Lanes and resources are few.
 */
export class Queue {
  readonly #clock: Clock;
  readonly #budgets: Budgets;
  readonly #maxConcurrent: (lane: number) => number;
  readonly #maxConsecutiveStarts: (lane: number) => number;
  /** Budget → lane → its starts since one of less urgent work. */
  readonly #inARow = new Map<string, Map<number, number>>();
  readonly #waiting = new Map<string, Entry>();
  readonly #delayed = new Heap<Entry>((a, b) => a.due < b.due || (a.due === b.due && a.seq < b.seq));
  readonly #lanes: Lane[] = [];
  readonly #running = new Map<string, Taken>();
  readonly #turns = new ProbeTurns();
  readonly #again = new Map<string, Entry>();
  #seq = 0;

  constructor(o: QueueOptions) {
    this.#clock = o.clock;
    this.#budgets = o.budgets;
    this.#maxConcurrent = o.maxConcurrent ?? (() => Number.POSITIVE_INFINITY);
    this.#maxConsecutiveStarts = o.maxConsecutiveStarts ?? (() => Number.POSITIVE_INFINITY);
  }

  /** The last put replaces work and delay of a key that waits. A key that runs waits for its own end first. `due` is monotonic. */
  put(key: string, work: Work, due: Milliseconds = 0): void {
    if (this.#running.has(key)) {
      this.#again.set(key, { key, work, due, seq: (this.#seq += 1) });
      return;
    }
    const known = this.#waiting.get(key);
    if (known !== undefined) this.#unplace(known);
    this.#place({ key, work, due, seq: known?.seq ?? (this.#seq += 1) });
  }

  /** There is nothing to do for this key any more. A worker that has it now keeps it. */
  remove(key: string): void {
    this.#again.delete(key);
    const known = this.#waiting.get(key);
    if (known === undefined) return;
    this.#waiting.delete(key);
    this.#unplace(known);
  }

  /** The next key for a worker, with the permit of its resource; `undefined`: nothing can start now. */
  take(): Taken | undefined {
    this.#ripen();
    for (const lane of this.#inOrder()) {
      for (const [resource, ring] of lane.rings) {
        if (ring.size === 0) {
          lane.rings.delete(resource);
          continue;
        }
        if (this.#yields(lane, resource)) continue;
        const permit = resource === '' ? undefined : this.#budgets.start(resource, lane.number);
        if (resource === '' ? this.#isFull(lane) : permit === undefined) continue;
        const entry = permit?.probe === true ? this.#prober(resource) : this.#next(ring);
        if (entry === undefined) {
          if (permit !== undefined) this.#budgets.finish(permit, 'Unused');
          continue;
        }
        if (permit?.probe === true) return this.#given(entry, permit);
        lane.rings.delete(resource);
        if (ring.size > 0) lane.rings.set(resource, ring);
        this.#count(lane, resource);
        return this.#given(entry, permit);
      }
    }
    return undefined;
  }

  /** The worker is through, and its permit handed back; what was put meanwhile takes its place in the queue. */
  done(key: string): void {
    const taken = this.#running.get(key);
    if (taken?.permit?.probe === true) this.#turns.ended(taken, this.#budgets.health(taken.permit.resource).up);
    this.#running.delete(key);
    const again = this.#again.get(key);
    if (again === undefined) return;
    this.#again.delete(key);
    this.#place(again);
  }

  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /** Monotonic time at which {@link take} may have something by the passing of time alone. */
  nextAt(): Milliseconds | undefined {
    let next = this.#delayed.peek()?.due;
    for (const lane of this.#lanes) {
      for (const [resource, ring] of lane.rings) {
        if (ring.size === 0 || (resource === '' && this.#isFull(lane)) || this.#yields(lane, resource)) continue;
        const at = resource === '' ? this.#clock.monotonic() : this.#budgets.nextStart(resource, lane.number);
        if (at !== undefined && (next === undefined || at < next)) next = at;
      }
    }
    return next;
  }

  /** Ready keys per lane, and how many wait for a time. */
  depth(): { readonly lanes: ReadonlyMap<number, number>; readonly delayed: number; readonly running: number } {
    const lanes = new Map<number, number>();
    for (const lane of this.#lanes) {
      let size = 0;
      for (const ring of lane.rings.values()) size += ring.size;
      lanes.set(lane.number, size);
    }
    return { lanes, delayed: this.#delayed.size, running: this.#running.size };
  }

  #given(entry: Entry, permit: Permit | undefined): Taken {
    const taken = { key: entry.key, work: entry.work, ...(permit === undefined ? {} : { permit }) };
    this.#waiting.delete(entry.key);
    this.#running.set(entry.key, taken);
    return taken;
  }

  #prober(resource: string): Entry | undefined {
    const waiting = this.#lanes.flatMap(({ rings }) => [...(rings.get(resource)?.items() ?? [])]);
    const held = new Set(waiting.filter((one) => this.#heldUntil(one) !== undefined));
    for (const one of held) this.#unplace(one);
    for (const one of held) this.#setAside(one);
    const entry = this.#turns.next(waiting.filter((one) => !held.has(one)));
    if (entry !== undefined) this.#unplace(entry);
    return entry;
  }

  /** The next of this ring whose party may be served now. */
  #next(ring: Ring): Entry | undefined {
    for (let entry = ring.pop(); entry !== undefined; entry = ring.pop()) {
      if (this.#heldUntil(entry) === undefined) return entry;
      this.#setAside(entry);
    }
    return undefined;
  }

  #heldUntil({ work }: Entry): Milliseconds | undefined {
    return work.resource === undefined ? undefined : this.#budgets.heldUntil(work.resource, work.party);
  }

  /** Until its party may be served; its place it keeps. */
  #setAside(entry: Entry): void {
    this.#place({ ...entry, due: this.#heldUntil(entry) ?? 0 });
  }

  /** Those that had their starts in a row come last, and of them the least urgent first: whatever can start has its turn in the end. */
  #inOrder(): readonly Lane[] {
    const had = (lane: Lane): boolean => this.#hadItsRow(anyBudget, lane);
    return [...this.#lanes.filter((lane) => !had(lane)), ...this.#lanes.filter(had).toReversed()];
  }

  #hadItsRow(budget: string, { number }: Lane): boolean {
    return (this.#inARow.get(budget)?.get(number) ?? 0) >= this.#maxConsecutiveStarts(number);
  }

  #count({ number }: Lane, resource: string): void {
    for (const budget of resource === '' ? [anyBudget] : [anyBudget, budgetOf(resource)]) {
      const counts = this.#inARow.get(budget) ?? new Map<number, number>();
      this.#inARow.set(budget, counts);
      for (const lane of counts.keys()) if (lane < number) counts.delete(lane);
      counts.set(number, (counts.get(number) ?? 0) + 1);
    }
  }

  /** It leaves the budget alone until less urgent work has enough of it. Not for what a circuit holds back: that could not start anyway. */
  #yields(lane: Lane, resource: string): boolean {
    const budget = budgetOf(resource);
    if (resource === '' || !this.#hadItsRow(budget, lane)) return false;
    return this.#lanes.some((o) => o.number > lane.number && this.#hasStartable(o.rings, budget));
  }

  #hasStartable(rings: Lane['rings'], budget: string): boolean {
    for (const [resource, { size }] of rings)
      if (size > 0 && budgetOf(resource) === budget && !this.#budgets.isPaused(resource)) return true;
    return false;
  }

  /** What runs is little, so counting it is cheap. */
  #isFull({ number }: Lane): boolean {
    const most = this.#maxConcurrent(number);
    if (this.#running.size < most) return false;
    let running = 0;
    for (const { work } of this.#running.values())
      if (work.lane === number && work.resource === undefined) running += 1;
    return running >= most;
  }

  #ripen(): void {
    const now = this.#clock.monotonic();
    for (let first = this.#delayed.peek(); first !== undefined && first.due <= now; first = this.#delayed.peek()) {
      this.#delayed.pop();
      const ripe = { ...first, due: 0 };
      this.#waiting.set(first.key, ripe);
      this.#ring(ripe).push(ripe);
    }
  }

  #place(entry: Entry): void {
    this.#waiting.set(entry.key, entry);
    if (entry.due > this.#clock.monotonic()) {
      this.#delayed.push(entry);
      return;
    }
    const ready = { ...entry, due: 0 };
    this.#waiting.set(entry.key, ready);
    this.#ring(ready).push(ready);
  }

  #unplace(entry: Entry): void {
    if (entry.due > 0) this.#delayed.remove(entry);
    else this.#ring(entry).remove(entry);
  }

  #ring({ work }: Entry): Ring {
    let lane = this.#lanes.find((l) => l.number === work.lane);
    if (lane === undefined) {
      lane = { number: work.lane, rings: new Map() };
      this.#lanes.push(lane);
      this.#lanes.sort((a, b) => a.number - b.number);
    }
    const resource = work.resource ?? '';
    let ring = lane.rings.get(resource);
    if (ring === undefined) {
      ring = new Ring();
      lane.rings.set(resource, ring);
    }
    return ring;
  }
}
