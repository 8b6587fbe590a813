import test from 'ava';
import { hour, minute, plus, second } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import type { Reason } from '#src/api/reasons.ts';
import type { Decision } from '#src/decision.ts';
import { lanes } from '#src/domain/lanes.ts';
import { decideSession, sessionRows } from '#src/domain/session/decide.ts';
import { fullError } from '#src/domain/session/explain.ts';
import type { SessionAction, SessionRowName, SessionSnapshot } from '#src/domain/session/machine.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import {
  suspended,
  buildAsk,
  buildClientFacts,
  buildEndedToken,
  buildGranted,
  buildLiveSnapshot,
  buildPod,
  buildSessionRecord,
  buildSessionSnapshot,
  buildToken,
  issuer,
  noon,
  omit,
} from '#test/support/builders.ts';
import { tableTests } from '../table.ts';

interface Case {
  readonly row: string;
  readonly title: string;
  readonly s: SessionSnapshot;
  readonly now?: Instant;
  readonly action?: SessionAction['type'];
  readonly tokens?: readonly string[];
  readonly content?: 'Token' | 'Error' | 'Empty';
  readonly error?: Reason;
  readonly predecessor?: 'Superseded' | 'Forbidden';
  readonly lane?: number;
  readonly reason?: Reason;
  readonly recheckAt?: Instant;
}

const denied = (lasting: boolean): SessionSnapshot['access'] => ({
  is: 'Seen',
  value: { is: 'Denied', lasting, denials: [{ reason: 'NoRule', message: 'No rule grants role publisher here.' }] },
});
const granted = (scopes: readonly string[]): SessionSnapshot['access'] => ({
  is: 'Seen',
  value: buildGranted({ ...buildAsk(), scopes }),
});
/** A typo in the operator's configuration, or a line that somebody took out. */
const unlisted: SessionSnapshot['access'] = {
  is: 'Seen',
  value: { is: 'Denied', lasting: false, denials: [{ reason: 'IssuerNotConfigured', message: 'Not listed.' }] },
};
const unlistedFor = (scopes: readonly string[]): SessionSnapshot['access'] =>
  unlisted.is === 'Seen' && unlisted.value.is === 'Denied'
    ? { is: 'Seen', value: { ...unlisted.value, ask: { ...buildAsk(), scopes } } }
    : unlisted;
/** A token of an hour, and what is granted by now may live a quarter of it. */
const lifeLowered = (overrides: Partial<SessionSnapshot> = {}): SessionSnapshot =>
  buildLiveSnapshot({
    record: buildSessionRecord({
      tokens: [buildToken({ exp: plus(noon, hour), ask: buildAsk({ maxLifetime: hour }) })],
    }),
    access: { is: 'Seen', value: buildGranted(buildAsk({ maxLifetime: 15 * minute })) },
    ...overrides,
  });
const stop = suspended;
const pod = (overrides: Parameters<typeof buildPod>[0]): SessionSnapshot['pod'] => ({
  is: 'Seen',
  value: buildPod(overrides),
});
const unmounted = (overrides: Parameters<typeof buildPod>[0] = {}): SessionSnapshot['pod'] =>
  pod({ phase: 'Pending', unmountedSince: plus(noon, -minute), ...overrides });
const told: NonNullable<SessionSnapshot['delivered']> = { digest: '', content: 'Error', at: noon };
const client = (overrides: Parameters<typeof buildClientFacts>[0]): SessionSnapshot['client'] => ({
  is: 'Seen',
  value: buildClientFacts(overrides),
});
const noClient: SessionSnapshot['client'] = { is: 'Seen', value: omit(buildClientFacts(), 'current') };
const ending = (overrides: Partial<SessionSnapshot> = {}): SessionSnapshot =>
  buildLiveSnapshot({ record: buildSessionRecord({ tokens: [buildEndedToken('Forbidden')] }), ...overrides });
const renewed = (overrides: Partial<SessionSnapshot> = {}): SessionSnapshot =>
  buildLiveSnapshot({
    record: buildSessionRecord({
      tokens: [buildEndedToken('Superseded', { sha256: 'old', minted: plus(noon, -8 * minute) }), buildToken()],
    }),
    ...overrides,
  });
/** A token was narrowed, and its successor is in use. */
const threeForbidden = buildSessionRecord({
  tokens: [
    buildEndedToken('Forbidden', { sha256: 'a' }),
    buildEndedToken('Forbidden', { sha256: 'b' }),
    buildEndedToken('Forbidden', { sha256: 'c' }),
  ],
});
/** So many tokens that the provider does not revoke. */
const ended = (many: number): SessionRecord => {
  const tokens = Array.from({ length: many }, (_, n) =>
    omit(buildEndedToken('Forbidden', { sha256: `old${n}` }), 'value'),
  );
  const [first = buildEndedToken('Forbidden'), ...more] = tokens;
  return buildSessionRecord({ tokens: [first, ...more] });
};
const narrowedRecord = buildSessionRecord({ tokens: [buildEndedToken('Forbidden', { sha256: 'old' }), buildToken()] });
/** Its usable token is of a client that nobody asked anything of. */
const movedAndRevoked = renewed({
  record: buildSessionRecord({
    tokens: [buildEndedToken('Superseded', { sha256: 'old', client: 'client-before' }), buildToken()],
  }),
  revokedBefore: new Map([['client-before', plus(noon, second)]]),
});
const narrowedTo = buildGranted(buildAsk({ scopes: [] }));
const failed = (
  row: SessionRowName,
  terminal = false,
  reason: Reason = 'ProviderUnavailable',
): Pick<SessionSnapshot, 'failure'> => ({
  failure: { row, terminal, reason, message: 'the provider answers 503', at: noon },
});
const undeliveredYet = omit(buildLiveSnapshot(), 'delivered');
const error = (reason: Reason, message: string, fix: string): NonNullable<SessionSnapshot['delivered']> => ({
  digest: 'e',
  content: 'Error',
  at: noon,
  error: { reason, message, fix },
});

const outage = { reason: 'ProviderUnavailable', message: '503' } as const;
const revocationsPaused = client({ revocationsPaused: true });
/** Where nothing can be revoked now, and no Mint would come before that all the same. */
const mintsLater: readonly (readonly [string, SessionSnapshot])[] = [
  ['the pod is gone', ending({ client: revocationsPaused, pod: { is: 'Gone' } })],
  ['a limit has no room', ending({ client: revocationsPaused, limit: 'full' })],
  ['its Mint failed', ending({ client: revocationsPaused, ...failed('first') })],
  ['no tokens are to be had either', ending({ client: client({ revocationsPaused: true, outage }) })],
  ['nothing mints', ending({ client: revocationsPaused, guard: { is: 'Missing', objects: ['x'] } })],
  ['three tokens are held', ending({ client: revocationsPaused, record: threeForbidden })],
];

