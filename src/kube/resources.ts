import type { Milliseconds } from '../clock.ts';
import { minute } from '../clock.ts';
import { group, version } from '../api/names.ts';
import type { KubeObject, ObjectMeta } from '../api/meta.ts';
import type { Page } from '../runtime/source.ts';
import { type Subject, toError } from './classify.ts';
import type { ApiConnection, ApiResponse, Method } from './connection.ts';

/** A kind of objects as paths name it. The core group is `''`. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

/** Which object (or, without a name, which collection) of a kind. */
export interface Place {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

export function placeOf({ namespace, name }: ObjectMeta): Place {
  return namespace === undefined ? { name } : { namespace, name };
}

const admission = { group: 'admissionregistration.k8s.io', version: 'v1' } as const;

/** Every kind that the operator reads or writes. */
export const kinds = {
  identityPools: { group, version, plural: 'identitypools' },
  scopePolicies: { group, version, plural: 'scopepolicies' },
  ciIdentities: { group, version, plural: 'ciidentities' },
  namespaces: { group: '', version: 'v1', plural: 'namespaces' },
  nodes: { group: '', version: 'v1', plural: 'nodes' },
  pods: { group: '', version: 'v1', plural: 'pods' },
  secrets: { group: '', version: 'v1', plural: 'secrets' },
  configMaps: { group: '', version: 'v1', plural: 'configmaps' },
  events: { group: 'events.k8s.io', version: 'v1', plural: 'events' },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  customResourceDefinitions: { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' },
  subjectAccessReviews: { group: 'authorization.k8s.io', version: 'v1', plural: 'subjectaccessreviews' },
  mutatingPolicies: { ...admission, plural: 'mutatingadmissionpolicies' },
  mutatingPolicyBindings: { ...admission, plural: 'mutatingadmissionpolicybindings' },
  validatingPolicies: { ...admission, plural: 'validatingadmissionpolicies' },
  validatingPolicyBindings: { ...admission, plural: 'validatingadmissionpolicybindings' },
} as const satisfies Record<string, Kind>;

/** The URL path; every part is percent-encoded, so that no name can leave its place. */
export function pathOf(kind: Kind, place: Place = {}): string {
  const parts = kind.group === '' ? ['api', kind.version] : ['apis', kind.group, kind.version];
  if (place.namespace !== undefined) parts.push('namespaces', place.namespace);
  parts.push(kind.plural);
  if (place.name !== undefined) parts.push(place.name);
  if (place.subresource !== undefined) parts.push(place.subresource);
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/** What {@link toError} says about a call. */
export function subjectOf(verb: string, kind: Kind, place: Place): Subject {
  return {
    verb,
    resource: place.subresource === undefined ? kind.plural : `${kind.plural}/${place.subresource}`,
    ...(place.namespace === undefined ? {} : { namespace: place.namespace }),
    ...(place.name === undefined ? {} : { name: place.name }),
  };
}

export type PatchType = 'Merge' | 'Json';

/** Content types of patches. */
export const patchContent: Readonly<Record<PatchType, string>> = {
  Merge: 'application/merge-patch+json',
  Json: 'application/json-patch+json',
};

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly query?: Readonly<Record<string, string>>;
  readonly deadline?: Milliseconds;
  readonly longest?: number;
}

/** `undefined` for 404. */
export async function get<T = KubeObject>(
  connection: ApiConnection,
  kind: Kind,
  place: Place,
  o: CallOptions,
): Promise<T | undefined> {
  const response = await connection.request('GET', pathOf(kind, place), o);
  if (response.status === 404) return undefined;
  return bodyOf<T>(response, 'get', kind, place);
}

interface ListBody<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}

/** One page of a list, raw. A list of a kind that is not installed is an error, not an empty list. */
export async function listPage<T>(
  connection: ApiConnection,
  kind: Kind,
  place: Place,
  o: CallOptions,
): Promise<Omit<Page<T>, 'items'> & { readonly items: readonly T[] }> {
  const response = await connection.request('GET', pathOf(kind, place), { deadline: 1 * minute, ...o });
  const { metadata, items } = bodyOf<ListBody<T>>(response, 'list', kind, place);
  const next = metadata.continue;
  return {
    items: items ?? [],
    resourceVersion: metadata.resourceVersion,
    ...(next === undefined || next === '' ? {} : { continue: next }),
  };
}

export async function create<T = KubeObject>(
  connection: ApiConnection,
  kind: Kind,
  place: Place,
  body: unknown,
  o: CallOptions,
): Promise<T> {
  return bodyOf<T>(await connection.request('POST', pathOf(kind, place), { ...o, body }), 'create', kind, place);
}

/** PUT of the whole object; conditional where its `metadata.resourceVersion` is set. */
export async function replace<T = KubeObject>(
  connection: ApiConnection,
  kind: Kind,
  place: Place,
  body: unknown,
  o: CallOptions,
): Promise<T> {
  return bodyOf<T>(await connection.request('PUT', pathOf(kind, place), { ...o, body }), 'update', kind, place);
}

/** A PATCH whose statuses the caller judges itself. */
export async function sendPatch(
  connection: ApiConnection,
  kind: Kind,
  place: Place,
  type: PatchType,
  body: unknown,
  o: CallOptions,
): Promise<ApiResponse> {
  return connection.request('PATCH', pathOf(kind, place), { ...o, body, contentType: patchContent[type] });
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** `false`: it was gone already. Preconditions that do not hold: OperatorError Conflict. */
export async function remove(
  connection: ApiConnection,
  kind: Kind,
  place: Place,
  preconditions: Preconditions,
  o: CallOptions,
): Promise<boolean> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
  const response = await connection.request('DELETE', pathOf(kind, place), { ...o, body });
  if (response.status === 404) return false;
  bodyOf(response, 'delete', kind, place);
  return true;
}

/** One call whose statuses the caller judges itself. */
export async function call(
  connection: ApiConnection,
  method: Method,
  kind: Kind,
  place: Place,
  body: unknown,
  o: CallOptions,
): Promise<ApiResponse> {
  return connection.request(method, pathOf(kind, place), { ...o, ...(body === undefined ? {} : { body }) });
}

/** The body of a 2xx answer; anything else is thrown as {@link toError} has it. */
export function bodyOf<T>(response: ApiResponse, verb: string, kind: Kind, place: Place): T {
  if (response.status < 200 || response.status > 299) throw toError(response, subjectOf(verb, kind, place));
  return response.body as T;
}
