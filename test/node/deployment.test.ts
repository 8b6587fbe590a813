/** `manifests/default` as a platform team applies it: the operator runs in the cluster, as its Deployment says, and survives what rollouts do. */
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { plugin } from '#test/cli/plugin.ts';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { type OidcProvider, startOidcProvider } from '#test/providers/oidc-provider.ts';
import { established } from '#test/support/established.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { writeOperatorImage } from './operator-image.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const system = 'ci-identity-system';
const team = 'ci-payments';
const podName = 'payments-deploy-44-c3d4e-f5g6h-j7k8l';

let cluster: Cluster;
let provider: OidcProvider;
let scratch: string;

const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
  const { stdout, stderr, code } = await cluster.kubectlRun(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};

const apply = (...objects: readonly object[]): Promise<string> =>
  kubectl(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));

test.before('a cluster with a node, the image, and a provider that pods reach', async (t) => {
  t.timeout(900_000);
  scratch = await mkdtemp(join(tmpdir(), 'deployment-'));
  cluster = await startCluster({ node: true });
  const host = cluster.node?.hostAddress ?? '';
  const scopes = ['artifacts:publish', 'artifacts:read'];
  provider = await startOidcProvider({ address: '0.0.0.0', host, scopes, tokenTtl: 60 });
  const image = await writeOperatorImage();
  await cluster.node?.importImage(image);
  await rm(dirname(image), { recursive: true });
});

test.after.always('everything ends', async () => {
  await provider?.stop();
  await cluster?.stop();
  if (scratch !== undefined) await rm(scratch, { recursive: true });
});

test.serial('kubectl apply of crds and manifests/default: two replicas run as the Deployment says', async (t) => {
  t.timeout(540_000);
  await kubectl(['apply', '--server-side', '-k', join(root, 'crds')]);
  await established(kubectl, 'crd', '--all');
  await kubectl(['apply', '--server-side', '-k', join(root, 'manifests/default')]);
  await kubectl(['apply', '--server-side', '-k', join(root, 'manifests/protection')]);
  await kubectl(['rollout', 'status', '--timeout=450s', '-n', system, 'deployment/ci-identity-controller']);
  t.is(
    await kubectl(['get', 'pods', '-n', system, '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}']),
    '0 0',
  );
});

test.serial('the configuration is edited in its ConfigMap: the running process follows', async (t) => {
  t.timeout(360_000);
  const configuration = {
    apiVersion: 'config.ci-identity.dev/v1alpha1',
    kind: 'ControllerConfiguration',
    issuers: [
      {
        url: provider.issuer,
        allowPrivateNetwork: true,
        registrationTokenRef: { name: 'registration', key: 'token' },
        caBundleRef: { name: 'issuer-ca', key: 'ca.crt' },
      },
    ],
    limits: { deliveryLag: '10s' },
  };
  const metadata = { namespace: system };
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...metadata, name: 'registration' },
      stringData: { token: provider.initialAccessToken },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...metadata, name: 'issuer-ca' },
      data: { 'ca.crt': provider.caPem },
    },
  );
  const patch = JSON.stringify({ data: { 'config.yaml': JSON.stringify(configuration) } });
  await kubectl(['patch', 'configmap', '-n', system, 'ci-identity-configuration', '--type=merge', '-p', patch]);
  const sample = readFileSync(join(root, 'manifests/samples/first-identity.yaml'), 'utf8');
  const issuer = /issuer: *(https:[^\s}]+)/.exec(sample)?.[1] ?? '';
  await kubectl(['create', 'namespace', team]);
  await kubectl(['apply', '-f', '-'], sample.replace(issuer, provider.issuer));
  await kubectl(['wait', '--for=condition=Ready', '--timeout=270s', 'identitypool/ci-bots']);
  t.is(ourClients().length, 1);
});

