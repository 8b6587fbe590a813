import { suspended } from '#test/support/builders.ts';
import test from 'ava';
import type { IdentityPool, IdentityPoolStatus } from '#src/api/v1alpha1/identity-pool.ts';
import { day, instant, minute, plus, type Instant } from '#src/clock.ts';
import { idOfText } from '#src/domain/client/requests.ts';
import { decidePool, poolStatus } from '#src/domain/status/pool.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import type { ClientFailure, ClientView, PoolFacts } from '#src/domain/status/pool-facts.ts';
import { Redacted } from '#src/redacted.ts';
import { pool } from '../access/objects.ts';
import { brokenInvariants } from './condition-invariants.ts';
import { brief, client, finalizers, generation, messageOf, now, poolFacts, record } from './facts.ts';
import { statusProblems } from './schema.ts';

/** The provider is ahead of the record. */
const { management: _given, ...unmanaged } = record();
const restoredRecord = record({ observed: { is: 'Present', at: now, drift: ['client_name', 'jwks'], generation: 7 } });

const problemsWith = statusProblems('identitypools.yaml');

const own = ['Registered', 'CredentialCurrent', 'RegistrationCredentialValid', 'Authenticating'];
const failure = (reason: ClientFailure['reason'], terminal = false): ClientFailure => ({
  reason,
  terminal,
  message: `it fails with ${reason}. Do something.`,
});
const { record: _none, ...unregistered } = client();
const { nextRotation: _never, ...unscheduled } = client();
const deleted = pool({}, { finalizers, generation: 4, deletionTimestamp: '2026-11-24T11:00:00Z' });
const { record: _, ...unknown } = client({ wanted: false });
const unreadable = { ...unknown, unreadable: true, failure: failure('RecordInvalid', true) } as const;
const outage = { reason: 'TlsInvalid', message: 'issuer x: its certificate is not accepted.', since: now } as const;
const good =
  'Registered=True/Registered CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid';

const theirClient = (more: Partial<ClientRecord> = {}): ClientView =>
  client({ record: record({ generations: [{ ...generation(1, 'Current'), source: 'one' }], ...more }) });
const theirs = {
  pool: pool(
    { client: { existing: { clientId: 'jenkins', credentialRef: { name: 'jenkins', key: 'key' } } } },
    { finalizers, generation: 4 },
  ),
  existing: { is: 'Usable', credential: generation(1, 'Current').credential, source: 'one' },
  rotateEvery: 90 * day,
  clients: [theirClient()],
} as const satisfies Partial<PoolFacts>;
const other = { ...theirs.existing, source: 'two' };
const missing = {
  is: 'Unusable',
  reason: 'CredentialMissing',
  message: 'Secret x does not exist. Create it.',
} as const;

