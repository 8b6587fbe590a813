/** Records and snapshots that are whole and boring; a test says only what it is about. */
import { hour, instant, minute, plus, second } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import { Redacted } from '#src/redacted.ts';
import type { Access, Ask, Stop } from '#src/domain/access/access.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import { metadataDigest, tagText } from '#src/domain/client/generations.ts';
import type { ClientSnapshot, Desired } from '#src/domain/client/machine.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import type { ClientFacts, PodFacts, SessionSnapshot } from '#src/domain/session/machine.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import type { Token } from '#src/domain/token.ts';

/** 2026-11-24T12:00:00Z: the *now* of tests that name no other. */
export const noon: Instant = instant(Date.UTC(2026, 10, 24, 12));

export const issuer = 'https://idp.example.com/realms/ci';

/** Somebody suspended the pool. */
export const suspended: Stop = { sources: [{ kind: 'IdentityPool', name: 'ci-bots', by: 'suspend' }] };

export function buildAsk(overrides: Partial<Ask> = {}): Ask {
  return {
    scopes: ['artifacts:publish'],
    audiences: ['https://registry.example.com'],
    maxLifetime: 15 * minute,
    ...overrides,
  };
}

/** Minted at noon, 15 minutes long: renewal at 12:07:30 (± jitter), last fifth from 12:12. */
export function buildToken(overrides: Partial<Token> = {}): Token {
  const { minted = noon, sha256 = 'a1' } = overrides;
  return {
    sha256,
    value: new Redacted(`value of ${sha256}`),
    ask: buildAsk(),
    minted,
    exp: plus(minted, 15 * minute),
    generation: 1,
    clientId: 'ci-1',
    ...overrides,
  };
}

/** A token that got its end; `value: undefined` of the type is spelt by leaving it out. */
export function buildEndedToken(end: 'Superseded' | 'Forbidden', overrides: Partial<Token> = {}): Token {
  return buildToken({ end, endedAt: noon, ...overrides });
}

export function buildSessionRecord(overrides: Partial<SessionRecord> = {}): SessionRecord {
  return {
    formatVersion: 1,
    epoch: 1,
    pod: { namespace: 'ci-payments', name: 'agent-1', uid: 'pod-uid' },
    identity: { name: 'publisher', uid: 'identity-uid' },
    pool: { name: 'ci-bots', uid: 'pool-uid' },
    client: 'client-1',
    requester: 'system:serviceaccount:jenkins:controller',
    since: noon,
    issuer,
    tokens: [buildToken()],
    ...overrides,
  };
}

export function buildPod(overrides: Partial<PodFacts> = {}): PodFacts {
  return {
    namespace: 'ci-payments',
    name: 'agent-1',
    uid: 'pod-uid',
    resourceVersion: '1',
    created: plus(noon, -5 * second),
    deleting: false,
    phase: 'Pending',
    requester: 'system:serviceaccount:jenkins:controller',
    claims: { publisher: 'identity-uid' },
    volumes: ['publisher'],
    labels: { 'jenkins/label': 'agent' },
    containers: ['jnlp'],
    ...overrides,
  };
}

export function buildClientFacts(overrides: Partial<ClientFacts> = {}): ClientFacts {
  return {
    name: 'client-1',
    issuer,
    current: { generation: 1, clientId: 'ci-1' },
    revocation: 'Immediate',
    ...overrides,
  };
}

export function buildGranted(ask: Ask = buildAsk()): Access {
  const hash = `hash of ${ask.scopes.join(' ')}`;
  return { is: 'Granted', ask, hash, by: [], denials: [], wouldDeny: [] };
}

