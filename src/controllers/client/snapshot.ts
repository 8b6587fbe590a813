import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import { annotations, poolFinalizer } from '../../api/names.ts';
import type { Ask } from '../../domain/access/access.ts';
import { isHeldBy, isPiledUp } from '../../domain/access/brake.ts';
import { stopOf } from '../../domain/access/stops.ts';
import { clocksAgree } from '../../domain/clocks.ts';
import type { ClientSnapshot, Desired } from '../../domain/client/machine.ts';
import { isUnmanaged } from '../../domain/client/management.ts';
import { isNamedIn, openOrphans, orphansId } from '../../domain/client/orphans.ts';
import type { ClientRecord } from '../../domain/client/record.ts';
import { firstHonoured } from '../../domain/client/requests.ts';
import { declaredWindow } from '../../domain/client/window.ts';
import { type ClientTarget, desiredOf, retryRequestOf, targetOf } from '../../domain/client/target.ts';
import { deletionPolicyOf } from '../../domain/pool-defaults.ts';
import { clientOf } from '../../domain/session/record.ts';
import type { Capabilities } from '../../providers/port.ts';
import { isDamaged, isUnreadable } from '../../kube/records.ts';
import type { FailureNote } from '../../runtime/machine.ts';
import type { AccessCache } from '../access-cache.ts';
import type { Brakes } from '../brakes.ts';
import { type ClientTargets, refOf } from './targets.ts';
import type { HandIns } from '../hand-ins.ts';
import { type Memory, indexes } from '../memory.ts';
import type { PoolProviders } from '../pool-providers.ts';
import { jitterOf } from '../session/key.ts';
import { failureOf } from '../session/snapshot.ts';
import { poolStopSources } from '../session/stop-sources.ts';

export interface ClientSources {
  readonly memory: Memory;
  readonly access: AccessCache;
  readonly targets: ClientTargets;
  readonly providers: PoolProviders;
  readonly handIns: HandIns;
  readonly brakes: Brakes;
  readonly installation: () => string;
  readonly now: () => Instant;
  readonly epoch: () => number;
  /** How far the API server's clock is ahead of ours; `undefined`: not seen yet. */
  readonly apiServerOffset: () => Milliseconds | undefined;
  /** Nobody gets tokens from this issuer, or this client alone does not, and has not for a while. */
  readonly troubleOf: (issuer: string, client: string) => Pick<ClientSnapshot, 'outage' | 'failing'>;
}

/** What tells which identities a client serves, and what they may have. */
type AskSources = Pick<ClientSources, 'memory' | 'targets'> & { readonly access: Pick<AccessCache, 'of'> };

/** Reads memory only. `undefined`: nobody wants this client and no record of it is left. */
export function snapshotClient(
  sources: ClientSources,
  key: string,
  held: readonly FailureNote[],
): ClientSnapshot | undefined {
  const { memory, providers } = sources;
  const stored = memory.clients.get(key);
  const target = sources.targets.find(key);
  if (target === undefined) return undefined;
  const pool = memory.pool(target.pool.name);
  const wanted = wantedOf(sources, key, target, pool);
  if (stored === undefined && wanted.is === 'Gone') return undefined;
  const record = stored?.record;
  const issuer = record?.issuer ?? (pool.is === 'Seen' ? pool.value.spec.provider.issuer : '');
  const stop = stopOf(poolStopSources(memory, pool));
  const tokens = tokensOf(memory, key, record);
  const audience = pool.is === 'Seen' ? pool.value.spec.provider.audience : undefined;
  const capabilities = providers.providerAt(issuer, audience)?.capabilities;
  const existing = pool.is === 'Seen' ? sources.handIns.existing(pool.value) : undefined;
  // A credential takes over once it is proven for each of the asks, so none may be missing after a start.
  const judgingFew = { ...sources, access: sources.access.forMany('Judged') };
  const retry = isPoolOf(target, pool) ? retryRequestOf(pool.value) : undefined;
  const handedIn = record !== undefined && isUnmanaged(record) ? sources.handIns.managementToken(key) : undefined;
  return {
    wanted,
    ...(stop === undefined ? {} : { stop }),
    ...(record === undefined ? {} : { record }),
    ...(stored?.newerFormat === true ? { newerFormat: true } : {}),
    ...(isUnreadable(stored) ? { invalid: true } : {}),
    ...(isDamaged(stored) ? { damaged: true } : {}),
    synced: memory.clients.synced && memory.sessions.synced && memory.identities.synced,
    issuerConfigured: providers.isConfigured(issuer),
    asks: pool.is === 'Seen' ? asksOf(judgingFew, key, pool.value) : [],
    ...(pool.is === 'Seen' && isUnasked(judgingFew, key, pool.value) ? { unasked: true } : {}),
    ...tokens,
    ...(capabilities === undefined ? {} : { capabilities: attempted(capabilities) }),
    ...keyAlgorithmOf(sources, issuer),
    clockAgrees: clocksAgree(sources.apiServerOffset(), providers.issuer(issuer)?.clockOffset()),
    ...failureOf(held),
    ...sources.troubleOf(issuer, key),
    epoch: sources.epoch(),
    ...(isPoolOf(target, pool) ? { retain: deletionPolicyOf(pool.value) === 'Retain' } : {}),
    ...(retry === undefined ? {} : { retryRequest: retry }),
    ...(existing === undefined ? {} : { existing }),
    ...(handedIn === undefined ? {} : { handedIn }),
    managementFallback: providers.managementCredential(issuer) === 'Present',
    ...windowOf(pool, sources.now()),
    ...brakeOn(sources, key, target, wanted),
    ...(isPoolOf(target, pool) && areOrphansAcknowledged(sources, pool.value, record)
      ? { orphansAcknowledged: true }
      : {}),
    jitter: jitterOf(key),
    ...(sources.targets.isLeaving(key) ? { leaving: true } : {}),
  };
}