const cases: readonly (readonly [what: string, facts: Partial<PoolFacts>, conditions: string])[] = [
  ['everything works', {}, `Ready=True/Ready ${good}`],
  ['no client is needed yet', { clients: [] }, `Ready=True/Ready ${good}`],
  ['nobody gets tokens from the issuer', { outage }, `Ready=False/TlsInvalid ${good} Reconciling=True/TlsInvalid`],
  ['nor would they be issued: stopped', { outage, stop: suspended }, `Ready=True/Suspended ${good}`],
  [
    'first registration',
    { clients: [unregistered] },
    'Ready=False/Registering Registered=False/Registering CredentialCurrent=False/CredentialUnverified RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/Registering',
  ],
  [
    'planned, not registered',
    { clients: [client({ record: record({ generations: [generation(1, 'Planned')] }) })] },
    'Ready=False/Registering Registered=False/Registering CredentialCurrent=False/CredentialUnverified RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/Registering',
  ],
  [
    'created, not proven',
    { clients: [client({ record: record({ generations: [generation(1, 'Created')] }) })] },
    'Ready=False/CredentialUnverified Registered=True/Registered CredentialCurrent=False/CredentialUnverified RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/CredentialUnverified',
  ],
  [
    'one of two clients is missing',
    { clients: [client({ owner: 'namespace a' }), { ...unregistered, owner: 'namespace b' }] },
    'Ready=False/Registering Registered=False/Registering CredentialCurrent=False/CredentialUnverified RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/Registering',
  ],
  [
    'a rotation is under way',
    { clients: [client({ record: record({ generations: [generation(1, 'Draining'), generation(2, 'Current')] }) })] },
    `Ready=True/Ready ${good}`,
  ],
  [
    'the provider refuses to register',
    { clients: [{ ...unregistered, failure: failure('RegistrationRefused', true) }] },
    'Ready=False/RegistrationRefused Registered=False/RegistrationRefused CredentialCurrent=False/RegistrationRefused RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/RegistrationRefused',
  ],
  [
    'the provider is away before the first client',
    { clients: [{ ...unregistered, failure: failure('ProviderUnavailable') }] },
    'Ready=False/ProviderUnavailable Registered=False/ProviderUnavailable CredentialCurrent=False/ProviderUnavailable RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/ProviderUnavailable',
  ],
  [
    'the provider is away while everything is there',
    { clients: [client({ failure: failure('ProviderUnavailable') })] },
    `Ready=True/Ready ${good}`,
  ],
  [
    'the registration credential is refused before the first client',
    { clients: [{ ...unregistered, failure: failure('RegistrationCredentialRefused', true) }] },
    'Ready=False/RegistrationCredentialRefused Registered=False/RegistrationCredentialRefused CredentialCurrent=False/RegistrationCredentialRefused RegistrationCredentialValid=False/RegistrationCredentialRefused Authenticating=False/RegistrationCredentialRefused Stalled=True/RegistrationCredentialRefused',
  ],
  [
    'the registration credential is used up, but nothing needs it',
    { registrationCredential: 'Missing' },
    'Ready=True/Ready Registered=True/Registered CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=False/RegistrationCredentialMissing',
  ],
  [
    'no registration credential is needed',
    { registrationCredential: 'NotNeeded' },
    'Ready=True/Ready Registered=True/Registered CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/NotNeeded',
  ],
  [
    'the provider refuses the credential',
    { clients: [client({ record: record({ generations: [{ ...generation(1, 'Current'), refusedAt: now }] }) })] },
    'Ready=False/CredentialRefused Registered=True/Registered CredentialCurrent=False/CredentialRefused RegistrationCredentialValid=True/RegistrationCredentialValid Authenticating=False/CredentialRefused Reconciling=True/CredentialRefused',
  ],
  [
    'somebody deleted the client',
    { clients: [client({ record: record({ observed: { is: 'Gone', at: now, drift: [] } }) })] },
    'Ready=False/ClientGone Registered=False/ClientGone CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/ClientGone',
  ],
  [
    'somebody deleted the client, and a new one may be made',
    {
      pool: pool({ rotation: { allowSubjectChange: true } }, { finalizers, generation: 4 }),
      clients: [client({ record: record({ observed: { is: 'Gone', at: now, drift: [] } }) })],
    },
    'Ready=False/ClientGone Registered=False/ClientGone CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/ClientGone',
  ],
  [
    'somebody changed the client',
    { clients: [client({ record: record({ observed: { is: 'Present', at: now, drift: ['scope'] } }) })] },
    'Ready=True/Ready Registered=True/ClientDrifted CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid',
  ],
  [
    'the management token is lost',
    { clients: [client({ record: record({ managementLost: true }) })] },
    'Ready=True/Ready Registered=True/RegistrationAccessTokenLost CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Authenticating=False/RegistrationAccessTokenLost',
  ],
  [
    'the provider gives no token that manages its client, because it only registers clients',
    { clients: [client({ registersOnly: true, record: unmanaged })] },
    `Ready=True/Ready ${good}`,
  ],
  [
    'a scope came into the ceiling of a client that the provider does not change',
    { clients: [client({ registersOnly: true, record: unmanaged, lacks: ['artifacts:delete'] })] },
    'Ready=True/Ready Registered=True/ClientDrifted CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid',
  ],
  [
    'restored from a backup',
    { clients: [client({ record: restoredRecord })] },
    'Ready=False/RestoredState Registered=False/RestoredState CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/RestoredState',
  ],
  [
    'the rotation is a day late',
    { clients: [client({ nextRotation: plus(now, -day) })] },
    'Ready=False/RotationDue Registered=True/Registered CredentialCurrent=False/RotationDue RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/RotationDue',
  ],
  [
    'the rotation is a little late',
    { clients: [client({ nextRotation: plus(now, -day + 1) })] },
    `Ready=True/Ready ${good}`,
  ],
  [
    'an existing client, its credential proven',
    { ...theirs, registrationCredential: 'NotNeeded' },
    'Ready=True/Ready Registered=True/Registered CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/NotNeeded',
  ],
  [
    'an existing client whose Secret is missing from the beginning',
    { ...theirs, clients: [unregistered], existing: missing },
    'Ready=False/CredentialMissing Registered=True/Registered CredentialCurrent=False/CredentialMissing RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/CredentialMissing',
  ],
  [
    'an existing client whose Secret vanished: the copy mints',
    { ...theirs, existing: missing },
    'Ready=True/Ready Registered=True/Registered CredentialCurrent=True/CredentialMissing RegistrationCredentialValid=True/RegistrationCredentialValid',
  ],
  [
    'an existing client that another pool uses',
    {
      ...theirs,
      clients: [unregistered],
      existing: { is: 'Unusable', reason: 'ClientClaimed', message: 'it is used.' },
    },
    'Ready=False/ClientClaimed Registered=False/ClientClaimed CredentialCurrent=False/ClientClaimed RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/ClientClaimed',
  ],
  [
    'a first credential that is refused',
    {
      ...theirs,
      clients: [{ wanted: true, record: record({ generations: [], rollbacks: { count: 1, at: now, source: 'two' } }) }],
      existing: other,
    },
    'Ready=False/CredentialRefused Registered=True/Registered CredentialCurrent=False/CredentialRefused RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/CredentialRefused',
  ],
  [
    'a new credential that is refused: the one before mints',
    { ...theirs, clients: [theirClient({ rollbacks: { count: 1, at: now, source: 'two' } })], existing: other },
    'Ready=True/Ready Registered=True/Registered CredentialCurrent=True/CredentialRefused RegistrationCredentialValid=True/RegistrationCredentialValid',
  ],
  [
    'an existing credential that will be too old',
    { ...theirs, rotateEvery: 0 },
    'Ready=False/RotationDue Registered=True/Registered CredentialCurrent=False/RotationDue RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/RotationDue',
  ],
  [
    "somebody else's tag",
    { clients: [client({ record: record({ observed: { is: 'Present', at: now, drift: ['tag'], tag: 'x/y' } }) })] },
    'Ready=False/ClientForeign Registered=False/ClientForeign CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/ClientForeign',
  ],
  [
    'another method of authentication, which takes a new client',
    { pool: pool({ client: { authentication: 'ClientSecretBasic' } }, { finalizers, generation: 4 }) },
    'Ready=False/RotationUnsupported Registered=True/Registered CredentialCurrent=False/RotationUnsupported RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/RotationUnsupported',
  ],
  ['suspended', { stop: suspended }, `Ready=True/Suspended ${good}`],
  [
    'suspended before the first registration',
    { stop: suspended, clients: [unregistered] },
    'Ready=True/Suspended Registered=False/Suspended CredentialCurrent=False/Suspended RegistrationCredentialValid=True/RegistrationCredentialValid',
  ],
  [
    'the issuer is not configured',
    { issuerConfigured: false, clients: [unregistered] },
    'Ready=False/IssuerNotConfigured Registered=False/IssuerNotConfigured CredentialCurrent=False/IssuerNotConfigured RegistrationCredentialValid=True/RegistrationCredentialValid Stalled=True/IssuerNotConfigured',
  ],
  [
    'for people',
    { pool: pool({ purpose: 'Interactive' }, { finalizers, generation: 4 }), clients: [] },
    `Ready=False/NotBuilt ${good} Stalled=True/NotBuilt`,
  ],
  [
    'the guard is missing',
    { guard: { is: 'Missing', objects: ['use.ci-identity.dev'] } },
    `Ready=False/GuardMissing ${good} Reconciling=True/GuardMissing`,
  ],
  [
    'being deleted',
    { pool: deleted, clients: [client({ wanted: false })] },
    `Ready=False/Deregistering ${good} Reconciling=True/Deregistering`,
  ],
  [
    'being deleted, and the provider is away',
    { pool: deleted, clients: [client({ wanted: false, failure: failure('ProviderUnavailable') })] },
    `Ready=False/ProviderUnavailable ${good} Reconciling=True/ProviderUnavailable`,
  ],
  [
    'being deleted, and nobody can read what is known of its client',
    { pool: deleted, clients: [unreadable] },
    `Ready=False/RecordInvalid ${good} Reconciling=True/RecordInvalid`,
  ],
  [
    'being deleted, and nobody can delete its client any more',
    { pool: deleted, clients: [client({ wanted: true, record: record({ managementLost: true }) })] },
    'Ready=False/RegistrationAccessTokenLost Registered=True/RegistrationAccessTokenLost CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Authenticating=False/RegistrationAccessTokenLost Reconciling=True/RegistrationAccessTokenLost',
  ],
  [
    'being deleted, and the provider deletes no clients',
    { pool: deleted, clients: [client({ registersOnly: true, record: unmanaged })] },
    'Ready=False/RegistrationRefused Registered=True/RegistrationRefused CredentialCurrent=True/CredentialCurrent RegistrationCredentialValid=True/RegistrationCredentialValid Reconciling=True/RegistrationRefused',
  ],
  [
    'a client that is no longer wanted does not count',
    { clients: [client(), client({ wanted: false, failure: failure('RegistrationRefused', true) })] },
    `Ready=True/Ready ${good}`,
  ],
];

for (const [what, facts, conditions] of cases) {
  test(`pool: ${what}`, (t) => {
    const status = poolStatus(poolFacts(facts), now);
    t.is(brief(status), conditions);
    t.deepEqual(brokenInvariants(status, 4, own), []);
    t.deepEqual(problemsWith(status), []);
    for (const { message } of status.conditions ?? []) t.regex(message, /^IdentityPool ci-bots: \S.*\.$/);
    settles(t, poolFacts(facts));
  });
}

/** One write, and then nothing as long as the facts are the same, until the moment at which it wants to look again. */
function settles(t: { is(a: unknown, b: unknown): void }, facts: PoolFacts): void {
  const first = decidePool(facts, now);
  t.is(first.row, 'changed');
  const written = withStatus(facts.pool, first.action?.type === 'WriteStatus' ? first.action.status : {});
  t.is(decidePool({ ...facts, pool: written, writtenAt: now }, now).row, 'settled');
  t.is(decidePool({ ...facts, pool: written }, plus(first.recheckAt ?? plus(now, 30 * day), -1)).row, 'settled');
}

