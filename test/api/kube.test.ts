import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parse, stringify } from 'yaml';
import { type Clock, instant, minute, plus, second, systemClock } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import type { CiIdentitySpec, CiIdentityStatus } from '#src/api/v1alpha1/ci-identity.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import { type ApiConnection, connect } from '#src/kube/connection.ts';
import { type EventNote, EventRecorder, type Regarding } from '#src/kube/events.ts';
import { addFinalizer, removeFinalizer } from '#src/kube/finalizers.ts';
import { readConfigMap, readSecret } from '#src/kube/keys.ts';
import { leaseAccess } from '#src/kube/leases.ts';
import { bodyOf, create, get, kinds, listPage, pathOf, remove, sendPatch } from '#src/kube/resources.ts';
import { mayUse } from '#src/kube/reviews.ts';
import { writeStatus } from '#src/kube/status.ts';
import { type Resource, trimResource } from '#src/kube/trim.ts';
import {
  admissionKinds,
  admissionObjects,
  ciIdentities,
  emergencyStops,
  identityPools,
  namespaces,
  nodes,
  pods,
  scopePolicies,
} from '#src/kube/watches.ts';
import { Reflector } from '#src/runtime/reflector.ts';
import { PageTooLargeError, type Source, VersionExpiredError } from '#src/runtime/source.ts';
import { type Kept, Store } from '#src/runtime/store.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { type AdmissionLab, startAdmissionLab, userName } from './admission-lab.ts';

const agents = 'ci-payments';
const signal = new AbortController().signal;
const dir = mkdtempSync(join(tmpdir(), 'ci-identity-kube-'));
let lab: AdmissionLab;
let api: ApiConnection;
let admin: ApiConnection;

test.before(async () => {
  lab = await startAdmissionLab();
  api = lab.as('controller');
  admin = lab.as('cluster-admin');
});
test.after.always(async () => {
  rmSync(dir, { recursive: true });
  await lab?.stop();
});

/** What the API server then has. */
async function patch<T>(...[connection, kind, place, ...what]: Parameters<typeof sendPatch>): Promise<T> {
  return bodyOf(await sendPatch(connection, kind, place, ...what), 'patch', kind, place);
}

/** A kubeconfig of the operator whose token is in a file. */
async function withTokenFile(name: string): Promise<{ kubeconfig: string; tokenFile: string; token: string }> {
  const kubeconfig = await lab.cluster.kubeconfigForServiceAccount('ci-identity-system', 'controller');
  const config = parse(readFileSync(kubeconfig, 'utf8')) as {
    users: [{ user: { token?: string; tokenFile?: string } }];
  };
  const { user } = config.users[0];
  const token = user.token ?? '';
  delete user.token;
  user.tokenFile = `${name}.token`;
  writeFileSync(join(dir, name), stringify(config));
  return { kubeconfig: join(dir, name), tokenFile: join(dir, user.tokenFile), token };
}

/** What the operator may do anywhere, and what has no cache of its own that is still being filled after the start. */
const nodesPath = '/api/v1/nodes';

