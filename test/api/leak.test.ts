/**
 * No secret leaves its place: the whole story at the highest log level, with a provider that repeats our own secrets in its errors, then every
 * output is searched for every secret that existed.
 */
import test from 'ava';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { eventually } from '#test/support/eventually.ts';
import { agentPod, nextPodName } from '#test/support/jenkins-pod.ts';
import { stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { type Leak, LeakScanner, formsOf } from '#test/support/leak-scan.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  condition,
  deliveryOf,
  dies,
  errorOf,
  identity,
  identityReady,
  page,
  policy,
  pool,
  registry,
  team,
  tokenOf,
} from './operator-lab.ts';

const system = 'ci-identity-system';
const scanner = new LeakScanner();
/** Place → text: every output of the story. */
const outputs = new Map<string, string>();
let lab: Lab;
let operator: OperatorProcess;

test.before(async () => {
  lab = await startLab({ tokenLifetime: 16, deliveryLag: '2s', logLevel: 'debug' });
  operator = await lab.running();
});

stopAfterwards(() => [lab]);

interface RawSecret {
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** Everything that our records hold and that is a secret: private keys, client secrets, tokens. */
async function learn(): Promise<void> {
  const list = JSON.parse(await lab.kubectl(['get', 'secrets', '-n', system, '-o', 'json'])) as { items: RawSecret[] };
  for (const { metadata, data = {} } of list.items) {
    for (const text of Object.values(data)) {
      const plain = Buffer.from(text, 'base64').toString('utf8');
      for (const [, member = '', value = ''] of plain.matchAll(/"(d|p|q|dp|dq|qi|secret|token|value)":"([^"]{16,})"/g))
        scanner.know(`${metadata.name} ${member}`, value);
    }
  }
  for (const { kind, value } of lab.provider.secrets()) scanner.know(`provider ${kind}`, value);
}

/** As Jenkins makes it, with an inbound agent secret of its own. */
async function jenkinsPod(...identities: readonly string[]): Promise<Pod> {
  const secret = randomBytes(32).toString('hex');
  scanner.know('JENKINS_SECRET', secret);
  const labels = Object.fromEntries(identities.map((one) => [`identity/${one}`, 'yes']));
  const pod = agentPod({ name: nextPodName(), labels });
  const text = JSON.stringify(pod).replaceAll('0123456789abcdef'.repeat(4), secret);
  const created = await lab.kubectlAsJenkins(['create', '-o', 'json', '-f', '-'], text);
  return (JSON.parse(created) as { metadata: Pod }).metadata;
}

/** What one process shows to anybody, taken while it lives. */
async function look(process: OperatorProcess, name: string): Promise<void> {
  for (const path of ['/metrics', '/healthz', '/readyz'] as const)
    outputs.set(`${path} of ${name}`, (await page(process, path)).text);
  for (const file of ['cmdline', 'environ', 'status'])
    outputs.set(`/proc/${file} of ${name}`, readFileSync(`/proc/${process.pid}/${file}`, 'utf8'));
}

function keepLogs(process: OperatorProcess, name: string): void {
  outputs.set(`log of ${name}`, process.log());
  outputs.set(`audit of ${name}`, process.audit());
}

/** While `work` runs the provider answers this endpoint with errors that repeat what it was sent. */
async function echoing(
  endpoint: 'token' | 'revocation' | 'register' | 'update' | 'delete' | 'read',
  status: number,
  work: () => Promise<unknown>,
): Promise<void> {
  const before = lab.provider.stats.count(endpoint, status);
  const end = lab.provider.faults.add({ endpoint, echo: status });
  await work();
  await eventually(`${endpoint} was answered with ${status}`, () =>
    lab.provider.stats.count(endpoint, status) > before ? true : undefined,
  );
  end();
}

const rules = (name: string, of: string): string =>
  policy(name, { role: 'publisher', pool: of, scopes: ['artifacts:publish', 'artifacts:read'] });

const trio = (name: string, spec: Readonly<Record<string, unknown>> = {}): readonly string[] => [
  pool(name, lab.provider.issuer, spec),
  rules(name, name),
  identity(name, { pool: name, roles: ['publisher'] }),
];

test.serial('the scanner finds a planted value in every form, and half of it too', (t) => {
  const probe = new LeakScanner();
  const value = randomBytes(32).toString('base64url');
  probe.know('planted', value);
  t.deepEqual(probe.scan('clean', `nothing here ${randomBytes(64).toString('base64url')}`), []);
  for (const [form, text] of formsOf(value)) t.is(probe.scan(form, `x${text}y`)[0]?.secret, 'planted', form);
  t.is(probe.scan('half', `…${value.slice(10, 30)}…`)[0]?.secret, 'planted');
  const basic = Buffer.from(`some-client:${value}`).toString('base64');
  t.is(probe.scan('Basic', basic)[0]?.secret, 'planted');
  const double = Buffer.from(JSON.stringify({ data: Buffer.from(value).toString('base64') })).toString('utf8');
  t.is(probe.scan('Secret as JSON', double)[0]?.secret, 'planted');
  const jwt = ['{"alg":"ES256","kid":"1"}', '{"iss":"a","sub":"b","exp":1}', randomBytes(64)]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
  t.is(probe.scan('assertion', `client_assertion=${jwt}&a=b`)[0]?.secret, 'a signed JWT');
  t.throws(() => probe.know('short', 'abc'));
});

test.serial(
  'the story: three kinds of client credential, with a provider that repeats our secrets in its errors',
  async (t) => {
    scanner.know('initial access token', lab.provider.initialAccessToken);
    const kubeconfig = readFileSync(lab.operatorKubeconfig, 'utf8');
    // The first two parts of a JWT are names that are found everywhere; only the signature is secret.
    const signature = /[\w-]{16,}\.[\w-]{16,}\.([\w-]{16,})/.exec(kubeconfig)?.[1] ?? '';
    scanner.know('service account token', signature);

    await echoing('register', 401, () => lab.apply(...trio('by-key')));
    await identityReady(lab, 'by-key');
    await echoing('token', 500, () =>
      lab.apply(...trio('by-basic', { client: { authentication: 'ClientSecretBasic' } })),
    );
    await echoing('token', 401, () =>
      lab.apply(...trio('by-post', { client: { authentication: 'ClientSecretPost' } })),
    );
    for (const name of ['by-basic', 'by-post'])
      await condition(lab, `identitypool/${name}`, 'Registered', { status: 'True' });
    await learn();

    const pod = await jenkinsPod('by-key');
    const token = await tokenOf(lab, pod, 'by-key');
    await learn();
    for (const status of [400, 401, 403, 429, 500]) await echoing('token', status, () => jenkinsPod('by-key'));
    const renewed = await tokenOf(lab, pod, 'by-key', token);
    await echoing('revocation', 500, () => dies(lab.provider, token, 1).catch(() => undefined));
    await learn();

    await lab.kubectl(['annotate', 'ciidentity', 'by-key', '-n', team, 'ci-identity.dev/emergency-stop=incident']);
    await dies(lab.provider, renewed, 20_000);
    t.is((await errorOf(lab, pod, 'by-key')).reason, 'Suspended');
    await lab.kubectl(['annotate', 'ciidentity', 'by-key', '-n', team, 'ci-identity.dev/emergency-stop-']);
    await echoing('update', 500, () => lab.kubectl(['annotate', 'identitypool', 'by-key', 'ci-identity.dev/rotate=1']));
    await learn();
    t.true(scanner.size > 8);
  },
);

test.serial(
  'the story goes on: answers and keys that cannot be understood, damaged records, denials, ends',
  async (t) => {
    const whole = lab.provider.faults.add({
      endpoint: 'register',
      times: 1,
      rewrite: ({ body }) => ({
        status: 500,
        body: { error: 'server_error', error_description: JSON.stringify(body) },
      }),
    });
    await lab.apply(...trio('lost'));
    await eventually('the answer was lost', () => (lab.provider.stats.count('register', 500) > 0 ? true : undefined));
    whole();
    const odd = lab.provider.faults.add({
      endpoint: 'token',
      times: 2,
      rewrite: ({ body }) => ({
        status: 200,
        body: JSON.stringify(body).slice(0, -1),
        headers: { 'content-type': 'application/json' },
      }),
    });
    const wider = await jenkinsPod('by-key');
    await eventually('the answer was odd', () => (lab.provider.faults.take('token') === undefined ? true : undefined));
    odd();
    const wide = lab.provider.faults.add({
      endpoint: 'token',
      times: 2,
      rewrite: ({ body }) => ({ body: { ...(body as object), scope: 'artifacts:publish admin:everything' } }),
    });
    await jenkinsPod('by-key');
    await eventually('a token was discarded', () => (operator.audit().includes('"Discarded"') ? true : undefined));
    wide();

    const token = lab.provider.secrets().at(-1)?.value ?? '';
    scanner.know('damaged record', token);
    for (const [type, name] of [
      ['session', `session-${'a'.repeat(32)}`],
      ['client', `client-${'b'.repeat(32)}`],
    ] as const) {
      const metadata = { name, namespace: system, labels: { 'ci-identity.dev/kind': type } };
      const stringData = { 'record.json': `"${token.slice(0, 30)}" and more` };
      await lab.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          type: `ci-identity.dev/${type}-record`,
          metadata,
          stringData,
        }),
      );
    }
    const bad = `${randomBytes(24).toString('base64url')}\u0001`;
    scanner.know('unusable registration credential', bad);
    const metadata = { name: 'registration', namespace: system };
    await lab.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token: bad } }));
    writeFileSync(
      lab.configFile,
      readFileSync(lab.configFile, 'utf8').replace('"deliveryLag":"2s"', '"deliveryLag":"3s"'),
    );
    await eventually('the configuration is reloaded', () => (operator.log().includes('reloaded') ? true : undefined));
    await lab.apply(...trio('late'));
    await eventually('it could not be registered', async () => {
      const found = await condition(lab, 'identitypool/late', 'Ready', { status: 'False' });
      return found.reason === 'Registering' ? undefined : found;
    });

    await lab.kubectl(['delete', 'scopepolicy', 'by-key']);
    t.is((await errorOf(lab, wider, 'by-key')).reason, 'NoRule');
    await learn();
    await look(operator, 'the first process');
    await lab.kubectl(['delete', 'pods', '-n', team, '--all', '--wait=false']);
    await operator.stop('SIGTERM');
    keepLogs(operator, 'the first process');
  },
);

