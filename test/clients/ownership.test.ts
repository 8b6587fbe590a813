/** Whose client it is: drift of ours is mended, another one's is left alone, a lost management token heals, nothing is forgotten. */
import test from 'ava';
import {
  auditOf,
  condition,
  createPod,
  identity,
  identityReady,
  isLive,
  metric,
  policy,
  pool,
  tokenOf,
} from '#test/api/operator-lab.ts';
import type { Fault } from '#test/providers/oidc-provider-faults.ts';
import { eventually } from '#test/support/eventually.ts';
import { startFaultProxyOf } from '#test/support/fault-proxy.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  administratorManages,
  letADayPass,
  letPass,
  patiently,
  recordWhere,
  records,
  secret,
  system,
} from './support.ts';

let lab: Lab;
let operator: OperatorProcess;

const registry = 'https://registry.example.com';
const quick = { every: '1h', overlap: '1m' };
const ceiling = { scopes: ['artifacts:publish', 'artifacts:read'], audiences: [registry], maxTokenLifetime: '1m' };

test.before(async () => {
  lab = await startLab({ tokenLifetime: 30, deliveryLag: '2s' });
  operator = await lab.running();
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

async function apply(name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await lab.apply(pool(name, lab.provider.issuer, { ceiling, rotation: quick, ...spec }));
}

async function ready(name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<string> {
  await apply(name, spec);
  await patiently(lab, name, 'Ready', { status: 'True', reason: 'Ready' });
  const [, { generations }] = await recordWhere(lab, name, 'has a client', (record) =>
    record.generations.some(({ state }) => state === 'Current'),
  );
  return generations.at(-1)?.clientId ?? '';
}

const there = (clientId: string) => lab.provider.clients().find((one) => one.clientId === clientId);
const remove = (name: string): Promise<string> => lab.kubectl(['delete', 'identitypool', name, '--timeout=180s']);
const narrower = { ...ceiling, scopes: ['artifacts:read'] };

test.serial('drift: what somebody changed at the provider is found by the daily look and set back', async (t) => {
  const clientId = await ready('drift');
  lab.provider.editClient(clientId, {
    scope: 'artifacts:read artifacts:delete',
    client_name: 'mine',
    grant_types: ['client_credentials', 'authorization_code'],
    response_types: ['code'],
    redirect_uris: ['https://elsewhere.example.com/callback'],
  });
  await letADayPass(lab, 'drift');
  await eventually(
    'it is set back',
    () => there(clientId)?.scopes.toSorted().join(' ') === 'artifacts:publish artifacts:read' || undefined,
  );
  t.is(there(clientId)?.name, 'ci-identity drift 1');
  t.deepEqual(there(clientId)?.grantTypes, ['client_credentials']);
  const drifted = auditOf(operator).find(({ event, pool: of }) => event === 'Drifted' && of === 'drift');
  t.like(drifted, {
    outcome: 'Failure',
    reason: 'ClientDrifted',
    client_id: clientId,
    message: 'name, scopes, grantTypes, redirects',
  });
  await patiently(lab, 'drift', 'Registered', { status: 'True', reason: 'Registered' });
  // So long ago that it is looked at before it is deleted.
  await letPass(lab, 'drift', 120_000);
  await remove('drift');
  t.is(there(clientId), undefined, 'deleted, and looked for');
  const told = auditOf(operator).filter(({ event, pool: of }) => event === 'Drifted' && of === 'drift');
  t.deepEqual(
    told.map(({ reason }) => reason),
    ['ClientDrifted'],
    'what somebody changed, and not that we deleted it',
  );
});

test.serial(
  'a provider that adds to the client by itself: one update is sent, then it is told and left so, and a change by somebody else is set back',
  async (t) => {
    const clientId = await ready('adds');
    const adds = { grant_types: ['client_credentials', 'refresh_token'] };
    const rewrite: Fault['rewrite'] = ({ body }) => ({ body: { ...(body as object), ...adds } });
    const faults = (['read', 'update'] as const).map((endpoint) => lab.provider.faults.add({ endpoint, rewrite }));
    const updates = (): number => lab.provider.stats.count('update');
    const before = updates();
    const lookAgain = async (): Promise<string> => {
      const started = Date.now();
      await letADayPass(lab, 'adds');
      await recordWhere(lab, 'adds', 'is looked at', ({ observed }) => (observed?.at ?? 0) >= started);
      const told = eventually(
        'it is told',
        async () => {
          const want = { status: 'True', reason: 'ClientDrifted' } as const;
          const { message } = await condition(lab, 'identitypool/adds', 'Registered', want);
          return message.includes('otherwise than it is asked to (grantTypes), whatever is sent') ? message : undefined;
        },
        { timeoutMs: 90_000 },
      );
      return told;
    };
    await lookAgain();
    t.is(updates(), before + 1);
    await condition(lab, 'identitypool/adds', 'Ready', { status: 'True', reason: 'Ready' });
    await lookAgain();
    t.is(updates(), before + 1, 'it would change nothing');
    lab.provider.editClient(clientId, { client_name: 'mine' });
    await letADayPass(lab, 'adds');
    await eventually('it is set back', () => there(clientId)?.name === 'ci-identity adds 1' || undefined, {
      timeoutMs: 90_000,
    });
    t.is(updates(), before + 2);
    for (const undo of faults) undo();
    await letADayPass(lab, 'adds');
    await patiently(lab, 'adds', 'Registered', { status: 'True', reason: 'Registered' });
    t.is(updates(), before + 2);
    await remove('adds');
  },
);

test.serial(
  "another one's tag under our id: nothing is changed and nothing deleted, and the pool says whose it is",
  async (t) => {
    const clientId = await ready('taken');
    lab.provider.editClient(clientId, { software_id: 'another-cluster/ci-identity-system/uid' });
    const before = lab.provider.stats.count('update');
    await letADayPass(lab, 'taken');
    await apply('taken', { ceiling: narrower });
    const { message } = await condition(lab, 'identitypool/taken', 'Registered', {
      status: 'False',
      reason: 'ClientForeign',
    });
    t.regex(
      message,
      /carries the tag another-cluster\/ci-identity-system\/uid \(software_id; [^)]+\) of another owner/,
    );
    await condition(lab, 'identitypool/taken', 'Stalled', { status: 'True', reason: 'ClientForeign' });
    await apply('taken', { ceiling: narrower, rotation: { ...quick, request: 'r1' } });
    await remove('taken');
    t.is(lab.provider.stats.count('update'), before, 'no update was sent');
    t.deepEqual(there(clientId)?.scopes.toSorted(), ['artifacts:publish', 'artifacts:read']);
    t.deepEqual(await records(lab, 'taken'), []);
  },
);

test.serial(
  'Retain: the client stays at the provider, also when somebody strips the finalizer of the pool',
  async (t) => {
    const kept = await ready('kept', { deletionPolicy: 'Retain' });
    await remove('kept');
    t.truthy(there(kept));
    const stripped = await ready('stripped');
    await apply('stripped', { deletionPolicy: 'Retain' });
    await recordWhere(lab, 'stripped', 'knows of Retain', ({ retain }) => retain === true);
    await operator.stop('SIGKILL');
    await lab.kubectl(['delete', 'identitypool', 'stripped', '--wait=false']);
    await lab.kubectl(['patch', 'identitypool', 'stripped', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    operator = lab.operator();
    await operator.ready();
    await eventually('the record goes', async () => (await records(lab, 'stripped')).length === 0 || undefined, {
      timeoutMs: 60_000,
    });
    t.truthy(there(stripped));
  },
);

test.serial(
  'another method on a live pool: refused with a sentence where it takes a new subject, otherwise make before break',
  async (t) => {
    const before = await ready('method');
    await lab.apply(
      policy('method', { role: 'publisher', pool: 'method', scopes: ['artifacts:publish'] }),
      identity('method', { pool: 'method', roles: ['publisher'] }),
    );
    await identityReady(lab, 'method');
    const client = { authentication: 'ClientSecretBasic' };
    await apply('method', { client });
    const { message } = await condition(lab, 'identitypool/method', 'CredentialCurrent', {
      status: 'False',
      reason: 'RotationUnsupported',
    });
    t.regex(message, /ClientSecretBasic takes a new client.*Set spec.rotation.allowSubjectChange/);
    t.is(there(before)?.authentication, 'private_key_jwt');
    const pod = await createPod(lab, 'method-1-x7k2p-q0b4t-m1wz9', ['method']);
    const token = await tokenOf(lab, pod, 'method');
    const looks: boolean[] = [];
    await apply('method', { client, rotation: { ...quick, allowSubjectChange: true } });
    const [, { generations }] = await eventually(
      'the new client alone is left',
      async () => {
        const now = await tokenOf(lab, pod, 'method');
        looks.push(isLive(lab.provider, now) || now !== (await tokenOf(lab, pod, 'method')));
        const [found] = await records(lab, 'method');
        return found?.[1].generations.length === 1 && found[1].generations[0]?.clientId !== before ? found : undefined;
      },
      { timeoutMs: 150_000 },
    );
    const after = generations[0]?.clientId ?? '';
    t.is(there(after)?.authentication, 'client_secret_basic');
    t.is(there(before), undefined);
    const next = await tokenOf(lab, pod, 'method', token);
    t.true(isLive(lab.provider, next));
    t.true(looks.length > 10 && !looks.includes(false), 'at no look was the delivered token dead');
    await lab.kubectl(['delete', 'pod', '-A', '-l', 'jenkins/label', '--wait=false']);
    await remove('method');
  },
);

/** A rotation whose PUT took effect and gave a new management token, and nobody heard the answer. */
async function loseToken(name: string, clientId: string): Promise<string> {
  lab.provider.faults.add({ endpoint: 'update', times: 1, dropAnswer: true });
  await apply(name, { rotation: { ...quick, request: 'lost' } });
  await recordWhere(lab, name, 'mints with the new key', ({ generations }) =>
    generations.some(({ n, state }) => n === 2 && state === 'Current'),
  );
  await apply(name, { ceiling: narrower, rotation: { ...quick, request: 'lost' } });
  const { message } = await condition(lab, `identitypool/${name}`, 'Registered', {
    status: 'True',
    reason: 'RegistrationAccessTokenLost',
  });
  if (there(clientId)?.kids.length !== 2) throw new Error('the lost PUT took no effect');
  return message;
}

test.serial(
  'a lost management token: tokens are issued, the message names one step, and after that step everything goes on',
  async (t) => {
    const clientId = await ready('heals');
    const message = await loseToken('heals', clientId);
    const [name] = await recordWhere(lab, 'heals', 'is there', () => true);
    t.true(
      message.includes(`put it under key ${name} of Secret management-tokens in the operator's namespace`),
      message,
    );
    await condition(lab, 'identitypool/heals', 'Ready', { status: 'True', reason: 'Ready' });

    await secret(lab, 'management-tokens', { [name]: 'not-a-token' });
    const refused = await eventually(
      'a wrong one is refused',
      async () => {
        const said = await condition(lab, 'identitypool/heals', 'Registered', {
          status: 'True',
          reason: 'RegistrationAccessTokenLost',
        });
        return said.message.includes('the one that was handed in last is refused') ? said : undefined;
      },
      { timeoutMs: 60_000 },
    );
    t.false(refused.message.includes('not-a-token'));

    await secret(lab, 'management-tokens', { [name]: await lab.provider.newManagementToken(clientId) });
    await patiently(lab, 'heals', 'Registered', { status: 'True', reason: 'Registered' });
    await eventually('the edit arrives', () => there(clientId)?.scopes.join() === 'artifacts:read' || undefined, {
      timeoutMs: 30_000,
    });
    await recordWhere(lab, 'heals', 'has retired the old key', ({ generations }) => generations.length === 1, 150_000);
    t.is(there(clientId)?.kids.length, 1);
    t.false([operator.log(), operator.audit()].some((text) => text.includes('not-a-token')));
    await remove('heals');
    t.is(there(clientId), undefined);
  },
);

test.serial(
  'the API server refuses for a moment to store what the provider has just answered: the answer is kept, and stored then',
  async (t) => {
    const clientId = await ready('refused');
    const [name] = await recordWhere(lab, 'refused', 'is there', () => true);
    const proxy = await startFaultProxyOf(lab.cluster);
    t.teardown(() => proxy.stop());
    await operator.stop();
    operator = lab.operator({
      kubeconfig: await lab.cluster.kubeconfigForServiceAccount(system, 'controller', proxy.url),
    });
    await operator.ready(60_000);
    const updates = (): number => lab.provider.stats.count('update');
    const before = updates();
    let refusals = 0;
    proxy.on({
      when({ method, path }) {
        const isAnswer = method === 'PUT' && path.endsWith(`/secrets/${name}`) && updates() > before;
        if (isAnswer) refusals += 1;
        return isAnswer;
      },
      times: 5,
      fault: { type: 'Answer', status: 403, body: JSON.stringify({ kind: 'Status', reason: 'Forbidden', code: 403 }) },
    });
    // The answer to this PUT holds the only copy of the next management token.
    await apply('refused', { ceiling: narrower });
    await eventually('the edit arrives', () => there(clientId)?.scopes.join() === 'artifacts:read' || undefined, {
      timeoutMs: 30_000,
    });
    await recordWhere(lab, 'refused', 'has the answer', ({ intent }) => refusals === 5 && intent === undefined);
    t.is(updates(), before + 1, 'it was sent once');
    await remove('refused');
    t.is(there(clientId), undefined, 'the token of the answer manages it');
    await operator.stop();
    operator = lab.operator();
    await operator.ready(60_000);
  },
);

test.serial(
  'a change that is answered with a hash of the secret costs no build its token, and it is told once',
  async (t) => {
    const spec = { client: { authentication: 'ClientSecretBasic' } };
    const clientId = await ready('hashing', spec);
    const tellsTheTruth = lab.provider.faults.add({
      endpoint: 'update',
      rewrite: ({ body }) => ({
        body: { ...(body as object), client_secret: '{bcrypt}$2a$10$GRLdNijSQMUvl/au9ofL.eDw' },
      }),
    });
    await apply('hashing', { ...spec, ceiling: narrower });
    await eventually('the client is changed', () => there(clientId)?.scopes.join() === 'artifacts:read' || undefined);
    const told = (): ReturnType<typeof auditOf> =>
      auditOf(operator).filter(({ reason, pool: of }) => reason === 'ProviderMisbehaves' && of === 'hashing');
    await eventually('the other secret is refused', () => told()[0]);
    tellsTheTruth();
    await lab.apply(
      policy('hashing', { role: 'reader', pool: 'hashing', scopes: ['artifacts:read'] }),
      identity('hashing', { pool: 'hashing', roles: ['reader'] }),
    );
    await identityReady(lab, 'hashing');
    const pod = await createPod(lab, nextPodName(), ['hashing']);
    t.true(isLive(lab.provider, await tokenOf(lab, pod, 'hashing')));
    t.is(told().length, 1);
    t.like(told()[0], { event: 'Updated', outcome: 'Failure', client_id: clientId });
    t.false(operator.audit().includes('bcrypt'));
    await patiently(lab, 'hashing', 'CredentialCurrent', { status: 'True' });
    await remove('hashing');
  },
);

test.serial('managementTokenRef: a credential that does not rotate heals it without anybody', async (t) => {
  const clientId = await ready('ref');
  await loseToken('ref', clientId);
  await administratorManages(lab);
  await patiently(lab, 'ref', 'Registered', { status: 'True', reason: 'Registered' });
  await eventually('the edit arrives', () => there(clientId)?.scopes.join() === 'artifacts:read' || undefined, {
    timeoutMs: 60_000,
  });
  await remove('ref');
  t.is(there(clientId), undefined);
});

test.serial(
  'a registration whose answer was lost may have left a client: counted until somebody has dealt with it',
  async (t) => {
    const known = lab.provider.clients().length;
    lab.provider.faults.add({ endpoint: 'register', times: 1, dropAnswer: true });
    await ready('orphan');
    t.is(lab.provider.clients().length, known + 2, 'one of them belongs to nobody');
    const status = JSON.parse(
      await lab.kubectl(['get', 'identitypool', 'orphan', '-o', 'jsonpath={.status.clients}']),
    ) as object;
    t.deepEqual(status, { total: 1, ready: 1, possibleOrphans: 1 });
    await metric(operator, /^ci_identity_possible_orphans\{pool="orphan"\} 1$/m);
    const { message } = await patiently(lab, 'orphan', 'Registered', { status: 'True', reason: 'OrphanPossible' });
    const [, id] = /kubectl annotate identitypool orphan --overwrite ci-identity\.dev\/acknowledge=(orphans-\w+)/.exec(
      message,
    )!;
    await lab.kubectl(['annotate', 'identitypool', 'orphan', '--overwrite', `ci-identity.dev/acknowledge=${id}`]);
    await patiently(lab, 'orphan', 'Registered', { status: 'True', reason: 'Registered' });
    await metric(operator, /^ci_identity_possible_orphans\{pool="orphan"\} 0$/m);
    const acknowledged = auditOf(operator).find(({ event, pool: of }) => event === 'Acknowledged' && of === 'orphan');
    t.like(acknowledged, { outcome: 'Success', reason: 'OrphanAcknowledged' });
    await remove('orphan');
    t.is(
      (await lab.kubectl(['get', 'secrets', '-n', system, '-l', 'ci-identity.dev/kind=client', '-o', 'name'])).trim(),
      '',
    );
  },
);
