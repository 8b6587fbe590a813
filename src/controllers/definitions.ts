import { type Clock, plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { definitionProblems, readShippedDefinitions } from '../kube/definitions.ts';
import type { Check } from '../telemetry/health.ts';
import type { Logger } from '../telemetry/logger.ts';

const lookEvery = 5 * second;

/**
 * Whether the definitions of our kinds are the ones that this version needs. Until they are, the program is not ready and does not run for
 * the lease: in a rolling upgrade that forgot them the replica of the version before goes on leading. Afterwards nobody asks again: the
 * watches notice a kind that goes.
 */
export class Definitions {
  readonly #o: { readonly connection: ApiConnection; readonly clock: Clock; readonly logger: Logger };
  #problems: readonly string[] = ['not asked for yet'];

  constructor(options: { readonly connection: ApiConnection; readonly clock: Clock; readonly logger: Logger }) {
    this.#o = options;
  }

  check(): Check {
    return { name: 'definitions', ok: this.#problems.length === 0, message: this.#problems.join('; ') };
  }

  /** Resolves as soon as they fit. Without the right to look it says so and goes on: the right came later than the kinds. */
  async fit(stop: AbortSignal): Promise<void> {
    const { connection, clock, logger } = this.#o;
    const shipped = readShippedDefinitions();
    for (;;) {
      const before = this.#problems.join();
      try {
        this.#problems = await definitionProblems(connection, shipped, stop);
      } catch (error) {
        if (stop.aborted || !(error instanceof OperatorError)) throw error;
        if (error.reason === 'ApiForbidden') {
          logger.warn('the definitions of our kinds cannot be compared with what this version needs', { error });
          this.#problems = [];
          return;
        }
        this.#problems = [error.message];
      }
      if (this.#problems.length === 0) return;
      if (this.#problems.join() !== before)
        logger.error('waiting for the definitions of our kinds', {
          reason: 'ConfigurationInvalid',
          problems: this.#problems,
        });
      await clock.sleepUntil(plus(clock.now(), lookEvery), stop);
    }
  }
}
