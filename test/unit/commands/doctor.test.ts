import test from 'ava';
import type { IdentityPool } from '#src/api/v1alpha1/identity-pool.ts';
import { instant, second, toRfc3339 } from '#src/clock.ts';
import { diagnose, findingsText } from '#src/commands/doctor.ts';
import { type Facts, readShippedRoles } from '#src/commands/doctor-facts.ts';
import { type Definition, readShippedDefinitions } from '#src/kube/definitions.ts';
import { type PolicyRule, type RawRole, type RawSubject, grantsOf } from '#src/commands/rights.ts';
import { defaultedSpec } from '#src/domain/access/trust.ts';
import { readShippedPolicies } from '#src/kube/guard.ts';
import { identity, policy, pool, rule } from '../domain/access/objects.ts';

const now = instant(1_790_000_000_000);
const read = <T>(value: T): { readonly is: 'Read'; readonly value: T } => ({ is: 'Read', value });
const shippedDefinitions = readShippedDefinitions();
const shippedAdmission = readShippedPolicies();
const established = shippedDefinitions.map((one): Definition => ({
  ...one,
  status: { conditions: [{ type: 'Established', status: 'True' }] },
}));
const operator: RawSubject = { kind: 'ServiceAccount', namespace: 'ci-identity-system', name: 'controller' };
const jenkins: RawSubject = { kind: 'ServiceAccount', namespace: 'jenkins', name: 'jenkins' };
const secrets = (...verbs: string[]): PolicyRule => ({ apiGroups: [''], resources: ['secrets'], verbs });
const pods: PolicyRule = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] };
const use: PolicyRule = { apiGroups: ['ci-identity.dev'], resources: ['ciidentities'], verbs: ['use'] };

/** Binds rules to a subject, in a namespace or (absent) in the whole cluster. */
interface Bound {
  readonly rules: readonly PolicyRule[];
  readonly subject: RawSubject;
  readonly namespace?: string;
}

const shippedRoles = readShippedRoles();
const ownBindings = (roles: readonly RawRole[]): readonly Bound[] =>
  roles.map(({ metadata: { namespace }, rules }) => ({
    subject: operator,
    rules: rules ?? [],
    ...(namespace === undefined ? {} : { namespace }),
  }));

/** What is shipped, without what is about this resource. */
const ownRightsWithout = (lost: string): Facts['grants'] => {
  const roles = shippedRoles.map((role) => ({
    ...role,
    rules: (role.rules ?? []).filter(({ resources = [] }) => !resources.includes(lost)),
  }));
  return grants(...healthyBindings.filter(({ subject }) => subject !== operator), ...ownBindings(roles), agentRights);
};

const agentRights: Bound = {
  namespace: 'ci-payments',
  subject: operator,
  rules: [pods, secrets('create', 'update')],
};
const healthyBindings: readonly Bound[] = [
  agentRights,
  { namespace: 'ci-payments', subject: jenkins, rules: [use] },
  ...ownBindings(shippedRoles),
  { subject: { kind: 'Group', name: 'system:masters' }, rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] },
  { subject: { kind: 'User', name: 'root' }, rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] },
  { subject: { kind: 'ServiceAccount', namespace: 'kube-system', name: 'gc' }, rules: [secrets('*')] },
];

const grants = (...bound: readonly Bound[]): Facts['grants'] => {
  const meta = (index: number, namespace?: string): { name: string; namespace?: string } => ({
    name: `b${index}`,
    ...(namespace === undefined ? {} : { namespace }),
  });
  return read(
    grantsOf(
      bound.map(({ rules, namespace }, index) => ({ metadata: meta(index, namespace), rules })),
      bound.map(({ subject, namespace }, index) => ({
        metadata: meta(index, namespace),
        roleRef: { kind: namespace === undefined ? 'ClusterRole' : 'Role', name: `b${index}` },
        subjects: [subject],
      })),
    ),
  );
};

