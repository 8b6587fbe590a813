/** What observers see of the running operator: audit lines of every event, limits, refusals of the API server, and text that wants to be more. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { clean } from '#src/clean.ts';
import { verifyChain } from '#src/telemetry/audit-chain.ts';
import { auditEvents } from '#src/telemetry/audit.ts';
import { metricTable } from '#src/telemetry/metric-table.ts';
import { expectStatus, openApi } from '#test/bench/api.ts';
import { plugin } from '#test/cli/plugin.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { type Lab, labScopes, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type AuditEntry,
  type ErrorFile,
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
  metric,
  page,
  policy,
  pool,
  refusedPod,
  sessions,
  statusOf,
  team,
  tokenOf,
} from './operator-lab.ts';

let lab: Lab;
let operator: OperatorProcess;
/** Every process of the operator, the one that runs last. */
const processes: OperatorProcess[] = [];
let count = 0;

const nextName = (): string => `payments-deploy-${(count += 1)}-x7k2p-q0b4t-m1wz9`;
const newPod = (name: string, annotations: Readonly<Record<string, string>> = {}): Promise<Pod> =>
  createPod(lab, nextName(), [name], { annotations });
const actor = { type: 'AIAgent', id: 'release-bot', owner: 'payments@example.com' };
const traceparent = `00-${'4'.repeat(32)}-${'7'.repeat(16)}-01`;
const deletePod = (pod: Pod): Promise<string> => lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
const annotate = (object: string, annotation: string): Promise<string> =>
  lab.kubectl(['annotate', '--overwrite', ...object.split(' '), annotation]);

async function start(): Promise<void> {
  operator = lab.operator();
  processes.push(operator);
  await operator.ready();
}

/** Names of metrics that had a value other than 0 at some look. */
const fed = new Set<string>();

async function metrics(): Promise<string> {
  const { text } = await page(operator, '/metrics');
  for (const [, series = '', value] of text.matchAll(/^(ci_identity_\w+)(?:\{.*\})? (\S+)$/gm))
    if (Number(value) !== 0) fed.add(series in metricTable ? series : series.replace(/_count$/, ''));
  return text;
}

const lineOf = (what: string, matches: (line: AuditEntry) => boolean): Promise<AuditEntry> =>
  eventually(`an audit line: ${what}`, () => auditOf(operator).find(matches), { timeoutMs: 60_000 });
const event = (name: string): Promise<AuditEntry> => lineOf(name, (line) => line.event === name);

const publishers = policy(
  'publishers',
  { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish', 'artifacts:read'] },
  { role: 'reader', pool: 'ci-bots', scopes: ['artifacts:read'] },
);

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '10s', audit: true });
  await start();
  await lab.guarded();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    publishers,
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'], actor }),
    identity('reader', { pool: 'ci-bots', roles: ['reader'], limits: { sessionsPerHour: 1_000 } }),
    identity('few', { pool: 'ci-bots', roles: ['reader'], limits: { concurrentSessions: 1 } }),
    identity('hourly', { pool: 'ci-bots', roles: ['reader'], limits: { sessionsPerHour: 2 } }),
    identity('greedy', { pool: 'ci-bots', roles: ['publisher'], scopes: ['deploy:production'] }),
  );
  for (const name of ['publisher', 'reader', 'few', 'hourly']) await identityReady(lab, name);
});

test.afterEach.always(async (t) => {
  await metrics().catch(() => '');
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
    t.regex(error.message, /1 sessions hold a token that works .* and spec\.limits\.concurrentSessions allows 1/);
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
  await start();
  const refused = await newPod('hourly');
  const error = await errorOf(lab, refused, 'hourly');
  t.regex(error.message, /2 sessions began within an hour and spec\.limits\.sessionsPerHour allows 2/);
  t.is(verifyChain([...before.audit().split('\n'), ...operator.audit().split('\n')]).is, 'Whole');
  await deletePod(refused);
});

test.serial('a pod that has ended and stays: its file is emptied, and that is no delivery', async (t) => {
  const pod = await newPod('reader');
  const token = await tokenOf(lab, pod, 'reader');
  const status = JSON.stringify({ status: { phase: 'Succeeded' } });
  await lab.kubectl(['patch', 'pod', '-n', team, pod.name, '--subresource=status', '--type=merge', '-p', status]);
  await dies(lab.provider, token);
  const ofPod = (name: string) => (line: AuditEntry) =>
    line.event === name && line['session_id'] === `${pod.uid}.reader`;
  t.like(await lineOf('Emptied', ofPod('Emptied')), { outcome: 'Success', reason: 'PodOver' });
  t.is(auditOf(operator).filter(ofPod('Delivered')).length, 1);
  t.deepEqual((await deliveryOf(lab, pod, 'reader')).files, {});
  await deletePod(pod);
});

