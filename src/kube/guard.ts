import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { group, recordKey } from '../api/names.ts';
import { instant } from '../clock.ts';
import type { GuardRecord, ObservedPolicy, ShippedPolicy } from '../domain/access/trust.ts';
import type { ApiConnection } from './connection.ts';
import { create, get, kinds, replace } from './resources.ts';
import { admissionKinds } from './watches.ts';

const shippedFiles = ['inject', 'use', 'identities', 'claims', 'pods', 'secrets'] as const;

/**
 * The policies and bindings that this version ships, read from `manifests/admission` beside the source (the image has both).
 * Throws when a file is missing or holds anything else: a program without its guard must not start.
 */
export function readShippedPolicies(): readonly ShippedPolicy[] {
  const directory = new URL('../../manifests/admission/', import.meta.url);
  return shippedFiles.flatMap((file) =>
    parseAllDocuments(readFileSync(new URL(`${file}.yaml`, directory), 'utf8')).map((document) => {
      const object = document.toJS() as { kind?: string; metadata?: { name?: string }; spec?: unknown } | null;
      const { kind, metadata, spec } = object ?? {};
      if (kind === undefined || !Object.hasOwn(admissionKinds, kind) || metadata?.name === undefined) {
        throw new Error(`manifests/admission/${file}.yaml holds something that is no admission policy`);
      }
      return { kind, name: metadata.name, spec };
    }),
  );
}

/** What the guard compares of a policy or binding; lists leave `kind` out of their items. `undefined`: not one of ours. */
export function trimPolicy(kind: string, raw: unknown): ObservedPolicy | undefined {
  const { metadata, spec } = raw as { metadata: { name: string; uid: string; generation?: number }; spec: unknown };
  const { name, uid, generation = 0 } = metadata;
  return name.endsWith(`.${group}`) ? { kind, name, uid, generation, spec } : undefined;
}

/** The persisted guard record. */
export interface GuardStore {
  /** `undefined`: there is none, or it cannot be understood, which means the same. */
  load(signal: AbortSignal): Promise<GuardRecord | undefined>;
  /** Compare-and-set on what was loaded or saved last; OperatorError Conflict when somebody else wrote: load again. */
  save(record: GuardRecord, signal: AbortSignal): Promise<void>;
}

const secretName = 'guard';
const secretType = 'ci-identity.dev/guard-record';

interface GuardSecret {
  readonly metadata: { readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** The guard record as a Secret of the operator's namespace: Secrets are what the operator may write there anyway. */
export class SecretGuardStore implements GuardStore {
  readonly #connection: ApiConnection;
  readonly #namespace: string;
  #resourceVersion: string | undefined;

  constructor(connection: ApiConnection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
  }

  async load(signal: AbortSignal): Promise<GuardRecord | undefined> {
    const place = { namespace: this.#namespace, name: secretName };
    const secret = await get<GuardSecret>(this.#connection, kinds.secrets, place, { signal });
    this.#resourceVersion = secret?.metadata.resourceVersion;
    return secret === undefined ? undefined : parseRecord(secret.data?.[recordKey]);
  }

  async save(record: GuardRecord, signal: AbortSignal): Promise<void> {
    const namespace = this.#namespace;
    const resourceVersion = this.#resourceVersion;
    const metadata = { name: secretName, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    const text = JSON.stringify({ formatVersion: 1, ...record });
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      type: secretType,
      data: { [recordKey]: encode(text) },
    };
    const written =
      resourceVersion === undefined
        ? await create<GuardSecret>(this.#connection, kinds.secrets, { namespace }, secret, { signal })
        : await replace<GuardSecret>(this.#connection, kinds.secrets, { namespace, name: secretName }, secret, {
            signal,
          });
    this.#resourceVersion = written.metadata.resourceVersion;
  }
}

function parseRecord(data: string | undefined): GuardRecord | undefined {
  let record: { formatVersion?: unknown; objects?: unknown; wholeSince?: unknown } | null;
  try {
    record = JSON.parse(Buffer.from(data ?? '', 'base64').toString('utf8')) as typeof record;
  } catch {
    return undefined;
  }
  const { formatVersion, objects, wholeSince } = record ?? {};
  if (formatVersion !== 1 || typeof wholeSince !== 'number' || typeof objects !== 'object' || objects === null)
    return undefined;
  const versions = Object.entries(objects).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { objects: Object.fromEntries(versions), wholeSince: instant(wholeSince) };
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