test.serial('a crash prints neither what an error carries nor what it was caused by', async (t) => {
  const planted = randomBytes(32).toString('base64url');
  scanner.know('what a crash carries', planted);
  const crash = `process.on('SIGUSR2', () => {
    const cause = Object.assign(new Error('inner'), { body: process.env.PLANTED_FILE });
    const secret = process.getBuiltinModule('node:fs').readFileSync(${JSON.stringify(`${lab.dir}/planted`)}, 'utf8');
    const error = new Error('planted crash', { cause: { parameters: { access_token: secret } } });
    throw Object.assign(error, { request: { headers: { authorization: 'Bearer ' + secret } }, cause2: cause });
  });`;
  writeFileSync(`${lab.dir}/planted`, planted);
  writeFileSync(`${lab.dir}/crash.mjs`, crash);
  const second = lab.operator({ environment: { NODE_OPTIONS: `--import=${lab.dir}/crash.mjs` } });
  await second.ready();
  const pod = await jenkinsPod('by-basic');
  await tokenOf(lab, pod, 'by-basic');
  await learn();
  await look(second, 'the second process');
  process.kill(second.pid, 'SIGUSR2');
  t.deepEqual(await second.exited, { code: 1, signal: null });
  t.regex(second.log(), /planted crash/);
  keepLogs(second, 'the crashed process');

  const full = lab.operator({ auditPath: '/dev/full' });
  await eventually(
    'a process that cannot write its audit lines says so',
    async () => (/^not ok audit stream: .*ENOSPC/m.test((await page(full, '/readyz')).text) ? true : undefined),
    { timeoutMs: 60_000 },
  );
  await full.stop('SIGKILL');
  outputs.set('log of a process without an audit stream', full.log());

  const third = lab.operator();
  await third.ready();
  await echoing('delete', 500, () => lab.kubectl(['delete', 'identitypool', 'by-post', '--wait=false']));
  await eventually('it mints again', () => (third.audit() === '' ? undefined : true));
  await learn();
  await look(third, 'the third process');
  keepLogs(third, 'the third process');
});