function withStatus(object: IdentityPool, status: IdentityPoolStatus): IdentityPool {
  return { ...object, status };
}

test('the numbers of a pool with one client', (t) => {
  t.like(poolStatus(poolFacts(), now), {
    observedGeneration: 4,
    clientId: 'ci-1234-ci-bots',
    clients: { total: 1, ready: 1 },
    credential: { generation: 1, since: '2026-11-24T12:00:00Z', nextRotation: '2027-02-22T12:00:00Z' },
    stableSubject: true,
    capabilities: {
      variants: ['TwoKeys'],
      clientIdBy: 'Provider',
      findByTag: false,
      revocation: 'Immediate',
      narrowsScopes: true,
    },
  });
});

test('of several clients: how many are ready, and the credential that is replaced next', (t) => {
  const soon = client({
    owner: 'namespace b',
    nextRotation: plus(now, day),
    record: record({ generations: [generation(7, 'Current')] }),
  });
  const status = poolStatus(
    poolFacts({
      pool: pool({ client: { per: 'Namespace' } }),
      clients: [client({ owner: 'namespace a' }), soon, { ...unregistered, owner: 'namespace c' }],
    }),
    now,
  );
  t.deepEqual(status.clients, { total: 3, ready: 2 });
  t.like(status.credential, { generation: 7, nextRotation: '2026-11-25T12:00:00Z' });
  t.false('clientId' in status);
  t.regex(messageOf(status, 'Registered'), /the client of namespace c is being registered/);
});

test('a new client for each rotation has no stable subject; orphans are counted', (t) => {
  const status = poolStatus(
    poolFacts({ clients: [client({ record: record({ variant: 'NewClient', possibleOrphans: 2 }) })] }),
    now,
  );
  t.false(status.stableSubject);
  t.is(status.clients?.possibleOrphans, 2);
});

test('why the Secret of an existing client cannot be read is said until it was', (t) => {
  const existing = { is: 'Unknown', message: 'Secret x cannot be read.' } as const;
  const says = (clients: readonly ClientView[]): string =>
    messageOf(poolStatus(poolFacts({ ...theirs, existing, clients }), now), 'CredentialCurrent');
  t.regex(says([unregistered]), /Secret x cannot be read/);
  t.notRegex(says([theirClient()]), /cannot be read/);
});

test('who stops it is listed, and said in the sentence', (t) => {
  const status = poolStatus(
    poolFacts({
      stop: {
        sources: [
          ...suspended.sources,
          { kind: 'ConfigMap', namespace: 'ci-identity-system', name: 'emergency-stop', by: 'presence' },
        ],
      },
    }),
    now,
  );
  t.deepEqual(status.stoppedBy, ['IdentityPool ci-bots (spec.suspend)', 'ConfigMap ci-identity-system/emergency-stop']);
  t.is(
    messageOf(status, 'Ready'),
    'IdentityPool ci-bots: stopped on purpose by IdentityPool ci-bots (spec.suspend) and by ConfigMap ci-identity-system/emergency-stop: no new tokens, and live ones are revoked. Remove what stops it to go on.',
  );
});

test('a failure names the client that fails', (t) => {
  const clients = [
    client({ owner: 'namespace a' }),
    { ...unregistered, owner: 'namespace b', failure: failure('RegistrationRefused', true) },
  ];
  t.is(
    messageOf(poolStatus(poolFacts({ clients }), now), 'Ready'),
    'IdentityPool ci-bots: client of namespace b: it fails with RegistrationRefused. Do something.',
  );
});

for (const length of [80, 100_000])
  test(`requests: an annotation of ${length} characters, more than the status takes, is done all the same`, (t) => {
    const id = 'INC-'.padEnd(length, '1');
    const asked = pool({}, { finalizers, annotations: { 'ci-identity.dev/rotate': id } });
    const [started] = poolStatus(poolFacts({ pool: asked }), now).requests ?? [];
    t.is(started?.id.length, 64);
    t.is(started?.outcome, 'InProgress');
    const clients = [client({ record: record({ handled: [idOfText(id)] }) })];
    t.is(poolStatus(poolFacts({ pool: asked, clients }), now).requests?.[0]?.outcome, 'Done');
  });

test('requests: seen, done when every client has handled it, the last five', (t) => {
  const asked = pool({ rotation: { request: 'INC-1' }, revokeRequest: 'INC-1' }, { finalizers, generation: 4 });
  const started = poolStatus(poolFacts({ pool: asked }), now).requests;
  const at = '2026-11-24T12:00:00Z';
  t.deepEqual(started, [
    { kind: 'Rotate', id: 'INC-1', at, outcome: 'InProgress' },
    { kind: 'Revoke', id: 'INC-1', at, outcome: 'InProgress' },
  ]);
  const half = poolFacts({
    pool: withStatus(asked, { requests: started ?? [] }),
    clients: [client({ record: record({ handled: ['INC-1'] }) }), client()],
  });
  t.deepEqual(poolStatus(half, plus(now, 60_000)).requests, started);
  const done = poolFacts({
    pool: withStatus(asked, { requests: started ?? [] }),
    clients: [client({ record: record({ handled: ['INC-1'] }) })],
  });
  t.deepEqual(
    poolStatus(done, plus(now, 60_000)).requests,
    started?.map((one) => ({
      ...one,
      outcome: 'Done' as const,
      doneAt: '2026-11-24T12:01:00Z',
      message: `${one.kind === 'Rotate' ? 'Generation 1 mints.' : 'No token from before the request is left.'} It took 1m.`,
    })),
  );

  let current = pool({}, { finalizers });
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const next = { ...current, metadata: { ...current.metadata, annotations: { 'ci-identity.dev/rotate': id } } };
    current = withStatus(next, poolStatus(poolFacts({ pool: next }), now));
  }
  t.deepEqual(
    current.status?.requests?.map(({ id }) => id),
    ['f', 'e', 'd', 'c', 'b'],
  );
});

for (const [what, partial, outcome] of [
  ['planned', { generations: [generation(1, 'Current'), generation(2, 'Planned')] }, 'InProgress'],
  ['created', { generations: [generation(1, 'Current'), generation(2, 'Created')] }, 'InProgress'],
  ['given up, to be tried again', { rollbacks: { count: 1, at: now } }, 'InProgress'],
  ['an emergency that is under way', { emergency: 2 }, 'InProgress'],
  [
    'an emergency whose credential mints',
    { emergency: 2, generations: [generation(1, 'Draining'), generation(2, 'Current')] },
    'Done',
  ],
  [
    'an emergency, and a credential that came after the one that it brought',
    { emergency: 2, generations: [generation(2, 'Draining'), generation(3, 'Current')] },
    'Done',
  ],
  ['minting, the old one drains', { generations: [generation(1, 'Draining'), generation(2, 'Current')] }, 'Done'],
] as const) {
  test(`a rotation that was asked for is ${outcome}: ${what}`, (t) => {
    const asked = pool({ rotation: { request: 'INC-1' } }, { finalizers });
    const clients = [client({ record: record({ handled: ['INC-1'], ...partial }) })];
    t.is(poolStatus(poolFacts({ pool: asked, clients }), now).requests?.[0]?.outcome, outcome);
  });
}

