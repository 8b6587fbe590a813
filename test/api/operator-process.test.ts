/** The running program as a process: settings that cannot be used, its pages, a restart, and two replicas that follow one another. */
import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, patience } from '#test/support/eventually.ts';
import { startFaultProxyOf } from '#test/support/fault-proxy.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { type OperatorProcess, startOperator } from '#test/support/operator-process.ts';
import {
  type Pod,
  auditOf,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  isLive,
  metric,
  page,
  policy,
  pool,
  sessionGone,
  sessions,
  team,
  tokenOf,
} from './operator-lab.ts';

let lab: Lab;
let operator: OperatorProcess;

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '10s' });
  operator = await lab.running();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish', 'artifacts:read'] }),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    identity('greedy', { pool: 'ci-bots', roles: ['publisher'], scopes: ['deploy:production'] }),
  );
  await identityReady(lab, 'publisher');
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

const newPod = (): Promise<Pod> => createPod(lab, nextPodName(), ['publisher']);

const leads = async (process: OperatorProcess): Promise<boolean> =>
  /^ci_identity_leader 1$/m.test((await page(process, '/metrics')).text);

/** Ends by itself: what it printed, and how it ended. */
async function refusedStart(configuration: string, more: object): Promise<{ code: number | null; text: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-settings-'));
  try {
    const configFile = join(dir, 'config.yaml');
    writeFileSync(configFile, configuration);
    const process = startOperator({ kubeconfig: '/nowhere', configFile, dir, ...more });
    const { code } = await process.exited;
    return { code, text: process.log() };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test.serial('a configuration that cannot be used: exit code 2 and every problem, a sentence each', async (t) => {
  const { code, text } = await refusedStart(
    `apiVersion: config.ci-identity.dev/v1alpha1
kind: ControllerConfiguration
issuers:
  - { url: "https://idp.example.com", profile: Kyecloak }
  - { url: "https://idp.example.com", registrationTokenRef: { name: a } }
limits: { deliveryLag: soon }
logs: { level: loud }
`,
    {},
  );
  t.is(code, 2);
  const lines = text.split('\n').filter((line) => line !== '');
  for (const problem of [
    /: the file has the unknown member "logs"; known are/,
    /: issuers\[0\]\.profile must be Generic, Keycloak, Glewlwyd, Hydra or Spring$/,
    /: issuers\[1\]\.registrationTokenRef lacks the member key$/,
    /: issuers\[1\]\.url is the same as issuers\[0\]\.url; merge the two entries$/,
    /: limits\.deliveryLag must be a duration from 1s to 1h such as 150s or 3m$/,
  ])
    t.true(
      lines.some((line) => line.startsWith('ci-identity-operator: ') && problem.test(line)),
      `${problem}\n${text}`,
    );
  t.is(lines.length, 5, text);
});

test.serial('flags that cannot be used: exit code 2 and every problem', async (t) => {
  const more = { logLevel: 'loud', environment: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } };
  const { code, text } = await refusedStart('', more);
  t.is(code, 2);
  t.regex(text, /^ci-identity-operator: --log-level must be one of error, warn, info, debug, not loud$/m);
  t.regex(text, /^ci-identity-operator: NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate checks off/m);
});

test.serial('/healthz and /readyz name every check', async (t) => {
  const live = await page(operator, '/healthz');
  t.is(live.status, 200);
  t.regex(live.text, /^ok process$/m);
  const ready = await page(operator, '/readyz');
  t.is(ready.status, 200);
  for (const watch of [
    'identitypools',
    'scopepolicies',
    'ciidentities',
    'namespaces',
    'session-records',
    'ValidatingAdmissionPolicy',
  ])
    t.regex(ready.text, new RegExp(`^ok watch ${watch}$`, 'm'));
});

/** Every metric of ours, with all of its labels. */
const metrics: Readonly<Record<string, readonly string[]>> = {
  ci_identity_decisions_total: ['machine', 'outcome'],
  ci_identity_effect_seconds: ['operation', 'outcome'],
  ci_identity_watch_synced: ['watch'],
  ci_identity_watch_age_seconds: ['watch'],
  ci_identity_sessions_live: ['pool'],
  ci_identity_tokens_minted_total: ['pool', 'outcome', 'reason'],
  ci_identity_tokens_revoked_total: ['pool', 'outcome'],
  ci_identity_delivery_seconds: ['pool'],
  ci_identity_provider_calls_total: ['issuer', 'operation', 'outcome'],
  ci_identity_credential_generation: ['pool'],
  ci_identity_credential_since_seconds: ['pool'],
  ci_identity_guard_intact: [],
  ci_identity_leader: [],
};

test.serial('/metrics: every metric is there after one session, with its labels and no others', async (t) => {
  const pod = await newPod();
  const token = await tokenOf(lab, pod, 'publisher');
  await metric(operator, /^ci_identity_sessions_live\{pool="ci-bots"\} 1$/m);
  const { text } = await page(operator, '/metrics');
  await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
  await dies(lab.provider, token);
  const after = await eventually('the revocation is counted', async () => {
    const now = (await page(operator, '/metrics')).text;
    return /^ci_identity_tokens_revoked_total\{pool="ci-bots",outcome="\w+"\} 1$/m.test(now) ? now : undefined;
  });
  const samples = [
    ...`${text}\n${after}`.matchAll(/^(ci_identity_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? [-+.\deInfNa]+$/gm),
  ];
  const seen = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of samples) {
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label ?? '').filter((label) => label !== 'le');
    seen.set(name, new Set([...(seen.get(name) ?? []), ...names]));
  }
  for (const [name, labels] of Object.entries(metrics))
    t.deepEqual([...(seen.get(name) ?? ['(not there)'])].toSorted(), [...labels].toSorted(), name);
  const allowed = new Set([
    'pool',
    'issuer',
    'operation',
    'outcome',
    'reason',
    'machine',
    'lane',
    'watch',
    'credential',
  ]);
  for (const [name, labels] of seen)
    t.deepEqual(
      [...labels].filter((label) => !allowed.has(label)),
      [],
      name,
    );
  t.false(after.includes(pod.name) || after.includes(pod.uid), 'nothing per pod');
});

