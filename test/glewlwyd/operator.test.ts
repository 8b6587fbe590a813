/** The running program with a real Glewlwyd: keys and secrets, rotation of both, and a deletion that this product only half does. */
import test from 'ava';
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
  tokenOf,
  team,
} from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, type LabProvider, startLabWith } from '#test/support/lab.ts';
import { assertUnharmed, type Load, startLoad } from '#test/rotation/load.ts';
import { type Glewlwyd, startGlewlwyd } from './glewlwyd.ts';

const patient = { timeoutMs: 150_000, everyMs: 500 };

let lab: Lab<LabProvider>;
let glewlwyd: Glewlwyd;
let log = (): string => '';

const poolAs = (name: string, spec: Readonly<Record<string, unknown>> = {}): string =>
  pool(name, glewlwyd.issuer, {
    ceiling: { scopes: ['artifacts:publish', 'artifacts:read'], audiences: [registry], maxTokenLifetime: '1m' },
    rotation: { overlap: '1m' }, // an old credential stays at least as long as its tokens
    ...spec,
  });

const claimsOf = (token: string) =>
  parseJsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {};

async function clientOf(name: string): Promise<string> {
  return eventually(
    `the client of ${name}`,
    async () => {
      for (const id of await glewlwyd.clientIds())
        if (String((await glewlwyd.client(id))['name']).includes(name)) return id;
      return undefined;
    },
    patient,
  );
}

const secretOf = async (clientId: string): Promise<unknown> => (await glewlwyd.client(clientId))['client_secret'];

/** Before the rotation of both pools that the first test of rotation asks for. */
let secretBefore: unknown;

const loadOf = (name: string, scope: string): Load =>
  startLoad({
    kubeconfig: lab.cluster.kubeconfig,
    issuer: glewlwyd.issuer,
    caPem: glewlwyd.caPem,
    pool: name,
    parameters: { scope, resource: registry },
    assertionAudience: 'TokenEndpoint',
    every: 100,
  });

test.before(async () => {
  glewlwyd = await startGlewlwyd({ tokenTtl: 60 });
  lab = await startLabWith(
    async () => ({
      issuer: glewlwyd.issuer,
      caPem: glewlwyd.caPem,
      initialAccessToken: await glewlwyd.registrationToken(),
      stop: () => glewlwyd.stop(),
    }),
    { profile: 'Glewlwyd', deliveryLag: '2s' },
  );
  const operator = lab.operator();
  log = () => operator.log();
  await operator.ready();
  await lab.guarded();
  // It lives a minute like all tokens here, so it is made when it is needed.
  await lab.apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'ci-identity-system', name: 'registration' },
      stringData: { token: await glewlwyd.registrationToken() },
    }),
    poolAs('key-bots'),
    policy(
      'publishers',
      { role: 'publisher', pool: 'key-bots', scopes: ['artifacts:publish'] },
      { role: 'reader', pool: 'secret-bots', scopes: ['artifacts:read'] },
    ),
    identity('publisher', { pool: 'key-bots', roles: ['publisher'] }),
  );
  await condition(lab, 'ciidentity/publisher', 'Probed', { status: 'True' }, team);
  // One after the other, because Glewlwyd loses parts of clients that are registered at the same moment (README.md).
  await lab.apply(
    poolAs('secret-bots', {
      client: { authentication: 'ClientSecretBasic' },
      rotation: { overlap: '1m', window: { from: '00:00', to: '23:59' } }, // without one, nothing that leaves a gap is done
    }),
    identity('reader', { pool: 'secret-bots', roles: ['reader'] }),
  );
  await condition(lab, 'ciidentity/reader', 'Probed', { status: 'True' }, team);
});

test.afterEach.always((t) => {
  if (!t.passed) t.log(log().slice(-6_000));
});

test.after.always(() => lab?.stop());

for (const [name, scope] of [
  ['publisher', 'artifacts:publish'],
  ['reader', 'artifacts:read'],
] as const) {
  test.serial(
    `${name}: a pod gets a token for exactly its scopes and audience, and it dies with the pod`,
    async (t) => {
      const pod = await createPod(lab, `payments-${name}-1-x7k2p-q0b4t-m1wz9`, [name]);
      const token = await tokenOf(lab, pod, name);
      const claims = claimsOf(token);
      t.deepEqual([claims['scope'], claims['aud']], [scope, registry]);
      t.true(await glewlwyd.isLive(token));
      await lab.kubectlAsJenkins(['delete', 'pod', '-n', pod.namespace, pod.name, '--grace-period=0', '--force']);
      await eventually('it is not honoured any more', async () => ((await glewlwyd.isLive(token)) ? undefined : true));
      await sessionGone(lab, pod);
    },
  );
}

