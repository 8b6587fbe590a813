import type { Milliseconds } from '../clock.ts';
import type { Work } from '../decision.ts';
import { Heap } from './heap.ts';

/** What waits, for its turn or for a time. */
export interface Entry {
  readonly key: string;
  readonly work: Work;
  /** Monotonic; not before. */
  readonly due: Milliseconds;
  /** First come, first served among equals; kept when the work of a waiting key is replaced. */
  readonly seq: number;
}

interface Line {
  readonly size: number;
  push(entry: Entry): void;
  remove(entry: Entry): void;
  pop(): Entry | undefined;
  items(): Iterable<Entry>;
}

interface Turn {
  readonly name: string;
  readonly line: Line;
  queued: boolean;
}

/** Lines by name, which take turns. */
class Turns implements Line {
  readonly #nameOf: (work: Work) => string;
  readonly #newLine: () => Line;
  readonly #lines = new Map<string, Turn>();
  #turns: Turn[] = [];
  #head = 0;
  size = 0;

  constructor(nameOf: (work: Work) => string, newLine: () => Line) {
    this.#nameOf = nameOf;
    this.#newLine = newLine;
  }

  push(entry: Entry): void {
    const name = this.#nameOf(entry.work);
    let turn = this.#lines.get(name);
    if (turn === undefined) {
      turn = { name, line: this.#newLine(), queued: false };
      this.#lines.set(name, turn);
    }
    turn.line.push(entry);
    this.size += 1;
    this.#enqueue(turn);
  }

  remove(entry: Entry): void {
    this.#lines.get(this.#nameOf(entry.work))?.line.remove(entry);
    this.size -= 1;
  }

  *items(): Iterable<Entry> {
    for (const { line } of this.#lines.values()) yield* line.items();
  }

  pop(): Entry | undefined {
    for (;;) {
      const turn = this.#turns[this.#head];
      if (turn === undefined) return undefined;
      this.#head += 1;
      if (this.#head > 64 && this.#head * 2 > this.#turns.length) {
        this.#turns = this.#turns.slice(this.#head);
        this.#head = 0;
      }
      turn.queued = false;
      const entry = turn.line.pop();
      if (turn.line.size > 0) this.#enqueue(turn);
      else this.#lines.delete(turn.name);
      if (entry === undefined) continue;
      this.size -= 1;
      return entry;
    }
  }

  #enqueue(turn: Turn): void {
    if (turn.queued) return;
    turn.queued = true;
    this.#turns.push(turn);
  }
}

/** The entries of one lane and one resource. Groups take turns, and inside a group its members. */
export class Ring extends Turns {
  constructor() {
    super(
      ({ group }) => group,
      () =>
        new Turns(
          ({ member = '' }) => member,
          () => new Heap(comesBefore),
        ),
    );
  }
}

function comesBefore(a: Entry, b: Entry): boolean {
  return a.work.by < b.work.by || (a.work.by === b.work.by && a.seq < b.seq);
}
