/** One pool with a running build, rotated again and again while the program dies; and what has to be true after each time. */
import { createHash } from 'node:crypto';
import type { EffectName } from '#src/controllers/effect-names.ts';
import {
  type Pod,
  createPod,
  deliveryOf,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  registry,
  sessions,
  statusOf,
} from '#test/api/operator-lab.ts';
import type { Stage } from '#test/kill/story.ts';
import { eventually } from '#test/support/eventually.ts';
import type { Lab } from '#test/support/lab.ts';
import { type Load, startLoad } from './load.ts';

export interface Generation {
  readonly n: number;
  readonly state: string;
  readonly clientId?: string;
  readonly credential: { readonly kid?: string };
}

export interface ClientRecord {
  readonly pool: { readonly name: string };
  readonly intent?: { readonly call: string };
  readonly generations: readonly Generation[];
  readonly possibleOrphans?: number;
  readonly emergency?: number;
  readonly revoking?: unknown;
  readonly observed?: unknown;
}

interface Request {
  readonly kind: string;
  readonly id: string;
  readonly outcome: string;
  readonly message?: string;
}

export type Program = ReturnType<Stage['program']>;

/** At the provider, while an old credential and a new one overlap; one more for the length of one crash recovery. */
const mostKeys = 3;

export class Rotations {
  readonly stage: Stage;
  readonly #lab: Lab;
  readonly #pool: string;
  readonly #owner: string;
  readonly #pod: Pod;
  readonly #load: Load;
  #requests = 0;
  /** Clients that a lost answer left behind and that the record admits. */
  #orphans = 0;

  private constructor(stage: Stage, lab: Lab, name: string, owner: string, pod: Pod, load: Load) {
    this.stage = stage;
    this.#lab = lab;
    this.#pool = name;
    this.#owner = owner;
    this.#pod = pod;
    this.#load = load;
  }