test.serial('refusals of the API server: in its audit log with identity and reason, and in its metrics', async (t) => {
  await condition(lab, 'ciidentity/greedy', 'Authorized', { status: 'False' }, team);
  const name = nextName();
  await refusedPod(lab, name, 'greedy', /deploy:production is denied/);
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

/** What ends, moves, hides or reorders text. */
const evil = 'a\nb\r\n{"level":"error"}\u001b[31m\u009b2J\u202eevil\u2066\u200b\u2028';
/** An unsafe character, or a line of its own that somebody else began. */
const forged = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|^\{"level":"error"\}/u;

/** Every string of it, names of members too. */
function stringsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => [key, ...stringsIn(item)]);
}

const objects = async (kinds: string): Promise<readonly { readonly status?: unknown; readonly message?: unknown }[]> =>
  (JSON.parse(await lab.kubectl(['get', kinds, '-A', '-o', 'json'])) as { items: [] }).items;

/** Of the lines that are written to their end. */
const jsonLines = (text: string): readonly string[] =>
  text
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => (line === '' ? [] : stringsIn(JSON.parse(line))));

/** What people and machines are shown, each as the pieces none of which may hold an unsafe character. */
async function shown(pods: readonly (readonly [Pod, string])[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const manifest = JSON.stringify(agentPod({ name: nextName(), labels: { 'identity/reader': 'yes' } }));
  const verbs: readonly (readonly string[])[] = [
    ['sessions', '-A', '--records'],
    ['sessions', '-A', '-o', 'json'],
    ['explain', '-n', team],
    ...pods.map(([{ namespace, name }]) => ['explain', '-n', namespace, `pod/${name}`]),
    ['doctor'],
    ['simulate', '-n', team, '-f', '-', '--as', evil],
    ['simulate', '-n', team, '-f', '-', '--as', evil.replace(/\p{Cc}/gu, ''), '-o', 'json'],
  ];
  const said: (readonly [string, readonly string[]])[] = [];
  for (const args of verbs) {
    const { out, error } = await plugin(lab.cluster.kubeconfig, args, manifest);
    said.push([`kubectl ci-identity ${args.slice(0, 3).join(' ')}`, `${out}${error}`.split('\n')]);
  }
  const { text: health } = await page(operator, '/readyz');
  return new Map<string, readonly string[]>([
    ...said,
    ['log', processes.flatMap((process) => jsonLines(process.log()))],
    ['audit', processes.flatMap((process) => jsonLines(process.audit()))],
    ['metrics', (await metrics()).split('\n')],
    ['health', health.split('\n')],
    ['status', (await objects('identitypools,scopepolicies,ciidentities')).flatMap(({ status }) => stringsIn(status))],
    ['events', (await objects('events')).flatMap(({ message }) => stringsIn(message))],
    ...(await Promise.all(
      pods.map(async ([pod, name]) => {
        const { files } = await deliveryOf(lab, pod, name);
        const texts = Object.entries(files).filter(([file]) => file.endsWith('.json'));
        return [`files of ${pod.name}`, texts.flatMap(([, text]) => stringsIn(JSON.parse(text)))] as const;
      }),
    )),
  ]);
}

/** Pods of a creator whose name is {@link evil}, in two namespaces. */
const ofMallory: (readonly [Pod, string])[] = [];
const second = 'ci-second';

test.serial(
  'text of pipeline authors and of their names stays text: logs, audit, events, status, metrics, files, CLI',
  async (t) => {
    t.timeout(360_000);
    await lab.agentNamespace(second);
    for (const namespace of [team, second])
      for (const role of ['ci-identity-use', 'jenkins-agents']) await bind(namespace, role, evil);
    await lab.apply(
      policy('second', { role: 'reader', pool: 'ci-bots', namespaces: [second], scopes: ['artifacts:read'] }),
      identity('reader', { pool: 'ci-bots', roles: ['reader'] }, second),
    );
    await identityReady(lab, 'reader', second);
    // A certificate takes any name, as the claim of another system's token does.
    const mallory = await lab.cluster.kubeconfigFor(evil);
    const annotations = {
      runUrl: evil,
      buildUrl: evil,
      'ci-identity.dev/traceparent': evil,
      'kubernetes.jenkins.io/last-refresh': evil,
    };
    for (const namespace of [team, second]) {
      const manifest = agentPod({ name: nextName(), namespace, labels: { 'identity/reader': 'yes' }, annotations });
      const made = await post(mallory, `/api/v1/namespaces/${namespace}/pods`, manifest);
      ofMallory.push([made, 'reader']);
      await tokenOf(lab, made, 'reader');
    }
    const manifest = agentPod({ name: nextName(), labels: { 'identity/publisher': 'yes' }, annotations });
    const pod = await post(lab.jenkinsKubeconfig, `/api/v1/namespaces/${team}/pods`, manifest);
    await tokenOf(lab, pod, 'publisher');
    await annotate(`ciidentity -n ${team} publisher`, `ci-identity.dev/emergency-stop=${evil}`);
    await errorOf(lab, pod, 'publisher');
    await event('Halted');
    await condition(lab, 'ciidentity/reader', 'Exclusive', { status: 'False', reason: 'SharedCreator' }, team);
    const texts = await shown([...ofMallory, [pod, 'publisher']]);
    for (const [what, pieces] of texts)
      for (const piece of pieces) t.notRegex(piece, forged, `${what}: ${JSON.stringify(piece).slice(0, 200)}`);
    for (const what of ['audit', 'status', 'kubectl ci-identity sessions -A --records'])
      t.true(
        texts.get(what)?.some((piece) => piece.includes(clean(evil))),
        `${what} tells the name, made safe`,
      );
    const said = (line: AuditEntry): boolean =>
      [pod, ...ofMallory.map(([one]) => one)].some(({ uid }) => uid === line.pod?.uid);
    t.deepEqual(
      auditOf(operator).filter((line) => said(line) && (line['claimed_run_url'] ?? line['claimed_traceparent'])),
      [],
      'what is no URL and no trace is not repeated',
    );
    await annotate(`ciidentity -n ${team} publisher`, 'ci-identity.dev/emergency-stop-');
    await event('Resumed');
    await identityReady(lab, 'publisher');
    await deletePod(pod);
    // The pod in the team's namespace loses its token for that; the last test looks at it.
    await lab.kubectl(['delete', 'rolebinding', '-n', team, bindingName('ci-identity-use')]);
  },
);

const bindingName = (role: string): string => `mallory-${role}`;

async function bind(namespace: string, role: string, user: string): Promise<void> {
  const apiGroup = 'rbac.authorization.k8s.io';
  await post(lab.cluster.kubeconfig, `/apis/${apiGroup}/v1/namespaces/${namespace}/rolebindings`, {
    metadata: { name: bindingName(role) },
    roleRef: { apiGroup, kind: 'Role', name: role },
    subjects: [{ apiGroup, kind: 'User', name: user }],
  });
}

/** Without kubectl, which reads YAML and lets fewer characters pass than the API server does. */
async function post(kubeconfig: string, path: string, object: unknown): Promise<Pod> {
  const api = openApi(kubeconfig, { connections: 1 });
  try {
    return (JSON.parse(expectStatus(path, await api.send('POST', path, object), 201)) as { metadata: Pod }).metadata;
  } finally {
    await api.close();
  }
}

const seriesOf = (text: string): readonly string[] =>
  text.split('\n').flatMap((line) => /^(ci_identity_\w+(?:\{[^}]*\})?) /.exec(line)?.[1] ?? []);

