import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Bench, BenchOptions } from './bench.ts';
import { type Benchmark, type Figures, measure } from './measure.ts';
import { figuresTable, judge } from './report.ts';
import { type Contender, openStage, type Stage } from './stage.ts';

/** A benchmark of pods: floor and operator in turn on the same stage. */
export function podBench(about: string, sized: (pods: number | undefined) => Benchmark): Bench {
  const { name } = sized(undefined);
  return {
    name,
    about,
    async run(o) {
      const benchmark = sized(o.size);
      const stage = await openStage({ log: o.log, parallel: o.parallel, ...profileDirectory(o) });
      try {
        const runs = await runsOf(stage, benchmark, o);
        return { runs, targets: judge(name, runs), table: figuresTable(benchmark, runs) };
      } finally {
        await stage.stop();
      }
    },
  };
}

/** The directory is there afterwards. */
export function profileDirectory({ profile }: BenchOptions): { readonly profile?: string } {
  if (profile === undefined) return {};
  mkdirSync(profile, { recursive: true });
  return { profile: resolve(profile) };
}

/** Who comes first changes from run to run, so that neither gains from the age of the cluster. */
async function runsOf(stage: Stage, benchmark: Benchmark, { log, runs: count = 5 }: BenchOptions): Promise<Figures[]> {
  const runs: Figures[] = [];
  for (let run = 0; run < count; run += 1) {
    const order: readonly Contender[] = run % 2 === 0 ? ['floor', 'operator'] : ['operator', 'floor'];
    for (const contender of order) {
      const figures = await measure(stage, contender, benchmark);
      const { p50, p99, throughput, strangers } = figures;
      log(
        `${benchmark.name} ${run + 1}/${count} ${contender}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${throughput.toFixed(1)} pods/s; others used ${(strangers * 100).toFixed(0)} % of the machine`,
      );
      runs.push(figures);
    }
  }
  return runs;
}
