import { fieldManager } from '../api/names.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection, ApiResponse } from './connection.ts';
import { bodyOf, type Kind, placeOf, sendPatch } from './resources.ts';
import { type Resource, trimResource } from './trim.ts';

type Operation =
  | { readonly op: 'test' | 'add'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/**
 * Adds `finalizer`; finalizers of others are never touched. Returns the object as stored now, `undefined` when it is gone, or what is known
 * when the finalizer is there already. Throws OperatorError Conflict when the object's finalizers are not as `known` has them.
 */
export async function addFinalizer<Spec, Status>(
  connection: ApiConnection,
  kind: Kind,
  known: Resource<Spec, Status>,
  finalizer: string,
  signal: AbortSignal,
): Promise<Resource<Spec, Status> | undefined> {
  const present = known.metadata.finalizers ?? [];
  if (present.includes(finalizer)) return known;
  const add: readonly Operation[] =
    present.length === 0
      ? [
          // Passes only while there is no list: otherwise the list would be replaced.
          { op: 'test', path: '/metadata/finalizers', value: null },
          { op: 'add', path: '/metadata/finalizers', value: [finalizer] },
        ]
      : [{ op: 'add', path: '/metadata/finalizers/-', value: finalizer }];
  return change(connection, kind, known, add, signal);
}

/** Removes `finalizer`, as {@link addFinalizer} adds it. The object may be gone when this returns. */
export async function removeFinalizer<Spec, Status>(
  connection: ApiConnection,
  kind: Kind,
  known: Resource<Spec, Status>,
  finalizer: string,
  signal: AbortSignal,
): Promise<Resource<Spec, Status> | undefined> {
  const index = (known.metadata.finalizers ?? []).indexOf(finalizer);
  if (index < 0) return known;
  const path = `/metadata/finalizers/${index}`;
  const operations: readonly Operation[] = [
    { op: 'test', path, value: finalizer },
    { op: 'remove', path },
  ];
  return change(connection, kind, known, operations, signal);
}

async function change<Spec, Status>(
  connection: ApiConnection,
  kind: Kind,
  known: Resource<Spec, Status>,
  operations: readonly Operation[],
  signal: AbortSignal,
): Promise<Resource<Spec, Status> | undefined> {
  const place = placeOf(known.metadata);
  const body: readonly Operation[] = [{ op: 'test', path: '/metadata/uid', value: known.uid }, ...operations];
  const response = await sendPatch(connection, kind, place, 'Json', body, { signal, query: { fieldManager } });
  if (response.status === 404) return undefined;
  if (isFailedTest(response)) {
    throw new OperatorError({
      class: 'Conflict',
      reason: 'ApiConflict',
      message: `${known.kind} ${known.metadata.name}: its finalizers were changed by somebody else first; it is looked at again`,
    });
  }
  return trimResource<Spec, Status>(bodyOf(response, 'patch', kind, place));
}

/** The API server answers 422 without causes to a JSON patch that does not apply; invalid objects come with causes. */
function isFailedTest(response: ApiResponse): boolean {
  const causes =
    (response.body as { readonly details?: { readonly causes?: readonly unknown[] } }).details?.causes ?? [];
  return response.status === 422 && causes.length === 0;
}