test.serial('a hundred job names make no series', async (t) => {
  const warm = await newPod('reader');
  await tokenOf(lab, warm, 'reader');
  const before = new Set(seriesOf(await metrics()));
  const names = Array.from({ length: 100 }, (_, n) => `job-${n}-${'x'.repeat(20)}`);
  const pods = names.map((name) =>
    JSON.stringify(
      agentPod({
        name,
        labels: { 'identity/reader': 'yes', 'jenkins/label': name, hundred: 'yes' },
        annotations: { runUrl: `job/${name}/1/` },
      }),
    ),
  );
  const live = async (): Promise<number> => (await sessions(lab)).filter(({ pod }) => names.includes(pod.name)).length;
  await lab.kubectlAsJenkins(['create', '-f', '-'], pods.join('\n---\n'));
  await eventually(
    'all of them have a token',
    async () => {
      const held = await live();
      if (held < names.length) throw new Error(`${held} have`);
      return true;
    },
    { timeoutMs: 90_000 },
  );
  const text = await metrics();
  t.false(/job-\d+-x/.test(text));
  // What went otherwise than before, such as a watch that began anew, has its series whatever jobs are called.
  const added = seriesOf(text).filter(
    (series) =>
      !before.has(series) && !/effect_seconds|work_seconds|failures_total|decisions_total|denials_total/.test(series),
  );
  t.true(added.length < names.length / 10, added.join('\n'));
  // One stop ends them all. A provider that takes its time shows how much waits.
  const quick = lab.provider.faults.add({ endpoint: 'revocation', delay: 500 });
  await Promise.all([
    annotate(`ciidentity -n ${team} reader`, 'ci-identity.dev/emergency-stop=enough'),
    eventually('keys wait for a worker', async () => (waitingKeys(await metrics()) > 0 ? true : undefined), {
      everyMs: 20,
      timeoutMs: 30_000,
    }),
  ]);
  quick();
  await eventually('their tokens are dead', async () => ((await live()) === 0 ? true : undefined), {
    timeoutMs: 90_000,
  });
  await lab.kubectl(['delete', 'pods', '-n', team, '-l', 'identity/reader=yes,hundred=yes', '--wait=false']);
  await deletePod(warm);
  await annotate(`ciidentity -n ${team} reader`, 'ci-identity.dev/emergency-stop-');
  await identityReady(lab, 'reader');
});

