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
import { type StoredRecord, isDamaged, isUnreadable } from '../../kube/records.ts';
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
  const { memory } = sources;
  const stored = memory.clients.get(key);
  const target = sources.targets.find(key);
  if (target === undefined) return undefined;
  const pool = memory.pool(target.pool.name);
  const wanted = wantedOf(sources, key, target, pool);
  if (stored === undefined && wanted.is === 'Gone') return undefined;
  const record = stored?.record;
  const stop = stopOf(poolStopSources(memory, pool));
  const handedIn = record !== undefined && isUnmanaged(record) ? sources.handIns.managementToken(key) : undefined;
  return {
    wanted,
    synced: memory.clients.synced && memory.sessions.synced && memory.identities.synced,
    epoch: sources.epoch(),
    jitter: jitterOf(key),
    ...(stop === undefined ? {} : { stop }),
    ...brakeOn(sources, key, target, wanted),
    ...failureOf(held),
    ...storedFacts(stored),
    ...tokensOf(memory, key, record),
    ...(pool.is === 'Seen' ? namedPoolFacts(sources, key, pool.value) : { asks: [] }),
    ...(isPoolOf(target, pool) ? ownPoolFacts(sources, pool.value, record) : {}),
    ...issuerFacts(sources, key, record, pool),
    ...(handedIn === undefined ? {} : { handedIn }),
    ...(sources.targets.isLeaving(key) ? { leaving: true } : {}),
  };
}

function storedFacts(
  stored: StoredRecord<ClientRecord> | undefined,
): Pick<ClientSnapshot, 'record' | 'newerFormat' | 'invalid' | 'damaged'> {
  return {
    ...(stored?.record === undefined ? {} : { record: stored.record }),
    ...(stored?.newerFormat === true ? { newerFormat: true } : {}),
    ...(isUnreadable(stored) ? { invalid: true } : {}),
    ...(isDamaged(stored) ? { damaged: true } : {}),
  };
}

/** What the pool says that has this name now, be it ours or one made anew. */
function namedPoolFacts(
  sources: ClientSources,
  key: string,
  pool: IdentityPool,
): Pick<ClientSnapshot, 'asks' | 'unasked' | 'existing' | 'window'> {
  // A credential takes over once it is proven for each of the asks, so none may be missing after a start.
  const judgingFew = { ...sources, access: sources.access.forMany('Judged') };
  const existing = sources.handIns.existing(pool);
  const window = declaredWindow(pool, sources.now());
  return {
    asks: asksOf(judgingFew, key, pool),
    ...(isUnasked(judgingFew, key, pool) ? { unasked: true } : {}),
    ...(existing === undefined ? {} : { existing }),
    ...(window === undefined ? {} : { window }),
  };
}

/** What the pool says whose client it is, also while that goes. */
function ownPoolFacts(
  sources: ClientSources,
  pool: IdentityPool,
  record: ClientRecord | undefined,
): Pick<ClientSnapshot, 'retain' | 'retryRequest' | 'orphansAcknowledged'> {
  const retryRequest = retryRequestOf(pool);
  return {
    retain: deletionPolicyOf(pool) === 'Retain',
    ...(retryRequest === undefined ? {} : { retryRequest }),
    ...(areOrphansAcknowledged(sources, pool, record) ? { orphansAcknowledged: true } : {}),
  };
}

/** Of the issuer at which the client is; without a record the one at which the pool wants it. */
function issuerFacts(
  { providers, apiServerOffset, troubleOf }: ClientSources,
  key: string,
  record: ClientRecord | undefined,
  pool: Known<IdentityPool>,
): Pick<
  ClientSnapshot,
  'issuerConfigured' | 'capabilities' | 'keyAlgorithm' | 'clockAgrees' | 'managementFallback' | 'outage' | 'failing'
> {
  const provider = pool.is === 'Seen' ? pool.value.spec.provider : undefined;
  const url = record?.issuer ?? provider?.issuer ?? '';
  const issuer = providers.issuer(url);
  const capabilities = providers.providerAt(url, provider?.audience)?.capabilities;
  return {
    issuerConfigured: providers.isConfigured(url),
    ...(capabilities === undefined ? {} : { capabilities: attempted(capabilities) }),
    ...(issuer?.keyAlgorithm === undefined ? {} : { keyAlgorithm: issuer.keyAlgorithm }),
    clockAgrees: clocksAgree(apiServerOffset(), issuer?.clockOffset()),
    managementFallback: providers.managementCredential(url) === 'Present',
    ...troubleOf(url, key),
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
