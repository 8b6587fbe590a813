import { processesOf } from '#test/cluster/processes.ts';
import type { Lab } from '#test/support/lab.ts';
import { machineUse, useOf } from './figures.ts';
import type { ProviderProcess } from './provider.ts';

/** Milliseconds of CPU so far: of everybody who has a part in a benchmark, and of the machine. */
export interface Spending {
  readonly parts: ReadonlyMap<string, number>;
  readonly machine: ReturnType<typeof machineUse>;
}

/** What was spent between two looks. */
export interface Spent {
  /** Milliseconds of each part. */
  readonly parts: Readonly<Record<string, number>>;
  /** Shares of the machine's CPU time: of strangers, and of nobody. */
  readonly strangers: number;
  readonly idle: number;
}

/** The driver is this process. `operator`: absent where none runs. */
export async function spendingOf(lab: Lab<ProviderProcess>, operator?: { readonly pid: number }): Promise<Spending> {
  const cluster = (await processesOf(lab.cluster.dir)).map(({ name, pid }) => [name, pid] as const);
  const ours = operator === undefined ? [] : [['operator', operator.pid] as const];
  return spendingOfAll([
    ...ours,
    ['provider', lab.provider.pid] as const,
    ...cluster,
    ['driver', process.pid] as const,
  ]);
}

/** Of these processes, by name. */
export function spendingOfAll(processes: Iterable<readonly [name: string, pid: number]>): Spending {
  return { parts: new Map([...processes].map(([name, pid]) => [name, useOf(pid).cpu])), machine: machineUse() };
}

export function spentBetween(before: Spending, after: Spending): Spent {
  const parts = [...after.parts].map(([name, cpu]) => [name, cpu - (before.parts.get(name) ?? 0)] as const);
  const busy = after.machine.busy - before.machine.busy;
  const capacity = after.machine.capacity - before.machine.capacity;
  const strangers = parts.reduce((left, [, cpu]) => left - cpu, busy);
  return {
    parts: Object.fromEntries(parts),
    strangers: Math.max(0, strangers) / capacity,
    idle: 1 - busy / capacity,
  };
}

/** For a table: each part for one of `count`, and how much of the machine strangers had. */
export function spendingRows(before: Spending, after: Spending, count: number): readonly (readonly [string, string])[] {
  const { parts, strangers, idle } = spentBetween(before, after);
  return [
    ...Object.entries(parts).map(([name, cpu]) => [`CPU of ${name} for each, ms`, (cpu / count).toFixed(1)] as const),
    ["machine's CPU spent by others, %", (100 * strangers).toFixed(0)],
    ["machine's CPU idle, %", (100 * idle).toFixed(0)],
  ];
}
