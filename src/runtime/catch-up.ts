import { type Clock, type Milliseconds, plus, second } from '../clock.ts';
import type { Reflector } from './reflector.ts';
import { isRefused } from './source.ts';
import type { Kept } from './store.ts';

/**
 * What was listed so recently counts as current. Should its watch fall silent within this time, only the idle cut of the reflector notices; to look
 * at it as well would hold up every start by two seconds.
 */
const justListed: Milliseconds = 5 * second;
/** So long a new watch may take to say that it is current: it says so after one to two seconds. */
const patience: Milliseconds = 4 * second;
const askAgain: Milliseconds = second / 2;

/**
 * Resolves when the store of `reflector` holds all that the server had when this was called, although its watch may have been silent for a while
 * and nobody noticed yet. Costs one object and a new watch, and a list of everything only where that watch does not come as far. `false`: the server
 * refuses it, or `signal` aborted before, and what is known counts as unknown from now on.
 */
export async function catchUp<T extends Kept>(
  reflector: Reflector<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  if (!reflector.health().synced || reflector.hasListedWithin(justListed)) return true;
  const isCurrent = await reaches(reflector, clock, signal);
  if (!isCurrent) reflector.distrust();
  return isCurrent;
}

async function reaches<T extends Kept>(reflector: Reflector<T>, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const pause = (time: Milliseconds): Promise<void> => clock.sleepUntil(plus(clock.now(), time), signal);
  let wanted: string | undefined;
  while (wanted === undefined) {
    try {
      wanted = await reflector.serverVersion(signal);
    } catch (error) {
      if (signal.aborted || isRefused(error)) return false;
      await pause(askAgain);
    }
  }
  for (const by of ['Watch', 'List'] as const) {
    if (reflector.hasReached(wanted)) break;
    reflector.lookAgain(by);
    const until = by === 'List' ? Number.POSITIVE_INFINITY : clock.monotonic() + patience;
    while (!signal.aborted && !reflector.hasReached(wanted) && clock.monotonic() < until) await pause(second / 20);
  }
  return reflector.hasReached(wanted);
}