interface Storm {
  readonly edits: number;
  readonly ms: number;
  /** The most keys that waited for a worker at any look. */
  readonly mostKeys: number;
}

/** So many edits of a ScopePolicy, as fast as they come over so many connections that stay open. */
async function storm(edits: number, connections: number, spec: (n: number) => unknown): Promise<Storm> {
  const api = openApi(lab.cluster.kubeconfig, { connections });
  const path = '/apis/ci-identity.dev/v1alpha1/scopepolicies/publishers?fieldManager=storm';
  const started = Date.now();
  let [next, mostKeys] = [0, 0];
  const editor = async (): Promise<void> => {
    for (let n = (next += 1); n <= edits; n = next += 1) {
      // The API server repeats a patch that another one overtook, but not for ever.
      let answer = await api.merge(path, { spec: spec(n) });
      while (answer.status === 409) answer = await api.merge(path, { spec: spec(n) });
      expectStatus(`edit ${n}`, answer, 200);
      if (n % 100 === 0) mostKeys = Math.max(mostKeys, waitingKeys(await metrics()));
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, editor));
    const ms = Date.now() - started;
    expectStatus('the last edit', await api.merge(path, { spec: spec(edits + 1) }), 200);
    return { edits, ms, mostKeys };
  } finally {
    await api.close();
  }
}

const waitingKeys = (text: string): number =>
  [...text.matchAll(/^ci_identity_queue_depth_keys\{[^}]*\} (\d+)/gm)].reduce((sum, [, keys]) => sum + Number(keys), 0);

const scopesOf = (token: string): readonly string[] | undefined =>
  lab.provider.liveTokens().find(({ value }) => value === token)?.scopes;

