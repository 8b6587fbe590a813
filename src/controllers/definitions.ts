import { type Clock, plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { definitionProblems, readShippedDefinitions } from '../kube/definitions.ts';
import type { Check } from '../telemetry/health.ts';
import type { Logger } from '../telemetry/logger.ts';

const lookEvery = 5 * second;

/**
 * Whether the definitions of our kinds are the ones that this version needs. Until they are, the program is not ready and does not run for
 * the lease: in a rolling upgrade that forgot them the replica of the version before goes on leading. Afterwards they are looked at again where
 * writes fail as they do with older ones, such as those of a reverted commit; a kind that goes is noticed by the watches.
 */
export class Definitions {
  readonly #o: { readonly connection: ApiConnection; readonly clock: Clock; readonly logger: Logger };
  readonly #shipped = readShippedDefinitions();
  #problems: readonly string[] = ['not asked for yet'];
  #doubted = false;

  constructor(options: { readonly connection: ApiConnection; readonly clock: Clock; readonly logger: Logger }) {
    this.#o = options;
  }

  check(): Check {
    return { name: 'definitions', ok: this.#problems.length === 0, message: this.#problems.join('; ') };
  }

  /** Resolves as soon as they fit. Without the right to look it says so and goes on: the right came later than the kinds. */
  async fit(stop: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    for (;;) {
      const { problems } = await this.#look(stop);
      this.#take(problems, 'waiting for the definitions of our kinds');
      if (problems.length === 0) return;
      await clock.sleepUntil(plus(clock.now(), lookEvery), stop);
    }
  }

  /** To be told every failure of work. */
  failed(error: unknown): void {
    // A member or value that the installed definition does not know: 400 or 422.
    if (error instanceof OperatorError && error.reason === 'ApiRefused') this.#doubted = true;
  }

  /** Looks again where it is in doubt whether they fit, or they did not; yields whether they fit again. An API server that does not answer changes nothing. */
  async lookAgain(stop: AbortSignal): Promise<boolean> {
    const fitted = this.#problems.length === 0;
    if (!this.#doubted && fitted) return false;
    this.#doubted = false;
    const { answered, problems } = await this.#look(stop);
    if (answered) this.#take(problems, 'the definitions of our kinds are not those that this version needs any more');
    else this.#doubted = true;
    return !fitted && this.#problems.length === 0;
  }

  async #look(stop: AbortSignal): Promise<{ readonly answered: boolean; readonly problems: readonly string[] }> {
    const { connection, logger } = this.#o;
    try {
      return { answered: true, problems: await definitionProblems(connection, this.#shipped, stop) };
    } catch (error) {
      if (stop.aborted || !(error instanceof OperatorError)) throw error;
      if (error.reason !== 'ApiForbidden') return { answered: false, problems: [error.message] };
      logger.warn('the definitions of our kinds cannot be compared with what this version needs', { error });
      return { answered: true, problems: [] };
    }
  }

  #take(problems: readonly string[], message: string): void {
    const before = this.#problems.join();
    this.#problems = problems;
    if (problems.length > 0 && problems.join() !== before)
      this.#o.logger.error(message, { reason: 'ConfigurationInvalid', problems });
  }
}
