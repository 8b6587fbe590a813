import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import { type Instant, type Milliseconds, minute } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import type { Guard } from '../../domain/access/access.ts';
import { isHeldBy } from '../../domain/access/brake.ts';
import { stopOf } from '../../domain/access/stops.ts';
import { pauseOf } from '../../domain/failure.ts';
import { rotateEvery } from '../../domain/pool-defaults.ts';
import type { StatusFacts } from '../../domain/status/decision.ts';
import type { IdentityFacts } from '../../domain/status/identity-facts.ts';
import type { PolicyFacts } from '../../domain/status/policy.ts';
import type { ClientFailure, ClientView, PoolFacts } from '../../domain/status/pool-facts.ts';
import { usableLife } from '../../domain/token.ts';
import type { Issuer } from '../../providers/issuers.ts';
import { type StoredRecord, isUnreadable } from '../../kube/records.ts';
import type { FailureNote } from '../../runtime/machine.ts';
import type { AccessCache } from '../access-cache.ts';
import type { Brakes } from '../brakes.ts';
import { isUnasked } from '../client/snapshot.ts';
import { type ClientTargets, refOf } from '../client/targets.ts';
import type { Creators } from '../session/creators.ts';
import type { HandIns } from '../hand-ins.ts';
import { type Memory, indexes } from '../memory.ts';
import type { Troubles } from './troubles.ts';
import type { PoolProviders } from '../pool-providers.ts';
import { rotationFacts } from './rotation-facts.ts';
import { poolStopSources, stopSources } from '../session/stop-sources.ts';

export interface StatusSources {
  readonly memory: Memory;
  readonly access: AccessCache;
  readonly targets: ClientTargets;
  readonly providers: PoolProviders;
  readonly handIns: HandIns;
  readonly creators: Creators;
  readonly brakes: Brakes;
  readonly guard: () => Guard;
  readonly installation: () => string;
  readonly now: () => Instant;
  readonly deliveryLag: () => Milliseconds;
  /** The limit because of which a pod of this identity waits for its first token, as a sentence. */
  readonly refusedByLimit: (identity: CiIdentity) => string | undefined;
  readonly clientFailure: (record: string) => FailureNote | undefined;
  /** Controller, API server and the provider of this issuer agree on the time. */
  readonly clocksAgree: (issuer: string) => boolean;
  readonly troubles: Pick<Troubles, 'outage' | 'ofNamespace'>;
}

/** Facts for the status of one pool, from memory. `undefined`: there is no such pool. */
export function poolFacts(sources: StatusSources, name: string, times: StatusFacts): PoolFacts | undefined {
  const { memory, providers } = sources;
  const pool = memory.pools.get(name);
  if (pool === undefined) return undefined;
  const { issuer } = pool.spec.provider;
  const judgingFew = { ...sources, access: sources.access.forMany('Unknown') };
  const stop = stopOf(poolStopSources(memory, { is: 'Seen', value: pool }));
  const issuerConfigured = providers.isConfigured(issuer);
  const near = issuerConfigured ? undefined : providers.near(issuer);
  const capabilities = providers.capabilities(issuer);
  const existing = sources.handIns.existing(pool);
  const registrationExpires = expiryOfRegistration(providers.issuer(issuer));
  const clockOffset = providers.issuer(issuer)?.clockOffset();
  const clients = sources.targets
    .ofPool(name)
    .filter((record) => !isUnasked(judgingFew, record, pool))
    .map((record) => rotatingView(sources, pool, record));
  const outage = outageOf(sources, issuer, clients);
  const brake = brakeOn(sources, clients);
  return {
    pool,
    synced: memory.identities.synced && memory.clients.synced,
    issuerConfigured,
    ...(near === undefined ? {} : { nearIssuer: near }),
    registrationCredential:
      pool.spec.client?.existing === undefined ? providers.registrationCredential(issuer) : 'NotNeeded',
    ...(registrationExpires === undefined ? {} : { registrationExpires }),
    ...(existing === undefined ? {} : { existing }),
    rotateEvery: rotateEvery(pool),
    managementCredential: providers.managementCredential(issuer),
    ...(stop === undefined ? {} : { stop }),
    guard: sources.guard(),
    ...(outage === undefined ? {} : { outage }),
    clients,
    ...(brake === undefined ? {} : { brake }),
    ...(capabilities === undefined ? {} : { capabilities, credentialPropagation: capabilities.credentialPropagation }),
    ...(clockOffset === undefined ? {} : { clockOffset }),
    ...times,
  };
}

/** What everybody meets, else what one of the pool's clients meets alone. */
function outageOf({ troubles }: StatusSources, issuer: string, clients: readonly ClientView[]): PoolFacts['outage'] {
  const everybodys = troubles.outage(issuer, '');
  if (everybodys !== undefined) return everybodys;
  for (const { name = '', owner } of clients) {
    const own = troubles.outage(issuer, name);
    if (own !== undefined) return { ...own, ...(owner === undefined ? {} : { owner }) };
  }
  return undefined;
}

/** Why clients that are not wanted any longer are still there. */
function brakeOn({ brakes }: StatusSources, clients: readonly ClientView[]): string | undefined {
  const brake = brakes.of('clients');
  const isHeld = clients.some(({ wanted, name }) => !wanted && name !== undefined && isHeldBy(brake, name));
  return isHeld ? brake?.message : undefined;
}

function expiryOfRegistration(issuer: Issuer | undefined): Instant | undefined {
  return issuer?.expiries().find(([what]) => what === 'RegistrationToken')?.[1];
}