test.serial('the component of an agent namespace: a pod of Jenkins reads its token', async (t) => {
  t.timeout(360_000);
  // The component by a relative path, as a GitOps repository would have it.
  await symlink(join(root, 'manifests'), join(scratch, 'manifests'));
  await writeFile(
    join(scratch, 'kustomization.yaml'),
    `namespace: ${team}\ncomponents: [${join('manifests', 'components', 'agent-namespace')}]\n`,
  );
  await kubectl(['apply', '-k', scratch]);
  await kubectl(['label', 'namespace', team, 'ci-identity.dev/inject=enabled']);
  await kubectl(['create', 'namespace', 'jenkins']);
  await kubectl(['create', 'serviceaccount', '-n', 'jenkins', 'jenkins']);
  await kubectl([
    'create',
    'rolebinding',
    '-n',
    team,
    'agents',
    '--clusterrole=edit',
    '--serviceaccount=jenkins:jenkins',
  ]);
  await kubectl(['wait', '--for=condition=Ready', '--timeout=180s', '-n', team, 'ciidentity/publisher']);
  const pod = agentPod({ name: podName });
  const containers = pod.spec.containers.map((container) => ({
    ...container,
    image: cluster.node?.agentImage,
    command: ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 1; done'],
    tty: false,
    resources: {},
  }));
  const jenkins = await cluster.kubeconfigForServiceAccount('jenkins', 'jenkins');
  await kubectl(
    [`--kubeconfig=${jenkins}`, 'create', '-f', '-'],
    JSON.stringify({ ...pod, spec: { ...pod.spec, containers } }),
  );
  t.true(isLive(await eventually('the pod reads its token', tokenInPod, { timeoutMs: 60_000 })));
});

test.serial(
  'a rolling restart: the token in the pod is live at every moment, and is renewed by the new leader',
  async (t) => {
    t.timeout(720_000);
    const before = await leaseHolder();
    const first = await tokenInPod();
    await kubectl(['rollout', 'restart', '-n', system, 'deployment/ci-identity-controller']);
    await eventually(
      'another process leads and has renewed the token',
      async () => {
        const token = await tokenInPod();
        t.true(isLive(token));
        return token !== first && (await leaseHolder()) !== before ? true : undefined;
      },
      { timeoutMs: 180_000, everyMs: 500 },
    );
    await kubectl(['rollout', 'status', '--timeout=360s', '-n', system, 'deployment/ci-identity-controller']);
  },
);

test.serial('the pod ends: no token of it is alive', async (t) => {
  await kubectl(['delete', 'pod', '-n', team, podName, '--wait=false']);
  const dead = eventually('no token is alive', () => (provider.liveTokens().length === 0 ? true : undefined), {
    timeoutMs: 30_000,
  });
  await t.notThrowsAsync(dead);
});

test.serial(
  'uninstall: nothing is left at the provider, then nothing in the cluster, and pods go on without us',
  async (t) => {
    t.timeout(540_000);
    const before = await plugin(cluster.kubeconfig, ['uninstall']);
    t.is(before.code, 0, before.error);
    t.regex(before.out, /^ci-bots +https:\S+ +1 +are deleted at the provider$/m);
    t.is(ourClients().length, 1, 'it was only told');
    const after = await plugin(cluster.kubeconfig, ['uninstall', '--yes']);
    t.log(after.out);
    t.is(after.code, 0, after.error);
    t.regex(after.out, /^IdentityPool ci-bots: gone$/m);
    t.is(ourClients().length, 0);
    const again = await plugin(cluster.kubeconfig, ['uninstall', '--yes']);
    t.deepEqual([again.code, again.error], [0, ''], 'whoever is not sure may repeat it');
    const kinds = 'identitypools,scopepolicies,ciidentities';
    t.is(await kubectl(['get', kinds, '-A', '-o', 'name']), '');
    await kubectl(['delete', '-k', join(root, 'manifests/default'), '--wait', '--timeout=270s']);
    await kubectl(['delete', '-k', join(root, 'manifests/protection')]);
    t.is(await kubectl(['get', 'namespace', system, '--ignore-not-found', '-o', 'name']), '');
    const podsGoOn = agentPod({ name: 'payments-deploy-45-c3d4e-f5g6h-j7k8l' });
    await eventually('the API server has forgotten the policies', () =>
      kubectl(['create', '-n', team, '--dry-run=server', '-o', 'name', '-f', '-'], JSON.stringify(podsGoOn)),
    );
  },
);

async function tokenInPod(): Promise<string> {
  return kubectl([
    'exec',
    '-n',
    team,
    podName,
    '-c',
    'maven',
    '--',
    'cat',
    '/var/run/secrets/ci-identity/publisher/token',
  ]);
}

const ourClients = (): ReturnType<OidcProvider['clients']> =>
  provider.clients().filter(({ name }) => name?.startsWith('ci-identity') === true);

function isLive(token: string): boolean {
  return provider.liveTokens().some(({ value }) => value === token);
}

async function leaseHolder(): Promise<string> {
  return kubectl(['get', 'lease', '-n', system, 'ci-identity-controller', '-o', 'jsonpath={.spec.holderIdentity}']);
}
