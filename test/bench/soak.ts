import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '#test/support/eventually.ts';
import { Random } from '#test/support/random.ts';
import { type Bench, median, type Target, target } from './bench.ts';
import { tableOf, useOf } from './figures.ts';
import { openStage, type Serving, type Stage } from './stage.ts';

/** The operator at one moment. */
interface Sample {
  /** Seconds since the start. */
  readonly at: number;
  readonly pods: number;
  /** MiB. */
  readonly resident: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly deliveries: number;
  readonly records: number;
}

/** Seconds that a token lives: the shortest that is served without a warning is longer. */
const lifetime = 60;
const perSecond = 2;
/** Seconds; the churn is steady once the longest have ended. */
const shortestBuild = 20;
const longestBuild = 80;
/** What a build reads is so old, as if a kubelet had to notice first. */
const kubeletLag = 8_000;
const sampleEvery = 10_000;
/** After the last pod, the garbage collector of the cluster has so long. */
const cleanedWithin = 120_000;

interface Build {
  readonly pod: string;
  readonly until: number;
  readonly seen: { readonly at: number; readonly token: string }[];
}

/** What builds went through. */
interface Churn {
  readonly served: number;
  /** How often some build's file was looked at. */
  readonly checks: number;
  /** Builds that never got a token. */
  readonly starved: number;
  /** Looks at a Secret that held no token any more, and at a file whose token the provider did not honour. */
  readonly missing: number;
  readonly dead: number;
  /** Every token that was delivered. */
  readonly tokens: ReadonlySet<string>;
}

/** Builds come and go while their tokens live a minute, and everything that could grow is watched. */
export const soak: Bench = {
  name: 'soak',
  about: 'minutes of churn with tokens of 60 s: memory, descriptors and Secrets stay flat, no build is without a token',
  strict: true,
  async run(o) {
    const seed = o.seed ?? randomBytes(4).toString('hex');
    o.log(`soak --seed ${seed}`);
    const stage = await openStage({ log: o.log, parallel: o.parallel, lifetime });
    try {
      const serving = await stage.serve('operator');
      const samples: Sample[] = [];
      const length = (o.minutes ?? 30) * 60_000;
      const { tokens, ...churned } = await churn(stage, serving, new Random(seed), length, o.log, (sample) => {
        samples.push(sample);
        o.log(`soak ${JSON.stringify(sample)}`);
      });
      const left = await leftOver(stage);
      const alive = (await stage.provider.alive([...tokens])).length;
      await serving.stop();
      return {
        runs: [{ seed, ...churned, left, alive, samples }],
        targets: judge(churned, left, alive, samples),
        table: table(samples, churned),
      };
    } finally {
      await stage.stop();
    }
  },
};

function judge(
  { starved, missing, dead }: Omit<Churn, 'tokens'>,
  left: Awaited<ReturnType<Stage['secrets']>>,
  alive: number,
  samples: readonly Sample[],
): readonly Target[] {
  const growth = (name: 'descriptors' | 'sockets'): number => growthOf(samples.map((sample) => sample[name]));
  // Garbage comes and goes in waves of minutes; what is kept shows at their lowest.
  const kept = growthOf(
    samples.map(({ resident }) => resident),
    (values) => Math.min(...values),
  );
  return [
    target('builds that never got a token', starved, 'Exactly', 0),
    target('looks at a Secret that held no token any more', missing, 'Exactly', 0),
    target('looks at a token that the provider did not honour', dead, 'Exactly', 0),
    target('records and deliveries left after the last pod', left.records + left.deliveries, 'Exactly', 0),
    target('tokens alive after the last pod', alive, 'Exactly', 0),
    target('lowest resident memory, last third − middle third, MiB', kept, 'AtMost', 20),
    target('open descriptors, last − middle third', growth('descriptors'), 'AtMost', 5),
    target('sockets, last − middle third', growth('sockets'), 'AtMost', 5),
    target('records − pods, largest', Math.max(...samples.map((s) => s.records - s.pods)), 'AtMost', 20),
  ];
}