export function policyFacts(sources: StatusSources, name: string, times: StatusFacts): PolicyFacts | undefined {
  const { memory } = sources;
  const policy = memory.policies.get(name);
  if (policy === undefined) return undefined;
  const judgingFew = sources.access.forMany('Unknown');
  let identities = 0;
  for (const [, identity] of memory.identities.entries()) {
    const access = judgingFew.of(identity);
    if (access.is === 'Seen' && access.value.is === 'Granted' && access.value.by.some(({ by }) => by.policy === name))
      identities += 1;
  }
  return {
    policy,
    pools: all(memory.pools),
    namespaces: all(memory.namespaces),
    identities,
    ...times,
  };
}

export function identityFacts(sources: StatusSources, key: string, times: StatusFacts): IdentityFacts | undefined {
  const { memory } = sources;
  const identity = memory.identities.get(key);
  if (identity === undefined) return undefined;
  const namespace = identity.metadata.namespace ?? '';
  const pool = memory.pool(identity.spec.pool);
  const stop = stopOf(stopSources(memory, identity, pool, namespace));
  const lives = memory.sessions.byIndex(indexes.identity, key).flatMap(([, { record }]) => {
    const newest = record?.tokens.at(-1);
    return newest === undefined || newest.end !== undefined ? [] : [usableLife(newest)];
  });
  const trouble = sources.troubles.ofNamespace(namespace);
  const short = lives.find((life) => life < 2 * sources.deliveryLag() + minute);
  return {
    identity,
    access: sources.access.of(identity),
    ...(stop === undefined ? {} : { stop }),
    optedIn: !memory.lacksLabel(namespace),
    guard: sources.guard(),
    client: clientOf(sources, identity, pool),
    ...(short === undefined ? {} : { shortLifetime: short }),
    ...(trouble === undefined ? {} : { failure: { ...trouble, terminal: false } }),
    ...limitReached(sources, identity),
    sessions: lives.length,
    sharedCreators: sources.creators.sharedIn(namespace),
    ...times,
  };
}

/** Only while a pod waits because of it: to be at a limit is no trouble. */
function limitReached(sources: StatusSources, identity: CiIdentity): Pick<IdentityFacts, 'failure'> {
  const message = sources.refusedByLimit(identity);
  return message === undefined ? {} : { failure: { reason: 'LimitReached', message: `${message}.`, terminal: false } };
}

function clientOf(sources: StatusSources, identity: CiIdentity, pool: Known<IdentityPool>): Known<ClientView> {
  if (pool.is !== 'Seen') return pool;
  if (!sources.memory.clients.synced) return { is: 'Unknown' };
  const target = sources.targets.serving(pool.value, refOf(identity));
  return target === undefined
    ? { is: 'Gone' }
    : { is: 'Seen', value: clientView(sources, pool.value, target.recordName) };
}

/** With what its pool tells of the rotation, which is no business of the identities that it works for, of which there may be ten thousand. */
function rotatingView(sources: StatusSources, pool: IdentityPool, recordName: string): ClientView {
  const capabilities = sources.providers.capabilities(pool.spec.provider.issuer);
  const registersOnly = capabilities?.registersOnly === true ? { registersOnly: true as const } : {};
  const view = { ...clientView(sources, pool, recordName), ...registersOnly };
  const target = sources.targets.find(recordName);
  return target === undefined
    ? view
    : { ...view, ...rotationFacts(pool, target, view.record, capabilities, sources.now()) };
}

function clientView(sources: StatusSources, pool: IdentityPool, recordName: string): ClientView {
  const stored = sources.memory.clients.get(recordName);
  const record = stored?.record;
  const failure = unreadable(stored) ?? failed(sources.clientFailure(recordName));
  const target = sources.targets.find(recordName);
  const owner =
    target?.identity === undefined ? target?.namespace : `CiIdentity ${target.namespace ?? ''}/${target.identity.name}`;
  return {
    name: recordName,
    wanted: pool.metadata.deletionTimestamp === undefined && sources.targets.isWanted(recordName),
    ...(owner === undefined ? {} : { owner: target?.identity === undefined ? `namespace ${owner}` : owner }),
    ...(record === undefined ? {} : { record }),
    ...(stored !== undefined && record === undefined ? { unreadable: true } : {}),
    ...(failure === undefined ? {} : { failure }),
    ...(sources.clocksAgree(pool.spec.provider.issuer) ? {} : { clockUnsure: true }),
  };
}

function failed(note: FailureNote | undefined): ClientFailure | undefined {
  if (note === undefined) return undefined;
  const { reason, message, whose, retryAt } = note.error;
  const terminal = note.error.class === 'Terminal';
  return {
    reason,
    message,
    terminal,
    ...(terminal && whose === 'Object' ? { changeHelps: true } : {}),
    ...pauseOf(retryAt, note.at),
  };
}

/** What is in the record exists nowhere else, so nothing is done until somebody brings it back or gives it up. */
export function unreadable(stored: StoredRecord<unknown> | undefined): ClientFailure | undefined {
  if (stored?.newerFormat === true) {
    const why = `client record ${stored.name} was written by a newer version of the operator. Install that version again.`;
    return { reason: 'NewerFormat', message: why, terminal: true };
  }
  if (stored === undefined || !isUnreadable(stored)) return undefined;
  const message = `client record ${stored.name} in the operator's namespace is left alone: ${stored.invalid}. Bring the right one back from a backup, or delete the Secret: a new client is then registered. Delete the old client at the provider only if no other cluster uses it.`;
  return { reason: 'RecordInvalid', message, terminal: true };
}

function all<T>(store: { readonly synced: boolean; entries(): Iterable<readonly [string, T]> }): Known<readonly T[]> {
  return store.synced ? { is: 'Seen', value: [...store.entries()].map(([, value]) => value) } : { is: 'Unknown' };
}
