import { type Clock, type Milliseconds, plus, second } from '../../clock.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** After a failure, periodic work is tried again this soon. */
const soon: Milliseconds = 2 * second;

/** Runs `work` now and then every `period` until `signal` aborts; a failure is logged and tried again sooner. Never rejects. */
export async function repeat(
  o: { readonly clock: Clock; readonly logger: Logger; readonly what: string; readonly period: Milliseconds },
  signal: AbortSignal,
  work: () => void | Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    let pause = o.period;
    try {
      await work();
    } catch (error) {
      if (signal.aborted) return;
      pause = Math.min(o.period, soon);
      o.logger.warn(o.what, { error });
    }
    await o.clock.sleepUntil(plus(o.clock.now(), pause), signal);
  }
}
