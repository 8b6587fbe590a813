import { type Milliseconds, after } from '../clock.ts';

/** A controller that follows others until it is told to stop. */
export interface Follower {
  readonly controller: AbortController;
  readonly release: () => void;
}

/**
 * Aborts with the first of `signals`, or by itself. `AbortSignal.any` does the same, but leaves something behind for each call at signals that
 * live as long as the process, until garbage is collected.
 */
export function follow(...signals: readonly AbortSignal[]): Follower {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signals.find(({ aborted }) => aborted)?.reason);
  for (const signal of signals) signal.addEventListener('abort', abort, { once: true });
  if (signals.some(({ aborted }) => aborted)) abort();
  return {
    controller,
    release: () => {
      for (const signal of signals) signal.removeEventListener('abort', abort);
    },
  };
}

/**
 * Makes a call whose signal aborts with `signal`, or with a `TimeoutError` after `deadline` of real time. Nothing of it outlives the call:
 * what `AbortSignal.timeout` makes stays, with all that it refers to, until the deadline has passed.
 */
export async function withDeadline<T>(
  deadline: Milliseconds,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { controller, release } = follow(signal);
  const cancel = after(deadline, () => controller.abort(new DOMException('the deadline has passed', 'TimeoutError')));
  try {
    return await call(controller.signal);
  } finally {
    cancel();
    release();
  }
}
