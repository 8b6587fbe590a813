import type { Clock, Milliseconds } from '../clock.ts';
import { plus, second } from '../clock.ts';

/** A stream that went silent was cut. */
export class IdleError extends Error {
  override readonly name = 'IdleError';
}

/**
 * Passes a stream on and ends it with {@link IdleError} once nothing came for `idleCut`, also where the stream ignores its signal.
 * Ends quietly when `signal` aborts. One sleeper per stream, not one timer per event.
 */
export async function* withIdleCut<T>(
  open: (cut: AbortSignal) => AsyncIterable<T>,
  o: { readonly clock: Clock; readonly idleCut: Milliseconds; readonly name: string; readonly signal: AbortSignal },
): AsyncGenerator<T, void, void> {
  const { clock, idleCut, name, signal } = o;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  let last = clock.monotonic();
  let wake = (): void => {};
  let cut = false;
  const guard = (async (): Promise<void> => {
    while (!stop.aborted && !cut) {
      const left = last + idleCut - clock.monotonic();
      if (left <= 0) cut = true;
      else await clock.sleepUntil(plus(clock.now(), Math.ceil(left)), stop);
    }
    wake();
  })();
  const iterator = open(stop)[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Not Promise.race: a promise that lives as long as the stream would collect one reaction per event.
      const next = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        if (cut || stop.aborted) wake();
        else iterator.next().then(resolve, reject);
      });
      if (signal.aborted || next?.done === true) return;
      if (next === undefined) throw new IdleError(`watch ${name}: nothing came for ${idleCut / second} s`);
      last = clock.monotonic();
      yield next.value;
    }
  } finally {
    over.abort();
    await guard;
    iterator.return?.(undefined)?.catch(() => {});
  }
}
