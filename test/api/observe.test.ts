/** What observers see of the running operator: audit lines of every event, limits, refusals of the API server, and text that wants to be more. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { verifyChain } from '#src/telemetry/audit-chain.ts';
import { auditEvents } from '#src/telemetry/audit.ts';
import { metricTable } from '#src/telemetry/metric-table.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type AuditEntry,
  type Pod,
  auditOf,
  condition,
  createPod,
  deliveryOf,
  dies,
  errorOf,
  identity,
  identityReady,
  page,
  policy,
  pool,
  refusalOf,
  statusOf,
  team,
  tokenOf,
} from './operator-lab.ts';

let lab: Lab;
let operator: OperatorProcess;
let count = 0;

const nextName = (): string => `payments-deploy-${(count += 1)}-x7k2p-q0b4t-m1wz9`;
const newPod = (name: string, annotations: Readonly<Record<string, string>> = {}): Promise<Pod> =>
  createPod(lab, nextName(), [name], { annotations });
const actor = { type: 'AIAgent', id: 'release-bot', owner: 'payments@example.com' };
const traceparent = `00-${'4'.repeat(32)}-${'7'.repeat(16)}-01`;
const deletePod = (pod: Pod): Promise<string> => lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
const annotate = (object: string, annotation: string): Promise<string> =>
  lab.kubectl(['annotate', '--overwrite', ...object.split(' '), annotation]);

const lineOf = (what: string, matches: (line: AuditEntry) => boolean): Promise<AuditEntry> =>
  eventually(`an audit line: ${what}`, () => auditOf(operator).find(matches), { timeoutMs: 60_000 });
const event = (name: string): Promise<AuditEntry> => lineOf(name, (line) => line.event === name);

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '10s', audit: true });
  operator = lab.operator();
  await operator.ready();
  await lab.guarded();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    policy(
      'publishers',
      { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish', 'artifacts:read'] },
      { role: 'reader', pool: 'ci-bots', scopes: ['artifacts:read'] },
    ),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'], actor }),
    identity('reader', { pool: 'ci-bots', roles: ['reader'], limits: { sessionsPerHour: 1_000 } }),
    identity('few', { pool: 'ci-bots', roles: ['reader'], limits: { concurrentSessions: 1 } }),
    identity('hourly', { pool: 'ci-bots', roles: ['reader'], limits: { sessionsPerHour: 2 } }),
    identity('greedy', { pool: 'ci-bots', roles: ['publisher'], scopes: ['deploy:production'] }),
  );
  for (const name of ['publisher', 'reader', 'few', 'hourly']) await identityReady(lab, name);
});

/** Metrics that had a sample at the end of some test. */
const moved = new Set<string>();

