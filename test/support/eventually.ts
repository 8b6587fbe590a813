/**
 * How much longer than a busy laptop needs every wait may last: machines that check changes are slower still, and disks more so. Waiting costs
 * nothing where the thing happens.
 */
export const patience = 3;

/** Polls until `probe` returns something other than `undefined`; then that. Fails with `what` and the last error. `timeoutMs` is what a busy laptop needs. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const until = Date.now() + patience * (options.timeoutMs ?? 20_000);
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until) {
      const why = last instanceof Error ? ` (${last.message.slice(0, 2_000)})` : '';
      throw new Error(`did not happen in time: ${what}${why}`, last === undefined ? undefined : { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 50));
  }
}