/** Secrets that are meant to hold secrets. Everything else about them is searched too. */
function isMeantTo(kind: string, type: string, namespace: string, name: string): boolean {
  if (kind !== 'Secret') return false;
  if (type === 'ci-identity.dev/token') return name.startsWith('ci-identity-');
  const records = ['ci-identity.dev/client-record', 'ci-identity.dev/session-record'];
  return namespace === system && (records.includes(type) || name === 'registration');
}

interface Item {
  readonly kind: string;
  readonly type?: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Every object of the cluster, without what is meant to be there. */
async function everything(): Promise<readonly Item[]> {
  const kinds = (await lab.kubectl(['api-resources', '--verbs=list', '-o', 'name']))
    .split('\n')
    .filter((name) => name !== '');
  const { items } = JSON.parse(await lab.kubectl(['get', kinds.join(','), '-A', '-o', 'json'])) as { items: Item[] };
  return items.map((item) => {
    const text = JSON.stringify(item, (key, value: unknown) => {
      if (key === 'data' && isMeantTo(item.kind, item.type ?? '', item.metadata.namespace ?? '', item.metadata.name))
        return undefined;
      const env = value as { name?: unknown } | null;
      return item.kind === 'Pod' && typeof env === 'object' && env?.name === 'JENKINS_SECRET' ? undefined : value;
    });
    return JSON.parse(text) as Item;
  });
}

test.serial('no output holds any secret', async (t) => {
  await learn();
  const items = await everything();
  const has = (kind: string): boolean => items.some((item) => item.kind === kind);
  for (const kind of ['IdentityPool', 'ScopePolicy', 'CiIdentity', 'Event', 'Pod', 'Secret', 'Lease', 'ConfigMap'])
    t.true(has(kind), kind);
  for (const item of items) {
    const { kind, metadata } = item;
    outputs.set(`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, JSON.stringify(item));
  }
  const leaks: Leak[] = [];
  for (const [place, text] of outputs) leaks.push(...scanner.scan(place, text));
  const excerpt = ({ place, offset }: Leak): string =>
    outputs.get(place)?.slice(Math.max(0, offset - 120), offset + 4) ?? '';
  t.deepEqual(
    leaks.map((leak) => ({ ...leak, excerpt: excerpt(leak) })),
    [],
  );
  const sizes = [...outputs]
    .filter(([place]) => /^(log|audit) of/.test(place))
    .map(([place, { length }]) => `${place}: ${length}`);
  t.log(`${scanner.size} secrets looked for in ${outputs.size} outputs; ${sizes.join(', ')}`);
  t.true(scanner.size > 30);
});

test.serial('the delivery Secret is where the token is: the same search finds it there', async (t) => {
  const pod = await jenkinsPod('by-basic');
  await tokenOf(lab, pod, 'by-basic');
  await learn();
  const { files } = await deliveryOf(lab, pod, 'by-basic');
  t.is(scanner.scan('delivery', JSON.stringify(files)).length > 0, true);
  t.true(files['token.json']?.includes(registry));
});
