import { eventually } from '#test/support/eventually.ts';

/** Waits until a count has risen by no more than `most` from one look to the next, a second later; yields it as it is then. */
export async function steady(what: string, count: () => number | Promise<number>, most: number): Promise<number> {
  let last = Number.NEGATIVE_INFINITY;
  return eventually(
    what,
    async () => {
      const now = await count();
      const isSteady = now - last <= most;
      last = now;
      return isSteady ? now : undefined;
    },
    { timeoutMs: 60_000, everyMs: 1_000 },
  );
}
