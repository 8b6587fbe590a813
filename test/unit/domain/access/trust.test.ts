import test from 'ava';
import fc from 'fast-check';
import { instant, plus, second } from '#src/clock.ts';
import type { Guard } from '#src/domain/access/access.ts';
import {
  brokenPolicies,
  defaultedSpec,
  guardSettles,
  installedVersions,
  type ObservedPolicy,
  recordBroken,
  recordHolds,
  recordWhole,
  type ShippedPolicy,
  trustPod,
} from '#src/domain/access/trust.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import { readShippedPolicies } from '#src/kube/guard.ts';

const now = instant(1_795_000_000_000);
const shipped = readShippedPolicies();

function installed(): readonly ObservedPolicy[] {
  return shipped.map((policy, i) => ({ ...policy, spec: defaultedSpec(policy), uid: `uid-${i}`, generation: 1 }));
}

function withSpec(policy: ObservedPolicy, change: (spec: Record<string, unknown>) => void): ObservedPolicy {
  const spec = structuredClone(policy.spec) as Record<string, unknown>;
  change(spec);
  return { ...policy, spec };
}

function label(object: ShippedPolicy): string {
  return `${object.kind} ${object.name}`;
}

test('what is shipped is seven policies with a binding each', (t) => {
  t.is(shipped.length, 14);
  t.is(new Set(shipped.map(label)).size, 14);
  t.deepEqual(brokenPolicies(shipped, installed()), []);
});

for (const object of shipped) {
  test(`${label(object)} is missed and named`, (t) => {
    const rest = installed().filter((o) => label(o) !== label(object));
    t.deepEqual(brokenPolicies(shipped, rest), [`${label(object)} (missing)`]);
  });
}

