import { Store } from '../runtime/store.ts';
import type { StoredRecord } from './records.ts';

/**
 * Records in memory that outlive what others do to their Secrets: where somebody deletes one, or makes it unreadable, the record stays as it
 * was stored last, marked as damaged, so that it can be written again. Only {@link Store.forget} lets go of one that is `worthKeeping`.
 */
export class RecordMemory<R> extends Store<StoredRecord<R>> {
  readonly #worthKeeping: (record: R) => boolean;

  constructor(name: string, worthKeeping: (record: R) => boolean) {
    super(name);
    this.#worthKeeping = worthKeeping;
  }

  override put(key: string, value: StoredRecord<R>): void {
    super.put(key, this.#readable(key, value));
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
      listed.set(key, { ...known, resourceVersion: resourceVersion ?? known.resourceVersion, deleted: true });
    }
    super.replaceAll(listed, resourceVersion);
  }

  /** What cannot be read takes its record from memory. */
  #readable(key: string, value: StoredRecord<R>): StoredRecord<R> {
    const known = this.get(key);
    if (value.invalid === undefined || known === undefined || !this.#isKept(known)) return value;
    return { ...value, ...(known.record === undefined ? {} : { record: known.record }) };
  }

  #isKept({ record }: StoredRecord<R>): boolean {
    return record !== undefined && this.#worthKeeping(record);
  }
}