test.serial('a restart mints nothing again and leaves every Secret as it is', async (t) => {
  const pods = [await newPod(), await newPod(), await newPod()];
  const tokens = await Promise.all(pods.map((pod) => tokenOf(lab, pod, 'publisher')));
  const versions = async (): Promise<readonly string[]> =>
    Promise.all(pods.map(async (pod) => (await deliveryOf(lab, pod, 'publisher')).metadata.resourceVersion));
  const before = await versions();
  const issued = lab.provider.issued();
  const revoked = lab.provider.stats.count('revocation');
  await operator.stop();
  t.deepEqual(await operator.exited, { code: 0, signal: null });
  operator = lab.operator();
  await operator.ready();
  await eventually('it has delivered them again', () => {
    const lines = auditOf(operator).filter(({ event }) => event === 'Delivered');
    return pods.every(({ uid }) => lines.some(({ pod }) => pod?.uid === uid)) ? true : undefined;
  });
  t.is(lab.provider.issued(), issued);
  t.is(lab.provider.stats.count('revocation'), revoked);
  t.deepEqual(await versions(), before);
  for (const token of tokens) t.true(isLive(lab.provider, token));
  await tokenOf(lab, await newPod(), 'publisher');
});

test.serial('a process that is asked to stop revokes the tokens that proved new clients first', async (t) => {
  const names = Array.from({ length: 40 }, (_, n) => `storm-${n}`);
  const known = new Set(lab.provider.clients().map(({ clientId }) => clientId));
  await lab.apply(...names.map((name) => pool(name, lab.provider.issuer)));
  const proven = '{range .items[?(@.status.credential.generation==1)]}{.metadata.name}{" "}{end}';
  await eventually('all are proven', async () => {
    const there = new Set((await lab.kubectl(['get', 'identitypools', `-o=jsonpath=${proven}`])).split(' '));
    return names.every((name) => there.has(name)) ? true : undefined;
  });
  await operator.stop();
  const left = lab.provider.liveTokens().filter(({ clientId }) => !known.has(clientId));
  t.deepEqual(
    left.map(({ clientId }) => clientId),
    [],
  );
  operator = await lab.running();
});

