/** Objects that go, come back or are edited while pods hold tokens; two installations at one provider; a process that is pestered. */
import test from 'ava';
import { readdirSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { established } from '#test/support/established.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod, nextPodName } from '#test/support/jenkins-pod.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab, startLabWith } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  auditOf,
  clusterEvents,
  condition,
  createPod,
  deliveryOf,
  dies,
  errorOf,
  identity,
  identityReady,
  isLive,
  page,
  policy,
  pool,
  refusalOf,
  sessionGone,
  sessions,
  sha256,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';

const patient = { timeoutMs: 90_000 };
const system = 'ci-identity-system';
const crds = join(import.meta.dirname, '../../crds');

let lab: Lab;
let operator: OperatorProcess;

const objects = (issuer: string): readonly string[] => [
  pool('ci-bots', issuer),
  pool('other-bots', issuer),
  policy(
    'publishers',
    { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish'] },
    { role: 'reader', pool: 'other-bots', scopes: ['artifacts:read'] },
  ),
  identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
  identity('reader', { pool: 'other-bots', roles: ['reader'] }),
];

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  operator = await lab.running();
  await lab.apply(...objects(lab.provider.issuer));
  for (const name of ['publisher', 'reader']) await identityReady(lab, name);
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

const newPod = (name = 'publisher'): Promise<Pod> => createPod(lab, nextPodName(), [name]);
const remove = (...names: readonly string[]): Promise<string> =>
  lab.kubectl(['delete', 'pod', '-n', team, ...names, '--force', '--grace-period=0', '--wait=false']);

/** The tenant of another pool: it gets a token in the time in which it always does. */
async function others(): Promise<void> {
  const pod = await newPod('reader');
  await tokenOf(lab, pod, 'reader', undefined, 10_000);
  await remove(pod.name);
}

interface RecordSecret {
  readonly metadata: { readonly name: string; readonly labels?: object };
  readonly type: string;
  readonly data: { readonly 'record.json': string };
}

/** The record Secrets of a kind whose text contains something. */
async function records(kind: 'client' | 'session', contains: string): Promise<readonly RecordSecret[]> {
  const args = ['get', 'secrets', '-n', system, '-l', `ci-identity.dev/kind=${kind}`, '-o', 'json'];
  const { items } = JSON.parse(await lab.kubectl(args)) as { items: readonly RecordSecret[] };
  return items.filter(({ data }) => textOf(data).includes(contains));
}

const textOf = (data: RecordSecret['data']): string => Buffer.from(data['record.json'], 'base64').toString('utf8');

const deliveryGone = (pod: Pod): Promise<true> =>
  eventually('its delivery Secret is gone', async () =>
    (await refusalOf(deliveryOf(lab, pod, 'publisher'))).includes('not found') ? true : undefined,
  );

test.serial('a pod that is gone before its token comes: the token is revoked, and nothing is left', async (t) => {
  const before = lab.provider.liveTokens().length;
  const heal = lab.provider.faults.add({ endpoint: 'token', delay: 3_000 });
  const pod = await newPod();
  await eventually('the token is asked for', () =>
    auditOf(operator).some(({ event, pod: of }) => event === 'Requested' && of?.uid === pod.uid) ? true : undefined,
  );
  await remove(pod.name);
  heal();
  await others();
  await sessionGone(lab, pod);
  await eventually(
    'every token is dead',
    () => (lab.provider.liveTokens().length <= before ? true : undefined),
    patient,
  );
  await t.notThrowsAsync(deliveryGone(pod));
});

test.serial(
  'the name of a pod is used again at once: the new pod gets a token of its own, the old one dies',
  async (t) => {
    const first = await newPod();
    const old = await tokenOf(lab, first, 'publisher');
    await remove(first.name);
    const second = await createPod(lab, first.name, ['publisher']);
    t.not(second.uid, first.uid);
    await dies(lab.provider, old);
    const token = await tokenOf(lab, second, 'publisher', old);
    // The garbage collector looks at what the old pod owned only now and then.
    await sessionGone(lab, first);
    const { metadata, files } = await deliveryOf(lab, second, 'publisher');
    t.deepEqual(
      metadata.ownerReferences.map(({ uid }) => uid),
      [second.uid],
    );
    t.is(files['token'], token);
    t.true(isLive(lab.provider, token));
    await remove(second.name);
  },
);

test.serial('fifty connections to /metrics that ask and never read: pods get their tokens as ever', async (t) => {
  const { metrics } = await operator.ports();
  const sockets = Array.from({ length: 50 }, (): Socket => connect(metrics, '127.0.0.1'));
  t.teardown(() => sockets.forEach((socket) => socket.destroy()));
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.pause();
    for (let n = 0; n < 50; n += 1) socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n');
  }
  await others();
  t.is((await page(operator, '/readyz')).status, 200);
});

test.serial('a hundred pods at once: the process opens only so many descriptors', async (t) => {
  const names = Array.from({ length: 100 }, nextPodName);
  const labels = { 'identity/publisher': 'yes' };
  const pods = names.map((name) => JSON.stringify(agentPod({ name, labels })));
  await lab.kubectlAsJenkins(['create', '-f', '-'], pods.join('\n---\n'));
  let most = 0;
  await eventually(
    'all have a token',
    async () => {
      most = Math.max(most, readdirSync(`/proc/${operator.pid}/fd`).length);
      return (await sessions(lab)).length >= pods.length ? true : undefined;
    },
    patient,
  );
  t.log(`at most ${most} descriptors`);
  t.true(most < 150, `${most}`);
  await remove(...names);
  await eventually('their tokens are dead', () => (lab.provider.liveTokens().length === 0 ? true : undefined), patient);
});

test.serial(
  'a pool is deleted under live sessions: tokens die, pods read why, its client goes, nothing holds it',
  async (t) => {
    const pods = [await newPod(), await newPod()];
    const tokens = await Promise.all(pods.map((pod) => tokenOf(lab, pod, 'publisher')));
    const clientId = (await statusOf(lab, 'identitypool/ci-bots'))['clientId'];
    await lab.kubectl(['delete', 'identitypool', 'ci-bots', '--wait=false']);
    for (const token of tokens) await dies(lab.provider, token);
    for (const pod of pods) t.regex((await errorOf(lab, pod, 'publisher')).message, /IdentityPool ci-bots/);
    await others();
    await eventually(
      'the pool is gone',
      async () =>
        (await refusalOf(lab.kubectl(['get', 'identitypool', 'ci-bots']))).includes('not found') ? true : undefined,
      patient,
    );
    t.false(lab.provider.clients().some((client) => client.clientId === clientId));
    t.deepEqual(await records('client', '"ci-bots"'), []);
    const { message } = await condition(
      lab,
      'ciidentity/publisher',
      'Authorized',
      { status: 'False', reason: 'PoolMissing' },
      team,
    );
    t.regex(message, /IdentityPool ci-bots does not exist/);
    await lab.apply(pool('ci-bots', lab.provider.issuer));
    await identityReady(lab, 'publisher');
    for (const [n, pod] of pods.entries())
      t.not(await tokenOf(lab, pod, 'publisher', tokens[n], patient.timeoutMs), tokens[n]);
    await remove(...pods.map(({ name }) => name));
  },
);

test.serial('records of a newer version: left alone, nothing is minted twice, and others go on', async (t) => {
  const pod = await newPod();
  const token = await tokenOf(lab, pod, 'publisher');
  await operator.stop();
  const all = [...(await records('client', '"ci-bots"')), ...(await records('session', pod.uid))];
  t.is(all.length, 2);
  const write = ({ metadata, data }: RecordSecret, text: string): Promise<string> =>
    lab.kubectl([
      'patch',
      'secret',
      '-n',
      system,
      metadata.name,
      '-p',
      JSON.stringify({ data: { ...data, 'record.json': Buffer.from(text).toString('base64') } }),
    ]);
  for (const one of all)
    await write(
      one,
      JSON.stringify({ ...(JSON.parse(textOf(one.data)) as object), formatVersion: 2, fromTheFuture: {} }),
    );
  operator = lab.operator();
  await operator.ready();
  await others();
  const told = await condition(lab, 'identitypool/ci-bots', 'Ready', { status: 'False', reason: 'NewerFormat' });
  t.regex(
    told.message,
    /client record client-\w+ was written by a newer version of the operator\. Install that version again\./,
  );
  t.is((await deliveryOf(lab, pod, 'publisher')).files['token'], token);
  t.true(isLive(lab.provider, token));
  t.false(
    auditOf(operator).some((line) => line.event === 'Requested' && line.pod?.uid === pod.uid),
    'no token was asked for',
  );
  const untouched = [...(await records('client', 'fromTheFuture')), ...(await records('session', 'fromTheFuture'))];
  t.is(untouched.length, all.length);
  for (const one of all) await write(one, textOf(one.data));
  await identityReady(lab, 'publisher');
  t.is((await sessions(lab)).find((record) => record.pod.uid === pod.uid)?.tokens[0]?.sha256, sha256(token));
  await remove(pod.name);
  await dies(lab.provider, token);
});

test.serial(
  'records whose labels were taken off while no operator ran: they have them again, and what ended meanwhile is ended',
  async (t) => {
    const [pod, ended] = [await newPod(), await newPod()];
    const token = await tokenOf(lab, pod, 'publisher');
    const dead = await tokenOf(lab, ended, 'publisher');
    await operator.stop();
    const all = [
      ...(await records('client', '"ci-bots"')),
      ...(await records('session', pod.uid)),
      ...(await records('session', ended.uid)),
    ];
    t.is(all.length, 3);
    const names = all.map(({ metadata }) => metadata.name);
    await lab.kubectl(['label', 'secret', '-n', system, ...names, 'ci-identity.dev/kind-']);
    await remove(ended.name);
    operator = lab.operator();
    await operator.ready();
    await dies(lab.provider, dead);
    await sessionGone(lab, ended);
    await eventually(
      'the others are labelled',
      async () =>
        (await records('client', '"ci-bots"')).length + (await records('session', pod.uid)).length === 2 || undefined,
      patient,
    );
    t.true(isLive(lab.provider, token));
    await remove(pod.name);
    await dies(lab.provider, token);
  },
);

test.serial(
  'somebody keeps copies of records under other names: they are no records, and nothing is ended',
  async (t) => {
    const pod = await newPod();
    const token = await tokenOf(lab, pod, 'publisher');
    const originals = [...(await records('client', '"ci-bots"')), ...(await records('session', pod.uid))];
    t.is(originals.length, 2);
    const known = lab.provider.clients().length;
    const copies = originals.map((secret) => ({
      ...secret,
      metadata: { name: `${secret.metadata.name}-backup`, namespace: system },
    }));
    const labelled = originals.map((secret) => ({
      ...secret,
      metadata: { name: `${secret.metadata.name}-labelled`, namespace: system, labels: secret.metadata.labels },
    }));
    await lab.apply(
      ...[...copies, ...labelled].map((copy) => JSON.stringify({ apiVersion: 'v1', kind: 'Secret', ...copy })),
    );
    await eventually(
      'the log names the copies',
      () => operator.log().match(/it is a copy/g)?.length === 4 || undefined,
    );
    await operator.stop();
    operator = lab.operator();
    await operator.ready();
    await others();
    t.true(isLive(lab.provider, token));
    t.is(lab.provider.clients().length, known);
    await lab.kubectl([
      'delete',
      'secret',
      '-n',
      system,
      ...[...copies, ...labelled].map(({ metadata }) => metadata.name),
    ]);
    await remove(pod.name);
    await dies(lab.provider, token);
  },
);

test.serial(
  'two installations at one provider: each has clients of its own, and neither touches those of the other',
  async (t) => {
    const { provider } = lab;
    const { issuer, caPem, initialAccessToken } = provider;
    const second = await startLabWith(async () => ({ issuer, caPem, initialAccessToken, stop: async () => {} }), {
      deliveryLag: '2s',
    });
    t.teardown(() => second.stop());
    const process = second.operator();
    await process.ready();
    await second.guarded();
    await second.apply(...objects(provider.issuer));
    await identityReady(second, 'publisher');
    const [here, there] = await Promise.all(
      [lab, second].map(async (one) => (await statusOf(one, 'identitypool/ci-bots'))['clientId']),
    );
    t.not(here, there);
    const pod = await newPod();
    const token = await tokenOf(lab, pod, 'publisher');
    const other = await createPod(second, 'payments-deploy-1-x7k2p-q0b4t-m1wz9', ['publisher']);
    const otherToken = await tokenOf(second, other, 'publisher');
    await second.kubectl(['delete', 'identitypool', 'ci-bots', 'other-bots', '--timeout=180s']);
    await dies(provider, otherToken);
    const left = provider.clients().map(({ clientId }) => clientId);
    t.true(left.includes(here as string) && !left.includes(there as string));
    t.true(isLive(provider, token));
    await others();
    await remove(pod.name);
  },
);

test.serial(
  'the kind of the policies is deleted: nobody decided that, so no session ends, and all goes on when it is back',
  async (t) => {
    const pod = await newPod();
    const token = await tokenOf(lab, pod, 'publisher');
    await lab.kubectl(['delete', 'crd', 'scopepolicies.ci-identity.dev', '--timeout=90s']);
    await eventually(
      'the watch says so',
      () =>
        /CustomResourceDefinition scopepolicies\.ci-identity\.dev is gone or being deleted/.test(operator.log())
          ? true
          : undefined,
      patient,
    );
    await lab.kubectl(['apply', '--server-side', '-k', crds]);
    await established((args) => lab.kubectl(args), 'crd/scopepolicies.ci-identity.dev');
    // Until a revocation that nothing holds back would have been made.
    await delay(5_000);
    t.true(isLive(lab.provider, token), 'also while the new kind is still empty');
    await lab.apply(...objects(lab.provider.issuer));
    const next = await eventually('a pod is admitted', () => newPod(), patient);
    t.truthy(await tokenOf(lab, next, 'publisher', undefined, patient.timeoutMs));
    t.is((await sessions(lab)).filter((one) => one.pod.uid === pod.uid).length, 1);
    await remove(pod.name, next.name);
  },
);

test.serial('the kind is deleted under many sessions, and everything is made anew with other uids', async (t) => {
  const pods = await Promise.all(Array.from({ length: 12 }, () => newPod()));
  const tokens = await Promise.all(pods.map((pod) => tokenOf(lab, pod, 'publisher')));
  const clients = lab.provider.clients().map(({ clientId }) => clientId);
  await lab.kubectl(['delete', 'crd', 'ciidentities.ci-identity.dev', '--timeout=90s']);
  await eventually(
    'the brake holds',
    async () => {
      const text = await clusterEvents(lab);
      return /1\d of 1\d sessions would end because their identity, kind or namespace vanished/.test(text)
        ? true
        : undefined;
    },
    patient,
  );
  t.true(
    tokens.every((token) => isLive(lab.provider, token)),
    'nothing was revoked',
  );
  t.deepEqual(
    lab.provider.clients().map(({ clientId }) => clientId),
    clients,
    'no client was deleted',
  );
  t.log((await page(operator, '/readyz')).text);
  await lab.kubectl(['apply', '--server-side', '-k', crds]);
  await established((args) => lab.kubectl(args), 'crd/ciidentities.ci-identity.dev');
  await lab.apply(...objects(lab.provider.issuer));
  await eventually('the identity is ready', () => identityReady(lab, 'publisher'), patient);
  // The API server takes a while to know the identities of a kind that was just made; until then it injects nothing.
  const pod = await eventually(
    'a new pod gets the identity',
    async () => {
      const made = await newPod();
      if (`identity.ci-identity.dev/publisher` in ((made as { annotations?: object }).annotations ?? {})) return made;
      await remove(made.name);
      return undefined;
    },
    { ...patient, everyMs: 1_000 },
  );
  t.truthy(await tokenOf(lab, pod, 'publisher', undefined, patient.timeoutMs));
  t.true(
    tokens.every((token) => isLive(lab.provider, token)),
    'they live on until their pods end',
  );
  await remove(...pods.map(({ name }) => name));
  for (const token of tokens) await dies(lab.provider, token, 20_000);
});

test.serial(
  'the kind of the pools is deleted under many sessions: the brake holds them until somebody lets them go',
  async (t) => {
    const held = async (): Promise<number> => {
      const { text } = await page(operator, '/metrics');
      return Number(/^ci_identity_brake_held_keys\{machine="sessions"\} (\d+)$/m.exec(text)?.[1]);
    };
    const pods = await Promise.all(Array.from({ length: 12 }, () => newPod()));
    const tokens = await Promise.all(pods.map((pod) => tokenOf(lab, pod, 'publisher', undefined, patient.timeoutMs)));
    await lab.kubectl(['delete', 'crd', 'identitypools.ci-identity.dev', '--wait=false']);
    await eventually('the brake holds', async () => ((await held()) >= 12 ? true : undefined), patient);
    // Until a revocation that nothing holds back would have been made.
    await delay(3_000);
    t.true(
      tokens.every((token) => isLive(lab.provider, token)),
      'nothing was revoked',
    );
    const id = `sessions-${await held()}-${Math.floor(Date.now() / 86_400_000)}`;
    await lab.kubectl(['annotate', 'namespace', system, `ci-identity.dev/acknowledge=${id}`]);
    for (const token of tokens) await dies(lab.provider, token, 20_000);
    await lab.kubectl(['wait', '--for=delete', 'crd/identitypools.ci-identity.dev', '--timeout=180s']);
    await lab.kubectl(['annotate', 'namespace', system, 'ci-identity.dev/acknowledge-']);
    await lab.kubectl(['apply', '--server-side', '-k', crds]);
    await established((args) => lab.kubectl(args), 'crd/identitypools.ci-identity.dev');
    await lab.apply(...objects(lab.provider.issuer));
    await eventually('the identity is ready', () => identityReady(lab, 'publisher'), patient);
    await remove(...pods.map(({ name }) => name));
  },
);
