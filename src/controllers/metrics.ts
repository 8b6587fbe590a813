import { type Instant, second } from '../clock.ts';
import type { Guard } from '../domain/access/access.ts';
import type { Loop } from '../runtime/loop.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ClientTargets } from './client-targets.ts';
import { rotationFacts } from './rotation-facts.ts';
import type { Memory } from './memory.ts';
import type { Watches } from './watches.ts';

/** Sets the gauges that are counted from memory; runs before each scrape. */
export function collectMetrics(o: {
  readonly metrics: Metrics;
  readonly memory: Memory;
  readonly targets: ClientTargets;
  readonly watches: Watches;
  readonly depth: ReturnType<Loop['depth']>;
  readonly guard: Guard;
  readonly leads: boolean;
  readonly now: Instant;
}): void {
  const { metrics, memory, now } = o;
  metrics.set('ci_identity_leader', {}, o.leads ? 1 : 0);
  metrics.set('ci_identity_guard_intact', {}, o.guard.is === 'Intact' ? 1 : 0);
  metrics.reset('ci_identity_queue_depth_keys');
  for (const [lane, keys] of o.depth.lanes) metrics.set('ci_identity_queue_depth_keys', { lane: String(lane) }, keys);
  for (const [watch, health] of o.watches.health()) {
    metrics.set('ci_identity_watch_synced', { watch }, health.synced ? 1 : 0);
    if (health.lastEventAt !== undefined)
      metrics.set('ci_identity_watch_age_seconds', { watch }, (now - health.lastEventAt) / second);
  }
  metrics.reset('ci_identity_sessions_live');
  const live = new Map<string, number>();
  for (const [, { record }] of memory.sessions.entries()) {
    if (record?.tokens.at(-1)?.end === undefined && record !== undefined)
      live.set(record.pool.name, (live.get(record.pool.name) ?? 0) + 1);
  }
  for (const [pool, count] of live) metrics.set('ci_identity_sessions_live', { pool }, count);
  collectCredentials(metrics, memory, o.targets);
}

const unknownYet = { generation: 0, since: Number.POSITIVE_INFINITY, next: Number.POSITIVE_INFINITY };

/** Per pool: the newest current generation and the oldest moment since which one is current. */
function collectCredentials(metrics: Metrics, memory: Memory, targets: ClientTargets): void {
  metrics.reset('ci_identity_credential_next_rotation_seconds');
  metrics.reset('ci_identity_credential_generation');
  metrics.reset('ci_identity_credential_since_seconds');
  const pools = new Map<string, { generation: number; since: number; next: number }>();
  for (const [name, { record }] of memory.clients.entries()) {
    const current = record?.generations.find((generation) => generation.state === 'Current');
    if (record === undefined || current === undefined) continue;
    const known = pools.get(record.pool.name) ?? unknownYet;
    const pool = memory.pools.get(record.pool.name);
    const target = targets.find(name);
    const { nextRotation: next = Number.POSITIVE_INFINITY } =
      pool === undefined || target === undefined ? {} : rotationFacts(pool, target, record, undefined);
    pools.set(record.pool.name, {
      generation: Math.max(known.generation, current.n),
      since: Math.min(known.since, current.since),
      next: Math.min(known.next, next),
    });
  }
  for (const [pool, { generation, since, next }] of pools) {
    metrics.set('ci_identity_credential_generation', { pool }, generation);
    metrics.set('ci_identity_credential_since_seconds', { pool }, since / second);
    if (Number.isFinite(next)) metrics.set('ci_identity_credential_next_rotation_seconds', { pool }, next / second);
  }
}
