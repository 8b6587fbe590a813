import { day, minute, plus, second } from '#src/clock.ts';
import { tagText } from '#src/domain/client/generations.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { lanes } from '#src/domain/lanes.ts';
import { Redacted } from '#src/redacted.ts';
import { noon, omit } from '#test/support/builders.ts';
import {
  able,
  asks,
  g,
  gone,
  late,
  none,
  proven,
  record,
  refusedAtNoon,
  retiringAndCurrent,
  retrying,
  rotating,
  snapshot,
  stop,
  wanting,
  withGenerations,
} from './cases.ts';
import type { Case } from './cases.ts';

const registering = (rest: Partial<ClientRecord> = {}): ClientRecord =>
  omit(
    withGenerations([g({ state: 'Planned' })], { intent: { call: 'Register', generation: 1, at: noon }, ...rest }),
    'management',
    'observed',
    'updatedAt',
    'sent',
  ) as ClientRecord;
const anonymous = [omit(g({ state: 'Planned' }), 'clientId') as Generation];
const secretPlanned = [
  omit(g({ state: 'Planned', credential: { type: 'ClientSecretBasic' } }), 'clientId') as Generation,
];
const takenById = withGenerations(
  [g(), g({ n: 2, state: 'Planned', clientId: 'ci-1-2', credential: { type: 'ClientSecretBasic' } })],
  { variant: 'NewClient', intent: { call: 'Register', generation: 2, at: noon } },
);