test.serial('a client whose scopes Glewlwyd has lost is sent again, and then pods get tokens', async (t) => {
  const clientId = await clientOf('key-bots');
  await glewlwyd.editClient(clientId, { scope: [] });
  const pod = await createPod(lab, 'payments-publisher-lost-x7k2p-q0b4t-m1wz9', ['publisher']);
  t.is(claimsOf(await tokenOf(lab, pod, 'publisher', undefined, patient.timeoutMs))['client_id'], clientId);
  t.deepEqual((await glewlwyd.client(clientId))['scope'], ['artifacts:publish', 'artifacts:read']);
  await condition(lab, 'ciidentity/publisher', 'Probed', { status: 'True' }, team);
});

test.serial('rotation of a key: two, then the new one, in the same client', async (t) => {
  const clientId = await clientOf('key-bots');
  const [before] = await glewlwyd.keyIdsOf(clientId);
  secretBefore = await secretOf(await clientOf('secret-bots'));
  const load = loadOf('key-bots', 'artifacts:publish');
  await load.started;
  await lab.kubectl(['annotate', 'identitypools', '--all', 'ci-identity.dev/rotate=today']);
  const seen = new Set<number>();
  await eventually(
    'the client has one key, and it is another',
    async () => {
      const keys = await glewlwyd.keyIdsOf(clientId);
      seen.add(keys.length);
      return keys.length === 1 && keys[0] !== before ? true : undefined;
    },
    patient,
  );
  t.true(seen.has(2), 'both worked for a while');
  const report = await load.stop();
  // Glewlwyd writes a client in several steps and answers 500 to who asks in between (1 of 886 requests, seen once); the operator asks again.
  const between = report.failed.filter((line) => line.startsWith('generation 1: 500 '));
  t.true(between.length <= 2, between.join());
  assertUnharmed(t, 'Glewlwyd, keys', { ...report, failed: report.failed.filter((line) => !between.includes(line)) });
  t.deepEqual(Object.keys(report.byGeneration), ['1', '2']);
  const pod = await createPod(lab, 'payments-publisher-2-x7k2p-q0b4t-m1wz9', ['publisher']);
  t.is(claimsOf(await tokenOf(lab, pod, 'publisher'))['client_id'], clientId);
});

test.serial('rotation of a secret: in place, inside a declared window, with the same client', async (t) => {
  const clientId = await clientOf('secret-bots');
  await eventually(
    'the secret is another',
    async () => ((await secretOf(clientId)) === secretBefore ? undefined : true),
    patient,
  );
  const pod = await createPod(lab, 'payments-reader-2-x7k2p-q0b4t-m1wz9', ['reader']);
  t.is(claimsOf(await tokenOf(lab, pod, 'reader', undefined, 60_000))['client_id'], clientId);
  const { capabilities, credential } = await statusOf(lab, 'identitypool/secret-bots');
  t.regex((credential as { readonly gap?: string }).gap ?? '', /^\d+s$/, 'how long nothing could be minted');
  t.deepEqual((capabilities as { readonly variants?: unknown }).variants, ['TwoKeys', 'NewClient', 'InPlace']);
});

test.serial('a disabled client fails at the token endpoint as the server does, and others go on', async (t) => {
  const clientId = await clientOf('key-bots');
  await glewlwyd.editClient(clientId, { enabled: false });
  await createPod(lab, 'payments-publisher-3-x7k2p-q0b4t-m1wz9', ['publisher']);
  const reader = await createPod(lab, 'payments-reader-3-x7k2p-q0b4t-m1wz9', ['reader']);
  await t.notThrowsAsync(tokenOf(lab, reader, 'reader', undefined, 60_000));
  await glewlwyd.editClient(clientId, { enabled: true });
});

test.serial('pools that go disable their clients, which is all that this product does, and end', async (t) => {
  const clients = [await clientOf('key-bots'), await clientOf('secret-bots')];
  await lab.kubectl(['delete', 'pods', '-n', team, '--all', '--grace-period=0', '--force']);
  await lab.kubectl(['delete', 'ciidentity', '-n', team, '--all']);
  await lab.kubectl(['delete', 'identitypool', '--all', '--timeout=150s']);
  for (const id of clients) t.is((await glewlwyd.client(id))['enabled'], false);
});
