import { percentile, type Spread, spreadOf, tableOf } from './figures.ts';
import type { Benchmark, Figures } from './measure.ts';

/** One aim and what came out; `actual` is the median of the runs. */
export interface Target {
  readonly name: string;
  readonly actual: number;
  readonly aim: number;
  readonly sense: 'AtMost' | 'AtLeast' | 'Exactly';
  readonly met: boolean;
}

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
  const ratio = (of: (figures: Figures) => number): number =>
    percentile(
      ours.map((figures, run) => of(figures) / of(floor[run]!)),
      0.5,
    );
  const median = (of: (figures: Figures) => number): number => percentile(ours.map(of), 0.5);
  const calls = target('provider calls per token', worst(ours), 1, 'Exactly');
  if (benchmark === 'latency') {
    return [
      target(
        'p50 ÷ p50 of the floor',
        ratio(({ p50 }) => p50),
        1.5,
        'AtMost',
      ),
      target(
        'p50, ms',
        median(({ p50 }) => p50),
        100,
        'AtMost',
      ),
      target(
        'p99, ms',
        median(({ p99 }) => p99),
        1_000,
        'AtMost',
      ),
      calls,
    ];
  }
  return [
    target(
      'throughput ÷ throughput of the floor',
      ratio(({ throughput }) => throughput),
      0.6,
      'AtLeast',
    ),
    target(
      'p99, ms',
      median(({ p99 }) => p99),
      4_000,
      'AtMost',
    ),
    calls,
  ];
}

/** The run that is farthest from one call per token. */
function worst(ours: readonly Figures[]): number {
  const calls = ours.map(({ providerCallsPerToken }) => providerCallsPerToken);
  return calls.toSorted((a, b) => Math.abs(b - 1) - Math.abs(a - 1))[0] ?? Number.NaN;
}

function target(name: string, actual: number, aim: number, sense: Target['sense']): Target {
  const met = sense === 'AtMost' ? actual <= aim : sense === 'AtLeast' ? actual >= aim : actual === aim;
  return { name, actual, aim, sense, met };
}

const signs = { AtMost: '≤', AtLeast: '≥', Exactly: '=' } as const;

export function report({ name, pods }: Benchmark, runs: readonly Figures[], targets: readonly Target[]): string {
  const of = (contender: string, measure: Measure): string => {
    const values = runs.filter((run) => run.contender === contender).map(measure.of);
    const known = values.filter((value) => value !== undefined);
    return known.length === 0 ? '–' : cell(spreadOf(known), measure.digits);
  };
  const figures = measures.map((measure) => [measure.name, of('floor', measure), of('operator', measure)]);
  const head = `${name}: ${pods} pods a run, ${runs.length / 2} runs each; smallest / median / largest`;
  const aims = targets.map(({ name: aimName, actual, aim, sense, met }) => [
    aimName,
    actual.toFixed(2),
    `${signs[sense]} ${aim}`,
    met ? 'met' : `missed by ${(Math.abs(actual / aim - 1) * 100).toFixed(0)} %`,
  ]);
  return `\n${tableOf([[head, 'floor', 'operator'], ...figures])}\n${tableOf([['aim', 'median', 'wanted', ''], ...aims])}`;
}

function cell({ min, median, max }: Spread, digits: number): string {
  return [min, median, max].map((value) => value.toFixed(digits)).join(' / ');
}
