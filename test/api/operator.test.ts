/** The running program on a real API server with a real provider: from `kubectl apply` to a token, and every way in which a token ends. */
import test from 'ava';
import { registerResourceServer } from '#test/quickstart/resource-server.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  auditOf,
  condition,
  createPod,
  deliveryOf,
  dies,
  errorOf,
  identity,
  identityReady,
  introspect,
  isLive,
  policy,
  pool,
  refusalOf,
  registry,
  sessionGone,
  sessions,
  sha256,
  statusOf,
  team,
  tokenOf,
} from './operator-lab.ts';

let lab: Lab;
let operator: OperatorProcess;

const publishers = (scopes: readonly string[] = ['artifacts:publish', 'artifacts:read']): string =>
  policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes, namespaces: [team, 'ci-leaving'] });

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  operator = await lab.running();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    publishers(),
    policy('readers', { role: 'reader', pool: 'ci-bots', scopes: ['artifacts:read'] }),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    identity('reader', { pool: 'ci-bots', roles: ['reader'] }),
  );
  await identityReady(lab, 'publisher');
  await identityReady(lab, 'reader');
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

const ours = (): ReturnType<Lab['provider']['clients']> =>
  lab.provider.clients().filter(({ name }) => name?.startsWith('ci-identity') === true);

/** Pod names end as the plugin's do; each is used once. */
async function podWithToken(name = 'publisher'): Promise<{ readonly pod: Pod; readonly token: string }> {
  const pod = await createPod(lab, nextPodName(), [name]);
  return { pod, token: await tokenOf(lab, pod, name) };
}

test.serial(
  'a pool is one client at the provider, with the ceiling as its scopes, a key and the tag of this installation',
  async (t) => {
    const clients = ours();
    t.is(clients.length, 1);
    const [client] = clients;
    t.deepEqual(client?.scopes.toSorted(), ['artifacts:publish', 'artifacts:read']);
    t.is(client?.authentication, 'private_key_jwt');
    t.is(client?.kids.length, 1);
    const uid = (...object: string[]): Promise<string> =>
      lab.kubectl(['get', ...object, '-o', 'jsonpath={.metadata.uid}']);
    const installation = `${await uid('namespace', 'kube-system')}/ci-identity-system`;
    t.is(client?.softwareId, `${installation}/${await uid('identitypool', 'ci-bots')}`);
    t.regex(client?.name ?? '', /ci-bots/);
    const status = await statusOf(lab, 'identitypool/ci-bots');
    t.is(status['clientId'], client?.clientId);
    t.deepEqual(status['clients'], { total: 1, ready: 1 });
    t.is((status['credential'] as { generation: number }).generation, 1);
    for (const type of ['Ready', 'Registered', 'CredentialCurrent', 'RegistrationCredentialValid'])
      t.is(status.conditions?.find((one) => one.type === type)?.status, 'True', type);
  },
);

test.serial('the log calls the process what the lease calls it', async (t) => {
  const holder = [
    'lease',
    '-n',
    'ci-identity-system',
    'ci-identity-controller',
    '-o',
    'jsonpath={.spec.holderIdentity}',
  ];
  const line =
    operator
      .log()
      .split('\n')
      .find((one) => one.startsWith('{')) ?? '{}';
  t.is((JSON.parse(line) as { readonly replica: string }).replica, await lab.kubectl(['get', ...holder]));
});

test.serial(
  'an identity is Ready with what is granted, by which rule, and with the proof of the provider',
  async (t) => {
    const status = await statusOf(lab, 'ciidentity/publisher', team);
    t.deepEqual(status['grants'], [
      {
        audience: registry,
        scopes: [
          { name: 'artifacts:publish', policy: 'publishers', rule: 0 },
          { name: 'artifacts:read', policy: 'publishers', rule: 0 },
        ],
      },
    ]);
    for (const type of ['Ready', 'Authorized', 'Probed', 'Issuing', 'Exclusive'])
      t.is(status.conditions?.find((one) => one.type === type)?.status, 'True', type);
    t.is(status.conditions?.find((one) => one.type === 'Probed')?.reason, 'Probed');
    t.is(status.observedGeneration, 1);
    await eventually('the probe tokens are revoked', () => (lab.provider.liveTokens().length === 0 ? true : undefined));
    for (const name of ['publishers', 'readers'])
      await condition(lab, `scopepolicy/${name}`, 'Valid', { status: 'True' });
  },
);

