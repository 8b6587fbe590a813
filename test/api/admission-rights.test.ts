import { readFile } from 'node:fs/promises';
import test from 'ava';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import {
  type AdmissionLab,
  createPods,
  grant,
  identitiesOf,
  identity,
  podsOf,
  startAdmissionLab,
  subject,
  type User,
} from './admission-lab.ts';

let lab: AdmissionLab;

test.before(async () => {
  lab = await startAdmissionLab({ audit: true });
  await lab.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'ci-payments', name: 'default' } },
    ...grant('ci-payments', 'create-pods', [subject('stranger')], [createPods]),
    identity('ci-payments', 'publisher'),
  );
});

test.after.always(async () => lab?.stop());

interface Right {
  readonly verb: string;
  /** `plural[/subresource][.group]`. */
  readonly resource: string;
  /** Absent: cluster-wide. */
  readonly namespace?: string;
  readonly name?: string;
}

async function holds(who: User, right: Right): Promise<boolean> {
  const [path = '', ...groupParts] = right.resource.split('.');
  const [resource, subresource] = path.split('/');
  const { verb, namespace, name } = right;
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb, resource, subresource, group: groupParts.join('.'), namespace, name } },
  };
  const { body } = await lab.send(who, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review, {
    dryRun: false,
  });
  return (body as { status: { allowed: boolean } }).status.allowed;
}

function rights(
  verbs: string,
  resources: readonly string[],
  at: Omit<Right, 'verb' | 'resource'> = {},
): readonly Right[] {
  return resources.flatMap((resource) => verbs.split(' ').map((verb) => ({ verb, resource, ...at })));
}

const ours = ['identitypools.ci-identity.dev', 'scopepolicies.ci-identity.dev', 'ciidentities.ci-identity.dev'];
const statuses = ours.map((resource) => resource.replace('.', '/status.'));
const policies = [
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
].map((plural) => `${plural}.admissionregistration.k8s.io`);
const home = { namespace: 'ci-identity-system' };
const agents = { namespace: 'ci-payments' };
const elsewhere = { namespace: 'elsewhere' };

const granted: readonly Right[] = [
  ...rights('list watch', [...ours, 'namespaces', 'nodes', ...policies]),
  ...rights('update patch', [...statuses, 'identitypools.ci-identity.dev']),
  ...rights('update', ['identitypools/finalizers.ci-identity.dev']),
  ...rights('get', ['namespaces'], { name: 'kube-system' }),
  ...ours.flatMap((name) => rights('get', ['customresourcedefinitions.apiextensions.k8s.io'], { name })),
  ...rights('create', ['subjectaccessreviews.authorization.k8s.io']),
  ...rights('get list watch create update delete', ['secrets'], home),
  ...rights('get list watch', ['configmaps'], home),
  ...rights('get create update', ['leases.coordination.k8s.io'], home),
  ...rights('create', ['pods'], home),
  ...rights('get list watch', ['pods'], agents),
  ...rights('create update', ['secrets'], agents),
  ...[home, agents, { namespace: 'default' }].flatMap((at) =>
    rights('create patch', ['events', 'events.events.k8s.io'], at),
  ),
];

const everything = 'get list watch create update patch delete deletecollection';

const withheld: readonly Right[] = [
  ...rights(everything, ['secrets', 'pods', 'configmaps', 'serviceaccounts', 'roles.rbac.authorization.k8s.io']),
  ...rights(everything, ['secrets', 'pods'], elsewhere),
  ...rights('get list watch patch delete deletecollection', ['secrets'], agents),
  ...rights('create update patch delete deletecollection', ['pods'], agents),
  ...rights('create', ['pods/exec', 'pods/binding', 'pods/ephemeralcontainers', 'serviceaccounts/token'], agents),
  ...rights('get list watch update patch delete', ['pods'], home),
  ...rights('create update patch delete', ['configmaps'], home),
  ...rights('create', ['serviceaccounts/token'], { ...home, name: 'controller' }),
  ...rights('create delete', ours),
  ...rights('update patch', ['scopepolicies.ci-identity.dev', 'ciidentities.ci-identity.dev']),
  ...rights('use', ['ciidentities.ci-identity.dev'], agents),
  ...rights('create update patch delete', [...policies, 'namespaces', 'nodes']),
  ...rights('get', ['namespaces'], { name: 'ci-payments' }),
  ...rights('impersonate', ['users', 'groups', 'serviceaccounts']),
  ...rights('bind escalate', ['clusterroles.rbac.authorization.k8s.io']),
];