test.afterEach.always(async (t) => {
  const text = await page(operator, '/metrics').then(
    (answer) => answer.text,
    () => '',
  );
  for (const series of seriesOf(text)) moved.add(series.replace(/\{.*/, ''));
  if (!t.passed) t.log(operator.log().slice(-4_000));
});

test.after.always(async () => {
  await lab?.stop();
});

test.serial(
  'a session says who, what, why and how it ended, with actor, session id and the trace that the pod claims',
  async (t) => {
    const pod = await newPod('publisher', { 'ci-identity.dev/traceparent': traceparent, runUrl: 'job/payments/42/' });
    const token = await tokenOf(lab, pod, 'publisher');
    const { files } = await deliveryOf(lab, pod, 'publisher');
    const session = `${pod.uid}.publisher`;
    t.is((JSON.parse(files['token.json'] ?? '') as { session_id: string }).session_id, session);
    const minted = await lineOf('Minted', (line) => line.event === 'Minted' && line['session_id'] === session);
    t.like(minted, {
      requester: 'system:serviceaccount:jenkins:jenkins',
      pod: { name: pod.name, uid: pod.uid },
      namespace: team,
      identity: 'publisher',
      pool: 'ci-bots',
      claimed_run_url: 'job/payments/42/',
      claimed_traceparent: traceparent,
      scopes: ['artifacts:publish', 'artifacts:read'],
      actor,
      decided_on: { identity: 1, pool: 1 },
    });
    t.deepEqual(
      [
        ...new Set(
          (minted['by'] as { policy: string; rule: number; generation: number }[]).map((by) => JSON.stringify(by)),
        ),
      ],
      ['{"policy":"publishers","rule":0,"generation":1}'],
    );
    await deletePod(pod);
    await dies(lab.provider, token);
    const revoked = await lineOf('Revoked', (line) => line.event === 'Revoked' && line['session_id'] === session);
    t.like(revoked, { outcome: 'Success', token_sha256: minted.token_sha256 ?? '', actor });
  },
);

test.serial('no act claim is invented: a token of an AI agent carries what every token carries', async (t) => {
  const pod = await newPod('publisher');
  await tokenOf(lab, pod, 'publisher');
  const { files } = await deliveryOf(lab, pod, 'publisher');
  t.deepEqual(Object.keys(JSON.parse(files['token.json'] ?? '') as object).toSorted(), [
    'audience',
    'expires_at',
    'identity',
    'issuer',
    'renew_at',
    'scope',
    'session_id',
    'token_type',
  ]);
  await deletePod(pod);
});

test.serial(
  'one session too many at once: error.json, condition, audit line; it gets its token when another ends',
  async (t) => {
    const first = await newPod('few');
    const token = await tokenOf(lab, first, 'few');
    const second = await newPod('few');
    const error = await errorOf(lab, second, 'few');
    t.is(error.reason, 'LimitReached');
    t.regex(error.message, /1 sessions hold a token and spec\.limits\.concurrentSessions allows 1/);
    const told = await condition(lab, 'ciidentity/few', 'Issuing', { status: 'False', reason: 'LimitReached' }, team);
    t.regex(told.message, /concurrentSessions allows 1/);
    await lineOf('Denied, LimitReached', (line) => line.event === 'Denied' && line.reason === 'LimitReached');
    await deletePod(first);
    await dies(lab.provider, token);
    await tokenOf(lab, second, 'few', undefined, 60_000);
    await deletePod(second);
  },
);

test.serial('sessions in an hour: those of pods that are gone count, also after a restart', async (t) => {
  for (let n = 0; n < 2; n += 1) {
    const pod = await newPod('hourly');
    const token = await tokenOf(lab, pod, 'hourly');
    await deletePod(pod);
    await dies(lab.provider, token);
  }
  await operator.stop('SIGKILL');
  const before = operator;
  operator = lab.operator();
  await operator.ready();
  const refused = await newPod('hourly');
  const error = await errorOf(lab, refused, 'hourly');
  t.regex(error.message, /2 sessions began within an hour and spec\.limits\.sessionsPerHour allows 2/);
  t.is(verifyChain([...before.audit().split('\n'), ...operator.audit().split('\n')]).is, 'Whole');
  await deletePod(refused);
});

test.serial('refusals of the API server: in its audit log with identity and reason, and in its metrics', async (t) => {
  await condition(lab, 'ciidentity/greedy', 'Authorized', { status: 'False' }, team);
  const name = nextName();
  t.regex(await refusalOf(createPod(lab, name, ['greedy'])), /deploy:production is denied/);
  const log = lab.cluster.audit ?? '';
  const found = await eventually('the refusal is in the audit log', () =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(name))
      .map(
        (line) =>
          JSON.parse(line) as {
            annotations?: Record<string, string>;
            responseStatus?: { code: number; message?: string };
          },
      )
      .find(({ responseStatus }) => responseStatus?.code === 403),
  );
  t.is(found.annotations?.['identities.ci-identity.dev/refused'], 'greedy: NoRule');
  t.regex(found.responseStatus?.message ?? '', /ci-identity\.dev/);
  const metrics = await lab.kubectl(['get', '--raw', '/metrics']);
  t.regex(
    metrics,
    /^apiserver_validating_admission_policy_check_total\{[^}]*enforcement_action="deny"[^}]*policy="identities\.ci-identity\.dev"[^}]*\} [1-9]/m,
  );
});

/** What moves, hides, reorders or ends text. */
const nasty = 'a\nb\r\n{"level":"error"}\u001b[31m\u202eevil\u2066\u200b\u0000\ud800';
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

