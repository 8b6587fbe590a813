import { reasons as known } from '../../api/reasons.ts';
import { type Instant, second } from '../../clock.ts';
import type { Guard } from '../../domain/access/access.ts';
import { circuits, resourceOf } from '../../domain/circuits.ts';
import { openOrphans } from '../../domain/client/orphans.ts';
import type { SessionRecord } from '../../domain/session/record.ts';
import type { Token } from '../../domain/token.ts';
import type { CircuitHealth } from '../../runtime/budget.ts';
import type { Loop } from '../../runtime/loop.ts';
import type { MetricName, Metrics } from '../../telemetry/metrics.ts';
import type { Credentials } from './credentials.ts';
import type { Memory } from '../memory.ts';
import { refusals } from '../provider-calls.ts';
import type { WatchHealth } from './readiness.ts';
import { sessionKeyOf } from '../session/key.ts';
import { isUnrevoked, usableToken } from '../../domain/session/facts.ts';

/** Sets the gauges that are counted from memory; runs before each scrape. */
export function collectMetrics(o: {
  readonly metrics: Metrics;
  readonly memory: Memory;
  readonly watches: readonly WatchHealth[];
  readonly depth: ReturnType<Loop['depth']>;
  readonly guard: Guard;
  readonly leads: boolean;
  readonly now: Instant;
  readonly credentials: Credentials;
  readonly troubles: readonly (readonly [string, CircuitHealth])[];
}): void {
  const { metrics, memory, now } = o;
  metrics.set('ci_identity_leader', {}, o.leads ? 1 : 0);
  metrics.set('ci_identity_guard_intact', {}, o.guard.is === 'Intact' ? 1 : 0);
  metrics.reset('ci_identity_queue_depth_keys');
  for (const [lane, keys] of o.depth.lanes) metrics.set('ci_identity_queue_depth_keys', { lane: String(lane) }, keys);
  metrics.set('ci_identity_queue_delayed_keys', {}, o.depth.delayed);
  // A namespace that opted out has no watch any more.
  metrics.reset('ci_identity_watch_synced');
  metrics.reset('ci_identity_watch_age_seconds');
  for (const { name: watch, synced, lastEventAt } of o.watches) {
    metrics.set('ci_identity_watch_synced', { watch }, synced ? 1 : 0);
    if (lastEventAt !== undefined)
      metrics.set('ci_identity_watch_age_seconds', { watch }, (now - lastEventAt) / second);
  }
  collectSessions(metrics, memory, now);
  collectProviders(metrics, o.credentials, o.troubles);
  collectCredentials(metrics, o.credentials);
  collectOrphans(metrics, memory);
  collectReadiness(metrics, memory);
  startAtZero(metrics, memory, o.credentials.issuers());
}

/** Counters whose first step is an alarm begin at 0: from nothing to 1 is no increase. */
function startAtZero(metrics: Metrics, memory: Memory, issuers: readonly string[]): void {
  for (const machine of ['client', 'session', 'pool', 'policy', 'identity'])
    metrics.count('ci_identity_decisions_total', { machine, outcome: 'Bug' }, 0);
  metrics.count('ci_identity_audit_lines_total', { outcome: 'Lost' }, 0);
  for (const [pool] of memory.pools.entries()) {
    metrics.count('ci_identity_tokens_revoked_total', { pool, outcome: 'Expired' }, 0);
    for (const outcome of ['Activated', 'RolledBack'])
      metrics.count('ci_identity_rotations_total', { pool, outcome }, 0);
  }
  for (const issuer of issuers)
    for (const reason of refusals) metrics.count('ci_identity_authentications_failed_total', { issuer, reason }, 0);
}

