import type { Milliseconds } from '../clock.ts';
import { minute, second } from '../clock.ts';

/** How long to wait after failures in a row. */
export interface Backoff {
  /** Upper bound of the first delay. */
  readonly first: Milliseconds;
  /** Upper bound of every delay. */
  readonly most: Milliseconds;
}

/** For the work of one key. */
export const keyBackoff: Backoff = { first: 50, most: 5 * minute };

/** For lists and watches. */
export const watchBackoff: Backoff = { first: 50, most: 30 * second };

/** For a circuit: everything that uses one resource of one issuer. */
export const circuitBackoff: Backoff = { first: 1 * second, most: 1 * minute };

/** The delay's upper bound after `attempts` failures in a row (from 1): doubles each time. */
function ceiling({ first, most }: Backoff, attempts: number): Milliseconds {
  return Math.min(most, first * 2 ** Math.min(Math.max(attempts, 1) - 1, 40));
}

/** Anything from 0 to the ceiling, so that many who failed together do not come back together. `random` yields [0, 1). */
export function fullJitter(backoff: Backoff, attempts: number, random: () => number): Milliseconds {
  return random() * ceiling(backoff, attempts);
}

/** From half the ceiling to the ceiling: spread, and yet never at once. `random` yields [0, 1). */
export function halfJitter(backoff: Backoff, attempts: number, random: () => number): Milliseconds {
  const most = ceiling(backoff, attempts);
  return most / 2 + (random() * most) / 2;
}