test.serial('text of pipeline authors stays text: logs, audit, events, status, metrics, CLI', async (t) => {
  const evil = nasty.replace('\u0000', '').replace('\ud800', '');
  const annotations = {
    runUrl: evil,
    'ci-identity.dev/traceparent': evil,
    buildUrl: evil,
    'kubernetes.jenkins.io/last-refresh': evil,
  };
  const pod = await newPod('publisher', annotations);
  await tokenOf(lab, pod, 'publisher');
  await annotate(`ciidentity -n ${team} publisher`, `ci-identity.dev/emergency-stop=${evil}`);
  await errorOf(lab, pod, 'publisher');
  await event('Halted');
  // Whoever creates pods may have any name that the API server lets pass.
  const mallory = await lab.cluster.kubeconfigFor('mallory\u202e\u001b[31m');
  const other = agentPod({ name: nextName(), labels: { 'identity/reader': 'yes' } });
  const said = await lab.cluster.kubectlRun([`--kubeconfig=${mallory}`, 'create', '-f', '-'], JSON.stringify(other));
  t.not(said.code, 0);
  const texts: readonly (readonly [string, string])[] = [
    ['log', operator.log()],
    ['audit', operator.audit()],
    ['metrics', (await page(operator, '/metrics')).text],
    ['health', (await page(operator, '/readyz')).text],
    ['status', JSON.stringify(await statusOf(lab, 'ciidentity/publisher', team))],
    [
      'events',
      await lab.kubectl(['get', 'events', '-n', team, '-o', 'jsonpath={range .items[*]}{.message}{"\\n"}{end}']),
    ],
  ];
  for (const [what, text] of texts)
    for (const line of text.split('\n')) t.notRegex(line, unsafe, `${what}: ${JSON.stringify(line).slice(0, 200)}`);
  for (const line of `${operator.log()}\n${operator.audit()}`.split('\n').filter((one) => one !== ''))
    t.notThrows(() => JSON.parse(line), line.slice(0, 200));
  t.false(auditOf(operator).some((line) => line['claimed_run_url'] !== undefined && line.pod?.uid === pod.uid));
  await annotate(`ciidentity -n ${team} publisher`, 'ci-identity.dev/emergency-stop-');
  await event('Resumed');
  await identityReady(lab, 'publisher');
  await deletePod(pod);
});

const seriesOf = (text: string): readonly string[] =>
  text.split('\n').flatMap((line) => /^(ci_identity_\w+(?:\{[^}]*\})?) /.exec(line)?.[1] ?? []);

test.serial('a hundred job names make no series', async (t) => {
  const warm = await newPod('reader');
  await tokenOf(lab, warm, 'reader');
  const before = new Set(seriesOf((await page(operator, '/metrics')).text));
  const names = Array.from({ length: 100 }, (_, n) => `job-${n}-${'x'.repeat(20)}`);
  const pods = names.map((name) =>
    JSON.stringify(
      agentPod({
        name,
        labels: { 'identity/reader': 'yes', 'jenkins/label': name },
        annotations: { runUrl: `job/${name}/1/` },
      }),
    ),
  );
  await lab.kubectlAsJenkins(['create', '-f', '-'], pods.join('\n---\n'));
  await eventually(
    'all of them have a token',
    async () => {
      const { text } = await page(operator, '/metrics');
      return Number(/^ci_identity_sessions_live\{pool="ci-bots"\} (\d+)/m.exec(text)?.[1]) > names.length
        ? true
        : undefined;
    },
    { timeoutMs: 90_000 },
  );
  const { text } = await page(operator, '/metrics');
  t.false(/job-\d+-x/.test(text));
  t.deepEqual(
    seriesOf(text).filter(
      (series) => !before.has(series) && !/effect_seconds|work_seconds|failures_total|decisions_total/.test(series),
    ),
    [],
  );
  await lab.kubectl(['delete', 'pods', '-n', team, '--all', '--wait=false']);
  await eventually('their tokens are dead', () => (lab.provider.liveTokens().length === 0 ? true : undefined), {
    timeoutMs: 90_000,
  });
});

/** Writes over one connection what kubectl would take half a second for. */
async function kubectlProxy(path: string): Promise<{ apply(body: string): Promise<void>; stop(): void }> {
  const child = spawn(lab.cluster.kubectl, [`--kubeconfig=${lab.cluster.kubeconfig}`, 'proxy', '--port=0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const said = await new Promise<string>((resolve) =>
    child.stdout.once('data', (text: Buffer) => resolve(String(text))),
  );
  const url = `http://127.0.0.1:${/:(\d+)/.exec(said)?.[1] ?? ''}${path}`;
  return {
    async apply(body) {
      const answer = await fetch(url, {
        method: 'PATCH',
        body,
        headers: { 'content-type': 'application/merge-patch+json' },
      });
      if (!answer.ok) throw new Error(await answer.text());
      await answer.arrayBuffer();
    },
    stop: () => void child.kill('SIGTERM'),
  };
}

test.serial('an edit storm: memory and queue stay bounded, and the last edit counts', async (t) => {
  const { metrics } = await operator.ports();
  const figures = async (): Promise<{ memory: number; keys: number }> => {
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    const keys = [...text.matchAll(/^ci_identity_queue_depth_keys\{[^}]*\} (\d+)/gm)].map(([, depth]) => Number(depth));
    return {
      memory: Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]),
      keys: keys.reduce((sum, one) => sum + one, 0),
    };
  };
  const before = await figures();
  let most = 0;
  let edits = 0;
  const edit = (n: number): string =>
    policy(
      'publishers',
      { role: 'publisher', pool: 'ci-bots', scopes: n % 2 === 0 ? ['artifacts:publish'] : ['artifacts:read'] },
      {
        role: 'reader',
        pool: 'ci-bots',
        scopes: ['artifacts:read'],
      },
    );
  const proxy = await kubectlProxy('/apis/ci-identity.dev/v1alpha1/scopepolicies/publishers?fieldManager=storm');
  t.teardown(() => proxy.stop());
  const started = Date.now();
  while (Date.now() - started < 10_000) {
    await Promise.all(Array.from({ length: 10 }, (_, n) => proxy.apply(edit(edits + n))));
    edits += 10;
    if (edits % 100 === 0) most = Math.max(most, (await figures()).keys);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, started + edits * 10 - Date.now())));
  }
  await proxy.apply(edit(1));
  t.log(`${edits} edits in ${Date.now() - started} ms, at most ${most} keys waited`);
  // A busy machine takes fewer than a quiet one, which takes all thousand.
  t.true(edits >= 150, `${edits} edits`);
  t.true(most < 50, `${most} keys`);
  await eventually('the last edit counts', async () =>
    JSON.stringify(await statusOf(lab, 'ciidentity/publisher', team)).includes('artifacts:publish') ? undefined : true,
  );
  const after = await figures();
  t.true(after.memory < before.memory * 2 + 100e6, `${before.memory} → ${after.memory}`);
  await proxy.apply(edit(0));
});

