import { type Clock, type Milliseconds, minute, second } from '../../clock.ts';
import type { ApiConnection } from '../../kube/connection.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { SmallRecord } from '../../kube/small-record.ts';
import type { Leader } from '../../runtime/leader.ts';
import type { Part } from '../../runtime/manager.ts';
import type { AuditLog } from '../../telemetry/audit.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Auditors } from '../telling/auditors.ts';
import { BrakeMemory, brakeRecord } from '../brake-memory.ts';
import { BrakeReport } from './brake-report.ts';
import type { Brakes } from '../brakes.ts';
import { Epochs } from './epochs.ts';
import { InjectionMisses } from './injection-misses.ts';
import type { Definitions } from '../definitions.ts';
import type { HandIns } from '../hand-ins.ts';
import type { Memory } from '../memory.ts';
import { repeat } from './periodic.ts';
import { PoolSeries } from './pool-series.ts';
import type { Reviews } from '../session/reviews.ts';
import { Rights } from './rights.ts';
import type { Troubles } from '../status/troubles.ts';
import type { Wiring } from '../wiring.ts';

export interface UpkeepOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly audit: AuditLog;
  readonly events: EventRecorder;
  readonly memory: Memory;
  readonly namespace: string;
  readonly wiring: Wiring;
  readonly brakes: Brakes;
  readonly reviews: Reviews;
  readonly troubles: Troubles;
  readonly handIns: HandIns;
  readonly auditors: Auditors;
  readonly connection: ApiConnection;
  readonly definitions: Pick<Definitions, 'lookAgain'>;
  readonly epoch: () => number;
  readonly leader: Pick<Leader, 'held' | 'raiseEpoch'>;
  /** Looks at everything without calling it news, so that failures keep their back-off. */
  readonly resync: (signal: AbortSignal) => Promise<void>;
}

/** What the leader does now and then, because no watch tells of it. */
export function upkeep(o: UpkeepOptions): readonly Part[] {
  const { wiring, leader } = o;
  const brakes = new BrakeReport({ ...o, changed: () => wiring.everything(), counted: () => wiring.pools() });
  const rights = new Rights({ ...o, withdrawn: (identity) => wiring.identityAndSessions(identity) });
  const misses = new InjectionMisses(o);
  const series = new PoolSeries(o);
  const epochs = new Epochs({ ...o, raiseEpoch: (atLeast, signal) => leader.raiseEpoch(atLeast, signal) });
  const store = new SmallRecord(o.connection, o.namespace, brakeRecord);
  const brakeMemory = new BrakeMemory({ ...o, store, held: () => leader.held() });
  const every = (what: string, period: Milliseconds, work: (signal: AbortSignal) => void | Promise<void>): Part => ({
    name: what,
    run: (signal) => repeat({ ...o, what, period }, signal, () => work(signal)),
  });
  return [
    // News are told to the objects whose status shows them.
    every('news', 1 * second, () => wiring.deferred.wake(o.troubles.changed())),
    // What people hand in for a client is looked for.
    every('hand-ins', 1 * second, (signal) => o.handIns.refresh(signal)),
    every('audit', 1 * second, () => o.auditors.look()),
    {
      ...every('what the brake holds, in Secret brake', 1 * second, (signal) => brakeMemory.look(signal)),
      ready: () => brakeMemory.loaded,
    },
    // A part of its own: people hear that the brake holds also where that cannot be written down.
    every('brake', 1 * second, () => brakes.look()),
    every('epoch', 1 * second, (signal) => epochs.look(signal)),
    every('definitions', 5 * second, async (signal) => {
      if (await o.definitions.lookAgain(signal)) wiring.everything();
    }),
    every('rights of creators', 4 * second, (signal) => rights.look(signal)),
    every('pods without their identity', 15 * second, () => misses.look()),
    every('metrics of deleted pools', 1 * minute, () => series.look()),
    // For what changes with time alone, or was missed.
    every('resync', 2 * minute, (signal) => o.resync(signal)),
  ];
}
