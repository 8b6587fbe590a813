/** What the operator says of itself: the checks of `/readyz` and the state of its watches. */
import { type Instant, type Milliseconds, day, formatDuration, second, toRfc3339 } from '../../clock.ts';
import type { Guard } from '../../domain/access/access.ts';
import { clocksDisagree } from '../../domain/clocks.ts';
import { type CircuitHealth, budgetOf } from '../../runtime/budget.ts';
import type { ReflectorHealth } from '../../runtime/reflector.ts';
import type { Check } from '../../telemetry/health.ts';
import type { Credentials } from './credentials.ts';

export interface WatchHealth {
  readonly name: string;
  readonly synced: boolean;
  readonly lastEventAt?: Instant;
}

/** The watches of pods, one per namespace, are told as one: the worst of them. Names of namespaces are no labels. */
export function watchHealth(
  core: readonly (readonly [string, ReflectorHealth])[],
  pods: readonly (readonly [string, ReflectorHealth])[],
): readonly WatchHealth[] {
  const one = (name: string, all: readonly ReflectorHealth[]): WatchHealth => {
    const events = all.flatMap(({ lastEventAt }) => (lastEventAt === undefined ? [] : [lastEventAt]));
    const oldest = events.toSorted((a, b) => a - b)[0];
    return {
      name,
      synced: all.every(({ synced }) => synced),
      ...(oldest === undefined ? {} : { lastEventAt: oldest }),
    };
  };
  return [
    ...core.map(([name, health]) => one(name, [health])),
    one(
      'pods',
      pods.map(([, health]) => health),
    ),
  ];
}

/** This long before something expires, `/readyz` names it. */
const warnBefore: Milliseconds = 14 * day;

export interface Observed {
  readonly core: readonly (readonly [string, ReflectorHealth])[];
  readonly pods: readonly (readonly [string, ReflectorHealth])[];
  readonly troubles: readonly (readonly [string, CircuitHealth])[];
  readonly guard: Guard;
  readonly leads: boolean;
  readonly credentials: Pick<Credentials, 'issuers' | 'expiries' | 'clockOffsets'>;
  /** Why the audit stream takes no lines, as a sentence. */
  readonly auditTrouble?: string;
  /** What the API server refused last, where that was not long ago. */
  readonly refused?: { readonly at: Instant; readonly message: string };
  readonly now: Instant;
}

/**
 * Not ready is only a process that cannot do its work whatever the world does. Trouble of one namespace, provider or certificate is named and
 * noted: no restart heals it, and the other tenants are served.
 */
export function readyChecks(o: Observed): readonly Check[] {
  return [
    ...o.core.map(([name, health]): Check => ({
      name: `watch ${name}`,
      ok: health.synced,
      message: health.message ?? 'not read completely yet',
    })),
    {
      name: 'audit stream',
      ok: o.auditTrouble === undefined,
      ...(o.auditTrouble === undefined ? {} : { message: o.auditTrouble }),
    },
    ...o.pods.flatMap(([name, health]) =>
      health.synced ? [] : [warning(`watch ${name}`, health.message ?? 'not read completely yet')],
    ),
    ...(o.refused === undefined
      ? []
      : [warning('API server', `refused at ${toRfc3339(o.refused.at)}: ${o.refused.message}`)]),
    ...guardWarning(o),
    // One that is not configured any more is never called again, so its trouble would never end.
    ...o.troubles
      .filter(([resource]) => o.credentials.issuers().includes(budgetOf(resource)))
      .map(([resource, { since, retryAt, message }]) =>
        warning(
          `provider ${resource}`,
          `paused${since === undefined ? '' : ` since ${toRfc3339(since)}`}${retryAt === undefined ? '' : `, next try ${toRfc3339(retryAt)}`}: ${message ?? 'it fails'}`,
        ),
      ),
    ...o.credentials
      .expiries()
      .filter(({ at }) => at - o.now < warnBefore)
      .map(({ issuer, credential, at }) =>
        warning(`${credential} of ${issuer}`, `${at <= o.now ? 'expired' : 'expires'} at ${toRfc3339(at)}; renew it`),
      ),
    ...o.credentials
      .clockOffsets()
      .filter(([, offset]) => clocksDisagree(offset))
      .map(([name, offset]) =>
        warning(
          `clock of ${name}`,
          `${formatDuration(Math.abs(Math.round(offset / second) * second))} ${offset > 0 ? 'ahead of' : 'behind'} ours; compare both with a time server`,
        ),
      ),
  ];
}

function guardWarning({ guard, leads }: Observed): readonly Check[] {
  if (guard.is === 'Intact') return [];
  // Only a leader sends the probe without which nothing is known.
  if (guard.is === 'Unknown' && !leads)
    return [warning('admission policies', 'this replica does not lead; the one that does judges them')];
  const message =
    guard.is === 'Missing'
      ? `nothing is minted: ${guard.objects.join(', ')}`
      : 'the policies have not been read yet, or became whole only now: new pods get no token';
  return [warning('admission policies', message)];
}

function warning(name: string, message: string): Check {
  return { name, ok: true, note: message };
}
