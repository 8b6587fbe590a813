/** The sides of the long-running role, each built of what it needs and nothing else: providers, telling, leading, the loop, restraints. */
import { leaseName } from '../api/names.ts';
import { type Clock, type Instant, type Milliseconds, instant, second } from '../clock.ts';
import type { Configuration } from '../config.ts';
import { resourceOf } from '../domain/circuits.ts';
import { maxConcurrent, maxConsecutiveStarts, reservedShare } from '../domain/lanes.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { EventRecorder } from '../kube/events.ts';
import { readAnnotatedSecret, readConfigMap, readSecret } from '../kube/keys.ts';
import { leaseAccess } from '../kube/leases.ts';
import { mayUse } from '../kube/reviews.ts';
import { Budgets } from '../runtime/budget.ts';
import { Effects } from '../runtime/effect.ts';
import { Leader } from '../runtime/leader.ts';
import { Loop } from '../runtime/loop.ts';
import type { AuditStream } from '../telemetry/audit-stream.ts';
import type { AuditLog } from '../telemetry/audit.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { AccessCache } from './access-cache.ts';
import { Brakes } from './brakes.ts';
import type { ClientTargets } from './client/targets.ts';
import type { Definitions } from './definitions.ts';
import type { EffectName } from './effect-names.ts';
import { startGuard } from './guard-part.ts';
import type { GuardKeeper } from './guard.ts';
import { HandIns, type HandInsOptions } from './hand-ins.ts';
import { machines } from './machine-names.ts';
import type { Memory } from './memory.ts';
import { PoolProviders, workersFor } from './pool-providers.ts';
import { ReferencedKeys, refersTo } from './referenced-keys.ts';
import { Causes } from './session/causes.ts';
import { Creators } from './session/creators.ts';
import { Reviews } from './session/reviews.ts';
import { Troubles } from './status/troubles.ts';
import { Auditors } from './telling/auditors.ts';
import { RefusedCalls } from './telling/refused-calls.ts';
import { Reporter } from './telling/reporter.ts';
import { Watches, logWatchFailure } from './watches.ts';
import { Wiring } from './wiring.ts';

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

/** What the parts ask of the role that they make up. */
export interface Role {
  /** The one that is in force. */
  configuration(): Configuration;
  /** What the keys say that the configuration refers to is other than before. */
  keysChanged(): void;
  /** What a wake is at this moment, unless it says so itself. */
  wakesAs(): 'Changed' | 'Check';
  /** Looks at everything without calling it news, so that failures keep their back-off. */
  resync(signal: AbortSignal): Promise<void>;
}

/** Which providers there are, what may be spent at them, and what each identity may have from them. */
export interface ProviderSide {
  readonly keys: ReferencedKeys;
  readonly budgets: Budgets;
  readonly providers: PoolProviders;
  readonly handIns: HandIns;
  readonly access: AccessCache;
}

/** Who tells people what was decided and what came of it. */
export interface TellingSide {
  readonly auditors: Auditors;
  readonly events: EventRecorder;
  readonly refusedCalls: RefusedCalls;
  readonly reporter: Reporter;
}

/** Who may act: the lease, and the calls that only its holder makes. */
export interface Leading {
  readonly leader: Leader;
  readonly effects: Effects<EffectName>;
}

/** What is seen, and the loop that looks at what it concerns. */
export interface LoopSide {
  readonly causes: Causes;
  readonly loop: Loop;
  readonly wiring: Wiring;
  readonly creators: Creators;
  readonly watches: Watches;
}

/** What may hold an action up: admission policies that are not whole, mass changes, rights that somebody lost, outages. */
export interface Restraints {
  readonly guard: GuardKeeper;
  readonly brakes: Brakes;
  readonly reviews: Reviews;
  readonly troubles: Troubles;
}

interface RestraintNeeds {
  readonly memory: Memory;
  readonly targets: ClientTargets;
  readonly budgets: Budgets;
  readonly watches: Watches;
  readonly leader: Leader;
  /** How far the API server's clock is ahead of ours. */
  readonly apiServerOffset: () => Milliseconds | undefined;
}

interface LoopNeeds {
  readonly memory: Memory;
  readonly definitions: Pick<Definitions, 'failed'>;
  readonly targets: ClientTargets;
  readonly budgets: Budgets;
  readonly access: AccessCache;
  readonly reporter: Reporter;
  readonly leader: Leader;
}

