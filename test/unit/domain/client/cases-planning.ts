import { day, hour, minute, plus, second } from '#src/clock.ts';
import { lanes } from '#src/domain/lanes.ts';
import { Redacted } from '#src/redacted.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { noon, omit } from '#test/support/builders.ts';
import {
  able,
  closed,
  expired,
  expiresIn,
  external,
  failed,
  g,
  givenLess,
  givenUp,
  handed,
  inPlace,
  none,
  refusedTwice,
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

export const planningCases: readonly Case[] = [
  {
    row: 'first',
    title: 'after registrations of which nobody heard the next one waits',
    s: snapshot({ record: givenUp(), ...able({ clientIdBy: 'Provider' }) }),
    reason: 'CredentialRefused',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'first',
    title: 'too many clients of its namespace wait for an acknowledgement',
    s: { ...none, piledUp: true },
    reason: 'BrakeHolds',
  },
  {
    row: 'first',
    title: 'after a credential that never worked the next one waits',
    s: snapshot({ record: withGenerations([], { rollbacks: { count: 1, at: noon } }) }),
    reason: 'CredentialRefused',
    recheckAt: plus(noon, 5 * minute),
  },
  {
    row: 'first',
    title: 'an existing client: its credential is copied',
    s: { ...none, ...theirs, existing: handed('one') },
    action: { type: 'Plan', generation: 1, variant: 'External' },
  },
  {
    row: 'first',
    title: 'an existing client: another one than that which refused the credential is named, and waits for no pause',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([], { rollbacks: { count: 9, at: noon, source: 'one', clientId: 'mistyped' } }),
    }),
    action: { type: 'Plan', variant: 'External' },
  },
  {
    row: 'first',
    title: 'an existing client: the same one that refused the credential waits for its pause',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([], { rollbacks: { count: 9, at: noon, source: 'one', clientId: 'theirs' } }),
    }),
    reason: 'CredentialRefused',
  },
  {
    row: 'settled',
    title: 'an existing client waits until its Secret was read',
    s: { ...none, ...theirs, existing: { is: 'Unknown' } },
    reason: 'Settled',
  },
  {
    row: 'settled',
    title: 'an existing client that another pool uses is not taken',
    s: { ...none, ...theirs, existing: { is: 'Unusable', reason: 'ClientClaimed', message: 'x' } },
    reason: 'Settled',
  },
  {
    row: 'first',
    title: 'an existing client: its first credential was refused and is not tried again at once',
    s: snapshot({
      ...theirs,
      existing: handed('one'),
      record: external([], { rollbacks: { count: 1, at: noon, source: 'one' } }),
    }),
    reason: 'CredentialRefused',
  },
  {
    row: 'first',
    title: 'an existing client: its first credential was refused, and another one is tried at once',
    s: snapshot({
      ...theirs,
      existing: handed('two'),
      record: external([], { rollbacks: { count: 1, at: noon, source: 'one' } }),
    }),
    action: { type: 'Plan', variant: 'External' },
  },

  ...(['Draining', 'Retiring'] as const).map((state) => ({
    row: 'wanted-again',
    title: `the removal of a client has begun (${state}), and somebody wants it again: it is proven, and mints again`,
    s: snapshot({ record: withGenerations([g({ state, retireAfter: plus(noon, hour) })]) }),
    action: { type: 'Prove' as const, settles: 'WantedAgain' as const, generation: 1 },
  })),
  {
    row: 'wanted-again',
    title: 'one refusal may be a mishap: the client that is wanted again is proven once more, some seconds later',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', refusedAt: noon })]) }),
    now: plus(noon, 5 * second),
    action: { type: 'Prove', settles: 'WantedAgain', generation: 1 },
  },
  {
    row: 'settled',
    title: 'until those seconds are over the client that is wanted again is not deleted',
    s: snapshot({ record: withGenerations([g({ state: 'Retiring', refusedAt: noon })]) }),
    now: plus(noon, 4 * second),
    reason: 'Draining',
    recheckAt: plus(noon, 5 * second),
  },
  ...(['Draining', 'Retiring'] as const).map((state) => ({
    row: 'settled',
    title: `the proof of a client that is wanted again is held up (${state}): it is not deleted meanwhile`,
    s: snapshot({ ...failed('wanted-again'), record: withGenerations([g({ state })]) }),
    now: plus(noon, hour),
    reason: 'Draining' as const,
  })),
  ...(
    [
      ['it is looked at', undefined, { type: 'Observe' }],
      ['it is there', { is: 'Present', at: noon, drift: [] }, undefined],
      ['it is gone', { is: 'Gone', at: noon, drift: [] }, { type: 'Deregister' }],
    ] as const
  ).map(([title, observed, action]) => ({
    row: action === undefined ? 'settled' : 'retire',
    title: `the provider fails at a client that is wanted again as it does at one that was deleted: ${title}`,
    s: snapshot({
      failure: { ...failed('wanted-again').failure!, reason: 'ClientUnusable' },
      record: omit(
        withGenerations([g({ state: 'Retiring' })], observed === undefined ? {} : { observed }),
        ...(observed === undefined ? (['observed'] as const) : []),
      ) as ClientRecord,
    }),
    ...(action === undefined ? { reason: 'Draining' as const } : { action }),
  })),
  {
    row: 'wanted-again',
    title: 'the pool asks for another method by now, which its client cannot change: it is proven all the same',
    s: snapshot({
      ...wanting({ authentication: 'ClientSecretBasic' }),
      record: withGenerations([g({ state: 'Retiring' })]),
    }),
    action: { type: 'Prove', settles: 'WantedAgain', generation: 1 },
  },

  {
    row: 'replaced',
    title: 'the administrator stored another credential, and no window holds it back',
    s: snapshot({ ...theirs, existing: handed('two'), record: external([theirOne()]), window: closed }),
    action: { type: 'Plan', generation: 2, variant: 'External' },
  },
  {
    row: 'replaced',
    title: 'the administrator stored another credential while the one before still drains',
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
    title: "an administrator's client takes the place of one of our own",
    s: snapshot({ ...theirs, existing: handed('one') }),
    action: { type: 'Plan', generation: 2, variant: 'External' },
  },
  {
    row: 'replaced',
    title: "a client of our own takes the place of an administrator's",
    s: snapshot({ record: external([theirOne()]) }),
    action: { type: 'Plan', generation: 2, variant: 'NewClient' },
  },
  {
    row: 'settled',
    title: 'an existing client: a new credential that was refused waits its time',
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
    title: 'an existing client: a new credential that was refused is tried again when its time comes',
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
    title: 'an existing client: its Secret is gone, and the copy mints on',
    s: snapshot({
      ...theirs,
      existing: { is: 'Unusable', reason: 'CredentialMissing', message: 'x' },
      record: external([theirOne()]),
    }),
    reason: 'CredentialMissing',
  },
  {
    row: 'settled',
    title:
      'an existing client: age alone replaces nothing that only an administrator can replace, and the client is never looked at',
    s: snapshot({ ...theirs, existing: handed('one'), record: external([theirOne()]) }),
    now: plus(noon, 200 * day),
    reason: 'CredentialCurrent',
  },
  {
    row: 'settled',
    title: 'an existing client: a request to rotate waits for the administrator',
    s: snapshot({
      ...wanting({ existing: { clientId: 'theirs' }, rotateRequest: 'r1' }),
      existing: handed('one'),
      record: external([theirOne()]),
    }),
    reason: 'CredentialCurrent',
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
    row: 'asked',
    title: 'a request while Current is refused does not wait for an old one that is Draining',
    s: snapshot({
      ...wanting({ rotateRequest: 'r1' }),
      record: withGenerations([g({ state: 'Draining', retireAfter: plus(noon, day) }), g({ n: 2, ...refusedTwice })]),
    }),
    action: { type: 'Plan', generation: 3 },
  },

  {
    row: 'expiring-soon',
    title: 'a tenth of the life of a secret is left: it is replaced whatever the hour',
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
    title: `a tenth of the life of a secret is left: it is replaced ${window === undefined ? 'without a window' : 'outside of its window'}, also where that leaves a gap`,
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
  ...(['TwoSecrets', 'InPlace', 'NewClient'] as const).map((variant) => ({
    row: variant === 'NewClient' ? 'settled' : 'expiring-soon',
    title: `a client that leaves replaces its expired secret until another one has its place, but by no new client: ${variant}`,
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
    row: 'settled',
    title: 'a client that leaves is not rotated because its time has come',
    s: snapshot({
      leaving: true,
      record: withGenerations([g()], { observed: { ...sound, at: plus(noon, 90 * day) } }),
    }),
    now: plus(noon, 90 * day),
    reason: 'RotationDue',
  },
  {
    row: 'due',
    title: 'a credential is replaced after rotation.every',
    s: snapshot(),
    now: plus(noon, 90 * day),
    action: { type: 'Plan', generation: 2 },
  },
  ...(
    [
      ['one old client that nobody can remove holds up no rotation', 'due', ['ci-old'], {}],
      ['of two old clients that nobody can remove one has to go first', 'settled', ['ci-older', 'ci-old'], {}],
      ['an old client that can be removed goes first', 'retire', ['ci-old'], { managementFallback: true }],
    ] as const
  ).map(([title, row, left, more]) => ({
    row,
    title,
    s: snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ allowSubjectChange: true }),
      ...more,
      record: withGenerations(
        [
          ...left.map((clientId, i) =>
            g({
              n: i + 1,
              state: 'Retiring',
              clientId,
              management: { uri: '', lost: true },
              ...('managementFallback' in more ? {} : { stillThere: 1, retireAfter: plus(noon, 91 * day) }),
            }),
          ),
          g({ n: left.length + 1, since: noon }),
        ],
        { variant: 'NewClient', observed: { ...sound, at: plus(noon, 90 * day) } },
      ),
    }),
    now: plus(noon, 90 * day),
    ...(row === 'due'
      ? { action: { type: 'Plan' as const, generation: 3, variant: 'NewClient' as const } }
      : row === 'retire'
        ? { action: { type: 'Observe' as const } }
        : { reason: 'RegistrationAccessTokenLost' as const }),
  })),
  {
    row: 'due',
    title: 'a rotation that was missed by an hour comes when its turn does',
    s: snapshot({ jitter: 0.5 }),
    now: plus(noon, 90 * day + 90 * minute),
    action: { type: 'Plan', generation: 2 },
  },
  {
    row: 'due',
    title: 'a rotation that waited for the window comes in the first turn of it',
    s: snapshot({ window: { is: 'Open', since: plus(noon, 95 * day), length: 2 * hour } }),
    now: plus(noon, 95 * day),
    action: { type: 'Plan', generation: 2 },
  },
  {
    row: 'due',
    title: 'another method that is not allowed holds no rotation back: the credential is replaced as it is',
    s: snapshot(wanting({ authentication: 'ClientSecretBasic' })),
    now: plus(noon, 91 * day),
    action: { type: 'Plan', variant: 'TwoKeys' },
  },

  {
    row: 'expiring',
    title: 'a third of the life of a secret is left: it is replaced',
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
    title: 'another method that only a new client can take makes a new client',
    s: snapshot(wanting({ authentication: 'ClientSecretBasic', allowSubjectChange: true })),
    action: { type: 'Plan', variant: 'NewClient' },
  },
  {
    row: 'settled',
    title: 'another method that is not allowed: nothing is changed, it is said',
    s: snapshot(wanting({ authentication: 'ClientSecretBasic' })),
    reason: 'RotationUnsupported',
  },

  {
    row: 'again',
    title:
      'a rotation that somebody asked for comes with the next key when the one of the wrong algorithm was given up',
    s: snapshot({ record: withGenerations([g()], { rollbacks: { count: 1, at: noon } }), keyAlgorithm: 'RS256' }),
    now: plus(noon, 5 * minute),
    action: { type: 'Plan' },
  },
  {
    row: 'again',
    title: 'the last new credential was taken back: the next one comes after the pause',
    s: snapshot({ record: withGenerations([g()], { highest: 2, rollbacks: { count: 2, at: noon } }) }),
    now: plus(noon, 10 * minute),
    action: { type: 'Plan', generation: 3 },
  },
  {
    row: 'settled',
    title: 'the last new credential was taken back: the next one does not come before the pause is over',
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
  ...(
    [
      ['is refused: an hour', { ...refusedTwice }, hour, 'again'],
      [
        'expires: half of what is left of its life',
        { since: plus(noon, -9 * hour), credential: expiresIn(hour) },
        30 * minute,
        'expiring-soon',
      ],
    ] as const
  ).flatMap(([title, old, pause, row]) => {
    const s = snapshot({
      ...able({ variants: ['NewClient'] }),
      ...wanting({ allowSubjectChange: true, authentication: g(old).credential.type }),
      record: withGenerations([g(old)], { variant: 'NewClient', highest: 9, rollbacks: { count: 9, at: noon } }),
    });
    return [
      {
        row,
        title: `new credentials never worked, and the old one ${title}, then the next`,
        s,
        now: plus(noon, pause),
        action: { type: 'Plan' as const, generation: 10 },
      },
      {
        ...(row === 'again'
          ? { row: 'not-accepted' as const, action: { type: 'Prove' as const, generation: 1 } }
          : { row: 'settled' as const, reason: 'CredentialCurrent' as const, recheckAt: plus(noon, pause) }),
        title: `new credentials never worked, and the old one ${title}, not sooner`,
        s,
        now: plus(noon, pause - 1),
      },
    ];
  }),
  {
    row: 'settled',
    title: 'the last new client was given less: where the old one works the next one waits',
    s: snapshot({ record: withGenerations([g()], { variant: 'NewClient', highest: 2, rollbacks: givenLess }) }),
    now: plus(noon, minute),
    reason: 'CredentialCurrent',
  },
  {
    row: 'again',
    title: 'the clock was set back by a day: a pause that begins in a day holds up no rotation',
    s: snapshot({ record: withGenerations([g()], { highest: 2, rollbacks: { count: 2, at: plus(noon, day) } }) }),
    action: { type: 'Plan', generation: 3 },
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
    row: 'refused',
    title: 'the client is there and refuses its key: another one is planned',
    s: snapshot({ record: withGenerations([g({ ...refusedTwice })]) }),
    action: { type: 'Plan', generation: 2 },
    lane: lanes.Renew,
  },
  {
    row: 'refused',
    title: 'a clock that went ahead wrote down the refusal: a look since then counts, and is not made again and again',
    s: snapshot({ record: withGenerations([g({ refusedAt: plus(noon, hour), refusedAgain: true })]) }),
    action: { type: 'Plan', generation: 2 },
  },
  {
    row: 'refused',
    title: 'the clock of the leader before was ahead by less than clocks may differ: one look is enough as well',
    s: snapshot({ record: withGenerations([g({ refusedAt: plus(noon, 90 * second), refusedAgain: true })]) }),
    action: { type: 'Plan', generation: 2 },
  },
  ...(['Draining', 'Retiring'] as const).map((state) => ({
    row: 'refused',
    title: `a refused Current does not wait for an old one that is ${state} for ever`,
    s: snapshot({
      record: withGenerations([g({ state, retireAfter: plus(noon, 30 * day) }), g({ n: 2, ...refusedTwice })]),
    }),
    action: { type: 'Plan' as const, generation: 3 },
  })),
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
];
