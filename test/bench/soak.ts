import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, median, target } from './bench.ts';
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

interface Build {
  readonly pod: string;
  readonly until: number;
  readonly seen: { readonly at: number; readonly token: string }[];
}

/** Builds come and go while their tokens live a minute, and everything that could grow is watched. */
export const soak: Bench = {
  name: 'soak',
  about: 'minutes of churn with tokens of 60 s: memory, descriptors and Secrets stay flat, no build is without a token',
  async run(o) {
    const stage = await openStage({ log: o.log, parallel: o.parallel, lifetime });
    try {
      const serving = await stage.serve('operator');
      const samples: Sample[] = [];
      const { served, checks, dead } = await churn(stage, serving, (o.minutes ?? 30) * 60_000, (sample) => {
        samples.push(sample);
        o.log(`soak ${JSON.stringify(sample)}`);
      });
      await stage.clear('operator');
      const left = await stage.secrets();
      await serving.stop();
      const growth = (of: (sample: Sample) => number): number => growthOf(samples.map(of));
      return {
        runs: [{ served, checks, dead, left, samples }],
        targets: [
          target('builds that were seen without a valid token', dead, 'Exactly', 0),
          target('records and deliveries left after the last pod', left.records + left.deliveries, 'Exactly', 0),
          target(
            'resident memory, last third − middle third, MiB',
            growth(({ resident }) => resident),
            'AtMost',
            20,
          ),
          target(
            'open descriptors, last − middle third',
            growth(({ descriptors }) => descriptors),
            'AtMost',
            5,
          ),
          target(
            'sockets, last − middle third',
            growth(({ sockets }) => sockets),
            'AtMost',
            5,
          ),
          target('records − pods, largest', Math.max(...samples.map((s) => s.records - s.pods)), 'AtMost', 20),
        ],
        table: table(samples, served, checks),
      };
    } finally {
      await stage.stop();
    }
  },
};

async function churn(
  stage: Stage,
  serving: Serving,
  length: number,
  sampled: (sample: Sample) => void,
): Promise<{ readonly served: number; readonly checks: number; readonly dead: number }> {
  const started = Date.now();
  const builds = new Set<Build>();
  let served = 0;
  let checks = 0;
  let dead = 0;
  let nextSample = started + sampleEvery;
  const begin = async (): Promise<void> => {
    const { name } = await stage.pod();
    const seconds = shortestBuild + Math.random() * (longestBuild - shortestBuild);
    builds.add({ pod: name, until: Date.now() + seconds * 1_000, seen: [] });
    served += 1;
  };
  const births: Promise<void>[] = [];
  while (Date.now() < started + length) {
    for (let n = 0; n < perSecond; n += 1) births.push(begin());
    const now = Date.now();
    for (const build of builds) {
      const token = stage.tokens.get(build.pod);
      if (token !== undefined && build.seen.at(-1)?.token !== token) build.seen.push({ at: now, token });
      if (build.until > now) continue;
      builds.delete(build);
      await stage.deletePod(build.pod);
    }
    const held = [...builds].map((build) => fileOf(build, now));
    const alive = new Set(await stage.provider.alive(held.filter((token) => token !== undefined)));
    checks += held.length;
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
  return { served, checks, dead };
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
function growthOf(values: readonly number[]): number {
  const third = Math.floor(values.length / 3);
  return third === 0 ? 0 : median(values.slice(-third)) - median(values.slice(third, 2 * third));
}

function table(samples: readonly Sample[], served: number, checks: number): string {
  const columns = ['pods', 'resident', 'descriptors', 'sockets', 'deliveries', 'records'] as const;
  const step = Math.max(1, Math.floor(samples.length / 12));
  const rows = samples.filter((_, n) => n % step === 0 || n === samples.length - 1);
  return tableOf([
    [`soak: ${served} builds, ${checks} looks at a token; at, s`, ...columns],
    ...rows.map((sample) => [String(sample.at), ...columns.map((name) => sample[name].toFixed(0))]),
  ]);
}
