import { plus } from '../clock.ts';
import type { Instant, Milliseconds } from '../clock.ts';
import { type Token, usableLife } from './token.ts';

/**
 * When to renew: max(min(half life, life − 2 × `deliveryLag`), life / 3), moved by up to 5 % of the life. `jitter` is in [-1, 1] and fixed
 * per session, so that the answer does not change from look to look.
 */
export function renewAt(
  token: Pick<Token, 'minted' | 'exp' | 'ask'>,
  deliveryLag: Milliseconds,
  jitter: number,
): Instant {
  const life = usableLife(token);
  const after = Math.max(Math.min(life / 2, life - 2 * deliveryLag), life / 3);
  return plus(token.minted, after + jitter * 0.05 * life);
}

/** The last fifth of the life: from then on a renewal is more urgent than a new pod. */
export function lastFifthAt(token: Pick<Token, 'minted' | 'exp' | 'ask'>): Instant {
  return plus(token.minted, usableLife(token) * 0.8);
}
