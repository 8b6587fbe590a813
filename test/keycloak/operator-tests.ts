/** The running program on a realm as Keycloak makes it: refusal, the administrator's steps, tokens, rotation, revocation, deletion. */
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { annotations } from '#src/api/names.ts';
import { parseJsonObject } from '#src/providers/fields.ts';
import {
  condition,
  createPod,
  identity,
  policy,
  pool,
  registry,
  sessionGone,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { assertUnharmed, startLoad } from '#test/rotation/load.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import type { Keycloak } from './keycloak.ts';
import type { Realm } from './realm.ts';

const audiences = { [registry]: 'registry-audience' };

let lab: Lab;
let realm: Realm;
let operator: OperatorProcess;

const secret = (name: string, token: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: 'ci-identity-system', name },
    stringData: { token },
  });

function configure(change: (text: string) => string): void {
  writeFileSync(lab.configFile, change(readFileSync(lab.configFile, 'utf8')));
}

const poolAt = (name: string, spec: Readonly<Record<string, unknown>> = {}): string =>
  pool(name, realm.issuer, {
    ...spec,
    provider: { issuer: realm.issuer, audience: { by: 'Scope', scopes: audiences } },
    ceiling: {
      scopes: ['artifacts:publish', 'artifacts:read'],
      audiences: [registry],
      maxTokenLifetime: '1m', // an old credential stays at least as long
    },
    rotation: { overlap: '1m' },
  });

const claimsOf = (token: string) =>
  parseJsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {};

