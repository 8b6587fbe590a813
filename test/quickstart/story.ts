import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { annotations } from '#src/api/names.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import type { Lab } from '#test/support/lab.ts';
import type { Narrator } from './narrator.ts';
import type { StoryProvider } from './providers.ts';
import type { Registry } from './registry.ts';

/** What the story needs of a cluster, a provider and an operator that runs. */
export type Stage = Pick<Lab<StoryProvider>, 'provider' | 'kubectl' | 'kubectlAsJenkins' | 'apply' | 'agentImage'> & {
  /** Added to the agent pod's spec. */
  readonly podSpec?: Readonly<Record<string, unknown>>;
};

interface TokenFile {
  readonly expires_at: string;
  readonly renew_at: string;
  readonly scope: string;
  readonly audience: string | readonly string[];
  readonly session_id: string;
}

const namespace = 'ci-payments';
const podName = 'payments-deploy-42-x7k2p-q0b4t-m1wz9';
const directory = '/var/run/secrets/ci-identity/publisher';

/** The thin path, told: from `kubectl apply` of three objects to a token that dies with its pod. */
export async function tellStory(lab: Stage, registry: Registry, narrator: Narrator, hasNode: boolean): Promise<void> {
  const { provider } = lab;
  const yaml = readFileSync(new URL('identities.yaml', import.meta.url), 'utf8').replace(
    '{ issuer: ISSUER }',
    provider.poolProvider,
  );
  await narrator.step('kubectl apply: one IdentityPool, one ScopePolicy, one CiIdentity', () => lab.apply(yaml));
  if (provider.administrator !== undefined) await administerStockRealm(lab, provider.administrator, narrator);
  await narrator.step(
    (id: string) =>
      `Client registered at the provider with the public half of a key that never leaves the operator: client id ${id}`,
    () => eventually('the client is registered', () => provider.clientId(), { timeoutMs: 60_000 }),
  );
  await narrator.step(
    'Probe token obtained and revoked: the provider really gives artifacts:publish artifacts:read',
    () => lab.kubectl(['wait', '--for=condition=Ready', '--timeout=180s', '-n', namespace, 'ciidentity/publisher']),
  );
  await narrator.step('Jenkins creates an agent pod; the API server admitted it and mounted the identity', () =>
    createPod(lab, podName, {}),
  );
  const first = hasNode ? await runningPod(lab, narrator) : await deliveredToken(lab, narrator);
  await narrator.step(
    'The registry accepts a read and a publish, and refuses a delete (403): the scope does not cover it',
    async () => {
      await expectStatus(registry, 'GET', first.token, 200);
      await expectStatus(registry, 'POST', first.token, 201);
      await expectStatus(registry, 'DELETE', first.token, 403);
    },
  );
  const second = await narrator.step(
    (token: { file: TokenFile }) =>
      `Token renewed ${hasNode ? 'under the running pod' : 'in that Secret'}; the new one expires at ${token.file.expires_at}`,
    () =>
      eventually(
        'the token is renewed',
        async () => {
          const read = await readToken(lab, hasNode);
          return read !== undefined && read.token !== first.token ? read : undefined;
        },
        { timeoutMs: 120_000, everyMs: 500 },
      ),
  );
  await expectStatus(registry, 'GET', second.token, 200);
  await narrator.step('Pod deleted; the registry refuses its token', async () => {
    await lab.kubectl(['delete', 'pod', '-n', namespace, podName, '--wait=false']);
    await eventually('the token is refused', async () =>
      (await call(registry, 'GET', second.token)) === 401 ? true : undefined,
    );
  });
  narrator.say('kubectl get identitypools,scopepolicies,ciidentities -A');
  narrator.show(await lab.kubectl(['get', 'identitypools,scopepolicies,ciidentities', '-A']));
  await refusedPod(lab, narrator);
}

/** What the pool says, is what its administrator does. */
async function administerStockRealm(
  lab: Stage,
  administrator: NonNullable<StoryProvider['administrator']>,
  narrator: Narrator,
): Promise<void> {
  const path = '{.status.conditions[?(@.type=="Registered")].message}';
  const message = await narrator.step('The provider refuses, and the pool says what its administrator has to do:', () =>
    eventually(
      'the pool says that the registration is refused',
      async () => {
        const text = await lab.kubectl(['get', 'identitypool', 'ci-bots', '-o', `jsonpath=${path}`]);
        return text.includes('refuses to register') ? text : undefined;
      },
      { timeoutMs: 60_000 },
    ),
  );
  narrator.show(message);
  await narrator.step('The administrator of the realm does exactly that, once:', () => administrator.take());
  narrator.show(administrator.steps);
  // It would be tried again by itself within minutes; any change of the pool is a reason to do so now.
  await lab.kubectl(['annotate', 'identitypool', 'ci-bots', `${annotations.retry}=realm-prepared`]);
}