test('a request to revoke is not done because a rotation with the same id is', (t) => {
  const annotations = { 'ci-identity.dev/rotate': 'INC-1', 'ci-identity.dev/revoke': 'INC-1' };
  const asked = pool({}, { finalizers, annotations });
  const clients = [client({ record: record({ handled: ['Rotate INC-1'] }) })];
  t.deepEqual(
    poolStatus(poolFacts({ pool: asked, clients }), now).requests?.map(({ kind, outcome }) => [kind, outcome]),
    [
      ['Rotate', 'Done'],
      ['Revoke', 'InProgress'],
    ],
  );
});

test('an emergency whose credential nothing can replace: revoked is done, rotated is not, and it says what it waits for', (t) => {
  const asked = pool({ rotation: { request: 'leak-42' }, revokeRequest: 'leak-42' }, { finalizers });
  const clients = [client({ record: record({ handled: ['Revoke leak-42'], managementLost: true }) })];
  const requests = poolStatus(poolFacts({ pool: asked, clients }), now).requests ?? [];
  t.deepEqual(
    requests.map(({ kind, outcome }) => [kind, outcome]),
    [
      ['Rotate', 'InProgress'],
      ['Revoke', 'Done'],
    ],
  );
  t.regex(
    requests[0]?.message ?? '',
    /registration access token of the client .* rotation and deletion wait\. Make a new one/,
  );
});

test('restored from a backup: both generations are named, and what a person may do', (t) => {
  const status = poolStatus(poolFacts({ clients: [client({ record: restoredRecord })] }), now);
  t.regex(
    messageOf(status, 'Registered'),
    /knows credential generation 7 of the client, and our record only 1: .* or rotate with an emergency/,
  );
});

test('restored from a backup: a pool that is being deleted says what it waits for', (t) => {
  const deleted = pool({}, { finalizers, deletionTimestamp: '2026-11-24T11:00:00Z' });
  const facts = poolFacts({ pool: deleted, clients: [client({ wanted: false, record: restoredRecord })] });
  t.regex(brief(poolStatus(facts, now)), /^Ready=False\/RestoredState /);
  t.regex(messageOf(poolStatus(facts, now), 'Ready'), /deletionPolicy Retain/);
});

test('credential and management token are both refused: a restore from a backup is named as a cause, and what then keeps the client', (t) => {
  const refused = { ...generation(1, 'Current'), refusedAt: now, refusedAgain: true };
  const status = poolStatus(
    poolFacts({ clients: [client({ record: record({ generations: [refused], managementLost: true }) })] }),
    now,
  );
  t.regex(
    messageOf(status, 'Registered'),
    /deleted or disabled .* restored from a backup .* managementTokenRef .*retry/,
  );
});

test('the provider refuses the only credential: the pool has no client that is ready, and its sentence names a cause', (t) => {
  const refused = record({ generations: [{ ...generation(1, 'Current'), refusedAt: now }] });
  const status = poolStatus(poolFacts({ clients: [client({ record: refused })] }), now);
  t.is(status.clients?.ready, 0);
  t.regex(
    messageOf(status, 'Ready'),
    /no token can be had for the client at .*: it refuses the credential of the client/,
  );
});

test('a request to revoke is done when nothing from before it is left', (t) => {
  const asked = pool({ revokeRequest: 'INC-1' }, { finalizers });
  const of = (partial: Parameters<typeof record>[0]): string | undefined =>
    poolStatus(
      poolFacts({ pool: asked, clients: [client({ record: record({ handled: ['INC-1'], ...partial }) })] }),
      now,
    ).requests?.[0]?.outcome;
  t.is(of({ revoking: { id: 'INC-1', since: now } }), 'InProgress');
  t.is(of({ emergency: 2 }), 'InProgress');
  t.is(of({}), 'Done');
});

/** Each state of a rotation, as `kubectl describe` shows it. */
const inWords: readonly (readonly [what: string, view: Parameters<typeof client>[0], words: RegExp])[] = [
  [
    'planned',
    rotating('Planned'),
    /credential generation 2 is made and stored, the provider is told next; generation 1 mints since 2026-11-24T12:00:00Z\.$/,
  ],
  [
    'told',
    rotating('Planned', { intent: { call: 'Update', generation: 2, at: now } }),
    /the provider was told of credential generation 2 and its answer is awaited/,
  ],
  [
    'created',
    rotating('Created'),
    /the provider knows credential generation 2, which is now proven by a token request of its own/,
  ],
  [
    'refused so far',
    client({
      record: record({ generations: [generation(1, 'Current'), { ...generation(2, 'Created'), refusedAt: now }] }),
    }),
    /the provider refuses credential generation 2 so far; it is asked again/,
  ],
  [
    'draining, in its overlap',
    old('Draining', { retireAfter: plus(now, day) }),
    /generation 2 mints since .*; generation 1 stays until 2026-11-25T12:00:00Z at least, and until its last token has ended/,
  ],
  ['draining, tokens left', old('Draining', { retireAfter: now }), /generation 1 stays until its last token has ended/],
  [
    'draining, the clocks disagree',
    { ...old('Draining', { retireAfter: now }), clockUnsure: true },
    /generation 1 is not taken out while the clocks .* differ by more than a minute: synchronise them \(NTP\)/,
  ],
  ['retiring', old('Retiring', {}), /generation 1 is being taken out at the provider/],
  [
    'taken out',
    old('Retiring', { removedAt: now }),
    /generation 1 was taken out at the provider and is asked once more, which has to be refused/,
  ],
  [
    'taken out, and still accepted',
    old('Retiring', { retireAfter: plus(now, 5 * minute) }),
    /the provider said that generation 1 is taken out and still accepts it; that is asked for again at 2026-11-24T12:05:00Z\. If it stays so, remove it there by hand/,
  ],
  [
    'a client that nobody can remove',
    old('Retiring', {
      clientId: 'old',
      management: { uri: '', lost: true },
      stillThere: 1,
      retireAfter: plus(now, 5 * minute),
    }),
    /generation 1 still works at the provider and cannot be taken out there without a registration access token of its client; whether it is gone is asked again at 2026-11-24T12:05:00Z\. Remove it there by hand/,
  ],
  [
    'in place, planned, and the window has closed since',
    { ...rotating('Planned', { variant: 'InPlace' }), gapWaits: { until: plus(now, day) } },
    /the provider is told at 2026-11-25T12:00:00Z, when spec\.rotation\.window opens;/,
  ],
  [
    'in place, planned, and nobody knows the time zone of the window',
    { ...rotating('Planned', { variant: 'InPlace' }), gapWaits: {} },
    /is told once the time zone of spec\.rotation\.window is one that the operator knows/,
  ],
  [
    'in place, in an emergency',
    { ...rotating('Planned', { variant: 'InPlace', emergency: 2 }), gapWaits: {} },
    /is made and stored, the provider is told next/,
  ],
  [
    'in place, replaced',
    rotating('Created', { variant: 'InPlace' }),
    /ci-bots: rotation of the client: the provider replaced the secret by credential generation 2, and nothing can be minted before that is now proven/,
  ],
  [
    'held up',
    { ...rotating('Planned'), failure: failure('ProviderUnavailable') },
    /the next step is held up: it fails with ProviderUnavailable\. Do something\.$/,
  ],
  [
    'rolled back, because builds would have lost something',
    client({ record: record({ rollbacks: { count: 1, at: now, lacked: 'no scope a.' } }) }),
    /the last new credential was not given what the one before is given \(no scope a\) and was taken back, the one before goes on minting; the next try/,
  ],
  [
    'rolled back more than once',
    client({ record: record({ rollbacks: { count: 2, at: now, lacked: 'no scope a.' } }) }),
    /2 new credentials in a row were not given .* \(no scope a\) and were taken back/,
  ],
  [
    'rolled back where the one before was replaced in place',
    client({ record: record({ variant: 'InPlace', rollbacks: { count: 1, at: now } }) }),
    /was taken back, whether the one before still works is seen when it mints next; the next try comes by itself/,
  ],
  [
    'rolled back',
    client({ record: record({ rollbacks: { count: 3, at: now } }) }),
    /3 new credentials in a row never came to work .* not before 2026-11-24T12:20:00Z\.$/,
  ],
  [
    'an emergency',
    { ...rotating('Created', { emergency: 2, revoking: { id: 'INC-1', since: now } }) },
    /request INC-1 is being carried out: a new credential first, then every token from before is revoked/,
  ],
  [
    'revoking',
    client({ record: record({ revoking: { id: 'INC-1', since: now } }) }),
    /request INC-1 is being carried out: every token from before it is revoked/,
  ],
];