/** `running` is asked when the first test begins. */
export function testOperator(running: () => Keycloak): void {
  test.serial.before('start the operator for a stock realm', async () => {
    const keycloak = running();
    lab = await startLab({ deliveryLag: '2s' });
    realm = await keycloak.realm('stock-operator');
    await lab.apply(
      secret('registration', await realm.initialAccessToken({ count: 4 })), // one for each client that is made below
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'ci-identity-system', name: 'issuer-ca' },
        data: { 'ca.crt': keycloak.caPem },
      }),
    );
    configure((text) => text.replace(lab.provider.issuer, realm.issuer).replace('"Generic"', '"Keycloak"'));
    operator = lab.operator();
    await operator.ready();
    await lab.guarded();
    await lab.apply(
      poolAt('ci-bots'),
      policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish'] }),
      identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    );
  });

  test.afterEach.always((t) => {
    if (!t.passed) t.log(operator?.log().slice(-6_000));
  });

  test.after.always('stop the operator', () => lab?.stop());

  let clientId = '';
  let subject: unknown;

  test.serial(
    'a stock realm: the pool says what its administrator has to do, and goes on when that is done',
    async (t) => {
      const refused = { status: 'False', reason: 'RegistrationRefused' };
      const { message } = await condition(lab, 'identitypool/ci-bots', 'Registered', refused);
      t.regex(
        message,
        /make each of artifacts:publish, artifacts:read, registry-audience an optional client scope of realm stock-operator/,
      );
      t.deepEqual(await realm.clientIds(), []);
      await realm.prepare({ scopes: ['artifacts:publish', 'artifacts:read'], audiences });
      await lab.kubectl(['annotate', 'identitypool/ci-bots', `${annotations.retry}=realm-prepared`]);
      await condition(lab, 'identitypool/ci-bots', 'Registered', { status: 'True' });
      await condition(lab, 'ciidentity/publisher', 'Probed', { status: 'True' }, team);
      const clients = await realm.clientIds();
      t.is(clients.length, 1);
      [clientId] = clients as [string];
      t.regex(clientId, /^ci-[0-9a-f]{8}-ci-bots$/);
    },
  );

  test.serial('a pod gets a token for exactly its scopes and audience, and it dies with the pod', async (t) => {
    const pod = await createPod(lab, 'payments-deploy-1-x7k2p-q0b4t-m1wz9', ['publisher']);
    const token = await tokenOf(lab, pod, 'publisher');
    const claims = claimsOf(token);
    subject = claims['sub'];
    t.deepEqual([claims['scope'], claims['aud'], claims['azp']], ['artifacts:publish', registry, clientId]);
    t.is(Number(claims['exp']) - Number(claims['iat']), 60);
    t.truthy(subject);
    t.true(await realm.isLive(token));
    await lab.kubectlAsJenkins(['delete', 'pod', '-n', pod.namespace, pod.name, '--grace-period=0', '--force']);
    await eventually('Keycloak does not honour the token any more', async () =>
      (await realm.isLive(token)) ? undefined : true,
    );
    await sessionGone(lab, pod);
  });

  test.serial('rotation: two keys, then one, the registration token used up, the subject the same', async (t) => {
    const [before] = await realm.keyIdsOf(clientId);
    const load = startLoad({
      kubeconfig: lab.cluster.kubeconfig,
      issuer: realm.issuer,
      caPem: running().caPem,
      pool: 'ci-bots',
      parameters: { scope: 'artifacts:publish registry-audience' },
      assertionAudience: 'Issuer',
      every: 100,
    });
    await load.started;
    await lab.kubectl(['annotate', 'identitypool/ci-bots', 'ci-identity.dev/rotate=today']);
    const after = await eventually(
      'the client has one key, and it is another',
      async () => {
        const keys = await realm.keyIdsOf(clientId);
        return keys.length === 1 && keys[0] !== before ? keys : undefined;
      },
      { timeoutMs: 150_000, everyMs: 500 },
    );
    t.is(after.length, 1);
    const report = await load.stop();
    assertUnharmed(t, 'Keycloak, keys', report);
    t.deepEqual(Object.keys(report.byGeneration), ['1', '2']);
    t.deepEqual(await realm.clientIds(), [clientId]);
    const pod = await createPod(lab, 'payments-deploy-2-x7k2p-q0b4t-m1wz9', ['publisher']);
    const claims = claimsOf(await tokenOf(lab, pod, 'publisher'));
    t.deepEqual([claims['sub'], claims['azp']], [subject, clientId]);
    const { capabilities } = await statusOf(lab, 'identitypool/ci-bots');
    t.is((capabilities as { revocation?: string }).revocation, 'IntrospectionOnly');
  });

  test.serial('a pool that goes takes its client along', async (t) => {
    await lab.kubectl(['delete', 'ciidentity', '-n', 'ci-payments', 'publisher']);
    await lab.kubectl(['delete', 'identitypool/ci-bots', '--timeout=60s']);
    t.deepEqual(await realm.clientIds(), []);
  });

  test.serial(
    'killed before the answer to a registration is stored: the client is found by its key, never made twice',
    async (t) => {
      await operator.stop();
      operator = lab.operator({ crashAt: 'client.Register.call:after' });
      await lab.apply(poolAt('lost-bots'));
      t.is((await operator.exited).signal, 'SIGKILL');
      const made = await realm.clientIds();
      t.is(made.length, 1);
      operator = lab.operator();
      await operator.ready(120_000); // the lease of the killed one has to run out first
      const lost = { status: 'True', reason: 'RegistrationAccessTokenLost' };
      const { message } = await condition(lab, 'identitypool/lost-bots', 'Registered', lost);
      t.regex(
        message,
        /Make a new one at the provider and put it under key client-[0-9a-f]{32} of Secret management-tokens/,
      );
      t.deepEqual(await realm.clientIds(), made);
    },
  );

  test.serial(
    'a registration access token that its administrator made anew heals the client, which can then be deleted',
    async (t) => {
      const [lostClient = ''] = await realm.clientIds();
      await lab.apply(secret('management', await realm.replaceManagementToken(lostClient)));
      configure((text) =>
        text.replace('"caBundleRef"', '"managementTokenRef":{"name":"management","key":"token"},"caBundleRef"'),
      );
      await lab.kubectl(['delete', 'identitypool/lost-bots', '--timeout=90s']);
      t.deepEqual(await realm.clientIds(), []);
    },
  );

  test.serial(
    'a pool made again whose client Retain has left: it says which client that is and what to do',
    async (t) => {
      const kept = poolAt('kept-bots', { deletionPolicy: 'Retain' });
      await lab.apply(kept);
      await condition(lab, 'identitypool/kept-bots', 'Registered', { status: 'True' });
      await lab.kubectl(['delete', 'identitypool/kept-bots', '--timeout=60s']);
      const [left = ''] = await realm.clientIds();
      await lab.apply(kept);
      const taken = { status: 'False', reason: 'ClientIdTaken' };
      const { message } = await condition(lab, 'identitypool/kept-bots', 'Ready', taken);
      t.true(message.includes(`a client ${left} is there already`), message);
      t.regex(message, /delete it at the provider, or create the pool under another name/);
      await realm.removeClient(left);
      await lab.kubectl(['annotate', 'identitypool/kept-bots', `${annotations.retry}=client-deleted`]);
      await condition(lab, 'identitypool/kept-bots', 'Registered', { status: 'True' });
      t.deepEqual(await realm.clientIds(), [left]);
    },
  );
}
