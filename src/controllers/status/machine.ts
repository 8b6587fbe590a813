import type { Condition } from '../../api/meta.ts';
import { poolFinalizer } from '../../api/names.ts';
import type { CiIdentityStatus } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPoolStatus } from '../../api/v1alpha1/identity-pool.ts';
import type { ScopePolicyStatus } from '../../api/v1alpha1/scope-policy.ts';
import type { Clock, Instant } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { changeToTell } from '../../domain/status/changes.ts';
import type { StatusAction, StatusFacts } from '../../domain/status/decision.ts';
import { decideIdentity } from '../../domain/status/identity.ts';
import type { IdentityFacts } from '../../domain/status/identity-facts.ts';
import { type PolicyFacts, decidePolicy } from '../../domain/status/policy.ts';
import { decidePool } from '../../domain/status/pool.ts';
import type { PoolFacts } from '../../domain/status/pool-facts.ts';
import type { ApiConnection } from '../../kube/connection.ts';
import { addFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { type Kind, kinds } from '../../kube/resources.ts';
import { writeStatus } from '../../kube/status.ts';
import type { Resource } from '../../kube/trim.ts';
import type { Effects } from '../../runtime/effect.ts';
import type { Machine } from '../../runtime/machine.ts';
import type { Store } from '../../runtime/store.ts';
import { deadlines } from '../deadlines.ts';
import { type EffectName, type ProjectionEffects, statusEffects } from '../effect-names.ts';
import type { Reporter } from '../telling/reporter.ts';
import { type StatusSources, identityFacts, policyFacts, poolFacts } from './facts.ts';

export interface ProjectionParts {
  readonly connection: ApiConnection;
  readonly sources: StatusSources;
  readonly effects: Effects<EffectName>;
  readonly reporter: Reporter;
  readonly clock: Clock;
}

type WithConditions = { readonly conditions?: readonly Condition[] };

interface Projection<Spec, Status extends WithConditions, Facts> {
  readonly name: string;
  readonly kind: Kind;
  readonly store: Store<Resource<Spec, Status>>;
  readonly effects: ProjectionEffects;
  readonly canWait?: boolean;
  /** Its first status may wait for what can be said soon: since when it does is remembered. */
  readonly firstWaits?: boolean;
  facts(key: string, times: StatusFacts): Facts | undefined;
  decide(facts: Facts, now: Instant): Decision<StatusAction<Status>>;
}

export function poolMachine(parts: ProjectionParts): Machine<PoolFacts, StatusAction<IdentityPoolStatus>> {
  return new StatusMachine(parts, {
    name: 'pool',
    kind: kinds.identityPools,
    store: parts.sources.memory.pools,
    effects: statusEffects.pool,
    firstWaits: true,
    facts: (key, times) => poolFacts(parts.sources, key, times),
    decide: decidePool,
  });
}

export function policyMachine(parts: ProjectionParts): Machine<PolicyFacts, StatusAction<ScopePolicyStatus>> {
  return new StatusMachine(parts, {
    name: 'policy',
    kind: kinds.scopePolicies,
    store: parts.sources.memory.policies,
    effects: statusEffects.policy,
    // It counts the identities, which are judged before.
    canWait: true,
    facts: (key, times) => policyFacts(parts.sources, key, times),
    decide: decidePolicy,
  });
}

export function identityMachine(parts: ProjectionParts): Machine<IdentityFacts, StatusAction<CiIdentityStatus>> {
  return new StatusMachine(parts, {
    name: 'identity',
    kind: kinds.ciIdentities,
    store: parts.sources.memory.identities,
    effects: statusEffects.identity,
    // There may be ten thousand of them, and nothing but people waits for what they say.
    canWait: true,
    facts: (key, times) => identityFacts(parts.sources, key, times),
    decide: decideIdentity,
  });
}

/** A projection: facts → status, written when it says something new. Nothing ever reads it back as an input. */
class StatusMachine<Spec, Status extends WithConditions, Facts extends object> implements Machine<
  Facts,
  StatusAction<Status>
> {
  readonly name: string;
  readonly canWait: boolean;
  readonly #parts: ProjectionParts;
  readonly #projection: Projection<Spec, Status, Facts>;
  readonly #times = new Map<string, StatusFacts>();

  constructor(parts: ProjectionParts, projection: Projection<Spec, Status, Facts>) {
    this.name = projection.name;
    this.canWait = projection.canWait === true;
    this.#parts = parts;
    this.#projection = projection;
  }

  snapshot(key: string): Facts | undefined {
    const first = this.#projection.firstWaits === true ? { seenAt: this.#parts.clock.now() } : {};
    const times = this.#times.get(key) ?? first;
    const facts = this.#projection.facts(key, times);
    if (facts === undefined) this.#times.delete(key);
    else if (times.seenAt !== undefined) this.#times.set(key, times);
    return facts;
  }

  decide(facts: Facts, now: Instant): Decision<StatusAction<Status>> {
    return this.#projection.decide(facts, now);
  }

  async apply(
    key: string,
    _facts: Facts,
    { action }: Decision<StatusAction<Status>> & { readonly action: StatusAction<Status> },
    signal: AbortSignal,
  ): Promise<void> {
    const { store, kind, name, effects: projected } = this.#projection;
    const known = store.get(key);
    if (known === undefined) return;
    const { connection, effects } = this.#parts;
    const effect = projected[action.type];
    if (effect === undefined) throw new Error(`the projection ${name} has no effect ${action.type}`);
    const next = await effects.run(effect, { deadline: deadlines.apiWrite, signal }, async (bounded) => {
      if (action.type === 'AddFinalizer') return addFinalizer(connection, kind, known, poolFinalizer, bounded);
      if (action.type === 'RemoveFinalizer') return removeFinalizer(connection, kind, known, poolFinalizer, bounded);
      return writeStatus(connection, kind, known, action.status, bounded);
    });
    this.#times.set(key, { ...this.#times.get(key), writtenAt: this.#parts.clock.now() });
    if (action.type === 'WriteStatus') this.#tell(known, action.status);
    if (next !== undefined) store.put(key, next);
  }

  /** One event for each change of the summary or of whether the provider lets us in: where both change, for the one that names the cause. */
  #tell(known: Resource<Spec, Status>, status: Status): void {
    const { apiVersion, kind, uid, metadata } = known;
    const { name, namespace } = metadata;
    const regarding = { apiVersion, kind, uid, name, ...(namespace === undefined ? {} : { namespace }) };
    const told = changeToTell(known.status?.conditions ?? [], status.conditions ?? []);
    if (told !== undefined)
      this.#parts.reporter.readyChanged(regarding, told.status === 'True', told.reason, told.message);
  }
}