test('the operator holds exactly what it needs: granted', async (t) => {
  for (const right of granted) t.true(await holds('controller', right), JSON.stringify(right));
});

test('the operator holds exactly what it needs: withheld', async (t) => {
  for (const right of withheld) t.false(await holds('controller', right), JSON.stringify(right));
});

test('no rule that the operator holds has a wildcard', async (t) => {
  for (const namespace of ['ci-identity-system', 'ci-payments', 'default']) {
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
    const { body } = await lab.send(
      'controller',
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
      review,
      { dryRun: false },
    );
    const { resourceRules } = (
      body as { status: { resourceRules: readonly { verbs: string[]; resources: string[]; apiGroups?: string[] }[] } }
    ).status;
    t.true(resourceRules.length > 5);
    for (const rule of resourceRules)
      t.false([...rule.verbs, ...rule.resources, ...(rule.apiGroups ?? [])].includes('*'), JSON.stringify(rule));
  }
});

test('the component gives Jenkins use of every identity there, and nobody else', async (t) => {
  const use = { verb: 'use', resource: 'ciidentities.ci-identity.dev' };
  t.true(await holds('jenkins', { ...use, ...agents, name: 'publisher' }));
  t.false(await holds('jenkins', { ...use, ...elsewhere }));
  for (const who of ['stranger', 'editor', 'admin', 'controller'] as const)
    t.false(await holds(who, { ...use, ...agents }), who);
});

test('edit and view reach CiIdentities through the aggregated roles, without use and status', async (t) => {
  const read = async (
    name: string,
  ): Promise<readonly { apiGroups: string[]; resources: string[]; verbs: string[] }[]> => {
    const { body } = await lab.send('cluster-admin', 'GET', `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`);
    return (body as { rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] }).rules.filter((rule) =>
      rule.apiGroups.includes('ci-identity.dev'),
    );
  };
  const verbs = async (role: string): Promise<string[]> => (await read(role)).flatMap((rule) => rule.verbs).toSorted();
  await eventually('aggregation is done', async () =>
    (await read('edit')).length > 0 && (await read('view')).length > 0 ? true : undefined,
  );
  t.deepEqual(await verbs('view'), ['get', 'list', 'watch']);
  t.deepEqual(await verbs('edit'), ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']);
  for (const role of ['view', 'edit', 'admin'])
    t.true(
      (await read(role)).every((rule) => rule.resources.join() === 'ciidentities'),
      role,
    );
});

test('the audit log of the API server keeps what a refused pod asked for', async (t) => {
  await eventually('the identity is known to admission', async () => {
    const { body } = await lab.send('stranger', 'POST', podsOf('ci-payments'), agentPod());
    return JSON.stringify(body).includes('may not use CiIdentity publisher') ? true : undefined;
  });
  await lab.send(
    'stranger',
    'POST',
    podsOf('ci-payments'),
    agentPod({ annotations: { 'ci-identity.dev/identities': 'nobody' } }),
  );
  const annotations = await eventually('the lines are written', async () => {
    const lines = (await readFile(lab.cluster.audit!, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"use.ci-identity.dev/identities"'));
    const found = lines.map((line) => (JSON.parse(line) as { annotations: Record<string, string> }).annotations);
    return found.find((a) => a['pods.ci-identity.dev/missing'] === 'nobody');
  });
  t.is(annotations['use.ci-identity.dev/identities'], 'publisher');
  t.is(annotations['use.ci-identity.dev/serviceAccount'], 'default');
});

test('the Deployment as shipped is admitted at Pod Security level restricted, and so are its pods', async (t) => {
  const rolled = await eventually('its pods exist', async () => {
    const { body } = await lab.send('cluster-admin', 'GET', podsOf('ci-identity-system'));
    const { items } = body as { items: readonly unknown[] };
    return items.length === 2 ? items : undefined;
  });
  t.is(rolled.length, 2);
  t.is((await lab.send('controller', 'GET', identitiesOf('ci-payments'))).status, 200);
});
