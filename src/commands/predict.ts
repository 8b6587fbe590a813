import type { Reason } from '../api/reasons.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { type Instant, minute, plus, second } from '../clock.ts';
import { defaultDeliveryLag } from '../config.ts';
import type { Known } from '../decision.ts';
import type { Guard } from '../domain/access/access.ts';
import { type AuthorizeInput, authorize } from '../domain/access/authorize.ts';
import { maxSessionAge } from '../domain/pool-defaults.ts';
import { decideSession } from '../domain/session/decide.ts';
import { waitingError } from '../domain/session/explain.ts';
import type { ClientFacts, PodFacts, SessionRowName, SessionSnapshot } from '../domain/session/machine.ts';
import type { NamespaceObject } from './objects.ts';
import { isOptedIn, stopFor } from './objects.ts';

/** Everything that the operator would look at, as far as the caller could read it. */
export interface Scene {
  readonly identity: CiIdentity;
  readonly input: AuthorizeInput;
  readonly namespace: Known<NamespaceObject>;
  readonly pod: PodFacts;
  /** The creator of the pod holds `use`. */
  readonly mayUse: Known<boolean>;
  readonly guard: Guard;
}

/** What the operator does with a pod next, in the words of its decision table. */
export interface Prediction {
  /** `Token`: mints and delivers one. `Error`: the build gets `error.json`. `Nothing`: the session is over, or nobody knows enough. */
  readonly does: 'Token' | 'Error' | 'Wait' | 'Nothing';
  /** Row of the session table that decides. */
  readonly row: SessionRowName;
  readonly reason: Reason;
  readonly message?: string;
  readonly fix?: string;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
  readonly maxLifetimeSeconds?: number;
}

/** Decides by the operator's own table, for a pod that has no token yet. Records and provider are not looked at. */
export function predict(scene: Scene, now: Instant): Prediction {
  const snapshot = snapshotOf(scene, now);
  const { row, action, reason } = decideSession(snapshot, now);
  if (action?.type === 'Mint') {
    const { scopes, audiences, maxLifetime } = action.ask;
    return { does: 'Token', row, reason, scopes, audiences, maxLifetimeSeconds: maxLifetime / second };
  }
  if (action?.type === 'Deliver' && action.content === 'Error') {
    const { message, fix } = action.error;
    return { does: 'Error', row, reason: action.error.reason, message, fix };
  }
  if (row === 'over' || row === 'unknown') return { does: 'Nothing', row, reason };
  return { does: 'Wait', row, reason, ...(row === 'waiting' ? { message: waitingError(snapshot).message } : {}) };
}

function snapshotOf({ identity, input, namespace, pod, mayUse, guard }: Scene, now: Instant): SessionSnapshot {
  const { pool } = input;
  const optedIn = isOptedIn(namespace);
  const leaving =
    optedIn === false || (namespace.is === 'Seen' && namespace.value.metadata.deletionTimestamp !== undefined);
  const stop = stopFor(identity, pool, namespace);
  return {
    pod: { is: 'Seen', value: pod },
    identityName: identity.metadata.name,
    identity: {
      is: 'Seen',
      value: { uid: identity.metadata.uid ?? '', generation: identity.metadata.generation ?? 0 },
    },
    namespace: optedIn === undefined ? { is: 'Unknown' } : { is: 'Seen', value: leaving ? 'Leaving' : 'Active' },
    guard,
    mayUse,
    access: authorize(input),
    ...(stop === undefined ? {} : { stop }),
    synced: true,
    // However old the pod is: what it has waited for so far nobody knows here.
    seenSince: now,
    client: pool.is === 'Seen' ? { is: 'Seen', value: clientOf(pool.value) } : pool,
    nodeLost: false,
    deliveryLag: defaultDeliveryLag,
    maxSessionAge: pool.is === 'Seen' ? maxSessionAge(pool.value) : Number.MAX_SAFE_INTEGER,
    jitter: 0,
  };
}

/** The client as the status of its pool tells: the record is the operator's alone. */
function clientOf({ metadata, spec, status }: IdentityPool): ClientFacts {
  const ready = (status?.clients?.ready ?? 0) > 0;
  const trouble = (status?.conditions ?? []).find(({ type, status: is }) => type === 'Ready' && is !== 'True');
  return {
    name: metadata.name,
    issuer: spec.provider.issuer,
    ...(ready
      ? { current: { generation: status?.credential?.generation ?? 1, clientId: status?.clientId ?? '' } }
      : { message: trouble?.message ?? 'the operator has not registered its client yet' }),
    revocation: status?.capabilities?.revocation ?? 'IntrospectionOnly',
  };
}

/** A pod that is being created now and that admission claimed for these identities. */
export function newPodFacts(
  o: Pick<PodFacts, 'namespace' | 'name' | 'labels'> & {
    readonly requester?: string;
    readonly identities: readonly CiIdentity[];
  },
  now: Instant,
): PodFacts {
  return {
    namespace: o.namespace,
    name: o.name,
    uid: 'not-created',
    resourceVersion: '',
    created: now,
    deleting: false,
    phase: 'Pending',
    ...(o.requester === undefined ? {} : { requester: o.requester }),
    claims: Object.fromEntries(o.identities.map(({ metadata }) => [metadata.name, metadata.uid ?? ''])),
    volumes: o.identities.map(({ metadata }) => metadata.name),
    labels: o.labels,
    containers: [],
  };
}

/** Policies that were whole already when a pod was created. Since when they are is in a record of the operator's own. */
export function wholeBefore(created: Instant): Guard {
  return { is: 'Intact', since: plus(created, -minute) };
}
