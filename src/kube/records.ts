import type { ObjectMeta } from '../api/meta.ts';
import { labels, recordKey, secretTypes } from '../api/names.ts';
import { LostLeaseError, OperatorError } from '../errors.ts';
import type { Store } from '../runtime/store.ts';
import type { ApiConnection } from './connection.ts';
import { call, bodyOf, get, kinds, remove } from './resources.ts';

export type RecordKind = 'client' | 'session' | 'limits';

/** The JSON form of a record, with its secrets in the open: for record Secrets only. */
export interface RecordCodec<R> {
  encode(record: R): string;
  decode(
    text: string,
  ):
    | { readonly is: 'Record'; readonly record: R }
    | { readonly is: 'Newer'; readonly formatVersion: number }
    | { readonly is: 'Invalid'; readonly message: string };
  /** What the Secret of this record is called; `undefined`: anything. */
  nameOf(record: R): string | undefined;
}

/**
 * A record Secret in memory. One of `record`, `newerFormat` and `invalid` is there. `record` beside `invalid` or `deleted`: as it was stored
 * before somebody else damaged or deleted the Secret (`RecordMemory`). `unlisted`: it has lost the label by which people, and older versions
 * of this program, find records.
 */
export interface StoredRecord<R> {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly record?: R;
  readonly newerFormat?: boolean;
  readonly invalid?: string;
  readonly deleted?: true;
  readonly unlisted?: true;
}

/** It is there, and what it said is not known. */
export function isUnreadable(stored: StoredRecord<unknown> | undefined): boolean {
  return stored?.invalid !== undefined && stored.record === undefined;
}

/** What it said is known, and its Secret does not say it any more, or not to everybody. */
export function isDamaged(stored: StoredRecord<unknown> | undefined): boolean {
  if (stored?.record === undefined) return false;
  return stored.deleted === true || stored.unlisted === true || stored.invalid !== undefined;
}

interface RecordSecret {
  readonly metadata: ObjectMeta;
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

/** By these records are found: nobody can change the type of a Secret. */
export const recordTypes = {
  client: secretTypes.clientRecord,
  session: secretTypes.sessionRecord,
  limits: secretTypes.limitsRecord,
} as const;

/**
 * Ends the bookkeeping of who wrote which field (https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields):
 * records have one writer, and the API server would do it anew at each write.
 */
const unmanaged = [{}] as const;

/**
 * Decodes a Secret of the type of this kind; one that holds no record is `invalid`, with a reason that quotes nothing of it. So is a copy under
 * another name: it would be a client or a session that nobody wants, and be ended.
 */
export function trimRecord<R>(raw: unknown, kind: RecordKind, codec: RecordCodec<R>): StoredRecord<R> {
  const { metadata, data } = raw as RecordSecret;
  const stored = {
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    ...(metadata.labels?.[labels.kind] === kind ? {} : { unlisted: true as const }),
  };
  const encoded = data?.[recordKey];
  if (encoded === undefined) return { ...stored, invalid: `it has no key ${recordKey}` };
  const decoded = codec.decode(Buffer.from(encoded, 'base64').toString('utf8'));
  switch (decoded.is) {
    case 'Record': {
      const own = codec.nameOf(decoded.record) ?? metadata.name;
      if (own !== metadata.name) return { ...stored, invalid: `it is a copy: what it says belongs into Secret ${own}` };
      return { ...stored, record: decoded.record };
    }
    case 'Newer':
      return { ...stored, newerFormat: true };
    case 'Invalid':
      return { ...stored, invalid: decoded.message };
  }
}

export interface RecordStoreOptions<R> {
  readonly connection: ApiConnection;
  /** Fed by the reflector of `records(...)` and by our own writes; keys are Secret names. */
  readonly store: Store<StoredRecord<R>>;
  readonly codec: RecordCodec<R>;
  readonly kind: RecordKind;
  readonly namespace: string;
  /** `leaseTransitions` of the lease that we hold. */
  readonly epoch: () => number;
}

/**
 * The durable truth about clients and sessions: Secrets `client-…` and `session-…` in the operator's namespace, written by compare-and-set.
 * That compare-and-set is the only fence between an old leader and a new one: a write of ours fails where a higher epoch is stored.
 */
export class RecordStore<R extends { readonly epoch: number }> {
  readonly #o: RecordStoreOptions<R>;

  constructor(options: RecordStoreOptions<R>) {
    this.#o = options;
  }

  /** From memory. */
  get(name: string): StoredRecord<R> | undefined {
    return this.#o.store.get(name);
  }

