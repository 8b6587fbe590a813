import { day, hour, minute, plus, second } from '#src/clock.ts';
import { lookedAt } from '#src/domain/client/answers.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { lanes } from '#src/domain/lanes.ts';
import { Redacted } from '#src/redacted.ts';
import { buildAsk, buildClientSnapshot, noon, omit } from '#test/support/builders.ts';
import {
  able,
  asks,
  closed,
  drainingAndCurrent,
  expired,
  expiresIn,
  external,
  failed,
  g,
  givenLess,
  givenUp,
  handed,
  hashOf,
  inPlace,
  late,
  none,
  refusedAtNoon,
  refusedTwice,
  retiringAndCurrent,
  retriedAt,
  retrying,
  rotating,
  snapshot,
  sound,
  theirOne,
  theirs,
  wanting,
  withGenerations,
} from './cases.ts';
import type { Case } from './cases.ts';

const oldAndNew = (more: Partial<Generation> = {}): ClientRecord =>
  withGenerations([g({ state: 'Retiring', clientId: 'old', ...more }), g({ n: 2 })], { variant: 'NewClient' });
const askedAtFirst = [
  { kind: 'Rotate', id: 'r1' },
  { kind: 'Rotate', id: 'r2' },
  { kind: 'Revoke', id: 'v1' },
] as const;
const accepted = { outcome: 'Accepted', at: noon, generation: 1 } as const;
const refusedAsk = { outcome: 'Refused', at: noon, generation: 1, reason: 'TokenRequestRefused' } as const;
const badAsk = { bad: refusedAsk } as const;