function rotating(state: 'Planned' | 'Created', more: Parameters<typeof record>[0] = {}): ReturnType<typeof client> {
  return client({ record: record({ generations: [generation(1, 'Current'), generation(2, state)], ...more }) });
}

function old(state: 'Draining' | 'Retiring', more: Partial<ReturnType<typeof generation>>): ReturnType<typeof client> {
  const generations = [{ ...generation(1, state), ...more }, generation(2, 'Current')];
  return client({ record: record({ generations }) });
}

for (const [what, view, words] of inWords) {
  test(`a rotation in words: ${what}`, (t) => {
    const status = poolStatus(poolFacts({ clients: [client(view)] }), now);
    t.regex(messageOf(status, 'CredentialCurrent'), words);
    t.regex(brief(status), /CredentialCurrent=True\/CredentialCurrent/);
    t.deepEqual(problemsWith(status), []);
  });
}

for (const [ignored, words] of [
  [
    'Text',
    /gave client_secret_expires_at as text, where RFC 7591 §3\.2\.1 has seconds since 1970\. Set spec\.rotation\.every/,
  ],
  ['Past', /as a moment that had passed when the secret came \(a duration, perhaps\)/],
  ['TooLarge', /\(in milliseconds, perhaps\)/],
] as const)
  test(`an expiry of a secret that nobody can go by is told: ${ignored}`, (t) => {
    const credential = { type: 'ClientSecretBasic', secret: new Redacted('s'), expiryIgnored: ignored } as const;
    const view = client({ record: record({ generations: [{ ...generation(1, 'Current'), credential }] }) });
    const asked = pool({ client: { authentication: 'ClientSecretBasic' } }, { finalizers });
    const status = poolStatus(poolFacts({ pool: asked, clients: [view] }), now);
    t.regex(messageOf(status, 'CredentialCurrent'), words);
    t.regex(brief(status), /CredentialCurrent=True\/CredentialCurrent/);
  });

for (const [state, words] of [
  ['Planned', /the provider is told when the pool is stopped no longer/],
  ['Created', /which is proven by a token request of its own when the pool is stopped no longer/],
] as const)
  test(`a rotation of a stopped pool waits, and an emergency does not: ${state}`, (t) => {
    const said = (more: Parameters<typeof record>[0]): string =>
      messageOf(
        poolStatus(poolFacts({ clients: [client(rotating(state, more))], stop: suspended }), now),
        'CredentialCurrent',
      );
    t.regex(said({}), words);
    t.notRegex(said({ emergency: 2 }), words);
  });

for (const [what, partial, words] of [
  [
    'an edit',
    {},
    /does not know the last edit of the pool and is set right at 2026-11-25T12:00:00Z, when spec\.rotation\.window opens/,
  ],
  [
    'drift',
    { record: record({ observed: { is: 'Present', at: now, drift: ['name'] } }) },
    /has another name and is set right at .* To have it now, take spec\.rotation\.window away .* or ask for an emergency/,
  ],
] as const)
  test(`${what} that costs the client its secret waits for the window, and the pool says until when`, (t) => {
    const view = client({ ...partial, changeWaits: true, gapWaits: { until: plus(now, day) } });
    const status = poolStatus(poolFacts({ clients: [view] }), now);
    t.regex(messageOf(status, 'Registered'), words);
    t.regex(brief(status), /Ready=True\/Ready Registered=True\/ClientDrifted/);
  });

test('a request that leaves a gap says that it waits for the window', (t) => {
  const asking = pool({ rotation: { request: 'a' } }, { finalizers });
  const said = (partial: Parameters<typeof client>[0]): string | undefined =>
    poolStatus(poolFacts({ pool: asking, clients: [client(partial)] }), now).requests?.[0]?.message;
  t.regex(
    said({ gapWaits: { until: plus(now, day) } }) ?? '',
    /so it begins at 2026-11-25T12:00:00Z, when spec\.rotation\.window opens; an emergency .* waits for no window/,
  );
  t.regex(said({ gapWaits: {}, registersAnew: true }) ?? '', /when its turn has come/, 'a new client leaves none');
});

test('a provider that only registers clients: what a person has to do, and no token that it does not have', (t) => {
  const view = { registersOnly: true, record: unmanaged } as const;
  const said = (facts: Parameters<typeof poolFacts>[0], condition: string): string =>
    messageOf(poolStatus(poolFacts(facts), now), condition);
  t.regex(
    said({ pool: deleted, clients: [client(view)] }, 'Ready'),
    /deletes no clients: delete ci-1234-ci-bots there by hand .*, and set spec\.deletionPolicy: Retain, with which the pool goes\./,
  );
  const wider = { clients: [client({ ...view, lacks: ['artifacts:delete'] })] };
  t.regex(
    said(wider, 'Registered'),
    /before artifacts:delete came into the ceiling.* Set spec\.rotation\.allowSubjectChange and a new spec\.rotation\.request/,
  );
  const rotated = { ...generation(1, 'Retiring'), clientId: 'old' };
  const generations = [rotated, { ...generation(2, 'Current'), clientId: 'new' }];
  const after = { clients: [client({ ...view, record: { ...unmanaged, variant: 'NewClient', generations } })] };
  t.regex(
    said(after, 'CredentialCurrent'),
    /generation 1 mints no more and still works at the provider, which deletes no clients: delete client old there by hand/,
  );
});

test('what stands in the way of a rotation is said long before it is due', (t) => {
  const said = (partial: Parameters<typeof client>[0]): string =>
    messageOf(poolStatus(poolFacts({ clients: [client(partial)] }), now), 'CredentialCurrent');
  t.regex(
    said({ unsupported: 'NeedsNewSubject' }),
    /by a new client only, whose subject \(sub\) is new .* Set spec\.rotation\.allowSubjectChange if that is all right\.$/,
  );
  const secret = { ...generation(1, 'Current'), credential: { type: 'ClientSecretBasic' as const } };
  const bySecret = poolFacts({
    pool: pool({ client: { authentication: 'ClientSecretBasic' } }, { finalizers }),
    clients: [client({ unsupported: 'NeedsNewSubject', record: record({ generations: [secret] }) })],
  });
  const noKeys = bySecret.clients.map((one) => ({ ...one, noKeys: true as const }));
  t.regex(messageOf(poolStatus({ ...bySecret, clients: noKeys }, now), 'CredentialCurrent'), /if that is all right\.$/);
  t.regex(
    messageOf(poolStatus(bySecret, now), 'CredentialCurrent'),
    /, or use spec\.client\.authentication PrivateKeyJwt/,
  );
  t.regex(
    said({ unsupported: 'NeedsWindow' }),
    /with a short gap only, and nothing says when that may be\. Declare spec\.rotation\.window/,
  );
  const zone = poolStatus(poolFacts({ clients: [{ ...unscheduled, unknownTimeZone: 'Europe/Berln' }] }), now);
  t.is(brief(zone).split(' ')[0], 'Ready=False/RotationWindowInvalid');
  t.regex(
    messageOf(zone, 'CredentialCurrent'),
    /the time zone Europe\/Berln of spec\.rotation\.window is not known .* \(requests and emergencies do\)/,
  );
});

