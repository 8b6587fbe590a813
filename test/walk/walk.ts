import { join } from 'node:path';
import { openApi, type Api } from '#test/bench/api.ts';
import { signal } from '#test/cluster/processes.ts';
import { Auditor } from '#test/support/auditor.ts';
import { eventually } from '#test/support/eventually.ts';
import { type FaultProxy, startFaultProxyOf } from '#test/support/fault-proxy.ts';
import type { Lab, LabOptions } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import type { Random } from '#test/support/random.ts';
import { AuditPipe } from './audit-pipe.ts';
import { entitlement } from './entitlement.ts';
import { beginning } from './objects.ts';
import { kinds } from './steps.ts';

interface PodName {
  readonly namespace: string;
  readonly name: string;
}

interface Editable {
  metadata: { annotations?: Record<string, string>; labels?: Record<string, string>; [more: string]: unknown };
  spec: Record<string, unknown> & { suspend?: boolean };
}

const replicas = 2;
/** A rest of which one wants to know why. */
const longRestMs = 45_000;
const system = '/api/v1/namespaces/ci-identity-system';
const acknowledgement = 'ci-identity.dev/acknowledge';
const lease = '/apis/coordination.k8s.io/v1/namespaces/ci-identity-system/leases/ci-identity-controller';

const idOf = ({ args }: OperatorProcess): string | undefined =>
  args.find((arg) => arg.startsWith('--id='))?.slice('--id='.length);

/** Everything that a walk works on: a cluster, a provider, two replicas of the program behind a proxy that breaks, and the auditor. */
export class Walk {
  readonly lab: Lab;
  readonly proxy: FaultProxy;
  readonly admin: Api;
  readonly jenkins: Api;
  /** Running, and ended but still there. */
  readonly pods: PodName[] = [];
  readonly ended: PodName[] = [];
  readonly counts = new Map<string, number>();
  /** What the auditor said last in each rest that took long. */
  readonly longRests: string[] = [];
  /** Ends the outage of the provider that there is. */
  outage: (() => void) | undefined;
  readonly options: LabOptions;
  /** Uids of pools that left their clients at the provider on purpose. */
  readonly retained = new Set<string>();
  /** What was taken away, and how it is given back. */
  readonly #taken = new Map<string, () => Promise<unknown>>();
  /** Epoch milliseconds: pods from before are not trusted. */
  trustedSince = 0;
  readonly #auditor: Auditor;
  readonly #kubeconfig: string;
  readonly #everyProcess: OperatorProcess[] = [];
  readonly #pipes: AuditPipe[] = [];
  #running: OperatorProcess[] = [];
  #number = 0;
  /** Lines of the brake that count no longer, and what the annotation says. */
  readonly #answered = new Set<string>();
  #acknowledged: string | undefined;
  #surprise: Error | undefined;