function collectSessions(metrics: Metrics, memory: Memory, now: Instant): void {
  const live = new Map<string, number>();
  const pending = new Map<string, number>();
  const oldest = new Map<string, number>();
  for (const [, { record }] of memory.sessions.entries()) {
    if (record === undefined) continue;
    const pool = record.pool.name;
    if (usableToken({ record }) !== undefined) live.set(pool, (live.get(pool) ?? 0) + 1);
    for (const token of pendingRevocations(record, memory.answered.get(sessionKeyOf(record)))) {
      pending.set(pool, (pending.get(pool) ?? 0) + 1);
      oldest.set(pool, Math.max(oldest.get(pool) ?? 0, (now - (token.endedAt ?? now)) / second));
    }
  }
  // A pool without any says 0, so that an alert can tell "nothing waits" from "nobody looks".
  for (const [pool] of memory.pools.entries())
    for (const counts of [live, pending, oldest]) counts.set(pool, counts.get(pool) ?? 0);
  perPool(metrics, 'ci_identity_sessions_live', live);
  perPool(metrics, 'ci_identity_revocations_pending', pending);
  perPool(metrics, 'ci_identity_revocation_oldest_seconds', oldest);
}

function collectOrphans(metrics: Metrics, memory: Memory): void {
  const orphans = new Map<string, number>();
  for (const [, { record }] of memory.clients.entries()) {
    if (record === undefined) continue;
    orphans.set(record.pool.name, (orphans.get(record.pool.name) ?? 0) + openOrphans(record));
  }
  perPool(metrics, 'ci_identity_possible_orphans', orphans);
}

/**
 * Tokens that must not be used and that their provider still honours, as far as this process knows. Without its value nobody can revoke a
 * token (ExpiryOnly): it only waits for its expiry. `answered`: only the record does not say yet that it is revoked.
 */
export function pendingRevocations(
  record: SessionRecord,
  answered: ReadonlyMap<string, unknown> | undefined,
): readonly Token[] {
  return record.tokens.filter((token) => token.end === 'Forbidden' && isUnrevoked({ answered }, token));
}

function collectProviders(
  metrics: Metrics,
  credentials: Credentials,
  troubles: readonly (readonly [string, CircuitHealth])[],
): void {
  metrics.reset('ci_identity_provider_up');
  metrics.reset('ci_identity_clock_offset_seconds');
  const paused = new Set(troubles.map(([resource]) => resource));
  for (const issuer of credentials.issuers()) {
    for (const operation of circuits)
      metrics.set('ci_identity_provider_up', { issuer, operation }, paused.has(resourceOf(issuer, operation)) ? 0 : 1);
  }
  for (const [issuer, offset] of credentials.clockOffsets())
    metrics.set('ci_identity_clock_offset_seconds', { issuer }, offset / second);
}

function collectCredentials(metrics: Metrics, credentials: Credentials): void {
  const { generation, since, nextRotation } = credentials.ofPools();
  perPool(metrics, 'ci_identity_credential_generation', generation);
  perPool(metrics, 'ci_identity_credential_since_seconds', since);
  perPool(metrics, 'ci_identity_credential_next_rotation_seconds', nextRotation);
  metrics.reset('ci_identity_expiry_seconds');
  for (const { issuer, credential, at } of credentials.expiries())
    metrics.set('ci_identity_expiry_seconds', { issuer, credential }, at / second);
}

function collectReadiness(metrics: Metrics, memory: Memory): void {
  metrics.reset('ci_identity_objects_not_ready');
  const kinds = { pool: memory.pools, policy: memory.policies, identity: memory.identities } as const;
  for (const [machine, store] of Object.entries(kinds)) {
    const reasons = new Map([['Ready', 0]]);
    for (const [, { status }] of store.entries()) {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status === 'True') continue;
      // Whoever may edit a status by hand must not make labels.
      const reason = Object.hasOwn(known, ready?.reason ?? '') ? (ready?.reason ?? '') : 'NotSynced';
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    for (const [reason, count] of reasons) metrics.set('ci_identity_objects_not_ready', { machine, reason }, count);
  }
}

type PoolGauge = Extract<
  MetricName,
  | 'ci_identity_possible_orphans'
  | 'ci_identity_sessions_live'
  | 'ci_identity_revocations_pending'
  | 'ci_identity_revocation_oldest_seconds'
  | `ci_identity_credential_${string}`
>;

function perPool(metrics: Metrics, name: PoolGauge, values: ReadonlyMap<string, number>): void {
  metrics.reset(name);
  for (const [pool, value] of values) metrics.set(name, { pool }, value);
}
