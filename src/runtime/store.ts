/** What the store needs of a record: Kubernetes' `metadata.uid` and `metadata.resourceVersion`. */
export interface Kept {
  readonly uid: string;
  readonly resourceVersion: string;
}

export type ChangeListener<T> = (key: string, next: T | undefined, previous: T | undefined) => void;

/** Is told what a listener threw, and the name of the store. */
export type ListenerErrorHandler = (error: unknown, store: string) => void;

/** Whoever changed the store gets what a listener threw, and further listeners are not called. */
export const raise: ListenerErrorHandler = (error) => {
  throw error;
};

interface Change<T> {
  readonly key: string;
  readonly next: T | undefined;
  readonly previous: T | undefined;
}

interface Index<T> {
  readonly by: (value: T) => readonly string[];
  readonly keys: Map<string, Set<string>>;
}

const decimal = /^[1-9]\d*$/;

/**
 * Negative: `a` is older than `b`. Resource versions of one resource are ordered decimal numbers of any length (official since Kubernetes
 * 1.35, KEP-5504). A version that is no such number has no order and counts as the newer one, so that the latest news win.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  if (!decimal.test(b)) return 1;
  if (!decimal.test(a)) return 1;
  return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length;
}

/**
 * The records of one kind in memory: fed by a reflector and by the answers to our own writes, in any order. It never goes back to an older
 * version of what it knows. Listeners are called after the change is complete, synced flag and indexes included.
 */
export class Store<T extends Kept> {
  readonly name: string;
  readonly #values = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #listeners: ChangeListener<T>[] = [];
  readonly #syncListeners: ((synced: boolean) => void)[] = [];
  readonly #onListenerError: ListenerErrorHandler;
  /** uid → the newest version of which we know that the object is gone; kept until the watch has passed it. */
  readonly #gone = new Map<string, string>();
  #synced = false;

