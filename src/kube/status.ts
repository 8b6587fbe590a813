import type { Condition } from '../api/meta.ts';
import { fieldManager } from '../api/names.ts';
import { isConditionType } from '../api/reasons.ts';
import type { ApiConnection } from './connection.ts';
import { bodyOf, type Kind, placeOf, sendPatch } from './resources.ts';
import { type Resource, trimResource } from './trim.ts';

/**
 * Writes the whole status as we see it: what we no longer say disappears, and what others wrote (a condition of a type that is not ours) stays.
 * It is conditional on the version that the status was made from: OperatorError Conflict when the object has changed since, or was deleted and
 * made again, so that nothing of others is overwritten unseen. Hence a JSON patch (RFC 6902) does what server-side apply would, for less of the
 * API server's time. A member that the installed definition does not know is refused: OperatorError Terminal. Resolves with the object as
 * stored now, for memory; with `undefined` where it is gone.
 */
export async function writeStatus<Spec, Status extends { readonly conditions?: readonly Condition[] }>(
  connection: ApiConnection,
  kind: Kind,
  known: Resource<Spec, Status>,
  status: Status,
  signal: AbortSignal,
): Promise<Resource<Spec, Status> | undefined> {
  const place = { ...placeOf(known.metadata), subresource: 'status' };
  const foreign = (known.status?.conditions ?? []).filter(({ type }) => !isConditionType(type));
  const body = [
    { op: 'replace', path: '/metadata/resourceVersion', value: known.resourceVersion },
    { op: 'add', path: '/status', value: { ...status, conditions: [...(status.conditions ?? []), ...foreign] } },
  ];
  // Otherwise the API server drops without a word what an older definition does not know.
  const query = { fieldManager, fieldValidation: 'Strict' };
  const response = await sendPatch(connection, kind, place, 'Json', body, { signal, query });
  if (response.status === 404) return undefined;
  return trimResource<Spec, Status>(bodyOf(response, 'patch', kind, place));
}
