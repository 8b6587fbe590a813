import type { Logger } from '../../telemetry/logger.ts';
import type { Memory } from '../memory.ts';

export interface EpochsOptions {
  readonly memory: Memory;
  readonly logger: Logger;
  /** Of this leader. */
  readonly epoch: () => number;
  /** Throws where this process does not lead. */
  readonly raiseEpoch: (atLeast: number, signal: AbortSignal) => Promise<void>;
  /** Everything looks again. */
  readonly resync: (signal: AbortSignal) => Promise<void>;
}

/**
 * Keeps our epoch above that of every record. One with a later epoch counts as another leader's and is left alone. Where the lease is ours all
 * the same, there is no other: somebody deleted the Lease once, or brought back a Secret of another time, and nobody would ever touch it again.
 */
export class Epochs {
  readonly #o: EpochsOptions;
  #highest = 0;

  constructor(options: EpochsOptions) {
    this.#o = options;
    const { clients, sessions, limits } = options.memory;
    for (const store of [clients, sessions, limits])
      store.onChange((_name, next) => (this.#highest = Math.max(this.#highest, next?.record?.epoch ?? 0)));
  }

  /** Throws where somebody else has taken the lease: then the later epoch is his. */
  async look(signal: AbortSignal): Promise<void> {
    const { epoch, raiseEpoch, logger, resync } = this.#o;
    const before = epoch();
    if (this.#highest <= before) return;
    await raiseEpoch(this.#highest + 1, signal);
    logger.warn('a record of a later epoch than ours was brought back, so our epoch is raised', {
      before,
      epoch: epoch(),
    });
    await resync(signal);
  }
}