  private constructor(lab: Lab, options: LabOptions, proxy: FaultProxy, kubeconfig: string) {
    this.lab = lab;
    this.options = options;
    this.proxy = proxy;
    this.#kubeconfig = kubeconfig;
    this.admin = openApi(lab.cluster.kubeconfig, { connections: 4 });
    this.jenkins = openApi(lab.jenkinsKubeconfig, { connections: 2 });
    this.#auditor = new Auditor({
      get: (path) => this.get(path),
      provider: lab.provider,
      auditStreams: () => this.#auditStreams(),
      logs: () => this.#everyProcess.map((process) => process.log()),
      retained: this.retained,
      entitled: (world, pod, identity) =>
        Date.parse(pod.metadata.creationTimestamp ?? '') > this.trustedSince ? entitlement(world, pod, identity) : [],
    });
  }

  /** `options`: with which the lab was started. */
  static async open(lab: Lab, options: LabOptions): Promise<Walk> {
    const proxy = await startFaultProxyOf(lab.cluster);
    const kubeconfig = await lab.cluster.kubeconfigForServiceAccount('ci-identity-system', 'controller', proxy.url);
    return new Walk(lab, options, proxy, kubeconfig);
  }

  /** The replicas lead and follow, and the first objects are there. */
  async begin(random: Random): Promise<void> {
    for (let n = 0; n < replicas; n += 1) this.#start();
    const leads = (): boolean => this.#everyProcess.some((process) => process.log().includes('"leading"'));
    await eventually('one replica leads', () => (leads() ? true : undefined), { timeoutMs: 90_000 });
    await this.lab.guarded();
    await this.lab.apply(...beginning(this.lab.provider.issuer, random));
  }

  nextNumber(): number {
    return (this.#number += 1);
  }

  async get(path: string): Promise<unknown> {
    const { status, text } = await this.admin.send('GET', path);
    if (status !== 200) throw new Error(`${path}: ${status}`);
    return JSON.parse(text);
  }

  /** Creates the object, or replaces its spec. */
  async apply(document: string): Promise<void> {
    await this.lab.apply(document);
  }

  /** Reads, changes and writes; an object that is not there stays so. */
  async edit(path: string, change: (raw: Editable) => void): Promise<void> {
    for (;;) {
      const { status, text } = await this.admin.send('GET', path);
      if (status === 404) return;
      const raw = JSON.parse(text) as Editable;
      change(raw);
      const answer = await this.admin.send('PUT', path, raw);
      if (answer.status === 200 || answer.status === 404) return;
      if (answer.status !== 409) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    }
  }

  /** One replica ends, another one starts. Where it led, the other takes over at once: nobody waits for the lease to run out. */
  async replace(random: Random, how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const [process] = this.#running.splice(random.below(this.#running.length), 1);
    if (process === undefined) return;
    await process.stop(how);
    if (how === 'SIGKILL') await this.depose(process);
    this.#start();
  }

  /** Whoever leads, or this process if it does, does not know it yet; anybody may lead. */
  async depose(only?: OperatorProcess): Promise<void> {
    await this.edit(lease, ({ spec }) => {
      const leads = only === undefined || idOf(only) === spec['holderIdentity'];
      if (leads) spec['holderIdentity'] = null;
    });
  }

  /** The leader stands still, another one takes over, and then it goes on with whatever it was at. */
  async freeze(ms: number): Promise<void> {
    const { spec } = (await this.get(lease)) as Editable;
    const leader = this.#running.find((process) => idOf(process) === spec['holderIdentity']);
    if (leader === undefined) return;
    signal(leader.pid, 'SIGSTOP');
    await this.depose(leader);
    await new Promise((resolve) => setTimeout(resolve, ms));
    signal(leader.pid, 'SIGCONT');
  }

  /** Takes it away, or gives it back. `take` returns how. */
  async toggle(what: string, take: () => Promise<() => Promise<unknown>>): Promise<void> {
    const give = this.#taken.get(what);
    if (give === undefined) this.#taken.set(what, await take());
    else {
      this.#taken.delete(what);
      await give();
    }
  }

  /** Everything that broke or was taken away is there again. */
  async repair(): Promise<void> {
    this.lab.provider.faults.clear();
    this.outage = undefined;
    this.proxy.heal();
    for (const give of this.#taken.values()) await give();
    this.#taken.clear();
  }

  async step(random: Random): Promise<string> {
    const weights = Object.fromEntries(Object.entries(kinds).map(([name, { weight }]) => [name, weight]));
    const name = random.weighted(weights);
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    await kinds[name]?.step(this, random);
    if (this.#surprise !== undefined) throw this.#surprise;
    return name;
  }

  async restartApiServer(how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.lab.cluster.restartApiServer(how);
    for (const api of [this.admin, this.jenkins])
      await eventually('it answers again', async () => (await api.send('GET', '/version')).status === 200 || undefined);
  }

  /** Nobody reads any audit stream. Returns how reading goes on. */
  blockAudit(): () => void {
    const frees = this.#pipes.map((pipe) => pipe.block());
    return () => {
      for (const free of frees) free();
    };
  }

  /** Somebody says of whatever the brake holds back that it is meant. */
  async acknowledge(): Promise<void> {
    const ids = this.#held().flatMap((line) => /acknowledge=(\S+)\. /.exec(line)?.[1] ?? []);
    if (ids.length > 0) await this.#annotateSystem(ids.join(','));
  }

  /** What was acknowledged so far counts no longer. */
  async withdrawAcknowledgements(): Promise<void> {
    for (const line of this.#held()) this.#answered.add(line);
    await this.#annotateSystem(undefined);
  }

  #held(): readonly string[] {
    const lines = this.audit().matchAll(/^.*"event":"Held".*$/gm);
    return [...lines].flatMap(([line]) => (this.#answered.has(line) ? [] : [line]));
  }

  async #annotateSystem(ids: string | undefined): Promise<void> {
    if (ids === this.#acknowledged) return;
    this.#acknowledged = ids;
    await this.edit(system, ({ metadata }) => {
      const { [acknowledgement]: _, ...others } = metadata.annotations ?? {};
      metadata.annotations = ids === undefined ? others : { ...others, [acknowledgement]: ids };
    });
  }

  /** Everything that broke is repaired, and nobody does anything until the auditor is content. Throws with what it said last. */
  async rest(timeoutMs = 150_000): Promise<number> {
    await this.repair();
    const from = Date.now();
    let late = '';
    await eventually(
      'the auditor is content',
      async () => {
        if (this.#surprise !== undefined) throw this.#surprise;
        await this.acknowledge();
        const broken = await this.#auditor.findings();
        if (broken.length === 0) return true;
        if (Date.now() - from > longRestMs) late = broken.join('; ');
        throw new Error(broken.join('; '));
      },
      { timeoutMs, everyMs: 250 },
    );
    const took = Date.now() - from;
    if (late !== '') this.longRests.push(`${Math.round(took / 1_000)} s: ${late}`);
    return took;
  }

  log(): string {
    return this.#everyProcess.map((process) => process.log().slice(-6_000)).join('\n--\n');
  }

  /** What the stream says about the sessions that the auditor complains of. */
  audit(): string {
    return this.#auditStreams().join('');
  }

  #auditStreams(): readonly string[] {
    return this.#pipes.map((pipe) => pipe.text());
  }

  async end(): Promise<void> {
    const running = this.#running;
    this.#running = [];
    await Promise.all(running.map((process) => process.stop('SIGKILL')));
    await Promise.all([this.admin.close(), this.jenkins.close()]);
    await this.proxy.stop();
    for (const pipe of this.#pipes) pipe.stop();
  }

  #start(): void {
    const pipe = new AuditPipe(join(this.lab.dir, `walk-${this.#pipes.length}.audit`));
    this.#pipes.push(pipe);
    const process = this.lab.operator({ kubeconfig: this.#kubeconfig, auditPath: pipe.path });
    this.#running.push(process);
    this.#everyProcess.push(process);
    void process.exited.then(({ code, signal }) => {
      if (!this.#running.includes(process)) return;
      // The lease may be lost in the middle of trouble: the program ends, and whatever runs it starts it again.
      this.#running = this.#running.filter((other) => other !== process);
      if (/no longer leads/.test(process.log())) this.#start();
      else this.#surprise ??= new Error(`the program ended with code ${code}, signal ${signal}`);
    });
  }
}
