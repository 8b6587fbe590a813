/** One story – objects, a pod with a token, a rotation if wanted, the end of the pod, the end of the pool – told while the program dies in it. */
import type { EffectName } from '#src/controllers/effect-names.ts';
import { type Pod, auditOf, createPod, identity, page, policy, pool, team } from '#test/api/operator-lab.ts';
import { type Api, openApi } from '#test/bench/api.ts';
import type { Endpoint, Fault } from '#test/providers/oidc-provider-faults.ts';
import type { OidcProviderSettings } from '#test/providers/oidc-provider.ts';
import { Auditor } from '#test/support/auditor.ts';
import { eventually } from '#test/support/eventually.ts';
import type { Lab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';

export type Moment = 'before' | 'after';
export type Phase = 'objects' | 'pod' | 'rotation' | 'podEnd' | 'poolEnd';

/** What has to go wrong, and when, for the program to come by an effect that the plain story never reaches. */
export interface Trouble {
  readonly phase: Phase;
  readonly fault?: Fault;
  /** Seconds that tokens live which are minted from this phase on. */
  readonly tokenLifetime?: number;
}

export interface Story {
  /** Of this story alone; part of every name. */
  readonly name: string;
  readonly crashAt?: { readonly effect: EffectName; readonly moment: Moment };
  readonly troubles?: readonly Trouble[];
  readonly rotates?: boolean;
  /** The token of the pod is renewed before the pod ends. */
  readonly renews?: boolean;
  readonly settings?: Partial<OidcProviderSettings>;
  /** Tokens of proofs that the trouble or the crash may lose: they are in no record and live until they expire. */
  readonly lostProbes?: number;
}

/** Effects that need trouble to be reached. */
export const troublesOf: Partial<Record<EffectName, readonly Trouble[]>> = {
  'client.Register.refusal': [{ phase: 'objects', fault: refused('register') }],
  'client.Update.refusal': [{ phase: 'rotation', fault: refused('update') }],
  'client.Deregister.refusal': [{ phase: 'poolEnd', fault: refused('delete') }],
  'client.Refusal.record': [
    {
      phase: 'pod',
      fault: { endpoint: 'token', times: 1, instead: { status: 401, body: { error: 'invalid_client' } } },
    },
  ],
  // The provider grants more than was asked for: the token is thrown away.
  'session.Mint.revoke': [
    {
      phase: 'pod',
      fault: {
        endpoint: 'token',
        times: 1,
        rewrite: ({ body }) => ({ body: { ...(body as object), scope: 'artifacts:publish artifacts:delete' } }),
      },
    },
  ],
  'session.Mint.introspect': [{ phase: 'pod', tokenLifetime: 20 }],
  'session.Drop.record': [
    { phase: 'pod', tokenLifetime: 12 },
    { phase: 'podEnd', fault: { endpoint: 'revocation', instead: { status: 503 } } },
  ],
};

function refused(endpoint: Endpoint): Fault {
  return { endpoint, times: 1, instead: { status: 429, headers: { 'retry-after': '1' } } };
}

/** Where the answer of a provider call that changes something is lost: which request, in which phase. */
export const lostAnswers = {
  'client.Register.call': { phase: 'objects', endpoint: 'register' },
  'client.Prove.call': { phase: 'objects', endpoint: 'token' },
  'client.Prove.revoke': { phase: 'objects', endpoint: 'revocation' },
  'session.Mint.call': { phase: 'pod', endpoint: 'token' },
  'client.Update.call': { phase: 'rotation', endpoint: 'update' },
  'session.Revoke.call': { phase: 'podEnd', endpoint: 'revocation' },
  'client.Deregister.call': { phase: 'poolEnd', endpoint: 'delete' },
} as const satisfies Partial<Record<EffectName, { readonly phase: Phase; readonly endpoint: Endpoint }>>;

/** The program, started again whenever it was killed. That it ends in any other way is none of the story and fails it. */
class Program {
  readonly #lab: Lab;
  readonly #all: OperatorProcess[];
  #now: OperatorProcess;
  #deaths = 0;
  #surprise: Error | undefined;
  #over = false;

  constructor(lab: Lab, all: OperatorProcess[], crashAt: string | undefined) {
    this.#lab = lab;
    this.#all = all;
    this.#now = this.#start(crashAt);
  }

  /** How often it was killed; throws when it ended in another way. */
  get died(): number {
    if (this.#surprise !== undefined) throw this.#surprise;
    return this.#deaths;
  }

  log(): string {
    return this.#now.log();
  }

  /** Of its last process, as text. */
  async metrics(): Promise<string> {
    return (await page(this.#now, '/metrics')).text;
  }

  /** Every effect that its last process ran so far. */
  async effects(): Promise<readonly string[]> {
    const text = await this.metrics();
    return [...text.matchAll(/^ci_identity_effect_seconds_count\{operation="([^"]+)"/gm)].map(([, name = '']) => name);
  }

  /** In good order; throws when it takes longer than it may. */
  async stop(): Promise<void> {
    this.#over = true;
    const late = new Promise<'late'>((resolve) => void setTimeout(resolve, 25_000, 'late').unref());
    if ((await Promise.race([this.#now.stop(), late])) !== 'late') return;
    await this.#now.stop('SIGKILL');
    throw new Error(`the program did not end within 25 s of SIGTERM\n${this.log().slice(-3_000)}`);
  }

  #start(crashAt?: string): OperatorProcess {
    const started = this.#lab.operator(crashAt === undefined ? {} : { crashAt });
    this.#all.push(started);
    void started.exited.then((end) => (this.#over ? undefined : this.#ended(end)));
    return started;
  }

  async #ended({ code, signal }: Awaited<OperatorProcess['exited']>): Promise<void> {
    if (signal === 'SIGKILL') this.#deaths += 1;
    else this.#surprise ??= new Error(`the program ended with code ${code}, signal ${signal}`);
    try {
      await this.#release();
      if (!this.#over) this.#now = this.#start();
    } catch (error) {
      this.#surprise ??= error as Error;
    }
  }

  /** Nobody waits for the dead one's lease to run out; its epoch stays. */
  async #release(): Promise<void> {
    const lease = ['-n', 'ci-identity-system', 'lease', 'ci-identity-controller'];
    const free = JSON.stringify({ spec: { holderIdentity: null } });
    await this.#lab.kubectl(['patch', ...lease, '--type=merge', '-p', free]);
  }
}

interface Rotated {
  readonly status?: { readonly credential?: { readonly generation?: number } };
}

export class Stage {
  readonly lab: Lab;
  readonly auditor: Auditor;
  /** Every effect that any story came by. */
  readonly reached = new Set<string>();
  readonly #api: Api;
  readonly #processes: OperatorProcess[] = [];
  readonly #programs: Program[] = [];
  /** The provider fails for as long as this phase of the story lasts. */
  #away = false;

  constructor(lab: Lab) {
    this.lab = lab;
    this.#api = openApi(lab.cluster.kubeconfig, { connections: 4 });
    this.auditor = new Auditor({
      get: (path) => this.get(path),
      provider: lab.provider,
      auditStreams: () => this.#processes.map((process) => process.audit()),
      logs: () => this.#processes.map((process) => process.log()),
      away: () => this.#away,
    });
  }

  /** Every line of every process in order of their starts. */
  auditText(): string {
    return this.#processes.map((process) => process.audit()).join('');
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    await this.#api.close();
  }

  /** Resolves when the auditor finds nothing to say; throws with what it said last. */
  async sound(when: string, lostProbes = 0): Promise<void> {
    await eventually(
      `all is well: ${when}`,
      async () => {
        const broken = await this.auditor.findings(lostProbes);
        if (broken.length > 0) throw new Error(broken.join('; '));
        return true;
      },
      { timeoutMs: 90_000, everyMs: 150 },
    );
  }

  async get(path: string): Promise<unknown> {
    const { status, text } = await this.#api.send('GET', path);
    if (status !== 200) throw new Error(`${path}: ${status}`);
    return JSON.parse(text);
  }

  program(crashAt?: string): Program {
    const program = new Program(this.lab, this.#processes, crashAt);
    this.#programs.push(program);
    return program;
  }

  /** Pool, policy and identity of that name. */
  async apply(name: string): Promise<void> {
    await this.lab.apply(
      pool(name, this.lab.provider.issuer),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name], limits: { sessionsPerHour: 1_000 } }),
    );
  }

  pod(name: string): Promise<Pod> {
    return createPod(this.lab, `${name}-x7k2p-q0b4t-m1wz9`, [name]);
  }

  async endOf(pod: Pod): Promise<void> {
    await this.lab.kubectlAsJenkins(['delete', 'pod', '-n', pod.namespace, pod.name, '--now', '--wait=false']);
  }

  async rotate(name: string): Promise<void> {
    await this.lab.kubectl(['annotate', 'identitypool', name, 'ci-identity.dev/rotate=now']);
    await eventually(
      `${name} has rotated`,
      async () => {
        const raw = await this.get(`/apis/ci-identity.dev/v1alpha1/identitypools/${name}`);
        return (raw as Rotated).status?.credential?.generation === 2 ? true : undefined;
      },
      { timeoutMs: 90_000 },
    );
  }

  /** Resolves when the pod's token was replaced and the provider was asked about the old one. */
  async #renewed(pod: Pod): Promise<void> {
    await eventually(
      `the token of ${pod.name} is renewed`,
      () => {
        const lines = auditOf({ audit: () => this.auditText() }).filter((line) => line.pod?.uid === pod.uid);
        const minted = lines.findIndex(({ event }) => event === 'Renewed');
        return minted >= 0 && lines.slice(minted).some(({ event }) => event === 'Delivered') ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
  }

  async remove(name: string): Promise<void> {
    const all = ['ciidentity', 'scopepolicy', 'identitypool'].map((kind) => `${kind}/${name}`);
    await this.lab.kubectl(['delete', '--wait=false', '-n', team, ...all]);
  }

  /** Tells the whole story and looks after every phase; resolves with the number of deaths. Throws with everything that is broken. */
  async tell({
    name,
    crashAt,
    troubles = [],
    rotates = false,
    renews = false,
    lostProbes = 0,
    settings = {},
  }: Story): Promise<number> {
    const { lab, auditor } = this;
    const { provider } = lab;
    const usual = { ...provider.settings };
    Object.assign(provider.settings, settings);
    const enter = (phase: Phase): void => {
      provider.faults.clear();
      const here = troubles.filter((trouble) => trouble.phase === phase);
      this.#away = here.some(({ fault }) => fault !== undefined && fault.times === undefined);
      for (const { fault, tokenLifetime } of here) {
        if (fault !== undefined) provider.faults.add(fault);
        if (tokenLifetime !== undefined) provider.settings.tokenTtl = tokenLifetime;
      }
    };
    const sound = (when: string): Promise<void> => this.sound(`${name}, ${when}`, lostProbes);
    enter('objects');
    await this.apply(name);
    const owner = await lab.kubectl(['get', 'identitypool', name, '-o', 'jsonpath={.metadata.uid}']);
    const program = this.program(crashAt === undefined ? undefined : `${crashAt.effect}:${crashAt.moment}`);
    try {
      await sound('registration');
      enter('pod');
      const pod = await this.pod(name);
      await sound('the first token');
      if (renews) {
        await this.#renewed(pod);
        await sound('the renewal');
      }
      if (rotates) {
        enter('rotation');
        await this.rotate(name);
        await sound('the rotation');
      }
      enter('podEnd');
      await this.endOf(pod);
      await sound('the end of the pod');
      enter('poolEnd');
      await this.remove(name);
      await sound('the end of the pool');
      const left = auditor.clientsOf(owner);
      if (left > auditor.admittedOrphans(owner)) throw new Error(`${left} clients are left at the provider`);
      if (lostProbes > 0) await auditor.pardonProbes();
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${program.log().slice(-3_000)}`, { cause: error });
    } finally {
      for (const effect of await program.effects().catch(() => [])) this.reached.add(effect);
      await program.stop();
      provider.faults.clear();
      Object.assign(provider.settings, usual);
    }
    if (crashAt !== undefined && program.died > 0) this.reached.add(crashAt.effect);
    return program.died;
  }
}
