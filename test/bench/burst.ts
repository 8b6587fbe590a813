import type { Benchmark } from './measure.ts';
import type { Served, Stage } from './stage.ts';

/** All pods at once, over the 32 connections that Jenkins' plugin allows itself. */
export function burst(pods = 1_000): Benchmark {
  return { name: 'burst', pods, warmUp: Math.min(pods, 200), load };
}

async function load(stage: Stage, pods: number): Promise<readonly Served[]> {
  return Promise.all(Array.from({ length: pods }, () => stage.pod()));
}
