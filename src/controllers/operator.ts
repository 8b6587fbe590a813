import { leaseName } from '../api/names.ts';
import { type Clock, type Instant, instant, second } from '../clock.ts';
import type { Configuration } from '../config.ts';
import { resourceOf } from '../domain/circuits.ts';
import { maxConcurrent, reservedShare, maxConsecutiveStarts } from '../domain/lanes.ts';
import { LostLeaseError } from '../errors.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { EventRecorder } from '../kube/events.ts';
import { readAnnotatedSecret, readConfigMap, readSecret } from '../kube/keys.ts';
import { leaseAccess } from '../kube/leases.ts';
import { mayUse } from '../kube/reviews.ts';
import { Budgets } from '../runtime/budget.ts';
import { Effects } from '../runtime/effect.ts';
import { Leader } from '../runtime/leader.ts';
import { Loop } from '../runtime/loop.ts';
import { type Gate, type Part, loopLag, manage } from '../runtime/manager.ts';
import type { AuditLog } from '../telemetry/audit.ts';
import type { AuditStream } from '../telemetry/audit-stream.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { AccessCache } from './access-cache.ts';
import { Auditors } from './telling/auditors.ts';
import { Causes } from './session/causes.ts';
import { Brakes } from './brakes.ts';
import { ClientTargets } from './client/targets.ts';
import { Creators } from './session/creators.ts';
import { Definitions } from './definitions.ts';
import type { EffectName } from './effect-names.ts';
import { keepGuard, startGuard } from './guard-part.ts';
import type { GuardKeeper } from './guard.ts';
import { HandIns } from './hand-ins.ts';
import { learnInstallation } from './installation.ts';
import { registerMachines } from './machines.ts';
import { Memory } from './memory.ts';
import { Observation } from './telling/observation.ts';
import { repeat } from './upkeep/periodic.ts';
import { PoolProviders, workersFor } from './pool-providers.ts';
import { ReferencedKeys, refersTo } from './referenced-keys.ts';
import { RefusedCalls } from './telling/refused-calls.ts';
import { Reporter } from './telling/reporter.ts';
import { Reviews } from './session/reviews.ts';
import type { SessionLimits } from './session/limits.ts';
import { Troubles } from './status/troubles.ts';
import { upkeep } from './upkeep/upkeep.ts';
import { Watches, logWatchFailure } from './watches.ts';
import { Wiring, machines } from './wiring.ts';

export interface OperatorOptions {
  readonly connection: ApiConnection;
  readonly namespace: string;
  /** Name of this process in the lease; unique per process. */
  readonly id: string;
  readonly clock: Clock;
  /** The wall clock of the machine, jumps and all; default: `clock`. */
  readonly wall?: () => Instant;
  readonly random: () => number;
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly audit: AuditLog;
  readonly auditStream: Pick<AuditStream, 'trouble' | 'waiting'>;
  readonly crash?: (name: string, moment: 'before' | 'after') => void;
}

/** The whole long-running role: builds memory, machines and loop, and runs them in order. */
export class Operator {
  readonly observation: Observation;
  readonly #auditors: Auditors;
  readonly #limits: SessionLimits;
  readonly #o: OperatorOptions;
  readonly #memory: Memory;
  readonly #keys: ReferencedKeys;
  readonly #providers: PoolProviders;
  readonly #handIns: HandIns;
  readonly #access: AccessCache;
  readonly #targets: ClientTargets;
  readonly #watches: Watches;
  readonly #definitions: Definitions;
  readonly #leader: Leader;
  readonly #loop: Loop;
  readonly #wiring: Wiring;
  readonly #guard: GuardKeeper;
  readonly #reporter: Reporter;
  readonly #effects: Effects<EffectName>;
  readonly #budgets: Budgets;
  readonly #troubles: Troubles;
  readonly #upkeep: readonly Part[];
  #configuration: Configuration;
  #wakeAs: 'Changed' | 'Check' = 'Changed';

