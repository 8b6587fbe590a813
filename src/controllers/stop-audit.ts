import { stopOf } from '../domain/access/stops.ts';
import type { AuditFacts, AuditLog } from '../telemetry/audit.ts';
import type { Memory } from './memory.ts';

/** Where a stop is, as an audit line names it. */
type Where = Pick<AuditFacts, 'pool' | 'namespace' | 'identity'>;

/**
 * Audit lines about stops that somebody set or lifted, whatever their source: break-glass has to be seen. What is in force when this process
 * begins to lead is told once more, because nobody knows what was told before.
 */
export class StopAudit {
  readonly #memory: Memory;
  readonly #audit: AuditLog;
  /** By the words of {@link stopOf}, which name object, way and reason. */
  #known: ReadonlyMap<string, Where> = new Map();

  constructor(memory: Memory, audit: AuditLog) {
    this.#memory = memory;
    this.#audit = audit;
  }

  /** Compares what stops now with what stopped before. To be called about once a second. */
  look(): void {
    const now = this.#inForce();
    for (const [source, where] of now) if (!this.#known.has(source)) this.#tell('Halted', source, where);
    for (const [source, where] of this.#known) if (!now.has(source)) this.#tell('Resumed', source, where);
    this.#known = now;
  }

  #tell(event: 'Halted' | 'Resumed', source: string, where: Where): void {
    this.#audit.record({ event, outcome: 'Success', reason: 'Suspended', message: source, ...where });
  }

  #inForce(): ReadonlyMap<string, Where> {
    const { pools, identities, namespaces } = this.#memory;
    const found = new Map<string, Where>();
    const add = (stop: ReturnType<typeof stopOf>, where: Where): void => {
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
}
