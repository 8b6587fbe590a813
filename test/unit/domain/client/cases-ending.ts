import { day, hour, minute, plus, second } from '#src/clock.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { lanes } from '#src/domain/lanes.ts';
import { Redacted } from '#src/redacted.ts';
import { noon, omit } from '#test/support/builders.ts';
import {
  able,
  closed,
  drainingAndCurrent,
  expired,
  external,
  failed,
  g,
  gone,
  handed,
  inPlace,
  late,
  none,
  other,
  proven,
  record,
  refusedTwice,
  retiringAndCurrent,
  retriedAt,
  retrying,
  rotating,
  snapshot,
  sound,
  stop,
  theirOne,
  theirs,
  wanting,
  withGenerations,
} from './cases.ts';
import type { Case } from './cases.ts';

/** An emergency that began at noon and brings generation 2. */
const leaking = (generations: readonly Generation[], rest: Partial<ClientRecord> = {}): ClientRecord =>
  withGenerations(generations, { emergency: 2, revoking: { id: 'e1', since: noon }, handled: ['e1'], ...rest });
/** So many old clients stay at the provider until a person deletes them. */
const leftBehind = (count: number): readonly Generation[] => [
  ...Array.from({ length: count }, (_, i) =>
    g({ n: i + 1, state: 'Retiring', clientId: `old-${i}`, management: { uri: '', lost: true } }),
  ),
  g({ n: count + 1 }),
];
const twoOld = [
  theirOne({ state: 'Draining', retireAfter: plus(noon, 30 * day) }),
  theirOne({ n: 2, source: 'two', state: 'Draining', retireAfter: plus(noon, 30 * day) }),
  theirOne({ n: 3, source: 'three' }),
];