async function runningPod(lab: Stage, narrator: Narrator): Promise<{ token: string; file: TokenFile }> {
  return narrator.step(
    ({ file }: { file: TokenFile }) =>
      `Pod runs and reads ${directory}/token: scopes "${file.scope}", expires ${file.expires_at}, session ${file.session_id}`,
    () => eventually('the pod reads its token', () => readToken(lab, true), { timeoutMs: 60_000, everyMs: 100 }),
  );
}

async function deliveredToken(lab: Stage, narrator: Narrator): Promise<{ token: string; file: TokenFile }> {
  narrator.say(
    'No pod can run here (see above), so this shows the Secret that a kubelet would mount instead of reading it in the pod',
  );
  return narrator.step(
    ({ file }: { file: TokenFile }) =>
      `Token delivered: scopes "${file.scope}", expires ${file.expires_at}, session ${file.session_id}`,
    () => eventually('the token is delivered', () => readToken(lab, false)),
  );
}

/** From inside the container where a node runs it, otherwise from the delivery Secret. */
async function readToken(lab: Stage, inPod: boolean): Promise<{ token: string; file: TokenFile } | undefined> {
  if (inPod) {
    const text = await lab.kubectl([
      'exec',
      '-n',
      namespace,
      podName,
      '-c',
      'maven',
      '--',
      'sh',
      '-c',
      `cat ${directory}/token; echo; cat ${directory}/token.json`,
    ]);
    const [token = '', ...rest] = text.split('\n');
    return { token, file: JSON.parse(rest.join('\n')) as TokenFile };
  }
  const secret = await lab.kubectl([
    'get',
    'secret',
    '-n',
    namespace,
    `ci-identity-publisher.${podName}`,
    '-o',
    'json',
  ]);
  const { data } = JSON.parse(secret) as { data: Record<string, string> };
  const decode = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString('utf8');
  return { token: decode('token'), file: JSON.parse(decode('token.json')) as TokenFile };
}

async function createPod(lab: Stage, name: string, labels: Readonly<Record<string, string>>): Promise<string> {
  const pod = agentPod({ name, labels });
  const sleep = ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 1; done'];
  const containers = pod.spec.containers.map((container) => ({
    ...container,
    image: lab.agentImage,
    command: sleep,
    tty: false,
    resources: {},
  }));
  return lab.kubectlAsJenkins(
    ['create', '-f', '-'],
    JSON.stringify({ ...pod, spec: { ...pod.spec, ...lab.podSpec, containers } }),
  );
}

async function refusedPod(lab: Stage, narrator: Narrator): Promise<void> {
  await lab.apply(readFileSync(new URL('greedy.yaml', import.meta.url), 'utf8'));
  await lab.kubectl([
    'wait',
    '--for=condition=Authorized=false',
    '--timeout=60s',
    '-n',
    namespace,
    'ciidentity/deployer',
  ]);
  // The API server learns of the condition from a cache of its own, a moment after kubectl.
  let release = 6;
  const refusal = await eventually('a pod that asks for too much is refused', () =>
    createPod(lab, `payments-release-${(release += 1)}-b3c4d-w9x8v-z1y2q`, { team: 'deploy' }).then(
      () => undefined,
      (error: Error) => error.message,
    ),
  );
  narrator.say(
    'A pod whose identity asks for deploy:production is refused; this is what Jenkins prints in the build log:',
  );
  narrator.show(refusal.slice(refusal.indexOf('Error from server')));
}

async function expectStatus(registry: Registry, method: string, token: string, status: number): Promise<void> {
  const got = await call(registry, method, token);
  if (got !== status) throw new Error(`${method} at the registry answered ${got}, expected ${status}`);
}

function call(registry: Registry, method: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      registry.url,
      { method, ca: registry.caPem, headers: { authorization: `Bearer ${token}` }, timeout: 5_000 },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    sent.on('error', reject).end();
  });
}
