/** One pool with a running build, rotated again and again while the program dies; and what has to be true after each time. */
import type { Condition } from '#src/api/meta.ts';
import {
  type Pod,
  auditOf,
  createPod,
  identity,
  identityReady,
  policy,
  pool,
  registry,
  sessions,
  sha256,
} from '#test/api/operator-lab.ts';
import type { Programs } from '#test/kill/program.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Load, type LoadOptions, startLoad } from './load.ts';
import type { ClientAtProvider, ProviderAccount } from './provider-view.ts';

export interface Generation {
  readonly n: number;
  readonly state: string;
  readonly clientId?: string;
  readonly credential: { readonly kid?: string };
}

export interface ClientRecord {
  readonly pool: { readonly name: string };
  readonly variant: string;
  readonly intent?: { readonly call: string };
  readonly generations: readonly Generation[];
  readonly possibleOrphans?: number;
  readonly emergency?: number;
  readonly revoking?: unknown;
  readonly observed?: unknown;
}

interface Status {
  readonly requests?: readonly Request[];
  readonly conditions?: readonly Condition[];
}

interface Request {
  readonly kind: string;
  readonly id: string;
  readonly outcome: string;
  readonly message?: string;
}

/** At the provider, while an old credential and a new one overlap; one more for the length of one crash recovery. */
const mostLive = 3;

export interface RotationsOptions {
  readonly programs: Programs;
  readonly view: ProviderAccount;
  /** Of the pool and everything around it. */
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** Of the pool's tokens; default `1m`. */
  readonly maxTokenLifetime?: string;
  /** How the load asks for a token; default by RFC 8707 and RFC 7523. */
  readonly asks?: Pick<LoadOptions, 'parameters' | 'assertionAudience'>;
}

/** Milliseconds from one token request of the load to the next. */
export const requestEvery = 100;

const byTheRfcs = {
  parameters: { scope: 'artifacts:publish', resource: registry },
  assertionAudience: 'Issuer',
} as const;

export interface SettledOptions {
  /** Default: four minutes. */
  readonly timeoutMs?: number;
  /** From one look to the next; default 60. */
  readonly everyMs?: number;
  /** Default: `No`. */
  readonly losesSecret?: 'Yes' | 'Perhaps' | 'No';
}

interface Begun extends RotationsOptions {
  readonly owner: string;
  readonly pod: Pod;
  readonly load: Load;
}

export class Rotations {
  readonly #o: Begun;
  /** The client is an administrator's: nobody looks at it or changes its keys but him. */
  readonly #isTheirs: boolean;
  #requests = 0;
  /** Clients that a lost answer left behind and that the record admits. */
  #orphans = 0;

  private constructor(options: Begun) {
    this.#o = options;
    const { client } = options.spec as { readonly client?: { readonly existing?: unknown } };
    this.#isTheirs = client?.existing !== undefined;
  }

