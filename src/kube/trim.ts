import { instant, parseRfc3339, type Instant } from '../clock.ts';
import type { KubeObject, ObjectMeta } from '../api/meta.ts';
import { annotations, claimPrefix, deliverySecretName, labels, volumeName } from '../api/names.ts';
import type { ObservedPolicy } from '../domain/access/trust.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { SharedTexts } from './shared-texts.ts';

/** A custom resource of ours in memory: of its metadata only what decisions need, because its owner may write a megabyte of anything there. */
export interface Resource<Spec = unknown, Status = unknown> extends KubeObject<Spec, Status> {
  readonly uid: string;
  readonly resourceVersion: string;
}

export interface NamespaceFacts {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those that mean something to the operator. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly terminating: boolean;
}

export interface NodeFacts {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly ready: boolean;
  /** When the node stopped being Ready, if it is not. */
  readonly notReadySince?: Instant;
}

export interface ConfigMapFacts {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
}

/** An admission policy or binding: what the guard compares. */
export interface AdmissionObject extends ObservedPolicy {
  readonly resourceVersion: string;
}

/** What every object of the API server has. */
export type RawObject = Omit<KubeObject, 'spec'> & { readonly spec?: unknown };

interface RawPod {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string }[];
    readonly volumes?: readonly { readonly name: string; readonly secret?: { readonly secretName?: string } }[];
  };
  readonly status?: { readonly phase?: string; readonly conditions?: readonly RawCondition[] };
}

interface RawCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
}

interface RawNode {
  readonly metadata: ObjectMeta;
  readonly status?: { readonly conditions?: readonly RawCondition[] };
}

const kept = (meta: ObjectMeta): { readonly uid: string; readonly resourceVersion: string } => ({
  uid: meta.uid ?? '',
  resourceVersion: meta.resourceVersion ?? '',
});

/** So many labels, claims and containers of a pod are kept: nothing else bounds how many it has, and no agent has half as many. */
const most = 64;
/** A uid has 36 characters. */
const longestUid = 64;

const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** The rule of the kind. */
const identityName = /^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$/;
const runUrl = /^[\x21-\x7e]{1,512}$/;

/** Of a pod only what decisions need: its environment, where JENKINS_SECRET is, never stays in memory. */
export function trimPod(raw: unknown): PodFacts {
  const { metadata, spec, status } = raw as RawPod;
  const noted = metadata.annotations ?? {};
  const requester = metadata.labels?.[labels.injected] === 'true' ? noted[annotations.requester] : undefined;
  const claimedRunUrl = noted['runUrl'];
  const claimedTraceparent = noted[annotations.traceparent];
  const isMirror = noted['kubernetes.io/config.mirror'] !== undefined;
  const unmountedSince = unmounted(status);
  return {
    ...kept(metadata),
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    created: parseRfc3339(metadata.creationTimestamp ?? '') ?? instant(0),
    deleting: metadata.deletionTimestamp !== undefined,
    phase: status?.phase ?? 'Pending',
    claims: requester === undefined ? {} : claimsIn(noted),
    volumes: (spec?.volumes ?? []).flatMap((volume) => {
      const identity = volume.name.slice(volumeName('').length);
      const ours =
        volume.name === volumeName(identity) &&
        volume.secret?.secretName === deliverySecretName(identity, metadata.name);
      return ours ? [identity] : [];
    }),
    labels: Object.fromEntries(Object.entries(metadata.labels ?? {}).slice(0, most)),
    containers: isMirror ? [] : (spec?.containers ?? []).slice(0, most).map(({ name }) => name),
    ...(unmountedSince === undefined ? {} : { unmountedSince }),
    ...(spec?.nodeName === undefined ? {} : { node: spec.nodeName }),
    ...(requester === undefined ? {} : { requester }),
    ...(claimedRunUrl === undefined || !runUrl.test(claimedRunUrl) ? {} : { claimedRunUrl }),
    ...(claimedTraceparent === undefined || !traceparent.test(claimedTraceparent) ? {} : { claimedTraceparent }),
  };
}