const namespace = (name: string, labels: Readonly<Record<string, string>> = {}, annotations = {}): object => ({
  metadata: { name, labels, annotations },
});
const baseline = { 'ci-identity.dev/inject': 'enabled', 'pod-security.kubernetes.io/enforce': 'baseline' };
const agents = namespace('ci-payments', baseline);
const namespaces = (...more: readonly object[]): Facts['namespaces'] => read([agents, ...more]) as Facts['namespaces'];
const withReady = (
  status: string,
  reason: string,
  message: string,
  ...untrue: readonly { readonly type: string; readonly reason: string }[]
): IdentityPool =>
  ({
    ...pool(),
    status: {
      observedGeneration: 1,
      conditions: [
        { type: 'Ready', status, reason, message, lastTransitionTime: toRfc3339(now) },
        ...untrue.map((one) => ({ ...one, status: 'False', message, lastTransitionTime: toRfc3339(now) })),
      ],
    },
  }) as IdentityPool;

const protection = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'].map((kind) => ({
  kind,
  name: 'uninstall.ci-identity.dev',
  uid: kind,
  generation: 1,
  spec: {},
}));
const wholeAdmission = [
  ...shippedAdmission.map((one) => ({ ...one, spec: defaultedSpec(one), uid: one.name, generation: 1 })),
  ...protection,
];

const healthy: Facts = {
  operatorNamespace: 'ci-identity-system',
  now,
  serverOffset: 0,
  version: { major: 1, minor: 36, text: 'v1.36.3' },
  definitions: read(established),
  shippedDefinitions,
  admission: read(wholeAdmission),
  shippedAdmission,
  namespaces: namespaces(),
  pools: read([withReady('True', 'Ready', 'fine.')]),
  policies: read([]),
  identities: read([]),
  lease: read({ spec: { holderIdentity: 'a', renewTime: toRfc3339(now) } }),
  emergencyStop: read(undefined),
  grants: grants(...healthyBindings),
  shippedRoles,
};

const without = (index: number): Facts['grants'] => grants(...healthyBindings.toSpliced(index, 1));
const plus = (...more: readonly Bound[]): Facts['grants'] => grants(...healthyBindings, ...more);
const anybody: RawSubject = { kind: 'Group', name: 'system:authenticated' };
const eve: RawSubject = { kind: 'User', name: 'eve' };

