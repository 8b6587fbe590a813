import { established } from '#test/support/established.ts';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { parseAllDocuments } from 'yaml';
import { systemClock } from '#src/clock.ts';
import { type ApiConnection, type ApiResponse, connect, type Method } from '#src/kube/connection.ts';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Changes, type Row, rows } from './crds-rows.ts';
import { type CrdSchema, constraintsOf, type Kind, kinds, nodesOf, plurals, readCrd, schemaOf } from './crds-schema.ts';

interface Context {
  readonly cluster: Cluster;
  readonly api: ApiConnection;
  /** The 23 lines, by kind, under another name. */
  readonly first: Readonly<Record<Kind, Json>>;
}
type Json = Readonly<Record<string, unknown>>;
type Cause = Readonly<Record<'reason' | 'message' | 'field', string>>;

const test = anyTest as TestFn<Context>;
const crds = fileURLToPath(new URL('../../crds', import.meta.url));
const samples = fileURLToPath(new URL('../../manifests/samples', import.meta.url));

test.before(async (t) => {
  const cluster = await startCluster();
  const api = await connect({ kubeconfig: cluster.kubeconfig, clock: systemClock });
  const documents = parseAllDocuments(await readFile(`${samples}/first-identity.yaml`, 'utf8'));
  const [IdentityPool, ScopePolicy, CiIdentity] = documents.map((document) =>
    change(document.toJS() as Json, { 'metadata.name': 'first' }),
  );
  t.context = { cluster, api, first: { IdentityPool, ScopePolicy, CiIdentity } as Context['first'] };
  await kubectl(t.context, 'apply', '--server-side', '-k', crds);
  const definitions = kinds.map((kind) => `crd/${plurals[kind]}.ci-identity.dev`);
  await established((args) => kubectl(t.context, ...args), ...definitions);
  await kubectl(t.context, 'create', 'namespace', 'ci-payments');
});

test.after.always(async (t) => {
  await t.context.api?.close();
  await t.context.cluster?.stop();
});

