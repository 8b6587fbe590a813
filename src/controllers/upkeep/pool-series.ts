import type { Metrics } from '../../telemetry/metrics.ts';
import { type Memory, indexes } from '../memory.ts';

/**
 * Takes what was counted for a pool off /metrics when the pool is gone, and its clients and tokens with it: a process that runs for months would
 * otherwise tell of every pool that there ever was.
 */
export class PoolSeries {
  readonly #memory: Memory;
  readonly #metrics: Metrics;
  /** Pools that were deleted since this process runs and are still told of. */
  readonly #deleted = new Set<string>();
  /** Those of which nothing was left at the last look. */
  #over: ReadonlySet<string> = new Set();

  constructor({ memory, metrics }: { readonly memory: Memory; readonly metrics: Metrics }) {
    this.#memory = memory;
    this.#metrics = metrics;
    memory.pools.onChange((name, next) => {
      if (next === undefined) this.#deleted.add(name);
      else this.#deleted.delete(name);
    });
  }

  /** Once a minute, so that the last numbers are scraped before they go. */
  async look(): Promise<void> {
    const { clients, sessions } = this.#memory;
    const over = [...this.#deleted].filter((pool) =>
      [clients, sessions].every((store) => store.byIndex(indexes.pool, pool).length === 0),
    );
    const gone = new Set(over.filter((pool) => this.#over.has(pool)));
    this.#over = new Set(over);
    if (gone.size === 0) return;
    for (const pool of gone) this.#deleted.delete(pool);
    await this.#metrics.forget('pool', gone);
  }
}