/**
 * Without a requester, or without the label that injection writes, there are none: the admission policies let such a pod carry what it likes. A
 * name that no CiIdentity can have would name the Secret of another pod.
 */
function claimsIn(noted: Readonly<Record<string, string>>): PodFacts['claims'] {
  return Object.fromEntries(
    Object.entries(noted)
      .filter(([key]) => key.startsWith(claimPrefix) && identityName.test(key.slice(claimPrefix.length)))
      .slice(0, most)
      .map(([key, uid]) => [key.slice(claimPrefix.length), cut(uid, longestUid)]),
  );
}

/** The kubelet makes the sandbox of a pod once every volume is mounted, and says whether it has one. */
function unmounted(status: RawPod['status']): Instant | undefined {
  if (status?.phase !== 'Pending') return undefined;
  const sandbox = status.conditions?.find(({ type }) => type === 'PodReadyToStartContainers');
  return sandbox?.status === 'False' ? parseRfc3339(sandbox.lastTransitionTime ?? '') : undefined;
}

/** All labels: ScopePolicies select by any of them, and whoever may write them decides about grants anyway. */
export function trimNamespace(raw: unknown): NamespaceFacts {
  const { metadata } = raw as RawObject;
  return {
    ...kept(metadata),
    name: metadata.name,
    labels: metadata.labels ?? {},
    annotations: ours(metadata),
    terminating: metadata.deletionTimestamp !== undefined,
  };
}

export function trimNode(raw: unknown): NodeFacts {
  const { metadata, status } = raw as RawNode;
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  if (condition?.status === 'True') return { ...kept(metadata), ready: true };
  const since = parseRfc3339(condition?.lastTransitionTime ?? metadata.creationTimestamp ?? '');
  return { ...kept(metadata), ready: false, ...(since === undefined ? {} : { notReadySince: since }) };
}

export function trimConfigMap(raw: unknown): ConfigMapFacts {
  const { metadata, data } = raw as RawObject & { readonly data?: Readonly<Record<string, string>> };
  return { ...kept(metadata), name: metadata.name, data: data ?? {} };
}

/** Lists leave `kind` out of their items, so the row of the watch supplies it. */
export function trimAdmissionObject(kind: ObservedPolicy['kind']): (raw: unknown) => AdmissionObject {
  return (raw) => {
    const { metadata, spec } = raw as RawObject;
    return { ...kept(metadata), kind, name: metadata.name, generation: metadata.generation ?? 0, spec };
  };
}

const texts = new SharedTexts();

/**
 * The whole custom resource, whose spec and status the schema bounds, but of its metadata neither managedFields, labels nor owners, of its
 * annotations only {@link ours}, and finalizers only of a pool: no other kind has one of ours.
 */
export function trimResource<Spec, Status>(raw: unknown): Resource<Spec, Status> {
  const object = raw as KubeObject<Spec, Status>;
  const {
    managedFields: _fields,
    labels: _labels,
    ownerReferences: _owners,
    finalizers,
    ...metadata
  } = object.metadata as ObjectMeta & { readonly managedFields?: unknown };
  const held = object.kind === 'IdentityPool' && finalizers !== undefined ? { finalizers } : {};
  texts.within([object.spec, object.status]);
  return { ...kept(metadata), ...object, metadata: { ...metadata, ...held, annotations: ours(metadata) } };
}

/** Ids have 64 characters, and of a reason 200 are shown. */
const longestNote = 1_024;

const known: ReadonlySet<string> = new Set(Object.values(annotations));

/** The annotations that mean something, cut. */
function ours({ annotations: noted = {} }: ObjectMeta): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(noted).flatMap(([key, text]) => (known.has(key) ? [[key, cut(text, longestNote)]] : [])),
  );
}

/** A copy of the beginning: what V8 makes of `slice` alone keeps the whole text in memory. */
function cut(text: string, longest: number): string {
  return text.length <= longest ? text : Buffer.from(text.slice(0, longest)).toString();
}
