import { recordKey } from '../api/names.ts';
import { minute, plus } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { invalidFields, toError } from './classify.ts';
import type { ApiConnection, ApiResponse } from './connection.ts';
import { call, get, kinds, subjectOf } from './resources.ts';

interface RecordSecret {
  readonly metadata: { readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** Of what kind it is. `parse` yields `undefined` for what cannot be understood. */
export interface SmallRecordKind<R> {
  readonly name: string;
  readonly type: string;
  readonly parse: (json: Readonly<Record<string, unknown>>) => R | undefined;
}

/** One record of the whole installation, as a Secret of the operator's namespace: Secrets are what the operator may write there anyway. */
export class SmallRecord<R extends object> {
  readonly #connection: ApiConnection;
  readonly #namespace: string;
  readonly #kind: SmallRecordKind<R>;
  #resourceVersion: string | undefined;

  constructor(connection: ApiConnection, namespace: string, kind: SmallRecordKind<R>) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#kind = kind;
  }

  /** `undefined`: there is none, or it cannot be understood, which means the same. */
  async load(signal: AbortSignal): Promise<R | undefined> {
    const place = { namespace: this.#namespace, name: this.#kind.name };
    const secret = await get<RecordSecret>(this.#connection, kinds.secrets, place, { signal });
    this.#resourceVersion = secret?.metadata.resourceVersion;
    const json = secret === undefined ? undefined : decode(secret.data?.[recordKey]);
    return json?.['formatVersion'] === 1 ? this.#kind.parse(json) : undefined;
  }

  /** Compare-and-set on what was loaded or saved last; OperatorError Conflict when somebody else wrote: load again. */
  async save(record: R, signal: AbortSignal): Promise<void> {
    const [namespace, resourceVersion] = [this.#namespace, this.#resourceVersion];
    const { name, type } = this.#kind;
    const metadata = { name, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    const data = { [recordKey]: Buffer.from(JSON.stringify({ formatVersion: 1, ...record })).toString('base64') };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata, type, data };
    const [verb, method] = resourceVersion === undefined ? (['create', 'POST'] as const) : (['update', 'PUT'] as const);
    const place = verb === 'create' ? { namespace } : { namespace, name };
    const response = await call(this.#connection, method, kinds.secrets, place, secret, { signal });
    if (response.status >= 300) throw refusal(response, verb, { namespace, name });
    const written = response.body as RecordSecret;
    this.#resourceVersion = written.metadata.resourceVersion;
  }
}

/** Names the Secret also where it is created, when the path does not. */
function refusal(
  response: ApiResponse,
  verb: string,
  place: { readonly namespace: string; readonly name: string },
): Error {
  const isOfAnotherType = response.status === 422 && invalidFields(response).includes('type');
  if (!isOfAnotherType) return toError(response, subjectOf(verb, kinds.secrets, place));
  return new OperatorError({
    class: 'Waiting',
    reason: 'ApiRefused',
    message: `Secret ${place.namespace}/${place.name} is of another type, so nothing can be remembered in it; delete it`,
    retryAt: plus(response.at, minute),
  });
}

function decode(data: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const json = JSON.parse(Buffer.from(data ?? '', 'base64').toString('utf8')) as unknown;
    return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
