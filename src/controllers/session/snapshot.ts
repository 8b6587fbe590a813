import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import { type Instant, type Milliseconds, instant, minute } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import type { Access, Guard } from '../../domain/access/access.ts';
import { isHeldBy } from '../../domain/access/brake.ts';
import { stopOf } from '../../domain/access/stops.ts';
import { currentOf } from '../../domain/client/generations.ts';
import type { ExistingCredential } from '../../domain/client/machine.ts';
import { type Failure, nextTryAt, pauseOf } from '../../domain/failure.ts';
import type { ClientRecord } from '../../domain/client/record.ts';
import { firstHonoured } from '../../domain/client/requests.ts';
import { type SessionRecord, clientsOf } from '../../domain/session/record.ts';
import { usableToken } from '../../domain/session/facts.ts';
import type { RevocationOutcome } from '../../domain/token.ts';
import { maxSessionAge } from '../../domain/pool-defaults.ts';
import { tokenDigest } from '../../domain/delivery/render.ts';
import type { ClientFacts, Delivered, SessionSnapshot } from '../../domain/session/machine.ts';
import { isDamaged, isUnreadable } from '../../kube/records.ts';
import type { FailureNote } from '../../runtime/machine.ts';
import type { AccessCache } from '../access-cache.ts';
import type { Brakes } from '../brakes.ts';
import { type ClientTargets, refOf } from '../client/targets.ts';
import type { Memory } from '../memory.ts';
import { jitterOf, parseSessionKey } from './key.ts';
import type { Reviews } from './reviews.ts';
import { stopOfBefore, stopSources, stoppedClients } from './stop-sources.ts';
import type { Outage } from '../status/troubles.ts';
import type { Capabilities } from '../../providers/port.ts';

/** A node that has been NotReady for this long is lost: nobody reads the file any more. */
const lostAfter: Milliseconds = 5 * minute;

export interface SessionSources {
  readonly memory: Memory;
  readonly access: AccessCache;
  readonly reviews: Reviews;
  readonly targets: ClientTargets;
  /** What the Secret of an existing client holds. */
  existing(pool: IdentityPool): ExistingCredential | undefined;
  readonly delivered: ReadonlyMap<string, Delivered>;
  readonly answered: ReadonlyMap<string, ReadonlyMap<string, RevocationOutcome>>;
  readonly brakes: Brakes;
  guard(): Guard;
  capabilities(issuer: string): Capabilities | undefined;
  deliveryLag(): Milliseconds;
  now(): Instant;
  epoch(): number;
  /** What the last step of a client failed with, while it is still to be done. */
  clientFailure(record: string): FailureNote | undefined;
  /** What keeps everybody from the tokens of an issuer, or a client alone. */
  outage(issuer: string, client: string): Outage | undefined;
  /** Nothing can be revoked at an issuer. */
  revocationsPaused(issuer: string): boolean;
  /** A clock that was seen, of the API server or of the issuer, is not ours. */
  clocksDisagree(issuer: string): boolean;
  /** Why a pod may not begin a session of this identity now. */
  limitOf(identity: CiIdentity, podUid: string): string | undefined;
  /** When this process saw the pod of this session first. */
  seenSince(key: string): Instant;
}

