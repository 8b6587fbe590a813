import type { Clock, Milliseconds } from '../clock.ts';
import { plus, second } from '../clock.ts';
import { LostLeaseError } from '../errors.ts';

/** A long-running part of the process. */
export interface Part {
  readonly name: string;
  /** Resolves after `signal` aborted and everything is put away; a rejection ends the whole process. */
  run(signal: AbortSignal): Promise<void>;
  /** The next part starts when this resolves; absent: at once. */
  ready?(signal: AbortSignal): Promise<void>;
}

/** What the next part waits for. */
export interface Gate {
  readonly name: string;
  ready(signal: AbortSignal): Promise<void>;
}

/**
 * Starts the parts in order; when `stop` aborts, stops them in reverse order, each after the one before has ended, all within `drain`
 * (default 25 s, below the 30 s that Kubernetes gives); what is not through by then is abandoned. A part that rejects, or ends by itself,
 * aborts all others at once and becomes the rejection.
 */
export async function manage(
  parts: readonly (Part | Gate)[],
  o: { readonly clock: Clock; readonly stop: AbortSignal; readonly drain?: Milliseconds },
): Promise<void> {
  const failed = new AbortController();
  const running: { readonly stop: AbortController; readonly ended: Promise<void> }[] = [];
  const ending = AbortSignal.any([o.stop, failed.signal]);
  for (const part of parts) {
    if (ending.aborted) break;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, failed.signal]);
    const ended = ('run' in part ? part.run(signal) : aborted(signal)).then(
      () => {
        if (!signal.aborted) failed.abort(new Error(`part ${part.name} ended by itself`));
      },
      (error: unknown) => failed.abort(error),
    );
    running.push({ stop, ended });
    await Promise.race([part.ready?.(ending), aborted(ending)]).catch((error: unknown) => {
      if (!ending.aborted) failed.abort(error);
    });
  }
  await aborted(ending);
  if (!failed.signal.aborted) await stopInReverse(running, o.clock, failed.signal, o.drain ?? 25 * second);
  if (failed.signal.aborted) throw failed.signal.reason;
}

async function stopInReverse(
  running: readonly { readonly stop: AbortController; readonly ended: Promise<void> }[],
  clock: Clock,
  failed: AbortSignal,
  drain: Milliseconds,
): Promise<void> {
  const over = new AbortController();
  const late = clock.sleepUntil(plus(clock.now(), drain), AbortSignal.any([over.signal, failed]));
  for (const { stop, ended } of running.toReversed()) {
    stop.abort();
    await Promise.race([ended, late]);
  }
  over.abort();
}

/**
 * A part that notices when the event loop (or the whole process) stood still for longer than `limit`: somebody else may lead by then, so
 * it rejects with LostLeaseError. `onLag` gets every measured delay, for a metric.
 */
export function loopLag(o: {
  readonly clock: Clock;
  readonly limit: Milliseconds;
  readonly onLag?: (lag: Milliseconds) => void;
}): Part {
  const every = 1 * second;
  return {
    name: 'loop-lag',
    async run(signal) {
      while (!signal.aborted) {
        const before = o.clock.monotonic();
        await o.clock.sleepUntil(plus(o.clock.now(), every), signal);
        const lag = Math.max(0, o.clock.monotonic() - before - every);
        o.onLag?.(lag);
        if (lag > o.limit)
          throw new LostLeaseError(
            `the event loop stood still for ${Math.round(lag / second)} s; this process must be restarted`,
          );
      }
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