/** Not another one that took its name since. */
export function isPoolOf(
  target: Pick<ClientTarget, 'pool'>,
  pool: Known<IdentityPool>,
): pool is { is: 'Seen'; value: IdentityPool } {
  return pool.is === 'Seen' && pool.value.metadata.uid === target.pool.uid;
}

function areOrphansAcknowledged(
  { memory, targets }: ClientSources,
  { metadata }: IdentityPool,
  record: ClientRecord | undefined,
): boolean {
  const said = metadata.annotations?.[annotations.acknowledge];
  if (said === undefined || record === undefined || openOrphans(record) === 0) return false;
  const records = targets.ofPool(metadata.name).flatMap((name) => {
    const one = memory.clients.get(name)?.record;
    return one === undefined ? [] : [[name, one] as const];
  });
  return isNamedIn(said, orphansId(records));
}

function keyAlgorithmOf({ providers }: ClientSources, issuer: string): Pick<ClientSnapshot, 'keyAlgorithm'> {
  const keyAlgorithm = providers.issuer(issuer)?.keyAlgorithm;
  return keyAlgorithm === undefined ? {} : { keyAlgorithm };
}

function brakeOn(
  { brakes }: ClientSources,
  key: string,
  { namespace }: ClientTarget,
  wanted: Known<Desired>,
): Pick<ClientSnapshot, 'brake' | 'piledUp'> {
  const brake = brakes.of('clients');
  if (wanted.is === 'Gone') return isHeldBy(brake, key) ? { brake: true } : {};
  return namespace !== undefined && isPiledUp(brake, namespace) ? { piledUp: true } : {};
}

function windowOf(pool: Known<IdentityPool>, now: Instant): Pick<ClientSnapshot, 'window'> {
  const window = pool.is === 'Seen' ? declaredWindow(pool.value, now) : undefined;
  return window === undefined ? {} : { window };
}

/** A provider that names no way to register is asked all the same: its refusal is a sentence, and somebody may switch it on. */
function attempted(capabilities: Capabilities): Capabilities {
  return capabilities.variants.length > 0 ? capabilities : { ...capabilities, variants: ['TwoKeys'] };
}

function wantedOf(
  sources: ClientSources,
  key: string,
  target: ClientTarget,
  pool: Known<IdentityPool>,
): Known<Desired> {
  if (pool.is !== 'Seen') return pool;
  const { metadata } = pool.value;
  if (!isPoolOf(target, pool) || metadata.deletionTimestamp !== undefined) return { is: 'Gone' };
  if (!sources.memory.identities.synced) return { is: 'Unknown' };
  // Nothing is made at the provider before it is certain that deleting the pool will wait for its end.
  if (metadata.finalizers?.includes(poolFinalizer) !== true) return { is: 'Unknown' };
  if (!sources.targets.isWanted(key) && !sources.targets.isLeaving(key)) return { is: 'Gone' };
  const handled = sources.memory.clients.get(key)?.record?.handled ?? [];
  return { is: 'Seen', value: desiredOf(pool.value, target, sources.installation(), handled) };
}

/**
 * Nobody makes clients at the provider by writing CiIdentities, which every editor of a namespace may: a policy has to give something. Where
 * another client mints for the identity meanwhile (`client.per` was changed), this one comes all the same, so that the other can go.
 */
export function isUnasked({ memory, access, targets }: AskSources, key: string, pool: IdentityPool): boolean {
  if (targets.find(key)?.namespace === undefined || memory.clients.get(key) !== undefined) return false;
  return targets.identitiesOf(key).every((name) => {
    const identity = memory.identities.get(name);
    if (identity === undefined) return true;
    const known = access.of(identity);
    const isGranted = known.is === 'Seen' && known.value.is === 'Granted';
    return !isGranted && targets.serving(pool, refOf(identity))?.recordName === key;
  });
}

/** The distinct asks of the identities that this client serves and that are granted now. */
function asksOf(sources: AskSources, key: string, pool: IdentityPool): ClientSnapshot['asks'] {
  const asks = new Map<string, Ask>();
  for (const name of sources.targets.identitiesOf(key)) {
    const identity = sources.memory.identities.get(name);
    if (identity === undefined || targetOf(pool, refOf(identity))?.recordName !== key) continue;
    const access = sources.access.of(identity);
    if (access.is === 'Seen' && access.value.is === 'Granted') asks.set(access.value.hash, access.value.ask);
  }
  return [...asks].map(([hash, ask]) => ({ hash, ask }));
}

function tokensOf(
  memory: Memory,
  key: string,
  client: ClientRecord | undefined,
): Pick<ClientSnapshot, 'lastExp' | 'liveTokens' | 'revokedTokens' | 'youngest'> {
  const honoured = client === undefined ? 0 : firstHonoured(client);
  const revokeBefore = client?.revokeBefore ?? 0;
  const lastExp = new Map<number, Instant>();
  let liveTokens = 0;
  let revokedTokens = 0;
  let youngest: Instant | undefined;
  for (const [, { record }] of memory.sessions.byIndex(indexes.client, key)) {
    for (const token of record?.tokens ?? []) {
      if (record === undefined || clientOf(record, token) !== key) continue;
      const { generation, exp, minted } = token;
      liveTokens += 1;
      if (minted < revokeBefore || generation < honoured) revokedTokens += 1;
      youngest = youngest === undefined || minted > youngest ? minted : youngest;
      const last = lastExp.get(generation);
      if (last === undefined || last < exp) lastExp.set(generation, exp);
    }
  }
  return { lastExp, liveTokens, revokedTokens, ...(youngest === undefined ? {} : { youngest }) };
}