/** Reads memory only. `undefined`: neither pod nor record is left, the session is over and forgotten. */
export function snapshotSession(
  sources: SessionSources,
  key: string,
  held: readonly FailureNote[],
): SessionSnapshot | undefined {
  const { memory } = sources;
  const { namespace, pod: podName, podUid, identity: identityName } = parseSessionKey(key);
  const pod = memory.pod(namespace, podName, podUid);
  const stored = memory.sessionRecord(
    podUid,
    identityName,
    pod.is === 'Seen' ? pod.value.claims[identityName] : undefined,
  );
  const namespaceState = memory.namespaceState(namespace);
  if (
    stored === undefined &&
    memory.sessions.synced &&
    (pod.is === 'Gone' || (pod.is === 'Unknown' && !isServed(namespaceState)))
  ) {
    return undefined;
  }
  const identity = memory.identity(namespace, identityName);
  const record = stored?.record;
  // The brake may keep a session whose identity is gone: stops and requests of its pool reach it all the same.
  const poolName = identity.is === 'Seen' ? identity.value.spec.pool : record?.pool.name;
  const pool = poolName === undefined ? ({ is: identity.is } as Known<IdentityPool>) : memory.pool(poolName);
  const requester = record?.requester ?? (pod.is === 'Seen' ? pod.value.requester : undefined);
  const poolVanishes = record !== undefined && poolName !== undefined && memory.poolVanishes(poolName);
  const access = accessOf(sources, identity, record, poolVanishes);
  const stop =
    stopOf(stopSources(memory, identity.is === 'Seen' ? identity.value : undefined, pool, namespace)) ??
    stopOfBefore(memory, record, poolName);
  const delivered = sources.delivered.get(key);
  const answered = sources.answered.get(key);
  const limit =
    usableToken({ record }) === undefined && identity.is === 'Seen'
      ? sources.limitOf(identity.value, podUid)
      : undefined;
  const lag = sources.deliveryLag();
  const jitter = jitterOf(key);
  return {
    pod,
    identityName,
    identity: sessionIdentity(identity),
    ...poolFacts(pool),
    ...(poolVanishes ? { poolVanishes } : {}),
    namespace: namespaceState,
    guard: sources.guard(),
    mayUse: requester === undefined ? { is: 'Unknown' } : sources.reviews.known(requester, namespace, identityName),
    access,
    ...(stop === undefined ? {} : { stop }),
    ...(limit === undefined ? {} : { limit }),
    ...(record === undefined ? {} : { record, wantedDigest: tokenDigest(record, lag, jitter) }),
    ...(stored?.newerFormat === true ? { newerFormat: true } : {}),
    ...(isUnreadable(stored) ? { invalid: true } : {}),
    ...(isDamaged(stored) ? { damaged: true } : {}),
    ...(record !== undefined && sources.clocksDisagree(record.issuer) ? { clocksDisagree: true } : {}),
    synced: memory.sessions.synced,
    epoch: sources.epoch(),
    seenSince: sources.seenSince(key),
    ...(delivered === undefined ? {} : { delivered }),
    ...(answered === undefined ? {} : { answered }),
    ...(stored !== undefined && isHeldBy(sources.brakes.of('sessions'), stored.name) ? { brake: true } : {}),
    client: clientFacts(sources, pool, identity, access, record),
    ...recalls(memory, record),
    ...(stop === undefined ? stoppedClients(memory, record, poolName) : {}),
    nodeLost: pod.is === 'Seen' && memory.nodeLost(pod.value.node, (since) => sources.now() - since >= lostAfter),
    ...failureOf(held),
    deliveryLag: lag,
    maxSessionAge: pool.is === 'Seen' ? maxSessionAge(pool.value) : Number.MAX_SAFE_INTEGER,
    jitter,
  };
}

function accessOf(
  { access }: SessionSources,
  identity: Known<CiIdentity>,
  record: SessionRecord | undefined,
  poolVanishes: boolean,
): Known<Access> {
  if (record !== undefined && (identity.is === 'Gone' || poolVanishes)) return access.ofHeld(record) ?? { is: 'Gone' };
  return identity.is === 'Seen' ? access.of(identity.value) : identity;
}

/** As a snapshot has it. The loop gives back the names of rows that the table gave it. */
export function failureOf<N extends string>([first, ...rest]: readonly FailureNote[]): {
  readonly failure?: Failure<N>;
} {
  if (first === undefined) return {};
  const { error, at } = first;
  const row = first.row as N;
  const others = rest.length === 0 ? {} : { others: rest.map((note) => note.row as N) };
  return {
    failure: { reason: error.reason, message: saidIn(first), at, row, terminal: error.class === 'Terminal', ...others },
  };
}

/** Whoever reads it in his pod wants to know how long he waits. */
function saidIn({ error: { message, retryAt }, at }: FailureNote): string {
  return `${message}${nextTryAt(pauseOf(retryAt, at))}`;
}

function isServed(namespace: SessionSnapshot['namespace']): boolean {
  return namespace.is === 'Unknown' || (namespace.is === 'Seen' && namespace.value === 'Active');
}

export function sessionIdentity(identity: Known<CiIdentity>): SessionSnapshot['identity'] {
  if (identity.is !== 'Seen') return identity;
  const { metadata } = identity.value;
  if (metadata.deletionTimestamp !== undefined) return { is: 'Gone' };
  return { is: 'Seen', value: { uid: metadata.uid ?? '', generation: metadata.generation ?? 0 } };
}

