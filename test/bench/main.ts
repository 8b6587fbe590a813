import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { burst } from './burst.ts';
import { latency } from './latency.ts';
import { type Benchmark, type Figures, measure } from './measure.ts';
import { type Target, judge, report } from './report.ts';
import { type Contender, openStage } from './stage.ts';

const help = `npm run bench [-- [latency|burst] [--runs N] [--pods N] [--json FILE] [--profile DIR]]

Runs the operator and the floor (a bare script that makes only the HTTP calls a token needs) in turn against the same API server and the same
provider, and prints both side by side: smallest, median and largest of the runs. See test/bench/README.md.

  --runs N        runs of each (default 5)
  --pods N        pods of one run (default: latency 200, burst 1000)
  --parallel N    pods that the floor serves at once (default 32, as the operator)
  --json FILE     also writes every run to FILE
  --profile DIR   the operator runs with --cpu-prof; its figures are worse for it
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    pods: { type: 'string' },
    parallel: { type: 'string', default: '32' },
    json: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}
const all: readonly Benchmark[] = [latency(Number(values.pods ?? 200)), burst(Number(values.pods ?? 1_000))];
const chosen = all.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
if (chosen.length === 0 || positionals.some((name) => !all.some((known) => known.name === name))) {
  process.stderr.write(help);
  process.exit(2);
}

const started = new Date();
const note = (line: string): void => void process.stderr.write(`${line}\n`);
if (values.profile !== undefined) mkdirSync(values.profile, { recursive: true });
const stage = await openStage({
  log: note,
  parallel: Number(values.parallel),
  ...(values.profile === undefined ? {} : { profile: resolve(values.profile) }),
});
const results: { benchmark: string; runs: Figures[]; targets: readonly Target[] }[] = [];
try {
  for (const benchmark of chosen) {
    const runs = await runsOf(benchmark, Number(values.runs));
    const targets = judge(benchmark.name, runs);
    results.push({ benchmark: benchmark.name, runs, targets });
    process.stdout.write(report(benchmark, runs, targets));
  }
} finally {
  await stage.stop();
}
if (values.json !== undefined) {
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version, load: loadavg() };
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  const content = { started: started.toISOString(), ended: new Date().toISOString(), commit, machine, results };
  writeFileSync(values.json, `${JSON.stringify(content, undefined, 2)}\n`);
}

/** Who comes first changes from run to run, so that neither gains from the age of the cluster. */
async function runsOf(benchmark: Benchmark, count: number): Promise<Figures[]> {
  const runs: Figures[] = [];
  for (let run = 0; run < count; run += 1) {
    const order: readonly Contender[] = run % 2 === 0 ? ['floor', 'operator'] : ['operator', 'floor'];
    for (const contender of order) {
      const figures = await measure(stage, contender, benchmark);
      const { p50, p99, throughput, strangers } = figures;
      note(
        `${benchmark.name} ${run + 1}/${count} ${contender}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${throughput.toFixed(1)} pods/s; others used ${(strangers * 100).toFixed(0)} % of the machine`,
      );
      runs.push(figures);
    }
  }
  return runs;
}