  /** Registers the pool's client and starts a build and a load of token requests. `program` runs. */
  static async begin(
    stage: Stage,
    lab: Lab,
    name: string,
    spec: Readonly<Record<string, unknown>>,
  ): Promise<Rotations> {
    const ceiling = { scopes: ['artifacts:publish'], audiences: [registry], maxTokenLifetime: '1m' };
    await lab.apply(
      pool(name, lab.provider.issuer, { ceiling, ...spec }),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name] }),
    );
    await identityReady(lab, name);
    const pod = await createPod(lab, `${name}-x7k2p-q0b4t-m1wz9`, [name]);
    const owner = await lab.kubectl(['get', 'identitypool', name, '-o', 'jsonpath={.metadata.uid}']);
    const load = startLoad({
      kubeconfig: lab.cluster.kubeconfig,
      issuer: lab.provider.issuer,
      caPem: lab.provider.caPem,
      pool: name,
      parameters: { scope: 'artifacts:publish', resource: registry },
      assertionAudience: 'Issuer',
      every: 100,
    });
    await load.started.catch(async (error: unknown) => {
      const { failed } = await load.stop();
      throw new Error(`no token came: ${failed.slice(0, 3).join('; ')}`, { cause: error });
    });
    const rotations = new Rotations(stage, lab, name, owner, pod, load);
    await rotations.#token();
    // The first look at a new client is none of the rotation.
    await eventually(`the client of ${name} was looked at`, async () =>
      (await rotations.record()).observed === undefined ? undefined : true,
    );
    return rotations;
  }

  stop(): ReturnType<Load['stop']> {
    return this.#load.stop();
  }

  kill(): void {
    this.#load.kill();
  }

  async record(): Promise<ClientRecord> {
    const { items } = (await this.stage.get(
      '/api/v1/namespaces/ci-identity-system/secrets?labelSelector=ci-identity.dev%2Fkind%3Dclient',
    )) as { readonly items: readonly { readonly data: Readonly<Record<string, string>> }[] };
    const records = items.map(
      ({ data }) => JSON.parse(Buffer.from(data['record.json'] ?? '', 'base64').toString('utf8')) as ClientRecord,
    );
    const found = records.find((record) => record.pool.name === this.#pool);
    if (found === undefined) throw new Error(`pool ${this.#pool} has no client record`);
    return found;
  }

  /** Asks for a rotation; with `emergency` also that everything from before is revoked, so that the old credential goes at once. */
  async ask(emergency: boolean): Promise<string> {
    const id = `${this.#pool}-${(this.#requests += 1)}`;
    const revoke = emergency ? [`ci-identity.dev/revoke=${id}`] : [];
    await this.#lab.kubectl([
      'annotate',
      '--overwrite',
      'identitypool',
      this.#pool,
      `ci-identity.dev/rotate=${id}`,
      ...revoke,
    ]);
    return id;
  }

  /** Waits until nothing is left to do, and looks at the provider all the while. Throws with what is not as it has to be. */
  async settled(before: number, id: string, timeoutMs = 240_000): Promise<void> {
    let [most, unserved] = [0, 0];
    await eventually(
      `rotation ${id} has come to its end`,
      async () => {
        const record = await this.record();
        most = Math.max(most, ...this.#clients().map(({ kids }) => kids.length));
        this.#orphans = Math.max(this.#orphans, record.possibleOrphans ?? 0);
        if (await this.#isUnserved()) unserved += 1;
        const broken = [...this.#broken(record, before), ...(await this.#unsaid(id))];
        if (broken.length > 0) throw new Error(broken.join('; '));
        return true;
      },
      { timeoutMs, everyMs: 60 },
    );
    if (most > mostKeys) throw new Error(`the provider had ${most} keys of one client at once`);
    if (unserved > 0) throw new Error(`${unserved} times the file of the build held a token that was not honoured`);
    await this.#token();
  }

  /** Twice the same token that the provider does not honour: it did not just give way to another one. */
  async #isUnserved(): Promise<boolean> {
    const first = await this.#file();
    return !isLive(this.#lab.provider, first) && (await this.#file()) === first;
  }

  async #file(): Promise<string> {
    const { namespace, name } = this.#pod;
    const secret = `/api/v1/namespaces/${namespace}/secrets/ci-identity-${this.#pool}.${name}`;
    const { data } = (await this.stage.get(secret)) as { readonly data?: Readonly<Record<string, string>> };
    return Buffer.from(data?.['token'] ?? '', 'base64').toString('utf8');
  }

  /** The answer to a registration was lost, and with it a secret: the pool says what a person can do. */
  async waitsForPerson(): Promise<void> {
    await eventually('the pool says that a request has to be made again', async () => {
      const { conditions = [] } = await statusOf(this.#lab, `identitypool/${this.#pool}`);
      const message = conditions.find(({ type }) => type === 'CredentialCurrent')?.message ?? '';
      return /make a new request/.test(message) ? true : undefined;
    });
  }

  #clients(): ReturnType<Lab['provider']['clients']> {
    return this.#lab.provider.clients().filter(({ softwareId }) => softwareId?.endsWith(`/${this.#owner}`) === true);
  }

  #broken(record: ClientRecord, before: number): readonly string[] {
    const { generations, intent, emergency, revoking, observed } = record;
    const [only, ...others] = generations;
    const broken: string[] = [];
    if (only?.state !== 'Current' || others.length > 0)
      broken.push(`generations are ${generations.map(({ n, state }) => `${n} ${state}`).join(', ')}`);
    if ((only?.n ?? 0) <= before) broken.push(`generation ${only?.n ?? 0} is not a new one`);
    if (intent !== undefined) broken.push(`an open ${intent.call}`);
    if (emergency !== undefined || revoking !== undefined) broken.push('the emergency goes on');
    if (observed === undefined) broken.push('the client was not looked at yet');
    const clients = this.#clients();
    if (clients.length > 1 + this.#orphans)
      broken.push(`the provider keeps ${clients.length} clients, admitted are ${this.#orphans} orphans`);
    const own = clients.find(({ clientId }) => clientId === only?.clientId);
    if (own === undefined) broken.push('the provider does not know the client');
    const kid = only?.credential.kid;
    if (kid !== undefined && own?.kids.join() !== kid)
      broken.push(`the provider has keys ${own?.kids.join()} instead of ${kid}`);
    return broken;
  }

  async #unsaid(id: string): Promise<readonly string[]> {
    const { requests = [], conditions = [] } = (await statusOf(this.#lab, `identitypool/${this.#pool}`)) as {
      readonly requests?: readonly Request[];
      readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
    };
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
    const { provider } = this.#lab;
    await eventually('the token of the build is honoured', async () => {
      const { files } = await deliveryOf(this.#lab, this.#pod, this.#pool);
      if (isLive(provider, files['token'] ?? '')) return true;
      throw new Error(await this.#whyNot(files));
    });
  }

  /** What the file, the record and the provider say of a build without a token; nothing of it is secret in a test. */
  async #whyNot({ token, ...others }: Readonly<Record<string, string>>): Promise<string> {
    const held = (await sessions(this.#lab)).find(({ pod }) => pod.uid === this.#pod.uid)?.tokens ?? [];
    const digest = createHash('sha256')
      .update(token ?? '')
      .digest('hex');
    const revoked = this.#lab.provider.revokedTokens().find(({ sha256 }) => sha256 === digest);
    const seen = this.#lab.provider.liveTokens().map(({ sha256 }) => sha256);
    return JSON.stringify({
      now: Date.now(),
      file: token === undefined ? others : digest.slice(0, 8),
      revokedAt: revoked?.at,
      record: held.map(({ sha256, end, exp }) => ({
        sha256: sha256.slice(0, 8),
        end,
        exp,
        honoured: seen.includes(sha256),
      })),
    });
  }
}

/** How often the process came by each effect of the client machine. */
export async function clientEffectsOf(metricsText: string): Promise<ReadonlyMap<EffectName, number>> {
  const pattern = /^ci_identity_effect_seconds_count\{operation="(client\.[^"]+)"[^}]*\} (\d+)/gm;
  const counts = new Map<EffectName, number>();
  for (const [, name, count] of metricsText.matchAll(pattern))
    counts.set(name as EffectName, (counts.get(name as EffectName) ?? 0) + Number(count));
  return counts;
}