const cases: readonly Case[] = [
  {
    row: 'lost-lease',
    title: 'a higher epoch is stored',
    s: ending({ record: buildSessionRecord({ epoch: 2 }) }),
    reason: 'LostLease',
  },
  {
    row: 'lost-lease',
    title: 'a newer format is left alone',
    s: buildSessionSnapshot({ newerFormat: true }),
    reason: 'NewerFormat',
  },

  {
    row: 'damaged',
    title: 'somebody deleted or overwrote the record: written again before anything else',
    s: buildLiveSnapshot({ damaged: true, pod: { is: 'Gone' } }),
    action: 'Restore',
    lane: lanes.Stop,
    reason: 'RecordRestored',
  },
  {
    row: 'damaged',
    title: 'also one whose token is about to be revoked',
    s: ending({ damaged: true }),
    action: 'Restore',
  },
  {
    row: 'lost-lease',
    title: 'the record of another leader is not written again',
    s: buildLiveSnapshot({ damaged: true, record: buildSessionRecord({ epoch: 2 }) }),
    reason: 'LostLease',
  },
  {
    row: 'expired',
    title: 'a damaged record of a token that has expired is worth nothing',
    s: buildLiveSnapshot({ damaged: true }),
    now: plus(noon, 15 * minute),
    action: 'Drop',
  },
  {
    row: 'revoked',
    title: 'our own removal of the record took effect, and its answer was lost',
    s: ending({ damaged: true, answered: new Map([['a1', 'Confirmed']]), pod: { is: 'Gone' } }),
    action: 'Conclude',
  },
  {
    row: 'over',
    title: 'it cannot be written again for now: nothing waits for that',
    s: buildLiveSnapshot({ damaged: true, pod: { is: 'Gone' }, ...failed('damaged') }),
    action: 'Forbid',
  },
  {
    row: 'unreadable',
    title: 'nothing is minted over a record that nobody can read',
    s: buildSessionSnapshot({ invalid: true }),
    reason: 'RecordInvalid',
  },
  {
    row: 'unreadable',
    title: 'a pod that waits for its first token is told in the end',
    s: buildSessionSnapshot({ invalid: true, pod: pod({ created: plus(noon, -6 * minute) }) }),
    action: 'Deliver',
    content: 'Error',
    error: 'RecordInvalid',
  },
  {
    row: 'unreadable',
    title: 'a running pod keeps its file: the token in there may be alive',
    s: buildSessionSnapshot({ invalid: true, pod: pod({ phase: 'Running', created: plus(noon, -6 * minute) }) }),
    reason: 'RecordInvalid',
  },

  {
    row: 'expired',
    title: 'the token has expired',
    s: buildLiveSnapshot(),
    now: plus(noon, 15 * minute),
    action: 'Drop',
    tokens: ['a1'],
  },
  {
    row: 'expired',
    title: 'only the old one',
    s: renewed(),
    now: plus(noon, 7 * minute),
    action: 'Drop',
    tokens: ['old'],
  },
  {
    row: 'expired',
    title: 'even when nothing else is known',
    s: buildLiveSnapshot({ pod: { is: 'Unknown' } }),
    now: plus(noon, hour),
    action: 'Drop',
  },

  { row: 'unknown', title: 'records are not synced', s: buildSessionSnapshot({ synced: false }), reason: 'NotSynced' },
  {
    row: 'unknown',
    title: 'pods are not synced: a live session stays',
    s: buildLiveSnapshot({ pod: { is: 'Unknown' } }),
    reason: 'NotSynced',
  },
  {
    row: 'unknown',
    title: 'namespaces are not synced',
    s: buildLiveSnapshot({ namespace: { is: 'Unknown' } }),
    reason: 'NotSynced',
  },
  {
    row: 'unknown',
    title: 'policies are not synced: no renewal',
    s: buildLiveSnapshot({ access: { is: 'Unknown' } }),
    now: plus(noon, 10 * minute),
    reason: 'NotSynced',
  },
  {
    row: 'unknown',
    title: 'what is Forbidden already is revoked',
    s: ending({ access: { is: 'Unknown' } }),
    action: 'Revoke',
    tokens: ['a1'],
  },

  {
    row: 'recalled',
    title: 'moved to another pool, and then the one before is asked to revoke: its token goes, the usable one stays',
    s: movedAndRevoked,
    now: plus(noon, second),
    action: 'Forbid',
    tokens: ['old'],
    lane: lanes.Stop,
    reason: 'RevokeRequested',
  },
  {
    row: 'recalled',
    title: 'moved to another pool, and then the one before is stopped: the same, at once and not after deliveryLag',
    s: { ...omit(movedAndRevoked, 'revokedBefore'), stoppedClients: new Set(['client-before']) },
    action: 'Forbid',
    tokens: ['old'],
    lane: lanes.Stop,
    reason: 'Suspended',
  },
  {
    row: 'recalled',
    title: 'the request came while the successor was minted',
    s: renewed({ revokedBefore: new Map([['client-1', plus(noon, -minute)]]) }),
    action: 'Forbid',
    tokens: ['old'],
  },
  {
    row: 'recalled',
    title: 'the brake holds the session, not the request',
    s: { ...movedAndRevoked, identity: { is: 'Gone' }, brake: true },
    now: plus(noon, second),
    action: 'Forbid',
    tokens: ['old'],
  },
  {
    row: 'narrowed',
    title: 'the usable token is asked for as well: one write forbids all',
    s: renewed({
      client: client({ revokeBefore: plus(noon, second) }),
      revokedBefore: new Map([['client-1', plus(noon, second)]]),
    }),
    now: plus(noon, second),
    action: 'Mint',
    predecessor: 'Forbidden',
  },
  {
    row: 'settled',
    title: 'a request that is older than every token',
    s: renewed({ revokedBefore: new Map([['client-1', plus(noon, -hour)]]) }),
    reason: 'Delivered',
  },

  {
    row: 'over',
    title: 'no record: nothing',
    s: buildSessionSnapshot({ pod: pod({ deleting: true }) }),
    reason: 'PodOver',
  },
  {
    row: 'over',
    title: 'pod is being deleted',
    s: buildLiveSnapshot({ pod: pod({ deleting: true }) }),
    action: 'Forbid',
    tokens: ['a1'],
    lane: lanes.Stop,
  },
  {
    row: 'over',
    title: 'pod is gone, while the issuer is not in the configuration',
    s: buildLiveSnapshot({ pod: { is: 'Gone' }, access: unlisted }),
    action: 'Forbid',
    reason: 'PodOver',
  },
  { row: 'over', title: 'pod succeeded', s: buildLiveSnapshot({ pod: pod({ phase: 'Succeeded' }) }), action: 'Forbid' },
  { row: 'over', title: 'pod failed', s: buildLiveSnapshot({ pod: pod({ phase: 'Failed' }) }), action: 'Forbid' },
  {
    row: 'over',
    title: 'pod is gone',
    s: buildLiveSnapshot({ pod: { is: 'Gone' } }),
    action: 'Forbid',
    reason: 'PodOver',
  },
  {
    row: 'over',
    title: 'pod is gone, policies unknown',
    s: buildLiveSnapshot({ pod: { is: 'Gone' }, access: { is: 'Unknown' } }),
    action: 'Forbid',
  },
  {
    row: 'over',
    title: 'namespace leaves',
    s: buildLiveSnapshot({ namespace: { is: 'Seen', value: 'Leaving' } }),
    action: 'Forbid',
    reason: 'NamespaceLeaving',
  },
  {
    row: 'over',
    title: 'identity deleted',
    s: buildLiveSnapshot({ identity: { is: 'Gone' } }),
    action: 'Forbid',
    reason: 'IdentityGone',
  },
  {
    row: 'over',
    title: 'identity made anew',
    s: buildLiveSnapshot({ identity: { is: 'Seen', value: { uid: 'other', generation: 1 } } }),
    action: 'Forbid',
    reason: 'IdentityGone',
  },
  {
    row: 'over',
    title: 'too old',
    s: buildLiveSnapshot({ maxSessionAge: minute }),
    now: plus(noon, minute),
    action: 'Forbid',
    reason: 'SessionTooOld',
  },
  {
    row: 'over',
    title: 'both tokens at once',
    s: renewed({ pod: { is: 'Gone' } }),
    action: 'Forbid',
    tokens: ['old', 'a1'],
  },
  {
    row: 'over',
    title: 'the brake holds a vanished identity',
    s: buildLiveSnapshot({ identity: { is: 'Gone' }, brake: true }),
    reason: 'BrakeHolds',
  },
  {
    row: 'over',
    title: 'the pool goes with its kind',
    s: buildLiveSnapshot({ poolVanishes: true }),
    action: 'Forbid',
    reason: 'PoolMissing',
  },
  {
    row: 'over',
    title: 'the brake holds what the kind of the pools would end',
    s: buildLiveSnapshot({ poolVanishes: true, access: { is: 'Gone' }, brake: true }),
    reason: 'BrakeHolds',
  },
  {
    row: 'over',
    title: 'the brake never delays an edit that takes a scope, although the kind of the pools goes',
    s: buildLiveSnapshot({ poolVanishes: true, brake: true, access: granted([]) }),
    action: 'Forbid',
    reason: 'PoolMissing',
  },
  {
    row: 'stopped',
    title: 'a stop ends at once what the brake holds, although the kind of the pools goes',
    s: buildLiveSnapshot({ poolVanishes: true, brake: true, stop }),
    action: 'Forbid',
    reason: 'Suspended',
  },
  {
    row: 'over',
    title: 'the brake holds what policies and pools still give',
    s: buildLiveSnapshot({ identity: { is: 'Gone' }, brake: true, access: granted([...buildAsk().scopes]) }),
    reason: 'BrakeHolds',
  },
  {
    row: 'over',
    title: 'the brake never delays an edit that takes a scope, although the identity is gone',
    s: buildLiveSnapshot({ identity: { is: 'Gone' }, brake: true, access: granted([]) }),
    action: 'Forbid',
    reason: 'IdentityGone',
  },
  {
    row: 'stopped',
    title: 'the brake never delays an edit that takes everything, although the identity is gone',
    s: buildLiveSnapshot({
      identity: { is: 'Gone' },
      brake: true,
      access: denied(true),
    }),
    action: 'Forbid',
    reason: 'NoRule',
  },
  {
    row: 'over',
    title: 'the brake holds no token beyond the life that it may have (onExceed: RevokeEarly)',
    s: buildLiveSnapshot({
      identity: { is: 'Gone' },
      brake: true,
      record: buildSessionRecord({ tokens: [buildToken({ minted: plus(noon, -hour), exp: plus(noon, hour) })] }),
    }),
    action: 'Forbid',
    reason: 'IdentityGone',
  },
  {
    row: 'over',
    title: 'the brake holds no session beyond its age',
    s: buildLiveSnapshot({ identity: { is: 'Gone' }, brake: true, maxSessionAge: 1 }),
    action: 'Forbid',
    reason: 'IdentityGone',
  },
  {
    row: 'unknown',
    title: 'the brake holds a vanished namespace, also where it makes the identity denied',
    s: buildLiveSnapshot({
      namespace: { is: 'Gone' },
      pod: { is: 'Unknown' },
      brake: true,
      access: {
        is: 'Seen',
        value: { is: 'Denied', lasting: false, denials: [{ reason: 'NamespaceLeaving', message: 'gone' }] },
      },
    }),
    reason: 'NotSynced',
  },
  {
    row: 'over',
    title: 'the brake does not hold what somebody decided: a namespace that is being deleted or lost its label',
    s: buildLiveSnapshot({ namespace: { is: 'Seen', value: 'Leaving' }, brake: true }),
    action: 'Forbid',
  },
  {
    row: 'over',
    title: 'the brake never delays a revokeRequest',
    s: buildLiveSnapshot({
      identity: { is: 'Gone' },
      brake: true,
      client: { is: 'Seen', value: buildClientFacts({ revokeBefore: plus(noon, minute) }) },
    }),
    now: plus(noon, minute),
    action: 'Forbid',
  },
  {
    row: 'over',
    title: 'the brake never holds the end of a pod',
    s: buildLiveSnapshot({ pod: { is: 'Gone' }, brake: true }),
    action: 'Forbid',
  },
  {
    row: 'over',
    title: 'a pod that waits for a deleted identity is told',
    s: buildSessionSnapshot({ identity: { is: 'Gone' } }),
    action: 'Deliver',
    content: 'Error',
    error: 'IdentityGone',
  },

  {
    row: 'clean',
    title: 'pod ended: its file is emptied',
    s: ending({ pod: pod({ phase: 'Succeeded' }) }),
    action: 'Deliver',
    content: 'Empty',
    lane: lanes.Stop,
  },
  {
    row: 'clean',
    title: 'identity deleted under a running build: its file says why',
    s: ending({ identity: { is: 'Gone' } }),
    action: 'Deliver',
    content: 'Error',
    error: 'IdentityGone',
    lane: lanes.Stop,
  },
  {
    row: 'clean',
    title: 'too old: its file says why',
    s: ending({ maxSessionAge: 1 * second }),
    action: 'Deliver',
    content: 'Error',
    error: 'SessionTooOld',
    lane: lanes.Stop,
  },
  {
    row: 'clean',
    title: 'stopped: its file says why',
    s: ending({ stop }),
    action: 'Deliver',
    content: 'Error',
    error: 'Suspended',
  },
  {
    row: 'clean',
    title: 'denied: its file says why',
    s: ending({ access: denied(true) }),
    action: 'Deliver',
    content: 'Error',
    error: 'NoRule',
  },
  {
    row: 'clean',
    title: 'the record is gone, and its file may still hold a token, because emptying it failed',
    s: buildSessionSnapshot({
      pod: pod({ phase: 'Succeeded' }),
      delivered: { digest: 'digest', content: 'Token', at: noon },
    }),
    action: 'Deliver',
    content: 'Empty',
    reason: 'PodOver',
    lane: lanes.Routine,
  },
  {
    row: 'clean',
    title: 'the record expired while no process was there: the pod alone remembers it',
    s: buildSessionSnapshot({ pod: pod({ phase: 'Failed' }) }),
    action: 'Deliver',
    content: 'Empty',
  },
  {
    row: 'clean',
    title: 'its identity is gone, and the build goes on',
    s: buildSessionSnapshot({ pod: pod({ phase: 'Running' }), identity: { is: 'Gone' } }),
    action: 'Deliver',
    content: 'Error',
    error: 'IdentityGone',
  },
  {
    row: 'over',
    title: 'it failed, and is tried again when its time comes',
    s: buildSessionSnapshot({ pod: pod({ phase: 'Succeeded' }), ...failed('clean') }),
    reason: 'PodOver',
  },
  {
    row: 'over',
    title: 'the file of a pod that is deleted goes with it',
    s: buildSessionSnapshot({ pod: pod({ deleting: true }) }),
    reason: 'PodOver',
  },
  {
    row: 'over',
    title: 'nothing can be written into a namespace that goes',
    s: buildSessionSnapshot({ namespace: { is: 'Seen', value: 'Leaving' } }),
    reason: 'NamespaceLeaving',
  },
  {
    row: 'clean',
    title: 'after a take-over the file may hold a token',
    s: omit(ending({ stop }), 'delivered'),
    action: 'Deliver',
    content: 'Error',
  },

  {
    row: 'revoke',
    title: 'pod gone',
    s: ending({ pod: { is: 'Gone' } }),
    action: 'Revoke',
    tokens: ['a1'],
    lane: lanes.Stop,
  },
  {
    row: 'revoke',
    title: 'newest first: an older one that cannot be revoked, because its client is gone, holds back none after it',
    s: ending({
      pod: { is: 'Gone' },
      record: buildSessionRecord({
        tokens: [
          buildEndedToken('Forbidden', { sha256: 'old', client: 'client-of-yesterday' }),
          buildEndedToken('Forbidden'),
        ],
      }),
    }),
    action: 'Revoke',
    tokens: ['a1'],
  },
  {
    row: 'revoke',
    title: 'a failed clean holds nothing back',
    s: ending({ stop, ...failed('clean') }),
    action: 'Revoke',
    tokens: ['a1'],
  },
  {
    row: 'revoke',
    title: 'a build waits for a token, and looks again in case that revocations are paused',
    s: ending(),
    action: 'Revoke',
    lane: lanes.Stop,
    recheckAt: plus(noon, 5 * second),
  },
  ...mintsLater.map(([title, s]): Case => ({ row: 'revoke', title: `paused, but ${title}`, s, action: 'Revoke' })),
  {
    row: 'revoke',
    title: 'file is clean',
    s: ending({ stop, delivered: { digest: '', content: 'Error', at: noon } }),
    action: 'Revoke',
  },
  {
    row: 'revoke',
    title: 'no client any more',
    s: ending({ pod: { is: 'Gone' }, client: { is: 'Gone' } }),
    action: 'Revoke',
  },
  {
    row: 'revoke',
    title: 'Superseded, delivered deliveryLag ago',
    s: renewed(),
    now: plus(noon, 150 * second),
    action: 'Revoke',
    tokens: ['old'],
  },
  {
    row: 'revoke',
    title: 'Forbidden, successor delivered',
    s: renewed({
      record: narrowedRecord,
    }),
    action: 'Revoke',
    tokens: ['old'],
  },
  {
    row: 'revoke',
    title: 'Forbidden: a renewal that is due comes after it',
    s: buildLiveSnapshot({ record: narrowedRecord }),
    now: plus(noon, 8 * minute),
    action: 'Revoke',
    tokens: ['old'],
    recheckAt: plus(noon, 12 * minute),
  },
  {
    row: 'revoke',
    title: 'Forbidden: a renewal that was refused holds it back no more than one that is due',
    s: buildLiveSnapshot({ record: narrowedRecord, ...failed('due', true) }),
    now: plus(noon, 13 * minute),
    action: 'Revoke',
    tokens: ['old'],
  },
  {
    row: 'revoke',
    title: 'Forbidden: nobody gets a token from this issuer now',
    s: buildLiveSnapshot({
      record: narrowedRecord,
      client: client({ outage: { reason: 'ProviderUnavailable', message: '503' } }),
    }),
    now: plus(noon, 13 * minute),
    action: 'Revoke',
    tokens: ['old'],
  },
  {
    row: 'due',
    title: 'Forbidden, and the usable token is about to expire: where revocations are paused the build would fail',
    s: buildLiveSnapshot({ record: narrowedRecord }),
    now: plus(noon, 13 * minute),
    action: 'Mint',
    lane: lanes.Expiring,
  },
  {
    row: 'revoke',
    title: 'Forbidden, one delivery failed',
    s: {
      ...undeliveredYet,
      record: narrowedRecord,
      ...failed('undelivered'),
    },
    action: 'Revoke',
    tokens: ['old'],
  },

  {
    row: 'revoked',
    title: 'narrowed and revoked: the record hears of it after what kills others',
    s: renewed({ record: narrowedRecord, answered: new Map([['old', 'Confirmed']]) }),
    action: 'Conclude',
    tokens: ['old'],
    lane: lanes.Renew,
  },
  {
    row: 'revoked',
    title: 'narrowed once more: there has to be room for another token',
    s: renewed({
      record: narrowedRecord,
      answered: new Map([['old', 'Confirmed']]),
      access: { is: 'Seen', value: narrowedTo },
    }),
    action: 'Conclude',
    lane: lanes.Stop,
  },
  {
    row: 'revoked',
    title: 'the last fifth of the life of the token in use: nothing that waits may hold back its renewal',
    s: renewed({ record: narrowedRecord, answered: new Map([['old', 'Confirmed']]) }),
    now: plus(noon, 13 * minute),
    action: 'Conclude',
    lane: lanes.Expiring,
  },
  {
    row: 'revoked',
    title: 'somebody deleted the Secret, which is written right after: the build waits like a new one',
    s: omit(renewed({ record: narrowedRecord, answered: new Map([['old', 'Confirmed']]) }), 'delivered'),
    action: 'Conclude',
    lane: lanes.NewPod,
  },
  {
    row: 'revoked',
    title: 'the same in the last fifth of the life of its token',
    s: omit(renewed({ record: narrowedRecord, answered: new Map([['old', 'Confirmed']]) }), 'delivered'),
    now: plus(noon, 13 * minute),
    action: 'Conclude',
    lane: lanes.Expiring,
  },
  {
    row: 'first',
    title: 'the old token is dead, and a build waits: the record of the next one says so as well',
    s: ending({ answered: new Map([['a1', 'Confirmed']]) }),
    action: 'Mint',
    lane: lanes.NewPod,
  },
  {
    row: 'revoked',
    title: 'a build waits, but its Mint failed: the record hears of the revocation by itself',
    s: ending({ answered: new Map([['a1', 'Confirmed']]), ...failed('first') }),
    action: 'Conclude',
    lane: lanes.NewPod,
  },
  {
    row: 'revoked',
    title: 'a build waits, and no tokens are to be had',
    s: ending({ answered: new Map([['a1', 'Confirmed']]), client: client({ outage }) }),
    action: 'Conclude',
    lane: lanes.NewPod,
  },
  {
    row: 'revoked',
    title: 'a build waits, and a limit has no room',
    s: ending({ answered: new Map([['a1', 'Confirmed']]), limit: 'full' }),
    action: 'Conclude',
    lane: lanes.NewPod,
  },
  {
    row: 'revoked',
    title: 'a stop of everybody: nobody waits for a token',
    s: ending({ answered: new Map([['a1', 'Confirmed']]), stop, delivered: error('Suspended', 'x', 'y') }),
    action: 'Conclude',
    lane: lanes.Renew,
  },
  {
    row: 'revoked',
    title: 'over, and the last token is dead',
    s: ending({ pod: { is: 'Gone' }, answered: new Map([['a1', 'Requested']]) }),
    action: 'Conclude',
    tokens: ['a1'],
    lane: lanes.Renew,
  },
  {
    row: 'revoke',
    title: 'one of two is dead: the other one first',
    s: ending({
      pod: { is: 'Gone' },
      record: buildSessionRecord({
        tokens: [buildEndedToken('Forbidden', { sha256: 'old' }), buildEndedToken('Forbidden')],
      }),
      answered: new Map([['a1', 'Confirmed']]),
    }),
    action: 'Revoke',
    tokens: ['old'],
  },
  {
    row: 'unknown',
    title: 'revoked while nothing is known: the record may hear of it',
    s: ending({ synced: false, answered: new Map([['a1', 'Confirmed']]) }),
    action: 'Conclude',
    tokens: ['a1'],
  },
  {
    row: 'settled',
    title: 'the record cannot be written: whatever else is to be done goes on',
    s: renewed({ record: narrowedRecord, answered: new Map([['old', 'Confirmed']]), ...failed('revoked') }),
    reason: 'Delivered',
  },
  {
    row: 'stopped',
    title: 'a stop does not wait until the record says what was revoked',
    s: renewed({ record: narrowedRecord, answered: new Map([['old', 'Confirmed']]), stop }),
    action: 'Forbid',
  },

  {
    row: 'stopped',
    title: 'a waiting pod is told',
    s: buildSessionSnapshot({ stop }),
    action: 'Deliver',
    content: 'Error',
    error: 'Suspended',
  },
  {
    row: 'stopped',
    title: 'live: forbid all',
    s: renewed({ stop }),
    now: plus(noon, 10 * second),
    action: 'Forbid',
    tokens: ['old', 'a1'],
    lane: lanes.Stop,
    reason: 'Suspended',
  },
  {
    row: 'stopped',
    title: 'no rule any more',
    s: buildLiveSnapshot({ access: denied(true) }),
    action: 'Forbid',
    reason: 'NoRule',
  },
  {
    row: 'stopped',
    title: 'a stop needs no other fact',
    s: buildLiveSnapshot({ stop, pod: { is: 'Unknown' } }),
    action: 'Forbid',
  },
  {
    row: 'stopped',
    title: 'lost use',
    s: buildLiveSnapshot({ mayUse: { is: 'Seen', value: false } }),
    action: 'Forbid',
    reason: 'CreatorMayNotUse',
  },
  {
    row: 'stopped',
    title: 'lost use, while the issuer is not in the configuration',
    s: buildLiveSnapshot({ access: unlisted, mayUse: { is: 'Seen', value: false } }),
    action: 'Forbid',
    reason: 'CreatorMayNotUse',
  },
  {
    row: 'stopped',
    title: 'a stop, while the issuer is not in the configuration',
    s: buildLiveSnapshot({ access: unlisted, stop }),
    action: 'Forbid',
    reason: 'Suspended',
  },
  {
    row: 'stopped',
    title: 'the brake never delays a stop',
    s: buildLiveSnapshot({ stop, brake: true, namespace: { is: 'Gone' } }),
    action: 'Forbid',
  },
  {
    row: 'stopped',
    title: 'an old token whose revocation is due does not come first',
    s: renewed({ stop }),
    now: plus(noon, 3 * minute),
    action: 'Forbid',
  },
  {
    row: 'stopped',
    title: 'ending: wait for exp where nothing can be revoked',
    s: ending({
      stop,
      delivered: { digest: '', content: 'Error', at: noon },
      record: buildSessionRecord({ tokens: [omit(buildEndedToken('Forbidden'), 'value')] }),
    }),
    reason: 'Suspended',
    recheckAt: plus(noon, 15 * minute),
  },
  {
    row: 'stopped',
    title: 'told already',
    s: buildSessionSnapshot({
      stop,
      delivered: error(
        'Suspended',
        'CiIdentity ci-payments/publisher: stopped on purpose by IdentityPool ci-bots (spec.suspend): no new tokens, and live ones are revoked',
        'Remove what stops it to go on.',
      ),
    }),
    reason: 'Suspended',
  },

  {
    row: 'guard',
    title: 'missing: nothing is minted',
    s: buildSessionSnapshot({ guard: { is: 'Missing', objects: ['x'] } }),
    reason: 'GuardMissing',
    recheckAt: plus(noon, 295 * second),
  },
  {
    row: 'guard',
    title: 'unknown: nothing is minted',
    s: buildSessionSnapshot({ guard: { is: 'Unknown' } }),
    reason: 'GuardUnknown',
  },
  {
    row: 'guard',
    title: 'live: keeps its token, no renewal',
    s: buildLiveSnapshot({ guard: { is: 'Missing', objects: ['x'] } }),
    now: plus(noon, 10 * minute),
    reason: 'GuardMissing',
  },
  {
    row: 'guard',
    title: 'stop lifted, guard gone',
    s: ending({
      guard: { is: 'Missing', objects: ['x'] },
      record: buildSessionRecord({ tokens: [omit(buildEndedToken('Forbidden'), 'value')] }),
    }),
    reason: 'GuardMissing',
  },
  {
    row: 'guard',
    title: 'after five minutes the build is told',
    s: buildSessionSnapshot({ guard: { is: 'Missing', objects: ['x'] } }),
    now: plus(noon, 5 * minute),
    action: 'Deliver',
    content: 'Error',
    error: 'GuardMissing',
  },

  {
    row: 'untrusted',
    title: 'claim for another object',
    s: buildSessionSnapshot({ pod: pod({ claims: { publisher: 'other' } }) }),
    action: 'Deliver',
    content: 'Error',
    error: 'ClaimInvalid',
  },
  {
    row: 'untrusted',
    title: 'told already, and the pod has not waited for long',
    s: buildSessionSnapshot({ pod: unmounted({ claims: { publisher: 'other' } }), delivered: told }),
    now: plus(noon, 9 * second),
    reason: 'ClaimInvalid',
    recheckAt: plus(noon, 10 * second),
  },
  {
    row: 'untrusted',
    title: 'told already, but the pod cannot mount it: somebody took it away',
    s: buildSessionSnapshot({ pod: unmounted({ claims: { publisher: 'other' } }), delivered: told }),
    now: plus(noon, 10 * second),
    action: 'Deliver',
    content: 'Error',
    error: 'ClaimInvalid',
  },
  {
    row: 'untrusted',
    title: 'no volume',
    s: buildSessionSnapshot({ pod: pod({ volumes: [] }) }),
    action: 'Deliver',
    error: 'ClaimInvalid',
  },
  {
    row: 'untrusted',
    title: 'pod older than the guard',
    s: buildSessionSnapshot({ guard: { is: 'Intact', since: noon } }),
    action: 'Deliver',
    error: 'PodOlderThanGuard',
  },
  {
    row: 'untrusted',
    title: 'creator may not use it',
    s: buildSessionSnapshot({ mayUse: { is: 'Seen', value: false } }),
    action: 'Deliver',
    error: 'CreatorMayNotUse',
  },

  {
    row: 'waiting',
    title: 'no Current client',
    s: buildSessionSnapshot({ client: noClient }),
    reason: 'WaitingForClient',
    recheckAt: plus(noon, 295 * second),
  },
  {
    row: 'waiting',
    title: 'five minutes after the pod was made it is told',
    s: buildSessionSnapshot({ client: noClient }),
    now: plus(noon, 295 * second),
    action: 'Deliver',
    content: 'Error',
    error: 'WaitingForClient',
  },
  {
    row: 'waiting',
    title: 'denied, but not for good',
    s: buildSessionSnapshot({ access: denied(false) }),
    reason: 'NoRule',
  },
  {
    row: 'waiting',
    title: 'told already and trying goes on, but the pod cannot mount what it was told',
    s: buildSessionSnapshot({ pod: unmounted(), ...failed('first', true, 'ScopeNarrower'), delivered: told }),
    now: plus(noon, 10 * second),
    action: 'Deliver',
    content: 'Error',
    error: 'ScopeNarrower',
  },
  {
    row: 'waiting',
    title: 'the provider refuses the ask: told at once',
    s: buildSessionSnapshot({ client: client({ refusal: { reason: 'LifetimeTooLong', message: 'an hour' } }) }),
    action: 'Deliver',
    error: 'LifetimeTooLong',
  },
  {
    row: 'waiting',
    title: 'the client needs a person: told at once',
    s: buildSessionSnapshot({
      client: {
        is: 'Seen',
        value: { ...omit(buildClientFacts(), 'current'), lasting: true, message: 'refused (403)' },
      },
    }),
    action: 'Deliver',
    error: 'WaitingForClient',
  },
  {
    row: 'waiting',
    title: 'the first Mint failed for good: told at once',
    s: buildSessionSnapshot(failed('first', true, 'ScopeNarrower')),
    action: 'Deliver',
    error: 'ScopeNarrower',
  },
  {
    row: 'waiting',
    title: 'the Mint queues too long',
    s: buildSessionSnapshot(),
    now: plus(noon, 5 * minute),
    action: 'Deliver',
    error: 'ProviderUnavailable',
  },
  {
    row: 'waiting',
    title: 'unknown clients deny nothing',
    s: buildSessionSnapshot({ client: { is: 'Unknown' } }),
    now: plus(noon, hour),
    reason: 'WaitingForClient',
  },
  {
    row: 'waiting',
    title: 'live and due: keeps its token',
    s: buildLiveSnapshot({ client: noClient }),
    now: plus(noon, 10 * minute),
    reason: 'WaitingForClient',
  },

  {
    row: 'waiting',
    title: 'live and due, and its issuer is not in the configuration any more: keeps its token',
    s: buildLiveSnapshot({ access: unlisted }),
    now: plus(noon, 14 * minute),
    reason: 'IssuerNotConfigured',
    recheckAt: plus(noon, 15 * minute),
  },
  {
    row: 'waiting',
    title: 'the issuer is not in the configuration: nobody is told at once',
    s: buildSessionSnapshot({ access: unlisted }),
    reason: 'IssuerNotConfigured',
    recheckAt: plus(noon, 295 * second),
  },
  {
    row: 'waiting',
    title: 'the issuer is not in the configuration after five minutes either',
    s: buildSessionSnapshot({ access: unlisted }),
    now: plus(noon, 295 * second),
    action: 'Deliver',
    content: 'Error',
    error: 'IssuerNotConfigured',
  },

  {
    row: 'undelivered',
    title: 'a new process, and the issuer is not in the configuration: what is held is delivered all the same',
    s: omit(buildLiveSnapshot({ access: unlisted }), 'delivered'),
    action: 'Deliver',
    content: 'Token',
  },
  {
    row: 'undelivered',
    title: 'the pod cannot mount what was delivered: somebody took it away',
    s: buildLiveSnapshot({ pod: unmounted() }),
    now: plus(noon, 10 * second),
    action: 'Deliver',
    content: 'Token',
  },
  {
    row: 'settled',
    title: 'the pod cannot mount what was written three times again: another volume is the trouble, so that is rare',
    s: buildLiveSnapshot({
      pod: unmounted(),
      delivered: { digest: 'digest', content: 'Token', at: noon, again: 3 },
    }),
    now: plus(noon, 79 * second),
    reason: 'Delivered',
    recheckAt: plus(noon, 80 * second),
  },
  {
    row: 'undelivered',
    title: 'after the first Mint',
    s: undeliveredYet,
    action: 'Deliver',
    content: 'Token',
    lane: lanes.NewPod,
  },
  {
    row: 'undelivered',
    title: 'the record says something new',
    s: buildLiveSnapshot({ wantedDigest: 'new' }),
    action: 'Deliver',
    content: 'Token',
  },
  {
    row: 'undelivered',
    title: 'after a renewal: the build uses the old token until this is done, so it does not wait behind new pods',
    s: renewed({ wantedDigest: 'new' }),
    action: 'Deliver',
    content: 'Token',
    lane: lanes.NewPod,
    recheckAt: plus(noon, 4 * minute),
  },
  {
    row: 'undelivered',
    title: 'after a renewal, and the old token is in its last fifth',
    s: renewed({ wantedDigest: 'new' }),
    now: plus(noon, 4 * minute),
    action: 'Deliver',
    content: 'Token',
    lane: lanes.Expiring,
  },
  {
    row: 'undelivered',
    title: 'an error file is overwritten',
    s: buildLiveSnapshot({ delivered: { digest: 'digest', content: 'Error', at: noon } }),
    action: 'Deliver',
    content: 'Token',
  },
  {
    row: 'undelivered',
    title: 'delivered first, then the forbidden one is revoked',
    s: {
      ...undeliveredYet,
      record: narrowedRecord,
    },
    action: 'Deliver',
    lane: lanes.Stop,
  },
  {
    row: 'undelivered',
    title: 'without a guard too: it is minted already',
    s: { ...undeliveredYet, guard: { is: 'Missing', objects: ['x'] } },
    action: 'Deliver',
    content: 'Token',
  },

  {
    row: 'stopped',
    title: 'denied: the pod waits for its file, be it the first error',
    s: buildSessionSnapshot({ access: denied(true) }),
    action: 'Deliver',
    content: 'Error',
    lane: lanes.NewPod,
  },
  {
    row: 'stopped',
    title: 'the sentence of a denial changes with each edit of an identity: it is not written with each',
    s: buildSessionSnapshot({ access: denied(true), delivered: error('NoRule', 'No rule grants x1.', 'Ask.') }),
    now: plus(noon, 10 * second - 1),
    reason: 'NoRule',
    recheckAt: plus(noon, 10 * second),
  },
  {
    row: 'stopped',
    title: 'but in the end, after all that a build waits for',
    s: buildSessionSnapshot({ access: denied(true), delivered: error('NoRule', 'No rule grants x1.', 'Ask.') }),
    now: plus(noon, 10 * second),
    action: 'Deliver',
    content: 'Error',
    lane: lanes.Routine,
  },

  {
    row: 'limited',
    title: 'a limit of the identity is reached: the pod is told',
    s: buildSessionSnapshot({ limit: '5 sessions hold a token and spec.limits.concurrentSessions allows 5' }),
    action: 'Deliver',
    content: 'Error',
    error: 'LimitReached',
    reason: 'LimitReached',
    recheckAt: plus(noon, 10 * second),
  },
  {
    row: 'limited',
    title: 'it was told already, and looks again soon',
    s: buildSessionSnapshot({
      limit: 'full',
      delivered: error(
        'LimitReached',
        'CiIdentity ci-payments/publisher: the pod gets no token now – full',
        'End sessions that are not needed, or ask the owners of the CiIdentity to raise spec.limits; the token appears by itself when there is room.',
      ),
    }),
    reason: 'LimitReached',
    recheckAt: plus(noon, 10 * second),
  },
  {
    row: 'limited',
    title: 'a stop is lifted, and others have taken its place meanwhile',
    s: ending({
      limit: 'full',
      record: buildSessionRecord({ tokens: [omit(buildEndedToken('Forbidden'), 'value')] }),
    }),
    action: 'Deliver',
    content: 'Error',
    error: 'LimitReached',
  },
  {
    row: 'due',
    title: 'who has a token is not limited',
    s: buildLiveSnapshot({ limit: 'full' }),
    now: plus(noon, 14 * minute),
    action: 'Mint',
  },
  {
    row: 'first',
    title: 'new pod',
    s: buildSessionSnapshot(),
    action: 'Mint',
    lane: lanes.NewPod,
    reason: 'NewPod',
    recheckAt: plus(noon, 295 * second),
  },
  {
    row: 'first',
    title: 'a failure that may pass is tried again',
    s: buildSessionSnapshot(failed('first')),
    action: 'Mint',
  },
  {
    row: 'first',
    title: 'told, and tried again',
    s: buildSessionSnapshot({ delivered: error('ProviderUnavailable', 'x', 'y') }),
    now: plus(noon, 10 * minute),
    action: 'Mint',
  },
  {
    row: 'first',
    title: 'an old pod after a take-over: a Mint comes before an error',
    s: buildSessionSnapshot({ seenSince: plus(noon, hour - second) }),
    now: plus(noon, hour),
    action: 'Mint',
  },
  {
    row: 'first',
    title: 'stop lifted while the old token waits for exp',
    s: ending({ record: buildSessionRecord({ tokens: [omit(buildEndedToken('Forbidden'), 'value')] }) }),
    action: 'Mint',
  },
  { row: 'first', title: 'a failing revocation does not keep it', s: ending(failed('revoke')), action: 'Mint' },
  {
    row: 'first',
    title: 'nothing can be revoked now: the build gets its token, and its old one goes after',
    s: ending({ client: revocationsPaused }),
    action: 'Mint',
    predecessor: 'Superseded',
    lane: lanes.NewPod,
    recheckAt: plus(noon, 5 * second),
  },

  {
    row: 'withdrawn',
    title: 'narrowed, and its successor is not waited for any more',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo }, successorUntil: noon }),
    action: 'Forbid',
    tokens: ['a1'],
    lane: lanes.Stop,
  },
  {
    row: 'withdrawn',
    title: 'the same while the failed Mint is held back',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo }, successorUntil: noon, ...failed('narrowed') }),
    action: 'Forbid',
  },
  {
    row: 'narrowed',
    title: 'the Mint failed, in an emergency: the build keeps its token for one more try',
    s: buildLiveSnapshot({ client: client({ revokeBefore: plus(noon, 1) }), successorUntil: plus(noon, 2 * second) }),
    now: plus(noon, 2 * second - 1),
    action: 'Mint',
    predecessor: 'Forbidden',
    lane: lanes.Stop,
    recheckAt: plus(noon, 2 * second),
  },
  {
    row: 'withdrawn',
    title: 'asked to revoke, while the issuer is not in the configuration',
    s: buildLiveSnapshot({ access: unlisted, client: client({ revokeBefore: plus(noon, second) }) }),
    now: plus(noon, second),
    action: 'Forbid',
    reason: 'RevokeRequested',
  },
  {
    row: 'withdrawn',
    title: 'narrowed, and nothing mints',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo }, guard: { is: 'Unknown' } }),
    action: 'Forbid',
  },
  {
    row: 'guard',
    title: 'narrowed, and a new process has not looked at the guard yet: the build keeps its token for a moment',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo }, guard: { is: 'Unknown' }, seenSince: noon }),
    now: plus(noon, 29 * second),
    reason: 'GuardUnknown',
  },
  {
    row: 'withdrawn',
    title: 'narrowed, and nobody knows of the guard for too long',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo }, guard: { is: 'Unknown' }, seenSince: noon }),
    now: plus(noon, 30 * second),
    action: 'Forbid',
  },
  {
    row: 'withdrawn',
    title: 'narrowed, and a new process knows that the guard is gone',
    s: buildLiveSnapshot({
      access: { is: 'Seen', value: narrowedTo },
      guard: { is: 'Missing', objects: ['x'] },
      seenSince: noon,
    }),
    now: plus(noon, second),
    action: 'Forbid',
  },
  {
    row: 'withdrawn',
    title: 'narrowed, and three tokens are held',
    s: buildLiveSnapshot({
      access: { is: 'Seen', value: narrowedTo },
      record: buildSessionRecord({
        tokens: [
          buildEndedToken('Superseded', { sha256: 'x' }),
          buildEndedToken('Superseded', { sha256: 'y' }),
          buildToken(),
        ],
      }),
    }),
    action: 'Forbid',
    tokens: ['x', 'y', 'a1'],
  },
  {
    row: 'full',
    title: 'a build waits, and three tokens are still to be revoked: it reads why and until when',
    s: ending({
      record: threeForbidden,
      delivered: { ...told, error: { reason: 'Suspended', message: 'Stopped.', fix: 'Ask.' } },
      ...failed('revoke'),
    }),
    now: plus(noon, 10 * second),
    action: 'Deliver',
    content: 'Error',
    error: 'TooManyTokens',
  },
  {
    row: 'full',
    title: 'and that was told',
    s: ending({
      record: threeForbidden,
      delivered: { ...told, error: fullError(ending({ record: threeForbidden })) },
      ...failed('revoke'),
    }),
    reason: 'TooManyTokens',
  },
  {
    row: 'first',
    title: 'tokens that only time can end leave room for the next one',
    s: ending({ record: ended(7) }),
    action: 'Mint',
  },
  {
    row: 'full',
    title: 'up to a number of them',
    s: ending({ record: ended(8) }),
    action: 'Deliver',
    content: 'Error',
    error: 'TooManyTokens',
  },
  {
    row: 'narrowed',
    title: 'a scope was taken away',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo } }),
    now: plus(noon, minute),
    action: 'Mint',
    predecessor: 'Forbidden',
    lane: lanes.Stop,
    reason: 'Narrowed',
  },
  {
    row: 'narrowed',
    title: 'narrowed a moment after its last token: it waits like everybody',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: narrowedTo } }),
    now: plus(noon, minute - 1),
    action: 'Mint',
    predecessor: 'Forbidden',
    lane: lanes.NewPod,
    recheckAt: plus(noon, minute),
  },
  {
    row: 'narrowed',
    title: 'an audience was taken away',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: buildGranted(buildAsk({ audiences: [] })) } }),
    action: 'Mint',
    predecessor: 'Forbidden',
  },
  {
    row: 'narrowed',
    title: 'minted before revokeBefore',
    s: buildLiveSnapshot({ client: client({ revokeBefore: plus(noon, 1) }) }),
    now: plus(noon, 1),
    action: 'Mint',
    predecessor: 'Forbidden',
    lane: lanes.Stop,
    reason: 'RevokeRequested',
  },
  {
    row: 'settled',
    title:
      'a revokeBefore that is long to come, because the clock was set back, revokes nothing: each successor would be older, too',
    s: buildLiveSnapshot({ client: client({ revokeBefore: plus(noon, 3 * minute) }) }),
    reason: 'Delivered',
    recheckAt: plus(noon, minute),
  },
  {
    row: 'narrowed',
    title: 'a revokeBefore that is to come by no more than clocks differ revokes what a clock that was ahead minted',
    s: buildLiveSnapshot({
      client: client({ revokeBefore: plus(noon, minute + 1) }),
      record: buildSessionRecord({ tokens: [buildToken({ minted: plus(noon, minute) })] }),
    }),
    action: 'Mint',
    predecessor: 'Forbidden',
    reason: 'RevokeRequested',
  },
  {
    row: 'narrowed',
    title: 'the answer to a Mint that an emergency overtook: its credential is the leaked one, however young the token',
    s: buildLiveSnapshot({
      client: client({ current: { generation: 2, clientId: 'ci-1' }, revokeBefore: plus(noon, -second) }),
      firstHonoured: new Map([['client-1', 2]]),
    }),
    action: 'Mint',
    predecessor: 'Forbidden',
    lane: lanes.Stop,
  },
  {
    row: 'narrowed',
    title: 'used for as long as the pool allows (RevokeEarly)',
    s: buildLiveSnapshot({ record: buildSessionRecord({ tokens: [buildToken({ exp: plus(noon, hour) })] }) }),
    now: plus(noon, 15 * minute),
    action: 'Mint',
    predecessor: 'Forbidden',
    reason: 'LifetimeOver',
  },
  {
    row: 'narrowed',
    title: 'the ceiling or a rule allows a shorter life by now, and that is over',
    s: lifeLowered(),
    now: plus(noon, 15 * minute),
    action: 'Mint',
    predecessor: 'Forbidden',
    reason: 'LifetimeOver',
    lane: lanes.Stop,
  },
  {
    row: 'settled',
    title: 'the ceiling or a rule allows a shorter life by now, which is not over',
    s: lifeLowered(),
    now: plus(noon, minute),
    reason: 'Delivered',
  },
  {
    row: 'withdrawn',
    title: 'the provider gives no token that lives as short as is allowed by now',
    s: lifeLowered({ client: client({ refusal: { reason: 'LifetimeTooLong', message: 'They live 1h.' } }) }),
    now: plus(noon, 15 * minute),
    action: 'Forbid',
    reason: 'LifetimeOver',
  },
  {
    row: 'withdrawn',
    title: 'the issuer is not in the configuration, and a rule took something away',
    s: buildLiveSnapshot({ access: unlistedFor([]) }),
    action: 'Forbid',
    reason: 'Narrowed',
  },
  {
    row: 'waiting',
    title: 'the issuer is not in the configuration, and the rules give what they gave',
    s: buildLiveSnapshot({ access: unlistedFor(buildAsk().scopes) }),
    reason: 'IssuerNotConfigured',
  },
  {
    row: 'narrowed',
    title: 'comes before an old token that could be revoked',
    s: renewed({ access: { is: 'Seen', value: narrowedTo } }),
    now: plus(noon, 3 * minute),
    action: 'Mint',
  },

  {
    row: 'due',
    title: 'at half life',
    s: buildLiveSnapshot(),
    now: plus(noon, 450 * second),
    action: 'Mint',
    predecessor: 'Superseded',
    lane: lanes.Renew,
    reason: 'RenewalDue',
  },
  {
    row: 'due',
    title: 'another client works for the identity by now: its token first, then the old one goes',
    s: buildLiveSnapshot({ client: { is: 'Seen', value: buildClientFacts({ name: 'client-2' }) } }),
    action: 'Mint',
    predecessor: 'Superseded',
    reason: 'ClientChanged',
  },
  {
    row: 'over',
    title: "another provider's client: the tokens of the old one end",
    s: buildLiveSnapshot({
      client: { is: 'Seen', value: buildClientFacts({ name: 'client-2', issuer: 'https://other.example.com' }) },
    }),
    action: 'Forbid',
    reason: 'ClientChanged',
  },
  {
    row: 'due',
    title: 'in the last fifth',
    s: buildLiveSnapshot(),
    now: plus(noon, 12 * minute),
    action: 'Mint',
    lane: lanes.Expiring,
  },
  {
    row: 'due',
    title: 'earlier when less lifetime is granted now',
    s: buildLiveSnapshot({ access: { is: 'Seen', value: buildGranted(buildAsk({ maxLifetime: 10 * minute })) } }),
    now: plus(noon, 5 * minute),
    action: 'Mint',
  },

  {
    row: 'settled',
    title: 'delivered',
    s: buildLiveSnapshot(),
    reason: 'Delivered',
    recheckAt: plus(noon, 150 * second),
  },
  {
    row: 'settled',
    title: 'nobody reads on a lost node',
    s: buildLiveSnapshot({ nodeLost: true }),
    now: plus(noon, 10 * minute),
    reason: 'Delivered',
  },
  {
    row: 'settled',
    title: 'Superseded, delivered just now',
    s: renewed(),
    now: plus(noon, 149 * second),
    reason: 'Delivered',
    recheckAt: plus(noon, 150 * second),
  },
  {
    row: 'settled',
    title: 'a wider grant comes with the next renewal',
    s: buildLiveSnapshot({
      access: { is: 'Seen', value: buildGranted(buildAsk({ scopes: ['a', 'artifacts:publish'] })) },
    }),
    reason: 'Delivered',
  },
  {
    row: 'settled',
    title: 'pod gone, the value cannot be revoked: until exp',
    s: ending({
      pod: { is: 'Gone' },
      record: buildSessionRecord({ tokens: [omit(buildEndedToken('Forbidden'), 'value')] }),
    }),
    reason: 'Settled',
    recheckAt: plus(noon, 15 * minute),
  },
];

