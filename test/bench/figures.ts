import { readFileSync } from 'node:fs';

/** The smallest value that at least `share` of all values do not exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { min: Math.min(...values), median: percentile(values, 0.5), max: Math.max(...values) };
}

/** What the kernel says of a process. */
export interface ProcessUse {
  /** Milliseconds on a CPU since the start. */
  readonly cpu: number;
  /** Resident MiB now and at most so far. */
  readonly resident: number;
  readonly peak: number;
}

/** A tick of `/proc/<pid>/stat` on Linux: USER_HZ is 100 on every platform that Node runs on. */
const tick = 10;

export function useOf(pid: number): ProcessUse {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1_024;
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) * tick,
    resident: mebibytes('VmRSS'),
    peak: mebibytes('VmHWM'),
  };
}

/** Milliseconds that the CPUs of this machine, all together, were at work and were there, since the start. */
export function machineUse(): { readonly busy: number; readonly capacity: number } {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softIrq = 0, stolen = 0] = first
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = (user + nice + system + irq + softIrq + stolen) * tick;
  return { busy, capacity: busy + (idle + wait) * tick };
}

/** Columns padded to the widest cell; the first one to the left, the others to the right. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}