/** A pod that waits for its first token, and everything is fine. */
export function buildSessionSnapshot(overrides: Partial<SessionSnapshot> = {}): SessionSnapshot {
  return {
    pod: { is: 'Seen', value: buildPod() },
    identityName: 'publisher',
    identity: { is: 'Seen', value: { uid: 'identity-uid', generation: 1 } },
    namespace: { is: 'Seen', value: 'Active' },
    guard: { is: 'Intact', since: plus(noon, -hour) },
    mayUse: { is: 'Unknown' },
    access: { is: 'Seen', value: buildGranted() },
    synced: true,
    client: { is: 'Seen', value: buildClientFacts() },
    nodeLost: false,
    deliveryLag: 150 * second,
    maxSessionAge: 24 * hour,
    jitter: 0,
    epoch: 1,
    ...overrides,
  };
}

/** A pod whose token was minted and delivered at noon. */
export function buildLiveSnapshot(overrides: Partial<SessionSnapshot> = {}): SessionSnapshot {
  return buildSessionSnapshot({
    pod: { is: 'Seen', value: buildPod({ phase: 'Running' }) },
    record: buildSessionRecord(),
    wantedDigest: 'digest',
    delivered: { digest: 'digest', content: 'Token', at: noon },
    ...overrides,
  });
}

export function buildKey(name = 'k1'): Credential {
  return {
    type: 'PrivateKeyJwt',
    kid: name,
    alg: 'ES256',
    publicJwk: { kty: 'EC', kid: name },
    privateJwk: new Redacted(`private half of ${name}`),
  };
}

export function buildGeneration(overrides: Partial<Generation> = {}): Generation {
  const { n = 1, state = 'Current' } = overrides;
  return {
    n,
    state,
    since: noon,
    clientId: 'ci-1',
    credential: buildKey(`k${n}`),
    ...(state === 'Draining' ? { retireAfter: plus(noon, hour) } : {}),
    ...overrides,
  };
}

export function buildDesired(overrides: Partial<Desired> = {}): Desired {
  return {
    issuer,
    pool: { name: 'ci-bots', uid: 'pool-uid' },
    owner: 'pool-uid',
    installation: 'cluster/ci-identity-system',
    clientId: 'ci-1',
    name: 'ci-identity ci-bots',
    authentication: 'PrivateKeyJwt',
    scopes: ['artifacts:publish'],
    audiences: ['https://registry.example.com'],
    carriers: [],
    maxTokenLifetime: 15 * minute,
    rotateEvery: 90 * 24 * hour,
    overlap: hour,
    allowSubjectChange: false,
    deletionPolicy: 'Delete',
    ...overrides,
  };
}

/** Registered, verified and looked at at noon. */
export function buildClientRecord(overrides: Partial<ClientRecord> = {}): ClientRecord {
  const tag = { installation: 'cluster/ci-identity-system', owner: 'pool-uid' };
  return {
    formatVersion: 1,
    epoch: 1,
    tag,
    issuer,
    pool: { name: 'ci-bots', uid: 'pool-uid' },
    variant: 'TwoKeys',
    generations: [buildGeneration()],
    management: { token: new Redacted('management'), uri: `${issuer}/clients/ci-1` },
    observed: { is: 'Present', at: noon, drift: [], tag: tagText(tag), generation: 1 },
    proofs: {},
    handled: [],
    updatedAt: noon,
    sent: metadataDigest(buildDesired()),
    sentCarriers: [],
    highest: 1,
    ...overrides,
  };
}

/** A working client with nothing to do. */
export function buildClientSnapshot(overrides: Partial<ClientSnapshot> = {}): ClientSnapshot {
  return {
    wanted: { is: 'Seen', value: buildDesired() },
    record: buildClientRecord(),
    synced: true,
    issuerConfigured: true,
    asks: [],
    lastExp: new Map(),
    liveTokens: 0,
    capabilities: { variants: ['TwoKeys', 'NewClient'], clientIdBy: 'Us', credentialPropagation: 0 },
    clockAgrees: true,
    epoch: 1,
    ...overrides,
  };
}

/** The same without some members, where `exactOptionalPropertyTypes` allows no `undefined`. */
export function omit<T extends object, K extends keyof T>(whole: T, ...members: readonly K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(whole).filter(([key]) => !members.includes(key as K))) as Omit<T, K>;
}
