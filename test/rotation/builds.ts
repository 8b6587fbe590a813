/** Agent pods at a steady rate, as Jenkins creates them, each with a look at its token again and again while its build runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { auditOf, team } from '#test/api/operator-lab.ts';
import { type Api, expectStatus, openApi } from '#test/bench/api.ts';
import type { Programs } from '#test/kill/program.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import type { ProviderAccount } from './provider-view.ts';

export interface BuildsOptions {
  readonly programs: Programs;
  readonly view: Pick<ProviderAccount, 'honours'>;
  /** Of the pool and of the identity. */
  readonly name: string;
  /** Milliseconds from one pod to the next. */
  readonly every: number;
  /** Milliseconds that a build runs. */
  readonly life: number;
}

export interface BuildsReport {
  readonly builds: number;
  /** Builds that had no token that the provider honours, and how that showed. */
  readonly unserved: readonly string[];
  /** Looks at the token of a running build. */
  readonly looks: number;
  /** Milliseconds from the creation of a pod to its first token, at most. */
  readonly slowest: number;
  /** Builds by the generation of the credential that minted their first token. */
  readonly byGeneration: Readonly<Record<string, number>>;
  /** Builds per second of what was wanted. */
  readonly rate: number;
}

interface Build {
  readonly pod: string;
  readonly uid: string;
  readonly created: number;
  firstAt?: number;
  over?: true;
}

/** A build whose file is empty for so long is one without a token. */
const patience = 20_000;
const lookEvery = 200;

export class Builds {
  readonly #o: BuildsOptions;
  readonly #jenkins: Api;
  readonly #over = new AbortController();
  readonly #began = performance.now();
  readonly #all: Build[] = [];
  readonly #unserved = new Map<string, string>();
  readonly #work: readonly Promise<void>[];
  #looks = 0;

  constructor(options: BuildsOptions) {
    this.#o = options;
    this.#jenkins = openApi(options.programs.lab.jenkinsKubeconfig, { connections: 2 });
    this.#work = [this.#create(), this.#look()];
  }

