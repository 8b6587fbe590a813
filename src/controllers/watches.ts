import { type Clock, type Milliseconds, plus, second } from '../clock.ts';
import { limitsCodec } from '../domain/access/limits.ts';
import { clientCodec } from '../domain/client/record-codec.ts';
import { sessionCodec } from '../domain/session/record-codec.ts';
import type { ApiConnection } from '../kube/connection.ts';
import type { AdmissionObject } from '../kube/trim.ts';
import {
  admissionKinds,
  admissionObjects,
  ciIdentities,
  emergencyStops,
  identityPools,
  namespaces,
  nodes,
  pods,
  records,
  scopePolicies,
} from '../kube/watches.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { follow } from '../runtime/abort.ts';
import { catchUp } from '../runtime/catch-up.ts';
import { IdleError } from '../runtime/idle.ts';
import { Reflector, type ReflectorHealth } from '../runtime/reflector.ts';
import { type Source, VersionExpiredError } from '../runtime/source.ts';
import type { Kept, Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Memory, isServed } from './memory.ts';
import { PodWatches } from './pod-watches.ts';
import { indexPods } from './wiring.ts';

export interface WatchesOptions {
  readonly connection: ApiConnection;
  readonly memory: Memory;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onFailure: (watch: string, error: unknown) => void;
  /** A pod store begins: connect whoever wants to know of its changes. */
  readonly onPodStore: (namespace: string, store: Store<PodFacts>) => void;
}

/**
 * Silence and an expired version are ordinary: of a kind that never changed the API server has no bookmark to send, and versions grow old. The
 * watch begins anew by itself.
 */
export function logWatchFailure(logger: Logger, watch: string, error: unknown): void {
  if (error instanceof IdleError || error instanceof VersionExpiredError)
    logger.info('watch begins anew', { watch, why: error.message });
  else logger.warn('watch', { watch, error });
}

/** So long nobody leads for the sake of pods that have not been read, or of a watch that may be silent. */
const maxWait: Milliseconds = 10 * second;

const mayBeSilent = 'it may be silent: what it told counts as unknown until it is read again';

type CatchUp = (signal: AbortSignal) => Promise<boolean>;

/** Every watch of the program: starts them, and says how they are. */
export class Watches {
  readonly admission = new Map<keyof typeof admissionKinds, Store<AdmissionObject>>();
  readonly pods: PodWatches;
  readonly #o: WatchesOptions;
  readonly #reflectors: {
    readonly name: string;
    readonly run: (signal: AbortSignal) => Promise<void>;
    readonly health: () => ReflectorHealth;
    readonly catchUp: CatchUp;
  }[] = [];
  #areCurrent = false;

  constructor(options: WatchesOptions) {
    this.#o = options;
    const { connection, memory, namespace } = options;
    this.#add(
      'identitypools',
      identityPools(connection, (goes) => (memory.poolKindGoes = goes)),
      memory.pools,
    );
    this.#add('scopepolicies', scopePolicies(connection), memory.policies);
    this.#add(
      'ciidentities',
      ciIdentities(connection, (kind) => (memory.identityKind = kind)),
      memory.identities,
    );
    this.#add('namespaces', namespaces(connection), memory.namespaces);
    this.#add('nodes', nodes(connection), memory.nodes);
    this.#add('emergency-stop', emergencyStops(connection, namespace), memory.configMaps);
    this.#add('client-records', records(connection, { kind: 'client', namespace, codec: clientCodec }), memory.clients);
    this.#add(
      'session-records',
      records(connection, { kind: 'session', namespace, codec: sessionCodec }),
      memory.sessions,
    );
    this.#add('limits-records', records(connection, { kind: 'limits', namespace, codec: limitsCodec }), memory.limits);
    for (const kind of Object.keys(admissionKinds) as (keyof typeof admissionKinds)[]) {
      const store = memory.newStore<AdmissionObject>(kind);
      this.admission.set(kind, store);
      this.#add(kind, admissionObjects(connection, kind), store);
    }
    this.pods = new PodWatches({
      memory,
      reflector: (name, store) => this.#reflector(`pods/${name}`, pods(connection, name), store),
      prepare: (name, store) => {
        indexPods(store);
        options.onPodStore(name, store);
      },
    });
    memory.namespaces.onChange((name, next) => {
      if (next !== undefined && isServed(next)) this.pods.start(name);
      else this.pods.end(name);
    });
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#reflectors.map(({ run }) => run(signal)));
    this.pods.endAll();
  }

  /** Without the pods of namespaces: whoever labels one without its RoleBinding must not make every replica unready. */
  coreHealth(): readonly (readonly [string, ReflectorHealth])[] {
    return this.#reflectors.map(({ name, health }) => [name, health()] as const);
  }

  podHealth(): readonly (readonly [string, ReflectorHealth])[] {
    return this.pods.health().map(([namespace, health]) => [`pods/${namespace}`, health] as const);
  }

  /**
   * Resolves when everything but pods has been read completely once, and pods as well where that takes seconds only: what is decided from half
   * of them is decided, and written into statuses, again. A namespace that cannot be read holds up nobody.
   */
  async ready(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    const pause = (): Promise<void> => clock.sleepUntil(plus(clock.now(), 20), signal);
    while (!signal.aborted && !this.#synced()) await pause();
    const until = clock.monotonic() + maxWait;
    while (!signal.aborted && !this.pods.tried() && clock.monotonic() < until) await pause();
  }

  /** {@link catchUp} is over: what comes now was done while this process led. */
  get areCurrent(): boolean {
    return this.#areCurrent;
  }

  /**
   * Resolves when memory holds all that others stored until now, or counts it as unknown. Whoever begins to lead would otherwise act on what a
   * watch that fell silent has not told: write tokens into builds that the leader before has revoked, and give new ones to pods that have ended.
   */
  async catchUp(signal: AbortSignal): Promise<void> {
    const { clock, onFailure } = this.#o;
    const { controller, release } = follow(signal);
    const late = clock.sleepUntil(plus(clock.now(), maxWait), controller.signal);
    void late.then(() => controller.abort());
    const pods = this.pods.reflectors().map(([name, reflector]) => ({
      name: `pods/${name}`,
      catchUp: (over: AbortSignal) => catchUp(reflector, clock, over),
    }));
    const all: readonly { readonly name: string; readonly catchUp: CatchUp }[] = [...this.#reflectors, ...pods];
    const told = all.map(async (reflector) => {
      const isCurrent = await reflector.catchUp(controller.signal);
      if (!isCurrent && !signal.aborted) onFailure(reflector.name, new Error(mayBeSilent));
    });
    await Promise.all(told);
    controller.abort();
    release();
    this.#areCurrent = true;
  }

  #synced(): boolean {
    return this.#reflectors.every(({ health }) => health().synced);
  }

  #add<T extends Kept>(name: string, source: Source<T>, store: Store<T>): void {
    const reflector = this.#reflector(name, source, store);
    this.#reflectors.push({
      name,
      run: (signal) => reflector.run(signal),
      health: () => reflector.health(),
      catchUp: (signal) => catchUp(reflector, this.#o.clock, signal),
    });
  }

  #reflector<T extends Kept>(name: string, source: Source<T>, store: Store<T>): Reflector<T> {
    const { clock, random, onFailure } = this.#o;
    return new Reflector({ name, source, store, clock, random, onFailure: (error) => onFailure(name, error) });
  }
}
