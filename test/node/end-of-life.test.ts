/**
 * The ways in which a pod ends that only a kubelet can bring about, on a real node: each pod runs, ends, and the last column is read from the
 * provider: live tokens, which must be 0. The rest of the table is in test/sessions/end-of-life.test.ts.
 *
 * Each weather has a cluster of its own, because its node dies in the end. By default: two weathers, without what takes a minute longer.
 * `ENDS_ALL=1` takes every way in every weather.
 */
import test from 'ava';
import type { Pod } from '#test/api/operator-lab.ts';
import { processesOf, signal } from '#test/cluster/processes.ts';
import {
  type Row,
  type Way,
  begin,
  commonWays,
  endIn,
  endsWell,
  isWhole,
  liveOf,
  providerWeathers,
  settle,
} from '#test/sessions/ends.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, startLab } from '#test/support/lab.ts';

/** A pod on the node. What its kubelet did is read from the status of the pod, so that no row passes for another reason. */
interface NodeWay extends Way {
  readonly shows?: RegExp;
}

const image = 'ci-identity.dev/agent:test';
const workspace = [{ name: 'workspace-volume', mountPath: '/home/jenkins/agent', readOnly: false }];

/** One container that waits for a file and then does the last thing of its life. */
function spec(last: string, container: object = {}, pod: object = {}): Readonly<Record<string, unknown>> {
  const script = `trap "exit 0" TERM; until [ -e end ]; do sleep 0.2; done; ${last}`;
  const command = ['sh', '-c', script];
  const agent = { name: 'jnlp', image, command, workingDir: '/home/jenkins/agent', volumeMounts: workspace };
  return { containers: [{ ...agent, ...container }], terminationGracePeriodSeconds: 5, ...pod };
}

const goOn = (lab: Lab, pod: Pod): Promise<string> =>
  lab.kubectl(['exec', '-n', pod.namespace, pod.name, '--', 'touch', '/home/jenkins/agent/end']);

async function statusOf(lab: Lab, pod: Pod): Promise<string> {
  return lab.kubectl(['get', 'pod', '-n', pod.namespace, pod.name, '-o', 'jsonpath={.status}']);
}

async function runs(lab: Lab, pod: Pod): Promise<void> {
  await eventually(
    `pod ${pod.name} runs`,
    async () => ((await statusOf(lab, pod)).includes('"phase":"Running"') ? true : undefined),
    { timeoutMs: 90_000 },
  );
}

