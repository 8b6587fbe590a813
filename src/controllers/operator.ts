import { second } from '../clock.ts';
import type { Configuration } from '../config.ts';
import { LostLeaseError } from '../errors.ts';
import { type Gate, type Part, loopLag, manage } from '../runtime/manager.ts';
import { keepGuard } from './guard-part.ts';
import { learnInstallation } from './installation.ts';
import { type Parts, buildParts } from './parts.ts';
import type { OperatorOptions } from './sides.ts';
import type { Observation } from './telling/observation.ts';
import { repeat } from './upkeep/periodic.ts';

/** The whole long-running role: runs its parts in order. */
export class Operator {
  readonly observation: Observation;
  readonly #o: OperatorOptions;
  readonly #parts: Parts;
  #configuration: Configuration;
  #wakeAs: 'Changed' | 'Check' = 'Changed';

  constructor(options: OperatorOptions) {
    this.#o = options;
    this.#configuration = options.configuration;
    this.#parts = buildParts(options, {
      configuration: () => this.#configuration,
      keysChanged: () => this.#useConfiguration(),
      wakesAs: () => this.#wakeAs,
      resync: (signal) => this.#resync(signal),
    });
    this.observation = this.#parts.observation;
  }

  /** Runs until `stop` aborts (`Stopped`, the lease is released) or another process leads (`LostLease`: exit, never come back). */
  async run(stop: AbortSignal): Promise<'Stopped' | 'LostLease'> {
    const { connection, namespace, clock, logger } = this.#o;
    const { definitions, memory, watches, keys, leader, auditors, providers, wiring } = this.#parts;
    wiring.connect();
    // An administrator replaces referenced Secrets and CA bundles without telling us.
    const keysAgain = { clock, logger, what: 'credentials of issuers', period: 30 * second };
    const parts: readonly (Part | Gate)[] = [
      { name: 'definitions', ready: (signal) => definitions.fit(signal) },
      {
        name: 'installation',
        ready: (signal) => learnInstallation({ connection, namespace, clock, logger, memory }, signal),
      },
      { name: 'watches', run: (signal) => watches.run(signal), ready: (signal) => watches.ready(signal) },
      {
        name: 'keys',
        run: (signal) => repeat(keysAgain, signal, () => keys.refresh(this.#configuration, signal)),
        ready: (signal) => this.#firstKeys(signal),
      },
      { name: 'lease', run: (signal) => leader.run(signal), ready: () => leader.acquired() },
      { name: 'current memory', ready: (signal) => watches.catchUp(signal) },
      loopLag({ clock, limit: 10 * second }),
      { name: 'guard', run: (signal) => this.#keepGuard(signal) },
      ...this.#parts.upkeep,
      { name: 'loop', run: (signal) => this.#lead(signal) },
    ];
    try {
      await manage(parts, { clock, stop });
      auditors.end();
      return 'Stopped';
    } catch (error) {
      if (error instanceof LostLeaseError) {
        logger.error('this process no longer leads', { error });
        auditors.leaseLost();
        return 'LostLease';
      }
      throw error;
    } finally {
      await providers.close();
    }
  }

  #keepGuard(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#o;
    const { guard, watches, auditors, wiring } = this.#parts;
    return keepGuard({ guard, watches, clock, logger, auditors, changed: () => wiring.everything() }, signal);
  }

  /** Looks at everything without calling it news, so that failures keep their back-off. */
  #resync(signal: AbortSignal): Promise<void> {
    this.#wakeAs = 'Check';
    this.#parts.wiring.everything();
    this.#wakeAs = 'Changed';
    return this.#parts.limits.forget(signal);
  }

  /** A new configuration takes force with the keys that it refers to, so that no issuer is called without its CA; then everything looks again. */
  async configure(configuration: Configuration): Promise<void> {
    this.#configuration = configuration;
    try {
      await this.#parts.keys.refresh(configuration, AbortSignal.timeout(15 * second));
    } finally {
      this.#useConfiguration();
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { leader, memory, auditors, guard, wiring, loop, proofTokens } = this.#parts;
    await leader.raiseEpoch(memory.highestEpoch() + 1, signal);
    this.#o.logger.info('leading', { epoch: leader.epoch });
    auditors.begin(leader.epoch, guard.current());
    wiring.everything();
    await loop.run(signal);
    await proofTokens.settleAll();
  }

  #useConfiguration(): void {
    this.#parts.providers.configure(this.#configuration);
    this.#parts.access.configurationChanged();
    this.#parts.wiring.everything();
  }

  async #firstKeys(signal: AbortSignal): Promise<void> {
    const refreshed = this.#parts.keys.refresh(this.#configuration, signal);
    await refreshed.catch((error: unknown) => this.#o.logger.warn('credentials of issuers', { error }));
  }
}
