/** The store behind the API server is full, and is set back to a backup: on a cluster of its own, because both hurt everybody. */
import test from 'ava';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  condition,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  refusalOf,
  sessions,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';

const patient = { timeoutMs: 120_000 };

let lab: Lab;
let operator: OperatorProcess;

test.before(async () => {
  lab = await startLab({
    tokenLifetime: 120,
    deliveryLag: '2s',
    etcdFlags: [`--quota-backend-bytes=${32 * 1024 ** 2}`],
  });
  operator = await lab.running();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish'] }),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
  );
  await identityReady(lab, 'publisher');
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

const newPod = (): Promise<Pod> => createPod(lab, nextPodName(), ['publisher']);
const remove = (...pods: readonly Pod[]): Promise<string> =>
  lab.kubectl([
    'delete',
    'pod',
    '-n',
    team,
    ...pods.map(({ name }) => name),
    '--force',
    '--grace-period=0',
    '--wait=false',
  ]);
const clientId = async (): Promise<unknown> => (await statusOf(lab, 'identitypool/ci-bots'))['clientId'];

/** The JSON door of etcd's own API. */
async function etcd<T>(path: string, body: object): Promise<T> {
  const answer = await fetch(`${lab.cluster.etcd}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** A store that is away for longer than a lease lives ends the process, and the kubelet starts it again. */
async function survived(): Promise<void> {
  if ((await Promise.race([operator.exited, delay(20_000, undefined)])) !== undefined) operator = lab.operator();
  await operator.ready(60_000);
}

test.serial(
  'etcd is full: nothing is asked of the provider that cannot be written down, and with room it goes on',
  async (t) => {
    const pod = await newPod();
    const token = await tokenOf(lab, pod, 'publisher');
    const filler = (n: number): string =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: `filler-${n}`, namespace: 'default' },
        data: { text: 'x'.repeat(1_000_000) },
      });
    let fillers = 0;
    const said = await eventually(
      'etcd takes no more',
      async () => {
        const text = await refusalOf(lab.kubectl(['create', '-f', '-'], filler((fillers += 1))));
        return text.includes('database space exceeded') ? text : undefined;
      },
      { timeoutMs: 60_000, everyMs: 1 },
    );
    t.regex(said, /mvcc: database space exceeded/);
    const issued = lab.provider.issued();
    const clients = lab.provider.clients().length;
    const { code } = await operator.exited;
    t.not(code, 0, 'a lease that cannot be renewed ends the process: another one might lead');
    t.regex(operator.log(), /lost the lease: exiting/);
    t.regex(operator.log(), /etcd is full, so nothing can be written; compact and defragment it/);
    operator = lab.operator();
    // Only once the lease of the one before has not changed for its whole length, which is most of the usual patience.
    await eventually(
      'it waits for the lease, and says why',
      () => (/"message":"lease".*etcd is full/.test(operator.log()) ? true : undefined),
      patient,
    );
    t.deepEqual([lab.provider.issued(), lab.provider.clients().length], [issued, clients], 'and calls no provider');
    t.is((await deliveryOf(lab, pod, 'publisher')).files['token'], token, 'what was delivered goes on');
    t.true(isLive(lab.provider, token));

    await lab.kubectl([
      'delete',
      'configmap',
      '--ignore-not-found',
      '-n',
      'default',
      ...Array.from({ length: fillers - 1 }, (_, n) => `filler-${n + 1}`),
    ]);
    const { header } = await etcd<{ header: { revision: string; member_id: string } }>('kv/range', { key: 'AA==' });
    await etcd('kv/compaction', { revision: header.revision, physical: true });
    await etcd('maintenance/defragment', {});
    await etcd('maintenance/alarm', { action: 'DEACTIVATE', memberID: header.member_id, alarm: 'NOSPACE' });
    await operator.ready(60_000);
    const next = await eventually('a pod is admitted again', () => newPod().catch(() => undefined), patient);
    t.truthy(await tokenOf(lab, next, 'publisher', undefined, patient.timeoutMs));
    const kept = (await deliveryOf(lab, pod, 'publisher')).files['token'] ?? '';
    t.true(isLive(lab.provider, kept), 'nothing was lost');
    await remove(pod, next);
    await dies(lab.provider, kept, 20_000);
  },
);

test.serial(
  'etcd is set back to a backup under the running program: nothing is deleted at the provider, and tokens go on',
  async (t) => {
    const old = await newPod();
    const token = await tokenOf(lab, old, 'publisher');
    const client = await clientId();
    const restore = await lab.cluster.backUp();
    await survived();
    const later = await eventually('a pod is admitted', () => newPod().catch(() => undefined), patient);
    await tokenOf(lab, later, 'publisher', undefined, patient.timeoutMs);
    await remove(old);
    await dies(lab.provider, token, 20_000);
    await restore();
    await survived();
    // It is there again, and so is its record, with a token that was revoked since: the renewal brings one that works.
    const alive = await tokenOf(lab, old, 'publisher', token, patient.timeoutMs);
    t.true(isLive(lab.provider, alive));
    t.is((await sessions(lab)).filter(({ pod }) => pod.uid === old.uid).length, 1);
    t.deepEqual([await clientId(), lab.provider.clients().length], [client, 1]);
    const next = await eventually('a pod is admitted', () => newPod().catch(() => undefined), patient);
    t.truthy(await tokenOf(lab, next, 'publisher', undefined, patient.timeoutMs));
    await eventually(
      'the pool is Ready',
      () => condition(lab, 'identitypool/ci-bots', 'Ready', { status: 'True' }),
      patient,
    );
  },
);