for (const c of cases) {
  test(`${c.row}: ${c.title}`, (t) => {
    const decision: Decision<SessionAction> = decideSession(c.s, c.now ?? noon);
    t.is(decision.row, c.row);
    const { action } = decision;
    t.is(action?.type, c.action);
    t.true(c.action !== undefined || c.reason !== undefined, 'a case without an action says why there is none');
    if (action !== undefined) t.truthy(decision.work, 'every action says its lane');
    if (c.reason !== undefined) t.is(decision.reason, c.reason);
    if (c.lane !== undefined) t.is(decision.work?.lane, c.lane);
    if (c.recheckAt !== undefined) t.is(decision.recheckAt, c.recheckAt);
    const tokens =
      action?.type === 'Revoke'
        ? [action.token]
        : action?.type === 'Forbid' || action?.type === 'Drop' || action?.type === 'Conclude'
          ? action.tokens
          : undefined;
    if (c.tokens !== undefined) t.deepEqual(tokens, c.tokens);
    if (c.content !== undefined) t.is(action?.type === 'Deliver' ? action.content : undefined, c.content);
    if (c.error !== undefined)
      t.is(action?.type === 'Deliver' && action.content === 'Error' ? action.error.reason : undefined, c.error);
    if (c.predecessor !== undefined) t.is(action?.type === 'Mint' ? action.predecessor : undefined, c.predecessor);
  });
}

