import { type Milliseconds, instant, second } from '../clock.ts';
import type { Configuration } from '../config.ts';
import { LostLeaseError } from '../errors.ts';
import { mayUse } from '../kube/reviews.ts';
import { type Gate, type Part, loopLag, manage } from '../runtime/manager.ts';
import { Brakes } from './brakes.ts';
import type { ProofTokens } from './client/proof-tokens.ts';
import { ClientTargets } from './client/targets.ts';
import { Definitions } from './definitions.ts';
import { keepGuard, startGuard } from './guard-part.ts';
import type { GuardKeeper } from './guard.ts';
import { learnInstallation } from './installation.ts';
import { registerMachines } from './machines.ts';
import { Memory } from './memory.ts';
import type { SessionLimits } from './session/limits.ts';
import { Reviews } from './session/reviews.ts';
import {
  type Leading,
  type LoopSide,
  type OperatorOptions,
  type ProviderSide,
  type Role,
  type TellingSide,
  leadingOf,
  loopOf,
  providersOf,
  tellingOf,
} from './sides.ts';
import { Troubles } from './status/troubles.ts';
import { Observation } from './telling/observation.ts';
import { repeat } from './upkeep/periodic.ts';
import { upkeep } from './upkeep/upkeep.ts';

/** The whole long-running role: builds memory, machines and loop, and runs them in order. */
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

interface Parts extends ProviderSide, TellingSide, Leading, LoopSide {
  readonly definitions: Definitions;
  readonly memory: Memory;
  readonly guard: GuardKeeper;
  readonly observation: Observation;
  readonly limits: SessionLimits;
  readonly proofTokens: ProofTokens;
  /** What the leader does now and then. */
  readonly upkeep: readonly Part[];
}

/** From the inside out: a part that needs one that is built later asks for it by a function. */
function buildParts(o: OperatorOptions, role: Role): Parts {
  const { connection, namespace, clock, random, logger, metrics, audit, auditStream } = o;
  const definitions = new Definitions({ connection, clock, logger });
  const memory: Memory = new Memory(
    namespace,
    () => watches.areCurrent && leader.held(),
    (...report) => reporter.listenerFailed(...report),
  );
  const providerSide = providersOf(o, role, memory, (what) => wiring.handedIn(what));
  const { budgets, providers, handIns, access } = providerSide;
  const targets = new ClientTargets(memory);
  const tellingSide = tellingOf(o, memory);
  const { auditors, events, refusedCalls, reporter } = tellingSide;
  const leading = leadingOf(o);
  const { leader, effects } = leading;
  const loopSide = loopOf(o, role, { memory, definitions, targets, budgets, access, reporter, leader });
  const { causes, loop, wiring, creators, watches } = loopSide;
  const troubles = new Troubles({ clock, budgets, podWatches: watches.pods });
  const apiServerOffset = (): Milliseconds | undefined => connection.serverTime()?.offset;
  const guard = startGuard({
    connection,
    memory,
    namespace,
    watches,
    now: () => instant(clock.now() + (apiServerOffset() ?? 0)),
    held: () => leader.held(),
  });
  const observation = new Observation({
    memory,
    targets,
    providers,
    apiServerOffset,
    metrics,
    auditStream,
    watches,
    loop,
    guard,
    leader,
    budgets,
    definitions,
    refusedCalls,
    clock,
  });
  const reviews = new Reviews({ ask: (review, signal) => mayUse(connection, review, signal), clock });
  const brakes = new Brakes({ memory, targets, namespace, clock });
  const epoch = (): number => leader.epoch;
  const { limits, proofTokens } = registerMachines(loop, {
    connection,
    namespace,
    clock,
    random,
    logger,
    metrics,
    audit,
    auditStream,
    sessionAudit: auditors.sessions,
    auditors,
    memory,
    providers,
    handIns,
    access,
    targets,
    creators,
    reviews,
    brakes,
    guard,
    effects,
    reporter,
    troubles,
    causes,
    epoch,
    installation: () => memory.installation ?? '',
    configuration: () => role.configuration(),
  });
  const nowAndThen = upkeep({
    clock,
    logger,
    metrics,
    audit,
    events,
    memory,
    namespace,
    wiring,
    brakes,
    reviews,
    troubles,
    handIns,
    auditors,
    connection,
    definitions,
    epoch,
    leader,
    resync: (signal) => role.resync(signal),
  });
  return {
    ...providerSide,
    ...tellingSide,
    ...leading,
    ...loopSide,
    definitions,
    memory,
    guard,
    observation,
    limits,
    proofTokens,
    upkeep: nowAndThen,
  };
}
