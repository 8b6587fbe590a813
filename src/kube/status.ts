import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '../api/meta.ts';
import { fieldManager } from '../api/names.ts';
import { conditionTypes } from '../api/reasons.ts';
import type { ApiConnection } from './connection.ts';
import { bodyOf, type Kind, type Place, sendPatch } from './resources.ts';
import { type Resource, trimResource } from './trim.ts';

/** A status of ours: conditions beside whatever else the kind has. */
export interface StatusWithConditions {
  readonly conditions?: readonly Condition[];
}

/** `Written`: as stored now, for memory. `Equal`: nothing was sent. `Gone`: the object is gone. */
export type StatusWrite<R> =
  { readonly is: 'Written'; readonly object: R } | { readonly is: 'Equal' } | { readonly is: 'Gone' };

/**
 * Writes the whole status as we see it, unless what is known of it already says the same. Server-side apply: what we no longer say
 * disappears, and what others wrote (a condition of a type that is not ours) stays. It is conditional on the version that the status was made
 * from: OperatorError Conflict when the object has changed since, or was deleted and made again.
 */
export async function writeStatus<Spec, Status extends object>(
  connection: ApiConnection,
  kind: Kind,
  known: Resource<Spec, Status>,
  status: Status,
  signal: AbortSignal,
): Promise<StatusWrite<Resource<Spec, Status>>> {
  if (saysTheSame(known.status, status)) return { is: 'Equal' };
  const { name, namespace } = known.metadata;
  const place: Place = { ...(namespace === undefined ? {} : { namespace }), name, subresource: 'status' };
  const body = {
    apiVersion: known.apiVersion,
    kind: known.kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), resourceVersion: known.resourceVersion },
    status,
  };
  const query = { fieldManager, force: 'true' };
  const response = await sendPatch(connection, kind, place, 'Apply', body, { signal, query });
  if (response.status === 404) return { is: 'Gone' };
  return { is: 'Written', object: trimResource<Spec, Status>(bodyOf(response, 'patch', kind, place)) };
}

/** Equal but for the order of members and conditions, absent members, and conditions of types that are not ours. */
export function saysTheSame(known: object | undefined, next: object): boolean {
  return isDeepStrictEqual(comparable(known ?? {}), comparable(next));
}

function comparable(status: object): unknown {
  const plain = JSON.parse(JSON.stringify(status)) as StatusWithConditions;
  const own = (plain.conditions ?? []).filter(({ type }) => type in conditionTypes);
  return { ...plain, conditions: Object.fromEntries(own.map((condition) => [condition.type, condition])) };
}