/** What is changed in a healthy installation, and the one finding that follows. */
const cases: readonly (readonly [string, Partial<Facts>, string])[] = [
  [
    'an old API server',
    { version: { major: 1, minor: 35, text: 'v1.35.0' } },
    'Problem: API server has version v1.35.0',
  ],
  [
    'a missing definition',
    { definitions: read(established.slice(1)) },
    'Problem: CustomResourceDefinition identitypools.ci-identity.dev is missing',
  ],
  [
    'an older definition',
    { definitions: read([withoutField(established[0]), ...established.slice(1)]) },
    'Problem: CustomResourceDefinition identitypools.ci-identity.dev is older than this program',
  ],
  [
    'a newer one',
    { shippedDefinitions: [withoutField(shippedDefinitions[0]), ...shippedDefinitions.slice(1)] },
    'Warning: CustomResourceDefinition identitypools.ci-identity.dev is newer than this program',
  ],
  [
    'one that the API server does not accept',
    { definitions: read([...established.slice(0, 2), ...shippedDefinitions.slice(2)]) },
    'Problem: CustomResourceDefinition ciidentities.ci-identity.dev is not Established',
  ],
  [
    'a missing admission policy',
    { admission: read(wholeAdmission.slice(1)) },
    `Problem: ${shippedAdmission[0]?.kind} ${shippedAdmission[0]?.name} (missing) is not as this version ships it`,
  ],
  [
    'an installation whose kinds may be deleted under live clients',
    { admission: read(wholeAdmission.slice(0, -2)) },
    'Warning: ValidatingAdmissionPolicy uninstall.ci-identity.dev or its binding is not installed',
  ],
  [
    'a protection without its binding',
    { admission: read(wholeAdmission.slice(0, -1)) },
    'Warning: ValidatingAdmissionPolicy uninstall.ci-identity.dev or its binding is not installed',
  ],
  ['no lease', { lease: read(undefined) }, 'Problem: operator in namespace ci-identity-system has no leader'],
  [
    'a lease that nobody renews',
    { lease: read({ spec: { holderIdentity: 'a', renewTime: toRfc3339(instant(now - 90 * second)) } }) },
    'Problem: operator in namespace ci-identity-system has no leader',
  ],
  [
    'an operator whose clock is ahead',
    { lease: read({ spec: { holderIdentity: 'a', renewTime: toRfc3339(instant(now + 30 * second)) } }) },
    'Problem: operator in namespace ci-identity-system has a clock that is 30s ahead of the API server',
  ],
  [
    'a machine whose clock is behind',
    {
      serverOffset: 20 * second,
      lease: read({ spec: { holderIdentity: 'a', renewTime: toRfc3339(instant(now + 20 * second)) } }),
    },
    'Warning: this machine has a clock that is 20s behind the API server',
  ],
  [
    'an emergency stop',
    { emergencyStop: read({ data: { reason: 'drill' } }) },
    'Warning: ConfigMap ci-identity-system/emergency-stop stops everything',
  ],
  [
    'a label with another value',
    { namespaces: namespaces(namespace('x', { 'ci-identity.dev/inject': 'true' })) },
    'Problem: Namespace x has the label ci-identity.dev/inject with another value than enabled',
  ],
  [
    'identities without the label',
    { namespaces: namespaces(namespace('x')), identities: read([ready(identity({}, { namespace: 'x' }))]) },
    'Problem: Namespace x has 1 CiIdentity and does not opt in',
  ],
  [
    'agent pods that may use the node',
    { namespaces: read([namespace('ci-payments', { 'ci-identity.dev/inject': 'enabled' })]) as Facts['namespaces'] },
    'Warning: Namespace ci-payments lets its pods use the node',
  ],
  [
    'a stopped namespace',
    { namespaces: namespaces(namespace('x', {}, { 'ci-identity.dev/emergency-stop': 'INC-1' })) },
    'Warning: Namespace x is stopped by annotation',
  ],
  [
    'a provider that is away',
    { pools: read([withReady('False', 'ProviderUnavailable', 'issuer x cannot be reached.')]) },
    'Problem: IdentityPool ci-bots is not Ready (ProviderUnavailable)',
  ],
  [
    'a pool that mints, and whose management token is lost',
    {
      pools: read([
        withReady('True', 'Ready', 'fine.', { type: 'Authenticating', reason: 'RegistrationAccessTokenLost' }),
      ]),
    },
    'Warning: IdentityPool ci-bots has condition Authenticating=False (RegistrationAccessTokenLost)',
  ],
  [
    'an identity that the policies deny what it asks for',
    { identities: read([denied('NoRule', 'NoRule')]) },
    'Info: CiIdentity ci-payments/publisher is denied what it asks for (NoRule)',
  ],
  [
    'an identity that is denied this for one reason and that for another',
    { identities: read([denied('NothingGranted', 'NoRule', 'OutsideCeiling')]) },
    'Info: CiIdentity ci-payments/publisher is denied what it asks for (NothingGranted)',
  ],
  [
    'an identity that the policies deny something, and that is wrong too',
    { identities: read([denied('NothingGranted', 'NoRule', 'AudienceUnclear')]) },
    'Problem: CiIdentity ci-payments/publisher is not Ready (NothingGranted)',
  ],
  [
    'an identity whose pool is missing',
    { identities: read([denied('PoolMissing', 'PoolMissing')]) },
    'Problem: CiIdentity ci-payments/publisher is not Ready (PoolMissing)',
  ],
  [
    'a slip in the namespace of a rule',
    { policies: read([known(policy('releases', [rule({ namespaces: ['ci-payments', 'ci-paymnets'] })]))]) },
    'Warning: ScopePolicy releases (spec.rules[0]) lists namespace ci-paymnets, which does not exist',
  ],
  [
    'a namespace that is announced',
    { policies: read([known(policy('releases', [rule({ namespaces: ['tomorrow'] })]))]) },
    'Info: ScopePolicy releases (spec.rules[0]) lists namespace tomorrow, which does not exist',
  ],
  [
    'one role of two that no rule names',
    {
      policies: read([known(policy('releases', [rule()]))]),
      identities: read([ready(identity({ roles: ['publisher', 'deployer'] }))]),
    },
    'Warning: CiIdentity ci-payments/publisher has role deployer, which gives nothing',
  ],
  [
    'a pool that nobody looked at',
    { pools: read([pool()]) },
    'Warning: IdentityPool ci-bots was not looked at since its last change',
  ],
  [
    'no rights for the operator',
    { grants: without(0) },
    'Problem: Namespace ci-payments opts in, but the operator has not its rights there',
  ],
  [
    'an operator that may not ask who may use what',
    { grants: ownRightsWithout('subjectaccessreviews') },
    'Problem: operator in namespace ci-identity-system lacks rights for the whole cluster',
  ],
  [
    'an operator that may not look at its own definitions, which it may by name only',
    { grants: ownRightsWithout('customresourcedefinitions') },
    'Problem: operator in namespace ci-identity-system lacks rights for the whole cluster',
  ],
  [
    'an operator that may not write its lease',
    { grants: ownRightsWithout('leases') },
    'Problem: operator in namespace ci-identity-system lacks rights in namespace ci-identity-system',
  ],
  [
    'an operator that may read Secrets of agents',
    { grants: plus({ namespace: 'ci-payments', subject: operator, rules: [secrets('get')] }) },
    'Problem: Namespace ci-payments gives the operator more than it needs',
  ],
  [
    'nobody may use',
    { grants: without(1) },
    'Problem: Namespace ci-payments has no creator that may use its identities',
  ],
  [
    'everybody may use',
    { grants: plus({ namespace: 'ci-payments', subject: anybody, rules: [use] }) },
    'Problem: Namespace ci-payments lets Group system:authenticated use its identities',
  ],
  [
    'a group of users may use',
    { grants: plus({ namespace: 'ci-payments', subject: { kind: 'Group', name: 'developers' }, rules: [use] }) },
    'Warning: Namespace ci-payments lets Group developers use its identities, which the operator does not see',
  ],
  [
    'an account of the namespace may use',
    { grants: plus({ namespace: 'ci-payments', subject: { ...jenkins, namespace: 'ci-payments' }, rules: [use] }) },
    'Warning: Namespace ci-payments lets its own ServiceAccount ci-payments/jenkins use its identities',
  ],
  [
    'use in the whole cluster',
    { grants: plus({ subject: eve, rules: [use] }) },
    'Warning: Namespace ci-payments lets User eve use its identities, as every namespace does',
  ],
  [
    'somebody who may read tokens',
    { grants: plus({ namespace: 'ci-payments', subject: eve, rules: [secrets('get', 'list')] }) },
    'Warning: Namespace ci-payments lets User eve get, list Secrets',
  ],
  [
    'somebody who may read records',
    { grants: plus({ namespace: 'ci-identity-system', subject: eve, rules: [secrets('delete')] }) },
    'Problem: Namespace ci-identity-system lets User eve delete Secrets',
  ],
  [
    'a Jenkins that creates pods in every namespace',
    { grants: plus({ subject: jenkins, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['create'] }] }) },
    'Problem: Namespace ci-identity-system lets ServiceAccount jenkins/jenkins act as the operator',
  ],
  [
    'rights that may not be read',
    { grants: { is: 'Withheld', message: 'you may not list roles: ask' } },
    'Unchecked: rights of the operator not checked',
  ],
];

