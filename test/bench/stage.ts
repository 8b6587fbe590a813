import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { processesOf } from '#test/cluster/processes.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { type Lab, startLabWith } from '#test/support/lab.ts';
import { type Api, apiCallsOf, expectStatus, openApi } from './api.ts';
import type { FloorOptions } from './floor.ts';
import { type BareClient, registerBareClient, startProviderProcess, type ProviderProcess } from './provider.ts';

/** Who serves the pods: the bare script or the operator. Never both at once. */
export type Contender = 'floor' | 'operator';

export interface Serving {
  readonly pid: number;
  /** Since the last question. */
  loopDelay?(): Promise<LoopDelay>;
  log?(): string;
  /** Takes a scope from every live session: the operator by an edit of the ScopePolicy, the floor because it is told so. */
  narrow(): Promise<void>;
  stop(): Promise<void>;
}

/** Delay of an event loop, milliseconds. */
export interface LoopDelay {
  readonly p99: number;
  readonly longest: number;
}

/** One pod from the driver's side; milliseconds of `performance.now()`. */
export interface Served {
  readonly name: string;
  /** The request that creates the pod is sent. */
  readonly asked: number;
  /** The API server has answered 201. */
  readonly created: number;
  /** A watch of the namespace's Secrets, the driver's own, has shown a Secret with the key `token`. */
  readonly readable: number;
}

export interface Stage {
  readonly provider: ProviderProcess;
  /** Requests of service accounts other than the control plane's that the API server has served; watches count once. */
  apiCalls(): Promise<number>;
  /** What a kubelet could mount now: pod → its token. */
  readonly tokens: ReadonlyMap<string, string>;
  /** Secrets of the agent namespace and of sessions: the deliveries and the records. */
  secrets(): Promise<{ readonly deliveries: number; readonly records: number }>;
  serve(contender: Contender): Promise<Serving>;
  /** Creates one agent pod as Jenkins' service account and waits for its token. */
  pod(): Promise<Served>;
  deletePod(name: string): Promise<void>;
  /** What else runs for both contenders: name → process id. The driver is this process. */
  bystanders(): Promise<ReadonlyMap<string, number>>;
  /** Deletes every pod and waits until nothing is left of their tokens. */
  clear(contender: Contender): Promise<void>;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly log: (line: string) => void;
  /** For both: how many pods are served at once. */
  readonly parallel: number;
  /** Directory for CPU profiles of the operator. */
  readonly profile?: string;
  /** Seconds that a token lives; default 900. */
  readonly lifetime?: number;
}

const namespace = 'ci-payments';
const identity = 'publisher';
const podsPath = `/api/v1/namespaces/${namespace}/pods`;
const deliveriesPath = `/api/v1/namespaces/${namespace}/secrets?fieldSelector=type%3Dci-identity.dev%2Ftoken`;
const recordsPath = '/api/v1/namespaces/ci-identity-system/secrets?labelSelector=ci-identity.dev%2Fkind%3Dsession';
const floorMain = fileURLToPath(new URL('floor.ts', import.meta.url));
/** A token that takes longer than this never comes. */
const patience = 60_000;

/** The quickstart's resources, but tokens may live as long as the benchmarks' provider says. */
export function identitiesYaml(): string {
  const yaml = readFileSync(new URL('../quickstart/identities.yaml', import.meta.url), 'utf8');
  return yaml.replace(/maxTokenLifetime: \w+/, 'maxTokenLifetime: 15m');
}

/** Cluster with policies, RBAC and the three resources; the provider as a process; the operator installed once, so that the guard is whole. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const lab = await startLabWith(() => startProviderProcess(options.lifetime), { log: options.log, logLevel: 'info' });
  try {
    const yaml = identitiesYaml();
    await lab.apply(yaml.replaceAll('ISSUER', lab.provider.issuer));
    const first = lab.operator();
    await first.ready();
    await lab.guarded();
    await lab.kubectl(['wait', '--for=condition=Ready', '--timeout=60s', '-n', namespace, `ciidentity/${identity}`]);
    await first.stop();
    return await stageOf(lab, options);
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

async function stageOf(lab: Lab<ProviderProcess>, options: StageOptions): Promise<Stage> {
  const client = await registerBareClient(lab.provider);
  const admin = openApi(lab.cluster.kubeconfig, { connections: 4 });
  const jenkins = openApi(lab.jenkinsKubeconfig, { connections: jenkinsConnections });
  const over = new AbortController();
  const readable = watchTokens(admin, over.signal);
  let pods = 0;
  return {
    provider: lab.provider,
    apiCalls: () => apiCallsOf(admin),
    tokens: readable.tokens,
    async secrets() {
      const [deliveries, records] = await Promise.all(
        [deliveriesPath, recordsPath].map((path) => countOf(admin, path)),
      );
      return { deliveries: deliveries!, records: records! };
    },
    async serve(contender) {
      return contender === 'floor' ? serveFloor(lab, client, options) : serveOperator(lab, options);
    },
    async pod() {
      pods += 1;
      const name = `payments-deploy-${pods}-x7k2p-q0b4t-m1wz9`;
      const body = agentPod({ name });
      const token = readable.expect(name);
      const asked = performance.now();
      const answer = await jenkins.send('POST', podsPath, body);
      const created = performance.now();
      expectStatus(`pod ${name}`, answer, 201);
      return { name, asked, created, readable: await token.within(patience) };
    },
    async deletePod(name) {
      expectStatus(`pod ${name}`, await admin.send('DELETE', `${podsPath}/${name}?gracePeriodSeconds=0`), 200, 404);
    },
    async bystanders() {
      const cluster = await processesOf(lab.cluster.dir);
      const others = [['provider', lab.provider.pid] as const, ['driver', process.pid] as const];
      return new Map([...cluster.map(({ name, pid }) => [name, pid] as const), ...others]);
    },
    clear: (contender) => clearSessions(admin, contender),
    async stop() {
      over.abort();
      await Promise.all([admin.close(), jenkins.close()]);
      await lab.stop();
    },
  };
}

/** Jenkins' kubernetes plugin opens at most so many connections. */
const jenkinsConnections = 32;

