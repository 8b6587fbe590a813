import { day, hour, minute, plus, second } from '#src/clock.ts';
import { metadataDigest, tagText } from '#src/domain/client/generations.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { lanes } from '#src/domain/lanes.ts';
import { Redacted } from '#src/redacted.ts';
import { buildAsk, buildDesired, noon, omit } from '#test/support/builders.ts';
import {
  able,
  asks,
  closed,
  drainingAndCurrent,
  external,
  failed,
  g,
  handed,
  late,
  none,
  other,
  proven,
  record,
  refusedAtNoon,
  retiringAndCurrent,
  retriedAt,
  retrying,
  snapshot,
  sound,
  theirOne,
  theirs,
  wanting,
  withGenerations,
} from './cases.ts';
import type { Case } from './cases.ts';

/** Of a client that authenticates with a secret; everything that was sent is there. */
const withSecret = (rest: { readonly [K in keyof ClientRecord]?: ClientRecord[K] | undefined } = {}): ClientRecord =>
  ({
    ...record({ variant: 'InPlace', sentScopes: ['artifacts:publish'] }),
    generations: [g({ credential: { type: 'ClientSecretBasic', secret: new Redacted('s') } })],
    ...rest,
  }) as ClientRecord;
/** Seen after the last change. */
const drifted = { is: 'Present', at: plus(noon, 1), drift: ['name'], tag: tagText(record().tag) } as const;
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

