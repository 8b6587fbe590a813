import { setTimeout as sleep } from 'node:timers/promises';
import { identity, pool } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { agentNamespaceDocuments, type Lab, startLabWith } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import { type Api, apiCallsOf, expectStatus, openApi } from './api.ts';
import { type Bench, type BenchOptions, median, target } from './bench.ts';
import { tableOf, useOf } from './figures.ts';
import { inParallel } from './in-parallel.ts';
import { type ProviderProcess, startProviderProcess } from './provider.ts';
import { scrape } from './scrape.ts';
import { spendingOf, type Spent, spentBetween } from './spending.ts';
import { profiling } from './stage.ts';

interface SizeFigures {
  readonly identities: number;
  readonly pods: number;
  readonly sessions: number;
  readonly namespaces: number;
  /** MiB: median at rest, before and after the restart; of the heap at the end of the first, used and in all. */
  readonly resident: number;
  readonly residentAfter: number;
  readonly heap: readonly number[];
  readonly heapAfter: readonly number[];
  /** A minute, while nothing happens. */
  readonly idleCalls: number;
  /** Milliseconds of CPU likewise. */
  readonly idleCpu: number;
  /** Seconds from the start of the new process until it is ready, and until it has looked after every session. */
  readonly ready: number;
  readonly steady: number;
  readonly mintedAgain: number;
  /** Until every session was looked after. */
  readonly spent: Spent;
}

/** An hour, so that no renewal is due while anything is measured. */
const lifetime = 3_600;
const perNamespace = 100;
/** One pod in so many has a live session; the others are not selected by any identity. */
const oneIn = 5;
const atOnce = 8;
/** There is no node, and a scheduler that tries 10,000 pods again and again is not what is measured. */
const spec = { schedulingGates: [{ name: 'ci-identity.dev/no-node' }] };

/** As much as one controller is meant for, spread evenly over namespaces: what it weighs, what it does at rest, and how it starts again. */
export const size: Bench = {
  name: 'size',
  about: '10,000 identities and 10,000 pods, 2,000 of them with live tokens: memory, API calls at rest, a restart',
  async run(o) {
    const lab = await startLabWith(() => startProviderProcess(lifetime), { log: o.log });
    const admin = openApi(lab.cluster.kubeconfig, { connections: atOnce });
    const jenkins = openApi(lab.jenkinsKubeconfig, { connections: atOnce });
    try {
      const figures = await measured(lab, admin, jenkins, o);
      return {
        runs: [figures],
        targets: [
          target('resident memory at rest, MiB', figures.resident, 'AtMost', 250),
          target('start → every session looked after, s', figures.steady, 'AtMost', 10),
          target('tokens minted again', figures.mintedAgain, 'Exactly', 0),
        ],
        table: table(figures),
      };
    } finally {
      await Promise.all([admin.close(), jenkins.close()]);
      await lab.stop();
    }
  },
};