/** Deletes the pods of the stage's namespace and waits until nothing of their sessions is left. */
export async function clearSessions(admin: Api, contender: Contender): Promise<void> {
  await eventually(
    'the pods are deleted',
    async () => {
      // A busy API server gives up on a thousand after a minute, and what it has deleted by then is gone.
      const answer = await admin.send('DELETE', `${podsPath}?gracePeriodSeconds=0`);
      expectStatus('delete pods', answer, 200, 504);
      return answer.status === 200 ? true : undefined;
    },
    { timeoutMs: 5 * patience, everyMs: 250 },
  );
  expectStatus('delete deliveries', await admin.send('DELETE', deliveriesPath), 200);
  if (contender === 'floor') expectStatus('delete records', await admin.send('DELETE', recordsPath), 200);
  await eventually('nothing is left', () => isEmpty(admin), { timeoutMs: 2 * patience, everyMs: 250 });
}

async function isEmpty(admin: Api): Promise<true | undefined> {
  const paths = [`${podsPath}?limit=1`, `${deliveriesPath}&limit=1`, `${recordsPath}&limit=1`];
  const lists = await Promise.all(paths.map(async (path) => expectStatus(path, await admin.send('GET', path), 200)));
  return lists.every((list) => (JSON.parse(list) as { items: unknown[] }).items.length === 0) ? true : undefined;
}

async function countOf(admin: Api, path: string): Promise<number> {
  const list = JSON.parse(expectStatus(path, await admin.send('GET', path), 200)) as { readonly items: unknown[] };
  return list.items.length;
}

/** A process that serves the pods of the stage's namespace with the bare calls. */
export async function serveFloor(
  lab: Lab<ProviderProcess>,
  client: BareClient,
  { parallel }: Pick<StageOptions, 'parallel'>,
): Promise<Serving> {
  const options: FloorOptions = {
    kubeconfig: lab.operatorKubeconfig,
    namespace,
    identity,
    issuer: lab.provider.issuer,
    ca: lab.provider.caPem,
    ...client,
    scopes: ['artifacts:publish', 'artifacts:read'],
    audience: 'https://registry.example.com',
    parallel,
  };
  const child = fork(floorMain, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  child.send(options);
  await Promise.race([
    once(child, 'message'),
    exited.then(() => {
      throw new Error('the floor ended before it was ready');
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    async narrow() {
      child.send('narrow');
    },
    async stop() {
      child.kill();
      await exited;
    },
  };
}

async function serveOperator(lab: Lab<ProviderProcess>, { profile }: StageOptions): Promise<Serving> {
  const operator = lab.operator(profiling(profile));
  await operator.ready();
  const { metrics } = await operator.ports();
  return {
    pid: operator.pid,
    async loopDelay() {
      const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
      const milliseconds = (name: string): number =>
        Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)`, 'm').exec(text)?.[1]) * 1_000;
      return { p99: milliseconds('p99'), longest: milliseconds('max') };
    },
    log: () => operator.log(),
    narrow: () => setScopes(lab, ['artifacts:publish']),
    async stop() {
      await operator.stop();
      await setScopes(lab, ['artifacts:publish', 'artifacts:read']);
    },
  };
}

/** The operator writes a CPU profile into this directory when it ends. */
export function profiling(dir: string | undefined): { readonly environment?: Readonly<Record<string, string>> } {
  return dir === undefined ? {} : { environment: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${dir}` } };
}

async function setScopes(lab: Lab<ProviderProcess>, scopes: readonly string[]): Promise<void> {
  const patch = JSON.stringify([{ op: 'replace', path: '/spec/rules/0/scopes', value: scopes }]);
  await lab.kubectl(['patch', 'scopepolicy', 'publishers', '--type=json', '-p', patch]);
}

interface TokenWatch {
  readonly tokens: ReadonlyMap<string, string>;
  /** To be called before the pod is created. */
  expect(pod: string): {
    /** The time at which the token of this pod became readable; rejects where it does not within so many milliseconds. */
    within(milliseconds: number): Promise<number>;
  };
}

/** Of the identity and namespace of the stage. */
export function watchTokens(admin: Api, signal: AbortSignal): TokenWatch {
  const expected = new Map<string, (at: number) => void>();
  const tokens = new Map<string, string>();
  const prefix = `ci-identity-${identity}.`;
  void (async () => {
    for await (const { type, object } of admin.watch(`${deliveriesPath}&watch=1`, signal)) {
      const pod = object.metadata.name.slice(prefix.length);
      const token = type === 'DELETED' ? undefined : object.data?.['token'];
      if (token === undefined) {
        tokens.delete(pod);
        continue;
      }
      tokens.set(pod, Buffer.from(token, 'base64').toString());
      expected.get(pod)?.(performance.now());
      expected.delete(pod);
    }
  })();
  return {
    tokens,
    expect(pod) {
      const seen = new Promise<number>((resolve) => expected.set(pod, resolve));
      return {
        within: (milliseconds) =>
          new Promise((resolve, reject) => {
            const late = new Error(`no token for pod ${pod} in ${milliseconds} ms`);
            const timer = setTimeout(() => reject(late), milliseconds);
            void seen.then((at) => (clearTimeout(timer), resolve(at)));
          }),
      };
    },
  };
}