test('a registration credential that expires is found weeks before', (t) => {
  const said = (days: number): string => {
    const status = poolStatus(poolFacts({ registrationExpires: plus(now, days * day) }), now);
    return `${brief(status).split(' ').at(-1) ?? ''} ${messageOf(status, 'RegistrationCredentialValid')}`;
  };
  t.regex(said(29), /True\/RegistrationCredentialValid /);
  t.regex(
    said(28),
    /True\/RegistrationCredentialExpiring .* expires at 2026-12-22T12:00:00Z\. Make a new one at https:/,
  );
  t.regex(
    said(-1),
    /False\/RegistrationCredentialExpiring .* expired at 2026-11-23T12:00:00Z\..* clients that exist go on without it/,
  );
});

test('a rotation that registers a client needs one more use of the registration credential, which only the provider can count', (t) => {
  const said = (clients: readonly ClientView[]): string =>
    messageOf(poolStatus(poolFacts({ clients }), now), 'RegistrationCredentialValid');
  const anew = { registersAnew: true };
  t.regex(
    said([client(anew), client({ ...anew, nextRotation: plus(now, day) })]),
    /not refused\. The rotation that is due at 2026-11-25T12:00:00Z registers a client with it: see at the provider that it may be used once more\.$/,
  );
  t.regex(said([client()]), /not refused\.$/, 'other rotations need none');
  t.regex(said([client({ ...anew, wanted: false })]), /not refused\.$/);
});

test('the gap of a rotation in place is shown', (t) => {
  t.is(poolStatus(poolFacts({ clients: [client({ record: record({ gap: 1_400 }) })] }), now).credential?.gap, '1s');
});

test('spec and annotation both ask; a request that is replaced before it began has failed', (t) => {
  const both = pool({ rotation: { request: 'a' } }, { finalizers, annotations: { 'ci-identity.dev/rotate': 'b' } });
  const started = poolStatus(poolFacts({ pool: both }), now);
  t.deepEqual(
    started.requests?.map(({ kind, id }) => `${kind} ${id}`),
    ['Rotate a', 'Rotate b'],
  );
  const changed = withStatus(pool({ rotation: { request: 'c' } }, { finalizers }), started);
  t.deepEqual(
    poolStatus(poolFacts({ pool: changed }), now).requests?.map(({ id, outcome }) => `${id} ${outcome}`),
    ['c InProgress', 'a Failed', 'b Failed'],
  );
});

test('a request that fails says why, and no longer when it goes on', (t) => {
  const asked = pool({ rotation: { request: 'INC-1' } }, { finalizers, generation: 4 });
  const held = poolStatus(
    poolFacts({ pool: asked, clients: [client({ failure: failure('ProviderUnavailable') })] }),
    now,
  );
  t.is(held.requests?.[0]?.message, 'it fails with ProviderUnavailable. Do something.');
  const waits =
    'it begins when its turn has come: rotations begin one after the other, as fast as the rate limit of the issuer allows.';
  t.is(poolStatus(poolFacts({ pool: withStatus(asked, held) }), now).requests?.[0]?.message, waits);
});

for (const [what, partial] of [
  ['the pool is stopped', { stop: suspended }],
  ['its client is gone', { clients: [client({ record: record({ observed: { is: 'Gone', at: now, drift: [] } }) })] }],
  ['there is no client yet', { clients: [unregistered] }],
  ['it is an emergency', { pool: pool({ rotation: { request: 'a' }, revokeRequest: 'a' }, { finalizers }) }],
] as const) {
  test(`a request does not say that it waits for its turn where ${what}`, (t) => {
    const asked = pool({ rotation: { request: 'a' } }, { finalizers });
    const { requests } = poolStatus(poolFacts({ pool: asked, ...partial } as Partial<PoolFacts>), now);
    t.is(requests?.[0]?.kind, 'Rotate');
    t.notRegex(requests?.[0]?.message ?? '', /its turn/);
  });
}

for (const [what, facts, row, action] of [
  ['a new pool gets the finalizer before anything else', { pool: pool() }, 'finalizer-missing', 'AddFinalizer'],
  [
    'finalizers of others do not count',
    { pool: pool({}, { finalizers: ['example.com/x'] }) },
    'finalizer-missing',
    'AddFinalizer',
  ],
  ['deleted, a record is left', { pool: deleted, clients: [client({ wanted: false })] }, 'changed', 'WriteStatus'],
  [
    'deleted, a record is left that nobody can read',
    { pool: deleted, clients: [unreadable] },
    'changed',
    'WriteStatus',
  ],
  ['deleted, nothing is left', { pool: deleted, clients: [] }, 'finalizer-done', 'RemoveFinalizer'],
  ['deleted, never registered', { pool: deleted, clients: [unregistered] }, 'finalizer-done', 'RemoveFinalizer'],
  [
    'deleted, our finalizer is gone already',
    { pool: pool({}, { finalizers: ['example.com/x'], deletionTimestamp: '2026-11-24T11:00:00Z' }), clients: [] },
    'leaving',
    undefined,
  ],
  [
    'deleted, but records are not read yet: the finalizer stays',
    { pool: deleted, clients: [], synced: false },
    'unknown',
    undefined,
  ],
  ['nothing is said before everything is read', { synced: false }, 'unknown', undefined],
  ['nothing is said before the guard is read', { guard: { is: 'Unknown' } }, 'unknown', undefined],
  [
    'the finalizer comes before the guard is read',
    { pool: pool(), guard: { is: 'Unknown' } },
    'finalizer-missing',
    'AddFinalizer',
  ],
] as const) {
  test(`pool decides: ${what}`, (t) => {
    const decision = decidePool(poolFacts(facts as Partial<PoolFacts>), now);
    t.is(decision.row, row);
    t.is(decision.action?.type, action);
  });
}

test('the words of a rotation wait until a step has lasted, of many clients not for ever; its new credential is told at once', (t) => {
  const written = (facts: PoolFacts): PoolFacts => {
    const { action } = decidePool(facts, now);
    return {
      ...facts,
      writtenAt: now,
      pool: withStatus(facts.pool, action?.type === 'WriteStatus' ? action.status : {}),
    };
  };
  const at = (seconds: number): Instant => instant(now + 1_000 * seconds);
  const atRest = written(poolFacts({ clients: [client()] }));
  const stepped = (seconds: number): PoolFacts => ({
    ...atRest,
    clients: [rotating('Planned', { intent: { call: 'Update', generation: 2, at: at(seconds) } })],
  });
  t.like(decidePool(stepped(3), at(3)), { row: 'words-later', recheckAt: at(15) });
  t.is(decidePool(stepped(3), at(15)).row, 'changed');
  t.is(decidePool(stepped(20), at(20)).row, 'words-later');
  const another = client({ owner: 'namespace b' });
  t.is(decidePool({ ...stepped(20), clients: [...stepped(20).clients, another] }, at(20)).row, 'changed');
  const switched = record({ generations: [generation(1, 'Draining'), { ...generation(2, 'Current'), since: at(3) }] });
  t.is(decidePool({ ...atRest, clients: [client({ record: switched })] }, at(3)).row, 'changed');
});