async function measured(
  lab: Lab<ProviderProcess>,
  admin: Api,
  jenkins: Api,
  { log, profile, size: wanted = 10_000, minutes = 1 }: BenchOptions,
): Promise<SizeFigures> {
  const names = Array.from({ length: Math.ceil(wanted / perNamespace) }, (_, n) => `team-${n}`);
  const each = Math.ceil(wanted / names.length);
  const live = Math.ceil(each / oneIn);
  const sessions = live * names.length;
  await furnish(lab, admin, names, each - live, log);
  const operator = lab.operator();
  await operator.ready(120_000);
  await lab.guarded();
  await optedIn(admin, jenkins, names);
  // Pods first: admission looks at every identity of a namespace.
  await inParallel(
    range(live).flatMap((n) => names.map((namespace) => ({ n, namespace }))),
    atOnce,
    async ({ n, namespace }) => {
      const pod = agentPod({ namespace, name: `build-${n}`, labels: { 'identity/first': 'yes' }, spec });
      await post(jenkins, `/api/v1/namespaces/${namespace}/pods`, pod);
    },
  );
  await looksAfter(operator, sessions);
  log(`${sessions} pods have tokens`);
  await inParallel(
    range(each - 1).flatMap((n) => names.map((namespace) => ({ n, namespace }))),
    atOnce,
    async ({ n, namespace }) => {
      const body = JSON.parse(identity(`more-${n}`, { pool: 'ci-bots', roles: ['publisher'] }, namespace)) as unknown;
      await post(admin, identitiesPath(namespace), body);
    },
  );
  await untilDone(admin);
  log('every identity has its status');
  const before = { calls: await apiCallsOf(admin), cpu: useOf(operator.pid).cpu, issued: await issuedBy(lab) };
  const resident = await residentAtRest(operator, minutes);
  const idle = { calls: (await apiCallsOf(admin)) - before.calls, cpu: useOf(operator.pid).cpu - before.cpu };
  const heap = await heapOf(operator);
  await operator.stop();
  const started = performance.now();
  const next = lab.operator(profiling(profile));
  const spentBefore = await spendingOf(lab, next);
  await next.ready(120_000);
  const ready = (performance.now() - started) / 1_000;
  await looksAfter(next, sessions);
  const steady = (performance.now() - started) / 1_000;
  const spent = spentBetween(spentBefore, await spendingOf(lab, next));
  await untilDone(admin);
  const residentAfter = await residentAtRest(next, minutes);
  const heapAfter = await heapOf(next);
  const mintedAgain = (await issuedBy(lab)) - before.issued;
  await next.stop();
  return {
    identities: each * names.length,
    pods: each * names.length,
    sessions,
    namespaces: names.length,
    resident,
    residentAfter,
    heap,
    heapAfter,
    idleCalls: idle.calls / minutes,
    idleCpu: idle.cpu / minutes,
    ready,
    steady,
    mintedAgain,
    spent,
  };
}

/** Namespaces with one identity each, and the pods without a session; the namespaces are not opted in, so no admission policy looks yet. */
async function furnish(
  lab: Lab<ProviderProcess>,
  admin: Api,
  names: readonly string[],
  others: number,
  log: (line: string) => void,
): Promise<void> {
  const policy = {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'ScopePolicy',
    metadata: { name: 'publishers' },
    spec: {
      rules: [
        {
          role: 'publisher',
          pool: 'ci-bots',
          namespaceSelector: { matchLabels: { 'ci-identity.dev/inject': 'enabled' } },
          scopes: ['artifacts:publish'],
        },
      ],
    },
  };
  const ceiling = {
    scopes: ['artifacts:publish'],
    audiences: ['https://registry.example.com'],
    maxTokenLifetime: `${lifetime}s`,
  };
  await lab.apply(pool('ci-bots', lab.provider.issuer, { ceiling }), JSON.stringify(policy));
  await inParallel(names, atOnce, async (namespace) => {
    for (const text of agentNamespaceDocuments(namespace)) {
      const document = JSON.parse(text) as Document;
      const { labels: _, ...metadata } = document.metadata;
      await post(admin, pathOf(document), document.kind === 'Namespace' ? { ...document, metadata } : document);
    }
    const first = identity('first', { pool: 'ci-bots', roles: ['publisher'] }, namespace);
    await post(admin, identitiesPath(namespace), JSON.parse(first));
  });
  await inParallel(
    range(others).flatMap((n) => names.map((namespace) => ({ n, namespace }))),
    atOnce,
    async ({ n, namespace }) => {
      await post(admin, `/api/v1/namespaces/${namespace}/pods`, agentPod({ namespace, name: `other-${n}`, spec }));
    },
  );
  log(`${names.length} namespaces with ${others} pods each are there`);
}

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: unknown };
}

function pathOf({ kind, metadata }: Document): string {
  const inNamespace = `namespaces/${metadata.namespace}/${kind.toLowerCase()}s`;
  if (kind === 'Namespace') return '/api/v1/namespaces';
  return kind === 'ServiceAccount' ? `/api/v1/${inNamespace}` : `/apis/rbac.authorization.k8s.io/v1/${inNamespace}`;
}

function identitiesPath(namespace: string): string {
  return `/apis/ci-identity.dev/v1alpha1/namespaces/${namespace}/ciidentities`;
}