const policy = (name: string): string => `ValidatingAdmissionPolicy ${name}.ci-identity.dev`;
const binding = (name: string): string => `ValidatingAdmissionPolicyBinding ${name}.ci-identity.dev`;
const labelled = { matchLabels: { a: 'b' } };
const anything = { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'], scope: '*' };

const edits: readonly [what: string, target: string, at: string, value: unknown][] = [
  ['an added objectSelector', policy('use'), 'matchConstraints.objectSelector', labelled],
  ['a namespaceSelector', policy('pods'), 'matchConstraints.namespaceSelector', labelled],
  ['excludeResourceRules', policy('claims'), 'matchConstraints.excludeResourceRules', [anything]],
  ['an added match condition', policy('secrets'), 'matchConditions.2', { name: 'never', expression: 'false' }],
  ['failurePolicy Ignore', policy('identities'), 'failurePolicy', 'Ignore'],
  ['matchPolicy Exact', policy('use'), 'matchConstraints.matchPolicy', 'Exact'],
  ['a narrower scope', policy('use'), 'matchConstraints.resourceRules.0.scope', 'Cluster'],
  ['a weakened expression', policy('use'), 'validations.1.expression', 'true'],
  ['no validations', policy('use'), 'validations', []],
  ['a binding that only audits', binding('secrets'), 'validationActions', ['Audit']],
  ['a binding with matchResources', binding('use'), 'matchResources', { namespaceSelector: labelled }],
  ['a binding to another policy', binding('claims'), 'policyName', 'else'],
  ['some parameters only', binding('identities'), 'paramRef.selector', labelled],
  ['reinvocation Never', 'MutatingAdmissionPolicy inject.ci-identity.dev', 'reinvocationPolicy', 'Never'],
];

function put(node: unknown, [key = '', ...rest]: readonly string[], value: unknown): void {
  const at = node as Record<string, unknown>;
  if (rest.length === 0) at[key] = value;
  else put(at[key], rest, value);
}

for (const [what, target, at, value] of edits) {
  test(`an edit shows: ${what}`, (t) => {
    const live = installed().map((o) =>
      label(o) === target ? withSpec(o, (spec) => put(spec, at.split('.'), value)) : o,
    );
    t.deepEqual(brokenPolicies(shipped, live), [`${target} (edited)`]);
  });
}

test('any change at any place of any spec shows', (t) => {
  fc.assert(
    fc.property(
      fc.nat({ max: shipped.length - 1 }),
      fc.nat(),
      fc.constantFrom('drop', 'add', 'replace'),
      (index, seed, how) => {
        const live = installed().map((o, i) => (i === index ? withSpec(o, (spec) => alter(spec, seed, how)) : o));
        t.is(brokenPolicies(shipped, live).length, 1);
      },
    ),
    { numRuns: 300 },
  );
});

/** Walks to a place that `seed` chooses and changes it there. */
function alter(node: Record<string, unknown>, seed: number, how: string): void {
  const keys = Object.keys(node);
  const key = keys[seed % keys.length]!;
  const child: unknown = node[key];
  if (typeof child === 'object' && child !== null && Object.keys(child).length > 0 && seed % 3 !== 0) {
    alter(child as Record<string, unknown>, Math.floor(seed / 3), how);
  } else if (how === 'drop' && !Array.isArray(node)) delete node[key];
  else if (how === 'add' && !Array.isArray(node)) node['added'] = true;
  else node[key] = { replaced: true };
}

test('objects of others do not matter, whatever they look like', (t) => {
  const foreign: ObservedPolicy = {
    kind: 'ValidatingAdmissionPolicy',
    name: 'x.example.com',
    uid: 'u',
    generation: 7,
    spec: null,
  };
  t.deepEqual(brokenPolicies(shipped, [...installed(), foreign]), []);
  t.deepEqual(installedVersions(shipped, [foreign]), {});
});

const versions = installedVersions(shipped, installed());
const record = recordWhole(versions, now);
const differences: readonly [what: string, objects: Readonly<Record<string, string>>][] = [
  ['another uid', { ...versions, 'ValidatingAdmissionPolicy/use.ci-identity.dev': 'other/1' }],
  [
    'a later generation, whatever the spec says now',
    { ...versions, 'ValidatingAdmissionPolicy/use.ci-identity.dev': 'uid-2/2' },
  ],
  ['one object less', Object.fromEntries(Object.entries(versions).slice(1))],
  ['none at all', {}],
];

test('a record holds for exactly the versions that it names', (t) => {
  t.is(Object.keys(versions).length, 14);
  t.true(recordHolds(record, versions));
  for (const [what, objects] of differences) t.false(recordHolds(record, objects), what);
  t.false(recordHolds(undefined, versions));
});

test('after a broken guard nothing holds, not even nothing', (t) => {
  t.false(recordHolds(recordBroken(now), versions));
  t.false(recordHolds(recordBroken(now), {}));
});

test('whole since is three seconds after it was seen whole', (t) => {
  t.is(guardSettles, 3 * second);
  t.is(record.wholeSince, plus(now, 3 * second));
});

const pod: PodFacts = {
  namespace: 'ci-payments',
  name: 'agent',
  uid: 'pod-uid',
  resourceVersion: '1',
  created: plus(now, 60 * second),
  deleting: false,
  phase: 'Pending',
  requester: 'system:serviceaccount:jenkins:jenkins',
  claims: { publisher: 'identity-uid', other: 'other-uid' },
  volumes: ['publisher'],
  labels: {},
  containers: ['jnlp'],
};
const { requester: _, ...anonymous } = pod;
const identity = { name: 'publisher', uid: 'identity-uid' };
const intact: Guard = { is: 'Intact', since: now };

const trusts: readonly [
  what: string,
  pod: PodFacts,
  identity: { name: string; uid: string },
  guard: Guard,
  trust: string,
][] = [
  ['claim, volume and a pod after the guard', pod, identity, intact, 'Valid'],
  ['no claim for the identity', { ...pod, claims: {} }, identity, intact, 'ClaimInvalid'],
  ['claim of an identity that was made again', pod, { ...identity, uid: 'new-uid' }, intact, 'ClaimInvalid'],
  ['claim without volume', { ...pod, volumes: ['other'] }, identity, intact, 'ClaimInvalid'],
  ['claim without requester', anonymous, identity, intact, 'ClaimInvalid'],
  [
    'an identity named like an object property',
    { ...pod, volumes: ['constructor'] },
    { name: 'constructor', uid: 'x' },
    intact,
    'ClaimInvalid',
  ],
  ['pod before the guard', { ...pod, created: plus(now, -second) }, identity, intact, 'PodOlderThanGuard'],
  ['pod in the very moment', { ...pod, created: now }, identity, intact, 'PodOlderThanGuard'],
  ['pod one millisecond later', { ...pod, created: plus(now, 1) }, identity, intact, 'Valid'],
  ['guard missing', pod, identity, { is: 'Missing', objects: ['x'] }, 'PodOlderThanGuard'],
  ['guard unknown', pod, identity, { is: 'Unknown' }, 'PodOlderThanGuard'],
];

for (const [what, facts, of, guard, trust] of trusts) {
  test(`trust: ${what} is ${trust}`, (t) => {
    t.is(trustPod(facts, of, guard), trust as never);
  });
}
