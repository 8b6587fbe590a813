import test from 'ava';
import { day, hour, minute, plus, second } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import type { Reason } from '#src/api/reasons.ts';
import type { Decision } from '#src/decision.ts';
import { lookedAt } from '#src/domain/client/answers.ts';
import { clientRows, decideClient } from '#src/domain/client/decide.ts';
import { metadataDigest, tagText } from '#src/domain/client/generations.ts';
import type { ClientAction, ClientRowName, ClientSnapshot } from '#src/domain/client/machine.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { isTriedAhead, proved } from '#src/domain/client/proofs.ts';
import { openRequests } from '#src/domain/client/requests.ts';
import { clientRecordName } from '#src/domain/client/target.ts';
import { lanes } from '#src/domain/lanes.ts';
import { Redacted } from '#src/redacted.ts';
import {
  suspended,
  buildAsk,
  buildClientRecord,
  buildClientSnapshot,
  buildDesired,
  buildGeneration,
  buildKey,
  issuer,
  noon,
  omit,
} from '#test/support/builders.ts';
import { tableTests } from '../table.ts';

interface Case {
  readonly row: string;
  readonly title: string;
  readonly s: ClientSnapshot;
  readonly now?: Instant;
  readonly action?: Partial<Exclude<ClientAction, { type: 'Record' }>> | { readonly type: 'Record' };
  /** After a Record: states of the generations, oldest first; `gone`: the record is deleted. */
  readonly next?: readonly Generation['state'][] | 'gone';
  /** Likewise: members of the record; `undefined`: it has none. */
  readonly stored?: { readonly [K in keyof ClientRecord]?: ClientRecord[K] | undefined };
  readonly lane?: number;
  readonly reason?: Reason;
  readonly recheckAt?: Instant;
}

const snapshot = buildClientSnapshot;
const record = buildClientRecord;
const g = buildGeneration;
const none = omit(snapshot(), 'record');
const gone: Pick<ClientSnapshot, 'wanted'> = { wanted: { is: 'Gone' } };
const wanting = (overrides: Parameters<typeof buildDesired>[0]): Pick<ClientSnapshot, 'wanted'> => ({
  wanted: { is: 'Seen', value: buildDesired(overrides) },
});
const able = (
  overrides: Partial<NonNullable<ClientSnapshot['capabilities']>>,
): Pick<ClientSnapshot, 'capabilities'> => ({
  capabilities: {
    variants: ['TwoKeys', 'NewClient'],
    clientIdBy: 'Us',
    findByTag: false,
    credentialPropagation: 0,
    ...overrides,
  },
});
const hashOf = (i: number): string => String(i).padStart(3, '0');
const expiresIn = (life: number): Generation['credential'] => ({
  type: 'ClientSecretBasic',
  secret: new Redacted('s'),
  expiresAt: plus(noon, life),
});
const closed: NonNullable<ClientSnapshot['window']> = { is: 'Closed', opensAt: plus(noon, 100 * day), length: hour };
const stop: Pick<ClientSnapshot, 'stop'> = { stop: suspended };
const failed = (row: ClientRowName, terminal = false): Pick<ClientSnapshot, 'failure'> => ({
  failure: { row, reason: 'ProviderUnavailable', message: 'x', at: noon, terminal },
});
const withGenerations = (generations: readonly Generation[], rest: Partial<ClientRecord> = {}): ClientRecord =>
  record({ generations, ...rest });
const rotating = (state: Generation['state'], more: Partial<Generation> = {}): readonly Generation[] => [
  g(),
  g({ n: 2, state, ...more }),
];
/** An emergency that began at noon and brings generation 2. */
const leaking = (generations: readonly Generation[], rest: Partial<ClientRecord> = {}): ClientRecord =>
  withGenerations(generations, { emergency: 2, revoking: { id: 'e1', since: noon }, handled: ['e1'], ...rest });
const inPlace = (rest: Partial<ClientRecord> = {}): Pick<ClientSnapshot, 'wanted' | 'record'> => ({
  ...wanting({ authentication: 'ClientSecretPost' }),
  record: record({
    variant: 'InPlace',
    generations: [
      g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') } }),
      g({ n: 2, state: 'Planned', credential: { type: 'ClientSecretPost' } }),
    ],
    ...rest,
  }),
});
/** Of a client that authenticates with a secret; everything that was sent is there. */
const withSecret = (rest: { readonly [K in keyof ClientRecord]?: ClientRecord[K] | undefined } = {}): ClientRecord =>
  ({
    ...record({ variant: 'InPlace', sentScopes: ['artifacts:publish'] }),
    generations: [g({ credential: { type: 'ClientSecretBasic', secret: new Redacted('s') } })],
    ...rest,
  }) as ClientRecord;
/** Seen after the last change. */
const drifted = { is: 'Present', at: plus(noon, 1), drift: ['name'], tag: tagText(record().tag) } as const;
const drainingAndCurrent = [g({ state: 'Draining' }), g({ n: 2 })];
const oldAndNew = (more: Partial<Generation> = {}): ClientRecord =>
  withGenerations([g({ state: 'Retiring', clientId: 'old', ...more }), g({ n: 2 })], { variant: 'NewClient' });
const retiringAndCurrent = [g({ state: 'Retiring' }), g({ n: 2 })];
const registering = (rest: Partial<ClientRecord> = {}): ClientRecord =>
  omit(
    withGenerations([g({ state: 'Planned' })], { intent: { call: 'Register', generation: 1, at: noon }, ...rest }),
    'management',
    'observed',
    'updatedAt',
    'sent',
  ) as ClientRecord;
const anonymous = [omit(g({ state: 'Planned' }), 'clientId') as Generation];
const givenUp = (rest: Partial<ClientRecord> = {}): ClientRecord =>
  omit(
    withGenerations([], { highest: 1, possibleOrphans: 3, rollbacks: { count: 1, at: noon }, ...rest }),
    'management',
    'observed',
  ) as ClientRecord;
const secretPlanned = [
  omit(g({ state: 'Planned', credential: { type: 'ClientSecretBasic' } }), 'clientId') as Generation,
];
const asks = [{ hash: 'h1', ask: buildAsk() }];
const proven: Partial<ClientSnapshot> = {
  asks,
  record: record({ proofs: { h1: { outcome: 'Accepted', at: noon, generation: 1 } } }),
};
/** Updated at noon, and then the first ask is refused for its scope. */
const nothing = (
  rest: Partial<ClientRecord> = {},
  proof: Partial<ClientRecord['proofs'][string]> = {},
  others: ClientRecord['proofs'] = {},
): ClientRecord =>
  record({
    proofs: {
      h1: { outcome: 'Refused', at: plus(noon, 1), generation: 1, reason: 'ScopeRefused', ...proof },
      ...others,
    },
    ...rest,
  });
const sound = {
  is: 'Present',
  at: noon,
  drift: [],
  tag: 'cluster/ci-identity-system/pool-uid',
  generation: 1,
} as const;
/** Of a credential that mints: once may be a mishap. */
const refusedTwice = { refusedAt: noon, refusedAgain: true } as const;
const refusedAtNoon = { outcome: 'Refused', at: noon, generation: 1 } as const;
const retrying = wanting({ retryRequest: 'r2' });
const retriedAt = (at: Instant): Pick<ClientRecord, 'retried'> => ({ retried: { id: 'r2', at } });
const late: Partial<ClientRecord> = { managementLost: true };
const expired = { type: 'ClientSecretBasic', secret: new Redacted('s'), expiresAt: noon } as const;
const other = { is: 'Present', at: noon, drift: ['scope'], tag: 'other/owner' } as const;

const theirs = wanting({ existing: { clientId: 'theirs' } });
const handed = (source: string): NonNullable<ClientSnapshot['existing']> => ({
  is: 'Usable',
  credential: buildKey(source),
  source,
});
const theirOne = (more: Partial<Generation> = {}): Generation => g({ clientId: 'theirs', source: 'one', ...more });
const external = (generations: readonly Generation[], rest: Partial<ClientRecord> = {}): ClientRecord =>
  omit(
    withGenerations(generations, { variant: 'External', ...rest }),
    'management',
    'observed',
    'sent',
    'updatedAt',
  ) as ClientRecord;

const twoOld = [
  theirOne({ state: 'Draining', retireAfter: plus(noon, 30 * day) }),
  theirOne({ n: 2, source: 'two', state: 'Draining', retireAfter: plus(noon, 30 * day) }),
  theirOne({ n: 3, source: 'three' }),
];

const askedAtFirst = [
  { kind: 'Rotate', id: 'r1' },
  { kind: 'Rotate', id: 'r2' },
  { kind: 'Revoke', id: 'v1' },
] as const;

const accepted = { outcome: 'Accepted', at: noon, generation: 1 } as const;
const refusedAsk = { outcome: 'Refused', at: noon, generation: 1, reason: 'TokenRequestRefused' } as const;
const badAsk = { bad: refusedAsk } as const;

const givenLess = { count: 9, at: noon, lacked: 'without scope a' } as const;

const takenById = withGenerations(
  [g(), g({ n: 2, state: 'Planned', clientId: 'ci-1-2', credential: { type: 'ClientSecretBasic' } })],
  { variant: 'NewClient', intent: { call: 'Register', generation: 2, at: noon } },
);

