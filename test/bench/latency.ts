import type { Benchmark } from './measure.ts';
import type { Served, Stage } from './stage.ts';

/** One pod at a time: the next is created when the token of the last is readable. */
export function latency(pods = 200): Benchmark {
  return { name: 'latency', pods, warmUp: Math.min(pods, 100), load };
}

async function load(stage: Stage, pods: number): Promise<readonly Served[]> {
  const served: Served[] = [];
  for (let n = 0; n < pods; n += 1) served.push(await stage.pod());
  return served;
}