function poolFacts(pool: Known<IdentityPool>): Pick<SessionSnapshot, 'pool'> {
  if (pool.is !== 'Seen') return {};
  const { name, generation = 0 } = pool.value.metadata;
  return { pool: { name, generation } };
}

function clientFacts(
  sources: SessionSources,
  pool: Known<IdentityPool>,
  identity: Known<CiIdentity>,
  access: Known<Access>,
  session: SessionRecord | undefined,
): Known<ClientFacts> {
  if (!sources.memory.clients.synced) return { is: 'Unknown' };
  if (pool.is !== 'Seen') return pool;
  if (identity.is !== 'Seen') return session === undefined ? identity : lastClient(sources, session);
  const target = sources.targets.serving(pool.value, refOf(identity.value));
  const stored = target === undefined ? undefined : sources.memory.clients.get(target.recordName);
  const record = stored?.record;
  const issuer = pool.value.spec.provider.issuer;
  const proof = access.is === 'Seen' && access.value.is === 'Granted' ? record?.proofs[access.value.hash] : undefined;
  const current = mintingCredentialOf(record);
  const outage = sources.outage(issuer, target?.recordName ?? '');
  const revokeBefore = latest(
    session === undefined ? undefined : sources.memory.clients.get(session.client)?.record?.revokeBefore,
    session?.pool.name === pool.value.metadata.name ? record?.revokeBefore : undefined,
  );
  return {
    is: 'Seen',
    value: {
      name: target?.recordName ?? '',
      issuer,
      ...(current === undefined ? trouble(sources, pool.value, target?.recordName) : { current }),
      revocation: sources.capabilities(issuer)?.revocation ?? 'IntrospectionOnly',
      ...(revokeBefore === undefined ? {} : { revokeBefore }),
      ...(proof?.outcome === 'Refused' && proof.lasting === true
        ? { refusal: { reason: proof.reason ?? 'ScopeRefused', message: proof.message ?? '' } }
        : {}),
      ...(outage === undefined
        ? {}
        : { outage: { reason: outage.reason, message: `${outage.message}${nextTryAt(outage)}` } }),
      ...(sources.revocationsPaused(issuer) ? { revocationsPaused: true } : {}),
    },
  };
}

/** What the clients that minted say of their tokens. */
function recalls(memory: Memory, record?: SessionRecord): Pick<SessionSnapshot, 'revokedBefore' | 'firstHonoured'> {
  const revokedBefore = new Map<string, Instant>();
  const honoured = new Map<string, number>();
  for (const name of record === undefined ? [] : clientsOf(record)) {
    const client = memory.clients.get(name)?.record;
    if (client !== undefined) honoured.set(name, firstHonoured(client));
    if (client?.revokeBefore !== undefined) revokedBefore.set(name, client.revokeBefore);
  }
  return { revokedBefore, firstHonoured: honoured };
}

/** A request to revoke is about the tokens of the client that it was asked of, and about every token of its pool. */
function latest(...moments: readonly (Instant | undefined)[]): Instant | undefined {
  const known = moments.filter((moment) => moment !== undefined);
  return known.length === 0 ? undefined : instant(Math.max(...known));
}

/** The client that minted, where no identity says any more which one it should be: it mints nothing, but what is asked of it holds. */
function lastClient(sources: SessionSources, { client, issuer }: SessionRecord): Known<ClientFacts> {
  const revokeBefore = sources.memory.clients.get(client)?.record?.revokeBefore;
  return {
    is: 'Seen',
    value: {
      name: client,
      issuer,
      revocation: sources.capabilities(issuer)?.revocation ?? 'IntrospectionOnly',
      ...(revokeBefore === undefined ? {} : { revokeBefore: instant(revokeBefore) }),
    },
  };
}

function mintingCredentialOf(record: ClientRecord | undefined): ClientFacts['current'] {
  const current = currentOf(record);
  return current?.clientId === undefined ? undefined : { generation: current.n, clientId: current.clientId };
}

/** Why no client mints, as far as it is known. */
function trouble(
  sources: SessionSources,
  pool: IdentityPool,
  record: string | undefined,
): Pick<ClientFacts, 'message' | 'lasting'> {
  const existing = sources.existing(pool);
  if (existing?.is === 'Unusable') return { message: existing.message, lasting: true };
  const note = record === undefined ? undefined : sources.clientFailure(record);
  return note === undefined ? {} : { message: saidIn(note), lasting: note.error.class === 'Terminal' };
}
