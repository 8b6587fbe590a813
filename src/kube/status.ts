import { fieldManager } from '../api/names.ts';
import type { ApiConnection } from './connection.ts';
import { bodyOf, type Kind, placeOf, sendPatch } from './resources.ts';
import { type Resource, trimResource } from './trim.ts';

/**
 * Writes the whole status as we see it. Server-side apply: what we no longer say disappears, and what others wrote (a condition of a type that
 * is not ours) stays. It is conditional on the version that the status was made from: OperatorError Conflict when the object has changed since,
 * or was deleted and made again. Resolves with the object as stored now, for memory; with `undefined` where it is gone.
 */
export async function writeStatus<Spec, Status extends object>(
  connection: ApiConnection,
  kind: Kind,
  known: Resource<Spec, Status>,
  status: Status,
  signal: AbortSignal,
): Promise<Resource<Spec, Status> | undefined> {
  const object = placeOf(known.metadata);
  const place = { ...object, subresource: 'status' };
  const body = {
    apiVersion: known.apiVersion,
    kind: known.kind,
    metadata: { ...object, resourceVersion: known.resourceVersion },
    status,
  };
  const query = { fieldManager, force: 'true' };
  const response = await sendPatch(connection, kind, place, 'Apply', body, { signal, query });
  if (response.status === 404) return undefined;
  return trimResource<Spec, Status>(bodyOf(response, 'patch', kind, place));
}
