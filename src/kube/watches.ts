import { keyOf } from '../api/meta.ts';
import { emergencyStopConfigMap, group } from '../api/names.ts';
import type { CiIdentitySpec, CiIdentityStatus } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPoolSpec, IdentityPoolStatus } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicySpec, ScopePolicyStatus } from '../api/v1alpha1/scope-policy.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { type Page, type Source, VersionExpiredError, type WatchEvent, type WatchRequest } from '../runtime/source.ts';
import type { Kept } from '../runtime/store.ts';
import { toError } from './classify.ts';
import type { ApiConnection } from './connection.ts';
import { type KindLife, definitionMeta, kindLife, kindStands, whyKindGoes } from './definitions.ts';
import { type RecordCodec, type RecordKind, type StoredRecord, recordTypes, trimRecord } from './records.ts';
import { type Kind, kinds, listPage, pathOf, type Place, subjectOf } from './resources.ts';
import {
  type AdmissionObject,
  type ConfigMapFacts,
  type NamespaceFacts,
  type NodeFacts,
  type RawObject,
  type Resource,
  trimAdmissionObject,
  trimConfigMap,
  trimNamespace,
  trimNode,
  trimPod,
  trimResource,
} from './trim.ts';

/** What is watched, and what of it stays in memory. */
interface Watched<T> {
  readonly kind: Kind;
  readonly namespace?: string;
  readonly selectors?: { readonly fieldSelector?: string };
  /** Default: `namespace/name`, or `name` for cluster-scoped kinds. */
  readonly key?: (raw: RawObject) => string;
  readonly trim: (raw: unknown) => T;
  /**
   * Finds out whether objects go because their whole kind does: awaited before it is believed that some go or are gone. Throws where these count
   * as unknown then.
   */
  readonly stands?: (signal: AbortSignal) => Promise<void>;
}

/**
 * Of our kinds somebody may delete the definition, by which he decides about no object. A pool that goes with its kind still goes through its own
 * end (it has a finalizer), which the brake holds back as it does the end of sessions: `kindGoes` is told whether it does.
 */
export function identityPools(
  connection: ApiConnection,
  kindGoes: (goes: boolean) => void,
): Source<Resource<IdentityPoolSpec, IdentityPoolStatus>> {
  const whyGoes = whyKindGoes(definitionOf(connection, kinds.identityPools));
  return sourceOf(connection, {
    kind: kinds.identityPools,
    trim: trimResource<IdentityPoolSpec, IdentityPoolStatus>,
    stands: async (signal) => kindGoes((await whyGoes(signal)) !== undefined),
  });
}

/** A policy that is deleted ends sessions at once, without a brake: with its kind it counts as unknown. */
export function scopePolicies(connection: ApiConnection): Source<Resource<ScopePolicySpec, ScopePolicyStatus>> {
  return sourceOf(connection, {
    kind: kinds.scopePolicies,
    trim: trimResource<ScopePolicySpec, ScopePolicyStatus>,
    stands: kindStands(definitionOf(connection, kinds.scopePolicies)),
  });
}

/** The brake holds back what many deleted identities end, and of those that go with their kind whatever they end: `told` of it. */
export function ciIdentities(
  connection: ApiConnection,
  told: (kind: KindLife) => void,
): Source<Resource<CiIdentitySpec, CiIdentityStatus>> {
  const definition = definitionOf(connection, kinds.ciIdentities);
  return sourceOf(connection, {
    kind: kinds.ciIdentities,
    trim: trimResource<CiIdentitySpec, CiIdentityStatus>,
    stands: async (signal) => told(await kindLife(definition, signal)),
  });
}

export function namespaces(connection: ApiConnection): Source<NamespaceFacts> {
  return sourceOf(connection, { kind: kinds.namespaces, trim: trimNamespace });
}

export function nodes(connection: ApiConnection): Source<NodeFacts> {
  return sourceOf(connection, { kind: kinds.nodes, trim: trimNode });
}

/** The pods of one opted-in namespace, never of the cluster. No selector: identities select by any label. */
export function pods(connection: ApiConnection, namespace: string): Source<PodFacts> {
  return sourceOf(connection, { kind: kinds.pods, namespace, trim: trimPod });
}

/** The records of one kind in the operator's namespace, by the Secret's name. By type, which nobody can change; a label somebody may take off. */
export function records<R>(
  connection: ApiConnection,
  o: { readonly kind: RecordKind; readonly namespace: string; readonly codec: RecordCodec<R> },
): Source<StoredRecord<R>> {
  return sourceOf(connection, {
    kind: kinds.secrets,
    namespace: o.namespace,
    selectors: { fieldSelector: `type=${recordTypes[o.kind]}` },
    key: (raw) => raw.metadata.name,
    trim: (raw) => trimRecord(raw, o.kind, o.codec),
  });
}