function known(one: ReturnType<typeof policy>): ReturnType<typeof policy> {
  return { ...one, status: { observedGeneration: 1, conditions: [] } };
}

function ready(one: ReturnType<typeof identity>): ReturnType<typeof identity> {
  return { ...one, status: { observedGeneration: 1, conditions: [] } };
}

/** Not Ready for this reason, with these reasons of its denials. */
function denied(reason: string, ...reasons: readonly string[]): ReturnType<typeof identity> {
  const condition = {
    type: 'Ready',
    status: 'False' as const,
    reason,
    message: 'x.',
    lastTransitionTime: toRfc3339(now),
  };
  const denials = reasons.map((why) => ({ reason: why, message: 'x.' }));
  return { ...identity({}), status: { observedGeneration: 1, conditions: [condition], denials } };
}

/** The same definition without the field `spec.suspend`. */
function withoutField(definition: Definition | undefined): Definition {
  const text = JSON.stringify(definition, (key, value: unknown) => (key === 'suspend' ? undefined : value));
  return JSON.parse(text) as Definition;
}

test('the doctor has nothing to say of a healthy installation', (t) => {
  t.deepEqual(diagnose(healthy), []);
  t.is(findingsText([]), '0 problems, 0 warnings, 0 for information, 0 not checked.\n');
});