async function churn(
  stage: Stage,
  serving: Serving,
  random: Random,
  length: number,
  log: (line: string) => void,
  sampled: (sample: Sample) => void,
): Promise<Churn> {
  const started = Date.now();
  const builds = new Set<Build>();
  const tokens = new Set<string>();
  let [served, checks, starved, missing, dead] = [0, 0, 0, 0, 0];
  let nextSample = started + sampleEvery;
  const begin = async (seconds: number): Promise<void> => {
    try {
      const { name } = await stage.pod();
      builds.add({ pod: name, until: Date.now() + seconds * 1_000, seen: [] });
      served += 1;
    } catch (error) {
      starved += 1;
      log(`soak: ${String(error)}`);
    }
  };
  const births: Promise<void>[] = [];
  while (Date.now() < started + length) {
    for (let n = 0; n < perSecond; n += 1)
      births.push(begin(shortestBuild + random.next() * (longestBuild - shortestBuild)));
    const now = Date.now();
    for (const build of builds) {
      if (build.until > now) continue;
      builds.delete(build);
      await stage.deletePod(build.pod);
    }
    const held = [...builds].map((build) => {
      const token = stage.tokens.get(build.pod);
      if (token === undefined) return undefined;
      tokens.add(token);
      if (build.seen.at(-1)?.token !== token) build.seen.push({ at: now, token });
      return fileOf(build, now);
    });
    const alive = new Set(await stage.provider.alive(held.filter((token) => token !== undefined)));
    checks += held.length;
    missing += held.filter((token) => token === undefined).length;
    dead += held.filter((token) => token !== undefined && !alive.has(token)).length;
    if (now >= nextSample) {
      nextSample += sampleEvery;
      sampled({
        at: Math.round((now - started) / 1_000),
        pods: builds.size,
        resident: useOf(serving.pid).resident,
        ...openFiles(serving.pid),
        ...(await stage.secrets()),
      });
    }
    await sleep(Math.max(0, now + 1_000 - Date.now()));
  }
  await Promise.all(births);
  for (const { pod } of builds) await stage.deletePod(pod);
  return { served, checks, starved, missing, dead, tokens };
}

/** What is still there once there was time enough: records go by the operator, deliveries by the cluster's garbage collector. */
async function leftOver(stage: Stage): Promise<Awaited<ReturnType<Stage['secrets']>>> {
  const until = Date.now() + cleanedWithin;
  return eventually(
    'nothing is left',
    async () => {
      const left = await stage.secrets();
      return left.records + left.deliveries === 0 || Date.now() >= until ? left : undefined;
    },
    { timeoutMs: 2 * cleanedWithin, everyMs: 1_000 },
  );
}

/** What the container reads: the newest token that the kubelet had time to notice, or else its first. */
function fileOf({ seen }: Build, now: number): string | undefined {
  return (seen.findLast(({ at }) => at <= now - kubeletLag) ?? seen[0])?.token;
}

function openFiles(pid: number): { readonly descriptors: number; readonly sockets: number } {
  const targets = readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
  return { descriptors: targets.length, sockets: targets.filter((name) => name.startsWith('socket:')).length };
}

/** The first third warms up. */
function growthOf(values: readonly number[], of: (values: readonly number[]) => number = median): number {
  const third = Math.floor(values.length / 3);
  return third === 0 ? 0 : of(values.slice(-third)) - of(values.slice(third, 2 * third));
}

function table(samples: readonly Sample[], { served, checks }: Omit<Churn, 'tokens'>): string {
  const columns = ['pods', 'resident', 'descriptors', 'sockets', 'deliveries', 'records'] as const;
  const step = Math.max(1, Math.floor(samples.length / 12));
  const rows = samples.filter((_, n) => n % step === 0 || n === samples.length - 1);
  return tableOf([
    [`soak: ${served} builds, ${checks} looks at a token; at, s`, ...columns],
    ...rows.map((sample) => [String(sample.at), ...columns.map((name) => sample[name].toFixed(0))]),
  ]);
}