test.serial(
  'an edit storm: whom it concerns has in the end what the last edit says, everybody else goes on, memory and queue stay bounded',
  async (t) => {
    t.timeout(540_000);
    const memory = async (): Promise<number> =>
      Number(/^process_resident_memory_bytes (\d+)/m.exec(await metrics())?.[1]);
    const [concerned, innocent] = [await newPod('publisher'), await newPod('reader')];
    const first = await tokenOf(lab, concerned, 'publisher');
    const kept = await tokenOf(lab, innocent, 'reader');
    const before = await memory();
    const spec = (n: number): unknown => {
      const scopes = n % 2 === 0 ? ['artifacts:publish'] : ['artifacts:read'];
      const rules = [
        { role: 'publisher', scopes },
        { role: 'reader', scopes: ['artifacts:read'] },
      ];
      return { rules: rules.map((rule) => ({ pool: 'ci-bots', namespaces: [team], ...rule })) };
    };
    const newcomers = async (): Promise<void> => {
      for (let n = 0; n < 3; n += 1) {
        const pod = await newPod('reader');
        await tokenOf(lab, pod, 'reader', undefined, 60_000);
        await deletePod(pod);
      }
    };
    const [{ edits, ms, mostKeys }] = await Promise.all([storm(500, 4, spec), newcomers()]);
    t.log(`${edits} edits in ${ms} ms, ${((edits * 1_000) / ms).toFixed(0)} a second, at most ${mostKeys} keys waited`);
    t.true(mostKeys < 50, `${mostKeys} keys waited`);
    await eventually(
      'the pod has one token, with what the last edit gives, and the provider honours no other of its tokens',
      async () => {
        const { token = '' } = (await deliveryOf(lab, concerned, 'publisher')).files;
        const record = (await sessions(lab)).find(({ pod }) => pod.uid === concerned.uid);
        const scopes = scopesOf(token)?.join(' ');
        if (scopes === 'artifacts:read' && record?.tokens.length === 1) return true;
        throw new Error(`${record?.tokens.length} tokens, the delivered one has ${scopes}`);
      },
      { timeoutMs: 60_000 },
    );
    t.is(scopesOf(first), undefined);
    t.is((await deliveryOf(lab, innocent, 'reader')).files['token'], kept);
    t.deepEqual(scopesOf(kept), ['artifacts:read']);
    const narrowed = (pod: Pod): number =>
      auditOf(operator).filter((line) => line.event === 'Narrowed' && line.pod?.uid === pod.uid).length;
    t.log(`the token that it concerns was narrowed ${narrowed(concerned)} times`);
    t.true(narrowed(concerned) > 0);
    t.is(narrowed(innocent), 0);
    const after = await memory();
    t.true(after < before * 2 + 100e6, `${before} → ${after} bytes`);
    await lab.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], publishers);
    await identityReady(lab, 'publisher');
    await Promise.all([deletePod(concerned), deletePod(innocent)]);
  },
);

test.serial('the whole life of a credential, in an emergency: each step has its line', async (t) => {
  const names = ['identitypool/extra', 'scopepolicy/extra', 'ciidentity/extra'];
  const of = (name: string): Promise<AuditEntry> =>
    lineOf(`${name} of extra`, (line) => line.event === name && line['pool'] === 'extra');
  await lab.apply(
    pool('extra', lab.provider.issuer, { enforcement: 'Audit' }),
    policy('extra', { role: 'extra', pool: 'extra', scopes: ['artifacts:read'] }),
    identity('extra', { pool: 'extra', roles: ['extra'], scopes: ['artifacts:read', 'artifacts:publish'] }),
  );
  await condition(lab, 'ciidentity/extra', 'Probed', { status: 'True' }, team);
  const pod = await newPod('extra');
  const token = await tokenOf(lab, pod, 'extra');
  t.deepEqual((await of('ShadowDenied'))['scopes'], ['artifacts:publish']);
  await deletePod(pod);
  await dies(lab.provider, token);
  lab.provider.faults.add({
    endpoint: 'token',
    times: 1,
    rewrite: ({ body }) => ({ body: { ...(body as object), scope: labScopes.join(' ') } }),
  });
  const wider = await newPod('extra');
  t.is((await of('Discarded')).reason, 'ScopeWider');
  await deletePod(wider);
  await annotate('identitypool extra', 'ci-identity.dev/rotate=leak');
  await annotate('identitypool extra', 'ci-identity.dev/revoke=leak');
  for (const name of ['Planned', 'Registered', 'Proved', 'Activated', 'Updated', 'Drained', 'Retired', 'Completed'])
    await of(name);
  const records = ['secret', '-n', 'ci-identity-system', '-l', 'ci-identity.dev/kind=client', '-o', 'json'];
  const { items } = JSON.parse(await lab.kubectl(['get', ...records])) as {
    items: { metadata: { name: string }; data: Readonly<Record<string, string>> }[];
  };
  const found = items.find(({ data }) =>
    Buffer.from(data['record.json'] ?? '', 'base64').includes('"pool":{"name":"extra"'),
  );
  await lab.kubectl(['delete', 'secret', '-n', 'ci-identity-system', found?.metadata.name ?? '']);
  await of('Restored');
  await lab.kubectl(['delete', '-n', team, '--wait=false', ...names]);
  await of('Deregistered');
  t.is((await metrics()).includes('pool="extra",outcome="RolledBack"} 1'), false);
});