const stays = spec('true', { command: ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 1; done'] });
const crowded = [{ name: 'workspace-volume', emptyDir: { sizeLimit: '1Mi' } }];

const ways: readonly NodeWay[] = [
  { title: 'succeeded', spec: spec('exit 0'), end: goOn, shows: /"phase":"Succeeded"/ },
  { title: 'failed', spec: spec('exit 1'), end: goOn, shows: /"exitCode":1\b.*"phase":"Failed"/ },
  {
    title: 'killed for its memory',
    spec: spec('tail /dev/zero', { resources: { limits: { memory: '24Mi' } } }),
    end: goOn,
    shows: /OOMKilled/,
  },
  {
    title: 'past its deadline',
    spec: stays,
    end: (lab, pod) =>
      lab.kubectl(['patch', 'pod', '-n', pod.namespace, pod.name, '-p', '{"spec":{"activeDeadlineSeconds":1}}']),
    shows: /DeadlineExceeded/,
  },
  {
    title: 'evicted by the kubelet',
    late: true,
    spec: spec('dd if=/dev/zero of=full bs=1M count=4; sleep 600', {}, { volumes: crowded }),
    end: goOn,
    shows: /"reason":"Evicted"/,
  },
  { ...commonWays.evicted, spec: stays },
  { ...commonWays.deleted, spec: stays },
  {
    title: 'deleted, and it takes its time',
    spec: spec('true', { command: ['sh', '-c', 'trap "" TERM; while true; do sleep 1; done'] }, patient(20)),
    end: commonWays.deleted.end,
  },
  { ...commonWays.forced, spec: stays },
  { ...commonWays.namespace, spec: stays },
  { ...commonWays.owner, spec: stays },
];

function patient(terminationGracePeriodSeconds: number): object {
  return { terminationGracePeriodSeconds };
}

const isOver = (lab: Lab, pod: Pod): Promise<true> =>
  eventually(
    `pod ${pod.name} is being deleted, or gone`,
    async () => {
      const query = ['get', 'pod', '-n', pod.namespace, pod.name, '--ignore-not-found', '-o'];
      const deleting = await lab.kubectl([...query, 'jsonpath={.metadata.name} {.metadata.deletionTimestamp}']);
      return / ?\S+ $/.test(deleting) ? undefined : true;
    },
    { timeoutMs: 180_000, everyMs: 500 },
  );

const leaveAtOnce = ['not-ready', 'unreachable'].map((trouble) => ({
  key: `node.kubernetes.io/${trouble}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 0,
}));

/** The node says nothing any more, while what ran there may run on. In this order: the last one takes the node's object away. */
const lostWays: readonly NodeWay[] = [
  { ...commonWays.unconfirmed, title: 'node silent, pod deleted', spec: stays },
  {
    ...commonWays.unconfirmed,
    title: 'node silent, evicted for it',
    spec: { ...stays, tolerations: leaveAtOnce },
    end: isOver,
  },
  {
    title: 'node silent and then deleted',
    late: true,
    spec: stays,
    async end(lab, pod) {
      await lab.kubectl(['delete', 'node', lab.cluster.node?.name ?? '', '--wait=false']);
      await isOver(lab, pod);
    },
  },
];

/** Nobody is evicted from the only node there is, so there is another one, which says every five seconds that it lives. */
async function neighbour(lab: Lab): Promise<() => void> {
  const name = 'neighbour';
  const beat = (): Promise<void> =>
    lab.apply(
      JSON.stringify({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace: 'kube-node-lease' },
        spec: {
          holderIdentity: name,
          leaseDurationSeconds: 40,
          renewTime: new Date().toISOString().replace('Z', '000Z'),
        },
      }),
    );
  await lab.apply(
    JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { unschedulable: true } }),
  );
  const now = new Date().toISOString();
  const ready = { type: 'Ready', status: 'True', lastHeartbeatTime: now, lastTransitionTime: now };
  const patch = JSON.stringify({ status: { conditions: [{ ...ready, reason: 'KubeletReady', message: 'it beats' }] } });
  await lab.kubectl(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', patch]);
  await beat();
  const timer = setInterval(() => void beat().catch(() => {}), 5_000);
  return () => clearInterval(timer);
}

async function silence(lab: Lab): Promise<void> {
  for (const { pid, name } of await processesOf(lab.cluster.dir)) if (name === 'kubelet') signal(pid, 'SIGKILL');
}

const weathers = providerWeathers.filter(({ sample }) => isWhole || sample === true);
let lab: Lab;

test.afterEach.always(async () => {
  await lab?.stop();
});

for (const [index, weather] of weathers.entries()) {
  const inTime = ({ late }: NodeWay): boolean => isWhole || late !== true;
  const here = ways.filter(inTime);
  const lost = isWhole || index === 0 ? lostWays.filter(inTime) : [];
  test.serial(
    `${here.length + lost.length} ways to end on a real node, ${weather.title}: live tokens at the provider: 0`,
    async (t) => {
      t.timeout(1_620_000);
      lab = await startLab({ node: true, tokenLifetime: weather.tokenLifetime ?? 600, deliveryLag: '10s' });
      const operator = lab.operator();
      await operator.ready();
      await lab.guarded();
      const rest = await neighbour(lab);
      const name = `end-${index + 1}`;
      await settle(lab, name);
      const rowsOf = async (chosen: readonly NodeWay[], from = 0): Promise<readonly Row[]> => {
        const rows: Row[] = [];
        for (const [n, way] of chosen.entries()) rows.push(await begin(lab, way, name, from + n));
        for (const { pod } of rows) await runs(lab, pod);
        return rows;
      };
      try {
        const rows = await rowsOf(here);
        const remaining = await rowsOf(lost, rows.length);
        await endIn(weather, lab, rows);
        await endsWell(t, lab, rows, name);
        for (const [n, { pod }] of rows.entries()) {
          const { shows, title } = here[n] ?? {};
          if (shows !== undefined) t.regex(await statusOf(lab, pod), shows, title);
        }
        await silence(lab);
        for (const row of remaining) {
          await endIn(weather, lab, [row]);
          await endsWell(t, lab, [row], name);
        }
        t.deepEqual(liveOf(lab, name), [], 'no token of the pool lives, known or unknown');
      } catch (error) {
        t.log(operator.log().slice(-4_000));
        throw error;
      } finally {
        rest();
      }
    },
  );
}
