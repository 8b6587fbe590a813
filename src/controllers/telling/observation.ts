import type { Clock } from '../../clock.ts';
import type { Budgets } from '../../runtime/budget.ts';
import type { Leader } from '../../runtime/leader.ts';
import type { Loop } from '../../runtime/loop.ts';
import type { AuditStream } from '../../telemetry/audit-stream.ts';
import type { Health } from '../../telemetry/health.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { Credentials, type CredentialsOptions } from './credentials.ts';
import type { Definitions } from '../definitions.ts';
import type { GuardKeeper } from '../guard.ts';
import { collectMetrics } from './metrics.ts';
import { readyChecks, watchHealth } from './readiness.ts';
import type { RefusedCalls } from './refused-calls.ts';
import type { Watches } from '../watches.ts';

export interface ObservationOptions extends CredentialsOptions {
  readonly metrics: Metrics;
  readonly auditStream: Pick<AuditStream, 'trouble' | 'waiting'>;
  readonly watches: Watches;
  readonly loop: Loop;
  readonly guard: GuardKeeper;
  readonly leader: Leader;
  readonly budgets: Budgets;
  readonly definitions: Definitions;
  readonly refusedCalls: Pick<RefusedCalls, 'last'>;
  readonly clock: Clock;
}

/** What the operator says of itself when it is asked: gauges for a scrape, checks for `/healthz` and `/readyz`. */
export class Observation {
  readonly #o: ObservationOptions;
  readonly #credentials: Credentials;

  constructor(options: ObservationOptions) {
    this.#o = options;
    this.#credentials = new Credentials(options);
  }

  collect(): void {
    const { metrics, memory, watches, loop, guard, leader, budgets, clock, auditStream } = this.#o;
    metrics.set('ci_identity_audit_waiting_lines', {}, auditStream.waiting);
    metrics.set('ci_identity_audit_blocked', {}, auditStream.trouble === undefined ? 0 : 1);
    collectMetrics({
      metrics,
      memory,
      watches: watchHealth(watches.coreHealth(), watches.podHealth()),
      depth: loop.depth(),
      guard: guard.told(),
      leads: leader.held(),
      now: clock.now(),
      credentials: this.#credentials,
      troubles: budgets.troubles(),
    });
  }

  health(): Health {
    const { watches, guard, leader, budgets, clock, auditStream, definitions, refusedCalls } = this.#o;
    return {
      live: () => [{ name: 'process', ok: true }],
      ready: () => {
        const { trouble } = auditStream;
        const refused = refusedCalls.last();
        const checks = readyChecks({
          core: watches.coreHealth(),
          pods: watches.podHealth(),
          troubles: budgets.troubles(),
          guard: guard.told(),
          leads: leader.held(),
          credentials: this.#credentials,
          now: clock.now(),
          ...(trouble === undefined ? {} : { auditTrouble: trouble }),
          ...(refused === undefined ? {} : { refused }),
        });
        return [definitions.check(), ...checks];
      },
    };
  }
}