  /**
   * Stores `next` with our epoch, on condition that nobody wrote since `from`, the record that it was made from (absent: there was none);
   * memory is up to date when this returns, with what is returned. Throws LostLeaseError when a higher epoch is stored, OperatorError Conflict when somebody else was first (memory then holds what they
   * wrote), OperatorError Waiting `NewerFormat` for a record that this version must not overwrite and `RecordInvalid` where another Secret has
   * its name, and what the call yields.
   */
  async write(name: string, next: R, from: R | undefined, signal: AbortSignal): Promise<R> {
    const { connection, codec, kind, namespace, store } = this.#o;
    const known = store.get(name);
    this.#mayWrite(name, known);
    if (known?.record !== from) throw changedMeanwhile(name);
    const isThere = known !== undefined && known.deleted !== true;
    const condition = isThere
      ? { uid: known.uid, resourceVersion: known.resourceVersion, managedFields: unmanaged }
      : {};
    const body = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, labels: { [labels.kind]: kind }, ...condition },
      type: recordTypes[kind],
      data: { [recordKey]: Buffer.from(codec.encode({ ...next, epoch: this.#o.epoch() })).toString('base64') },
    };
    const [method, verb, place] = isThere
      ? (['PUT', 'update', { namespace, name }] as const)
      : (['POST', 'create', { namespace }] as const);
    const response = await call(connection, method, kinds.secrets, place, body, { signal });
    const deletedByOthers = response.status === 404 && isThere;
    if (response.status === 409 || deletedByOthers) throw await this.#lookAgain(name, known, signal);
    const stored = trimRecord(bodyOf<unknown>(response, verb, kinds.secrets, { namespace, name }), kind, codec);
    store.wrote(name, stored);
    return store.get(name)?.record ?? next;
  }

  /**
   * Deletes the record as memory knows it; gone already is success, also where another Secret has its name by now. Throws as {@link write} does.
   * Nothing happens when memory has none.
   */
  async remove(name: string, from: R | undefined, signal: AbortSignal): Promise<void> {
    const { connection, namespace, store } = this.#o;
    const known = store.get(name);
    if (known === undefined) return;
    this.#mayWrite(name, known);
    if (known.record !== from) throw changedMeanwhile(name);
    const { uid, resourceVersion } = known;
    try {
      await remove(connection, kinds.secrets, { namespace, name }, { uid, resourceVersion }, { signal });
    } catch (error) {
      if (!(error instanceof OperatorError) || error.class !== 'Conflict') throw error;
      const why = await this.#lookAgain(name, known, signal);
      if (!(why instanceof OperatorError) || why.reason !== 'RecordInvalid') throw why;
    }
    store.forget(name, uid);
  }

  #mayWrite(name: string, known: StoredRecord<R> | undefined): void {
    const epoch = this.#o.epoch();
    if (known?.record !== undefined && known.record.epoch > epoch) throw lostLease(name, known.record.epoch, epoch);
    if (known?.newerFormat === true) {
      throw new OperatorError({
        class: 'Waiting',
        reason: 'NewerFormat',
        message: `record ${name} was written by a newer version of the operator, so it is left alone; upgrade this replica`,
      });
    }
  }

  /** Puts what is really stored into memory and says what that means. */
  async #lookAgain(name: string, known: StoredRecord<R> | undefined, signal: AbortSignal): Promise<Error> {
    const { connection, codec, kind, namespace, store } = this.#o;
    const before = store.get(name);
    const raw = await get<RecordSecret>(connection, kinds.secrets, { namespace, name }, { signal });
    if (raw !== undefined && raw.type !== recordTypes[kind]) return nameTaken(name, kind);
    const stored = raw === undefined ? undefined : trimRecord(raw, kind, codec);
    if (stored !== undefined) store.found(name, stored, before);
    else if (known !== undefined) store.remove(name, known.uid);
    const epoch = this.#o.epoch();
    if (stored?.record !== undefined && stored.record.epoch > epoch) return lostLease(name, stored.record.epoch, epoch);
    return changedMeanwhile(name);
  }
}

/** No watch tells of a Secret of another type, so memory does not keep it, and whoever waits asks again. */
function nameTaken(name: string, kind: RecordKind): OperatorError {
  return new OperatorError({
    class: 'Waiting',
    reason: 'RecordInvalid',
    message: `Secret ${name} in the operator's namespace has another type than ${recordTypes[kind]}, so no record can have its name; delete it`,
  });
}

function changedMeanwhile(name: string): OperatorError {
  return new OperatorError({
    class: 'Conflict',
    reason: 'ApiConflict',
    message: `record ${name} was changed by somebody else first; it is looked at again`,
  });
}

function lostLease(name: string, stored: number, ours: number): LostLeaseError {
  return new LostLeaseError(
    `record ${name} was written in epoch ${stored}, after our epoch ${ours}: another replica leads; this process must exit`,
  );
}
