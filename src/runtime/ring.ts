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

interface Group {
  readonly name: string;
  readonly entries: Heap<Entry>;
  queued: boolean;
}

/** The entries of one lane and one resource. Groups take turns. */
export class Ring {
  readonly #groups = new Map<string, Group>();
  #turns: Group[] = [];
  #head = 0;
  size = 0;

  add(entry: Entry): void {
    const name = entry.work.group;
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { name, entries: new Heap(comesBefore), queued: false };
      this.#groups.set(name, group);
    }
    group.entries.push(entry);
    this.size += 1;
    this.#enqueue(group);
  }

  remove(entry: Entry): void {
    this.#groups.get(entry.work.group)?.entries.remove(entry);
    this.size -= 1;
  }

  *waiting(): Iterable<Entry> {
    for (const { entries } of this.#groups.values()) yield* entries.items();
  }

  take(): Entry | undefined {
    for (;;) {
      const group = this.#turns[this.#head];
      if (group === undefined) return undefined;
      this.#head += 1;
      if (this.#head > 64 && this.#head * 2 > this.#turns.length) {
        this.#turns = this.#turns.slice(this.#head);
        this.#head = 0;
      }
      group.queued = false;
      const entry = group.entries.pop();
      if (group.entries.size > 0) this.#enqueue(group);
      else this.#groups.delete(group.name);
      if (entry === undefined) continue;
      this.size -= 1;
      return entry;
    }
  }

  #enqueue(group: Group): void {
    if (group.queued) return;
    group.queued = true;
    this.#turns.push(group);
  }
}

function comesBefore(a: Entry, b: Entry): boolean {
  return a.work.by < b.work.by || (a.work.by === b.work.by && a.seq < b.seq);
}