/** In the order in which they are asked: what ends a token before what makes one. */
const expectedRows = [
  'lost-lease',
  'damaged',
  'unreadable',
  'expired',
  'unknown',
  'recalled', // somebody asked to revoke what the usable token has replaced
  'clean',
  'over',
  'revoke',
  'revoked', // the record does not say so yet
  'stopped',
  'guard',
  'untrusted',
  'waiting',
  'undelivered',
  'limited',
  'full',
  'first',
  'withdrawn', // narrowed, where no narrower token can be had
  'narrowed',
  'due',
  'settled', // nothing to do
] as const;

tableTests(sessionRows, expectedRows, cases);

test('what spends the budget of the issuer says so, and nothing else does; revocations have a circuit of their own', (t) => {
  const circuits: Readonly<Record<string, string>> = { Mint: 'tokens', Revoke: 'revocations' };
  for (const c of cases) {
    const { action, work } = decideSession(c.s, c.now ?? noon);
    const circuit = circuits[action?.type ?? ''];
    t.is(work?.resource, circuit && `${issuer}/${circuit}`, c.title);
    if (action !== undefined) t.is(work?.group, 'ci-payments');
  }
});

test('messages for the build name the subject and hold no token', (t) => {
  for (const c of cases) {
    const { action } = decideSession(c.s, c.now ?? noon);
    if (action?.type !== 'Deliver' || action.content !== 'Error') continue;
    t.true(action.error.message.startsWith('CiIdentity ci-payments/publisher'), c.title);
    t.false(JSON.stringify(action.error).includes('value of'));
    t.true(action.error.fix.length > 0);
  }
});