export function providersOf(
  { connection, namespace, clock, random, configuration, metrics }: OperatorOptions,
  role: Role,
  memory: Memory,
  handedIn: HandInsOptions['changed'],
): ProviderSide {
  const keys = new ReferencedKeys({
    readSecret: (name, signal) => readSecret(connection, { namespace, name }, signal),
    readConfigMap: (name, signal) => readConfigMap(connection, { namespace, name }, signal),
    changed: () => role.keysChanged(),
  });
  const awaitTurn = (issuer: string, signal: AbortSignal): Promise<void> =>
    budgets.awaitTurn(resourceOf(issuer, 'tokens'), signal);
  const providers = new PoolProviders({ memory, keys, clock, random, configuration, metrics, awaitTurn });
  const budgets = new Budgets({ clock, random, rateOf: (issuer) => providers.rateOf(issuer), reservedShare });
  const handIns = new HandIns({
    memory,
    namespace,
    clock,
    readSecret: (name, signal) => readAnnotatedSecret(connection, { namespace, name }, signal),
    issuer: (url) => providers.issuer(url),
    isConfigured: (ref) => refersTo(role.configuration(), ref),
    changed: handedIn,
  });
  const access = new AccessCache(memory, (issuer) => providers.isConfigured(issuer));
  return { keys, budgets, providers, handIns, access };
}

export function tellingOf(
  { connection, id, clock, logger, metrics, audit }: OperatorOptions,
  memory: Memory,
): TellingSide {
  const auditors = new Auditors(audit, memory, clock);
  const events = new EventRecorder({
    connection,
    instance: id,
    onFailure: (error) => logger.debug('an event could not be written', { error }),
    onDrop: ({ reason }) => metrics.count('ci_identity_events_dropped_total', { reason }),
  });
  const refusedCalls = new RefusedCalls(clock);
  const reporter = new Reporter({ memory, events, logger, metrics, refusedCalls });
  return { auditors, events, refusedCalls, reporter };
}

export function leadingOf({
  connection,
  namespace,
  id,
  clock,
  wall,
  random,
  logger,
  metrics,
  crash,
}: OperatorOptions): Leading {
  const leader = new Leader({
    id,
    lease: leaseAccess(connection, { namespace, name: leaseName }),
    clock,
    ...(wall === undefined ? {} : { wall }),
    random,
    onFailure: (error) => logger.warn('lease', { error }),
  });
  const effects = new Effects<EffectName>({
    clock,
    held: () => leader.surelyHeld(),
    lost: leader.lost,
    onEffect: (operation, outcome, took) =>
      metrics.observe('ci_identity_effect_seconds', { operation, outcome }, took / second),
    ...(crash === undefined ? {} : { crash }),
  });
  return { leader, effects };
}

export function loopOf(
  { connection, namespace, clock, random, logger }: OperatorOptions,
  role: Role,
  { memory, definitions, targets, budgets, access, reporter, leader }: LoopNeeds,
): LoopSide {
  const causes = new Causes();
  const loop: Loop = new Loop({
    clock,
    random,
    budgets,
    workers: () => workersFor(role.configuration().issuers.length),
    maxConcurrent,
    maxConsecutiveStarts,
    onDecision: (machine, key, decision, previousRow) => {
      reporter.decision(machine, key, decision, previousRow);
      if (machine === machines.session) causes.decided(key, decision.row, clock.now());
      if (machine === machines.client && loop.failure(machine, key)) wiring.clientFailed(key);
    },
    onFailure: (machine, key, ...report) => {
      reporter.failure(machine, key, ...report);
      definitions.failed(report[1]);
      if (machine === machines.client) wiring.clientFailed(key);
    },
    onWork: (machine, _row, outcome, took) => reporter.worked(machine, outcome, took),
  });
  const wiring = new Wiring(memory, targets, namespace, (machine, key, why = role.wakesAs()) => {
    // A standby keeps its memory current and nothing else; what leads looks at everything first.
    if (leader.held()) loop.wake(machine, key, why);
  });
  access.onChange((identity, policies) => wiring.access(identity, policies));
  const creators = new Creators(memory.namespaces, (namespaces) => wiring.deferred.namespaces(namespaces));
  const watches = new Watches({
    connection,
    memory,
    namespace,
    clock,
    random,
    onFailure: (watch, error) => logWatchFailure(logger, watch, error),
    onPodStore: (name, store) => {
      creators.connect(store);
      wiring.podsOf(name, store);
    },
  });
  return { causes, loop, wiring, creators, watches };
}

export function restraintsOf(
  { connection, namespace, clock }: OperatorOptions,
  { memory, targets, budgets, watches, leader, apiServerOffset }: RestraintNeeds,
): Restraints {
  const guard = startGuard({
    connection,
    memory,
    namespace,
    watches,
    now: () => instant(clock.now() + (apiServerOffset() ?? 0)),
    held: () => leader.held(),
  });
  const brakes = new Brakes({ memory, targets, namespace, clock });
  const reviews = new Reviews({ ask: (review, signal) => mayUse(connection, review, signal), clock });
  const troubles = new Troubles({ clock, budgets, podWatches: watches.pods });
  return { guard, brakes, reviews, troubles };
}