const cases: readonly Case[] = [
  {
    row: 'lost-lease',
    title: 'a higher epoch is stored',
    s: snapshot({ record: record({ epoch: 2 }) }),
    reason: 'LostLease',
  },

  { row: 'unknown', title: 'records are not synced', s: snapshot({ synced: false }), reason: 'NotSynced' },
  { row: 'unknown', title: 'pools are not synced', s: snapshot({ wanted: { is: 'Unknown' } }), reason: 'NotSynced' },
  {
    row: 'unknown',
    title: 'a record that cannot be read: its credential exists nowhere else, so no other takes its place',
    s: { ...none, invalid: true },
    reason: 'RecordInvalid',
  },
  { row: 'unknown', title: 'newer format', s: snapshot({ newerFormat: true }), reason: 'NewerFormat' },
  {
    row: 'unknown',
    title: 'issuer is not configured',
    s: snapshot({ issuerConfigured: false }),
    reason: 'IssuerNotConfigured',
  },
  {
    row: 'revocation',
    title: 'a request to revoke needs no provider to be noted: pods lose the tokens',
    s: snapshot({ ...wanting({ revokeRequest: 'r1' }), issuerConfigured: false }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon },
  },
  {
    row: 'unknown',
    title: 'deletion waits for a configured issuer, visibly',
    s: snapshot({ ...gone, issuerConfigured: false }),
    reason: 'IssuerNotConfigured',
  },
  { row: 'unknown', title: 'capabilities not known yet', s: omit(none, 'capabilities'), reason: 'ProviderUnavailable' },

  {
    row: 'damaged',
    title: 'deleted or made unreadable by hand: written again as it was',
    s: snapshot({ damaged: true, record: withGenerations(rotating('Created')) }),
    action: { type: 'Record' },
    next: ['Current', 'Created'],
    lane: lanes.Stop,
    reason: 'RecordRestored',
  },
  {
    row: 'damaged',
    title: 'also while an answer is awaited',
    s: snapshot({
      ...stop,
      damaged: true,
      record: withGenerations([g()], { intent: { call: 'Update', generation: 1, at: noon } }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },

  {
    row: 'restored',
    title: 'the provider is ahead of us',
    s: snapshot({
      record: record({
        observed: { is: 'Present', at: noon, drift: ['jwks'], tag: tagText(record().tag), generation: 2 },
      }),
    }),
    reason: 'RestoredState',
  },
  {
    row: 'restored',
    title: 'not even deleted',
    s: snapshot({ ...gone, record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }) }),
    reason: 'RestoredState',
  },
  {
    row: 'unwanted',
    title: 'but for a client that stays at the provider',
    s: snapshot({
      ...gone,
      retain: true,
      record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }),
    }),
    action: { type: 'Record' },
    next: ['Draining'],
  },
  {
    row: 'emergency',
    title: 'an emergency replaces whatever is there',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }),
    }),
    action: { type: 'Plan', generation: 2 },
    lane: lanes.Stop,
  },
  {
    row: 'restored',
    title: 'one that cannot go on changes nothing there',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({
        managementLost: true,
        handled: ['Revoke e1'],
        observed: { is: 'Present', at: noon, drift: ['jwks'], generation: 7 },
      }),
    }),
    reason: 'RestoredState',
  },
  {
    row: 'restored',
    title: 'looked at again after a day',
    s: snapshot({ record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 2 } }) }),
    now: plus(noon, day),
    action: { type: 'Observe' },
  },

  {
    row: 'open-intent',
    title: 'Register, id by us: the key shows it',
    s: snapshot({ record: registering() }),
    action: { type: 'Prove', generation: 1, settles: 'OpenIntent' },
  },
  {
    row: 'open-intent',
    title: 'not before the provider had its time',
    s: snapshot({ record: registering(), ...able({ credentialPropagation: minute }) }),
    reason: 'InProgress',
    recheckAt: plus(noon, minute),
  },
  {
    row: 'open-intent',
    title: 'the id was found taken a minute ago: not before the provider had its time for whoever took it',
    s: snapshot({
      record: registering({ intent: { call: 'Register', generation: 1, at: noon, takenAt: plus(noon, minute) } }),
      ...able({ credentialPropagation: 2 * minute }),
    }),
    now: plus(noon, 2 * minute),
    reason: 'InProgress',
    recheckAt: plus(noon, 3 * minute),
  },
  {
    row: 'open-intent',
    title: 'Register, id unknown, key: again, an orphan is possible',
    s: snapshot({ record: registering({ generations: anonymous }), ...able({ clientIdBy: 'Provider' }) }),
    action: { type: 'Register', generation: 1, orphanPossible: true },
  },
  {
    row: 'open-intent',
    title: 'the third of which nobody heard is given up, and the next one waits',
    s: snapshot({
      record: registering({ generations: anonymous, possibleOrphans: 2 }),
      ...able({ clientIdBy: 'Provider' }),
    }),
    action: { type: 'Record' },
    next: [],
    stored: { intent: undefined, possibleOrphans: 3, rollbacks: { count: 1, at: noon } },
    reason: 'OrphanPossible',
  },
  {
    row: 'open-intent',
    title: 'what somebody has dealt with does not count',
    s: snapshot({
      record: registering({ generations: anonymous, possibleOrphans: 3, acknowledgedOrphans: 3 }),
      ...able({ clientIdBy: 'Provider' }),
    }),
    action: { type: 'Register', generation: 1, orphanPossible: true },
  },
  {
    row: 'first',
    title: 'after registrations of which nobody heard',
    s: snapshot({ record: givenUp(), ...able({ clientIdBy: 'Provider' }) }),
    reason: 'CredentialRefused',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'create',
    title: 'somebody has mended it, and asks for another try',
    s: snapshot({
      record: givenUp({ retried: { id: 't1', at: plus(noon, second) } }),
      ...able({ clientIdBy: 'Provider' }),
    }),
    now: plus(noon, 2 * second),
    action: { type: 'Register', generation: 2 },
  },
  {
    row: 'open-intent',
    title: 'Register, id unknown, searchable: look it up',
    s: snapshot({
      record: registering({ generations: anonymous }),
      ...able({ clientIdBy: 'Provider', findByTag: true }),
    }),
    action: { type: 'Observe' },
  },
  {
    row: 'open-intent',
    title: 'looked up: sure that nothing is there',
    s: snapshot({
      record: { ...registering({ generations: anonymous }), observed: { is: 'Gone', at: noon, drift: [] } },
      ...able({ clientIdBy: 'Provider', findByTag: true }),
    }),
    action: { type: 'Record' },
    next: ['Planned'],
  },
  {
    row: 'open-intent',
    title: 'Register, id unknown, secret: a person must say so',
    s: snapshot({ record: registering({ generations: secretPlanned }), ...able({ clientIdBy: 'Provider' }) }),
    reason: 'CredentialUnverified',
  },
  {
    row: 'open-intent',
    title: 'a rotation request says so',
    s: snapshot({
      record: registering({ generations: secretPlanned }),
      ...able({ clientIdBy: 'Provider' }),
      ...wanting({ authentication: 'ClientSecretBasic', rotateRequest: 'r1' }),
    }),
    action: { type: 'Record' },
    next: ['Planned'],
  },
  {
    row: 'open-intent',
    title: 'an emergency says so too, and is not done with it',
    s: snapshot({
      record: registering({ generations: secretPlanned }),
      ...able({ clientIdBy: 'Provider' }),
      ...wanting({ authentication: 'ClientSecretBasic', rotateRequest: 'e1', revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    stored: { handled: [] },
    lane: lanes.Stop,
  },
  {
    row: 'revocation',
    title: 'waits for no call whose answer was lost',
    s: snapshot({
      record: withGenerations(rotating('Planned'), { intent: { call: 'Update', generation: 2, at: noon } }),
      ...wanting({ revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon, handled: ['Revoke e1'] },
    lane: lanes.Stop,
  },
  {
    row: 'revocation',
    title: 'means what a clock that was a little ahead minted, too',
    s: snapshot({ ...wanting({ revokeRequest: 'e1' }), youngest: plus(noon, 45 * second) }),
    action: { type: 'Record' },
    stored: { revokeBefore: plus(noon, 45 * second + 1) },
  },
  {
    row: 'revocation',
    title: 'nor for a person who has a backup to explain',
    s: snapshot({
      record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }),
      ...wanting({ revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon },
    lane: lanes.Stop,
  },
  {
    row: 'open-intent',
    title: 'Register, id by us, secret: a duplicate would be refused',
    s: snapshot({
      record: registering({ generations: [g({ state: 'Planned', credential: { type: 'ClientSecretBasic' } })] }),
    }),
    action: { type: 'Register' },
  },
  {
    row: 'open-intent',
    title:
      'the id may be taken by the client whose secret was lost: a request gives that one up, and is carried out with another',
    s: snapshot({
      record: takenById,
      ...wanting({ authentication: 'ClientSecretBasic', rotateRequest: 'r1' }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { intent: undefined, possibleOrphans: 1, handled: [] },
  },
  {
    row: 'open-intent',
    title: 'and so does an emergency',
    s: snapshot({
      record: takenById,
      ...wanting({ authentication: 'ClientSecretBasic', rotateRequest: 'e1', revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { intent: undefined, possibleOrphans: 1, handled: [] },
    lane: lanes.Stop,
  },
  {
    row: 'open-intent',
    title: 'unwanted and unknowable: an orphan, not another one',
    s: snapshot({ ...gone, record: registering({ generations: anonymous }), ...able({ clientIdBy: 'Provider' }) }),
    action: { type: 'Record' },
    next: ['Planned'],
  },
  {
    row: 'open-intent',
    title: 'Update with a new key: the key shows it',
    s: snapshot({
      record: withGenerations(rotating('Planned'), { intent: { call: 'Update', generation: 2, at: noon } }),
    }),
    action: { type: 'Prove', generation: 2, settles: 'OpenIntent' },
  },
  {
    row: 'open-intent',
    title: 'Update for drift: again',
    s: snapshot({ record: record({ intent: { call: 'Update', generation: 1, at: noon } }) }),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'open-intent',
    title: 'Update without the old key: again',
    s: snapshot({
      record: withGenerations(retiringAndCurrent, { intent: { call: 'Update', generation: 1, at: noon } }),
    }),
    action: { type: 'Update', generation: 1, without: 1 },
  },
  {
    row: 'open-intent',
    title: 'unwanted: whatever became of an Update, the client goes as a whole',
    s: snapshot({ ...gone, record: record({ intent: { call: 'Update', generation: 1, at: noon } }) }),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { intent: undefined },
  },
  {
    row: 'open-intent',
    title: 'likewise one that took an old credential out',
    s: snapshot({
      ...gone,
      record: withGenerations(retiringAndCurrent, { intent: { call: 'Update', generation: 1, at: noon } }),
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
    stored: { intent: undefined },
  },
  {
    row: 'open-intent',
    title: 'or one with a new credential',
    s: snapshot({
      ...gone,
      record: withGenerations(rotating('Planned'), { intent: { call: 'Update', generation: 2, at: noon } }),
    }),
    action: { type: 'Record' },
    next: ['Current', 'Planned'],
    stored: { intent: undefined },
  },
  {
    row: 'open-intent',
    title: 'Deregister: again',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring' })], { intent: { call: 'Deregister', generation: 1, at: noon } }),
    }),
    action: { type: 'Deregister', generation: 1 },
  },

  {
    row: 'answer-too-late',
    title: 'Planned: the key shows whether it arrived',
    s: snapshot({ record: withGenerations(rotating('Planned'), late) }),
    action: { type: 'Prove', generation: 2, settles: 'OpenIntent' },
  },
  {
    row: 'create',
    title: 'not of an administrator: what he handed in was never sent',
    s: snapshot({
      ...theirs,
      record: withGenerations([g({ state: 'Retiring' }), g({ n: 2, state: 'Planned', source: 'secret-1' })], late),
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Created'],
  },
  {
    row: 'answer-too-late',
    title: 'a secret that came with the answer is lost',
    s: snapshot({ record: withGenerations(rotating('Planned', { credential: { type: 'ClientSecretBasic' } }), late) }),
    action: { type: 'Record' },
    next: ['Current'],
  },

  { row: 'unwanted', title: 'nothing there', s: { ...none, ...gone }, reason: 'Deregistered' },
  {
    row: 'unwanted',
    title: 'a record without generations goes',
    s: snapshot({ ...gone, record: withGenerations([]) }),
    action: { type: 'Record' },
    next: 'gone',
  },
  {
    row: 'unwanted',
    title: 'Planned: nothing exists yet',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Planned' })]) }),
    action: { type: 'Record' },
    next: 'gone',
  },
  {
    row: 'unwanted',
    title: 'Created → Retiring',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Created' })]) }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: 'Current → Draining',
    s: snapshot({ ...gone, record: record() }),
    action: { type: 'Record' },
    next: ['Draining'],
  },
  {
    row: 'unwanted',
    title: 'newest first',
    s: snapshot({ ...gone, record: withGenerations(rotating('Planned')) }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'unwanted',
    title: 'Draining waits for its tokens',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Draining' })]),
      lastExp: new Map([[1, plus(noon, minute)]]),
    }),
    reason: 'Draining',
  },
  {
    row: 'unwanted',
    title: 'Draining, all revoked → Retiring',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Draining' })]), clockAgrees: false }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: 'Retiring: deregister',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring' })]) }),
    action: { type: 'Deregister', generation: 1 },
  },
  {
    row: 'unwanted',
    title: 'while stopped too',
    s: snapshot({ ...gone, ...stop, record: withGenerations([g({ state: 'Retiring' })]) }),
    action: { type: 'Deregister' },
  },
  {
    row: 'unwanted',
    title: 'the brake holds',
    s: snapshot({ ...gone, brake: true, record: withGenerations([g({ state: 'Retiring' })]) }),
    reason: 'BrakeHolds',
  },
  {
    row: 'unwanted',
    title: 'without the management token it waits visibly',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring' })], late) }),
    reason: 'RegistrationAccessTokenLost',
    recheckAt: plus(noon, day),
  },
  {
    row: 'unwanted',
    title: 'one refusal of the management token may have been a mishap: it is tried again once a day',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring' })], {
        ...late,
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    now: plus(noon, day),
    action: { type: 'Observe' },
  },
  {
    row: 'unwanted',
    title: 'where none was ever given there is nothing to try',
    s: snapshot({
      ...gone,
      record: omit(withGenerations([g({ state: 'Retiring' })], late), 'management') as ClientRecord,
    }),
    now: plus(noon, day),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'unwanted',
    title: 'a management credential that does not rotate helps',
    s: snapshot({ ...gone, managementFallback: true, record: withGenerations([g({ state: 'Retiring' })], late) }),
    action: { type: 'Deregister' },
    lane: lanes.Renew,
  },
  {
    row: 'unwanted',
    title: 'Retain: without the call',
    s: snapshot({ ...gone, retain: true, record: withGenerations([g({ state: 'Retiring' })]) }),
    action: { type: 'Record' },
    next: 'gone',
    reason: 'Retained',
  },
  {
    row: 'unwanted',
    title: 'nothing is deleted on the strength of an old look',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring' })]) }),
    now: plus(noon, 5 * minute),
    action: { type: 'Observe' },
  },
  {
    row: 'unwanted',
    title: 'Retain, and the pool is gone without a goodbye: the record knows',
    s: omit(snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring' })], { retain: true }) }), 'retain'),
    action: { type: 'Record' },
    next: 'gone',
    reason: 'Retained',
  },
  {
    row: 'unwanted',
    title: "somebody else's client is not touched",
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring' })], { observed: other }) }),
    action: { type: 'Record' },
    next: 'gone',
  },
  {
    row: 'unwanted',
    title: 'deregistered: look',
    s: snapshot({
      ...gone,
      record: omit(withGenerations([g({ state: 'Retiring', removedAt: noon })]), 'observed') as ClientRecord,
    }),
    action: { type: 'Observe' },
  },
  {
    row: 'unwanted',
    title: 'gone, says somebody: its key must be refused before the record goes',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring', removedAt: noon })], {
        observed: { is: 'Gone', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Prove', settles: 'Retired' },
  },
  {
    row: 'unwanted',
    title: 'cannot be looked at: its key must be refused',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring', removedAt: noon })], {
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Prove', settles: 'Retired' },
  },
  {
    row: 'unwanted',
    title: 'its management token was refused, and its secret has expired: that shows nothing, so it stays known',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring', removedAt: noon, credential: expired })], {
        ...late,
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: "the provider's clock may be ahead of ours: its secret has expired there, perhaps",
    s: snapshot({
      ...gone,
      record: withGenerations(
        [g({ state: 'Retiring', removedAt: noon, credential: { ...expired, expiresAt: plus(noon, 5 * minute) } })],
        { ...late, observed: { is: 'Unknowable', at: noon, drift: [] } },
      ),
    }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: 'of two credentials the one that has expired shows nothing, and goes before the other is asked',
    s: snapshot({
      ...gone,
      record: withGenerations(
        [
          g({ state: 'Retiring', removedAt: noon, credential: expired }),
          g({ n: 2, state: 'Retiring', removedAt: noon, credential: { ...expired, expiresAt: plus(noon, day) } }),
        ],
        { ...late, observed: { is: 'Unknowable', at: noon, drift: [] } },
      ),
    }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: 'then a person is waited for',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring', credential: expired })], {
        ...late,
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'unwanted',
    title: 'the provider said that it deleted it: that its secret has expired holds nothing up',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring', removedAt: noon, credential: expired })], {
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Prove', settles: 'Retired' },
  },
  {
    row: 'unwanted',
    title: 'what a look saw is the client after it, which is still there: its own credential shows that it is gone',
    s: snapshot({
      ...gone,
      record: withGenerations([
        g({ state: 'Retiring', clientId: 'before', removedAt: noon }),
        g({ n: 2, state: 'Draining', retireAfter: noon }),
      ]),
      lastExp: new Map([[2, plus(noon, hour)]]),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'unwanted',
    title: 'still there: again after a pause',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring', removedAt: noon })]) }),
    action: { type: 'Record' },
    stored: { generations: [g({ state: 'Retiring', stillThere: 1, retireAfter: plus(noon, 5 * minute) })] },
  },
  {
    row: 'unwanted',
    title: 'still there after many times: after an hour',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring', removedAt: noon, stillThere: 9 })]) }),
    action: { type: 'Record' },
    stored: { generations: [g({ state: 'Retiring', stillThere: 10, retireAfter: plus(noon, hour) })] },
  },

  {
    row: 'clock-set-back',
    title: 'what is revoked was minted before now, whatever the clock said when it was asked for',
    s: snapshot({ record: record({ revokeBefore: plus(noon, day), revoking: { id: 'e1', since: plus(noon, day) } }) }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon },
    lane: lanes.Stop,
  },
  {
    row: 'settled',
    title: 'the leader before was some seconds ahead: what it revoked stays revoked',
    s: snapshot({ record: record({ revokeBefore: plus(noon, minute) }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'revocation',
    title: 'revokeRequest alone',
    s: snapshot(wanting({ revokeRequest: 'e1' })),
    action: { type: 'Record' },
    reason: 'RevokeRequested',
    next: ['Current'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'rotate and revoke: Plan in lane Stop',
    s: snapshot({ ...stop, ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }) }),
    action: { type: 'Plan', generation: 2, handles: ['e1'] },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'an id that only rotated so far: what it revokes now is not done yet',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({ generations: [g()], handled: ['Rotate e1'] }),
    }),
    action: { type: 'Plan', generation: 2, handles: ['e1'] },
    lane: lanes.Stop,
  },
  {
    row: 'revocation',
    title: 'while an emergency is under way: that one stays what is being carried out',
    s: snapshot({
      ...wanting({ rotateRequest: 'e1', revokeRequest: 'r1' }),
      record: withGenerations(rotating('Planned'), {
        emergency: 2,
        revoking: { id: 'e1', since: noon },
        handled: ['e1'],
      }),
    }),
    now: plus(noon, minute),
    action: { type: 'Record' },
    stored: { revokeBefore: plus(noon, minute), revoking: { id: 'e1', since: noon }, handled: ['e1', 'Revoke r1'] },
    lane: lanes.Stop,
  },
  {
    row: 'revocation',
    title: 'an id that only rotated so far and is asked for no more: it revokes',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1' }),
      record: record({ generations: [g()], handled: ['Rotate e1'] }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'cannot rotate: revoke at least',
    s: snapshot({ ...able({ variants: [] }), ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }) }),
    action: { type: 'Record' },
    reason: 'RotationUnsupported',
    stored: { revokeBefore: noon, revoking: { id: 'e1', since: noon }, emergency: undefined, handled: ['Revoke e1'] },
  },
  {
    row: 'settled',
    title: 'once: the rotation waits until something can replace the credential',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({ managementLost: true, handled: ['Revoke e1'] }),
    }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'emergency',
    title: 'what it revoked is told as done meanwhile',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({ managementLost: true, handled: ['Revoke e1'], revoking: { id: 'e1', since: noon } }),
    }),
    action: { type: 'Record' },
    reason: 'RequestDone',
    stored: { revoking: undefined },
  },
  {
    row: 'emergency',
    title: 'and it comes as soon as something can',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({ handled: ['Revoke e1'] }),
    }),
    action: { type: 'Plan', generation: 2, handles: ['e1'] },
    lane: lanes.Stop,
  },
  {
    row: 'settled',
    title: "an emergency of an administrator's client waits until its Secret was read: the new credential may be there",
    s: snapshot({
      ...wanting({ existing: { clientId: 'theirs' }, revokeRequest: 'e1', rotateRequest: 'e1' }),
      existing: { is: 'Unknown' },
      record: external([theirOne()]),
    }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'emergency',
    title: 'a rotation under way becomes it',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: withGenerations(rotating('Created')),
    }),
    action: { type: 'Record' },
    next: ['Current', 'Created'],
  },
  {
    row: 'emergency',
    title: "an administrator's client: its new credential is proven, and the client is not called",
    s: snapshot({
      ...theirs,
      existing: handed('two'),
      record: external([theirOne(), { ...theirOne({ n: 2, state: 'Planned' }), source: 'two' }], { emergency: 2 }),
    }),
    action: { type: 'Record' },
    next: ['Current', 'Created'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'what leaves a gap waits for no window',
    s: snapshot({
      ...able({ variants: ['InPlace'] }),
      ...wanting({ authentication: 'ClientSecretPost', revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: withGenerations([g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') } })]),
    }),
    action: { type: 'Plan', variant: 'InPlace' },
  },
  {
    row: 'emergency',
    title: 'its credential was refused and taken back: another one, after the pause',
    s: snapshot({ record: withGenerations([g()], { emergency: 2, highest: 2, rollbacks: { count: 1, at: noon } }) }),
    now: plus(noon, 5 * minute),
    action: { type: 'Plan', generation: 3, handles: [] },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'somebody asks for it: before the pause is over',
    s: snapshot({
      record: withGenerations([g()], {
        emergency: 2,
        highest: 2,
        rollbacks: { count: 9, at: noon },
        ...retriedAt(plus(noon, 1)),
      }),
    }),
    now: plus(noon, 2),
    action: { type: 'Plan', generation: 3, handles: [] },
  },
  ...[
    {
      title: 'was refused and taken back',
      s: snapshot({ record: leaking([g()], { highest: 2, rollbacks: { count: 1, at: noon } }) }),
    },
    {
      title: 'cannot be registered',
      s: snapshot({ record: leaking(rotating('Planned')), ...failed('emergency', true) }),
    },
    { title: 'takes long to come', s: snapshot({ record: leaking(rotating('Planned')) }), now: plus(noon, 5 * minute) },
  ].map(({ title, ...rest }): Case => ({
    row: 'emergency',
    title: `its new credential ${title}: what the old one minted is revoked without it`,
    ...rest,
    action: { type: 'Record' },
    stored: { revokeBefore: rest.now ?? noon, emergency: 2 },
    lane: lanes.Stop,
  })),
  {
    row: 'emergency',
    title: 'what the old credential minted was revoked, and goes on waiting for the new one',
    s: snapshot({ record: leaking(rotating('Planned'), { revokeBefore: noon }) }),
    now: plus(noon, 5 * minute),
    action: { type: 'Update' },
  },
  {
    row: 'emergency',
    title: 'rotated, retired and nothing from before is left: done',
    s: snapshot({
      record: withGenerations([g({ n: 2 })], { emergency: 2, revokeBefore: noon, revoking: { id: 'e1', since: noon } }),
    }),
    action: { type: 'Record' },
    reason: 'RequestDone',
    next: ['Current'],
  },
  {
    row: 'emergency',
    title: 'revokeRequest alone: done when the last token is gone',
    s: snapshot({
      record: withGenerations([g()], { revokeBefore: noon, revoking: { id: 'e1', since: noon }, handled: ['e1'] }),
      ...wanting({ revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    reason: 'RequestDone',
  },
  {
    row: 'emergency',
    title: 'create goes on while stopped',
    s: snapshot({ ...stop, record: withGenerations(rotating('Planned'), { emergency: 2 }) }),
    action: { type: 'Update', generation: 2 },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'verify goes on while stopped',
    s: snapshot({ ...stop, record: withGenerations(rotating('Created'), { emergency: 2 }) }),
    action: { type: 'Prove', settles: 'Verify' },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'a refusal is asked about again while stopped, as long as the provider may be taking the credential over',
    s: snapshot({
      ...stop,
      ...able({ credentialPropagation: minute }),
      record: withGenerations(rotating('Created', { refusedAt: noon }), { emergency: 2 }),
    }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove', settles: 'Verify' },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'and not at once',
    s: snapshot({
      ...stop,
      ...able({ credentialPropagation: minute }),
      record: withGenerations(rotating('Created', { refusedAt: noon }), { emergency: 2 }),
    }),
    reason: 'CredentialUnverified',
    recheckAt: plus(noon, 5 * second),
  },
  {
    row: 'emergency',
    title: 'refused for good it is taken back while stopped, so that the next one can come',
    s: snapshot({ ...stop, record: withGenerations(rotating('Created', { refusedAt: noon }), { emergency: 2 }) }),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'the management token turns out to be lost on the way: it revokes at least',
    s: snapshot({
      record: withGenerations([g()], {
        ...late,
        emergency: 2,
        highest: 2,
        revoking: { id: 'e1', since: noon },
        rollbacks: { count: 1, at: noon },
        handled: ['e0', 'e1'],
      }),
    }),
    now: plus(noon, second),
    action: { type: 'Record' },
    reason: 'RotationUnsupported',
    stored: {
      revokeBefore: plus(noon, second),
      emergency: undefined,
      revoking: { id: 'e1', since: noon },
      handled: ['e0', 'Revoke e1'],
    },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: "the client turns out to be somebody else's: it revokes at least",
    s: snapshot({ record: withGenerations(rotating('Planned'), { emergency: 2, observed: other }) }),
    action: { type: 'Record' },
    reason: 'RotationUnsupported',
    stored: { revokeBefore: noon, emergency: undefined },
  },
  {
    row: 'emergency',
    title: 'one old credential in its overlap does not keep the next one waiting',
    s: snapshot({
      record: withGenerations([g({ state: 'Draining', retireAfter: plus(noon, 30 * day) }), g({ n: 2 })], {
        emergency: 3,
        highest: 3,
        rollbacks: { count: 1, at: noon },
      }),
    }),
    now: plus(noon, 5 * minute),
    action: { type: 'Plan', generation: 4 },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'two old credentials leave no room for a new one: their tokens are revoked first',
    s: snapshot({
      ...wanting({ existing: { clientId: 'theirs' }, revokeRequest: 'e1', rotateRequest: 'e1' }),
      existing: handed('four'),
      record: external(twoOld),
    }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon, emergency: 4, revoking: { id: 'e1', since: noon }, handled: ['e1'] },
    lane: lanes.Stop,
  },
  {
    row: 'settled',
    title: 'as long as tokens of them are left it waits',
    s: snapshot({
      ...theirs,
      existing: handed('four'),
      record: external(twoOld, { emergency: 4 }),
      lastExp: new Map([1, 2].map((n) => [n, plus(noon, minute)])),
    }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'emergency',
    title: 'then no overlap is kept',
    s: snapshot({ ...theirs, existing: handed('four'), record: external(twoOld, { emergency: 4 }) }),
    action: { type: 'Record' },
    next: ['Retiring', 'Draining', 'Current'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'and there is room',
    s: snapshot({ ...theirs, existing: handed('four'), record: external(twoOld.slice(1), { emergency: 4 }) }),
    action: { type: 'Plan', generation: 4, variant: 'External' },
    lane: lanes.Stop,
  },
  {
    row: 'settled',
    title: 'it revokes nothing before the Secret with the new credential was read again after a restart',
    s: snapshot({ ...theirs, existing: { is: 'Unknown' }, record: external(twoOld.slice(2), { emergency: 4 }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'emergency',
    title: 'a later credential took the place of the one that it brought: done all the same',
    s: snapshot({ record: withGenerations([g({ n: 3 })], { emergency: 2, revoking: { id: 'e1', since: noon } }) }),
    action: { type: 'Record' },
    reason: 'RequestDone',
  },
  {
    row: 'emergency',
    title: 'all revoked: no overlap is kept',
    s: snapshot({ record: withGenerations(drainingAndCurrent, { emergency: 2 }) }),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },

  { row: 'stopped', title: 'no client yet: none is made', s: { ...none, ...stop }, reason: 'Suspended' },
  {
    row: 'stopped',
    title: 'Planned waits',
    s: snapshot({ ...stop, record: withGenerations([g({ state: 'Planned' })]) }),
    reason: 'Suspended',
  },
  {
    row: 'stopped',
    title: 'no rotation',
    s: snapshot({ ...stop, ...wanting({ rotateRequest: 'r1' }) }),
    reason: 'Suspended',
  },

  {
    row: 'create',
    title: 'nothing there: the key is stored with the note of the call',
    s: none,
    action: { type: 'Register', generation: 1, plan: { variant: 'TwoKeys', handles: [] } },
    reason: 'Registering',
    lane: lanes.NewPod,
  },
  {
    row: 'settled',
    title: 'nothing there, and registering failed: not at once again',
    s: { ...none, ...failed('create') },
    reason: 'Settled',
  },
  {
    row: 'settled',
    title: 'of a namespace or identity to which nothing is granted: nobody becomes a client by that',
    s: { ...none, unasked: true },
    reason: 'Settled',
  },
  {
    row: 'first',
    title: 'too many clients of its namespace wait for an acknowledgement',
    s: { ...none, piledUp: true },
    reason: 'BrakeHolds',
  },
  {
    row: 'create',
    title: 'requests that are there already count as done, however many of a kind',
    s: { ...none, ...wanting({ rotateRequest: 'r1', revokeRequest: 'v1', asked: askedAtFirst }) },
    action: { type: 'Register', plan: { variant: 'TwoKeys', handles: ['Rotate r1', 'Rotate r2', 'Revoke v1'] } },
  },
  {
    row: 'create',
    title: 'what the record says is done is not done again with another first credential',
    s: snapshot({
      ...wanting({ rotateRequest: 'r2', asked: askedAtFirst }),
      record: withGenerations([], { handled: ['Rotate r1', 'v1'] }),
    }),
    action: { type: 'Register', plan: { variant: 'TwoKeys', handles: ['Rotate r2'] } },
  },
  {
    row: 'first',
    title: 'a credential that never worked: after a pause',
    s: snapshot({ record: withGenerations([], { rollbacks: { count: 1, at: noon } }) }),
    reason: 'CredentialRefused',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'asked',
    title: 'a new request rotates now',
    s: snapshot({ window: closed, ...wanting({ rotateRequest: 'r1' }) }),
    action: { type: 'Plan', generation: 2, variant: 'TwoKeys', handles: ['Rotate r1'] },
    reason: 'RotationRequested',
    lane: lanes.Routine,
  },
  {
    row: 'due',
    title: 'after rotation.every',
    s: snapshot(),
    now: plus(noon, 90 * day),
    action: { type: 'Plan', generation: 2 },
  },
  {
    row: 'due',
    title: 'missed by an hour: when its turn comes',
    s: snapshot({ jitter: 0.5 }),
    now: plus(noon, 90 * day + 90 * minute),
    action: { type: 'Plan', generation: 2 },
  },
  {
    row: 'due',
    title: 'in the first turn of the window that it waited for',
    s: snapshot({ window: { is: 'Open', since: plus(noon, 95 * day), length: 2 * hour } }),
    now: plus(noon, 95 * day),
    action: { type: 'Plan', generation: 2 },
  },
  {
    row: 'expiring-soon',
    title: 'a tenth of the life of a secret is left: whatever the hour',
    s: snapshot({
      ...able({ variants: ['TwoSecrets'] }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
      window: closed,
      record: withGenerations(
        [g({ credential: { type: 'ClientSecretBasic', secret: new Redacted('s'), expiresAt: plus(noon, 10 * day) } })],
        { sent: 'x' },
      ),
    }),
    now: plus(noon, 9 * day),
    action: { type: 'Plan', variant: 'TwoSecrets' },
  },
  ...[undefined, closed].map((window) => ({
    row: 'expiring-soon',
    title: `${window === undefined ? 'without a window' : 'outside of its window'}, also where that leaves a gap`,
    s: snapshot({
      ...able({ variants: ['InPlace'] }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
      ...(window === undefined ? {} : { window }),
      record: withGenerations([g({ credential: expiresIn(10 * day) })], { sent: 'x' }),
    }),
    now: plus(noon, 9 * day),
    action: { type: 'Plan' as const, variant: 'InPlace' as const },
  })),
  {
    row: 'create',
    title: 'and what is planned then does not wait for the window',
    s: snapshot({
      ...wanting({ authentication: 'ClientSecretBasic' }),
      window: closed,
      record: withGenerations(
        [
          g({ credential: expiresIn(10 * day) }),
          g({ n: 2, state: 'Planned', credential: { type: 'ClientSecretBasic' } }),
        ],
        { variant: 'InPlace' },
      ),
    }),
    now: plus(noon, 9 * day),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'expiring-soon',
    title: 'an old credential that cannot go yet holds up none that is about to expire',
    s: snapshot({
      ...able({ variants: ['TwoSecrets'] }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
      clockAgrees: false,
      record: withGenerations([
        g({ state: 'Draining', retireAfter: plus(noon, hour) }),
        g({ n: 2, credential: expiresIn(10 * day) }),
      ]),
    }),
    now: plus(noon, 9 * day),
    action: { type: 'Plan', generation: 3 },
  },
  {
    row: 'expiring',
    title: 'a third of the life of a secret is left',
    s: snapshot({
      ...able({ variants: ['TwoSecrets'] }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
      record: withGenerations(
        [g({ credential: { type: 'ClientSecretBasic', secret: new Redacted('s'), expiresAt: plus(noon, 3 * day) } })],
        { sent: 'x' },
      ),
    }),
    now: plus(noon, 2 * day),
    action: { type: 'Plan', variant: 'TwoSecrets' },
  },
  {
    row: 'method-changed',
    title: 'only a new client can take another method',
    s: snapshot(wanting({ authentication: 'ClientSecretBasic', allowSubjectChange: true })),
    action: { type: 'Plan', variant: 'NewClient' },
  },
  {
    row: 'due',
    title: 'another method that is not allowed holds no rotation back: the credential is replaced as it is',
    s: snapshot(wanting({ authentication: 'ClientSecretBasic' })),
    now: plus(noon, 91 * day),
    action: { type: 'Plan', variant: 'TwoKeys' },
  },
  {
    row: 'settled',
    title: 'another method that is not allowed: nothing is changed, it is said',
    s: snapshot(wanting({ authentication: 'ClientSecretBasic' })),
    reason: 'RotationUnsupported',
  },
  {
    row: 'abandoned',
    title: 'the method was set back before the new client was registered',
    s: snapshot({
      record: withGenerations([
        g(),
        omit(g({ n: 2, state: 'Planned', credential: { type: 'ClientSecretBasic' } }), 'clientId') as Generation,
      ]),
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'abandoned',
    title: 'the first key was made before the provider said that it does not verify its algorithm: another is made',
    s: snapshot({
      record: withGenerations([omit(g({ state: 'Planned' }), 'clientId') as Generation]),
      keyAlgorithm: 'RS256',
    }),
    action: { type: 'Record' },
    next: [],
  },
  {
    row: 'abandoned',
    title: 'a second key of a client that the provider turns out not to change',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })]),
      capabilities: { ...buildClientSnapshot().capabilities!, variants: ['NewClient'] },
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'abandoned',
    title: 'likewise a second key',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })]),
      keyAlgorithm: 'RS256',
    }),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { rollbacks: { count: 1, at: noon } },
  },
  {
    row: 'again',
    title: '… and a rotation that somebody asked for comes with the next one',
    s: snapshot({ record: withGenerations([g()], { rollbacks: { count: 1, at: noon } }), keyAlgorithm: 'RS256' }),
    now: plus(noon, 5 * minute),
    action: { type: 'Plan' },
  },
  {
    row: 'emergency',
    title: 'likewise that of an emergency, also while stopped',
    s: snapshot({
      ...stop,
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })], { emergency: 2 }),
      keyAlgorithm: 'RS256',
    }),
    action: { type: 'Record' },
    next: ['Current'],
    lane: lanes.Stop,
  },
  {
    row: 'create',
    title: 'a key of the algorithm that the provider verifies is sent',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })]),
      keyAlgorithm: 'ES256',
    }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'open-intent',
    title: 'but not while nobody knows whether it was registered',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned', clientId: 'ci-1-2' })], {
        intent: { call: 'Register', generation: 2, at: noon },
      }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
    }),
    action: { type: 'Prove', generation: 2 },
  },

  {
    row: 'first',
    title: 'an existing client: its credential is copied',
    s: { ...none, ...theirs, existing: handed('one') },
    action: { type: 'Plan', generation: 1, variant: 'External' },
  },
  {
    row: 'first',
    title: 'an existing client: another one is named for a credential that was refused, which waits for no pause',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([], { rollbacks: { count: 9, at: noon, source: 'one', clientId: 'mistyped' } }),
    }),
    action: { type: 'Plan', variant: 'External' },
  },
  {
    row: 'first',
    title: 'an existing client: the same one that refused it',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([], { rollbacks: { count: 9, at: noon, source: 'one', clientId: 'theirs' } }),
    }),
    reason: 'CredentialRefused',
  },
  {
    row: 'settled',
    title: 'an existing client whose Secret was not read yet',
    s: { ...none, ...theirs, existing: { is: 'Unknown' } },
    reason: 'Settled',
  },
  {
    row: 'settled',
    title: 'an existing client that another pool uses',
    s: { ...none, ...theirs, existing: { is: 'Unusable', reason: 'ClientClaimed', message: 'x' } },
    reason: 'Settled',
  },
  {
    row: 'first',
    title: 'the first credential was refused: not at once again',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([], { rollbacks: { count: 1, at: noon, source: 'one' } }),
    }),
    reason: 'CredentialRefused',
  },
  {
    row: 'first',
    title: 'but another one at once',
    s: snapshot({
      ...theirs,
      existing: handed('two'),
      record: external([], { rollbacks: { count: 1, at: noon, source: 'one' } }),
    }),
    action: { type: 'Plan', variant: 'External' },
  },
  {
    row: 'replaced',
    title: 'the administrator stored another credential, and no window holds it back',
    s: snapshot({ ...theirs, existing: handed('two'), record: external([theirOne()]), window: closed }),
    action: { type: 'Plan', generation: 2, variant: 'External' },
  },
  {
    row: 'replaced',
    title: 'while the one before still drains',
    s: snapshot({
      ...theirs,
      existing: handed('three'),
      record: external([theirOne({ state: 'Draining' }), theirOne({ n: 2, source: 'two' })]),
    }),
    action: { type: 'Plan', generation: 3, variant: 'External' },
  },
  {
    row: 'replaced',
    title: 'the pool names another client',
    s: snapshot({
      ...wanting({ existing: { clientId: 'other' } }),
      existing: handed('one'),
      record: external([theirOne()]),
    }),
    action: { type: 'Plan', generation: 2, variant: 'External' },
  },
  {
    row: 'replaced',
    title: "from a client of our own to an administrator's",
    s: snapshot({ ...theirs, existing: handed('one') }),
    action: { type: 'Plan', generation: 2, variant: 'External' },
  },
  {
    row: 'replaced',
    title: 'and back: a client of our own takes its place',
    s: snapshot({ record: external([theirOne()]) }),
    action: { type: 'Plan', generation: 2, variant: 'NewClient' },
  },
  {
    row: 'settled',
    title: 'a new credential that was refused waits its time',
    s: snapshot({
      ...theirs,
      existing: handed('two'),
      record: external([theirOne()], { rollbacks: { count: 1, at: noon, source: 'two' } }),
    }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'replaced',
    title: 'and is tried again',
    s: snapshot({
      ...theirs,
      existing: handed('two'),
      record: external([theirOne()], { rollbacks: { count: 1, at: noon, source: 'two' } }),
    }),
    now: plus(noon, 5 * minute),
    action: { type: 'Plan', variant: 'External' },
  },
  {
    row: 'settled',
    title: 'the Secret is gone: the copy mints on',
    s: snapshot({
      ...theirs,
      existing: { is: 'Unusable', reason: 'CredentialMissing', message: 'x' },
      record: external([theirOne()]),
    }),
    reason: 'CredentialMissing',
  },
  {
    row: 'settled',
    title: 'age alone replaces nothing that only an administrator can replace, and the client is never looked at',
    s: snapshot({ ...theirs, existing: handed('one'), record: external([theirOne()]) }),
    now: plus(noon, 200 * day),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'a request to rotate waits for the administrator',
    s: snapshot({
      ...wanting({ existing: { clientId: 'theirs' }, rotateRequest: 'r1' }),
      existing: handed('one'),
      record: external([theirOne()]),
    }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'unwanted',
    title: "an administrator's client stays",
    s: snapshot({ ...gone, record: external([theirOne({ state: 'Retiring' })]) }),
    action: { type: 'Record' },
    next: 'gone',
    reason: 'Retained',
  },

  {
    row: 'again',
    title: 'the last new credential was taken back: the next one, after the pause',
    s: snapshot({ record: withGenerations([g()], { highest: 2, rollbacks: { count: 2, at: noon } }) }),
    now: plus(noon, 10 * minute),
    action: { type: 'Plan', generation: 3 },
  },
  {
    row: 'settled',
    title: 'the last new credential was taken back: not before the pause is over',
    s: snapshot({ record: withGenerations([g()], { highest: 2, rollbacks: { count: 2, at: noon } }) }),
    now: plus(noon, 10 * minute - 1),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, 10 * minute),
  },
  ...(
    [
      ['again', 'is refused', { ...refusedTwice }, {}],
      ['expiring-soon', 'runs out', { since: plus(noon, -9 * hour), credential: expiresIn(hour) }, {}],
      ['emergency', 'is in the wrong hands', {}, { emergency: 2 }],
    ] as const
  ).map(([row, title, old, more]) => ({
    row,
    title: `the last new client was given less: the next one does not wait where the old credential ${title}`,
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ allowSubjectChange: true, authentication: g(old).credential.type }),
      window: closed,
      record: withGenerations([g(old)], { ...more, variant: 'NewClient', highest: 2, rollbacks: givenLess }),
    }),
    action: { type: 'Plan' as const, generation: 3 },
  })),
  {
    row: 'settled',
    title: 'the last new client was given less: where the old one works the next one waits',
    s: snapshot({ record: withGenerations([g()], { variant: 'NewClient', highest: 2, rollbacks: givenLess }) }),
    now: plus(noon, minute),
    reason: 'CredentialCurrent',
  },
  ...(['Draining', 'Retiring'] as const).map((state) => ({
    row: 'wanted-again',
    title: `its removal has begun (${state}), and somebody wants it again: the client that is there is proven, and mints again`,
    s: snapshot({ record: withGenerations([g({ state, retireAfter: plus(noon, hour) })]) }),
    action: { type: 'Prove' as const, settles: 'WantedAgain' as const, generation: 1 },
  })),
  ...(
    [
      ['its credential is refused', { refusedAt: noon }, 'Deregister'],
      ['the provider said that it is gone', { removedAt: plus(noon, -minute) }, 'Prove'],
      ['it is of another method', { credential: { type: 'ClientSecretPost' } }, 'Deregister'],
    ] as const
  ).map(([title, more, type]): Case => ({
    row: 'retire',
    title: `wanted again, but ${title}: it goes, and the next client is a new one`,
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', ...more })]) }),
    action: { type },
  })),
  ...(['TwoSecrets', 'InPlace', 'NewClient'] as const).map((variant) => ({
    row: variant === 'NewClient' ? 'settled' : 'expiring-soon',
    title: `of a client that leaves, until another one has its place: ${variant}`,
    s: snapshot({
      ...able({ variants: [variant] }),
      ...wanting({ authentication: 'ClientSecretBasic', allowSubjectChange: true }),
      leaving: true,
      record: withGenerations([g({ since: plus(noon, -90 * day), credential: expired })], { variant }),
    }),
    ...(variant === 'NewClient'
      ? { reason: 'RotationDue' as const }
      : { action: { type: 'Plan' as const, generation: 2 } }),
  })),
  {
    row: 'refused',
    title: 'the client is there and refuses its key',
    s: snapshot({ record: withGenerations([g({ ...refusedTwice })]) }),
    action: { type: 'Plan', generation: 2 },
    lane: lanes.Renew,
  },
  ...(['Draining', 'Retiring'] as const).map((state) => ({
    row: 'refused',
    title: `nor does it wait for an old one that is ${state} for ever`,
    s: snapshot({
      record: withGenerations([g({ state, retireAfter: plus(noon, 30 * day) }), g({ n: 2, ...refusedTwice })]),
    }),
    action: { type: 'Plan' as const, generation: 3 },
  })),
  {
    row: 'asked',
    title: 'nor does a request, while Current is refused',
    s: snapshot({
      ...wanting({ rotateRequest: 'r1' }),
      record: withGenerations([g({ state: 'Draining', retireAfter: plus(noon, day) }), g({ n: 2, ...refusedTwice })]),
    }),
    action: { type: 'Plan', generation: 3 },
  },
  {
    row: 'not-accepted',
    title: 'made before the clock was set back by a day: it is not asked about for a day',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Created', since: plus(noon, day), refusedAt: noon })]),
    }),
    now: plus(noon, minute),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },
  {
    row: 'drained',
    title:
      'an administrator replaces his credential for the third time within the overlap: the oldest one waits for nothing',
    s: snapshot({
      ...theirs,
      record: external([
        theirOne({ state: 'Draining', retireAfter: plus(noon, day) }),
        { ...theirOne({ n: 2, state: 'Draining', retireAfter: plus(noon, day) }), source: 'two' },
        { ...theirOne({ n: 3, ...refusedTwice }), source: 'three' },
      ]),
      existing: handed('four'),
      clockAgrees: false,
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Draining', 'Current'],
  },
  {
    row: 'not-accepted',
    title: 'two old ones are the most',
    s: snapshot({
      ...wanting({ rotateRequest: 'r1' }),
      record: withGenerations([
        g({ state: 'Draining', retireAfter: plus(noon, day) }),
        g({ n: 2, state: 'Draining', retireAfter: plus(noon, day) }),
        g({ n: 3, ...refusedTwice }),
      ]),
    }),
    now: plus(noon, 5 * minute),
    action: { type: 'Prove', generation: 3 },
  },
  ...([closed, undefined] as const).map((window) => ({
    row: 'refused',
    title: `InPlace: a refused secret has left a gap already, so its successor waits for no window; ${window === undefined ? 'none is declared' : 'it is closed'}`,
    s: snapshot({
      ...inPlace({
        generations: [g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') }, ...refusedTwice })],
      }),
      ...able({ variants: ['InPlace'] }),
      ...(window === undefined ? {} : { window }),
    }),
    action: { type: 'Plan' as const, variant: 'InPlace' as const, generation: 2 },
  })),

  {
    row: 'create',
    title: 'first: Register',
    s: snapshot({ record: withGenerations([g({ state: 'Planned' })]) }),
    action: { type: 'Register', generation: 1 },
    lane: lanes.NewPod,
  },
  {
    row: 'create',
    title: 'a second key: Update',
    s: snapshot({ record: withGenerations(rotating('Planned')) }),
    action: { type: 'Update', generation: 2 },
    lane: lanes.Routine,
  },
  {
    row: 'create',
    title: 'a new client: Register',
    s: snapshot({ record: withGenerations(rotating('Planned', { clientId: 'ci-1-2' }), { variant: 'NewClient' }) }),
    action: { type: 'Register', generation: 2 },
  },
  {
    row: 'settled',
    title: 'InPlace: what was held up until the window closed waits for the next one',
    s: snapshot({ ...inPlace(), window: closed }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, day),
  },
  {
    row: 'settled',
    title: 'and is looked at when it opens',
    s: snapshot({ ...inPlace(), window: { ...closed, opensAt: plus(noon, hour) } }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, hour),
  },
  {
    row: 'abandoned',
    title: 'InPlace: no window is declared any more, so that it would wait for ever; the rotation is owed',
    s: snapshot(inPlace()),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { rollbacks: { count: 1, at: noon } },
  },
  {
    row: 'settled',
    title: 'InPlace: a window in a time zone that is not known may become usable',
    s: snapshot({ ...inPlace(), window: { is: 'Unusable', timeZone: 'Europe/Berln' } }),
    reason: 'CredentialCurrent',
  },
  ...([closed, undefined] as const).map((window) => ({
    row: 'create',
    title: `InPlace: the old secret is refused, so that a new one leaves no gap; ${window === undefined ? 'no window' : 'the window is closed'}`,
    s: snapshot({
      ...inPlace({
        generations: [
          g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') }, ...refusedTwice }),
          g({ n: 2, state: 'Planned', credential: { type: 'ClientSecretPost' } }),
        ],
      }),
      ...(window === undefined ? {} : { window }),
    }),
    action: { type: 'Update' as const, generation: 2 },
  })),
  {
    row: 'create',
    title: 'InPlace: in the window',
    s: snapshot({ ...inPlace(), window: { is: 'Open', since: noon, length: hour } }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'emergency',
    title: 'InPlace: in an emergency at any hour',
    s: snapshot({ ...inPlace({ emergency: 2 }), window: closed }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'create',
    title: 'InPlace: also where the emergency itself was held up',
    s: snapshot({ ...inPlace({ emergency: 2 }), window: closed, ...failed('emergency') }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'create',
    title: 'InPlace: the first one replaces nothing',
    s: snapshot({
      ...inPlace({ generations: [g({ state: 'Planned', credential: { type: 'ClientSecretPost' } })] }),
      window: closed,
    }),
    action: { type: 'Register', generation: 1 },
  },
  {
    row: 'create',
    title: 'External: calls nothing',
    s: snapshot({ record: withGenerations([g({ state: 'Planned', source: 'one' })], { variant: 'External' }) }),
    action: { type: 'Record' },
    next: ['Created'],
  },
  {
    row: 'verify',
    title: 'with this credential alone',
    s: snapshot({ asks, record: withGenerations(rotating('Created')) }),
    action: { type: 'Prove', generation: 2, settles: 'Verify', hash: 'h1' },
  },
  {
    row: 'verify',
    title: 'with an ask that is known to be given, rather than with one that is refused or was never tried',
    s: snapshot({
      asks: ['bad', 'new', 'good'].map((hash) => ({ hash, ask: buildAsk() })),
      record: withGenerations(rotating('Created'), {
        proofs: { ...badAsk, good: { ...badAsk.bad, outcome: 'Accepted' } },
      }),
    }),
    action: { type: 'Prove', hash: 'good' },
  },
  {
    row: 'verify',
    title: 'else with one that was never tried',
    s: snapshot({
      asks: ['bad', 'new'].map((hash) => ({ hash, ask: buildAsk() })),
      record: withGenerations(rotating('Created'), { proofs: badAsk }),
    }),
    action: { type: 'Prove', hash: 'new' },
  },
  {
    row: 'verify',
    title: 'else with none: what is refused already would show nothing',
    s: snapshot({
      asks: [{ hash: 'bad', ask: buildAsk() }],
      record: withGenerations(rotating('Created'), { proofs: badAsk }),
    }),
    action: { type: 'Prove', hash: '', ask: { scopes: [], audiences: [], maxLifetime: 15 * minute } },
  },
  {
    row: 'verify',
    title: 'or with one that was refused some minutes ago',
    s: snapshot({
      asks: [{ hash: 'bad', ask: buildAsk() }],
      record: withGenerations(rotating('Created'), { proofs: badAsk }),
    }),
    now: plus(noon, 5 * minute),
    action: { type: 'Prove', hash: 'bad' },
  },
  {
    row: 'verify',
    title: 'more asks than proofs are remembered: one that was forgotten does not count as never tried',
    s: snapshot({
      asks: Array.from({ length: 300 }, (_, i) => ({ hash: hashOf(i), ask: buildAsk() })),
      record: withGenerations(rotating('Created'), {
        proofs: Object.fromEntries(Array.from({ length: 256 }, (_, i) => [hashOf(i), badAsk.bad])),
      }),
    }),
    action: { type: 'Prove', hash: '' },
  },
  {
    row: 'verify',
    title: 'without any ask too',
    s: snapshot({ record: withGenerations([g({ state: 'Created' })]) }),
    action: { type: 'Prove', hash: '' },
    lane: lanes.NewPod,
  },
  {
    row: 'verify',
    title: 'without any ask, an existing client: its provider may take no request without a scope',
    s: snapshot({
      ...wanting({ existing: { clientId: 'theirs' }, scopes: ['a', 'b'], audiences: ['https://one', 'https://two'] }),
      existing: handed('one'),
      record: external([theirOne({ state: 'Created' })]),
    }),
    action: { type: 'Prove', hash: '', ask: { scopes: ['a'], audiences: ['https://one'], maxLifetime: 15 * minute } },
    lane: lanes.NewPod,
  },
  {
    row: 'verify',
    title: 'again while the provider takes it over',
    s: snapshot({
      ...able({ credentialPropagation: minute }),
      record: withGenerations([g({ state: 'Created', refusedAt: noon })]),
    }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove' },
  },
  {
    row: 'not-accepted',
    title: 'Created: within credentialPropagation it waits',
    s: snapshot({
      ...able({ credentialPropagation: minute }),
      record: withGenerations([g({ state: 'Created', refusedAt: noon })]),
    }),
    reason: 'CredentialUnverified',
    recheckAt: plus(noon, 5 * second),
  },
  {
    row: 'verify',
    title: 'a first credential gets two minutes, whatever the profile says: another registration is no remedy',
    s: snapshot({ record: withGenerations([g({ state: 'Created', refusedAt: plus(noon, 110 * second) })]) }),
    now: plus(noon, 115 * second),
    action: { type: 'Prove' },
  },
  {
    row: 'not-accepted',
    title: 'Created, the first one: then it is given up',
    s: snapshot({ record: withGenerations([g({ state: 'Created', refusedAt: plus(noon, 2 * minute) })]) }),
    now: plus(noon, 2 * minute),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'verify',
    title:
      'a provider may need longer than its profile knows: each one that was given up doubles the patience with the next',
    s: snapshot({
      ...able({ credentialPropagation: 10 * second }),
      record: withGenerations(rotating('Created', { refusedAt: plus(noon, 30 * second) }), {
        rollbacks: { count: 2, at: noon },
      }),
    }),
    now: plus(noon, 35 * second),
    action: { type: 'Prove', generation: 2 },
  },
  {
    row: 'not-accepted',
    title: 'one that was given less authenticates: it gets no more time than the profile says',
    s: snapshot({
      ...able({ credentialPropagation: 10 * second }),
      record: withGenerations(rotating('Created', { refusedAt: plus(noon, 10 * second), lacks: 'a' }), {
        rollbacks: givenLess,
      }),
    }),
    now: plus(noon, 15 * second),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },
  ...(
    [
      ['the same is asked again', 'h2', { h1: accepted }, 'h2'],
      ['nobody asks for that any more', 'h3', { h1: accepted }, 'h1'],
      ['the provider refuses that for an unknown reason', 'h2', { h1: accepted, h2: refusedAsk }, 'h1'],
    ] as const
  ).map(([title, lacksAsk, proofs, hash]) => ({
    row: 'verify',
    title: `a new client was given less: ${title}`,
    s: snapshot({
      ...able({ credentialPropagation: 10 * second }),
      asks: [...asks, { hash: 'h2', ask: buildAsk() }],
      record: withGenerations(rotating('Created', { refusedAt: noon, lacks: 'a', lacksAsk }), { proofs }),
    }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove' as const, generation: 2, hash },
  })),
  {
    row: 'not-accepted',
    title: 'Created: rolled back',
    s: snapshot({ record: withGenerations(rotating('Created', { refusedAt: noon })) }),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },
  {
    row: 'not-accepted',
    title: 'Created: something else than a refusal keeps it from being proven for an hour, so it is given up',
    s: snapshot({ ...failed('verify'), record: withGenerations(rotating('Created')) }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },
  ...(
    [
      ['settled', 'for less than an hour', {}, rotating('Created'), plus(noon, hour - 1), 'CredentialCurrent'],
      [
        'outage',
        'and nobody gets a token from that issuer',
        { outage: true },
        rotating('Created'),
        plus(noon, hour),
        'ProviderUnavailable',
      ],
      ['settled', 'the first one', {}, [g({ state: 'Created' })], plus(noon, hour), 'InProgress'],
    ] as const
  ).map(([row, title, more, generations, now, reason]) => ({
    row,
    title: `Created: ${title}, so it stays`,
    s: snapshot({ ...failed('verify'), ...more, record: withGenerations(generations) }),
    now,
    reason,
    ...(row === 'outage' ? { action: { type: 'Prove' as const } } : {}),
  })),
  {
    row: 'settled',
    title: 'Created: in place of one that may be dead by now, so it stays',
    s: snapshot({ ...failed('verify'), record: withGenerations(rotating('Created'), { variant: 'InPlace' }) }),
    now: plus(noon, 2 * hour),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title:
      'Current: refused once, which may be a mishap on the way: it is asked again a moment later, and replaced by nothing',
    s: snapshot({ record: withGenerations([g({ refusedAt: noon })]) }),
    now: plus(noon, second),
    reason: 'CredentialRefused',
    recheckAt: plus(noon, 5 * second),
  },
  {
    row: 'not-accepted',
    title: 'Current: refused once, so it is proven',
    s: snapshot({ record: withGenerations([g({ refusedAt: noon })]) }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove', settles: 'Verify' },
  },
  {
    row: 'not-accepted',
    title: 'Current: is the client there?',
    s: snapshot({ record: withGenerations([g({ refusedAt: plus(noon, 1), refusedAgain: true })]) }),
    now: plus(noon, 1),
    action: { type: 'Observe' },
  },
  {
    row: 'not-accepted',
    title: 'Current: gone, a new client is allowed',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ allowSubjectChange: true }),
      record: withGenerations([g({ ...refusedTwice })], { observed: { is: 'Gone', at: noon, drift: [] } }),
    }),
    action: { type: 'Plan', variant: 'NewClient' },
  },
  {
    row: 'not-accepted',
    title: 'Current: gone while the one before drains, at a provider that offers more for clients that are there',
    s: snapshot({
      ...wanting({ allowSubjectChange: true }),
      record: withGenerations([g({ state: 'Draining', retireAfter: plus(noon, hour) }), g({ n: 2, ...refusedTwice })], {
        observed: { is: 'Gone', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Plan', generation: 3, variant: 'NewClient' },
  },
  {
    row: 'not-accepted',
    title: 'Current and the management token are refused: as good as gone',
    s: snapshot({
      ...wanting({ allowSubjectChange: true }),
      record: withGenerations([g({ ...refusedTwice })], {
        ...late,
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Plan', variant: 'NewClient' },
    reason: 'ClientGone',
  },
  {
    row: 'retire',
    title: 'a new client took the place of one that nobody can manage any more: is that one gone?',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      record: withGenerations([g({ state: 'Retiring', clientId: 'before' }), g({ n: 2 })], late),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'settled',
    title: 'but that its secret is refused once it has expired shows nothing: a person is waited for',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      record: withGenerations(
        [
          g({
            state: 'Retiring',
            clientId: 'before',
            credential: expired,
          }),
          g({ n: 2 }),
        ],
        late,
      ),
    }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'retire',
    title: 'nor once the token was refused that was to delete it: it stays known',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      record: withGenerations(
        [g({ state: 'Retiring', clientId: 'before', removedAt: noon, credential: expired }), g({ n: 2 })],
        late,
      ),
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },
  {
    row: 'retire',
    title: "an administrator's token is refused too: gone, as far as anybody can know",
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      managementFallback: true,
      record: withGenerations(
        [g({ state: 'Retiring', clientId: 'before', removedAt: noon, credential: expired }), g({ n: 2 })],
        late,
      ),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'retire',
    title: 'an expired secret of a client that mints on: no more than the secret has to go',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', removedAt: noon, credential: expired }), g({ n: 2 })], late),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'abandoned',
    title: 'planned for a client that is gone: given up',
    s: snapshot({
      record: withGenerations([g({ ...refusedTwice }), g({ n: 2, state: 'Planned' })], {
        observed: { is: 'Gone', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'retire',
    title: 'the client is as good as gone, and so is what was to be taken out: proven',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring' }), g({ n: 2, ...refusedTwice })], late),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'not-accepted',
    title: 'Current: gone, tried again every five minutes',
    s: snapshot({
      record: withGenerations([g({ ...refusedTwice })], { observed: { is: 'Gone', at: noon, drift: [] } }),
    }),
    now: plus(noon, 5 * minute),
    action: { type: 'Prove', settles: 'Verify' },
    reason: 'ClientGone',
  },
  {
    row: 'drained',
    title: 'overlap over, no token left, clocks agree',
    s: snapshot({ record: withGenerations(drainingAndCurrent) }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },
  {
    row: 'stopped',
    title: 'what is drained goes on its way, and the Current that is gone meanwhile is not replaced',
    s: snapshot({
      ...stop,
      ...wanting({ allowSubjectChange: true }),
      record: withGenerations([g({ state: 'Draining' }), g({ n: 2, ...refusedTwice })], {
        observed: { is: 'Gone', at: noon, drift: [] },
      }),
    }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },
  {
    row: 'stopped',
    title: 'nor is a new client registered that was planned before the stop',
    s: snapshot({
      ...stop,
      record: withGenerations(
        [g({ state: 'Draining' }), g({ n: 2 }), g({ n: 3, state: 'Planned', clientId: 'ci-1-3' })],
        { variant: 'NewClient' },
      ),
    }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Retiring', 'Current', 'Planned'],
  },
  {
    row: 'retire',
    title: 'Update without it',
    s: snapshot({ record: withGenerations(retiringAndCurrent) }),
    action: { type: 'Update', generation: 1, without: 1 },
    lane: lanes.CleanUp,
  },
  {
    row: 'retire',
    title: 'not behind others where its tokens are revoked',
    s: snapshot({
      record: withGenerations(retiringAndCurrent, { revoking: { id: 'r1', since: noon } }),
      revokedTokens: 1,
    }),
    action: { type: 'Update', generation: 1, without: 1 },
    lane: lanes.Routine,
  },
  {
    row: 'stopped',
    title: 'what is retiring goes',
    s: snapshot({ ...stop, record: withGenerations(retiringAndCurrent) }),
    action: { type: 'Update', generation: 1, without: 1 },
  },
  {
    row: 'retire',
    title: 'NewClient: a look at whose the old client is, which a look at the new one does not tell',
    s: snapshot({ record: oldAndNew() }),
    action: { type: 'Observe', generation: 1 },
    lane: lanes.CleanUp,
  },
  {
    row: 'retire',
    title: 'NewClient: Deregister',
    s: snapshot({ record: oldAndNew({ lookedAt: plus(noon, -30 * second) }) }),
    action: { type: 'Deregister', generation: 1 },
    lane: lanes.Renew,
  },
  {
    row: 'retire',
    title: 'NewClient: that look was a minute ago',
    s: snapshot({ record: oldAndNew({ lookedAt: plus(noon, -minute) }) }),
    action: { type: 'Observe', generation: 1 },
  },
  {
    row: 'retire',
    title: "NewClient: somebody else's client stays",
    s: snapshot({ record: lookedAt(oldAndNew(), 1, { is: 'Present', at: noon, drift: [], tag: 'other/one' }) }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'unwanted',
    title: 'of two clients each is looked at before it is deleted',
    s: snapshot({
      wanted: { is: 'Gone' },
      record: withGenerations(
        [g({ state: 'Retiring', clientId: 'old' }), g({ n: 2, state: 'Retiring', retireAfter: plus(noon, hour) })],
        {
          variant: 'NewClient',
        },
      ),
    }),
    action: { type: 'Observe', generation: 1 },
  },
  {
    row: 'retire',
    title: 'a rolled back first client: Deregister',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', refusedAt: noon })], { rollbacks: { count: 1, at: noon } }),
    }),
    action: { type: 'Deregister' },
  },
  {
    row: 'retire',
    title: 'a client that was registered without a secret is there all the same: Deregister',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', credential: { type: 'ClientSecretBasic' } })]),
    }),
    action: { type: 'Deregister', generation: 1 },
  },
  {
    row: 'retire',
    title: 'removed: its credential must be refused',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', removedAt: noon }), g({ n: 2 })]) }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'retire',
    title: 'External: calls nothing',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', source: 'one' }), g({ n: 2, source: 'two' })], {
        variant: 'External',
      }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'settled',
    title: 'taken out and still there: looked at when the pause is over',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', retireAfter: plus(noon, minute) }), g({ n: 2 })]) }),
    reason: 'Draining',
    recheckAt: plus(noon, minute),
  },
  {
    row: 'retire',
    title: 'InPlace: the new secret replaced it',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring' }), g({ n: 2 })], { variant: 'InPlace' }) }),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },

  { row: 'stale', title: 'last look over a day ago', s: snapshot(), now: plus(noon, day), action: { type: 'Observe' } },
  {
    row: 'stale',
    title: 'gone, says somebody, and its credential works: looked at again within minutes',
    s: snapshot({ record: record({ observed: { is: 'Gone', at: noon, drift: [] } }) }),
    now: plus(noon, 6 * minute),
    action: { type: 'Observe' },
  },
  {
    row: 'acknowledged',
    title: 'a person has dealt with what lost registrations may have left',
    s: snapshot({ record: record({ possibleOrphans: 2, acknowledgedOrphans: 1 }), orphansAcknowledged: true }),
    action: { type: 'Record' },
    stored: { possibleOrphans: 2, acknowledgedOrphans: 2 },
  },
  {
    row: 'settled',
    title: 'and says so once',
    s: snapshot({ record: record({ possibleOrphans: 2, acknowledgedOrphans: 2 }), orphansAcknowledged: true }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'stale',
    title: 'drift: Update, before the looks of others: it rests on one that counts for a minute',
    s: snapshot({
      record: record({
        updatedAt: plus(noon, -1),
        observed: { is: 'Present', at: noon, drift: ['scope'], tag: tagText(record().tag) },
      }),
    }),
    action: { type: 'Update', generation: 1 },
    lane: lanes.Renew,
  },
  {
    row: 'stale',
    title: 'drift beside what the provider makes of the client by itself: Update',
    s: snapshot({
      record: record({
        updatedAt: plus(noon, -1),
        observed: { is: 'Present', at: noon, drift: ['grantTypes'], driftDigest: 'more' },
        ownDrift: 'own',
      }),
    }),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'stale',
    title: 'an Update that was to repair is looked after',
    s: snapshot({ record: record({ updatedAt: noon, repairing: true }) }),
    action: { type: 'Observe' },
  },
  {
    row: 'settled',
    title: 'what the provider made of the last Update is not sent again',
    s: snapshot({
      record: record({
        updatedAt: plus(noon, -day),
        observed: { is: 'Present', at: noon, drift: ['grantTypes'], driftDigest: 'own' },
        ownDrift: 'own',
      }),
    }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'stale',
    title: 'nothing is changed at the provider on the strength of an old look',
    s: snapshot(wanting({ scopes: ['a', 'b'] })),
    now: plus(noon, 5 * minute),
    action: { type: 'Observe' },
  },
  {
    row: 'noted',
    title: 'Retain is remembered for a pool that vanishes',
    s: snapshot(wanting({ deletionPolicy: 'Retain' })),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'handed-in',
    title: 'a registration access token in place of the lost one',
    s: snapshot({ record: record(late), handedIn: { token: new Redacted('new'), digest: 'd1' } }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'settled',
    title: 'the same one a second time is no news',
    s: snapshot({
      record: record({ ...late, handedIn: 'd1' }),
      handedIn: { token: new Redacted('new'), digest: 'd1' },
    }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'stale',
    title: 'spec edited: Update',
    s: snapshot(wanting({ scopes: ['a', 'b'] })),
    action: { type: 'Update', generation: 1 },
  },
  ...(
    [
      ['stale', 'inside the window', { window: { is: 'Open', since: noon, length: hour } }],
      ['stale', 'where no window is declared: nobody has said when', {}],
      ['settled', 'outside of the window it waits', { window: closed }],
      ['settled', 'as it does in a time zone that nobody knows', { window: { is: 'Unusable', timeZone: 'X' } }],
    ] as const
  ).map(([row, title, window]) => ({
    row,
    title: `a wider ceiling where each change costs the client its secret: ${title}`,
    s: snapshot({
      ...able({ variants: ['TwoKeys', 'NewClient', 'InPlace'] }),
      ...wanting({ authentication: 'ClientSecretBasic', scopes: ['artifacts:publish', 'more'] }),
      ...window,
      record: withSecret(),
    }),
    ...(row === 'stale'
      ? { action: { type: 'Update' as const, generation: 1 } }
      : { reason: 'CredentialCurrent' as const }),
  })),
  ...(
    [
      ['stale', 'a narrower ceiling', { scopes: ['less'] }, {}],
      ['stale', 'a carrier scope less', {}, { sentCarriers: ['aud-old'] }],
      ['stale', 'more at the provider than is wanted', {}, { observed: { ...drifted, excess: true } }],
      ['stale', 'of a record of an older version nobody knows what was sent', { name: 'x' }, { sentScopes: undefined }],
      ['settled', 'another name, or less than is wanted, waits', {}, { observed: drifted }],
    ] as const
  ).map(([row, title, wanted, rest]) => ({
    row,
    title: `what takes rights away waits for no window, also where the change costs the client its secret: ${title}`,
    s: snapshot({
      ...able({ variants: ['TwoKeys', 'NewClient', 'InPlace'] }),
      ...wanting({ authentication: 'ClientSecretBasic', ...wanted }),
      window: closed,
      record: withSecret(rest),
    }),
    ...(row === 'stale'
      ? { action: { type: 'Update' as const, generation: 1 } }
      : { reason: 'CredentialCurrent' as const }),
  })),
  {
    row: 'settled',
    title: 'a change that waits for the window is looked at when that opens',
    s: snapshot({
      ...able({ variants: ['InPlace'] }),
      ...wanting({ authentication: 'ClientSecretBasic', scopes: ['artifacts:publish', 'more'] }),
      window: { ...closed, opensAt: plus(noon, hour) },
      record: withSecret(),
    }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, hour),
  },
  {
    row: 'stale',
    title: 'keys outlive each change, so it waits for no window, whatever the provider does to secrets',
    s: snapshot({
      ...able({ variants: ['TwoKeys', 'NewClient', 'InPlace'] }),
      ...wanting({ scopes: ['artifacts:publish', 'more'] }),
      window: closed,
    }),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'stale',
    title: 'another scope carries the audience: Update',
    s: snapshot({ ...wanting({ carriers: ['aud-new'] }), record: record({ sentCarriers: ['aud-old'] }) }),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'settled',
    title: 'after an upgrade nothing is sent again: which scopes carry audiences the old version did not note',
    s: snapshot({ ...wanting({ carriers: ['aud-old'] }), record: omit(record(), 'sentCarriers') }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'nothing-given',
    title: 'the provider refuses every scope of a client that it was sent: part of that may be lost, which is noted',
    s: snapshot({ asks, record: nothing() }),
    now: plus(noon, 2),
    action: { type: 'Record' },
    stored: { nothingGiven: plus(noon, 2) },
  },
  {
    row: 'nothing-given',
    title: 'also where it was changed long after its credential came to work',
    s: snapshot({ asks, record: nothing({ generations: [g({ since: plus(noon, -day) })] }) }),
    now: plus(noon, 2),
    action: { type: 'Record' },
  },
  {
    row: 'stale',
    title: 'so it is sent once more',
    s: snapshot({ asks, record: nothing({ nothingGiven: plus(noon, 2) }) }),
    now: plus(noon, 3),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'stale',
    title: 'after a look, whose client it is',
    s: snapshot({
      asks,
      record: nothing({ nothingGiven: plus(noon, 2), observed: { ...drifted, drift: [], at: plus(noon, -hour) } }),
    }),
    now: plus(noon, 3),
    action: { type: 'Observe' },
  },
  ...(
    [
      ['and only once', { record: nothing({ nothingGiven: plus(noon, -1) }) }, 'CredentialCurrent'],
      [
        'not as long as a clock that went ahead says so',
        { record: nothing({ nothingGiven: plus(noon, hour) }) },
        'CredentialCurrent',
      ],
      [
        'not for a refusal of anything else',
        { record: nothing({}, { reason: 'LifetimeTooLong' }) },
        'CredentialCurrent',
      ],
      ['not a client of somebody else', { record: nothing({ observed: other }) }, 'ClientForeign'],
      [
        'nor one that is an administrator’s',
        { ...theirs, existing: handed('one'), record: external([theirOne()], { proofs: nothing().proofs }) },
        'CredentialCurrent',
      ],
      ['nor one that cannot be changed', { record: nothing(late) }, 'RegistrationAccessTokenLost'],
    ] as const
  ).map(([title, more, reason]) => ({
    row: 'settled',
    title: `sent once more because nothing is given: ${title}`,
    s: snapshot({ asks, ...more }),
    now: plus(noon, 2),
    reason,
  })),
  {
    row: 'proof',
    title: 'sent once more because nothing is given: not for a refusal that is older than what was sent',
    s: snapshot({ asks, record: nothing({}, { at: plus(noon, -1) }) }),
    now: plus(noon, 2),
    action: { type: 'Prove' },
  },
  {
    row: 'settled',
    title: 'sent once more because nothing is given: not where another ask is given, for the registration arrived',
    s: snapshot({
      asks: [...asks, { hash: 'h2', ask: buildAsk({ scopes: ['artifacts:read'] }) }],
      record: nothing({}, {}, { h2: { outcome: 'Accepted', at: noon, generation: 1 } }),
    }),
    now: plus(noon, 2),
    reason: 'CredentialCurrent',
  },
  {
    row: 'proof',
    title: 'sent once more because nothing is given: not before every ask was tried',
    s: snapshot({ asks: [...asks, { hash: 'h2', ask: buildAsk({ scopes: ['artifacts:read'] }) }], record: nothing() }),
    now: plus(noon, 2),
    action: { type: 'Prove', hash: 'h2' },
  },
  {
    row: 'proof',
    title: 'an ask of some identity was never tried',
    s: snapshot({ asks }),
    action: { type: 'Prove', settles: 'Ask', hash: 'h1' },
    lane: lanes.Routine,
  },
  {
    row: 'proof',
    title: 'a refusal is tried again after five minutes, because nobody tells us when the provider was put right',
    s: snapshot({ asks, record: record({ proofs: { h1: { outcome: 'Refused', at: noon, generation: 1 } } }) }),
    now: plus(noon, 5 * minute),
    action: { type: 'Prove' },
  },
  {
    row: 'settled',
    title: 'and not before',
    s: snapshot({ asks, record: record({ proofs: { h1: { outcome: 'Refused', at: noon, generation: 1 } } }) }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'retry',
    title: 'somebody asks for another try: that is noted first',
    s: snapshot({ asks, ...retrying, record: record({ proofs: { h1: refusedAtNoon } }) }),
    now: plus(noon, minute),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: plus(noon, minute) } },
  },
  {
    row: 'retry',
    title: 'likewise where the credential is refused, after an earlier try',
    s: snapshot({
      ...retrying,
      record: withGenerations([g({ refusedAt: noon })], { retried: { id: 'r1', at: noon } }),
    }),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: noon } },
  },
  {
    row: 'retry',
    title: 'and where new credentials did not come to work',
    s: snapshot({ ...retrying, record: record({ rollbacks: { count: 1, at: noon } }) }),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: noon } },
  },
  {
    row: 'settled',
    title: 'where nothing is refused there is nothing to try again',
    s: snapshot({ ...retrying, ...proven }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'proof',
    title: 'asked for after the refusal: at once',
    s: snapshot({ asks, ...retrying, record: record({ proofs: { h1: refusedAtNoon }, ...retriedAt(plus(noon, 1)) }) }),
    now: plus(noon, 1),
    action: { type: 'Prove', hash: 'h1' },
  },
  {
    row: 'settled',
    title: 'refused again: the same request counts once',
    s: snapshot({ asks, ...retrying, record: record({ proofs: { h1: refusedAtNoon }, ...retriedAt(plus(noon, -1)) }) }),
    now: plus(noon, 1),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'the clock was set back: a try that is still to come makes none of now',
    s: snapshot({
      asks,
      ...retrying,
      record: record({ proofs: { h1: refusedAtNoon }, ...retriedAt(plus(noon, hour)) }),
    }),
    now: plus(noon, 1),
    reason: 'CredentialCurrent',
  },
  {
    row: 'stale',
    title:
      'the clock was set back by a day: a look that is still to come shows nothing, so there is another one before an Update',
    s: snapshot({ record: record({ observed: { ...sound, drift: ['scope'], at: plus(noon, day) } }) }),
    action: { type: 'Observe' },
  },
  {
    row: 'unwanted',
    title: 'nor does it before a removal',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring' })], { observed: { ...sound, at: plus(noon, day) } }),
    }),
    action: { type: 'Observe' },
  },
  {
    row: 'proof',
    title: 'and what will be refused in a day is tried again',
    s: snapshot({ asks, record: record({ proofs: { h1: { ...refusedAtNoon, at: plus(noon, day) } } }) }),
    action: { type: 'Prove', hash: 'h1' },
  },
  {
    row: 'again',
    title: 'and no pause begins in a day',
    s: snapshot({ record: withGenerations([g()], { highest: 2, rollbacks: { count: 2, at: plus(noon, day) } }) }),
    action: { type: 'Plan', generation: 3 },
  },
  {
    row: 'not-accepted',
    title: 'and what will be refused once more in a day is tried again',
    s: snapshot({
      record: withGenerations([g({ refusedAt: plus(noon, day) })]),
    }),
    action: { type: 'Prove', settles: 'Verify' },
  },
  {
    row: 'not-accepted',
    title: 'a refused credential is tried at once when somebody asks for it',
    s: snapshot({
      ...retrying,
      record: withGenerations([g({ ...refusedTwice })], {
        observed: { is: 'Gone', at: plus(noon, 1), drift: [] },
        ...retriedAt(plus(noon, 1)),
      }),
    }),
    now: plus(noon, 2),
    action: { type: 'Prove', settles: 'Verify' },
  },
  {
    row: 'again',
    title: 'the pause after a new credential that did not come to work ends when somebody asks for it',
    s: snapshot({
      ...retrying,
      record: withGenerations([g()], { highest: 2, rollbacks: { count: 2, at: noon }, ...retriedAt(plus(noon, 1)) }),
    }),
    now: plus(noon, 2),
    action: { type: 'Plan', generation: 3 },
  },
  {
    row: 'verify',
    title: 'and a new credential is tried with an ask whose refusal somebody wants to have tried again',
    s: snapshot({
      asks,
      ...retrying,
      record: withGenerations(rotating('Created'), { proofs: { h1: refusedAtNoon }, ...retriedAt(plus(noon, 1)) }),
    }),
    now: plus(noon, 2),
    action: { type: 'Prove', hash: 'h1' },
  },
  {
    row: 'proof',
    title: 'and when the client was changed',
    s: snapshot({
      asks,
      record: record({ proofs: { h1: { outcome: 'Refused', at: plus(noon, -1), generation: 1 } } }),
    }),
    action: { type: 'Prove' },
  },
  {
    row: 'proof',
    title: 'what was given to the client before it is asked of the new one',
    s: snapshot({
      asks,
      record: record({
        variant: 'NewClient',
        generations: [g({ n: 2 })],
        proofs: { h1: { outcome: 'Accepted', at: noon, generation: 1 } },
      }),
    }),
    action: { type: 'Prove', generation: 2, hash: 'h1' },
  },
  {
    row: 'proof',
    title: 'a failing retire does not keep it',
    s: snapshot({ asks, ...failed('retire'), record: withGenerations(retiringAndCurrent) }),
    action: { type: 'Prove' },
  },
  {
    row: 'proof',
    title: 'nor does a failing retire together with an Update that fails',
    s: snapshot({
      asks,
      ...wanting({ scopes: ['artifacts:publish', 'refused:scope'] }),
      failure: {
        row: 'retire',
        reason: 'RegistrationRefused',
        message: 'x',
        at: noon,
        terminal: true,
        others: ['stale'],
      },
      record: withGenerations(retiringAndCurrent),
    }),
    action: { type: 'Prove' },
  },

  {
    row: 'outage',
    title: 'nobody gets a token of this issuer, so it is tried whether that is over; whoever needs one goes first',
    s: snapshot({ ...proven, outage: true }),
    action: { type: 'Prove', settles: 'Ask', hash: 'h1' },
    lane: lanes.Routine,
  },
  {
    row: 'outage',
    title: 'nor does this client alone, whatever others get',
    s: snapshot({ ...proven, failing: true }),
    action: { type: 'Prove', settles: 'Ask', hash: 'h1' },
    lane: lanes.Routine,
  },
  {
    row: 'not-accepted',
    title: 'which keeps no new credential that is never proven',
    s: snapshot({ ...failed('verify'), failing: true, record: withGenerations(rotating('Created')) }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },
  {
    row: 'stopped',
    title: 'a pool that is stopped looks out for nothing',
    s: snapshot({ ...proven, ...stop, outage: true, failing: true }),
    reason: 'Suspended',
  },

  {
    row: 'settled',
    title: 'a working client',
    s: snapshot(proven),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, day),
  },
  {
    row: 'settled',
    title: 'no rotation outside the window',
    s: snapshot({
      window: closed,
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
  },
  {
    row: 'settled',
    title: 'missed by a while: it waits for its turn, and looks again then',
    s: snapshot({
      jitter: 0.5,
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
    recheckAt: plus(noon, 90 * day + 30 * minute),
  },
  {
    row: 'settled',
    title: 'due while the window is closed: looks again when it opens',
    s: snapshot({
      window: { is: 'Closed', opensAt: plus(noon, 90 * day + 2 * hour), length: hour },
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
    recheckAt: plus(noon, 90 * day + 2 * hour),
  },
  {
    row: 'settled',
    title: 'a window in a time zone that is not known: nothing by schedule',
    s: snapshot({
      window: { is: 'Unusable', timeZone: 'Europe/Berln' },
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
  },
  {
    row: 'settled',
    title: 'in place only inside a window that is declared',
    s: snapshot({
      ...able({ variants: ['InPlace'] }),
      ...wanting({ authentication: 'ClientSecretPost', rotateRequest: 'r1' }),
      record: record({
        generations: [g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') } })],
        sent: metadataDigest(buildDesired({ authentication: 'ClientSecretPost' })),
      }),
    }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'a request that stands in Git for years is not carried out again',
    s: snapshot({ ...wanting({ rotateRequest: 'r1' }), record: record({ handled: ['Rotate r1', 'r2'] }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'what an emergency did counts for each of its requests alone',
    s: snapshot({ ...wanting({ rotateRequest: 'r1' }), record: record({ handled: ['r1'] }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'never a silent break',
    s: snapshot({ ...able({ variants: ['NewClient', 'InPlace'] }), ...wanting({ rotateRequest: 'r1' }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'no rotation without a management token',
    s: snapshot({ ...wanting({ rotateRequest: 'r1' }), record: record(late) }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'settled',
    title: 'clocks disagree: nothing is retired',
    s: snapshot({ clockAgrees: false, record: withGenerations(drainingAndCurrent) }),
    now: plus(noon, hour),
    reason: 'ClockUnsure',
  },
  {
    row: 'settled',
    title: 'a token of the old one is left',
    s: snapshot({ lastExp: new Map([[1, plus(noon, 2 * hour)]]), record: withGenerations(drainingAndCurrent) }),
    now: plus(noon, hour),
    reason: 'Draining',
  },
  {
    row: 'settled',
    title: "somebody else's client: nothing is touched",
    s: snapshot({ record: record({ observed: other, updatedAt: plus(noon, -1), sent: 'x' }) }),
    reason: 'ClientForeign',
  },
  {
    row: 'settled',
    title: 'answer too late: Retiring stays, visible',
    s: snapshot({ record: withGenerations(retiringAndCurrent, late) }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'settled',
    title: 'provider without clients (None)',
    s: { ...none, ...able({ variants: ['None'] }) },
    reason: 'Settled',
  },
];

const statesAfter = ({ next }: Extract<ClientAction, { type: 'Record' }>): Case['next'] =>
  next === undefined ? 'gone' : next.generations.map(({ state }) => state);

for (const c of cases) {
  test(`${c.row}: ${c.title}`, (t) => {
    const decision: Decision<ClientAction> = decideClient(c.s, c.now ?? noon);
    t.is(decision.row, c.row);
    const { action } = decision;
    t.is(action?.type, c.action?.type);
    t.true(c.action !== undefined || c.reason !== undefined, 'a case without an action says why there is none');
    if (c.action !== undefined) t.like(action, c.action);
    if (action !== undefined) t.truthy(decision.work, 'every action says its lane');
    if (c.reason !== undefined) t.is(decision.reason, c.reason);
    if (c.lane !== undefined) t.is(decision.work?.lane, c.lane);
    if (c.recheckAt !== undefined) t.is(decision.recheckAt, c.recheckAt);
    if (c.stored !== undefined) t.like(action?.type === 'Record' ? action.next : undefined, c.stored);
    if (c.next !== undefined) t.deepEqual(action?.type === 'Record' ? statesAfter(action) : undefined, c.next);
  });
}

/** In the order in which they are asked. */
const expectedRows = [
  'lost-lease',
  'unknown',
  'damaged',
  'clock-set-back',
  'revocation',
  'restored',
  'handed-in',
  'retry',
  'open-intent',
  'answer-too-late',
  'unwanted',
  'emergency',
  'stopped',
  'first',
  'wanted-again',
  'replaced',
  'asked',
  'expiring-soon', // before those that wait for a window or a turn
  'due',
  'expiring',
  'method-changed',
  'again',
  'refused',
  'abandoned',
  'create',
  'verify',
  'not-accepted',
  'drained',
  'retire',
  'noted',
  'acknowledged',
  'nothing-given',
  'stale',
  'proof',
  'outage', // the pool would say so until somebody asks for a token
  'settled', // nothing to do
] as const;

tableTests(clientRows, expectedRows, cases);

test('what spends a budget of the issuer says which, and nothing else does', (t) => {
  for (const c of cases) {
    const { action, work } = decideClient(c.s, c.now ?? noon);
    if (action === undefined) continue;
    const byAction = {
      Prove: 'tokens',
      Record: undefined,
      // A used-up initial access token must not keep others from being rotated and deleted.
      Register: 'registrations',
      Plan: work?.lane === lanes.Routine ? 'plans' : undefined,
    };
    const resource = action.type in byAction ? byAction[action.type as keyof typeof byAction] : 'clients';
    t.is(work?.resource, resource && `${issuer}/${resource}`, c.title);
    t.is(work?.group, 'ci-bots');
    t.is(work?.party, resource === 'tokens' ? clientRecordName('pool-uid', '', '') : undefined);
  }
});

test('the share of a client is its pool’s, and of that its namespace’s', (t) => {
  for (const [namespace, share] of [
    [undefined, { group: 'ci-bots' }],
    ['ci-payments', { group: 'ci-bots', member: 'ci-payments' }],
  ] as const) {
    const own = namespace === undefined ? {} : { namespace };
    for (const s of [{ ...none, ...wanting(own) }, snapshot({ record: record({ ...own, sent: 'before' }) })]) {
      const { work } = decideClient(s, noon);
      t.like(work, share);
      t.is(work?.member, namespace);
    }
  }
});

test('an emergency, in the middle of which somebody revoked, owes its rotation when nothing can replace the credential', (t) => {
  const wanted = wanting({ rotateRequest: 'e1', revokeRequest: 'r1' });
  const emergency = { emergency: 2, revoking: { id: 'e1', since: noon }, handled: ['e1'], observed: other };
  let kept: ClientRecord | undefined = withGenerations(rotating('Planned'), emergency);
  for (const row of ['revocation', 'emergency'] as const) {
    const decision = decideClient(snapshot({ ...wanted, record: kept }), noon);
    t.is(decision.row, row);
    kept = decision.action?.type === 'Record' ? decision.action.next : undefined;
    if (kept === undefined) return t.fail();
  }
  t.deepEqual(kept.handled, ['Revoke e1', 'Revoke r1']);
  t.deepEqual(openRequests(kept, buildDesired({ rotateRequest: 'e1', revokeRequest: 'r1' })), [
    { kind: 'Rotate', id: 'e1' },
  ]);
});

test('a decision is the same however often it is made, and a recheck lies ahead', (t) => {
  for (const c of cases) {
    const now = c.now ?? noon;
    const decision = decideClient(c.s, now);
    t.deepEqual(decideClient(c.s, now), decision);
    t.true(decision.recheckAt === undefined || decision.recheckAt > now, c.title);
  }
});

test('of 300 asks each one is proven or left to a pod, once and for all', (t) => {
  const many = Array.from({ length: 300 }, (_, i) => ({ hash: hashOf(i), ask: buildAsk() }));
  let now = plus(noon, minute);
  let s = snapshot({ asks: many });
  for (;;) {
    const { action } = decideClient(s, now);
    if (action?.type !== 'Prove' || s.record === undefined) break;
    const result = { use: action.settles, generation: action.generation, hash: action.hash, overlap: 0 };
    const outcome = { is: 'Accepted' } as const;
    s = snapshot({ asks: many, record: proved(s.record, { ...result, outcome, lastExp: undefined }, now) });
    now = plus(now, 1);
  }
  const { proofs } = s.record!;
  t.is(Object.keys(proofs).length, 256);
  for (const { hash } of many) t.is(proofs[hash] === undefined, !isTriedAhead(s.record!, hash), hash);
});