test('a thousand calls, fifty at a time, share a few connections', async (t) => {
  const fresh = await connect({ kubeconfig: lab.cluster.kubeconfig, clock: systemClock });
  const port = new URL(lab.cluster.server).port;
  const sockets = (): number =>
    execFileSync('ss', ['-Htnp', 'state', 'established', `dport = :${port}`], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(`pid=${process.pid},`)).length;
  const before = sockets();
  let left = 1_000;
  const statuses = new Set<number>();
  const worker = async (): Promise<void> => {
    while (left-- > 0) statuses.add((await fresh.request('GET', '/api/v1/namespaces/default', { signal })).status);
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  t.deepEqual([...statuses], [200]);
  const opened = sockets() - before;
  t.true(opened >= 1 && opened <= 32, `${opened} connections`);
  await fresh.close();
});

test('after a 401 the token file is read again, once', async (t) => {
  const { kubeconfig, tokenFile, token } = await withTokenFile('rotated');
  writeFileSync(tokenFile, 'expired');
  const mine = await connect({ kubeconfig, clock: systemClock });
  t.is((await mine.request('GET', nodesPath, { signal })).status, 401);
  writeFileSync(tokenFile, `${token}\n`);
  t.is((await mine.request('GET', nodesPath, { signal })).status, 200);
  rmSync(tokenFile);
  t.is((await mine.request('GET', nodesPath, { signal })).status, 200);
  await mine.close();
});

test('a watch opens with a token that was rotated, too', async (t) => {
  const { kubeconfig, tokenFile, token } = await withTokenFile('watching');
  writeFileSync(tokenFile, 'expired');
  const mine = await connect({ kubeconfig, clock: systemClock });
  writeFileSync(tokenFile, token);
  let isSeen = false;
  for await (const event of namespaces(mine).watch({ resourceVersion: '0', timeoutSeconds: 60 }, signal)) {
    isSeen = event.type === 'Put' && event.key === agents;
    if (isSeen) break;
  }
  t.true(isSeen);
  await mine.close();
});

test('every status is an answer; trouble on the way is Transient; an abort is the abort', async (t) => {
  t.is((await api.request('GET', '/nowhere', { signal })).status, 403);
  t.is((await admin.request('GET', '/nowhere', { signal })).status, 404);
  const late = await t.throwsAsync(api.request('GET', nodesPath, { signal, deadline: 0 }), {
    instanceOf: OperatorError,
  });
  t.like(late, { class: 'Transient', reason: 'ApiServerUnavailable' });
  const config = readFileSync(lab.cluster.kubeconfig, 'utf8').replaceAll(
    /127\.0\.0\.1:\d+|server: .*/g,
    'server: https://127.0.0.1:1',
  );
  writeFileSync(join(dir, 'nobody'), config);
  const nobody = await connect({ kubeconfig: join(dir, 'nobody'), clock: systemClock });
  const refused = await t.throwsAsync(nobody.request('GET', nodesPath, { signal }), {
    instanceOf: OperatorError,
  });
  t.like(refused, { class: 'Transient', reason: 'ApiServerUnavailable' });
  await nobody.close();
  const reason = new Error('shutting down');
  t.is(await t.throwsAsync(api.request('GET', nodesPath, { signal: AbortSignal.abort(reason) })), reason);
});

test('a server with another certificate authority is not talked to', async (t) => {
  const config = parse(readFileSync(lab.cluster.kubeconfig, 'utf8')) as {
    clusters: [{ cluster: Record<string, unknown> }];
  };
  delete config.clusters[0].cluster['certificate-authority-data'];
  delete config.clusters[0].cluster['certificate-authority'];
  writeFileSync(join(dir, 'no-ca'), stringify(config));
  const stranger = await connect({ kubeconfig: join(dir, 'no-ca'), clock: systemClock });
  const error = await t.throwsAsync(stranger.request('GET', '/version', { signal }), { instanceOf: OperatorError });
  t.regex(error?.message ?? '', /GET \/version got no whole answer \([A-Z_]*(CERT|SELF_SIGNED|VERIFY)[A-Z_]*\)/);
  await stranger.close();
});

test("the API server's clock is witnessed", async (t) => {
  await api.request('GET', nodesPath, { signal });
  const witness = api.serverTime();
  t.true(witness !== undefined && Math.abs(witness.offset) <= 10 * second && systemClock.now() - witness.at < minute);
});

test('the operator may list every kind that it watches, and gets trimmed facts', async (t) => {
  const sources: Readonly<Record<string, Source<Kept>>> = {
    pools: identityPools(api, () => undefined),
    policies: scopePolicies(api),
    identities: ciIdentities(api, () => undefined),
    namespaces: namespaces(api),
    nodes: nodes(api),
    stops: emergencyStops(api, 'ci-identity-system'),
    pods: pods(api, agents),
  };
  for (const [name, source] of Object.entries(sources)) {
    await t.notThrowsAsync(source.list({ limit: 500 }, signal), name);
  }
  const page = await namespaces(api).list({ limit: 500 }, signal);
  t.like(new Map(page.items).get(agents), {
    name: agents,
    labels: { 'ci-identity.dev/inject': 'enabled' },
    annotations: {},
    terminating: false,
  });
  for (const kind of Object.keys(admissionKinds) as (keyof typeof admissionKinds)[]) {
    const [first] = (await admissionObjects(api, kind).list({ limit: 500 }, signal)).items;
    t.is(first?.[0], `${kind}/${first?.[1].name}`);
    t.is(first?.[1].kind, kind);
    t.truthy(first?.[1].spec);
  }
});

test('what is in memory is not read again: a watch tells its version only', async (t) => {
  const seen: string[] = [];
  const knows = (key: string): boolean => key === agents;
  for await (const event of namespaces(api).watch({ resourceVersion: '0', timeoutSeconds: 60, knows }, signal)) {
    seen.push(event.type === 'Bookmark' ? `Bookmark ${event.resourceVersion !== ''}` : `${event.type} ${event.key}`);
    if (seen.includes('Bookmark true') && seen.includes('Put default')) break;
  }
  t.false(seen.includes(`Put ${agents}`));
});

test('pods elsewhere may not be listed, and the error says what is missing', async (t) => {
  const error = await t.throwsAsync(pods(api, 'default').list({ limit: 500 }, signal), { instanceOf: OperatorError });
  t.like(error, { class: 'Waiting', reason: 'ApiForbidden' });
  t.regex(error?.message ?? '', /list pods in namespace default .* lacks the verb list on pods in namespace default/);
});

test('a reflector over a pod watch keeps trimmed facts through pages, changes and deletes', async (t) => {
  const made = ['a', 'b', 'c'];
  for (const name of made)
    await create(admin, kinds.pods, { namespace: agents }, agentPod({ namespace: agents, name }), { signal });
  const store = new Store<PodFacts>('pods');
  const stop = new AbortController();
  const reflector = new Reflector({
    name: 'pods',
    source: pods(api, agents),
    store,
    clock: systemClock,
    random: Math.random,
    pageSize: 2,
  });
  const running = reflector.run(stop.signal);
  await eventually('the list is complete', () =>
    made.every((name) => store.get(`${agents}/${name}`)) ? true : undefined,
  );
  t.like(store.get(`${agents}/a`), { name: 'a', namespace: agents, phase: 'Pending', deleting: false });
  await create(admin, kinds.pods, { namespace: agents }, agentPod({ namespace: agents, name: 'd' }), { signal });
  await eventually('the new pod is seen', () => store.get(`${agents}/d`));
  t.notRegex(JSON.stringify([...store.entries()]), /JENKINS_SECRET|JENKINS_URL|image/);
  for (const name of [...made, 'd']) await remove(admin, kinds.pods, { namespace: agents, name }, {}, { signal });
  await eventually('the pods are gone', () =>
    [...made, 'd'].some((name) => store.get(`${agents}/${name}`)?.deleting === false) ? undefined : true,
  );
  t.is(reflector.health().message, undefined);
  stop.abort();
  await running;
});

test('pods that are large on purpose are listed a few at a time', async (t) => {
  const names = ['large-1', 'large-2', 'large-3', 'large-4'];
  // JSON has six bytes for each of these.
  const containers = [{ name: 'idle', image: 'none', args: ['<'.repeat(1_200_000)] }];
  for (const name of names) {
    const pod = agentPod({ namespace: agents, name, containers });
    await create(admin, kinds.pods, { namespace: agents }, pod, { signal });
  }
  await t.throwsAsync(pods(api, agents).list({ limit: 500 }, signal), { instanceOf: PageTooLargeError });
  const store = new Store<PodFacts>('pods');
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const source = pods(api, agents);
  const reflector = new Reflector({ name: 'pods', source, store, clock: systemClock, random: Math.random });
  const running = reflector.run(stop.signal);
  await eventually('the list is complete', () => reflector.health().synced || undefined);
  for (const name of names) t.like(store.get(`${agents}/${name}`), { name, phase: 'Pending' });
  t.is(reflector.health().message, undefined);
  stop.abort();
  await running;
  for (const name of names) await remove(admin, kinds.pods, { namespace: agents, name }, {}, { signal });
});

async function identity(name: string): Promise<Resource<CiIdentitySpec, CiIdentityStatus>> {
  const body = {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'CiIdentity',
    metadata: { name, namespace: agents },
    spec: { pool: 'ci-bots', roles: ['publisher'] },
  };
  return trimResource(await create(admin, kinds.ciIdentities, { namespace: agents }, body, { signal }));
}

const condition = (type: string, status: 'True' | 'False', reason = 'Ready') =>
  ({ type, status, reason, message: 'm', observedGeneration: 1, lastTransitionTime: '2026-11-24T12:00:00Z' }) as const;

interface Managed {
  readonly managedFields: readonly {
    readonly manager: string;
    readonly subresource?: string;
    readonly fieldsV1: object;
  }[];
}

test('status is written whole, beside the conditions of others, and every field stays whose it was', async (t) => {
  await identity('status');
  const created = new Map((await ciIdentities(api, () => undefined).list({ limit: 500 }, signal)).items).get(
    `${agents}/status`,
  )!;
  const status = {
    observedGeneration: 1,
    conditions: [condition('Ready', 'True'), condition('Reconciling', 'True')],
  } as CiIdentityStatus;
  const first = await writeStatus(api, kinds.ciIdentities, created, status, signal);
  t.like(first?.status, status);

  const stale = await t.throwsAsync(writeStatus(api, kinds.ciIdentities, created, status, signal), {
    instanceOf: OperatorError,
  });
  t.is(stale?.class, 'Conflict');

  const foreign = condition('example.com/Reviewed', 'True');
  const object = { namespace: agents, name: 'status' };
  const place = { ...object, subresource: 'status' };
  const applied = await admin.request('PATCH', pathOf(kinds.ciIdentities, place), {
    signal,
    query: { fieldManager: 'reviewer' },
    contentType: 'application/apply-patch+yaml',
    body: {
      apiVersion: 'ci-identity.dev/v1alpha1',
      kind: 'CiIdentity',
      metadata: object,
      status: { conditions: [foreign] },
    },
  });
  const both = bodyOf<Resource<CiIdentitySpec, CiIdentityStatus>>(applied, 'patch', kinds.ciIdentities, place);
  const known = trimResource<CiIdentitySpec, CiIdentityStatus>(both);

  const settled = await writeStatus(
    api,
    kinds.ciIdentities,
    known,
    { observedGeneration: 1, conditions: [condition('Ready', 'False', 'NoRule')] } as CiIdentityStatus,
    signal,
  );
  t.deepEqual(settled?.status?.conditions?.map(({ type, status: value }) => `${type}=${value}`).toSorted(), [
    'Ready=False',
    'example.com/Reviewed=True',
  ]);
  const { metadata } = (await get<{ metadata: Managed }>(admin, kinds.ciIdentities, object, { signal }))!;
  const owners = new Map(
    metadata.managedFields.map(({ manager, subresource = '', fieldsV1 }) => [
      `${manager} ${subresource}`,
      JSON.stringify(fieldsV1),
    ]),
  );
  t.regex(owners.get('ci-identity status') ?? '', /Ready/);
  t.notRegex(owners.get('ci-identity status') ?? '', /Reviewed|f:spec/);
  t.regex(owners.get('reviewer status') ?? '', /Reviewed/);
  t.true([...owners.values()].some((fields) => fields.includes('f:spec')));
});

test('a status with a member that the installed definition does not know is refused, not cut down', async (t) => {
  const known = await identity('newer');
  const status = { observedGeneration: 1, ofTomorrow: true } as CiIdentityStatus;
  const refused = await t.throwsAsync(writeStatus(api, kinds.ciIdentities, known, status, signal), {
    instanceOf: OperatorError,
  });
  t.like(refused, { class: 'Terminal', reason: 'ApiRefused' });
});

test('a status never reaches an object that was made anew, nor one that is gone', async (t) => {
  const old = await identity('reborn');
  await remove(admin, kinds.ciIdentities, { namespace: agents, name: 'reborn' }, {}, { signal });
  const status = { observedGeneration: 1 } as CiIdentityStatus;
  t.is(await writeStatus(api, kinds.ciIdentities, old, status, signal), undefined);
  await identity('reborn');
  const stale = await t.throwsAsync(writeStatus(api, kinds.ciIdentities, old, status, signal), {
    instanceOf: OperatorError,
  });
  t.is(stale?.class, 'Conflict');
  const now = await get<{ status: { conditions: readonly { reason: string }[] } }>(
    admin,
    kinds.ciIdentities,
    { namespace: agents, name: 'reborn' },
    { signal },
  );
  t.deepEqual(
    now?.status.conditions.map(({ reason }) => reason),
    ['Pending'],
  );
});

test('our finalizer comes and goes, those of others stay', async (t) => {
  const ours = 'ci-identity.dev/clients';
  const theirs = 'example.com/theirs';
  const body = {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'IdentityPool',
    metadata: { name: 'ci-bots' },
    spec: {
      provider: { issuer: 'https://idp.example.com' },
      ceiling: { scopes: ['a'], audiences: ['https://a.example.com'] },
    },
  };
  const created = trimResource(await create(admin, kinds.identityPools, {}, body, { signal }));
  const withOurs = await addFinalizer(api, kinds.identityPools, created, ours, signal);
  t.deepEqual(withOurs?.metadata.finalizers, [ours]);
  t.is(await addFinalizer(api, kinds.identityPools, withOurs!, ours, signal), withOurs);

  const finalizers = [theirs, ours];
  const both = trimResource(
    await patch(admin, kinds.identityPools, { name: 'ci-bots' }, 'Merge', { metadata: { finalizers } }, { signal }),
  );
  const stale = await t.throwsAsync(removeFinalizer(api, kinds.identityPools, withOurs!, ours, signal), {
    instanceOf: OperatorError,
  });
  t.is(stale?.class, 'Conflict');
  const left = await removeFinalizer(api, kinds.identityPools, both, ours, signal);
  t.deepEqual(left?.metadata.finalizers, [theirs]);
  t.is(await removeFinalizer(api, kinds.identityPools, left!, ours, signal), left);

  // Memory without any finalizer must not wipe the list that is there.
  const blind = await t.throwsAsync(addFinalizer(api, kinds.identityPools, created, ours, signal), {
    instanceOf: OperatorError,
  });
  t.is(blind?.class, 'Conflict');
  t.deepEqual((await addFinalizer(api, kinds.identityPools, left!, ours, signal))?.metadata.finalizers, [theirs, ours]);

  const last = await patch(
    admin,
    kinds.identityPools,
    { name: 'ci-bots' },
    'Merge',
    { metadata: { finalizers: [ours] } },
    { signal },
  );
  await remove(admin, kinds.identityPools, { name: 'ci-bots' }, {}, { signal });
  await removeFinalizer(api, kinds.identityPools, trimResource(last), ours, signal);
  t.is(await get(admin, kinds.identityPools, { name: 'ci-bots' }, { signal }), undefined);
  t.is(await removeFinalizer(api, kinds.identityPools, trimResource(last), ours, signal), undefined);
});

interface StoredEvent {
  readonly metadata: { readonly namespace: string };
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly series?: { readonly count: number };
}

async function eventsOf(uid: string, ns: string): Promise<readonly StoredEvent[]> {
  const query = { fieldSelector: `regarding.uid=${uid}` };
  return (await listPage<StoredEvent>(admin, kinds.events, { namespace: ns }, { signal, query })).items;
}

/** The operator's connection by another clock. */
function by(clock: Clock): ApiConnection {
  return {
    clock,
    request: api.request.bind(api),
    stream: api.stream.bind(api),
    serverTime: () => undefined,
    close: () => Promise.resolve(),
  };
}

test('events are counted, not repeated', async (t) => {
  let shift = 0;
  const clock: Clock = {
    ...systemClock,
    now: () => instant(systemClock.now() + shift),
    sleepUntil: (t, until) => systemClock.sleepUntil(plus(t, -shift), until),
  };
  const failures: unknown[] = [];
  const recorder = new EventRecorder({
    connection: by(clock),
    instance: 'replica-1',
    onFailure: (error) => failures.push(error),
  });
  const { apiVersion, kind, uid } = await identity('events');
  const regarding = { apiVersion, kind, name: 'events', namespace: agents, uid };
  const denied = { regarding, type: 'Warning', reason: 'NoRule', message: 'ä'.repeat(2_000) } as const;
  for (let i = 0; i < 10; i += 1) recorder.record(denied);
  recorder.record({ ...denied, type: 'Normal', reason: 'Delivered', message: 'done' });
  await recorder.flush();
  for (let i = 0; i < 3; i += 1) recorder.record(denied);
  await recorder.flush();
  const early = await eventsOf(uid, agents);
  t.deepEqual(early.map(({ reason, series }) => `${reason} ${series?.count ?? 1}`).toSorted(), [
    'Delivered 1',
    'NoRule 1',
  ]);
  t.true(Buffer.byteLength(early.find(({ reason }) => reason === 'NoRule')?.note ?? '') <= 1_024);

  shift = 6 * minute;
  recorder.record(denied);
  await recorder.flush();
  t.deepEqual((await eventsOf(uid, agents)).map(({ reason, series }) => `${reason} ${series?.count ?? 1}`).toSorted(), [
    'Delivered 1',
    'NoRule 14',
  ]);
  t.deepEqual(failures, []);
});

test('however many notes wait about what is in order: a warning is written, and what is dropped is counted', async (t) => {
  const metrics = new Metrics();
  const onDrop = ({ reason }: EventNote): void => metrics.count('ci_identity_events_dropped_total', { reason });
  const withoutRest = { ...systemClock, sleepUntil: () => Promise.resolve() };
  const recorder = new EventRecorder({ connection: by(withoutRest), instance: 'replica-1', onDrop });
  const regarding = (uid: string): Regarding => ({ apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: agents, uid });
  const taken = Array.from({ length: 2_000 }, () =>
    recorder.record({ regarding: regarding(crypto.randomUUID()), type: 'Normal', reason: 'Delivered', message: 'a' }),
  );
  const uid = crypto.randomUUID();
  t.true(recorder.record({ regarding: regarding(uid), type: 'Warning', reason: 'InjectionMissed', message: 'b' }));
  await recorder.flush();
  t.is(taken.filter(Boolean).length, 1_000);
  t.regex(await metrics.registry.metrics(), /^ci_identity_events_dropped_total\{reason="Delivered"\} 1000$/m);
  t.is((await eventsOf(uid, agents)).length, 1);
});

test('events of cluster-scoped objects go to namespace default; what cannot be written harms nobody', async (t) => {
  const failures: unknown[] = [];
  const recorder = new EventRecorder({
    connection: api,
    instance: 'replica-1',
    onFailure: (error) => failures.push(error),
  });
  const regarding = {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'IdentityPool',
    name: 'events',
    uid: crypto.randomUUID(),
  };
  recorder.record({ regarding, type: 'Normal', reason: 'Registered', message: 'a' });
  recorder.record({
    regarding: { ...regarding, namespace: 'kube-system' },
    type: 'Normal',
    reason: 'Registered',
    message: 'b',
  });
  recorder.record({ regarding, type: 'Normal', reason: 'Registered', message: 'c' });
  await recorder.flush();
  t.is((await eventsOf(regarding.uid, 'default')).length, 2);
  t.is(failures.length, 1);
});

test('keys of Secrets and ConfigMaps of the operator', async (t) => {
  const place = { namespace: 'ci-identity-system', name: 'keys' };
  t.is(await readSecret(api, place, signal), undefined);
  t.is(await readConfigMap(api, place, signal), undefined);
  await lab.apply(
    { apiVersion: 'v1', kind: 'Secret', metadata: place, stringData: { token: 'ä' } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: place, data: { 'ca.crt': 'x' } },
  );
  t.deepEqual(await readSecret(api, place, signal), { token: 'ä' });
  t.deepEqual(await readConfigMap(api, place, signal), { 'ca.crt': 'x' });
});

test('a lease is created, updated on condition, and released', async (t) => {
  const lease = leaseAccess(api, { namespace: 'ci-identity-system', name: 'ci-identity-controller' });
  t.is(await lease.get(signal), undefined);
  const state = {
    holder: 'a',
    transitions: 1,
    duration: 15 * second,
    acquired: systemClock.now(),
    renewed: systemClock.now(),
  };
  const made = await lease.create(state, signal);
  t.like(made, state);
  t.deepEqual(await lease.get(signal), made);
  t.is((await t.throwsAsync(lease.create(state, signal), { instanceOf: OperatorError }))?.class, 'Conflict');
  const taken = await lease.update({ ...state, holder: 'b', transitions: 2 }, made.version, signal);
  t.is(
    (await t.throwsAsync(lease.update(state, made.version, signal), { instanceOf: OperatorError }))?.class,
    'Conflict',
  );
  const released = await lease.update({ ...taken, holder: '', duration: second }, taken.version, signal);
  t.like(released, { holder: '', transitions: 2, duration: second });
  await remove(
    admin,
    kinds.leases,
    { namespace: 'ci-identity-system', name: 'ci-identity-controller' },
    {},
    { signal },
  );
  t.like(await lease.update(state, released.version, signal), state);
});

test('who may use an identity is what RBAC says, groups of service accounts included', async (t) => {
  const may = (user: string, name = 'publisher'): Promise<boolean> =>
    mayUse(api, { user, namespace: agents, identity: name }, signal);
  t.true(await may(userName('jenkins')));
  t.false(await may(userName('stranger')));
  t.false(await may('somebody'));
  await lab.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { namespace: agents, name: 'all-of-people' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'ci-identity-use' },
    subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:serviceaccounts:people' }],
  });
  await eventually('the group binding counts', async () => ((await may(userName('admin'))) ? true : undefined));
  t.false(await may(userName('stranger')));
});

test('after a restart of the API server calls go on, and an old version is told apart from an outage', async (t) => {
  await lab.cluster.restartApiServer('SIGKILL');
  await eventually('calls succeed again', () =>
    api.request('GET', nodesPath, { signal }).then(({ status }) => (status === 200 ? true : undefined)),
  );
  const read = async (resourceVersion: string): Promise<void> => {
    for await (const event of pods(api, agents).watch({ resourceVersion, timeoutSeconds: 5 }, signal))
      t.truthy(event.type);
  };
  await t.throwsAsync(read('1'), { instanceOf: VersionExpiredError });
});