export const endingCases: readonly Case[] = [
  {
    row: 'unwanted',
    title: 'Retain: a client that is ahead of us drains like any other, because nothing is done at the provider',
    s: snapshot({
      ...gone,
      retain: true,
      record: record({ observed: { is: 'Present', at: noon, drift: [], generation: 7 } }),
    }),
    action: { type: 'Record' },
    next: ['Draining'],
  },
  { row: 'unwanted', title: 'without a record nothing is left to do', s: { ...none, ...gone }, reason: 'Deregistered' },
  {
    row: 'unwanted',
    title: 'a record without generations goes',
    s: snapshot({ ...gone, record: withGenerations([]) }),
    action: { type: 'Record' },
    next: 'gone',
  },
  {
    row: 'unwanted',
    title: 'Planned: nothing exists at the provider yet, so the record goes',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Planned' })]) }),
    action: { type: 'Record' },
    next: 'gone',
  },
  {
    row: 'unwanted',
    title: 'Created becomes Retiring',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Created' })]) }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: 'Current becomes Draining',
    s: snapshot({ ...gone, record: record() }),
    action: { type: 'Record' },
    next: ['Draining'],
  },
  {
    row: 'unwanted',
    title: 'the newest generation goes first',
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
    title: 'Draining becomes Retiring when no token of it is left, although the clocks disagree',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Draining' })]), clockAgrees: false }),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'unwanted',
    title: 'Draining waits, while the clocks disagree, for a session that holds a token which has expired by ours',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Draining' })]),
      lastExp: new Map([[1, plus(noon, -hour)]]),
      clockAgrees: false,
    }),
    reason: 'Draining',
  },
  {
    row: 'unwanted',
    title: 'Retiring is deregistered',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring' })]) }),
    action: { type: 'Deregister', generation: 1 },
  },
  {
    row: 'unwanted',
    title: 'Retiring is deregistered while stopped, too',
    s: snapshot({ ...gone, ...stop, record: withGenerations([g({ state: 'Retiring' })]) }),
    action: { type: 'Deregister' },
  },
  {
    row: 'unwanted',
    title: 'the brake holds a removal',
    s: snapshot({ ...gone, brake: true, record: withGenerations([g({ state: 'Retiring' })]) }),
    reason: 'BrakeHolds',
  },
  {
    row: 'unwanted',
    title: 'without the management token a removal waits visibly',
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
    row: 'retry',
    title: 'somebody asks for another try of a deletion that a refused management token holds up: that is noted first',
    s: snapshot({ ...gone, ...retrying, record: withGenerations([g({ state: 'Retiring' })], late) }),
    action: { type: 'Record' },
    stored: { retried: { id: 'r2', at: noon } },
  },
  {
    row: 'unwanted',
    title: 'the management token was refused before somebody asked for another try: it is tried at once',
    s: snapshot({
      ...gone,
      ...retrying,
      record: withGenerations([g({ state: 'Retiring' })], {
        ...late,
        ...retriedAt(plus(noon, second)),
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    now: plus(noon, 2 * second),
    action: { type: 'Observe' },
  },
  {
    row: 'unwanted',
    title: 'where no management token was ever given there is nothing to try',
    s: snapshot({
      ...gone,
      record: omit(withGenerations([g({ state: 'Retiring' })], late), 'management') as ClientRecord,
    }),
    now: plus(noon, day),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'unwanted',
    title: 'a provider that deletes no clients: the client stays until its pool says so',
    s: snapshot({
      ...gone,
      ...able({ variants: ['NewClient'], registersOnly: true }),
      record: omit(withGenerations([g({ state: 'Retiring' })]), 'management') as ClientRecord,
    }),
    reason: 'RegistrationRefused',
  },
  {
    row: 'unwanted',
    title: 'the management token is lost, and a management credential that does not rotate takes its place',
    s: snapshot({ ...gone, managementFallback: true, record: withGenerations([g({ state: 'Retiring' })], late) }),
    action: { type: 'Deregister' },
    lane: lanes.Renew,
  },
  {
    row: 'unwanted',
    title: 'Retain: the record goes without a call',
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
    title: 'a client that was deregistered is looked at',
    s: snapshot({
      ...gone,
      record: omit(withGenerations([g({ state: 'Retiring', removedAt: noon })]), 'observed') as ClientRecord,
    }),
    action: { type: 'Observe' },
  },
  {
    row: 'unwanted',
    title: 'a look says that the client is gone: its key must be refused before the record goes',
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
    title: 'a client that was deregistered and cannot be looked at: its key must be refused',
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
    title:
      'the management token was refused, and the secret has expired: its refusal shows nothing, so the client stays known',
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
    title:
      "the provider's clock may be ahead of ours: a secret that is about to expire has expired there, perhaps, and shows nothing",
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
    title: 'a client whose secret has expired and whose management token is lost waits for a person',
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
    title: 'the provider said that it deleted the client: that the secret has expired holds nothing up',
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
    title: 'of two clients a look saw the newer one: that the older one is gone shows its own credential',
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
    title: 'a client that was deregistered and is still there is tried again after a pause',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring', removedAt: noon })]) }),
    action: { type: 'Record' },
    stored: { generations: [g({ state: 'Retiring', stillThere: 1, retireAfter: plus(noon, 5 * minute) })] },
  },
  {
    row: 'unwanted',
    title: 'a client that is still there after many tries is tried again after an hour',
    s: snapshot({ ...gone, record: withGenerations([g({ state: 'Retiring', removedAt: noon, stillThere: 9 })]) }),
    action: { type: 'Record' },
    stored: { generations: [g({ state: 'Retiring', stillThere: 10, retireAfter: plus(noon, hour) })] },
  },
  {
    row: 'unwanted',
    title: "an administrator's client stays at the provider",
    s: snapshot({ ...gone, record: external([theirOne({ state: 'Retiring' })]) }),
    action: { type: 'Record' },
    next: 'gone',
    reason: 'Retained',
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
    row: 'unwanted',
    title:
      'the clock was set back by a day: a look that is still to come shows nothing, so there is another one before a removal',
    s: snapshot({
      ...gone,
      record: withGenerations([g({ state: 'Retiring' })], { observed: { ...sound, at: plus(noon, day) } }),
    }),
    action: { type: 'Observe' },
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
    row: 'emergency',
    title: 'rotate and revoke with one id plan the next credential in lane Stop',
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
    row: 'emergency',
    title: 'an emergency that cannot rotate revokes at least',
    s: snapshot({ ...able({ variants: [] }), ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }) }),
    action: { type: 'Record' },
    reason: 'RotationUnsupported',
    stored: { revokeBefore: noon, revoking: { id: 'e1', since: noon }, emergency: undefined, handled: ['Revoke e1'] },
  },
  {
    row: 'settled',
    title:
      'an emergency that cannot rotate revokes once, and its rotation waits until something can replace the credential',
    s: snapshot({
      ...wanting({ revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: record({ managementLost: true, handled: ['Revoke e1'] }),
    }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'emergency',
    title: 'an emergency whose rotation waits: what it revoked is told as done meanwhile',
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
    title: 'the rotation of an emergency comes as soon as something can replace the credential',
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
    title: 'a rotation under way becomes that of the emergency',
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
    title: 'an emergency that leaves a gap waits for no window',
    s: snapshot({
      ...able({ variants: ['InPlace'] }),
      ...wanting({ authentication: 'ClientSecretPost', revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: withGenerations([g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') } })]),
    }),
    action: { type: 'Plan', variant: 'InPlace' },
  },
  {
    row: 'emergency',
    title: 'the new credential of an emergency was refused and taken back: another one comes after the pause',
    s: snapshot({ record: withGenerations([g()], { emergency: 2, highest: 2, rollbacks: { count: 1, at: noon } }) }),
    now: plus(noon, 5 * minute),
    action: { type: 'Plan', generation: 3, handles: [] },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title:
      'the new credential of an emergency was refused and taken back: another one comes before the pause is over when somebody asks for it',
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
    title: `the new credential of an emergency ${title}: what the old one minted is revoked without it`,
    ...rest,
    action: { type: 'Record' },
    stored: { revokeBefore: rest.now ?? noon, emergency: 2 },
    lane: lanes.Stop,
  })),
  {
    row: 'emergency',
    title: 'an emergency that has revoked what the old credential minted goes on with the new one',
    s: snapshot({ record: leaking(rotating('Planned'), { revokeBefore: noon }) }),
    now: plus(noon, 5 * minute),
    action: { type: 'Update' },
  },
  {
    row: 'emergency',
    title: 'an emergency has rotated and retired, and nothing from before is left: it is done',
    s: snapshot({
      record: withGenerations([g({ n: 2 })], { emergency: 2, revokeBefore: noon, revoking: { id: 'e1', since: noon } }),
    }),
    action: { type: 'Record' },
    reason: 'RequestDone',
    next: ['Current'],
  },
  {
    row: 'emergency',
    title: 'revokeRequest alone is done when the last token is gone',
    s: snapshot({
      record: withGenerations([g()], { revokeBefore: noon, revoking: { id: 'e1', since: noon }, handled: ['e1'] }),
      ...wanting({ revokeRequest: 'e1' }),
    }),
    action: { type: 'Record' },
    reason: 'RequestDone',
  },
  {
    row: 'emergency',
    title: 'the new credential of an emergency is created while stopped',
    s: snapshot({ ...stop, record: withGenerations(rotating('Planned'), { emergency: 2 }) }),
    action: { type: 'Update', generation: 2 },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'the new credential of an emergency is verified while stopped',
    s: snapshot({ ...stop, record: withGenerations(rotating('Created'), { emergency: 2 }) }),
    action: { type: 'Prove', settles: 'Verify' },
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title:
      'the new credential of an emergency is refused: it is proven again while stopped, as long as the provider may be taking it over',
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
    title: 'the new credential of an emergency is refused: it is not proven again at once',
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
    title:
      'the new credential of an emergency is refused for good: it is taken back while stopped, so that the next one can come',
    s: snapshot({ ...stop, record: withGenerations(rotating('Created', { refusedAt: noon }), { emergency: 2 }) }),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'an emergency whose management token turns out to be lost on the way revokes at least',
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
    title: "an emergency whose client turns out to be somebody else's revokes at least",
    s: snapshot({ record: withGenerations(rotating('Planned'), { emergency: 2, observed: other }) }),
    action: { type: 'Record' },
    reason: 'RotationUnsupported',
    stored: { revokeBefore: noon, emergency: undefined },
  },
  {
    row: 'emergency',
    title: 'an emergency that can only revoke reaches a token that a clock ahead wrote down',
    s: snapshot({
      record: withGenerations(rotating('Planned'), { emergency: 2, observed: other }),
      youngest: plus(noon, 90 * second),
    }),
    action: { type: 'Record' },
    reason: 'RotationUnsupported',
    stored: { revokeBefore: plus(noon, 90 * second + 1), emergency: undefined },
  },
  {
    row: 'emergency',
    title: 'one old credential in its overlap does not keep the next one of an emergency waiting',
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
    title: 'two old credentials leave no room for a new one: as long as tokens of them are left an emergency waits',
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
    title: 'two old credentials leave no room for a new one: without tokens the older one retires within its overlap',
    s: snapshot({ ...theirs, existing: handed('four'), record: external(twoOld, { emergency: 4 }) }),
    action: { type: 'Record' },
    next: ['Retiring', 'Draining', 'Current'],
    lane: lanes.Stop,
  },
  {
    row: 'emergency',
    title: 'one old credential within its overlap leaves room for the new one of an emergency',
    s: snapshot({ ...theirs, existing: handed('four'), record: external(twoOld.slice(1), { emergency: 4 }) }),
    action: { type: 'Plan', generation: 4, variant: 'External' },
    lane: lanes.Stop,
  },
  ...(
    [
      ['begins', wanting({ allowSubjectChange: true, revokeRequest: 'e1', rotateRequest: 'e1' }), {}],
      ['goes on', wanting({ allowSubjectChange: true }), { emergency: 4, handled: ['e1'] }],
    ] as const
  ).map(([title, wanted, rest]) => ({
    row: 'emergency',
    title: `an emergency ${title} although two old clients are there that nobody can remove`,
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanted,
      record: withGenerations(leftBehind(2), { variant: 'NewClient', ...rest }),
    }),
    action: { type: 'Plan' as const, generation: 4, variant: 'NewClient' as const },
    lane: lanes.Stop,
  })),
  {
    row: 'emergency',
    title: 'more old clients that nobody can remove than a record has room for: what they minted is revoked',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ allowSubjectChange: true, revokeRequest: 'e1', rotateRequest: 'e1' }),
      record: withGenerations(leftBehind(19), { variant: 'NewClient' }),
    }),
    action: { type: 'Record' },
    stored: { revokeBefore: noon, emergency: 21 },
  },
  {
    row: 'settled',
    title: 'an emergency revokes nothing before the Secret with the new credential was read again after a restart',
    s: snapshot({ ...theirs, existing: { is: 'Unknown' }, record: external(twoOld.slice(2), { emergency: 4 }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'emergency',
    title: 'a later credential took the place of the one that an emergency brought: it is done all the same',
    s: snapshot({ record: withGenerations([g({ n: 3 })], { emergency: 2, revoking: { id: 'e1', since: noon } }) }),
    action: { type: 'Record' },
    reason: 'RequestDone',
  },
  {
    row: 'emergency',
    title: 'an emergency keeps no overlap where all tokens are revoked',
    s: snapshot({ record: withGenerations(drainingAndCurrent, { emergency: 2 }) }),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },
  {
    row: 'emergency',
    title: 'the key of an emergency whose algorithm the provider does not verify is given up, also while stopped',
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
    row: 'emergency',
    title: 'InPlace: an emergency replaces the secret at any hour',
    s: snapshot({ ...inPlace({ emergency: 2 }), window: closed }),
    action: { type: 'Update', generation: 2 },
  },

  { row: 'stopped', title: 'where there is no client yet none is made', s: { ...none, ...stop }, reason: 'Suspended' },
  {
    row: 'stopped',
    title: 'a Planned credential waits',
    s: snapshot({ ...stop, record: withGenerations([g({ state: 'Planned' })]) }),
    reason: 'Suspended',
  },
  {
    row: 'stopped',
    title: 'a request to rotate waits',
    s: snapshot({ ...stop, ...wanting({ rotateRequest: 'r1' }) }),
    reason: 'Suspended',
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
    title: 'a new client that was planned before the stop is not registered',
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
    row: 'stopped',
    title: 'what is Retiring goes',
    s: snapshot({ ...stop, record: withGenerations(retiringAndCurrent) }),
    action: { type: 'Update', generation: 1, without: 1 },
  },
  ...(['Draining', 'Retiring'] as const).map((state) => ({
    row: 'stopped',
    title: `a client that is wanted again (${state}) is not deleted: it is proven when the stop is over`,
    s: snapshot({ ...stop, record: withGenerations([g({ state })]) }),
    now: plus(noon, hour),
    reason: 'Suspended' as const,
  })),
  {
    row: 'stopped',
    title: 'a pool that is stopped looks out for nothing',
    s: snapshot({ ...proven, ...stop, outage: true, failing: true }),
    reason: 'Suspended',
  },
];
