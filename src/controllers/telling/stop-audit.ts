import type { Reason } from '../../api/reasons.ts';
import type { Stop, StopSource } from '../../domain/access/access.ts';
import { sourceFromWords, sourceInWords, stopOf, wayOf } from '../../domain/access/stops.ts';
import type { AuditFacts, AuditLog } from '../../telemetry/audit.ts';
import type { Memory } from '../memory.ts';

/** Why a stop ended with the object that it was on. */
const gone: Readonly<Record<StopSource['kind'], Reason>> = {
  // To delete it is to lift the stop.
  ConfigMap: 'Suspended',
  IdentityPool: 'PoolMissing',
  Namespace: 'NamespaceLeaving',
  CiIdentity: 'IdentityGone',
};

/**
 * Audit lines about stops that somebody set, gave another reason or lifted, or that ended with their object, whatever their source: break-glass has
 * to be seen, however short it was. What is in force when this process begins to lead is told once more, because nobody knows what was told before;
 * what status still names then and is not in force any more ended while nobody led.
 */
export class StopAudit {
  readonly #memory: Memory;
  readonly #audit: AuditLog;
  readonly #leads: () => boolean;

  constructor(memory: Memory, audit: AuditLog, leads: () => boolean) {
    this.#memory = memory;
    this.#audit = audit;
    this.#leads = leads;
    const { pools, identities, namespaces, configMaps } = memory;
    pools.onChange((_name, next, previous) => this.#compare(stopOf({ pool: next }), stopOf({ pool: previous }), next));
    identities.onChange((_key, next, previous) =>
      this.#compare(stopOf({ identity: next }), stopOf({ identity: previous }), next),
    );
    namespaces.onChange((_name, next, previous) =>
      this.#compare(stopOf({ namespace: next }), stopOf({ namespace: previous }), next),
    );
    configMaps.onChange((_name, next, previous) => {
      const [now, before] = [next, previous].map((one) => stopOf({ configMap: one && memory.stopIn(one) }));
      this.#compare(now, before, next);
    });
  }

  /** This process leads from now on. */
  begin(): void {
    const inForce = byWay(this.#inForce());
    for (const source of inForce.values()) this.#tell('Halted', source, 'Suspended');
    for (const [way, source] of byWay(this.#shown()))
      if (!inForce.has(way)) this.#tell('Resumed', source, this.#isGone(source) ? gone[source.kind] : 'Suspended');
  }

  #compare(now: Stop | undefined, before: Stop | undefined, object: unknown): void {
    if (!this.#leads()) return;
    const [next, old] = [byWay(now?.sources ?? []), byWay(before?.sources ?? [])];
    for (const [way, source] of next)
      if (old.get(way)?.reason !== source.reason || !old.has(way)) this.#tell('Halted', source, 'Suspended');
    for (const [way, source] of old)
      if (!next.has(way)) this.#tell('Resumed', source, object === undefined ? gone[source.kind] : 'Suspended');
  }

  #tell(event: 'Halted' | 'Resumed', source: StopSource, reason: Reason): void {
    this.#audit.record({ event, outcome: 'Success', reason, message: sourceInWords(source), ...whereOf(source) });
  }

  #inForce(): readonly StopSource[] {
    const { pools, identities, namespaces } = this.#memory;
    const stops = [
      stopOf({ configMap: this.#memory.emergencyStop() }),
      ...[...pools.entries()].map(([, pool]) => stopOf({ pool })),
      ...[...namespaces.entries()].map(([, namespace]) => stopOf({ namespace })),
      ...[...identities.entries()].map(([, identity]) => stopOf({ identity })),
    ];
    return stops.flatMap((stop) => stop?.sources ?? []);
  }

  /** What the leader before showed in status; of a pool that is gone its identities still tell. */
  #shown(): readonly StopSource[] {
    const { pools, identities } = this.#memory;
    const told = [...pools.entries(), ...identities.entries()].flatMap(([, { status }]) => status?.stoppedBy ?? []);
    return told.flatMap((words) => sourceFromWords(words) ?? []);
  }

  /** Of a stop that the status of something else still tells. */
  #isGone({ kind, name }: StopSource): boolean {
    const { pools, namespaces } = this.#memory;
    return (kind === 'IdentityPool' && !pools.get(name)) || (kind === 'Namespace' && !namespaces.get(name));
  }
}

function byWay(sources: readonly StopSource[]): ReadonlyMap<string, StopSource> {
  return new Map(sources.map((source) => [wayOf(source), source]));
}

/** Where a stop is, as an audit line names it; that of everybody is nowhere. */
function whereOf({ kind, namespace, name }: StopSource): Pick<AuditFacts, 'pool' | 'namespace' | 'identity'> {
  switch (kind) {
    case 'ConfigMap':
      return {};
    case 'IdentityPool':
      return { pool: name };
    case 'Namespace':
      return { namespace: name };
    case 'CiIdentity':
      return { ...(namespace === undefined ? {} : { namespace }), identity: name };
  }
}
