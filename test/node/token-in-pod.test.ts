import { readFileSync } from 'node:fs';
import test from 'ava';
import { eventually } from '#test/support/eventually.ts';
import { type AgentPodOptions, agentPod } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';

const namespace = 'ci-payments';
const name = 'payments-deploy-43-b2c3d-f4g5h-j6k7l';

interface Files {
  readonly token: string;
  readonly header: string;
  readonly json: { readonly expires_at: string; readonly scope: string; readonly session_id: string };
}

let lab: Lab;

test.before('a cluster with a node, a provider and the operator', async () => {
  lab = await startLab({ node: true, tokenLifetime: 60, deliveryLag: '10s' });
  const operator = lab.operator();
  await operator.ready();
  await lab.guarded();
  const identities = readFileSync(new URL('../quickstart/identities.yaml', import.meta.url), 'utf8');
  await lab.apply(identities.replaceAll('ISSUER', lab.provider.issuer).replace('80s', '15m'));
  await lab.kubectl(['wait', '--for=condition=Ready', '--timeout=270s', '-n', namespace, 'ciidentity/publisher']);
});

test.after.always('everything ends', async () => {
  await lab?.stop();
});

/** The pod of the plugin, with an image that is there, and one container each as root, as Jenkins' user and as nobody. */
function runnablePod(options: AgentPodOptions = {}): string {
  const pod = agentPod({ name, ...options });
  const script = ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 1; done'];
  const as = (uid: number) => ({ runAsUser: uid, runAsGroup: uid });
  const [tool, agent] = pod.spec.containers;
  const containers = [
    { ...tool, image: lab.agentImage, command: script, tty: false, securityContext: as(0) },
    { name: 'nobody', image: lab.agentImage, command: script, securityContext: as(65_534) },
    { ...agent, image: lab.agentImage, command: script, resources: {}, securityContext: as(1_000) },
  ];
  return JSON.stringify({ ...pod, spec: { ...pod.spec, containers } });
}

async function filesIn(container: string, pod = name): Promise<Files> {
  const script =
    'cd "$CI_IDENTITY_PUBLISHER_DIR"; cat token; echo; cat header; echo; cat token.json; echo; cat "$CI_IDENTITY_PUBLISHER_TOKEN_FILE"';
  const text = await lab.kubectl(['exec', '-n', namespace, pod, '-c', container, '--', 'sh', '-c', script]);
  const [token = '', header = '', ...rest] = text.split('\n');
  return { token, header, json: JSON.parse(rest.slice(0, -1).join('\n')) as Files['json'] };
}

function isLive(token: string): boolean {
  return lab.provider.liveTokens().some(({ value }) => value === token);
}

test.serial(
  'a real pod reads its token, across a renewal, whoever it runs as, and loses it with its end',
  async (t) => {
    await lab.kubectlAsJenkins(['create', '-f', '-'], runnablePod());
    const first = await eventually('the pod reads its token', () => filesIn('maven'), {
      timeoutMs: 60_000,
      everyMs: 100,
    });
    t.is(first.header, `Authorization: Bearer ${first.token}`);
    t.is(first.json.scope, 'artifacts:publish artifacts:read');
    t.regex(first.json.session_id, /^[0-9a-f-]{36}\.publisher$/);
    const printed = ['exec', '-n', namespace, name, '-c', 'maven', '--', 'sh', '-c'];
    t.is((await lab.kubectl([...printed, 'echo "$CI_IDENTITY_PUBLISHER_SESSION_ID"'])).trim(), first.json.session_id);
    t.true(isLive(first.token));
    for (const container of ['nobody', 'jnlp']) t.is((await filesIn(container)).token, first.token, container);

    const second = await eventually(
      'the file holds another token',
      async () => {
        const now = await filesIn('jnlp');
        t.true(isLive(now.token), 'what the pod reads is live at every moment');
        return now.token === first.token ? undefined : now;
      },
      { timeoutMs: 90_000, everyMs: 250 },
    );
    t.true(second.json.expires_at > first.json.expires_at);
    t.is(second.json.session_id, first.json.session_id);
    await eventually('the superseded token is revoked', () => (isLive(first.token) ? undefined : true), {
      timeoutMs: 30_000,
    });
    t.true(isLive(second.token));

    await lab.kubectl(['delete', 'pod', '-n', namespace, name, '--wait=false']);
    await eventually('no token of the pod is alive', () => (lab.provider.liveTokens().length === 0 ? true : undefined));
  },
);

test.serial(
  'a delivery that was deleted before the kubelet could mount it is back at once, and the pod starts',
  async (t) => {
    t.timeout(360_000);
    lab.provider.settings.tokenTtl = 600;
    const late = 'payments-deploy-44-b2c3d-f4g5h-j6k7l';
    const gate = { spec: { schedulingGates: [{ name: 'example.com/waits' }] } };
    await lab.kubectlAsJenkins(['create', '-f', '-'], runnablePod({ name: late, ...gate }));
    const secret = ['secret', '-n', namespace, `ci-identity-publisher.${late}`];
    const delivered = await eventually('the token is delivered', async () => {
      const data = await lab.kubectl(['get', ...secret, '-o', 'jsonpath={.data.token}']);
      return data === '' ? undefined : data;
    });
    await lab.kubectl(['delete', ...secret]);
    const open = JSON.stringify({ spec: { schedulingGates: null } });
    await lab.kubectl(['patch', 'pod', '-n', namespace, late, '--type=merge', '-p', open]);
    const from = Date.now();
    const { token } = await eventually('the pod reads its token', () => filesIn('maven', late), {
      timeoutMs: 90_000,
      everyMs: 500,
    });
    t.log(`${Date.now() - from} ms from the missing Secret to the running pod`);
    t.is(token, Buffer.from(delivered, 'base64').toString('utf8'), 'the same token, long before its renewal');
    const events = ['get', 'events', '-n', namespace, '--field-selector', `involvedObject.name=${late}`];
    await eventually('an event says that the kubelet could not mount it', async () =>
      /FailedMount.*ci-identity-publisher.*not found/.test(await lab.kubectl(events)) ? true : undefined,
    );
  },
);