export const upkeepCases: readonly Case[] = [
  {
    row: 'stale',
    title: 'the management token was refused before somebody asked for another try: the client is looked at at once',
    s: snapshot({
      ...retrying,
      record: record({
        ...late,
        ...retriedAt(plus(noon, second)),
        observed: { is: 'Unknowable', at: noon, drift: [] },
      }),
    }),
    now: plus(noon, 2 * second),
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
    row: 'noted',
    title: 'an administrator put back the credential that mints: that another one was refused is forgotten',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([theirOne()], { rollbacks: { count: 2, at: noon, source: 'two', clientId: 'theirs' } }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { rollbacks: undefined },
  },
  ...(
    [
      ['the refused one is still in his Secret', handed('two'), 'theirs'],
      ['nobody knows what is in his Secret', { is: 'Unknown' }, 'theirs'],
      ['the pool names another client for what mints', handed('one'), 'others'],
    ] as const
  ).map(([title, existing, clientId]) => ({
    row: 'settled',
    title: `an administrator's credential was refused, and that is remembered: ${title}`,
    s: snapshot({
      ...wanting({ existing: { clientId } }),
      existing,
      record: external([theirOne()], {
        rollbacks: { count: 2, at: noon, source: existing.is === 'Usable' ? existing.source : 'two', clientId },
      }),
    }),
    reason: 'CredentialCurrent' as const,
  })),

  {
    row: 'acknowledged',
    title: 'a person has dealt with what lost registrations may have left, which is noted',
    s: snapshot({ record: record({ possibleOrphans: 2, acknowledgedOrphans: 1 }), orphansAcknowledged: true }),
    action: { type: 'Record' },
    stored: { possibleOrphans: 2, acknowledgedOrphans: 2 },
  },
  {
    row: 'settled',
    title: 'that a person has dealt with possible orphans is noted once',
    s: snapshot({ record: record({ possibleOrphans: 2, acknowledgedOrphans: 2 }), orphansAcknowledged: true }),
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
    title:
      'the provider refuses every scope of a client that was changed long after its credential came to work: that is noted, too',
    s: snapshot({ asks, record: nothing({ generations: [g({ since: plus(noon, -day) })] }) }),
    now: plus(noon, 2),
    action: { type: 'Record' },
  },

  {
    row: 'stale',
    title: 'a client is looked at when the last look is a day old',
    s: snapshot(),
    now: plus(noon, day),
    action: { type: 'Observe' },
  },
  {
    row: 'stale',
    title: 'a look says that the client is gone, and its credential works: it is looked at again within minutes',
    s: snapshot({ record: record({ observed: { is: 'Gone', at: noon, drift: [] } }) }),
    now: plus(noon, 6 * minute),
    action: { type: 'Observe' },
  },
  {
    row: 'stale',
    title: 'drift is repaired before the looks of others, because that rests on a look that counts for a minute',
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
    title: 'drift beside what the provider makes of the client by itself is repaired',
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
    title: 'after an Update that was to repair the client is looked at',
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
    row: 'stale',
    title: 'an edit of the spec is sent',
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
    title: 'another scope carries the audience, which is sent',
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
    row: 'stale',
    title: 'a client of which every scope is refused is sent once more',
    s: snapshot({ asks, record: nothing({ nothingGiven: plus(noon, 2) }) }),
    now: plus(noon, 3),
    action: { type: 'Update', generation: 1 },
  },
  {
    row: 'stale',
    title:
      "a client of which every scope is refused is looked at before it is sent once more: it may be somebody else's",
    s: snapshot({
      asks,
      record: nothing({ nothingGiven: plus(noon, 2), observed: { ...drifted, drift: [], at: plus(noon, -hour) } }),
    }),
    now: plus(noon, 3),
    action: { type: 'Observe' },
  },
  ...(
    [
      ['only once', { record: nothing({ nothingGiven: plus(noon, -1) }) }, 'CredentialCurrent'],
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
        'not one that is an administrator’s',
        { ...theirs, existing: handed('one'), record: external([theirOne()], { proofs: nothing().proofs }) },
        'CredentialCurrent',
      ],
      ['not one that cannot be changed', { record: nothing(late) }, 'RegistrationAccessTokenLost'],
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
    row: 'stale',
    title:
      'the clock was set back by a day: a look that is still to come shows nothing, so there is another one before an Update',
    s: snapshot({ record: record({ observed: { ...sound, drift: ['scope'], at: plus(noon, day) } }) }),
    action: { type: 'Observe' },
  },

  {
    row: 'proof',
    title: 'an ask of some identity that was never tried is tried',
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
    title: 'a refusal is not tried again before five minutes are over',
    s: snapshot({ asks, record: record({ proofs: { h1: { outcome: 'Refused', at: noon, generation: 1 } } }) }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'proof',
    title: 'somebody asked for another try after the refusal: it comes at once',
    s: snapshot({ asks, ...retrying, record: record({ proofs: { h1: refusedAtNoon }, ...retriedAt(plus(noon, 1)) }) }),
    now: plus(noon, 1),
    action: { type: 'Prove', hash: 'h1' },
  },
  {
    row: 'settled',
    title: 'an ask was refused again: the same request for a try counts once',
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
    row: 'proof',
    title: 'the clock was set back by a day: what will be refused in a day is tried again',
    s: snapshot({ asks, record: record({ proofs: { h1: { ...refusedAtNoon, at: plus(noon, day) } } }) }),
    action: { type: 'Prove', hash: 'h1' },
  },
  {
    row: 'proof',
    title: 'a refusal is tried again when the client was changed',
    s: snapshot({
      asks,
      record: record({ proofs: { h1: { outcome: 'Refused', at: plus(noon, -1), generation: 1 } } }),
    }),
    action: { type: 'Prove' },
  },
  {
    row: 'proof',
    title: 'what was given to the old client is asked of the new one',
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
    title: 'a failing retire keeps no ask from being tried',
    s: snapshot({ asks, ...failed('retire'), record: withGenerations(retiringAndCurrent) }),
    action: { type: 'Prove' },
  },
  {
    row: 'proof',
    title: 'a failing retire together with a failing Update keeps no ask from being tried',
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
    title: 'this client alone gets no token, whatever others get, so it is tried whether that is over',
    s: snapshot({ ...proven, failing: true }),
    action: { type: 'Prove', settles: 'Ask', hash: 'h1' },
    lane: lanes.Routine,
  },

  {
    row: 'settled',
    title: 'a working client needs nothing for a day',
    s: snapshot(proven),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, day),
  },
  {
    row: 'settled',
    title: 'a rotation that is due does not come outside the window',
    s: snapshot({
      window: closed,
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
  },
  {
    row: 'settled',
    title: 'a rotation that was missed by a while waits for its turn, and is looked at then',
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
    title: 'a rotation that is due while the window is closed is looked at when it opens',
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
    title: 'with a window in a time zone that is not known nothing comes by schedule',
    s: snapshot({
      window: { is: 'Unusable', timeZone: 'Europe/Berln' },
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
  },
  {
    row: 'settled',
    title: 'a secret is replaced in place only inside a window that is declared',
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
    title: 'a request to rotate is not carried out where only a new subject or a gap could do it',
    s: snapshot({ ...able({ variants: ['NewClient', 'InPlace'] }), ...wanting({ rotateRequest: 'r1' }) }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'without a management token a request to rotate waits',
    s: snapshot({ ...wanting({ rotateRequest: 'r1' }), record: record(late) }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'settled',
    title: 'a provider that changes no clients gives no management token, and nothing is wrong with that',
    s: snapshot({
      ...able({ variants: ['NewClient'], registersOnly: true }),
      record: omit(record(), 'management') as ClientRecord,
    }),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'the clocks disagree, so nothing is retired',
    s: snapshot({ clockAgrees: false, record: withGenerations(drainingAndCurrent) }),
    now: plus(noon, hour),
    reason: 'ClockUnsure',
  },
  {
    row: 'settled',
    title: 'an old credential of which a token is left is not retired',
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
    title: 'without the management token what is Retiring stays, visibly',
    s: snapshot({ record: withGenerations(retiringAndCurrent, late) }),
    reason: 'RegistrationAccessTokenLost',
  },
  {
    row: 'settled',
    title: 'at a provider without clients (None) there is nothing to do',
    s: { ...none, ...able({ variants: ['None'] }) },
    reason: 'Settled',
  },
  {
    row: 'settled',
    title: 'at a provider that offers no other credential (None) a rotation that is due does not come',
    s: snapshot({
      ...able({ variants: ['None'] }),
      record: record({ observed: { is: 'Present', at: plus(noon, 90 * day), drift: [] } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationUnsupported',
  },
];
