import { type ListenerErrorHandler, Store } from '../runtime/store.ts';
import type { StoredRecord } from './records.ts';

export interface RecordRules<R> {
  readonly worthKeeping: (record: R) => boolean;
  /** Why this record, which can be read, cannot be ours as we stored it last; `known`: what memory holds. */
  readonly objection: (record: R, known: R | undefined) => string | undefined;
}

/**
 * Records in memory that outlive what others do to their Secrets: where somebody deletes one, puts an old copy in its place, or makes it
 * unreadable, the record stays as it was stored last, marked as damaged, so that it can be written again. Only {@link Store.forget} lets go of
 * one that is `worthKeeping`.
 */
export class RecordMemory<R> extends Store<StoredRecord<R>> {
  readonly #rules: RecordRules<R>;

  constructor(name: string, rules: RecordRules<R>, onListenerError?: ListenerErrorHandler) {
    super(name, onListenerError);
    this.#rules = rules;
  }

  override put(key: string, value: StoredRecord<R>): void {
    super.put(key, this.#readable(key, value));
  }

  /** To what we wrote ourselves there is no objection, also where the watch was faster: clocks that differ make it look older than it is. */
  override wrote(key: string, value: StoredRecord<R>): void {
    const known = this.get(key);
    if (this.holds(key, value) && known?.invalid !== undefined) super.found(key, value, known);
    else super.put(key, value);
  }

  override found(key: string, value: StoredRecord<R>, known: StoredRecord<R> | undefined): void {
    super.found(key, this.#readable(key, value), known);
  }

  override remove(key: string, uid: string, resourceVersion?: string): void {
    const known = this.get(key);
    if (known?.uid !== uid || !this.#isKept(known)) return super.remove(key, uid, resourceVersion);
    // Without a version it is no news of the watch, which is still to come.
    if (resourceVersion !== undefined) super.put(key, { ...known, resourceVersion, deleted: true });
  }

  override replaceAll(items: Iterable<readonly [string, StoredRecord<R>]>, resourceVersion?: string): void {
    const listed = new Map([...items].map(([key, value]) => [key, this.#readable(key, value)]));
    for (const [key, known] of this.entries()) {
      if (listed.has(key) || !this.#isKept(known)) continue;
      // Versions begin anew after a backup was restored: whatever is stored then is newer.
      listed.set(key, { ...known, resourceVersion: resourceVersion ?? '', deleted: true });
    }
    super.replaceAll(listed, resourceVersion);
  }

  /** What cannot be read, or cannot be ours, takes its record from memory. */
  #readable(key: string, { record, ...value }: StoredRecord<R>): StoredRecord<R> {
    const known = this.get(key);
    const objection = record === undefined ? undefined : this.#rules.objection(record, known?.record);
    const invalid = value.invalid ?? objection;
    if (invalid === undefined) return record === undefined ? value : { ...value, record };
    return known?.record !== undefined && this.#isKept(known)
      ? { ...value, invalid, record: known.record }
      : { ...value, invalid };
  }

  #isKept({ record }: StoredRecord<R>): boolean {
    return record !== undefined && this.#rules.worthKeeping(record);
  }
}