test.serial(
  'of two replicas one acts; after SIGTERM the other takes over within seconds, after SIGKILL within the lease',
  async (t) => {
    const second = lab.operator();
    await second.ready();
    const pod = await newPod();
    const token = await tokenOf(lab, pod, 'publisher');
    t.deepEqual([await leads(operator), await leads(second)], [true, false]);
    t.is(second.audit(), '', 'the other one does nothing');

    const from = Date.now();
    await operator.stop('SIGTERM');
    const next = await newPod();
    await tokenOf(lab, next, 'publisher');
    const handover = Date.now() - from;
    t.true(handover < patience * 5_000, `SIGTERM: ${handover} ms until a pod gets its token from the other replica`);
    t.true(auditOf(second).some(({ event, pod: of }) => event === 'Minted' && of?.uid === next.uid));

    operator = lab.operator();
    await operator.ready();
    const killed = Date.now();
    await second.stop('SIGKILL');
    const last = await newPod();
    await tokenOf(lab, last, 'publisher', undefined, 30_000);
    const takeover = Date.now() - killed;
    t.true(takeover < patience * 20_000, `SIGKILL: ${takeover} ms until a pod gets its token from the other replica`);
    t.true(await leads(operator));
    t.true(isLive(lab.provider, token));
    t.is((await deliveryOf(lab, pod, 'publisher')).files['token'], token, 'no token changed hands with the lease');
    await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
    await dies(lab.provider, token);
  },
);

test.serial('a leader that was frozen beyond its lease does nothing when it wakes up, and exits with 1', async (t) => {
  const frozen = operator;
  const other = lab.operator();
  await other.ready();
  process.kill(frozen.pid, 'SIGSTOP');
  await tokenOf(lab, await newPod(), 'publisher', undefined, 30_000);
  t.true(await leads(other));
  const said = auditOf(frozen).length;
  process.kill(frozen.pid, 'SIGCONT');
  const ended = await Promise.race([
    frozen.exited,
    new Promise((resolve) => setTimeout(() => resolve('it lives'), patience * 15_000)),
  ]);
  t.deepEqual(ended, { code: 1, signal: null });
  t.is(auditOf(frozen).length, said);
  operator = other;
});

test.serial(
  'whoever takes over with watches that fell silent writes nothing that was revoked into a build',
  async (t) => {
    const proxy = await startFaultProxyOf(lab.cluster);
    t.teardown(() => proxy.stop());
    const kubeconfig = await lab.cluster.kubeconfigForServiceAccount('ci-identity-system', 'controller', proxy.url);
    const other = lab.operator({ kubeconfig });
    await other.ready();
    const [pod, ended] = [await newPod(), await newPod()];
    const leaked = await tokenOf(lab, pod, 'publisher');
    await tokenOf(lab, ended, 'publisher');
    // What it has listed within five seconds (`justListed` of `runtime/catch-up.ts`) counts as current, and this is about what does not.
    await sleep(6_000);
    proxy.stallStreams();

    await lab.kubectl(['delete', 'pod', '-n', team, ended.name, '--wait=false']);
    await sessionGone(lab, ended);
    const request = JSON.stringify({ spec: { revokeRequest: 'leaked' } });
    await lab.kubectl(['patch', 'identitypool', 'ci-bots', '--type=merge', '-p', request]);
    const token = await tokenOf(lab, pod, 'publisher', leaked);
    await dies(lab.provider, leaked);
    await operator.stop();
    operator = other;
    await eventually('the other one has delivered', () =>
      auditOf(other).some(({ event, pod: of }) => event === 'Delivered' && of?.uid === pod.uid) ? true : undefined,
    );
    t.is((await deliveryOf(lab, pod, 'publisher')).files['token'], token);
    t.true(isLive(lab.provider, token));
    t.false(
      (await sessions(lab)).some(({ pod: of }) => of.uid === ended.uid),
      'what has ended does not come back',
    );
  },
);