async function kubectl({ cluster }: Context, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectlRun(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function send(
  { api }: Context,
  method: Method,
  path: string,
  body?: unknown,
  query: Record<string, string> = {},
): Promise<ApiResponse> {
  const contentType = method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json';
  return api.request(method, path, { signal: AbortSignal.timeout(15_000), body, query, contentType });
}

function pathOf(kind: Kind, name?: string): string {
  const namespace = kind === 'CiIdentity' ? '/namespaces/ci-payments' : '';
  return `/apis/ci-identity.dev/v1alpha1${namespace}/${plurals[kind]}${name === undefined ? '' : `/${name}`}`;
}

/** A copy of `object` with values set or removed by path. */
function change(object: Json, changes: Changes): Json {
  const copy = structuredClone(object) as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    let place = copy;
    for (const key of keys) place = (place[key] ??= {}) as Record<string, unknown>;
    if (value === undefined) delete place[last];
    else place[last] = value;
  }
  return copy;
}

/** What the API server refuses, without its note that some rules were not looked at because of it. */
function causesOf(response: ApiResponse): readonly Cause[] {
  const { details } = response.body as { readonly details?: { readonly causes?: readonly Cause[] } };
  return (details?.causes ?? []).filter(({ message }) => !message.includes('some validation rules were not checked'));
}

async function attempt(context: Context, kind: Kind, row: Row, index: number): Promise<ApiResponse> {
  const { first } = context;
  if (row.live === undefined)
    return send(context, 'POST', pathOf(kind), change(first[kind], row.changes), { dryRun: 'All' });
  const name = `live-${index}`;
  const live = await send(context, 'POST', pathOf(kind), change(first[kind], { ...row.live, 'metadata.name': name }));
  if (live.status !== 201) throw new Error(`${name}: ${JSON.stringify(live.body)}`);
  return send(context, 'PUT', pathOf(kind, name), change(live.body as Json, row.changes), { dryRun: 'All' });
}

for (const kind of kinds) {
  test(`${kind}: each wrong object is refused for one reason, which a person can read`, async (t) => {
    for (const [index, row] of rows[kind].entries()) {
      const response = await attempt(t.context, kind, row, index);
      const what = `${row.at} ${row.breaks} ${JSON.stringify(row.changes).slice(0, 200)}`;
      t.is(response.status, 422, what);
      const causes = causesOf(response);
      t.deepEqual(
        causes.map(({ field }) => field),
        [row.field ?? row.at.replaceAll('[]', '[0]'), ...(row.also === undefined ? [] : [row.also])],
        `${what}: ${JSON.stringify(causes)}`,
      );
      const message = causes[0]?.message ?? '';
      t.true(
        row.breaks === 'rule' ? message.endsWith(`: ${row.says}`) : message.includes(row.says),
        `${what}: ${message}`,
      );
    }
  });

  test(`${kind}: every rule and bound of the schema has a row, and every row belongs to one`, async (t) => {
    const covered = new Set(
      rows[kind].map(({ at, breaks, says }) => (breaks === 'rule' ? `${at} rule: ${says}` : `${at} ${breaks}`)),
    );
    const constraints = new Set(constraintsOf(schemaOf(await readCrd(kind))));
    t.deepEqual(
      [...constraints].filter((constraint) => !covered.has(constraint)),
      [],
      'without a row',
    );
    t.deepEqual(
      [...covered].filter((row) => !constraints.has(row)),
      [],
      'rows of what no longer exists',
    );
  });

  test(`${kind}: a value of the wrong type is refused at every field`, async (t) => {
    for (const { path, schema } of nodesOf(schemaOf(await readCrd(kind)))) {
      if (!path.startsWith('spec') || schema.type === undefined) continue;
      const wrong = schema.type === 'string' ? 5 : 'text';
      const object = change(t.context.first[kind], nest(path, wrong));
      const response = await send(t.context, 'POST', pathOf(kind), object, { dryRun: 'All' });
      t.is(response.status, 422, path);
      t.true(
        causesOf(response).some(({ message }) => message.includes(`must be of type ${schema.type}`)),
        `${path}: ${JSON.stringify(causesOf(response))}`,
      );
    }
  });

  test(`${kind}: of which nobody has said anything is Pending, for kstatus as well, and its diff is empty`, async (t) => {
    const object = change(t.context.first[kind], { 'metadata.name': 'unsaid' });
    const made = await send(t.context, 'POST', pathOf(kind), object);
    t.is(made.status, 201, JSON.stringify(made.body));
    const { body } = await send(t.context, 'GET', pathOf(kind, 'unsaid'));
    const { conditions = [], ...more } = (body as { readonly status: Record<string, readonly Cause[]> }).status;
    t.deepEqual(more, {});
    t.is(conditions.length, 1);
    t.like(conditions[0], { type: 'Ready', status: 'Unknown', reason: 'Pending' });
    const again = await send(t.context, 'PATCH', pathOf(kind, 'unsaid'), object, {
      fieldManager: 'git',
      force: 'true',
    });
    t.is((again.body as { readonly metadata: { readonly generation: number } }).metadata.generation, 1);
    await send(t.context, 'DELETE', pathOf(kind, 'unsaid'));
  });

  test(`${kind}: an unknown field is refused where the client asks for it, as kubectl does`, async (t) => {
    const object = change(t.context.first[kind], { 'spec.suspended': true });
    const response = await send(t.context, 'POST', pathOf(kind), object, { dryRun: 'All', fieldValidation: 'Strict' });
    t.is(response.status, 400);
    t.regex(JSON.stringify(response.body), /unknown field \\"spec\.suspended\\"/);
  });

  test(`${kind}: every field that the API server explains has a description`, async (t) => {
    const { status, body } = await send(t.context, 'GET', '/openapi/v3/apis/ci-identity.dev/v1alpha1');
    t.is(status, 200);
    const { components } = body as { readonly components: { readonly schemas: Readonly<Record<string, CrdSchema>> } };
    const served = components.schemas[`dev.ci-identity.v1alpha1.${kind}`];
    const nodes = nodesOf(served ?? {}).filter(({ path }) => path.startsWith('spec') || path.startsWith('status'));
    t.true(nodes.length > 20);
    t.deepEqual(
      nodes.filter(({ schema }) => (schema.description ?? '') === '').map(({ path }) => path),
      [],
    );
  });
}

/** Puts `value` at the path of a schema node, whatever is above it. */
function nest(path: string, value: unknown): Changes {
  const steps = path.split(/\.|(?=\[\])|(?=\{\})/);
  const build = (rest: readonly string[]): unknown => {
    const [step, ...below] = rest;
    if (step === undefined) return value;
    if (step === '[]') return [build(below)];
    return step === '{}' ? { key: build(below) } : { [step]: build(below) };
  };
  const [top = '', ...below] = steps;
  return { [top]: build(below) };
}

const many = (count: number, length: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${index}`.padStart(3, 'a').padEnd(length, 'x'));

const valid: readonly {
  readonly kind: Kind;
  readonly name: string;
  readonly changes: Changes;
  readonly live?: Changes;
}[] = [
  {
    kind: 'IdentityPool',
    name: 'every bound at its end',
    changes: {
      'metadata.name': 'a'.repeat(63),
      'spec.provider.issuer': `https://${'a'.repeat(248)}`,
      'spec.ceiling': {
        scopes: many(64, 256),
        audiences: many(64, 256),
        maxTokenLifetime: '24h',
        maxSessionAge: '30d',
      },
      'spec.rotation': { every: '730d', overlap: '30d', request: 'r'.repeat(64) },
    },
  },
  {
    kind: 'IdentityPool',
    name: 'the shortest times',
    changes: {
      'spec.ceiling.maxTokenLifetime': '60s',
      'spec.ceiling.maxSessionAge': '1m',
      'spec.rotation': { every: '60m', overlap: '1m' },
    },
  },
  {
    kind: 'IdentityPool',
    name: 'one audience per carrier scope',
    changes: { 'spec.provider.audience': { by: 'Scope', scopes: { 'https://registry.example.com': 'aud-registry' } } },
  },
  {
    kind: 'IdentityPool',
    name: 'an issuer with a port, and one with an IPv6 address',
    changes: { 'spec.provider.issuer': 'https://[2001:db8::1]:8443/' },
  },
  {
    kind: 'IdentityPool',
    name: 'an existing client',
    changes: {
      'spec.client': {
        per: 'Pool',
        existing: { clientId: 'Jenkins bots', credentialRef: { name: 'jenkins.bots', key: 'client_secret' } },
      },
    },
  },
  {
    kind: 'IdentityPool',
    name: 'a window over midnight in UTC',
    changes: { 'spec.rotation.window': { from: '23:30', to: '00:30', timeZone: 'UTC' } },
  },
  {
    kind: 'IdentityPool',
    name: 'purpose written out where it was left out',
    live: {},
    changes: { 'spec.purpose': 'Automation' },
  },
  {
    kind: 'IdentityPool',
    name: 'a new subject on purpose',
    live: {},
    changes: { 'spec.client.per': 'Identity', 'spec.rotation.allowSubjectChange': true },
  },
  {
    kind: 'IdentityPool',
    name: 'another authentication on a live pool',
    live: {},
    changes: { 'spec.client.authentication': 'ClientSecretBasic' },
  },
  {
    kind: 'IdentityPool',
    name: 'one id for both requests: an emergency rotation',
    live: {},
    changes: {
      'spec.rotation.request': '2026-11-24T12:00:00+01:00',
      'spec.revokeRequest': '2026-11-24T12:00:00+01:00',
    },
  },
  {
    kind: 'ScopePolicy',
    name: 'the largest policy that fits into a request: 64 rules of 64 scopes of 256 characters',
    changes: {
      'spec.rules': Array.from({ length: 64 }, () => ({
        role: 'r'.repeat(63),
        pool: 'p'.repeat(63),
        namespaces: many(64, 63),
        scopes: many(64, 256),
        audiences: many(64, 256),
        maxTokenLifetime: '24h',
      })),
    },
  },
  {
    kind: 'ScopePolicy',
    name: 'the largest selectors',
    changes: {
      'spec.rules': Array.from({ length: 64 }, () => ({
        role: 'r',
        pool: 'p',
        scopes: ['s'],
        namespaceSelector: {
          matchLabels: Object.fromEntries(many(16, 63).map((key) => [`${'d'.repeat(200)}/${key}`, 'v'.repeat(63)])),
          matchExpressions: Array.from({ length: 16 }, () => ({
            key: `${'d'.repeat(253)}/${'k'.repeat(63)}`,
            operator: 'In',
            values: many(8, 63),
          })),
        },
      })),
    },
  },
  { kind: 'CiIdentity', name: 'a name of 50 characters', changes: { 'metadata.name': 'a'.repeat(50) } },
  {
    kind: 'CiIdentity',
    name: 'every bound at its end',
    changes: {
      'spec.pool': 'p'.repeat(63),
      'spec.roles': many(64, 63),
      'spec.scopes': many(64, 256),
      'spec.audiences': many(4, 256),
      'spec.delivery.containers': many(16, 63),
      'spec.agents.podSelector': {
        matchLabels: Object.fromEntries(many(16, 63).map((key) => [`${'d'.repeat(253)}/${key}`, ''])),
        matchExpressions: Array.from({ length: 16 }, () => ({ key: 'k', operator: 'NotIn', values: many(32, 63) })),
      },
    },
  },
  {
    kind: 'CiIdentity',
    name: 'as many audiences as there can be',
    changes: { 'spec.scopes': many(4, 256), 'spec.audiences': many(64, 256) },
  },
  { kind: 'CiIdentity', name: 'another pool', live: {}, changes: { 'spec.pool': 'release-bots' } },
];