export const recoveryCases: readonly Case[] = [
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
  {
    row: 'unknown',
    title: 'a record of a newer format is left alone',
    s: snapshot({ newerFormat: true }),
    reason: 'NewerFormat',
  },
  {
    row: 'unknown',
    title: 'issuer is not configured',
    s: snapshot({ issuerConfigured: false }),
    reason: 'IssuerNotConfigured',
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
    title: 'a record that was deleted or made unreadable by hand is written again as it was',
    s: snapshot({ damaged: true, record: withGenerations(rotating('Created')) }),
    action: { type: 'Record' },
    next: ['Current', 'Created'],
    lane: lanes.Stop,
    reason: 'RecordRestored',
  },
  {
    row: 'damaged',
    title: 'a damaged record is written again also while stopped and while an answer is awaited',
    s: snapshot({
      ...stop,
      damaged: true,
      record: withGenerations([g()], { intent: { call: 'Update', generation: 1, at: noon } }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
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
    title: 'a request to revoke needs no provider to be noted: pods lose the tokens',
    s: snapshot({ ...wanting({ revokeRequest: 'r1' }), issuerConfigured: false }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon },
  },
  {
    row: 'revocation',
    title: 'a request to revoke waits for no call whose answer was lost',
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
    title: 'a request to revoke means what a clock that was a little ahead minted, too',
    s: snapshot({ ...wanting({ revokeRequest: 'e1' }), youngest: plus(noon, 45 * second) }),
    action: { type: 'Record' },
    stored: { revokeBefore: plus(noon, 45 * second + 1) },
  },
  {
    row: 'revocation',
    title: 'a request to revoke does not wait for a person who has a backup to explain',
    s: snapshot({
      record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }),
      ...wanting({ revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon },
    lane: lanes.Stop,
  },
  {
    row: 'revocation',
    title: 'revokeRequest alone revokes and replaces nothing',
    s: snapshot(wanting({ revokeRequest: 'e1' })),
    action: { type: 'Record' },
    reason: 'RevokeRequested',
    next: ['Current'],
    lane: lanes.Stop,
  },
  {
    row: 'revocation',
    title: 'a request to revoke while an emergency is under way: that one stays what is being carried out',
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
    title: 'a client that is ahead of us is not even deleted',
    s: snapshot({ ...gone, record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }) }),
    reason: 'RestoredState',
  },
  {
    row: 'restored',
    title: 'an emergency that cannot go on changes nothing at a provider that is ahead of us',
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
    title: 'a client that is ahead of us is looked at again after a day',
    s: snapshot({ record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 2 } }) }),
    now: plus(noon, day),
    action: { type: 'Observe' },
  },

  {
    row: 'handed-in',
    title: 'a registration access token takes the place of the lost one',
    s: snapshot({ record: record(late), handedIn: { token: new Redacted('new'), digest: 'd1' } }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'settled',
    title: 'the same registration access token a second time is no news',
    s: snapshot({
      record: record({ ...late, handedIn: 'd1' }),
      handedIn: { token: new Redacted('new'), digest: 'd1' },
    }),
    reason: 'RegistrationAccessTokenLost',
  },

  {
    row: 'retry',
    title: 'somebody asks for another try of a refused ask: that is noted first',
    s: snapshot({ asks, ...retrying, record: record({ proofs: { h1: refusedAtNoon } }) }),
    now: plus(noon, minute),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: plus(noon, minute) } },
  },
  {
    row: 'retry',
    title: 'somebody asks for another try of a refused credential, after an earlier one: that is noted first',
    s: snapshot({
      ...retrying,
      record: withGenerations([g({ refusedAt: noon })], { retried: { id: 'r1', at: noon } }),
    }),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: noon } },
  },
  {
    row: 'retry',
    title: 'somebody asks for another try where new credentials did not come to work: that is noted first',
    s: snapshot({ ...retrying, record: record({ rollbacks: { count: 1, at: noon } }) }),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: noon } },
  },
  {
    row: 'settled',
    title: 'somebody asks for another try where nothing is refused: there is nothing to try',
    s: snapshot({ ...retrying, ...proven }),
    reason: 'CredentialCurrent',
  },

  {
    row: 'open-intent',
    title: 'the answer to Register was lost, id by us: the key shows whether it arrived',
    s: snapshot({ record: registering() }),
    action: { type: 'Prove', generation: 1, settles: 'OpenIntent' },
  },
  {
    row: 'open-intent',
    title: 'the answer to Register was lost: the key shows nothing before the provider had its time',
    s: snapshot({ record: registering(), ...able({ credentialPropagation: minute }) }),
    reason: 'InProgress',
    recheckAt: plus(noon, minute),
  },
  {
    row: 'open-intent',
    title:
      'the id was found taken a minute ago: the key shows nothing before the provider had its time for whoever took it',
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
    title: 'the answer to Register was lost, id unknown, key: it is sent again, and an orphan is possible',
    s: snapshot({ record: registering({ generations: anonymous }), ...able({ clientIdBy: 'Provider' }) }),
    action: { type: 'Register', generation: 1, orphanPossible: true },
  },
  {
    row: 'open-intent',
    title: 'the third Register of which nobody heard is given up, and the next one waits',
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
    title: 'a Register was answered with nothing usable: it is given up at once, and the next one waits',
    s: snapshot({
      record: registering({
        generations: anonymous,
        intent: { call: 'Register', generation: 1, at: noon, unusable: '200 without a JSON object' },
      }),
      ...able({ clientIdBy: 'Provider' }),
    }),
    action: { type: 'Record' },
    next: [],
    stored: {
      intent: undefined,
      possibleOrphans: 1,
      rollbacks: { count: 1, at: noon, unusable: '200 without a JSON object' },
    },
    reason: 'OrphanPossible',
  },
  {
    row: 'open-intent',
    title: 'a Register under our own id was answered with nothing usable: the key shows whether it arrived',
    s: snapshot({
      record: registering({ intent: { call: 'Register', generation: 1, at: noon, unusable: '202' } }),
    }),
    action: { type: 'Prove', generation: 1, settles: 'OpenIntent' },
  },
  {
    row: 'open-intent',
    title: 'possible orphans that somebody has dealt with do not count',
    s: snapshot({
      record: registering({ generations: anonymous, possibleOrphans: 3, acknowledgedOrphans: 3 }),
      ...able({ clientIdBy: 'Provider' }),
    }),
    action: { type: 'Register', generation: 1, orphanPossible: true },
  },
  {
    row: 'open-intent',
    title: 'the answer to Register was lost, id unknown, secret: a person must say that it may be sent again',
    s: snapshot({ record: registering({ generations: secretPlanned }), ...able({ clientIdBy: 'Provider' }) }),
    reason: 'CredentialUnverified',
  },
  {
    row: 'open-intent',
    title: 'a request to rotate says that a lost Register may be sent again',
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
    title: 'an emergency says that a lost Register may be sent again, and is not done with it',
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
    row: 'open-intent',
    title: 'the answer to Register was lost, id by us, secret: it is sent again, because a duplicate would be refused',
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
    title: 'the id may be taken by the client whose secret was lost: an emergency gives that one up, too',
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
    title: 'unwanted, and nobody can know whether Register arrived: it leaves an orphan, and is not sent again',
    s: snapshot({ ...gone, record: registering({ generations: anonymous }), ...able({ clientIdBy: 'Provider' }) }),
    action: { type: 'Record' },
    next: ['Planned'],
  },
  {
    row: 'open-intent',
    title: 'the answer to an Update with a new key was lost: the key shows whether it arrived',
    s: snapshot({
      record: withGenerations(rotating('Planned'), { intent: { call: 'Update', generation: 2, at: noon } }),
    }),
    action: { type: 'Prove', generation: 2, settles: 'OpenIntent' },
  },
  {
    row: 'open-intent',
    title: 'the answer to an Update for drift was lost: it is sent again',
    s: snapshot({ record: record({ intent: { call: 'Update', generation: 1, at: noon } }) }),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'open-intent',
    title: 'the answer to an Update without the old key was lost: it is sent again',
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
    title: 'unwanted: whatever became of an Update that took an old credential out, the client goes as a whole',
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
    title: 'unwanted: whatever became of an Update with a new credential, the client goes as a whole',
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
    title: 'the answer to Deregister was lost: it is sent again',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring' })], { intent: { call: 'Deregister', generation: 1, at: noon } }),
    }),
    action: { type: 'Deregister', generation: 1 },
  },
  {
    row: 'open-intent',
    title: 'the method was set back while nobody knows whether the new client was registered: that is found out first',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned', clientId: 'ci-1-2' })], {
        intent: { call: 'Register', generation: 2, at: noon },
      }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
    }),
    action: { type: 'Prove', generation: 2 },
  },

  {
    row: 'answer-too-late',
    title: 'the management token is lost while a key is Planned: the key shows whether it arrived',
    s: snapshot({ record: withGenerations(rotating('Planned'), late) }),
    action: { type: 'Prove', generation: 2, settles: 'OpenIntent' },
  },
  {
    row: 'answer-too-late',
    title: 'the management token is lost while a secret is Planned: the secret came with the answer and is lost, too',
    s: snapshot({ record: withGenerations(rotating('Planned', { credential: { type: 'ClientSecretBasic' } }), late) }),
    action: { type: 'Record' },
    next: ['Current'],
  },
];