  constructor(options: OperatorOptions) {
    const { connection, namespace, clock, random, logger, metrics, configuration } = options;
    this.#o = options;
    this.#definitions = new Definitions(options);
    this.#memory = new Memory(
      namespace,
      () => this.#watches.areCurrent && this.#leader.held(),
      (...report) => this.#reporter.listenerFailed(...report),
    );
    this.#configuration = configuration;
    this.#keys = new ReferencedKeys({
      readSecret: (name, signal) => readSecret(connection, { namespace, name }, signal),
      readConfigMap: (name, signal) => readConfigMap(connection, { namespace, name }, signal),
      changed: () => this.#useConfiguration(),
    });
    const awaitTurn = (issuer: string, signal: AbortSignal): Promise<void> =>
      this.#budgets.awaitTurn(resourceOf(issuer, 'tokens'), signal);
    this.#providers = new PoolProviders({ ...options, memory: this.#memory, keys: this.#keys, awaitTurn });
    this.#handIns = new HandIns({
      ...options,
      memory: this.#memory,
      readSecret: (name, signal) => readAnnotatedSecret(connection, { namespace, name }, signal),
      issuer: (url) => this.#providers.issuer(url),
      isConfigured: (ref) => refersTo(this.#configuration, ref),
      changed: (what) => this.#wiring.handedIn(what),
    });
    this.#access = new AccessCache(this.#memory, (issuer) => this.#providers.isConfigured(issuer));
    this.#targets = new ClientTargets(this.#memory);
    const causes = new Causes();
    this.#auditors = new Auditors(options.audit, this.#memory, clock);
    this.#leader = new Leader({
      ...options,
      lease: leaseAccess(connection, { namespace, name: leaseName }),
      onFailure: (error) => logger.warn('lease', { error }),
    });
    this.#effects = new Effects<EffectName>({
      clock,
      held: () => this.#leader.surelyHeld(),
      lost: this.#leader.lost,
      onEffect: (operation, outcome, took) =>
        metrics.observe('ci_identity_effect_seconds', { operation, outcome }, took / second),
      ...(options.crash === undefined ? {} : { crash: options.crash }),
    });
    this.#budgets = new Budgets({ clock, random, rateOf: (issuer) => this.#providers.rateOf(issuer), reservedShare });
    const events = new EventRecorder({
      connection,
      instance: options.id,
      onFailure: (error) => logger.debug('an event could not be written', { error }),
      onDrop: ({ reason }) => metrics.count('ci_identity_events_dropped_total', { reason }),
    });
    const refusedCalls = new RefusedCalls(clock);
    this.#reporter = new Reporter({ ...options, memory: this.#memory, events, refusedCalls });
    this.#loop = new Loop({
      clock,
      random,
      budgets: this.#budgets,
      workers: () => workersFor(this.#configuration.issuers.length),
      maxConcurrent,
      maxConsecutiveStarts,
      onDecision: (machine, key, decision, previousRow) => {
        this.#reporter.decision(machine, key, decision, previousRow);
        if (machine === machines.session) causes.decided(key, decision.row, clock.now());
        if (machine === machines.client && this.#loop.failure(machine, key)) this.#wiring.clientFailed(key);
      },
      onFailure: (machine, key, ...report) => {
        this.#reporter.failure(machine, key, ...report);
        this.#definitions.failed(report[1]);
        if (machine === machines.client) this.#wiring.clientFailed(key);
      },
      onWork: (machine, _row, outcome, took) => this.#reporter.worked(machine, outcome, took),
    });
    this.#wiring = new Wiring(this.#memory, this.#targets, namespace, (machine, key, why = this.#wakeAs) => {
      // A standby keeps its memory current and nothing else; what leads looks at everything first.
      if (this.#leader.held()) this.#loop.wake(machine, key, why);
    });
    this.#access.onChange((identity, policies) => this.#wiring.access(identity, policies));
    const creators = new Creators(this.#memory.namespaces, (namespaces) => this.#wiring.deferNamespaces(namespaces));
    this.#watches = new Watches({
      ...options,
      memory: this.#memory,
      onFailure: (watch, error) => logWatchFailure(logger, watch, error),
      onPodStore: (name, store) => {
        creators.connect(store);
        this.#wiring.podsOf(name, store);
      },
    });
    this.#troubles = new Troubles({ clock, budgets: this.#budgets, podWatches: this.#watches.pods });
    this.#guard = startGuard({
      ...options,
      memory: this.#memory,
      watches: this.#watches,
      now: () => instant(clock.now() + (connection.serverTime()?.offset ?? 0)),
      held: () => this.#leader.held(),
    });
    const parts = {
      ...options,
      memory: this.#memory,
      providers: this.#providers,
      handIns: this.#handIns,
      access: this.#access,
      targets: this.#targets,
      creators,
      reviews: new Reviews({ ask: (o, signal) => mayUse(connection, o, signal), clock }),
      brakes: new Brakes({ ...options, memory: this.#memory, targets: this.#targets }),
      guard: this.#guard,
      effects: this.#effects,
      reporter: this.#reporter,
      troubles: this.#troubles,
      causes,
      sessionAudit: this.#auditors.sessions,
      auditors: this.#auditors,
      events,
      definitions: this.#definitions,
      wiring: this.#wiring,
      epoch: () => this.#leader.epoch,
      installation: () => this.#memory.installation ?? '',
      configuration: () => this.#configuration,
    };
    this.observation = new Observation({
      ...parts,
      apiServerOffset: () => connection.serverTime()?.offset,
      watches: this.#watches,
      loop: this.#loop,
      leader: this.#leader,
      budgets: this.#budgets,
    });
    this.#limits = registerMachines(this.#loop, parts);
    this.#upkeep = upkeep({ ...parts, leader: this.#leader, resync: (signal) => this.#resync(signal) });
  }

  /** Runs until `stop` aborts (`Stopped`, the lease is released) or another process leads (`LostLease`: exit, never come back). */
  async run(stop: AbortSignal): Promise<'Stopped' | 'LostLease'> {
    const { clock, logger } = this.#o;
    this.#wiring.connect();
    // An administrator replaces referenced Secrets and CA bundles without telling us.
    const keys = { ...this.#o, what: 'credentials of issuers', period: 30 * second };
    const parts: readonly (Part | Gate)[] = [
      { name: 'definitions', ready: (signal) => this.#definitions.fit(signal) },
      { name: 'installation', ready: (signal) => learnInstallation({ ...this.#o, memory: this.#memory }, signal) },
      { name: 'watches', run: (signal) => this.#watches.run(signal), ready: (signal) => this.#watches.ready(signal) },
      {
        name: 'keys',
        run: (signal) => repeat(keys, signal, () => this.#keys.refresh(this.#configuration, signal)),
        ready: (signal) => this.#firstKeys(signal),
      },
      { name: 'lease', run: (signal) => this.#leader.run(signal), ready: () => this.#leader.acquired() },
      { name: 'current memory', ready: (signal) => this.#watches.catchUp(signal) },
      loopLag({ clock, limit: 10 * second }),
      { name: 'guard', run: (signal) => this.#keepGuard(signal) },
      ...this.#upkeep,
      { name: 'loop', run: (signal) => this.#lead(signal) },
    ];
    try {
      await manage(parts, { clock, stop });
      this.#auditors.end();
      return 'Stopped';
    } catch (error) {
      if (error instanceof LostLeaseError) {
        logger.error('this process no longer leads', { error });
        this.#auditors.leaseLost();
        return 'LostLease';
      }
      throw error;
    } finally {
      await this.#providers.close();
    }
  }

  #keepGuard(signal: AbortSignal): Promise<void> {
    const parts = { guard: this.#guard, watches: this.#watches, auditors: this.#auditors };
    return keepGuard({ ...this.#o, ...parts, changed: () => this.#wiring.everything() }, signal);
  }

  /** Looks at everything without calling it news, so that failures keep their back-off. */
  #resync(signal: AbortSignal): Promise<void> {
    this.#wakeAs = 'Check';
    this.#wiring.everything();
    this.#wakeAs = 'Changed';
    return this.#limits.forget(signal);
  }

  /** A new configuration takes force with the keys that it refers to, so that no issuer is called without its CA; then everything looks again. */
  async configure(configuration: Configuration): Promise<void> {
    this.#configuration = configuration;
    try {
      await this.#keys.refresh(configuration, AbortSignal.timeout(15 * second));
    } finally {
      this.#useConfiguration();
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    await this.#leader.raiseEpoch(this.#memory.highestEpoch() + 1, signal);
    this.#o.logger.info('leading', { epoch: this.#leader.epoch });
    this.#auditors.begin(this.#leader.epoch, this.#guard.current());
    this.#wiring.everything();
    await this.#loop.run(signal);
  }

  #useConfiguration(): void {
    this.#providers.configure(this.#configuration);
    this.#access.configurationChanged();
    this.#wiring.everything();
  }

  async #firstKeys(signal: AbortSignal): Promise<void> {
    const refreshed = this.#keys.refresh(this.#configuration, signal);
    await refreshed.catch((error: unknown) => this.#o.logger.warn('credentials of issuers', { error }));
  }
}
