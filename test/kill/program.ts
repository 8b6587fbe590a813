import { type Api, openApi } from '#test/bench/api.ts';
import { page } from '#test/api/operator-lab.ts';
import type { Lab, LabProvider } from '#test/support/lab.ts';
import type { OperatorOptions, OperatorProcess } from '#test/support/operator-process.ts';

/** The program, started again whenever it was killed. That it ends in any other way is none of the story and fails it. */
export class Program {
  readonly #lab: Lab<LabProvider>;
  readonly #all: OperatorProcess[];
  readonly #more: Partial<OperatorOptions>;
  #now: OperatorProcess;
  #deaths = 0;
  #surprise: Error | undefined;
  #over = false;
  /** What is done about its last end. */
  #ending: Promise<void> = Promise.resolve();

  constructor(lab: Lab<LabProvider>, all: OperatorProcess[], more: Partial<OperatorOptions>) {
    this.#lab = lab;
    this.#all = all;
    const { crashAt, ...always } = more;
    this.#more = always;
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
    await this.#ending;
    const late = new Promise<'late'>((resolve) => void setTimeout(resolve, 25_000, 'late').unref());
    if ((await Promise.race([this.#now.stop(), late])) !== 'late') return;
    await this.#now.stop('SIGKILL');
    throw new Error(`the program did not end within 25 s of SIGTERM\n${this.log().slice(-3_000)}`);
  }

  #start(crashAt?: string): OperatorProcess {
    const started = this.#lab.operator({ ...this.#more, ...(crashAt === undefined ? {} : { crashAt }) });
    this.#all.push(started);
    void started.exited.then((end) => {
      if (!this.#over) this.#ending = this.#ended(end);
    });
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

/** The programs of one lab, one after the other, and a look at the API server that needs no kubectl. */
export class Programs<P extends LabProvider = LabProvider> {
  readonly lab: Lab<P>;
  protected readonly processes: OperatorProcess[] = [];
  readonly #api: Api;
  readonly #programs: Program[] = [];

  constructor(lab: Lab<P>) {
    this.lab = lab;
    this.#api = openApi(lab.cluster.kubeconfig, { connections: 4 });
  }

  program(crashAt?: string, more: Partial<OperatorOptions> = {}): Program {
    const program = new Program(this.lab, this.processes, { ...more, ...(crashAt === undefined ? {} : { crashAt }) });
    this.#programs.push(program);
    return program;
  }

  /** Every line of every process in order of their starts. */
  auditText(): string {
    return this.processes.map((process) => process.audit()).join('');
  }

  async get(path: string): Promise<unknown> {
    const found = await this.find(path);
    if (found === undefined) throw new Error(`${path}: 404`);
    return found;
  }

  /** `undefined`: there is no such object. */
  async find(path: string): Promise<unknown> {
    const { status, text } = await this.#api.send('GET', path);
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`${path}: ${status}`);
    return JSON.parse(text);
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    await this.#api.close();
  }
}