/** From then on the operator watches their pods, and the API server injects. */
async function optedIn(admin: Api, jenkins: Api, names: readonly string[]): Promise<void> {
  const labels = { 'ci-identity.dev/inject': 'enabled' };
  await inParallel(names, atOnce, async (name) => {
    expectStatus(name, await admin.merge(`/api/v1/namespaces/${name}`, { metadata: { labels } }), 200);
  });
  await inParallel(names, atOnce, async (namespace) => {
    await eventually(`the API server injects in ${namespace}`, async () => {
      const { text } = await jenkins.send(
        'POST',
        `/api/v1/namespaces/${namespace}/pods?dryRun=All`,
        build(namespace, 0),
      );
      return text.includes('CI_IDENTITY_FIRST_DIR') ? true : undefined;
    });
  });
}

/** Of the namespace's first identity. */
function build(namespace: string, n: number): object {
  return agentPod({ namespace, name: `build-${n}`, labels: { 'identity/first': 'yes' }, spec });
}

/** This process has delivered to every session at least once. */
async function looksAfter(operator: OperatorProcess, sessions: number): Promise<void> {
  await eventually(
    `${sessions} sessions are looked after`,
    async () => {
      const metrics = await scrape(operator);
      const live = metrics.sum('ci_identity_sessions_live');
      const delivered = metrics.sum('ci_identity_effect_seconds_count', /session\.Deliver\.write.*Done/);
      return live === sessions && delivered >= sessions ? true : undefined;
    },
    { timeoutMs: 600_000, everyMs: 500 },
  );
}

/** No more calls at three looks in a row than a lease takes. */
async function untilDone(admin: Api): Promise<void> {
  let last = 0;
  let quiet = 0;
  await eventually(
    'nothing is left to do',
    async () => {
      const calls = await apiCallsOf(admin);
      quiet = calls - last <= 3 ? quiet + 1 : 0;
      last = calls;
      return quiet >= 3 ? true : undefined;
    },
    { timeoutMs: 600_000, everyMs: 1_000 },
  );
}

/** Median, MiB; what the garbage collector leaves lying is in it. */
async function residentAtRest({ pid }: OperatorProcess, minutes: number): Promise<number> {
  const samples: number[] = [];
  for (let at = 0; at < minutes * 60_000; at += 1_000) {
    await sleep(1_000);
    samples.push(useOf(pid).resident);
  }
  return median(samples);
}

/** MiB of V8's heap: used, in all; and what is kept beside it, such as buffers. */
async function heapOf(operator: OperatorProcess): Promise<readonly number[]> {
  const metrics = await scrape(operator);
  return ['heap_size_used', 'heap_size_total', 'external_memory'].map(
    (what) => metrics.sum(`nodejs_${what}_bytes`) / 2 ** 20,
  );
}

async function issuedBy({ provider }: Lab<ProviderProcess>): Promise<number> {
  return (await provider.counts()).issued;
}

async function post(api: Api, path: string, body: unknown): Promise<void> {
  expectStatus(path, await api.send('POST', path, body), 201);
}

function range(length: number): readonly number[] {
  return Array.from({ length }, (_, n) => n);
}

function table(f: SizeFigures): string {
  return tableOf([
    [`size: ${f.identities} identities, ${f.pods} pods, ${f.sessions} live sessions, ${f.namespaces} namespaces`, ''],
    ['resident memory at rest, MiB', f.resident.toFixed(0)],
    ['the same after the restart, MiB', f.residentAfter.toFixed(0)],
    ...(
      [
        ['before', f.heap],
        ['after', f.heapAfter],
      ] as const
    ).map(([when, heap]) => [
      `heap ${when} it, used / in all, and beside it, MiB`,
      heap.map((value) => value.toFixed(0)).join(' / '),
    ]),
    ['API calls a minute at rest', f.idleCalls.toFixed(0)],
    ['CPU a minute at rest, ms', f.idleCpu.toFixed(0)],
    ['restart: start → ready, s', f.ready.toFixed(1)],
    ['start → every session looked after, s', f.steady.toFixed(1)],
    ['tokens minted again', String(f.mintedAgain)],
    ...['operator', 'kube-apiserver', 'etcd'].map((name) => [
      `CPU of ${name} from the start until then, s`,
      ((f.spent.parts[name] ?? 0) / 1_000).toFixed(1),
    ]),
    ["machine's CPU spent by others, %", (100 * f.spent.strangers).toFixed(0)],
  ]);
}