test('a first status that only says that work has begun waits until that has lasted; anything else is said at once', (t) => {
  const at = (seconds: number): Instant => instant(now + 1_000 * seconds);
  // As the CRD has it where nobody has written one.
  const pending = { type: 'Ready', status: 'Unknown', reason: 'Pending', message: '', lastTransitionTime: '' } as const;
  const pool = withStatus(poolFacts({}).pool, { conditions: [pending] });
  const begun = poolFacts({ pool, seenAt: now, clients: [unregistered] });
  t.like(decidePool(begun, at(1)), { row: 'first-later', recheckAt: at(12), reason: 'Registering' });
  t.is(decidePool(begun, at(12)).row, 'changed');
  const failing = { ...unregistered, failure: failure('ProviderUnavailable') };
  t.is(decidePool({ ...begun, clients: [failing] }, at(1)).row, 'changed');
  t.is(decidePool({ ...begun, clients: [client()] }, at(1)).row, 'changed');
  const said = withStatus(pool, poolStatus({ ...begun, clients: [client()] }, now));
  t.is(decidePool({ ...begun, pool: said }, at(1)).row, 'changed', 'it was ready before');
});

test('counts wait for their minute; a rotation that can become overdue is looked at then', (t) => {
  const facts = poolFacts({ clients: [client({ nextRotation: now })] });
  const pooled = withStatus(facts.pool, poolStatus(facts, now));
  t.is(decidePool({ ...facts, pool: pooled }, now).recheckAt, plus(now, day));
  const grown = { ...facts, pool: pooled, writtenAt: now, clients: [...facts.clients, { ...unscheduled }] };
  t.is(decidePool(grown, instant(now + 30_000) as Instant).row, 'counts-later');
  t.is(decidePool(grown, instant(now + 60_000) as Instant).row, 'counts');
});

test('an outage says since when, that live tokens stay good, and what the last call met', (t) => {
  t.is(
    messageOf(poolStatus(poolFacts({ outage }), now), 'Ready'),
    'IdentityPool ci-bots: no tokens since 2026-11-24T12:00:00Z: issuer x: its certificate is not accepted. Tokens that pods hold stay good until they expire.',
  );
});

test('a long pause for which the provider asked: the next try stands where people look', (t) => {
  const nextTry = plus(now, 10 * minute);
  const told = / Next try at 2026-11-24T12:10:00Z\./;
  t.regex(messageOf(poolStatus(poolFacts({ outage: { ...outage, nextTry } }), now), 'Ready'), told);
  const failure = { reason: 'RateLimited', message: 'too many calls.', terminal: false, nextTry } as const;
  const registering = client({ record: record({ generations: [] }), failure });
  t.regex(messageOf(poolStatus(poolFacts({ clients: [registering] }), now), 'Registered'), told);
});

test('one client of many that gets no tokens is named', (t) => {
  const alone = { ...outage, owner: 'namespace ci-payments' };
  t.regex(
    messageOf(poolStatus(poolFacts({ outage: alone }), now), 'Ready'),
    /^IdentityPool ci-bots: no tokens for the client of namespace ci-payments since 2026-11-24T12:00:00Z: issuer x/,
  );
});

test('an issuer that the configuration lists no more: what becomes of the tokens that pods hold', (t) => {
  const said = (clients: PoolFacts['clients']): string =>
    messageOf(poolStatus(poolFacts({ issuerConfigured: false, clients }), now), 'Ready');
  const live = / Tokens that pods hold stay good until they expire, and none of them is renewed or revoked\.$/;
  t.regex(said([client({})]), live);
  t.notRegex(said([unregistered]), live);
});

test('an issuer that is nearly one of the configuration is told which one', (t) => {
  const said = (partial: Partial<PoolFacts>): string =>
    messageOf(poolStatus(poolFacts({ issuerConfigured: false, ...partial }), now), 'Ready');
  const near = 'https://idp.example.com/realms/ci/';
  t.true(said({ nearIssuer: near }).includes(` of the operator (there is ${near}), so it is never called.`));
  t.true(said({}).includes(' of the operator, so it is never called.'));
});

test('a client that cannot be managed says so, for the reason that it has, unless the issuer has a credential for all', (t) => {
  const said = (partial: Partial<PoolFacts>): string => messageOf(poolStatus(poolFacts(partial), now), 'Registered');
  const given = [client({ record: unmanaged })];
  t.regex(
    said({ clients: given }),
    /token of the client ci-1234-ci-bots did not arrive with the answer of the provider: tokens are issued, rotation and deletion wait/,
  );
  t.regex(said({ clients: given }), /; where the provider makes none, give managementTokenRef of the issuer\.$/);
  t.regex(
    said({ clients: given, managementCredential: 'Missing' }),
    /; or create what managementTokenRef of the issuer names: the Secret or key that it names does not exist in the operator's namespace/,
  );
  t.regex(said({ clients: given, managementCredential: 'Present' }), /every client exists/);
  const theirs = [{ ...generation(1, 'Current'), source: 'one' }];
  t.regex(
    said({ clients: [client({ record: { ...unmanaged, variant: 'External', generations: theirs } })] }),
    /every client exists/,
  );
  const old = { ...generation(1, 'Retiring'), clientId: 'ci-old', management: { uri: '', lost: true } };
  t.regex(
    said({ clients: [client({ record: record({ generations: [old, generation(2, 'Current')] }) })] }),
    /token of the client ci-old was lost together with an answer: tokens are issued, what is left of an old client stays at the provider\. Make/,
  );
  const older = { ...old, clientId: 'ci-older' };
  t.regex(
    said({
      clients: [client({ record: record({ generations: [older, { ...old, n: 2 }, generation(3, 'Current')] }) })],
    }),
    /what is left of an old client stays at the provider, and only an emergency rotates before one of them is gone\. Make/,
  );
  t.regex(
    said({ clients: [client({ record: record({ managementLost: true }) })] }),
    /was lost together with an answer/,
  );
});

test('pool: another failure that quotes the audience of a token does not explain a refused credential', (t) => {
  const refused = record({ generations: [{ ...generation(1, 'Current'), refusedAt: now }] });
  const message =
    'issuer x – client management endpoint refuses the change (400). Asked was scope a, audience https://r.';
  const failure = { reason: 'RegistrationRefused', terminal: true, message } as const;
  const facts = poolFacts({ clients: [client({ record: refused, failure })] });
  t.is(poolStatus(facts, now).conditions?.find(({ type }) => type === 'Authenticating')?.reason, 'CredentialRefused');
});

test('pool: a new credential that is given less than the one before it is let in all the same', (t) => {
  const less = { ...generation(2, 'Created'), refusedAt: now, lacks: 'no scope a.' };
  const facts = poolFacts({ clients: [client({ record: record({ generations: [generation(1, 'Current'), less] }) })] });
  t.is(poolStatus(facts, now).conditions?.find(({ type }) => type === 'Authenticating')?.reason, 'Authenticated');
});

