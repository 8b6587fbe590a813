import { cell, median, type Target, target } from './bench.ts';
import { tableOf } from './figures.ts';
import type { Benchmark, Figures } from './measure.ts';

type Measure = {
  readonly name: string;
  readonly of: (figures: Figures) => number | undefined;
  readonly digits: number;
};

const measures: readonly Measure[] = [
  { name: 'pod created → token readable, p50, ms', of: ({ p50 }) => p50, digits: 1 },
  { name: 'p99, ms', of: ({ p99 }) => p99, digits: 1 },
  { name: 'longest, ms', of: ({ longest }) => longest, digits: 1 },
  { name: 'throughput, pods/s', of: ({ throughput }) => throughput, digits: 1 },
  { name: 'creating a pod, p50, ms (the same for both)', of: ({ createP50 }) => createP50, digits: 1 },
  { name: 'provider calls per token', of: ({ providerCallsPerToken }) => providerCallsPerToken, digits: 3 },
  { name: 'CPU of the process per token, ms', of: ({ cpuPerToken }) => cpuPerToken, digits: 2 },
  ...['kube-apiserver', 'etcd', 'kube-controller-manager', 'kube-scheduler', 'provider', 'driver'].map(
    (name): Measure => ({ name: `… of ${name}`, of: ({ otherCpuPerToken }) => otherCpuPerToken[name], digits: 2 }),
  ),
  { name: "machine's CPU spent by others, %", of: ({ strangers }) => strangers * 100, digits: 0 },
  { name: "machine's CPU idle, %", of: ({ idle }) => idle * 100, digits: 0 },
  { name: 'resident memory afterwards, MiB', of: ({ resident }) => resident, digits: 0 },
  { name: 'resident memory at most, MiB', of: ({ peakResident }) => peakResident, digits: 0 },
  { name: 'event loop delay, p99, ms', of: ({ loopDelay }) => loopDelay?.p99, digits: 1 },
  { name: 'event loop delay, longest, ms', of: ({ loopDelay }) => loopDelay?.longest, digits: 1 },
];

/** Ratios compare a run of the operator with the floor's run beside it; then the median of the runs counts. */
export function judge(benchmark: string, runs: readonly Figures[]): readonly Target[] {
  const floor = runs.filter(({ contender }) => contender === 'floor');
  const ours = runs.filter(({ contender }) => contender === 'operator');
  const ratio = (of: 'p50' | 'throughput'): number => median(ours.map((figures, run) => figures[of] / floor[run]![of]));
  const middle = (of: 'p50' | 'p99'): number => median(ours.map((figures) => figures[of]));
  const calls = target('provider calls per token', worst(ours), 'Exactly', 1);
  if (benchmark === 'latency') {
    return [
      target('p50 ÷ p50 of the floor', ratio('p50'), 'AtMost', 1.5),
      target('p50, ms', middle('p50'), 'AtMost', 100),
      target('p99, ms', middle('p99'), 'AtMost', 1_000),
      calls,
    ];
  }
  return [
    target('throughput ÷ throughput of the floor', ratio('throughput'), 'AtLeast', 0.6),
    target('p99, ms', middle('p99'), 'AtMost', 4_000),
    calls,
  ];
}

/** The run that is farthest from one call per token. */
function worst(ours: readonly Figures[]): number {
  const calls = ours.map(({ providerCallsPerToken }) => providerCallsPerToken);
  return calls.toSorted((a, b) => Math.abs(b - 1) - Math.abs(a - 1))[0] ?? Number.NaN;
}

/** Floor and operator side by side: smallest, median and largest of the runs. */
export function figuresTable({ name, pods }: Benchmark, runs: readonly Figures[]): string {
  const of = (contender: string, measure: Measure): string => {
    const values = runs.filter((run) => run.contender === contender).map(measure.of);
    const known = values.filter((value) => value !== undefined);
    return known.length === 0 ? '–' : cell(known, measure.digits);
  };
  const figures = measures.map((measure) => [measure.name, of('floor', measure), of('operator', measure)]);
  const head = `${name}: ${pods} pods a run, ${runs.length / 2} runs each; smallest / median / largest`;
  return tableOf([[head, 'floor', 'operator'], ...figures]);
}