test.serial('a pod gets a Secret of its own: type, owner, files that agree, the token nowhere twice', async (t) => {
  const { pod, token } = await podWithToken();
  const { type, metadata, files } = await deliveryOf(lab, pod, 'publisher');
  t.is(type, 'ci-identity.dev/token');
  t.is(metadata.ownerReferences.length, 1);
  t.like(metadata.ownerReferences[0], { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid });
  t.deepEqual(Object.keys(files).toSorted(), ['header', 'token', 'token.json']);
  t.is(files['header'], `Authorization: Bearer ${token}`);
  t.false(files['token.json']?.includes(token));
  const { expires_at, renew_at, ...facts } = JSON.parse(files['token.json'] ?? '') as Record<string, string>;
  t.deepEqual(facts as object, {
    scope: 'artifacts:publish artifacts:read',
    audience: [registry],
    issuer: lab.provider.issuer,
    token_type: 'Bearer',
    identity: 'publisher',
    session_id: `${pod.uid}.publisher`,
  });
  const exp = Date.parse(expires_at ?? '');
  t.true(Math.abs(exp - Date.now() - 600_000) < 60_000);
  t.true(Date.parse(renew_at ?? '') < exp);
  const [minted, ...more] = auditOf(operator).filter(({ event, pod: of }) => event === 'Minted' && of?.uid === pod.uid);
  t.deepEqual(more, []);
  t.like(minted, {
    outcome: 'Success',
    session_id: `${pod.uid}.publisher`,
    token_sha256: sha256(token),
    pool: 'ci-bots',
  });
  t.is(minted?.['requester'], 'system:serviceaccount:jenkins:jenkins');
});

test.serial('the token is live at the provider with exactly the scope and the audience', async (t) => {
  const { token } = await podWithToken();
  const client = await registerResourceServer(lab.provider);
  const answer = await introspect(lab.provider, client, token);
  t.is(answer['active'], true);
  t.is(answer['scope'], 'artifacts:publish artifacts:read');
  t.is(answer['aud'], registry);
  t.is(answer['client_id'], ours()[0]?.clientId);
});

test.serial('two identities on one pod are two sessions with a Secret each', async (t) => {
  const pod = await createPod(lab, nextPodName(), ['publisher', 'reader']);
  const publisher = await tokenOf(lab, pod, 'publisher');
  const reader = await tokenOf(lab, pod, 'reader');
  t.not(publisher, reader);
  const scopes = (token: string): readonly string[] | undefined =>
    lab.provider.liveTokens().find(({ value }) => value === token)?.scopes;
  t.deepEqual(scopes(publisher), ['artifacts:publish', 'artifacts:read']);
  t.deepEqual(scopes(reader), ['artifacts:read']);
  t.is((await sessions(lab)).filter((record) => record.pod.uid === pod.uid).length, 2);
});

test.serial(
  'a ScopePolicy loses a scope: a narrower token is delivered and the old one is dead within seconds',
  async (t) => {
    const { pod, token } = await podWithToken();
    await lab.apply(publishers(['artifacts:read']));
    await dies(lab.provider, token);
    const narrower = await tokenOf(lab, pod, 'publisher', token);
    t.deepEqual(lab.provider.liveTokens().find(({ value }) => value === narrower)?.scopes, ['artifacts:read']);
    await lab.apply(publishers());
    await eventually('the grant is back', async () =>
      JSON.stringify((await statusOf(lab, 'ciidentity/publisher', team))['grants']).includes('artifacts:publish')
        ? true
        : undefined,
    );
    t.true(isLive(lab.provider, narrower), 'widening takes nothing away');
  },
);

test.serial(
  'a ScopePolicy is deleted: tokens die, the pod reads why, and the next pod is refused with the sentence of the condition',
  async (t) => {
    const { pod, token } = await podWithToken();
    await lab.kubectl(['delete', 'scopepolicy', 'publishers']);
    await dies(lab.provider, token);
    const error = await errorOf(lab, pod, 'publisher');
    t.is(error.reason, 'NoRule');
    await sessionGone(lab, pod);
    const { message } = await condition(lab, 'ciidentity/publisher', 'Authorized', { status: 'False' }, team);
    t.true(error.message.endsWith(message), `${error.message}\n${message}`);
    const refusal = await eventually('the next pod is refused', async () => {
      const text = await refusalOf(createPod(lab, nextPodName(), ['publisher']));
      return text === '(not refused)' ? undefined : text;
    });
    t.true(refusal.includes(message), refusal);
    await lab.apply(publishers());
    t.not(await tokenOf(lab, pod, 'publisher'), token, 'with the policy back the same pod gets a token again');
    await identityReady(lab, 'publisher');
  },
);