test('pool: what lost registrations may have left is told until somebody acknowledges exactly that', (t) => {
  const told = (possibleOrphans: number, acknowledgedOrphans: number) => {
    const clients = [client({ name: 'client-a', record: record({ possibleOrphans, acknowledgedOrphans }) })];
    const status = poolStatus(poolFacts({ clients }), now);
    const { reason, message = '' } = status.conditions?.find(({ type }) => type === 'Registered') ?? {};
    return { reason, message, count: status.clients?.possibleOrphans };
  };
  const one = told(1, 0);
  t.deepEqual([one.reason, one.count], ['OrphanPossible', 1]);
  t.regex(
    one.message,
    /^IdentityPool ci-bots: the answer to a registration was lost, so a client that nobody uses may be left at https:\S+\. Look there for software_id i\/pool-uid or the name ci-identity ci-bots, delete what is not in use \(in use is ci-1234-ci-bots\), and then run: kubectl annotate identitypool ci-bots --overwrite ci-identity\.dev\/acknowledge=orphans-[0-9a-f]{8}\.$/,
  );
  const acknowledged = told(1, 1);
  t.deepEqual([acknowledged.reason, acknowledged.count], ['Registered', undefined]);
  const more = told(3, 1);
  t.regex(more.message, /the answers to 2 registrations were lost, so as many clients/);
  t.not(/orphans-\w+/.exec(more.message)?.[0], /orphans-\w+/.exec(one.message)?.[0]);
});

test('pool: a client that the provider only said it deleted keeps the pool, and that is said with what to do', (t) => {
  const kept = { ...generation(1, 'Retiring'), stillThere: 2, retireAfter: plus(now, minute) };
  const facts = poolFacts({
    pool: pool({}, { finalizers, generation: 4, deletionTimestamp: '2026-11-24T11:00:00Z' }),
    clients: [client({ wanted: false, record: record({ generations: [kept] }) })],
  });
  const told = poolStatus(facts, now).conditions?.find(({ type }) => type === 'Ready');
  t.like(told, { status: 'False', reason: 'ProviderMisbehaves' });
  t.regex(
    told?.message ?? '',
    /^IdentityPool ci-bots: https:\S+ says that it deleted client ci-1234-ci-bots, and the client is still there\. Delete it there by hand, or set deletionPolicy: Retain, which leaves it\. It is asked again at 2026-11-24T12:01:00Z\.$/,
  );
});

test('pool: a registration that was answered with nothing usable: with what, and how the next one comes at once', (t) => {
  const rollbacks = { count: 1, at: now, unusable: '200 without a JSON object' };
  const given = record({ generations: [], possibleOrphans: 1, rollbacks });
  const status = poolStatus(poolFacts({ clients: [client({ name: 'client-a', record: given })] }), now);
  const told = status.conditions?.find(({ type }) => type === 'Ready');
  t.like(told, { status: 'False', reason: 'OrphanPossible' });
  t.regex(
    told?.message ?? '',
    /^IdentityPool ci-bots: the registration of the client was answered with nothing usable: 200 without a JSON object\. See at https:\S+ why, and whether something else answers in its place\. A client that nobody uses may be left there: delete the one with software_id i\/pool-uid or the name ci-identity ci-bots\. The next one is sent not before 2026-11-24T12:05:00Z, and at once after kubectl annotate /,
  );
});

test('pool: registrations of which nobody heard wait, and it is said what they may have left and how the next one comes at once', (t) => {
  const rollbacks = { count: 1, at: now };
  const given = record({ generations: [], possibleOrphans: 3, rollbacks });
  const status = poolStatus(poolFacts({ clients: [client({ name: 'client-a', record: given })] }), now);
  const told = status.conditions?.find(({ type }) => type === 'Ready');
  t.like(told, { status: 'False', reason: 'OrphanPossible' });
  t.regex(
    told?.message ?? '',
    /^IdentityPool ci-bots: several registrations of the client were not answered within 30 s, or with nothing usable: the log of the operator says with what \(message failed, machine client\)\. See at https:\S+ why\. Up to 3 clients that nobody uses are left there: delete those with software_id i\/pool-uid or the name ci-identity ci-bots\. The next one is sent not before 2026-11-24T12:05:00Z, and at once after kubectl annotate --overwrite identitypool ci-bots ci-identity\.dev\/retry="\$\(date \+%s\)"\.$/,
  );
});

for (const [what, changeHelps, ends] of [
  ['by the client', true, true],
  ['by the issuer, which is asked again soon', undefined, false],
] as const)
  test(`pool: a refusal that is met ${what} ${ends ? 'says when it is tried again, and how at once' : 'ends with its step'}`, (t) => {
    const refused = { ...failure('RegistrationRefused', true), ...(changeHelps === undefined ? {} : { changeHelps }) };
    const facts = poolFacts({ clients: [{ ...unregistered, failure: refused }] });
    const next =
      ' It is tried again within 10 min, and at once after kubectl annotate --overwrite identitypool ci-bots ci-identity.dev/retry="$(date +%s)".';
    const message = `IdentityPool ci-bots: it fails with RegistrationRefused. Do something.${ends ? next : ''}`;
    for (const type of ['Ready', 'Registered', 'Stalled']) t.is(messageOf(poolStatus(facts, now), type), message);
    const leaving = pool({}, { finalizers, deletionTimestamp: '2026-11-24T12:00:00Z' });
    const clients = [client({ failure: refused })];
    t.is(messageOf(poolStatus({ ...facts, pool: leaving, clients }, now), 'Ready'), message);
  });

for (const [who, more, sentence] of [
  [
    'somebody',
    {},
    'IdentityPool ci-bots: somebody changed the client at the provider (grantTypes, redirects); it is set back.',
  ],
  [
    'the provider itself, asked again',
    { ownDrift: 'd1', updatedAt: plus(now, -day) },
    'IdentityPool ci-bots: the provider keeps the client otherwise than it is asked to (grantTypes, redirects), whatever is sent; tokens are issued. See there whether that may stay.',
  ],
  [
    'the provider itself, just asked',
    { updatedAt: now },
    'IdentityPool ci-bots: the provider keeps the client otherwise than it is asked to (grantTypes, redirects), whatever is sent; tokens are issued. See there whether that may stay.',
  ],
] as const)
  test(`pool: what differs at the provider was changed by ${who}`, (t) => {
    const observed = { is: 'Present', at: now, drift: ['grantTypes', 'redirects'], driftDigest: 'd1' } as const;
    const facts = poolFacts({ clients: [client({ record: record({ observed, updatedAt: plus(now, -1), ...more }) })] });
    const registered = poolStatus(facts, now).conditions?.find(({ type }) => type === 'Registered');
    t.like(registered, { status: 'True', reason: 'ClientDrifted', message: sentence });
  });

test('pool: a refused credential has its likely cause and the next step in one condition', (t) => {
  const observed = { is: 'Present', at: now, drift: ['jwks'] } as const;
  const refused = record({ generations: [{ ...generation(1, 'Current'), refusedAt: now }], observed });
  const facts = poolFacts({ clients: [client({ record: refused })] });
  const condition = poolStatus(facts, now).conditions?.find(({ type }) => type === 'Authenticating');
  t.like(condition, { status: 'False', reason: 'ClientDrifted' });
  t.is(
    condition?.message,
    'IdentityPool ci-bots: issuer https://idp.example.com/realms/ci does not let us in, and the likely cause is: the client was changed there by somebody else (jwks). The operator sets it back; find out who changes it.',
  );
  const fine = poolStatus(poolFacts({}), now).conditions?.find(({ type }) => type === 'Authenticating');
  t.like(fine, { status: 'True', reason: 'Authenticated' });
});