for (const [name, change, expected] of cases) {
  test(`doctor: ${name}`, (t) => {
    const lines = diagnose({ ...healthy, ...change }).map(({ level, subject, what }) => `${level}: ${subject} ${what}`);
    t.true(lines.includes(expected), lines.join('\n') || '(no finding)');
    t.deepEqual(
      lines.filter((line) => line !== expected && !line.startsWith('Unchecked')),
      [],
    );
  });
}

test('doctor: a pool that is being deleted waits for an operator that is not there', (t) => {
  const leaving = {
    ...pool({}, { deletionTimestamp: toRfc3339(now) }),
    status: { observedGeneration: 1 },
  } as IdentityPool;
  const subjects = (lease: Facts['lease']): readonly string[] =>
    diagnose({ ...healthy, pools: read([leaving]), lease }).map(({ subject, what }) => `${subject} ${what}`);
  t.deepEqual(subjects(healthy.lease), [], 'the operator says itself what it waits for');
  t.deepEqual(subjects(read(undefined)), [
    'operator in namespace ci-identity-system has no leader',
    'IdentityPool ci-bots is being deleted and waits for the operator',
  ]);
});

test('doctor: one creator in two namespaces', (t) => {
  const second_ = namespace('ci-search', baseline);
  const bound = healthyBindings.slice(0, 2).map((one) => ({ ...one, namespace: 'ci-search' }));
  const [found, ...more] = diagnose({ ...healthy, namespaces: namespaces(second_), grants: plus(...bound) });
  t.like(found, {
    level: 'Warning',
    subject: 'ServiceAccount jenkins/jenkins',
    what: 'may use identities in 2 namespaces',
  });
  t.deepEqual(more, []);
});

test('doctor: rights come before the label, with which alone every agent pod is refused', (t) => {
  for (const labelled of [{}, { 'ci-identity.dev/inject': 'true' }]) {
    const [found] = diagnose({
      ...healthy,
      namespaces: namespaces(namespace('x', labelled)),
      identities: read([ready(identity({}, { namespace: 'x' }))]),
    });
    t.is(
      found?.fix,
      'apply the component manifests/components/agent-namespace there first, or its agent pods are refused; then kubectl label namespace x --overwrite ci-identity.dev/inject=enabled',
    );
  }
});

test('doctor: subject – what – why – what to do, on one line, the worst first', (t) => {
  const findings = diagnose({
    ...healthy,
    emergencyStop: read({ data: { reason: 'drill\u001b[31m\nPROBLEM  forged' } }),
    lease: read(undefined),
  });
  t.is(
    findingsText(findings),
    `PROBLEM    operator in namespace ci-identity-system has no leader: nobody holds its lease, so nothing is issued, renewed or revoked. See kubectl get pods,lease -n ci-identity-system.
WARNING    ConfigMap ci-identity-system/emergency-stop stops everything: drill?[31m?PROBLEM  forged. Delete it to go on.

1 problem, 1 warning, 0 for information, 0 not checked.
`,
  );
});