/** The ConfigMap `emergency-stop` of the operator's namespace, by its name. */
export function emergencyStops(connection: ApiConnection, namespace: string): Source<ConfigMapFacts> {
  return sourceOf(connection, {
    kind: kinds.configMaps,
    namespace,
    selectors: { fieldSelector: `metadata.name=${emergencyStopConfigMap}` },
    key: (raw) => raw.metadata.name,
    trim: trimConfigMap,
  });
}

/** The four kinds of which the guard consists. One source each; keys are `<Kind>/<name>`. */
export const admissionKinds = {
  MutatingAdmissionPolicy: kinds.mutatingPolicies,
  MutatingAdmissionPolicyBinding: kinds.mutatingPolicyBindings,
  ValidatingAdmissionPolicy: kinds.validatingPolicies,
  ValidatingAdmissionPolicyBinding: kinds.validatingPolicyBindings,
} as const satisfies Record<string, Kind>;

export function admissionObjects(
  connection: ApiConnection,
  kind: keyof typeof admissionKinds,
): Source<AdmissionObject> {
  return sourceOf(connection, {
    kind: admissionKinds[kind],
    key: (raw) => `${kind}/${raw.metadata.name}`,
    trim: trimAdmissionObject(kind),
  });
}

/**
 * Text and parsed objects of a page are in memory together, and a tenant decides how large a pod is. The largest object that etcd takes has
 * 1.5 MiB, which JSON may make 9 MiB of (`<` becomes `\u003c`), so that one always fits.
 */
const longestPage = 16 * 1024 * 1024;

function definitionOf(connection: ApiConnection, { plural }: Kind): Parameters<typeof whyKindGoes>[0] {
  const name = `${plural}.${group}`;
  return { name, clock: connection.clock, look: (signal) => definitionMeta(connection, name, signal) };
}

interface RawEvent {
  readonly type: string;
  readonly object: RawObject;
}

function sourceOf<T extends Kept>(connection: ApiConnection, watched: Watched<T>): Source<T> {
  const { kind, selectors, trim, stands } = watched;
  const place: Place = watched.namespace === undefined ? {} : { namespace: watched.namespace };
  const key = watched.key ?? ((raw: RawObject) => keyOf(raw.metadata));
  return {
    async list({ limit, continue: token }, signal): Promise<Page<T>> {
      const query = { ...selectors, limit: String(limit), ...(token === undefined ? {} : { continue: token }) };
      const page = await listPage<RawObject>(connection, kind, place, { signal, query, longest: longestPage });
      if ((page.continue ?? '') === '') await stands?.(signal);
      return { ...page, items: page.items.map((raw) => [key(raw), trim(raw)] as const) };
    },
    async *watch({ resourceVersion, timeoutSeconds, knows }, signal): AsyncIterable<WatchEvent<T>> {
      const query = {
        ...selectors,
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion,
        timeoutSeconds: String(timeoutSeconds),
      };
      // Whoever deletes a thousand objects has many of their events come while it is found out about the first.
      for await (const batch of connection.stream(pathOf(kind, place), query, signal)) {
        const events = batch as readonly RawEvent[];
        const said = events.map((event) => translate(event, knows));
        if (events.some(isOnItsWay)) await stands?.(signal);
        yield* said;
      }
    },
  };

  function translate({ type, object }: RawEvent, knows: WatchRequest['knows']): WatchEvent<T> {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        return knows?.(key(object), versionOf(object)) === true
          ? { type: 'Bookmark', resourceVersion: versionOf(object).resourceVersion }
          : { type: 'Put', key: key(object), value: trim(object) };
      case 'DELETED':
        return { type: 'Delete', key: key(object), ...versionOf(object) };
      case 'BOOKMARK':
        return { type: 'Bookmark', resourceVersion: versionOf(object).resourceVersion };
      case 'ERROR':
        throw eventError(connection, object, kind, place);
      default:
        throw new Error(
          `API server: a watch of ${kind.plural} has an event of the unknown type ${JSON.stringify(type)}`,
        );
    }
  }
}

function versionOf({ metadata: { uid = '', resourceVersion = '' } }: RawObject): Kept {
  return { uid, resourceVersion };
}

function isOnItsWay({ type, object }: RawEvent): boolean {
  return type === 'DELETED' || object.metadata.deletionTimestamp !== undefined;
}

/** An error inside a stream is a `Status` with its own code; 410 comes this way too. */
function eventError(connection: ApiConnection, status: unknown, kind: Kind, place: Place): Error {
  const code = (status as { readonly code?: number }).code ?? 500;
  if (code === 410)
    return new VersionExpiredError(`API server: watch ${kind.plural}: the resource version is too old (410)`);
  const response = { status: code, headers: {}, body: status, at: connection.clock.now() };
  return toError(response, subjectOf('watch', kind, place));
}
