import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { admission } from './admission.ts';
import { aimsTable, type Bench, type BenchResult } from './bench.ts';
import { burst } from './burst.ts';
import { latency } from './latency.ts';
import { podBench } from './pods.ts';
import { registration } from './registration.ts';
import { revocation } from './revocation.ts';
import { rotation } from './rotation.ts';
import { size } from './size.ts';
import { soak } from './soak.ts';

const benches: readonly Bench[] = [
  podBench('pod created → token readable, one pod at a time (200 pods)', latency),
  podBench('the same with all pods at once (1,000 pods)', burst),
  admission,
  rotation,
  registration,
  revocation,
  size,
  soak,
];

const help = `npm run bench [-- [NAME…] [--runs N] [--size N] [--json FILE] [--profile DIR]]

Against a real API server and a real provider, with the floor (a bare script that makes only the calls that the work cannot do without)
in the same run. Without a name: latency and burst. See test/bench/README.md.

${benches.map(({ name, about }) => `  ${name.padEnd(13)} ${about}\n`).join('')}
  --runs N        runs of each contender
  --size N        pods, pools or identities of one run
  --parallel N    pods that the floor serves at once (default 32, as the operator)
  --minutes N     how long a soak lasts (default 30), and how long size looks at rest (1)
  --seed S        repeats the random part of a soak
  --json FILE     also writes every run to FILE
  --profile DIR   the operator runs with --cpu-prof; its figures are worse for it
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    size: { type: 'string' },
    parallel: { type: 'string', default: '32' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}
const names = positionals.length === 0 ? ['latency', 'burst'] : positionals;
const chosen = benches.filter(({ name }) => names.includes(name));
if (names.some((name) => !benches.some((known) => known.name === name))) {
  process.stderr.write(help);
  process.exit(2);
}

const started = new Date();
const number = (name: 'runs' | 'size' | 'minutes'): object =>
  values[name] === undefined ? {} : { [name]: Number(values[name]) };
const options = {
  log: (line: string): void => void process.stderr.write(`${line}\n`),
  parallel: Number(values.parallel),
  ...number('runs'),
  ...number('size'),
  ...number('minutes'),
  ...(values.seed === undefined ? {} : { seed: values.seed }),
  ...(values.profile === undefined ? {} : { profile: values.profile }),
};
const results: ({ readonly benchmark: string } & Omit<BenchResult, 'table'>)[] = [];
for (const bench of chosen) {
  const { table, runs, targets } = await bench.run(options);
  results.push({ benchmark: bench.name, runs, targets });
  process.stdout.write(`\n${table}\n${aimsTable(targets)}`);
  if (bench.strict === true && targets.some(({ met }) => !met)) process.exitCode = 1;
}
if (values.json !== undefined) {
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version, load: loadavg() };
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  const content = { started: started.toISOString(), ended: new Date().toISOString(), commit, machine, results };
  writeFileSync(values.json, `${JSON.stringify(content, undefined, 2)}\n`);
}
