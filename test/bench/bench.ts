import { percentile, type Spread, spreadOf, tableOf } from './figures.ts';

/** One aim and what came out. */
export interface Target {
  readonly name: string;
  readonly actual: number;
  readonly aim: number;
  readonly sense: 'AtMost' | 'AtLeast' | 'Exactly';
  readonly met: boolean;
}

export interface BenchOptions {
  /** Told what takes long. */
  readonly log: (line: string) => void;
  /** How often each contender runs; default: the benchmark's own. */
  readonly runs?: number;
  /** How many pods, pools or identities; default: the benchmark's own. */
  readonly size?: number;
  /** For floor and operator alike: how many pods are served at once. */
  readonly parallel: number;
  readonly minutes?: number;
  /** Of what is random; default: another one each time. */
  readonly seed?: string;
  /** Directory for CPU profiles of the operator. */
  readonly profile?: string;
}

export interface BenchResult {
  /** Every run, for the JSON file. */
  readonly runs: readonly object[];
  readonly targets: readonly Target[];
  /** Columns side by side, for people. */
  readonly table: string;
}

/** One row of `main.ts`: what `npm run bench -- <name>` runs. */
export interface Bench {
  readonly name: string;
  /** What it measures, in one line of the help. */
  readonly about: string;
  /** Its aims are promises and no speeds: one that is missed fails the command. */
  readonly strict?: boolean;
  run(o: BenchOptions): Promise<BenchResult>;
}

export function target(name: string, actual: number, sense: Target['sense'], aim: number): Target {
  const met = sense === 'AtMost' ? actual <= aim : sense === 'AtLeast' ? actual >= aim : actual === aim;
  return { name, actual, aim, sense, met };
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** `smallest / median / largest`. */
export function cell(values: readonly number[], digits: number): string {
  const { min, median: middle, max }: Spread = spreadOf(values);
  return [min, middle, max].map((value) => value.toFixed(digits)).join(' / ');
}

const signs = { AtMost: '≤', AtLeast: '≥', Exactly: '=' } as const;

export function aimsTable(targets: readonly Target[]): string {
  const rows = targets.map(({ name, actual, aim, sense, met }) => [
    name,
    actual.toFixed(2),
    `${signs[sense]} ${aim}`,
    met ? 'met' : aim === 0 ? 'missed' : `missed by ${(Math.abs(actual / aim - 1) * 100).toFixed(0)} %`,
  ]);
  return rows.length === 0 ? '' : tableOf([['aim', 'came out', 'wanted', ''], ...rows]);
}