test('what is right is accepted, up to the largest object', async (t) => {
  for (const [index, { kind, name, changes, live }] of valid.entries()) {
    const response = await attempt(
      t.context,
      kind,
      { at: '', breaks: '', says: '', changes, ...(live && { live }) },
      1000 + index,
    );
    t.true(
      response.status < 300,
      `${kind}: ${name}: ${response.status} ${JSON.stringify(response.body).slice(0, 1000)}`,
    );
  }
});

test('the 23 lines and the other samples apply, and a second apply changes nothing', async (t) => {
  const versions = async (): Promise<string> =>
    kubectl(
      t.context,
      'get',
      '-f',
      samples,
      '-o',
      'custom-columns=:kind,:metadata.name,:metadata.resourceVersion,:metadata.generation',
      '--no-headers',
    );
  await kubectl(t.context, 'apply', '-f', samples);
  const before = await versions();
  t.is(before.trim().split('\n').length, 7);
  t.notRegex(await kubectl(t.context, 'apply', '-f', samples), /created|configured/);
  t.is(await versions(), before);
  t.is(await kubectl(t.context, 'diff', '-f', samples), '');
  t.regex(await kubectl(t.context, 'get', 'ci-identity', '-A', '-o', 'name'), /ciidentity.*identitypool.*scopepolicy/s);

  await kubectl(t.context, 'apply', '--server-side', '--force-conflicts', '--field-manager=argocd', '-f', samples);
  const applied = await versions();
  await kubectl(t.context, 'apply', '--server-side', '--field-manager=argocd', '-f', samples);
  t.is(await versions(), applied);
});

