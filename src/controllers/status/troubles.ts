import type { Reason } from '../../api/reasons.ts';
import { type Clock, type Instant, type Milliseconds, second } from '../../clock.ts';
import { resourceOf } from '../../domain/circuits.ts';
import { OperatorError } from '../../errors.ts';
import { type Budgets, type CircuitHealth, budgetOf } from '../../runtime/budget.ts';
import type { PartyTrouble } from '../../runtime/parties.ts';
import type { ReflectorHealth } from '../../runtime/reflector.ts';
import type { PodWatches } from '../pod-watches.ts';

/** What keeps everybody, or one client, from the tokens of one issuer. */
export interface Outage {
  readonly reason: Reason;
  readonly message: string;
  readonly since: Instant;
  /** The provider asked for a pause of more than a minute, until then. */
  readonly nextTry?: Instant;
}

/** What keeps every pod of one namespace from its tokens. */
export type NamespaceTrouble = Pick<Outage, 'reason' | 'message'>;

export interface TroublesOptions {
  readonly clock: Clock;
  readonly budgets: Pick<Budgets, 'health' | 'troubles' | 'troubleOf' | 'partiesInTrouble'>;
  readonly podWatches: Pick<PodWatches, 'health' | 'healthOf'>;
}

/** Hiccups are shorter; telling them would only make statuses flicker. */
const worthTelling: Milliseconds = 5 * second;

/** Refusals of a delivery that the next Secret of the same namespace meets as well. */
const ofTheNamespace: readonly Reason[] = ['ApiForbidden', 'QuotaExceeded'];

/**
 * Troubles that are bigger than one session: the pools of an issuer or the identities of a namespace tell them, once, instead of everybody
 * who meets them. In memory only: a new process meets them anew.
 */
export class Troubles {
  readonly #o: TroublesOptions;
  readonly #refused = new Map<string, NamespaceTrouble>();
  #told: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: TroublesOptions) {
    this.#o = options;
  }

  /** Minting fails for this client, and has for a while: for it alone, or for everybody who uses this issuer. */
  outage(issuer: string, client: string): Outage | undefined {
    const { budgets } = this.#o;
    const resource = resourceOf(issuer, 'tokens');
    const health = budgets.health(resource);
    const paused = this.#ofCircuit(health);
    const own = budgets.troubleOf(resource, client);
    if (own !== undefined && (paused !== undefined || this.#isItsOwn(own))) {
      const { reason, message, since } = own;
      return { reason, message, since, ...nextTryOf(own.pausedUntil === undefined ? health : own) };
    }
    return health.isEverybodys === true ? paused : undefined;
  }

  /** Whoever minted last at this issuer failed, and nobody has tried since: somebody has to. */
  arePaused(issuer: string): boolean {
    return this.#isPaused(resourceOf(issuer, 'tokens'));
  }

  /** Nothing can be revoked at this issuer, and could not for a while. */
  revocationsPaused(issuer: string): boolean {
    return this.#isPaused(resourceOf(issuer, 'revocations'));
  }

  /** The API server lets us see no pods there, or write no Secrets. */
  ofNamespace(namespace: string): NamespaceTrouble | undefined {
    const watch = this.#o.podWatches.healthOf(namespace);
    return (watch && this.#ofWatch(watch)) ?? this.#refused.get(namespace);
  }

  /** What became of the last delivery into a namespace; `error` absent: it was written. */
  delivered(namespace: string, error?: unknown): void {
    if (error === undefined) this.#refused.delete(namespace);
    if (!(error instanceof OperatorError) || !ofTheNamespace.includes(error.reason)) return;
    this.#refused.set(namespace, { reason: error.reason, message: error.message });
  }

  /** Issuers and namespaces that have another trouble than at the last call, or none any more. */
  changed(): { readonly issuers: readonly string[]; readonly namespaces: readonly string[] } {
    this.#forgetUnwatched();
    const now = new Map<string, string | undefined>([
      ...this.#issuers().map((issuer) => [`issuer ${issuer}`, JSON.stringify(this.#ofIssuer(issuer))] as const),
      ...this.#namespaces().map(([name, trouble]) => [`namespace ${name}`, JSON.stringify(trouble)] as const),
    ]);
    const names = [...new Set([...now.keys(), ...this.#told.keys()])];
    const news = names.filter((name) => now.get(name) !== this.#told.get(name));
    this.#told = now;
    const of = (kind: string): readonly string[] =>
      news.flatMap((name) => (name.startsWith(`${kind} `) ? [name.slice(kind.length + 1)] : []));
    return { issuers: of('issuer'), namespaces: of('namespace') };
  }

  /** A namespace that went or opted out has no trouble any more, and one that takes its name begins without. */
  #forgetUnwatched(): void {
    const watched = new Set(this.#o.podWatches.health().map(([name]) => name));
    for (const name of this.#refused.keys()) if (!watched.has(name)) this.#refused.delete(name);
  }

  #namespaces(): readonly (readonly [string, NamespaceTrouble])[] {
    const unseen = this.#o.podWatches.health().flatMap(([name, health]) => {
      const trouble = this.#ofWatch(health);
      return trouble === undefined ? [] : [[name, trouble] as const];
    });
    return [...new Map([...this.#refused, ...unseen])];
  }

  /** Others may be served meanwhile. One of thousands that has to wait a moment for its turn again and again is in no trouble. */
  #isItsOwn({ attempts, reason, since, pausedUntil }: PartyTrouble): boolean {
    return (pausedUntil !== undefined || (attempts > 1 && reason !== 'RateLimited')) && this.#isOld(since);
  }

  #issuers(): readonly string[] {
    const { budgets } = this.#o;
    const resources = [...budgets.troubles(), ...budgets.partiesInTrouble()].map(([resource]) => resource);
    return [...new Set(resources.map(budgetOf))];
  }

  /** All that is told of it, by whomever. */
  #ofIssuer(issuer: string): unknown {
    const { budgets } = this.#o;
    const clients = [...budgets.partiesInTrouble()].flatMap(([resource, client]) =>
      resource === resourceOf(issuer, 'tokens') ? [client] : [],
    );
    return [this.arePaused(issuer), this.outage(issuer, ''), ...clients.map((one) => this.outage(issuer, one) ?? null)];
  }

  #isPaused(resource: string): boolean {
    return this.#ofCircuit(this.#o.budgets.health(resource)) !== undefined;
  }

  #ofCircuit(health: CircuitHealth): Outage | undefined {
    const { up, since, reason, message } = health;
    const isKnown = !up && since !== undefined && reason !== undefined && message !== undefined;
    return isKnown && this.#isOld(since) ? { reason, message, since, ...nextTryOf(health) } : undefined;
  }

  #ofWatch({ failingSince, reason, message }: ReflectorHealth): NamespaceTrouble | undefined {
    const isKnown = failingSince !== undefined && reason !== undefined && message !== undefined;
    return isKnown && reason === 'ApiForbidden' && this.#isOld(failingSince) ? { reason, message } : undefined;
  }

  #isOld(since: Instant): boolean {
    return this.#o.clock.now() - since >= worthTelling;
  }
}

function nextTryOf({ pausedUntil }: Pick<CircuitHealth, 'pausedUntil'>): Pick<Outage, 'nextTry'> {
  return pausedUntil === undefined ? {} : { nextTry: pausedUntil };
}
