/** Clients that may be left at the provider, because a registration was never answered, and how a person says that they are dealt with. */
import { sha256 } from '../../digest.ts';
import { acknowledgedIds } from '../access/brake.ts';
import type { ClientRecord } from './record.ts';
import { checked } from './transitions.ts';

/** Those of which nobody said yet that they are dealt with. */
export function openOrphans({ possibleOrphans = 0, acknowledgedOrphans = 0 }: ClientRecord): number {
  return possibleOrphans - acknowledgedOrphans;
}

/** With those that a registration under way may still leave. */
export function possibleOrphans(record: ClientRecord): number {
  return openOrphans(record) + record.generations.filter(({ unheard }) => unheard === true).length;
}

/**
 * The id that acknowledges all of them: it is another one as soon as there is one more, so that an annotation that stays behind hides none.
 * `records`: all of the pool, with their names.
 */
export function orphansId(records: readonly (readonly [name: string, record: ClientRecord])[]): string {
  const counts = records.flatMap(([name, { possibleOrphans = 0 }]) =>
    possibleOrphans === 0 ? [] : [`${name} ${possibleOrphans}`],
  );
  return `orphans-${sha256(...counts.toSorted()).slice(0, 8)}`;
}

/** Whether the annotation `ci-identity.dev/acknowledge` holds this id. */
export function isNamedIn(annotation: string | undefined, id: string): boolean {
  return acknowledgedIds(annotation).includes(id);
}

export function orphansAcknowledged(record: ClientRecord): ClientRecord {
  return checked({ ...record, acknowledgedOrphans: record.possibleOrphans ?? 0 });
}