test('what is left out stays out: the API server writes no default into a spec', async (t) => {
  for (const kind of kinds) {
    const response = await send(t.context, 'POST', pathOf(kind), t.context.first[kind], { dryRun: 'All' });
    t.deepEqual((response.body as Json)['spec'], t.context.first[kind]['spec'], kind);
  }
});

test('three field managers share a pool and its status without a fight', async (t) => {
  const pool = pathOf('IdentityPool', 'shared');
  const own = (spec: object, annotations?: object): Json => ({
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'IdentityPool',
    metadata: { name: 'shared', ...(annotations && { annotations }) },
    spec,
  });
  const apply = async (fieldManager: string, body: Json, path = pool): Promise<Json> => {
    const response = await send(t.context, 'PATCH', path, body, { fieldManager });
    t.true(response.status < 300, JSON.stringify(response.body));
    return response.body as Json;
  };
  const git = own({
    provider: { issuer: 'https://idp.example.com' },
    ceiling: { scopes: ['read'], audiences: ['registry'] },
  });
  const people = own(
    { suspend: true, ceiling: { scopes: ['publish'] } },
    { 'ci-identity.dev/emergency-stop': 'INC-4711' },
  );
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: 'Suspended',
    message: 'stopped',
    observedGeneration: 2,
    lastTransitionTime: '2026-11-24T12:00:00Z',
  };
  const status = { ...own({}), spec: undefined, status: { observedGeneration: 2, conditions: [condition] } };

  await apply('git', git);
  await apply('people', people);
  const settled = await apply('reviewer', status, `${pool}/status`);
  for (const [manager, body, path] of [
    ['git', git, pool],
    ['people', people, pool],
    ['reviewer', status, `${pool}/status`],
  ] as const) {
    t.deepEqual(await apply(manager, body, path), settled, `${manager} applies again`);
  }
  t.deepEqual(settled['spec'], {
    provider: { issuer: 'https://idp.example.com' },
    ceiling: { scopes: ['read', 'publish'], audiences: ['registry'] },
    suspend: true,
  });

  const contested = await send(t.context, 'PATCH', pool, own({ suspend: false }), { fieldManager: 'git' });
  t.is(contested.status, 409);
  t.regex(JSON.stringify(contested.body), /conflict with \\"people\\": \.spec\.suspend/);
});

