import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { group } from '../api/names.ts';
import { instant } from '../clock.ts';
import type { GuardRecord, ObservedPolicy, ShippedPolicy } from '../domain/access/trust.ts';
import type { SmallRecord, SmallRecordKind } from './small-record.ts';
import { admissionKinds } from './watches.ts';

const shippedFiles = ['inject', 'use', 'identities', 'claims', 'bindings', 'pods', 'secrets'] as const;

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
export type GuardStore = Pick<SmallRecord<GuardRecord>, 'load' | 'save'>;

export const guardRecord: SmallRecordKind<GuardRecord> = {
  name: 'guard',
  type: `${group}/guard-record`,
  parse({ objects, wholeSince }) {
    if (typeof wholeSince !== 'number' || typeof objects !== 'object' || objects === null) return undefined;
    const versions = Object.entries(objects).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
    return { objects: Object.fromEntries(versions), wholeSince: instant(wholeSince) };
  },
};
