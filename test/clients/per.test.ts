/** A client for each identity or namespace: its own record, its own life, and a change of mind that no build notices. */
import test from 'ava';
import {
  condition,
  createPod,
  dies,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import { patiently, records } from './support.ts';

let lab: Lab;
let operator: OperatorProcess;

const other = 'ci-shipping';
const people = [
  ['publisher', team],
  ['deployer', team],
  ['publisher', other],
] as const;

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  await lab.agentNamespace(other);
  operator = await lab.running();
  await lab.apply(
    bots('Identity'),
    policy('bots', { role: 'publisher', pool: 'bots', scopes: ['artifacts:publish'], namespaces: [team, other] }),
    ...people.map(([name, namespace]) => identity(name, { pool: 'bots', roles: ['publisher'] }, namespace)),
  );
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

function bots(per: 'Pool' | 'Namespace' | 'Identity', overlap = '1h'): string {
  return pool('bots', lab.provider.issuer, { client: { per }, rotation: { allowSubjectChange: true, overlap } });
}

const clientOf = (token: string): string | undefined =>
  lab.provider.liveTokens().find(({ value }) => value === token)?.clientId;
const clients = (): Promise<unknown> => statusOf(lab, 'identitypool/bots').then((status) => status['clients']);

const sameSet = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && new Set([...a, ...b]).size === a.length;

/** Every client at the provider is the one of a record that is wanted, and there are so many. */
function settled(total: number): Promise<boolean> {
  return eventually(
    `${total} clients and no other`,
    async () => {
      const ours = await records(lab, 'bots');
      const ids = ours.flatMap(([, { generations }]) => generations.map(({ clientId }) => clientId));
      const there = lab.provider.clients().map(({ clientId }) => clientId);
      if (!sameSet(ids, there)) throw new Error(`${ids.join()} and ${there.join()}`);
      const counted = (await clients()) as { total: number; ready: number };
      if (there.length !== total || counted.ready !== total || counted.total !== total)
        throw new Error(`${there.length}, ${JSON.stringify(counted)}`);
      return true;
    },
    { timeoutMs: 90_000 },
  );
}

test.serial(
  'one client for each identity: each with a record and a subject of its own, counted in the status',
  async (t) => {
    for (const [name, namespace] of people) await identityReady(lab, name, namespace);
    await settled(3);
    await condition(lab, 'identitypool/bots', 'Ready', { status: 'True', reason: 'Ready' });
    const pods = await Promise.all(
      people.map(([name, namespace]) => createPod(lab, nextPodName(), [name], { namespace })),
    );
    const tokens = await Promise.all(pods.map((pod, n) => tokenOf(lab, pod, people[n]?.[0] ?? '')));
    t.is(new Set(tokens.map(clientOf)).size, 3);
    t.false('clientId' in (await statusOf(lab, 'identitypool/bots')), 'the status is a summary');
  },
);

test.serial(
  'an identity is deleted under a running build: its token first, then its client, and nobody else',
  async (t) => {
    const pod = await createPod(lab, nextPodName(), ['deployer']);
    const token = await tokenOf(lab, pod, 'deployer');
    const own = clientOf(token);
    await lab.kubectl(['delete', 'ciidentity', '-n', team, 'deployer']);
    await dies(lab.provider, token);
    await settled(2);
    t.false(lab.provider.clients().some(({ clientId }) => clientId === own));
  },
);

for (const [per, total] of [
  ['Namespace', 2],
  ['Pool', 1],
  ['Identity', 2],
] as const) {
  test.serial(
    `client.per becomes ${per} under running builds: the new client mints before the old one ends`,
    async (t) => {
      const pod = await createPod(lab, nextPodName(), ['publisher']);
      const token = await tokenOf(lab, pod, 'publisher');
      const before = clientOf(token);
      let gap = 0;
      let now = token;
      await lab.apply(bots(per));
      const next = await eventually(
        'the build has a token of the new client',
        async () => {
          now = await tokenOf(lab, pod, 'publisher');
          // It may have been replaced since it was read.
          if (!isLive(lab.provider, now) && now === (await tokenOf(lab, pod, 'publisher'))) gap += 1;
          return clientOf(now) === before ? undefined : now;
        },
        { timeoutMs: 60_000 },
      );
      t.is(gap, 0, 'at no look was the delivered token dead');
      t.true(isLive(lab.provider, next));
      await dies(lab.provider, token, 30_000);
      await settled(total);
      t.true(isLive(lab.provider, next));
    },
  );
}

test.serial('a new client that cannot be registered: the one before mints on, also for new builds', async (t) => {
  const pod = await createPod(lab, nextPodName(), ['publisher']);
  const before = clientOf(await tokenOf(lab, pod, 'publisher'));
  const mend = lab.provider.faults.add({
    endpoint: 'register',
    instead: { status: 403, body: { error: 'access_denied' } },
  });
  await lab.apply(bots('Pool'));
  await patiently(lab, 'bots', 'Ready', { status: 'False' });
  const later = await createPod(lab, nextPodName(), ['publisher']);
  t.is(clientOf(await tokenOf(lab, later, 'publisher')), before);
  mend();
  // Any edit is a reason to try at once what was refused.
  await lab.apply(bots('Pool', '2h'));
  await settled(1);
});

test.serial('the pool is deleted: no client and no record is left', async (t) => {
  await lab.kubectl(['delete', 'pod', '-A', '-l', 'jenkins/label', '--wait=false']);
  await lab.kubectl(['delete', 'identitypool', 'bots', '--timeout=180s']);
  t.deepEqual(lab.provider.clients(), []);
  t.deepEqual(await records(lab, 'bots'), []);
});