test('status is not written through the object, nor the spec through status', async (t) => {
  const name = 'separate';
  const created = (
    await send(
      t.context,
      'POST',
      pathOf('IdentityPool'),
      change(t.context.first.IdentityPool, { 'metadata.name': name, 'status.clientId': 'forged' }),
    )
  ).body as Json;
  t.deepEqual(Object.keys(created['status'] as Json), ['conditions'], 'the default of the definition');
  const written = await send(
    t.context,
    'PUT',
    `${pathOf('IdentityPool', name)}/status`,
    change(created, { 'spec.suspend': true, status: { clientId: 'ci-1' } }),
  );
  t.deepEqual((written.body as Json)['spec'], created['spec']);
  t.deepEqual((written.body as Json)['status'], { clientId: 'ci-1' });
});

const stories: readonly {
  readonly kind: Kind;
  readonly status: object;
  readonly narrow: readonly string[];
  readonly wide: readonly string[];
}[] = [
  {
    kind: 'IdentityPool',
    status: {
      clients: { total: 1, ready: 1 },
      clientId: 'ci-1234',
      credential: { generation: 3, since: '2026-11-01T00:00:00Z', nextRotation: '2027-01-30T00:00:00Z' },
    },
    narrow: ['Name', 'Ready', 'Reason', 'Clients', 'Generation', 'Credential Age', 'Next Rotation', 'Age'],
    wide: ['Client ID=ci-1234', 'Issuer=https://idp.example.com/realms/ci', 'Message=All is well.'],
  },
  {
    kind: 'ScopePolicy',
    status: { rules: 1, identities: 4 },
    narrow: ['Name', 'Ready', 'Reason', 'Rules', 'Identities', 'Age'],
    wide: ['Message=All is well.'],
  },
  {
    kind: 'CiIdentity',
    status: { sessions: 12, clientId: 'ci-1234' },
    narrow: ['Name', 'Ready', 'Reason', 'Pool', 'Sessions', 'Age'],
    wide: ['Client ID=ci-1234', 'Roles=["publisher"]', 'Message=All is well.'],
  },
];

for (const { kind, status, narrow, wide } of stories) {
  test(`${kind}: kubectl get tells the story`, async (t) => {
    const name = 'story';
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: 'All is well.',
      lastTransitionTime: '2026-11-24T12:00:00Z',
    };
    const created = await send(
      t.context,
      'POST',
      pathOf(kind),
      change(t.context.first[kind], { 'metadata.name': name }),
    );
    const written = await send(t.context, 'PUT', `${pathOf(kind, name)}/status`, {
      ...(created.body as Json),
      status: { ...status, conditions: [condition] },
    });
    t.is(written.status, 200, JSON.stringify(written.body));
    const { body } = await t.context.api.request('GET', pathOf(kind, name), {
      signal: AbortSignal.timeout(5_000),
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    const table = body as {
      readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
      readonly rows: readonly [{ readonly cells: readonly unknown[] }];
    };
    const cells = table.columnDefinitions.map(({ name: column, priority }, index) => ({
      column,
      priority,
      value: table.rows[0].cells[index],
    }));
    t.deepEqual(
      cells.filter(({ priority }) => priority === 0).map(({ column }) => column),
      narrow,
    );
    t.deepEqual(
      cells.filter(({ priority }) => priority === 1).map(({ column, value }) => `${column}=${String(value)}`),
      wide,
    );
    t.deepEqual(
      cells.slice(0, 3).map(({ value }) => value),
      [name, 'True', 'Ready'],
    );
    t.true(
      cells.every(({ value }) => value !== null && value !== ''),
      JSON.stringify(cells),
    );
  });
}

test('kubectl explain is the manual', async (t) => {
  // kubectl asks for what the API server publishes a moment after the CRD is established.
  const text = await eventually('kubectl explain', () =>
    kubectl(t.context, 'explain', 'identitypool.spec.rotation.overlap'),
  );
  t.regex(
    text.replaceAll(/\s+/g, ' '),
    /FIELD: overlap <string> DESCRIPTION: How long the old credential stays at the provider/,
  );
});