  constructor(name: string, onListenerError = raise) {
    this.name = name;
    this.#onListenerError = onListenerError;
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  /** Exactly this version of it is known. */
  holds(key: string, { uid, resourceVersion }: Kept): boolean {
    const known = this.#values.get(key);
    return known?.uid === uid && known.resourceVersion === resourceVersion;
  }

  entries(): IterableIterator<[string, T]> {
    return this.#values.entries();
  }

  get size(): number {
    return this.#values.size;
  }

  /** True after the first complete list, until {@link markUnsynced}. */
  get synced(): boolean {
    return this.#synced;
  }

  /** A watch event. What is not newer than what is known is ignored; idempotent. */
  put(key: string, value: T): void {
    if (!this.#isNews(key, value)) return;
    this.#notify(this.#set(key, value));
  }

  /** The answer to a write of our own: the same, also in a store that judges what others write. */
  wrote(key: string, value: T): void {
    this.put(key, value);
  }

  /**
   * What the server had when it was asked, which was after `known` was known: the truth whatever its version is, also where etcd was set back to
   * a backup and no watch has told it. Where something else became known meanwhile it is like any news.
   */
  found(key: string, value: T, known: T | undefined): void {
    if (this.#values.get(key) !== known) return this.put(key, value);
    this.#gone.delete(value.uid);
    this.#notify(this.#set(key, value));
  }

  /**
   * The object with this uid is gone, as of `resourceVersion` (absent: as of the version that is known). Another object that took the
   * key meanwhile stays; a late report of an older version does not bring the object back.
   */
  remove(key: string, uid: string, resourceVersion?: string): void {
    this.#drop(key, uid, resourceVersion);
  }

  /** We deleted the object with this uid ourselves: the same, also in a store that holds on to what others delete. */
  forget(key: string, uid: string): void {
    this.#drop(key, uid, undefined);
  }

  #drop(key: string, uid: string, resourceVersion: string | undefined): void {
    const known = this.#values.get(key);
    const mine = known?.uid === uid ? known : undefined;
    const asOf = resourceVersion ?? mine?.resourceVersion;
    if (asOf !== undefined) this.#gone.set(uid, asOf);
    if (mine === undefined) return;
    this.#unset(key, mine);
    this.#notify([{ key, next: undefined, previous: mine }]);
  }

  /**
   * The complete list as of `resourceVersion`: what is not in it is gone, except what is newer than the list; the store is synced from now
   * on. Without `resourceVersion` the list is the whole truth, also where it is older than what is known (a restored etcd).
   */
  replaceAll(items: Iterable<readonly [string, T]>, resourceVersion?: string): void {
    const listed = new Map(items);
    const changes: Change<T>[] = [];
    for (const [key, known] of this.#values) {
      const newerThanList =
        resourceVersion !== undefined && compareVersions(known.resourceVersion, resourceVersion) > 0;
      if (listed.has(key) || newerThanList) continue;
      this.#unset(key, known);
      changes.push({ key, next: undefined, previous: known });
    }
    for (const [key, value] of listed) {
      if (resourceVersion === undefined || this.#isNewsIn(resourceVersion, key, value))
        changes.push(...this.#set(key, value));
    }
    this.passed(resourceVersion);
    const before = this.#synced;
    this.#synced = true;
    this.#notify(changes);
    if (!before) this.#notifySync();
  }

  /** The watch has reached this version (absent: a restart), so no report of anything older can follow: memory of deletes is freed. */
  passed(resourceVersion: string | undefined): void {
    for (const [uid, asOf] of this.#gone) {
      if (resourceVersion === undefined || compareVersions(asOf, resourceVersion) < 0) this.#gone.delete(uid);
    }
  }

  /** `byIndex(name, v)` then finds the values for which `by` yields `v`. `by` must be pure; values are immutable. */
  addIndex(name: string, by: (value: T) => readonly string[]): void {
    const index: Index<T> = { by, keys: new Map() };
    this.#indexes.set(name, index);
    for (const [key, value] of this.#values) indexAdd(index, key, value);
  }

  byIndex(name: string, value: string): readonly (readonly [string, T])[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`store ${this.name} has no index ${name}`);
    const found: (readonly [string, T])[] = [];
    for (const key of index.keys.get(value) ?? []) {
      const kept = this.#values.get(key);
      if (kept !== undefined) found.push([key, kept]);
    }
    return found;
  }

  /** A listener that throws is reported to `onListenerError` and harms nobody else. One object that took another's key shows as a delete, then a new one. */
  onChange(listener: ChangeListener<T>): void {
    this.#listeners.push(listener);
  }

  onSynced(listener: (synced: boolean) => void): void {
    this.#syncListeners.push(listener);
  }

  /** The right to read was withdrawn or the kind is gone: what is kept is no longer knowledge. The next complete list cures it. */
  markUnsynced(): void {
    if (!this.#synced) return;
    this.#synced = false;
    this.#notifySync();
  }

  /**
   * A list is the truth about all that is not newer than itself, also where it says something older: etcd was set back to a backup. What we
   * deleted ourselves, of which no watch has told the version, may have gone after the list.
   */
  #isNewsIn(list: string, key: string, value: T): boolean {
    const gone = this.#gone.get(value.uid);
    if (gone !== undefined && (gone === value.resourceVersion || compareVersions(gone, list) > 0)) return false;
    const known = this.#values.get(key);
    if (known === undefined) return true;
    return !this.holds(key, value) && compareVersions(known.resourceVersion, list) <= 0;
  }

  #isNews(key: string, value: T): boolean {
    const gone = this.#gone.get(value.uid);
    if (gone !== undefined && compareVersions(value.resourceVersion, gone) <= 0) return false;
    const known = this.#values.get(key);
    return known === undefined || compareVersions(value.resourceVersion, known.resourceVersion) > 0;
  }

  #set(key: string, next: T): readonly Change<T>[] {
    const previous = this.#values.get(key);
    if (previous !== undefined) this.#unset(key, previous);
    this.#values.set(key, next);
    for (const index of this.#indexes.values()) indexAdd(index, key, next);
    if (previous === undefined || previous.uid === next.uid) return [{ key, next, previous }];
    return [
      { key, next: undefined, previous },
      { key, next, previous: undefined },
    ];
  }

  #unset(key: string, value: T): void {
    this.#values.delete(key);
    for (const index of this.#indexes.values()) {
      for (const at of index.by(value)) {
        const keys = index.keys.get(at);
        keys?.delete(key);
        if (keys?.size === 0) index.keys.delete(at);
      }
    }
  }

  #notify(changes: readonly Change<T>[]): void {
    for (const { key, next, previous } of changes) {
      for (const listener of this.#listeners) this.#call(() => listener(key, next, previous));
    }
  }

  #notifySync(): void {
    for (const listener of this.#syncListeners) this.#call(() => listener(this.#synced));
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#onListenerError(error, this.name);
    }
  }
}

function indexAdd<T>(index: Index<T>, key: string, value: T): void {
  for (const at of index.by(value)) {
    const keys = index.keys.get(at);
    if (keys === undefined) index.keys.set(at, new Set([key]));
    else keys.add(key);
  }
}
