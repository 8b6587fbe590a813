import type { Stop } from '../domain/access/access.ts';
import { stopOf, wayOf } from '../domain/access/stops.ts';
import type { AuditFacts, AuditLog } from '../telemetry/audit.ts';
import type { Memory } from './memory.ts';

/** Where a stop is, as an audit line names it. */
type Where = Pick<AuditFacts, 'pool' | 'namespace' | 'identity'>;

/**
 * Audit lines about stops that somebody set, gave another reason or lifted, whatever their source: break-glass has to be seen, however short it
 * was. What is in force when this process begins to lead is told once more, because nobody knows what was told before; what status still names
 * then and is not in force any more was lifted while nobody led.
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
    pools.onChange((pool, next, previous) =>
      this.#compare({ pool }, stopOf({ pool: next }), stopOf({ pool: previous }), next === undefined),
    );
    identities.onChange((_key, next, previous) => {
      const { namespace = '', name: identity = '' } = (next ?? previous)?.metadata ?? {};
      const [now, before] = [stopOf({ identity: next }), stopOf({ identity: previous })];
      this.#compare({ namespace, identity }, now, before, next === undefined);
    });
    namespaces.onChange((namespace, next, previous) =>
      this.#compare({ namespace }, stopOf({ namespace: next }), stopOf({ namespace: previous }), next === undefined),
    );
    // To delete it is to lift the stop.
    configMaps.onChange((_name, next, previous) => {
      const [now, before] = [next, previous].map((one) => stopOf({ configMap: one && memory.stopIn(one) }));
      this.#compare({}, now, before, false);
    });
  }

  /** This process leads from now on. */
  begin(): void {
    const inForce = this.#inForce();
    for (const [source, where] of inForce) this.#tell('Halted', source, where);
    const ways = new Set([...inForce.keys()].map(wayOf));
    for (const [source, where] of this.#shown()) if (!ways.has(wayOf(source))) this.#tell('Resumed', source, where);
  }

  #compare(where: Where, now: Stop | undefined, before: Stop | undefined, isGone: boolean): void {
    if (!this.#leads()) return;
    const [ways, old] = [byWay(now), byWay(before)];
    for (const [way, source] of ways) if (old.get(way) !== source) this.#tell('Halted', source, where);
    // Of what is gone nothing is resumed.
    if (isGone) return;
    for (const [way, source] of old) if (!ways.has(way)) this.#tell('Resumed', source, where);
  }

  #tell(event: 'Halted' | 'Resumed', source: string, where: Where): void {
    this.#audit.record({ event, outcome: 'Success', reason: 'Suspended', message: source, ...where });
  }

  #inForce(): ReadonlyMap<string, Where> {
    const { pools, identities, namespaces } = this.#memory;
    const found = new Map<string, Where>();
    const add = (stop: Stop | undefined, where: Where): void => {
      for (const source of stop?.sources ?? []) found.set(source, where);
    };
    add(stopOf({ configMap: this.#memory.emergencyStop() }), {});
    for (const [pool, object] of pools.entries()) add(stopOf({ pool: object }), { pool });
    for (const [namespace, object] of namespaces.entries()) add(stopOf({ namespace: object }), { namespace });
    for (const [, identity] of identities.entries()) {
      const { namespace = '', name } = identity.metadata;
      add(stopOf({ identity }), { namespace, identity: name });
    }
    return found;
  }

  /** What the leader before showed in status. Of a pool that is gone the identities still tell; its stop went with it. */
  #shown(): ReadonlyMap<string, Where> {
    const { pools, identities } = this.#memory;
    const shown = new Map<string, Where>();
    for (const [pool, { status }] of pools.entries())
      for (const source of status?.stoppedBy ?? []) shown.set(source, isOfAll(source) ? {} : { pool });
    for (const [, { metadata, status }] of identities.entries()) {
      const { namespace = '', name: identity } = metadata;
      for (const source of status?.stoppedBy ?? [])
        if (source.startsWith('Namespace ')) shown.set(source, { namespace });
        else if (source.startsWith('CiIdentity ')) shown.set(source, { namespace, identity });
    }
    return shown;
  }
}

function isOfAll(source: string): boolean {
  return source.startsWith('ConfigMap ');
}

function byWay(stop: Stop | undefined): ReadonlyMap<string, string> {
  return new Map((stop?.sources ?? []).map((source) => [wayOf(source), source]));
}