test.serial(
  'a client that somebody deleted: one condition and one event name the cause and the next step',
  async (t) => {
    const client = (await statusOf(lab, 'identitypool/ci-bots'))['clientId'] as string;
    lab.provider.removeClient(client);
    const pod = await newPod('reader');
    const found = await condition(lab, 'identitypool/ci-bots', 'Authenticating', { status: 'False' });
    t.regex(found.message, /^IdentityPool ci-bots: issuer \S+ does not let us in, and the likely cause is: .+\. .+\.$/);
    await lineOf('Failed', (line) => line.event === 'Failed' && line.reason === 'CredentialRefused');
    const text = await eventually('an event of the pool says it', async () => {
      const events = await lab.kubectl([
        'get',
        'events',
        '-n',
        'default',
        '-o',
        'jsonpath={range .items[*]}{.message}{"\\n"}{end}',
      ]);
      return events.includes('does not let us in') ? events : undefined;
    });
    t.regex(text, /likely cause/);
    t.regex(
      (await page(operator, '/metrics')).text,
      /^ci_identity_authentications_failed_total\{.*reason="CredentialRefused"\} [1-9]/m,
    );
    await deletePod(pod);
  },
);

/** Events that other suites produce on the real operator, because they need another provider or a day. */
const elsewhere: Readonly<Record<string, string>> = {
  Activated: 'test/rotation',
  Drained: 'test/rotation',
  Retired: 'test/rotation',
  RolledBack: 'test/rotation',
  Completed: 'test/rotation',
  Restored: 'test/rotation',
  Updated: 'test/rotation',
  Deregistered: 'test/api/operator.test.ts',
  Discarded: 'test/api/operator-provider.test.ts',
  Expired: 'test/api/operator-provider.test.ts',
  ShadowDenied: 'test/cli',
  Drifted: 'test/clients',
  Held: 'test/sessions',
  Released: 'test/sessions',
  Noticed: 'test/sessions',
  Renewed: 'test/sessions',
  Narrowed: 'test/sessions',
};

test.serial('at the end: every line fits the schema, every event was there, every chain is whole', async (t) => {
  await operator.stop();
  const schema = JSON.parse(readFileSync('src/telemetry/audit-schema.json', 'utf8')) as object;
  const validate = new Ajv2020({ strictRequired: false }).compile({ ...schema, additionalProperties: false });
  const lines = auditOf(operator);
  for (const line of lines) t.true(validate(line), `${JSON.stringify(line)} ${JSON.stringify(validate.errors)}`);
  t.is(lines.at(-1)?.event, 'Stopped');
  const seen = new Set(lines.map((line) => line.event));
  t.deepEqual(
    auditEvents.filter((name) => !seen.has(name) && elsewhere[name] === undefined),
    ['Planned', 'Registered', 'Proved'].filter((name) => !seen.has(name)),
    'these were written by the process before the restart',
  );
  t.is(verifyChain(operator.audit().split('\n')).is, 'Whole');
});

/** Their suites show that they move. */
const movedElsewhere: Readonly<Record<string, string>> = {
  ci_identity_injection_misses: 'test/sessions',
  ci_identity_brake_held_keys: 'test/sessions',
};

test.serial('every metric of the table has moved', (t) => {
  t.deepEqual(
    Object.keys(metricTable).filter(
      (name) => !moved.has(name) && !moved.has(`${name}_count`) && movedElsewhere[name] === undefined,
    ),
    [],
  );
});
