import { machineUse, percentile, type ProcessUse, useOf } from './figures.ts';
import type { ProviderCounts } from './provider.ts';
import type { Contender, LoopDelay, Served, Serving, Stage } from './stage.ts';

/** One run of one contender. Latencies in milliseconds, from the answer that the pod is created until its token is readable. */
export interface Figures {
  readonly contender: Contender;
  readonly pods: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  /** Pods per second, from the first request to create one until the last token is readable. */
  readonly throughput: number;
  /** Median of the requests that create the pods: the same work for both. */
  readonly createP50: number;
  /** Counted by the provider. */
  readonly providerCallsPerToken: number;
  /** CPU of the process that serves, milliseconds per token. */
  readonly cpuPerToken: number;
  /** CPU of everybody else on the machine that has a part in it, milliseconds per token. */
  readonly otherCpuPerToken: Readonly<Record<string, number>>;
  /** Share of the machine's CPU time that nobody of these spent: with much of it the figures say little. */
  readonly strangers: number;
  /** Share of the machine's CPU time that nobody needed. */
  readonly idle: number;
  /** MiB. */
  readonly resident: number;
  readonly peakResident: number;
  /** Delay of the serving process's event loop while it was measured, milliseconds; the floor does not say. */
  readonly loopDelay?: LoopDelay;
}

/** One way to load a contender. */
export interface Benchmark {
  readonly name: string;
  readonly pods: number;
  /** Served and thrown away first: both have just been started. */
  readonly warmUp: number;
  load(stage: Stage, pods: number): Promise<readonly Served[]>;
}

/** Starts the contender, warms it up, measures, cleans up and stops it. */
export async function measure(stage: Stage, contender: Contender, benchmark: Benchmark): Promise<Figures> {
  const serving = await stage.serve(contender);
  try {
    await benchmark.load(stage, benchmark.warmUp);
    await stage.clear(contender);
    const before = await countersOf(stage, serving);
    const served = await benchmark.load(stage, benchmark.pods);
    const after = await countersOf(stage, serving);
    await stage.clear(contender);
    return figuresOf(contender, served, before, after);
  } catch (error) {
    throw new Error(`${benchmark.name}, ${contender}: ${serving.log?.().slice(-4_000) ?? ''}`, { cause: error });
  } finally {
    await serving.stop();
  }
}

interface Counters {
  readonly provider: ProviderCounts;
  readonly serving: ProcessUse;
  /** Milliseconds by name. */
  readonly others: ReadonlyMap<string, number>;
  readonly machine: ReturnType<typeof machineUse>;
  readonly loopDelay?: LoopDelay;
}

async function countersOf(stage: Stage, serving: Serving): Promise<Counters> {
  const loopDelay = await serving.loopDelay?.();
  const bystanders = await stage.bystanders();
  return {
    provider: await stage.provider.counts(),
    serving: useOf(serving.pid),
    others: new Map([...bystanders].map(([name, pid]) => [name, useOf(pid).cpu])),
    machine: machineUse(),
    ...(loopDelay === undefined ? {} : { loopDelay }),
  };
}

function figuresOf(contender: Contender, served: readonly Served[], before: Counters, after: Counters): Figures {
  const waits = served.map(({ created, readable }) => readable - created);
  const creations = served.map(({ asked, created }) => created - asked);
  const first = Math.min(...served.map(({ asked }) => asked));
  const last = Math.max(...served.map(({ readable }) => readable));
  const pods = served.length;
  const own = after.serving.cpu - before.serving.cpu;
  const others = [...after.others].map(([name, cpu]) => [name, cpu - (before.others.get(name) ?? 0)] as const);
  const busy = after.machine.busy - before.machine.busy;
  const capacity = after.machine.capacity - before.machine.capacity;
  const known = others.reduce((sum, [, cpu]) => sum + cpu, own);
  return {
    contender,
    pods,
    p50: percentile(waits, 0.5),
    p99: percentile(waits, 0.99),
    longest: Math.max(...waits),
    throughput: pods / ((last - first) / 1_000),
    createP50: percentile(creations, 0.5),
    // All calls count, discovery included.
    providerCallsPerToken:
      (after.provider.allCalls - before.provider.allCalls) / (after.provider.issued - before.provider.issued),
    cpuPerToken: own / pods,
    otherCpuPerToken: Object.fromEntries(others.map(([name, cpu]) => [name, cpu / pods])),
    strangers: Math.max(0, busy - known) / capacity,
    idle: 1 - busy / capacity,
    resident: after.serving.resident,
    peakResident: after.serving.peak,
    ...(after.loopDelay === undefined ? {} : { loopDelay: after.loopDelay }),
  };
}
