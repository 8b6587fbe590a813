/** What of a change is news to those who wait for one. */
import type { ObjectMeta } from '../api/meta.ts';
import type { ClientRecord } from '../domain/client/record.ts';

/**
 * A credential came, went or got further, so that what was refused may be another thing now. Each call of the client writes its record too, also
 * one that fails, and that is no news.
 */
export function isStep(next: ClientRecord | undefined, previous: ClientRecord | undefined): boolean {
  const steps = (record: ClientRecord | undefined): string =>
    JSON.stringify(record?.generations.map(({ n, state }) => [n, state]));
  return steps(next) !== steps(previous);
}

/** Something other than the status changed: spec, deletion, annotations, finalizers. */
export function isNews(next: Noticed | undefined, previous: Noticed | undefined): boolean {
  return (
    next === undefined || previous === undefined || JSON.stringify(noticed(next)) !== JSON.stringify(noticed(previous))
  );
}

interface Noticed {
  readonly metadata: ObjectMeta;
}

function noticed({ metadata }: Noticed): unknown {
  const { uid, generation, deletionTimestamp, annotations, finalizers } = metadata;
  return [uid, generation, deletionTimestamp, annotations, finalizers];
}
