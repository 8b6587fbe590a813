import { processesOf } from '#test/cluster/processes.ts';
import type { Lab } from '#test/support/lab.ts';
import { machineUse, useOf } from './figures.ts';
import type { ProviderProcess } from './provider.ts';

/** Milliseconds of CPU so far: of everybody who has a part in a benchmark, and of the machine. */
export interface Spending {
  readonly parts: ReadonlyMap<string, number>;
  readonly machine: ReturnType<typeof machineUse>;
}

/** The driver is this process. */
export async function spendingOf(lab: Lab<ProviderProcess>, operator: { readonly pid: number }): Promise<Spending> {
  const cluster = (await processesOf(lab.cluster.dir)).map(({ name, pid }) => [name, pid] as const);
  const ours = [['operator', operator.pid] as const, ['provider', lab.provider.pid] as const];
  const all = [...ours, ...cluster, ['driver', process.pid] as const];
  return { parts: new Map(all.map(([name, pid]) => [name, useOf(pid).cpu])), machine: machineUse() };
}

/** What was spent between two looks, for a table: each part for one of `count`, and how much of the machine strangers had. */
export function spendingRows(before: Spending, after: Spending, count: number): readonly (readonly [string, string])[] {
  const spent = [...after.parts].map(([name, cpu]) => [name, cpu - (before.parts.get(name) ?? 0)] as const);
  const busy = after.machine.busy - before.machine.busy;
  const strangers = busy - spent.reduce((sum, [, cpu]) => sum + cpu, 0);
  const capacity = after.machine.capacity - before.machine.capacity;
  return [
    ...spent.map(([name, cpu]) => [`CPU of ${name} for each, ms`, (cpu / count).toFixed(1)] as const),
    ["machine's CPU spent by others, %", ((100 * Math.max(0, strangers)) / capacity).toFixed(0)],
    ["machine's CPU idle, %", (100 * (1 - busy / capacity)).toFixed(0)],
  ];
}
