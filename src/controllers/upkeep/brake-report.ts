import { type Clock, type Instant, type Milliseconds, plus, second } from '../../clock.ts';
import { annotations } from '../../api/names.ts';
import { type Brake, type BrakedThing, brakedThings, isAcknowledged } from '../../domain/access/brake.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { AuditLog } from '../../telemetry/audit.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Brakes } from '../brakes.ts';
import type { Memory } from '../memory.ts';

export interface BrakeReportOptions {
  readonly brakes: Brakes;
  readonly memory: Memory;
  readonly namespace: string;
  readonly events: EventRecorder;
  readonly audit: AuditLog;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** The brake holds, holds something else, or let go: everything looks again. */
  readonly changed: () => void;
  /** It holds more or fewer: whoever shows the message shows the new one. */
  readonly counted: () => void;
}

/** Another number is told this often at most: somebody may make and delete things for ever. */
const tellEvery: Milliseconds = 10 * second;

interface Told {
  readonly brake: Brake;
  readonly at: Instant;
}

/** Tells people what the brake holds back: an event on the Namespace that takes the acknowledgement, an audit line, a metric. */
export class BrakeReport {
  readonly #o: BrakeReportOptions;
  readonly #told = new Map<BrakedThing, Told>();

  constructor(options: BrakeReportOptions) {
    this.#o = options;
  }

  /** To be called about once a second. */
  look(): void {
    for (const what of brakedThings) this.#compare(what, this.#o.brakes.of(what));
  }

  #compare(what: BrakedThing, brake: Brake | undefined): void {
    this.#o.metrics.set('ci_identity_brake_held_keys', { machine: what }, brake?.keys.size ?? 0);
    const now = this.#o.clock.now();
    const told = this.#told.get(what);
    const before = told?.brake;
    const isOther = reachesOthers(brake, before);
    if (brake?.id === before?.id && !isOther) return;
    if (!isOther && told !== undefined && now < plus(told.at, tellEvery)) return;
    if (brake === undefined) this.#told.delete(what);
    else this.#told.set(what, { brake, at: now });
    this.#tell(what, brake, before);
    if (isOther) this.#o.changed();
    else this.#o.counted();
  }

  #tell(what: BrakedThing, brake: Brake | undefined, before: Brake | undefined): void {
    const { audit, events, memory, namespace } = this.#o;
    const noted = memory.namespaces.get(namespace)?.annotations[annotations.acknowledge];
    const isMeant =
      brake === undefined && before !== undefined && isAcknowledged(what, before.keys.size, noted, this.#o.clock.now());
    const message =
      brake?.message ??
      `${before?.id ?? ''} is no longer held back: ${isMeant ? 'somebody acknowledged it, and it goes on' : 'it was brought back, or is no mass change any more'}.`;
    audit.record({
      event: brake === undefined ? 'Released' : 'Held',
      outcome: 'Success',
      reason: isMeant ? 'BrakeAcknowledged' : 'BrakeHolds',
      message,
    });
    const uid = memory.namespaces.get(namespace)?.uid;
    if (brake === undefined || uid === undefined) return;
    const regarding = { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid };
    events.record({ regarding, type: 'Warning', reason: 'BrakeHolds', message });
  }
}

/** It begins or ends, or holds what belongs to another namespace. */
function reachesOthers(brake: Brake | undefined, before: Brake | undefined): boolean {
  if (brake === undefined || before === undefined) return brake !== before;
  return [...brake.lost.keys()].some((namespace) => !before.lost.has(namespace));
}