export const rotationCases: readonly Case[] = [
  {
    row: 'abandoned',
    title: 'the method was set back before the new client was registered: that one is given up',
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
    title: 'a second key of a client that the provider turns out not to change is given up',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })]),
      capabilities: { ...buildClientSnapshot().capabilities!, variants: ['NewClient'] },
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  {
    row: 'abandoned',
    title: 'a second key was made before the provider said that it does not verify its algorithm: it is given up',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })]),
      keyAlgorithm: 'RS256',
    }),
    action: { type: 'Record' },
    next: ['Current'],
    stored: { rollbacks: { count: 1, at: noon } },
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
    row: 'abandoned',
    title: 'what was planned for a client that is gone is given up',
    s: snapshot({
      record: withGenerations([g({ ...refusedTwice }), g({ n: 2, state: 'Planned' })], {
        observed: { is: 'Gone', at: noon, drift: [] },
      }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },

  {
    row: 'create',
    title: 'after registrations of which nobody heard the next one comes at once when somebody asks for another try',
    s: snapshot({
      record: givenUp({ retried: { id: 't1', at: plus(noon, second) } }),
      ...able({ clientIdBy: 'Provider' }),
    }),
    now: plus(noon, 2 * second),
    action: { type: 'Register', generation: 2 },
  },
  {
    row: 'create',
    title:
      'the management token is lost: what an administrator handed in was never sent, so nothing has to show that it arrived',
    s: snapshot({
      ...theirs,
      record: withGenerations([g({ state: 'Retiring' }), g({ n: 2, state: 'Planned', source: 'secret-1' })], late),
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Created'],
  },
  {
    row: 'create',
    title: 'without a client the key is stored together with the note of the call',
    s: none,
    action: { type: 'Register', generation: 1, plan: { variant: 'TwoKeys', handles: [] } },
    reason: 'Registering',
    lane: lanes.NewPod,
  },
  {
    row: 'settled',
    title: 'registering failed: it is not tried again at once',
    s: { ...none, ...failed('create') },
    reason: 'Settled',
  },
  {
    row: 'settled',
    title: 'a namespace or identity to which nothing is granted becomes no client',
    s: { ...none, unasked: true },
    reason: 'Settled',
  },
  {
    row: 'create',
    title: 'requests that are there before the first credential count as done, however many of a kind',
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
    row: 'create',
    title: 'a tenth of the life of a secret is left: what is planned in its place does not wait for the window',
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
    row: 'create',
    title: 'a key of the algorithm that the provider verifies is sent',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Planned' })]),
      keyAlgorithm: 'ES256',
    }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'create',
    title: 'the first credential is registered',
    s: snapshot({ record: withGenerations([g({ state: 'Planned' })]) }),
    action: { type: 'Register', generation: 1 },
    lane: lanes.NewPod,
  },
  {
    row: 'create',
    title: 'a second key is sent with an Update',
    s: snapshot({ record: withGenerations(rotating('Planned')) }),
    action: { type: 'Update', generation: 2 },
    lane: lanes.Routine,
  },
  {
    row: 'create',
    title: 'a new client is registered',
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
    title: 'InPlace: what waits for the window is looked at when it opens',
    s: snapshot({ ...inPlace(), window: { ...closed, opensAt: plus(noon, hour) } }),
    reason: 'CredentialCurrent',
    recheckAt: plus(noon, hour),
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
    title: 'InPlace: in the window the secret is replaced',
    s: snapshot({ ...inPlace(), window: { is: 'Open', since: noon, length: hour } }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'create',
    title: 'InPlace: an emergency that was held up replaces the secret at any hour, too',
    s: snapshot({ ...inPlace({ emergency: 2 }), window: closed, ...failed('emergency') }),
    action: { type: 'Update', generation: 2 },
  },
  {
    row: 'create',
    title: 'InPlace: the first secret replaces nothing, so it waits for no window',
    s: snapshot({
      ...inPlace({ generations: [g({ state: 'Planned', credential: { type: 'ClientSecretPost' } })] }),
      window: closed,
    }),
    action: { type: 'Register', generation: 1 },
  },
  {
    row: 'create',
    title: 'External: a credential becomes Created without a call',
    s: snapshot({ record: withGenerations([g({ state: 'Planned', source: 'one' })], { variant: 'External' }) }),
    action: { type: 'Record' },
    next: ['Created'],
  },

  {
    row: 'verify',
    title: 'a new credential is proven by itself',
    s: snapshot({ asks, record: withGenerations(rotating('Created')) }),
    action: { type: 'Prove', generation: 2, settles: 'Verify', hash: 'h1' },
  },
  {
    row: 'verify',
    title:
      'a new credential is proven with an ask that is known to be given, rather than with one that is refused or was never tried',
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
    title: 'a new credential is proven with an ask that was never tried, where none is known to be given',
    s: snapshot({
      asks: ['bad', 'new'].map((hash) => ({ hash, ask: buildAsk() })),
      record: withGenerations(rotating('Created'), { proofs: badAsk }),
    }),
    action: { type: 'Prove', hash: 'new' },
  },
  {
    row: 'verify',
    title: 'a new credential is proven without an ask where all are refused already, which would show nothing',
    s: snapshot({
      asks: [{ hash: 'bad', ask: buildAsk() }],
      record: withGenerations(rotating('Created'), { proofs: badAsk }),
    }),
    action: { type: 'Prove', hash: '', ask: { scopes: [], audiences: [], maxLifetime: 15 * minute } },
  },
  {
    row: 'verify',
    title: 'a new credential is proven with an ask that was refused some minutes ago',
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
    title: 'a new credential is proven where nobody asks for anything, too',
    s: snapshot({ record: withGenerations([g({ state: 'Created' })]) }),
    action: { type: 'Prove', hash: '' },
    lane: lanes.NewPod,
  },
  {
    row: 'verify',
    title:
      'an existing client is proven with a scope where nobody asks for anything: its provider may take no request without one',
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
    title: 'a refused new credential is proven again while the provider takes it over',
    s: snapshot({
      ...able({ credentialPropagation: minute }),
      record: withGenerations([g({ state: 'Created', refusedAt: noon })]),
    }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove' },
  },
  {
    row: 'verify',
    title: 'a first credential gets two minutes, whatever the profile says: another registration is no remedy',
    s: snapshot({ record: withGenerations([g({ state: 'Created', refusedAt: plus(noon, 110 * second) })]) }),
    now: plus(noon, 115 * second),
    action: { type: 'Prove' },
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
    row: 'verify',
    title: 'a new credential is proven with an ask whose refusal somebody wants to have tried again',
    s: snapshot({
      asks,
      ...retrying,
      record: withGenerations(rotating('Created'), { proofs: { h1: refusedAtNoon }, ...retriedAt(plus(noon, 1)) }),
    }),
    now: plus(noon, 2),
    action: { type: 'Prove', hash: 'h1' },
  },

  {
    row: 'not-accepted',
    title:
      'a refused new credential that was made before the clock was set back by a day is taken back at once, not after a day',
    s: snapshot({
      record: withGenerations([g(), g({ n: 2, state: 'Created', since: plus(noon, day), refusedAt: noon })]),
    }),
    now: plus(noon, minute),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },
  ...(
    [
      ['a look that is dated a day ahead', noon, plus(noon, day)],
      ['an old look, where the refusal is dated a day ahead', plus(noon, day), plus(noon, -hour)],
    ] as const
  ).map(([title, refusedAt, at]) => ({
    row: 'not-accepted',
    title: `${title} is none since the refusal, and nothing is planned on it`,
    s: snapshot({ record: withGenerations([g({ refusedAt, refusedAgain: true })], { observed: { ...sound, at } }) }),
    action: { type: 'Observe' as const },
  })),
  {
    row: 'not-accepted',
    title: 'two old credentials are the most, so a refused Current is proven again, in case that it works by now',
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
  ...(
    [
      ['is tried at once, before anything else is asked for', {}, {}, noon],
      ['is tried again within credentialPropagation', { refusedAt: noon }, {}, plus(noon, 5 * second)],
      ['is tried when what mints is refused', {}, { refusedAt: plus(noon, hour) }, plus(noon, hour)],
    ] as const
  ).map(([title, tried, current, now]) => ({
    row: 'offered',
    title: `a secret that came unasked ${title}`,
    s: snapshot({
      ...able({ credentialPropagation: 10 * second }),
      record: withGenerations([g({ ...current, offered: { credential: expiresIn(day), at: noon, ...tried } })]),
    }),
    now,
    action: { type: 'Prove' as const, generation: 1, settles: 'Offered' as const },
    lane: lanes.Renew,
  })),
  {
    row: 'settled',
    title: 'a secret that came unasked and is refused is left alone as long as what mints is not',
    s: snapshot({
      record: withGenerations([g({ offered: { credential: expiresIn(day), at: noon, refusedAt: noon } })]),
    }),
    now: plus(noon, hour),
    reason: 'CredentialCurrent',
  },
  {
    row: 'not-accepted',
    title: 'Created: refused, and within credentialPropagation it waits',
    s: snapshot({
      ...able({ credentialPropagation: minute }),
      record: withGenerations([g({ state: 'Created', refusedAt: noon })]),
    }),
    reason: 'CredentialUnverified',
    recheckAt: plus(noon, 5 * second),
  },
  {
    row: 'not-accepted',
    title: 'a first credential that is refused for two minutes is given up',
    s: snapshot({ record: withGenerations([g({ state: 'Created', refusedAt: plus(noon, 2 * minute) })]) }),
    now: plus(noon, 2 * minute),
    action: { type: 'Record' },
    next: ['Retiring'],
  },
  {
    row: 'not-accepted',
    title: 'a new credential that was given less authenticates: it gets no more time than the profile says',
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
  {
    row: 'not-accepted',
    title: 'Created: refused, so it is rolled back',
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
        'for an hour in which nobody gets a token from that issuer',
        { outage: true },
        rotating('Created'),
        plus(noon, hour),
        'ProviderUnavailable',
      ],
      ['settled', 'for an hour and is the first one', {}, [g({ state: 'Created' })], plus(noon, hour), 'InProgress'],
    ] as const
  ).map(([row, title, more, generations, now, reason]) => ({
    row,
    title: `Created: it cannot be proven ${title}, so it stays`,
    s: snapshot({ ...failed('verify'), ...more, record: withGenerations(generations) }),
    now,
    reason,
    ...(row === 'outage' ? { action: { type: 'Prove' as const } } : {}),
  })),
  {
    row: 'settled',
    title: 'Created: it cannot be proven, but took the place of one that may be dead by now, so it stays',
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
    title: 'Current: refused once, so it is proven after a moment',
    s: snapshot({ record: withGenerations([g({ refusedAt: noon })]) }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove', settles: 'Verify' },
  },
  {
    row: 'not-accepted',
    title: 'Current: refused twice, so the client is looked at',
    s: snapshot({ record: withGenerations([g({ refusedAt: plus(noon, 1), refusedAgain: true })]) }),
    now: plus(noon, 1),
    action: { type: 'Observe' },
  },
  {
    row: 'not-accepted',
    title: 'Current: gone, and a new client is allowed, which is planned',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ allowSubjectChange: true }),
      record: withGenerations([g({ ...refusedTwice })], { observed: { is: 'Gone', at: noon, drift: [] } }),
    }),
    action: { type: 'Plan', variant: 'NewClient' },
  },
  {
    row: 'not-accepted',
    title:
      'Current: gone while the one before drains, at a provider that offers more for clients that are there: a new client is planned',
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
    title: 'Current and the management token are refused: the client is as good as gone, and a new one is planned',
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
    row: 'not-accepted',
    title: 'the clock was set back by a day: a credential that will be refused in a day is proven',
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
    row: 'not-accepted',
    title: 'a client that gets no token keeps no new credential that is never proven',
    s: snapshot({ ...failed('verify'), failing: true, record: withGenerations(rotating('Created')) }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Current', 'Retiring'],
  },

  ...(
    [
      ['his credential', refusedTwice],
      ['his credential, which mints,', {}],
    ] as const
  ).map(([what, more]) => ({
    row: 'drained',
    title: `an administrator replaces ${what} for the third time within the overlap: the oldest one waits for nothing`,
    s: snapshot({
      ...theirs,
      record: external([
        theirOne({ state: 'Draining', retireAfter: plus(noon, day) }),
        { ...theirOne({ n: 2, state: 'Draining', retireAfter: plus(noon, day) }), source: 'two' },
        { ...theirOne({ n: 3, ...more }), source: 'three' },
      ]),
      existing: handed('four'),
      clockAgrees: false,
    }),
    action: { type: 'Record' as const },
    next: ['Retiring', 'Draining', 'Current'] as const,
  })),
  ...(
    [
      ['is refused', { ...refusedTwice }, 0, 1],
      ['is about to expire', { credential: expiresIn(10 * day) }, 9 * day, 1],
      ['is about to expire, and a token of the oldest is left', { credential: expiresIn(10 * day) }, 9 * day, 2],
    ] as const
  ).map(([title, more, after, retired]): Case => ({
    row: 'drained',
    title: `three credentials are the most, and what mints ${title}: room is made, whatever overlap and clocks say`,
    s: snapshot({
      ...wanting({ authentication: g(more).credential.type }),
      record: withGenerations(
        [
          g({ state: 'Draining', retireAfter: plus(noon, 30 * day) }),
          g({ n: 2, state: 'Draining', retireAfter: plus(noon, 30 * day) }),
          g({ n: 3, ...more }),
        ],
        { sent: 'x' },
      ),
      ...(retired === 1 ? {} : { lastExp: new Map([[1, plus(noon, 10 * day)]]) }),
      clockAgrees: false,
    }),
    now: plus(noon, after),
    action: { type: 'Record' },
    next: retired === 1 ? ['Retiring', 'Draining', 'Current'] : ['Draining', 'Retiring', 'Current'],
  })),
  {
    row: 'settled',
    title:
      'two credentials, of which what mints is about to expire: there is room for the next, so the overlap is kept',
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ authentication: 'ClientSecretBasic' }),
      record: withGenerations(
        [g({ state: 'Draining', retireAfter: plus(noon, 30 * day) }), g({ n: 2, credential: expiresIn(10 * day) })],
        { observed: { ...sound, at: plus(noon, 9 * day) } },
      ),
    }),
    now: plus(noon, 9 * day),
    reason: 'Draining',
  },
  {
    row: 'drained',
    title: 'an old credential retires when its overlap is over, no token of it is left and the clocks agree',
    s: snapshot({ record: withGenerations(drainingAndCurrent) }),
    now: plus(noon, hour),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },

  ...(
    [
      ['its credential is refused twice', refusedTwice, {}, 'Deregister'],
      ['the provider said that it is gone', { removedAt: plus(noon, -minute) }, {}, 'Prove'],
      [
        'with another method, which a new client may have',
        {},
        { authentication: 'ClientSecretPost', allowSubjectChange: true },
        'Deregister',
      ],
    ] as const
  ).map(([title, more, desired, type]): Case => ({
    row: 'retire',
    title: `a client is wanted again, but ${title}: it goes, and the next one is a new one`,
    s: snapshot({ ...wanting(desired), record: withGenerations([g({ state: 'Retiring', ...more })]) }),
    action: { type },
  })),
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
    title:
      'nobody can manage the old client, and that its secret is refused once it has expired shows nothing: a person is waited for',
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
    title:
      'the token was refused that was to delete the old client, and its expired secret shows nothing: it stays known',
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
    title: "an administrator's token is refused, too: the old client is gone, as far as anybody can know",
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
    row: 'retire',
    title: 'the client is as good as gone, and so is what was to be taken out: proven',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring' }), g({ n: 2, ...refusedTwice })], late),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'retire',
    title: 'an old key is taken out with an Update',
    s: snapshot({ record: withGenerations(retiringAndCurrent) }),
    action: { type: 'Update', generation: 1, without: 1 },
    lane: lanes.CleanUp,
  },
  {
    row: 'retire',
    title: 'an old key that is kept until now is taken out now, since nothing wakes anybody later',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', retireAfter: noon }), g({ n: 2 })]) }),
    action: { type: 'Update', generation: 1, without: 1 },
  },
  {
    row: 'retire',
    title: 'an old key whose tokens are revoked is not taken out behind others',
    s: snapshot({
      record: withGenerations(retiringAndCurrent, { revoking: { id: 'r1', since: noon } }),
      revokedTokens: 1,
    }),
    action: { type: 'Update', generation: 1, without: 1 },
    lane: lanes.Routine,
  },
  {
    row: 'retire',
    title: 'NewClient: the old client is looked at, because a look at the new one does not tell whose the old one is',
    s: snapshot({ record: oldAndNew() }),
    action: { type: 'Observe', generation: 1 },
    lane: lanes.CleanUp,
  },
  {
    row: 'retire',
    title: 'NewClient: an old client that was looked at is deregistered',
    s: snapshot({ record: oldAndNew({ lookedAt: plus(noon, -30 * second) }) }),
    action: { type: 'Deregister', generation: 1 },
    lane: lanes.Renew,
  },
  {
    row: 'retire',
    title: 'NewClient: an old client is looked at again when the last look was a minute ago',
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
    row: 'retire',
    title: 'a first client that was rolled back is deregistered',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', ...refusedTwice })], { rollbacks: { count: 1, at: noon } }),
    }),
    action: { type: 'Deregister' },
  },
  {
    row: 'retire',
    title: 'a client that was registered without a secret is there all the same, so it is deregistered',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', credential: { type: 'ClientSecretBasic' } })]),
    }),
    action: { type: 'Deregister', generation: 1 },
  },
  {
    row: 'retire',
    title: 'an old credential that was taken out must be refused',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', removedAt: noon }), g({ n: 2 })]) }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  ...(
    [
      ['not before the provider had its time', minute - 1, 'settled', undefined],
      ['once the provider had its time', minute, 'retire', { type: 'Prove', generation: 1 }],
    ] as const
  ).map(([when, after, row, action]) => ({
    row,
    title: `whether an old credential is refused is asked ${when} for taking it out`,
    s: snapshot({
      ...able({ credentialPropagation: minute }),
      record: withGenerations([g({ state: 'Retiring', removedAt: noon }), g({ n: 2 })]),
    }),
    now: plus(noon, after),
    ...(action === undefined ? { reason: 'Draining' as const } : { action }),
  })),
  {
    row: 'retire',
    title: 'while the provider has its time for one old credential the one before goes its way',
    s: snapshot({
      ...able({ credentialPropagation: minute }),
      record: withGenerations([
        g({ state: 'Retiring', removedAt: plus(noon, -minute) }),
        g({ n: 2, state: 'Retiring', removedAt: noon }),
        g({ n: 3 }),
      ]),
    }),
    action: { type: 'Prove', generation: 1, settles: 'Retired' },
  },
  {
    row: 'retire',
    title: 'External: an old credential is dropped without a call',
    s: snapshot({
      record: withGenerations([g({ state: 'Retiring', source: 'one' }), g({ n: 2, source: 'two' })], {
        variant: 'External',
      }),
    }),
    action: { type: 'Record' },
    next: ['Current'],
  },
  ...(
    [
      ["somebody else's client", 'Foreign', [g({ state: 'Retiring', foreign: true }), g({ n: 2, clientId: 'new' })]],
      ["an administrator's", 'External', [g({ state: 'Retiring', source: 'one' }), g({ n: 2, source: 'two' })]],
      ['one that is replaced by a client of ours', 'External', [g({ state: 'Retiring', source: 'one' }), g({ n: 2 })]],
    ] as const
  ).map(([title, left, generations]) => ({
    row: 'retire',
    title: `in an emergency an old credential is left where it is, and that is remembered until the end: ${title}`,
    s: snapshot({
      ...wanting({ rotateRequest: 'INC-1', revokeRequest: 'INC-1' }),
      record: withGenerations(generations, {
        emergency: 2,
        revokeBefore: noon,
        revoking: { id: 'INC-1', since: noon },
        handled: ['INC-1'],
      }),
    }),
    action: { type: 'Record' as const },
    next: ['Current' as const],
    stored: { revoking: { id: 'INC-1', since: noon, left } },
  })),
  {
    row: 'settled',
    title: 'an old credential that was taken out and is still there is looked at when the pause is over',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', retireAfter: plus(noon, minute) }), g({ n: 2 })]) }),
    reason: 'Draining',
    recheckAt: plus(noon, minute),
  },
  {
    row: 'retire',
    title: 'InPlace: the new secret has replaced the old one, so nothing is called',
    s: snapshot({
      record: withGenerations(
        [g({ state: 'Retiring', credential: expiresIn(day) }), g({ n: 2, credential: expiresIn(day) })],
        { variant: 'InPlace' },
      ),
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Current'],
  },
  {
    row: 'retire',
    title:
      'InPlace: a call would replace the secret that still drains, so nothing is called after a new client has come, either',
    s: snapshot({
      ...able({ variants: ['TwoKeys', 'NewClient', 'InPlace'] }),
      record: withGenerations(
        [
          g({ state: 'Retiring', credential: expiresIn(day) }),
          g({ n: 2, state: 'Draining', credential: expiresIn(day) }),
          g({ n: 3, clientId: 'ci-1_3', credential: expiresIn(day) }),
        ],
        { variant: 'NewClient' },
      ),
    }),
    action: { type: 'Record' },
    next: ['Retiring', 'Draining', 'Current'],
  },
  {
    row: 'retire',
    title: 'a key is taken out by a call, whatever the provider does with secrets',
    s: snapshot({
      ...able({ variants: ['TwoKeys', 'NewClient', 'InPlace'] }),
      record: withGenerations(retiringAndCurrent),
    }),
    action: { type: 'Update', generation: 1, without: 1 },
  },
];