  /** Resolves when so many more builds have a token that {@link assertServed} is content with the credential that mints now. */
  async enough(): Promise<void> {
    const before = this.#all.length;
    await eventually(
      `${leastOfEach} more builds of ${this.#o.name} have a token`,
      () => {
        const served = this.#all.slice(before).filter(({ firstAt }) => firstAt !== undefined);
        return served.length >= leastOfEach ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
  }

  /** No more pods; resolves when every build that began had its token, or is told as one without. */
  async stop(): Promise<BuildsReport> {
    const { every, programs } = this.#o;
    this.#over.abort();
    await Promise.all(this.#work);
    const wanted = (performance.now() - this.#began) / every;
    const rate = this.#all.length / wanted;
    while (this.#all.some((build) => build.firstAt === undefined && !this.#unserved.has(build.pod))) {
      await this.#lookAtAll();
      await sleep(lookEvery);
    }
    await Promise.all(this.#all.map((build) => this.#end(build)));
    await this.#jenkins.close();
    return {
      builds: this.#all.length,
      unserved: [...this.#unserved].map(([pod, how]) => `${pod}: ${how}`),
      looks: this.#looks,
      slowest: Math.max(0, ...this.#all.map(({ created, firstAt }) => (firstAt ?? created) - created)),
      byGeneration: this.#byGeneration(programs.auditText()),
      rate,
    };
  }

  async #create(): Promise<void> {
    const { name, every, life } = this.#o;
    const labels = { [`identity/${name}`]: 'yes' };
    for (let next = performance.now(); !this.#over.signal.aborted; next += every) {
      const pod = `${name}-build-${this.#all.length + 1}-x7k2p-q0b4t-m1wz9`;
      const created = performance.now();
      const answer = await this.#jenkins.send('POST', podsPath, agentPod({ name: pod, labels }));
      const { metadata } = JSON.parse(expectStatus(pod, answer, 201)) as { metadata: { uid: string } };
      this.#all.push({ pod, uid: metadata.uid, created });
      const old = this.#all.filter((build) => build.over !== true && created - (build.firstAt ?? created) > life);
      await Promise.all(old.map((build) => this.#end(build)));
      await pause(next + every - performance.now(), this.#over.signal);
    }
  }

  async #end(build: Build): Promise<void> {
    if (build.over === true) return;
    build.over = true;
    const path = `${podsPath}/${build.pod}?gracePeriodSeconds=0`;
    expectStatus(build.pod, await this.#jenkins.send('DELETE', path), 200);
  }

  async #look(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#lookAtAll();
      await pause(lookEvery, this.#over.signal);
    }
  }

  async #lookAtAll(): Promise<void> {
    const running = this.#all.filter(({ over }) => over !== true);
    await Promise.all(
      running.map(async (build) => {
        const how = await this.#without(build);
        if (how !== undefined && build.over !== true) this.#unserved.set(build.pod, how);
      }),
    );
  }

  /** How the build is without a token now; `undefined`: it has one, or the pod is young. */
  async #without(build: Build): Promise<string | undefined> {
    const age = performance.now() - build.created;
    const token = await this.#token(build);
    this.#looks += 1;
    if (token === undefined) {
      if (build.firstAt !== undefined) return 'its token is gone from the file';
      return age > patience ? `no token within ${patience / 1_000} s` : undefined;
    }
    build.firstAt ??= performance.now();
    if (await this.#o.view.honours(token)) return undefined;
    // Between the two looks a newer one may have taken its place.
    return (await this.#token(build)) === token
      ? `the provider does not honour its token, ${age.toFixed(0)} ms after the pod`
      : undefined;
  }

  async #token({ pod }: Build): Promise<string | undefined> {
    const path = `/api/v1/namespaces/${team}/secrets/ci-identity-${this.#o.name}.${pod}`;
    const found = (await this.#o.programs.find(path)) as
      { readonly data?: Readonly<Record<string, string>> } | undefined;
    const encoded = found?.data?.['token'];
    return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8');
  }

  #byGeneration(audit: string): Readonly<Record<string, number>> {
    const uids = new Set(this.#all.map(({ uid }) => uid));
    const seen = new Set<string>();
    const counts: Record<string, number> = {};
    for (const { event, pod, generation } of auditOf({ audit: () => audit })) {
      if (event !== 'Minted' || pod === undefined || !uids.has(pod.uid) || seen.has(pod.uid)) continue;
      seen.add(pod.uid);
      counts[String(generation)] = (counts[String(generation)] ?? 0) + 1;
    }
    return counts;
  }
}

const podsPath = `/api/v1/namespaces/${team}/pods`;

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
}

/** So many of the wanted pods have to come about: an API server that is busy with other things holds the rest up. */
const leastRate = 0.5;
/** Milliseconds to a build's first token: ten times what it takes, because machines are busy. */
const latestFirst = 15_000;
/** With fewer builds before or after the switch nothing is shown about it. */
const leastOfEach = 3;

/** No build was without a token, and there were enough of them, with the old credential and with the new one. */
export function assertServed(
  t: {
    log(line: string): void;
    deepEqual(a: unknown, b: unknown): unknown;
    true(holds: boolean, why?: string): unknown;
  },
  what: string,
  { builds, unserved, looks, slowest, byGeneration, rate }: BuildsReport,
  generations: readonly number[],
  latest: number = latestFirst,
): void {
  t.log(
    `${what}: ${builds} builds, ${unserved.length} without a token, ${looks} looks, first token after ${slowest.toFixed(0)} ms at most, by generation ${JSON.stringify(byGeneration)}`,
  );
  t.deepEqual(unserved, []);
  t.true(slowest <= latest, `a build had its first token only after ${slowest.toFixed(0)} ms`);
  t.true(rate >= leastRate, `only ${(rate * 100).toFixed(0)} % of the wanted pods came about`);
  for (const n of generations)
    t.true((byGeneration[n] ?? 0) >= leastOfEach, `only ${byGeneration[n] ?? 0} builds began with generation ${n}`);
}