const annotated = (resource: string): readonly [string[], string[]] => [
  ['annotate', ...resource.split(' '), 'ci-identity.dev/emergency-stop=incident 42'],
  ['annotate', ...resource.split(' '), 'ci-identity.dev/emergency-stop-'],
];
const suspend = (resource: string): readonly [string[], string[]] => {
  const patch = (value: string): string[] => [
    'patch',
    ...resource.split(' '),
    '--type=merge',
    '-p',
    `{"spec":{"suspend":${value}}}`,
  ];
  return [patch('true'), patch('null')];
};

const stops: readonly (readonly [string, string, readonly [string[], string[]]])[] = [
  ['suspend: true on the pool', 'IdentityPool ci-bots (spec.suspend)', suspend('identitypool ci-bots')],
  [
    'suspend: true on the identity',
    `CiIdentity ${team}/publisher (spec.suspend)`,
    suspend(`ciidentity publisher -n ${team}`),
  ],
  ['the annotation on the pool', 'IdentityPool ci-bots (annotation', annotated('identitypool ci-bots')],
  [
    'the annotation on the identity',
    `CiIdentity ${team}/publisher (annotation`,
    annotated(`ciidentity publisher -n ${team}`),
  ],
  ['the annotation on the Namespace', `Namespace ${team} (annotation`, annotated(`namespace ${team}`)],
  [
    'the ConfigMap emergency-stop',
    'ConfigMap ci-identity-system/emergency-stop',
    [
      ['create', 'configmap', 'emergency-stop', '-n', 'ci-identity-system', '--from-literal=reason=incident 42'],
      ['delete', 'configmap', 'emergency-stop', '-n', 'ci-identity-system'],
    ],
  ],
];

for (const [name, source, [set, lift]] of stops) {
  test.serial(
    `stopped by ${name}: dead within seconds, the pod reads who stops it, and it resumes when lifted`,
    async (t) => {
      const { pod, token } = await podWithToken();
      await lab.kubectl(set);
      await dies(lab.provider, token);
      const error = await errorOf(lab, pod, 'publisher');
      t.is(error.reason, 'Suspended');
      t.true(error.message.includes(source), error.message);
      const { message } = await condition(
        lab,
        'ciidentity/publisher',
        'Issuing',
        { status: 'False', reason: 'Suspended' },
        team,
      );
      t.true(message.includes(source), message);
      await condition(lab, 'ciidentity/publisher', 'Ready', { status: 'True', reason: 'Suspended' }, team);
      await lab.kubectl(lift);
      t.not(await tokenOf(lab, pod, 'publisher'), token);
      await identityReady(lab, 'publisher');
    },
  );
}

test.serial('why a pod has no token may change: error.json then says the new reason', async (t) => {
  const { pod, token } = await podWithToken();
  await lab.kubectl(stops[3]?.[2][0] ?? []);
  t.is((await errorOf(lab, pod, 'publisher')).reason, 'Suspended');
  await lab.kubectl(['delete', 'scopepolicy', 'publishers']);
  await lab.kubectl(stops[3]?.[2][1] ?? []);
  await eventually('error.json says NoRule', async () =>
    (await errorOf(lab, pod, 'publisher')).reason === 'NoRule' ? true : undefined,
  );
  await lab.apply(publishers());
  t.not(await tokenOf(lab, pod, 'publisher'), token);
  await identityReady(lab, 'publisher');
});

const phase = async (pod: Pod, value: string): Promise<void> => {
  const patch = JSON.stringify({ status: { phase: value } });
  await lab.kubectl([
    'patch',
    'pod',
    '-n',
    pod.namespace,
    pod.name,
    '--subresource=status',
    '--type=merge',
    '-p',
    patch,
  ]);
};

const ends: readonly (readonly [string, (pod: Pod) => Promise<unknown>, boolean])[] = [
  ['deleted', (pod) => lab.kubectl(['delete', 'pod', '-n', pod.namespace, pod.name, '--wait=false']), false],
  ['Succeeded', (pod) => phase(pod, 'Succeeded'), true],
  ['Failed', (pod) => phase(pod, 'Failed'), true],
];

