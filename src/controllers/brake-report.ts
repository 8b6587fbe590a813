import { type Brake, type BrakedThing, brakedThings } from '../domain/access/brake.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { AuditLog } from '../telemetry/audit.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Brakes } from './brakes.ts';
import type { Memory } from './memory.ts';

export interface BrakeReportOptions {
  readonly brakes: Brakes;
  readonly memory: Memory;
  readonly namespace: string;
  readonly events: EventRecorder;
  readonly audit: AuditLog;
  readonly metrics: Metrics;
  /** The brake holds, holds more, or let go: everything looks again. */
  readonly changed: () => void;
}

/** Tells people what the brake holds back: an event on the Namespace that takes the acknowledgement, an audit line, a metric. */
export class BrakeReport {
  readonly #o: BrakeReportOptions;
  readonly #told = new Map<BrakedThing, Brake>();

  constructor(options: BrakeReportOptions) {
    this.#o = options;
  }

  /** To be called about once a second. */
  look(): void {
    for (const what of brakedThings) this.#compare(what, this.#o.brakes.of(what));
  }

  #compare(what: BrakedThing, brake: Brake | undefined): void {
    const before = this.#told.get(what);
    this.#o.metrics.set('ci_identity_brake_held_keys', { machine: what }, brake?.ending ?? 0);
    if (brake?.id === before?.id) return;
    if (brake === undefined) this.#told.delete(what);
    else this.#told.set(what, brake);
    this.#tell(brake, before);
    this.#o.changed();
  }

  #tell(brake: Brake | undefined, before: Brake | undefined): void {
    const { audit, events, memory, namespace } = this.#o;
    const message = brake?.message ?? `${before?.id ?? ''} is no longer held back: acknowledged, or brought back.`;
    audit.record({
      event: brake === undefined ? 'Released' : 'Held',
      outcome: 'Success',
      reason: 'BrakeHolds',
      message,
    });
    const uid = memory.namespaces.get(namespace)?.uid;
    if (brake === undefined || uid === undefined) return;
    const regarding = { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid };
    events.record({ regarding, type: 'Warning', reason: 'BrakeHolds', message });
  }
}
