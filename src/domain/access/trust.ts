import { plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { PodFacts } from '../session/machine.ts';
import type { Guard } from './access.ts';

/** An admission policy or binding as this version ships it. */
export interface ShippedPolicy {
  /** `Mutating` or `ValidatingAdmissionPolicy`, with or without `Binding`. */
  readonly kind: string;
  readonly name: string;
  readonly spec: unknown;
}

/** The same object as the API server returned it, trimmed. */
export interface ObservedPolicy extends ShippedPolicy {
  readonly uid: string;
  /** Changes with every change of the spec, and starts at 1 again when the object is made anew. */
  readonly generation: number;
}

/** What is remembered across restarts: which objects were whole, and since when pods are checked by all of them. */
export interface GuardRecord {
  /** `<kind>/<name>` → `<uid>/<generation>`. Empty: the guard was seen broken. */
  readonly objects: Readonly<Record<string, string>>;
  readonly wholeSince: Instant;
}

/** An API server takes over a changed policy within 0.2–1.1 s (measured); three seconds leave room for a second one. */
export const guardSettles: Milliseconds = 3 * second;

/** The shipped objects that are not there or whose spec, defaults included, differs: `<kind> <name> (missing|edited)`. */
export function brokenPolicies(
  shipped: readonly ShippedPolicy[],
  observed: readonly ObservedPolicy[],
): readonly string[] {
  const found = new Map(observed.map((o) => [idOf(o), o]));
  return shipped.flatMap((policy) => {
    const live = found.get(idOf(policy));
    if (live === undefined) return [`${policy.kind} ${policy.name} (missing)`];
    return same(defaultedSpec(policy), live.spec) ? [] : [`${policy.kind} ${policy.name} (edited)`];
  });
}

/** Which versions of the shipped objects are installed, in the form of {@link GuardRecord.objects}. */
export function installedVersions(
  shipped: readonly ShippedPolicy[],
  observed: readonly ObservedPolicy[],
): Readonly<Record<string, string>> {
  const ours = new Set(shipped.map(idOf));
  return Object.fromEntries(
    observed.filter((o) => ours.has(idOf(o))).map((o) => [idOf(o), `${o.uid}/${o.generation}`]),
  );
}

/** The record that says: whole as of `now`, in exactly these versions. */
export function recordWhole(objects: GuardRecord['objects'], now: Instant): GuardRecord {
  return { objects, wholeSince: plus(now, guardSettles) };
}

/** The record that no set of objects equals, so that being whole again starts a new *since*, also after a restart. */
export function recordBroken(now: Instant): GuardRecord {
  return { objects: {}, wholeSince: now };
}

/** Whether the guard was whole in exactly these versions ever since `record.wholeSince`. */
export function recordHolds(record: GuardRecord | undefined, objects: GuardRecord['objects']): record is GuardRecord {
  return record !== undefined && Object.keys(record.objects).length > 0 && same(record.objects, objects);
}

/** The API server tells its clock in whole seconds, and creation times of pods have whole seconds too. */
const clockGrain: Milliseconds = 2 * second;

/** Whether a pod that is created from `now` on will be trusted, `now` by the API server's clock as well as it is known. */
export function trustsNewPods(guard: Guard, now: Instant): boolean {
  return guard.is === 'Intact' && now >= plus(guard.since, clockGrain);
}

export type Trust = 'Valid' | 'ClaimInvalid' | 'PodOlderThanGuard';

/**
 * Whether the claim of a pod for an identity was written by admission as it stands now. `identity.uid` is that of the live CiIdentity: an
 * author with `use` can write a claim for an identity that does not exist yet, and only the uid makes it worthless. Creation times have
 * whole seconds, rounded down, so a pod of the very second of *since* is not trusted. Without an intact guard no pod is.
 */
export function trustPod(
  pod: PodFacts,
  identity: { readonly name: string; readonly uid: string },
  guard: Guard,
): Trust {
  if (claimOf(pod, identity.name) !== identity.uid) return 'ClaimInvalid';
  if (!pod.volumes.includes(identity.name) || pod.requester === undefined) return 'ClaimInvalid';
  return guard.is === 'Intact' && pod.created > guard.since ? 'Valid' : 'PodOlderThanGuard';
}

function claimOf(pod: PodFacts, identity: string): string | undefined {
  return Object.hasOwn(pod.claims, identity) ? pod.claims[identity] : undefined;
}

function idOf(policy: ShippedPolicy): string {
  return `${policy.kind}/${policy.name}`;
}

/**
 * The spec as kube-apiserver 1.36 returns it for what we ship (defaults of admissionregistration.k8s.io/v1). A test applies the shipped
 * files to a real API server and compares, so a version with other defaults shows there and not as a guard that never becomes whole.
 */
export function defaultedSpec(policy: ShippedPolicy): unknown {
  const spec = policy.spec;
  if (!isObject(spec) || !isObject(spec['matchConstraints'])) return spec;
  const constraints = spec['matchConstraints'];
  const rules = Array.isArray(constraints['resourceRules']) ? constraints['resourceRules'] : [];
  return {
    failurePolicy: 'Fail',
    ...spec,
    matchConstraints: {
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      ...constraints,
      resourceRules: rules.map((rule: unknown) => (isObject(rule) ? { scope: '*', ...rule } : rule)),
    },
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Equality of JSON values; the order of keys does not matter, that of list items does. */
function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isObject(a) || !isObject(b)) return a === b;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}