for (const [name, end, stays] of ends) {
  test.serial(`a pod is ${name}: its token is dead within seconds and no session record is left`, async (t) => {
    const { pod, token } = await podWithToken();
    await end(pod);
    await dies(lab.provider, token);
    await sessionGone(lab, pod);
    if (stays)
      await eventually('the pod object stays, its file does not', async () =>
        Object.keys((await deliveryOf(lab, pod, 'publisher')).files).length === 0 ? true : undefined,
      );
    else
      await eventually(
        'the Secret goes with its pod',
        async () => (await refusalOf(deliveryOf(lab, pod, 'publisher'))).includes('not found') || undefined,
      );
    t.false(isLive(lab.provider, token));
  });
}

test.serial('a namespace loses its label: its tokens die and no session record is left', async (t) => {
  await lab.agentNamespace('ci-leaving');
  await lab.apply(identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }, 'ci-leaving'));
  await identityReady(lab, 'publisher', 'ci-leaving').catch(() => undefined);
  const pod = await eventually('a pod is admitted with its identity', () =>
    createPod(lab, nextPodName(), ['publisher'], { namespace: 'ci-leaving' }).catch(() => undefined),
  );
  const token = await tokenOf(lab, pod, 'publisher');
  await lab.kubectl(['label', 'namespace', 'ci-leaving', 'ci-identity.dev/inject-']);
  await dies(lab.provider, token);
  await sessionGone(lab, pod);
  t.false(isLive(lab.provider, token));
});

test.serial(
  'an identity that asks for more than is granted: Authorized=False, and the pod is refused with that sentence',
  async (t) => {
    await lab.apply(identity('deployer', { pool: 'ci-bots', roles: ['publisher'], scopes: ['deploy:production'] }));
    const { message, reason } = await condition(lab, 'ciidentity/deployer', 'Authorized', { status: 'False' }, team);
    t.is(reason, 'NoRule');
    t.true(message.includes('deploy:production'), message);
    const refusal = await eventually('the pod is refused', async () => {
      const text = await refusalOf(createPod(lab, nextPodName(), ['deployer']));
      return text.includes('deploy:production') ? text : undefined;
    });
    t.regex(refusal, /Forbidden|forbidden/);
    t.true(refusal.includes(message), refusal);
  },
);

test.serial(
  'a policy of ours is deleted: nothing is minted, running tokens stay; restored: pods created later get tokens',
  async (t) => {
    const { pod, token } = await podWithToken();
    await lab.kubectl(['delete', 'validatingadmissionpolicy', 'secrets.ci-identity.dev']);
    const { message } = await condition(
      lab,
      'ciidentity/publisher',
      'Issuing',
      { status: 'False', reason: 'GuardMissing' },
      team,
    );
    t.true(message.includes('secrets.ci-identity.dev'), message);
    const guard = (): string =>
      auditOf(operator)
        .flatMap(({ event, message }) => (/^(Unguarded|Guarded)$/.test(event) ? [`${event} ${String(message)}`] : []))
        .join('\n');
    const unguarded = /Unguarded [^\n]*secrets\.ci-identity\.dev/;
    await eventually('the audit says so', () => (unguarded.test(guard()) ? true : undefined));
    const before = lab.provider.issued();
    const unlucky = await createPod(lab, nextPodName(), ['publisher']);
    // So long a pod never waits for its token where nothing holds it up.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    t.is(lab.provider.issued(), before, 'nothing is minted');
    t.true(isLive(lab.provider, token));
    t.is((await deliveryOf(lab, pod, 'publisher')).files['token'], token);
    await lab.kubectl(['apply', '--server-side', '-k', 'manifests/admission']);
    // The API server enforces a policy that was just made only after a while, and the guard believes it only then.
    const told = await eventually('the pod is told', () => errorOf(lab, unlucky, 'publisher'), { timeoutMs: 90_000 });
    t.is(told.reason, 'PodOlderThanGuard');
    await eventually('the audit says that all is whole again', () =>
      new RegExp(`${unguarded.source}[^]*\\nGuarded whole since`).test(guard()) ? true : undefined,
    );
    await lab.guarded();
    await podWithToken();
    await eventually('the identity is Ready', () => identityReady(lab, 'publisher'), { timeoutMs: 90_000 });
    t.true(isLive(lab.provider, token));
  },
);