  /** Registers the pool's client and starts a build and a load of token requests. The program runs. */
  static async begin(options: RotationsOptions): Promise<Rotations> {
    const { programs, name, spec, maxTokenLifetime = '1m', asks = byTheRfcs } = options;
    const { lab } = programs;
    const ceiling = { scopes: ['artifacts:publish'], audiences: [registry], maxTokenLifetime };
    await lab.apply(
      pool(name, lab.provider.issuer, { ceiling, ...spec }),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name] }),
    );
    await eventually(`${name} is ready`, () => identityReady(lab, name), { timeoutMs: 60_000 });
    const pod = await createPod(lab, `${name}-x7k2p-q0b4t-m1wz9`, [name]);
    const owner = await lab.kubectl(['get', 'identitypool', name, '-o', 'jsonpath={.metadata.uid}']);
    const load = startLoad({
      kubeconfig: lab.cluster.kubeconfig,
      issuer: lab.provider.issuer,
      caPem: lab.provider.caPem,
      pool: name,
      ...asks,
      every: requestEvery,
    });
    await load.started.catch(async (error: unknown) => {
      const { failed } = await load.stop();
      throw new Error(`no token came: ${failed.slice(0, 3).join('; ')}`, { cause: error });
    });
    const rotations = new Rotations({ ...options, owner, pod, load });
    await rotations.#token();
    // The first look at a new client is none of the rotation.
    await eventually(`the client of ${name} was looked at`, async () =>
      rotations.#isTheirs || (await rotations.record()).observed !== undefined ? true : undefined,
    );
    return rotations;
  }

  stop(): ReturnType<Load['stop']> {
    return this.#o.load.stop();
  }

  kill(): void {
    this.#o.load.kill();
  }

  async record(): Promise<ClientRecord> {
    const { items } = (await this.#o.programs.get(
      '/api/v1/namespaces/ci-identity-system/secrets?labelSelector=ci-identity.dev%2Fkind%3Dclient',
    )) as { readonly items: readonly { readonly data: Readonly<Record<string, string>> }[] };
    const records = items.map(
      ({ data }) => JSON.parse(Buffer.from(data['record.json'] ?? '', 'base64').toString('utf8')) as ClientRecord,
    );
    const found = records.find((record) => record.pool.name === this.#o.name);
    if (found === undefined) throw new Error(`pool ${this.#o.name} has no client record`);
    return found;
  }

  /** Asks for a rotation; with `emergency` also that everything from before is revoked, so that the old credential goes at once. */
  async ask(emergency: boolean): Promise<string> {
    const { name, programs } = this.#o;
    const id = `${name}-${(this.#requests += 1)}`;
    const asked = [`ci-identity.dev/rotate=${id}`, ...(emergency ? [`ci-identity.dev/revoke=${id}`] : [])];
    await programs.lab.kubectl(['annotate', '--overwrite', 'identitypool', name, ...asked]);
    return id;
  }

  /**
   * Waits until nothing is left to do, and looks at the provider all the while. Throws with what is not as it has to be. `id`: of the request,
   * if one is to be told as done. `losesSecret`: with the answer to a registration; then it does once what the pool says that a person can do.
   */
  async settled(
    before: number,
    id: string | undefined,
    { timeoutMs = 240_000, everyMs = 60, losesSecret = 'No' }: SettledOptions = {},
  ): Promise<void> {
    let [keys, clients, unserved] = [0, 0, 0];
    let [wanted, mayAskAgain] = [id, losesSecret !== 'No'];
    await eventually(
      `rotation ${id ?? ''} has come to its end`,
      async () => {
        const record = await this.record();
        this.#orphans = Math.max(this.#orphans, record.possibleOrphans ?? 0);
        const there = await this.#clients();
        keys = Math.max(keys, ...there.map(({ kids }) => kids.length));
        clients = Math.max(clients, there.length - this.#orphans);
        if (await this.#isUnserved()) unserved += 1;
        if (mayAskAgain && record.intent?.call === 'Register' && (await this.#waitsForPerson())) {
          wanted = await this.ask(true);
          mayAskAgain = false;
        }
        const unsaid = wanted === undefined ? [] : await this.#unsaid(wanted);
        const broken = [...this.#broken(record, there, before), ...unsaid];
        if (broken.length > 0) throw new Error(broken.join('; '));
        return true;
      },
      { timeoutMs, everyMs },
    );
    if (keys > mostLive) throw new Error(`the provider had ${keys} keys of one client at once`);
    if (clients > mostLive) throw new Error(`the provider had ${clients} clients of one pool at once`);
    if (unserved > 0) throw new Error(`${unserved} times the file of the build held a token that was not honoured`);
    if (losesSecret === 'Yes' && mayAskAgain) throw new Error('nobody had to ask again although the secret was lost');
    await this.#token();
  }

  async #waitsForPerson(): Promise<boolean> {
    const { conditions = [] } = await this.#status();
    return conditions.some(({ type, message }) => type === 'CredentialCurrent' && /make a new request/.test(message));
  }

  /** Twice the same token that the provider does not honour: it did not just give way to another one. */
  async #isUnserved(): Promise<boolean> {
    const { token = '' } = await this.#files();
    return !(await this.#o.view.honours(token)) && (await this.#files())['token'] === token;
  }

  async #files(): Promise<Readonly<Record<string, string>>> {
    const { pod, name, programs } = this.#o;
    const secret = `/api/v1/namespaces/${pod.namespace}/secrets/ci-identity-${name}.${pod.name}`;
    const { data = {} } = (await programs.get(secret)) as { readonly data?: Readonly<Record<string, string>> };
    const decoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]);
    return Object.fromEntries(decoded) as Record<string, string>;
  }

  async #status(): Promise<Status> {
    const path = `/apis/ci-identity.dev/v1alpha1/identitypools/${this.#o.name}`;
    return ((await this.#o.programs.get(path)) as { readonly status?: Status }).status ?? {};
  }

  #clients(): Promise<readonly ClientAtProvider[]> {
    return this.#o.view.clients({ name: this.#o.name, uid: this.#o.owner });
  }

  #broken(record: ClientRecord, there: readonly ClientAtProvider[], before: number): readonly string[] {
    const { generations, intent, emergency, revoking, observed } = record;
    const [only, ...others] = generations;
    const broken: string[] = [];
    if (only?.state !== 'Current' || others.length > 0)
      broken.push(`generations are ${generations.map(({ n, state }) => `${n} ${state}`).join(', ')}`);
    if ((only?.n ?? 0) <= before) broken.push(`generation ${only?.n ?? 0} is not a new one`);
    if (intent !== undefined) broken.push(`an open ${intent.call}`);
    if (emergency !== undefined || revoking !== undefined) broken.push('the emergency goes on');
    if (there.length > 1 + this.#orphans)
      broken.push(`the provider keeps ${there.length} clients, admitted are ${this.#orphans} orphans`);
    const own = there.find(({ clientId }) => clientId === only?.clientId);
    if (own === undefined) broken.push('the provider does not know the client');
    const kid = only?.credential.kid;
    if (this.#isTheirs) {
      if (kid !== undefined && own?.kids.at(-1) !== kid) broken.push("the administrator's newest key is not in use");
      return broken;
    }
    if (observed === undefined) broken.push('the client was not looked at yet');
    if (kid !== undefined && own?.kids.join() !== kid)
      broken.push(`the provider has keys ${own?.kids.join()} instead of ${kid}`);
    return broken;
  }

  /** Waits until every call that changed something at the provider has its audit line. Whatever dies or is lost: there is one at least. */
  async told(): Promise<void> {
    const record = await this.record();
    await eventually('every change at the provider has its audit line', () => {
      const missing = this.#untold(record);
      if (missing.length > 0) throw new Error(`no audit line says ${missing.join('; ')}`);
      return true;
    });
  }

  #untold({ variant, generations: [only] }: ClientRecord): readonly string[] {
    if (this.#isTheirs || only === undefined) return [];
    const said = auditOf({ audit: () => this.#o.programs.auditText() }).filter(
      ({ pool: of, event, outcome }) =>
        of === this.#o.name && !(/^(Registered|Updated)$/.test(event) && outcome === 'Failure'),
    );
    const has = (what: Readonly<Record<string, unknown>>, ...events: readonly string[]): boolean =>
      said.some((line) => events.includes(line.event) && Object.entries(what).every(([key, is]) => line[key] === is));
    const { n: generation, clientId: client_id } = only;
    const missing: string[] = [];
    if (!has({ generation, client_id }, 'Registered', 'Updated'))
      missing.push(`since when generation ${generation} is known`);
    const registered = new Set(said.flatMap((line) => (line.event === 'Registered' ? [line['client_id']] : [])));
    const left = [...registered].filter((of) => of !== client_id && !has({ client_id: of }, 'Deregistered'));
    if (left.length > this.#orphans) missing.push(`that clients ${left.join(', ')} were deleted`);
    for (const { event, generation: n } of said)
      if (event === 'Retired' && variant === 'TwoKeys' && !has({ generation: n }, 'Updated'))
        missing.push(`that generation ${String(n)} was taken out`);
    return missing;
  }

  async #unsaid(id: string): Promise<readonly string[]> {
    const { requests = [], conditions = [] } = await this.#status();
    const open = requests.filter((request) => request.id === id && request.outcome !== 'Done');
    const bad = conditions.filter(({ type, status }) => type === 'CredentialCurrent' && status !== 'True');
    const seen = requests.some((request) => request.id === id) ? [] : ['status does not tell of the request'];
    return [
      ...seen,
      ...open.map((request) => `${request.kind} ${request.outcome}: ${request.message ?? ''}`),
      ...bad.map(({ message }) => message),
    ];
  }

  /** The build's file holds a token that the provider honours. Between reading it and asking, a newer one may take its place. */
  async #token(): Promise<void> {
    await eventually(
      'the token of the build is honoured',
      async () => {
        const files = await this.#files();
        if (await this.#o.view.honours(files['token'] ?? '')) return true;
        throw new Error(await this.#whyNot(files));
      },
      { timeoutMs: 30_000 },
    );
  }

  /** What the file and the record say of a build without a token; nothing of it is secret in a test. */
  async #whyNot({ token, ...others }: Readonly<Record<string, string>>): Promise<string> {
    const { programs, pod } = this.#o;
    const held = (await sessions(programs.lab)).find((session) => session.pod.uid === pod.uid)?.tokens ?? [];
    const digest = sha256(token ?? '');
    return JSON.stringify({
      now: Date.now(),
      file: token === undefined ? others : digest.slice(0, 8),
      record: held.map((one) => ({ sha256: one.sha256.slice(0, 8), end: one.end, exp: one.exp })),
    });
  }
}