test.serial(
  'a provider that does not revoke for a while, and a configuration that is read again: the metrics tell',
  async (t) => {
    const pod = await newPod('reader');
    const token = await tokenOf(lab, pod, 'reader');
    const again = lab.provider.faults.add({ endpoint: 'revocation', instead: { status: 503 } });
    await deletePod(pod);
    // Another pod's token may be renewed meanwhile.
    const waits = /^ci_identity_revocations_pending\{pool="ci-bots"\} [1-9]/m;
    await eventually('the revocation waits', async () => (waits.test(await metrics()) ? true : undefined));
    const old = /^ci_identity_revocation_oldest_seconds\{pool="ci-bots"\} [\d.]*[1-9]/m;
    await eventually('and grows old', async () => (old.test(await metrics()) ? true : undefined));
    again();
    await dies(lab.provider, token, 60_000);
    writeFileSync(lab.configFile, `${readFileSync(lab.configFile, 'utf8')}\n`);
    const loaded = /^ci_identity_configuration_loads_total\{outcome="Loaded"\} 1$/m;
    const told = eventually('the configuration was read again', async () =>
      loaded.test(await metrics()) ? true : undefined,
    );
    await t.notThrowsAsync(told);
  },
);

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
      const events = await clusterEvents(lab);
      return events.includes('does not let us in') ? events : undefined;
    });
    t.regex(text, /likely cause/);
    await metric(operator, /^ci_identity_authentications_failed_total\{.*reason="CredentialRefused"\} ([1-9])/m);
    await deletePod(pod);
  },
);

test.serial(
  'a creator who may not use the identity any longer: its name stays text in what the build is told',
  async (t) => {
    t.timeout(540_000);
    const [[pod, name] = [undefined, '']] = ofMallory;
    if (pod === undefined) throw new Error('the pods of the creator with the evil name were not made');
    const error = await eventually(
      'the build is told',
      async () => {
        const { files } = await deliveryOf(lab, pod, name);
        return Object.keys(files).join() === 'error.json'
          ? (JSON.parse(files['error.json'] ?? '') as ErrorFile)
          : undefined;
      },
      { timeoutMs: 120_000 },
    );
    t.is(error.reason, 'CreatorMayNotUse');
    t.true(
      error.message.includes(`its creator ${clean(evil)} does not hold the verb use`),
      JSON.stringify(error.message),
    );
    await eventually('an event tells the name, made safe', async () =>
      (await objects('events')).some(({ message }) => String(message).includes(clean(evil))) ? true : undefined,
    );
    const texts = await shown(ofMallory);
    for (const [what, pieces] of texts)
      for (const piece of pieces) t.notRegex(piece, forged, `${what}: ${JSON.stringify(piece).slice(0, 200)}`);
  },
);

/** Where other suites on the real operator expect this word, in a string or a pattern. */
const expecting = globSync('test/{api,cli,clients,faults,node,rotation,sessions}/**/*.test.ts', {
  exclude: ['test/api/observe.test.ts'],
}).map((file) => ({ file, text: readFileSync(file, 'utf8') }));
const elsewhere = (word: string): readonly string[] =>
  expecting.flatMap(({ file, text }) => (new RegExp(`['^(|]${word}['|)\\\\{ ]`).test(text) ? [file] : []));

test.serial(
  'at the end: every line fits the schema, every chain is whole, and every event was there or is expected elsewhere',
  async (t) => {
    await metrics();
    await operator.stop();
    const schema = JSON.parse(readFileSync('src/telemetry/audit-schema.json', 'utf8')) as object;
    const validate = new Ajv2020({ strictRequired: false }).compile({ ...schema, additionalProperties: false });
    const lines = processes.flatMap(auditOf);
    for (const line of lines) t.true(validate(line), `${JSON.stringify(line)} ${JSON.stringify(validate.errors)}`);
    t.is(lines.at(-1)?.event, 'Stopped');
    t.is(verifyChain(processes.flatMap((process) => process.audit().split('\n'))).is, 'Whole');
    const seen = new Set(lines.map((line) => line.event));
    const unseen = auditEvents.filter((name) => !seen.has(name));
    for (const name of unseen) t.log(`${name}: ${elsewhere(name).join(', ')}`);
    t.deepEqual(
      unseen.filter((name) => elsewhere(name).length === 0),
      [],
    );
  },
);

test.serial('every metric of the table was other than 0, or is expected to be elsewhere', (t) => {
  const still = Object.keys(metricTable).filter((name) => !fed.has(name));
  for (const name of still) t.log(`${name}: ${elsewhere(name).join(', ')}`);
  t.deepEqual(
    still.filter((name) => elsewhere(name).length === 0),
    [],
  );
});
