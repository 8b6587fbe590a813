import test from 'ava';
import { day, instant, minute, plus, second } from '#src/clock.ts';
import { type Observed, readyChecks, watchHealth } from '#src/controllers/telling/readiness.ts';

const now = instant(Date.UTC(2026, 10, 24, 12));
const issuer = 'https://idp.example.com';
const synced = { synced: true, lastEventAt: now } as const;
const lost = { synced: false, message: 'API server: list pods: 403' } as const;

const fine: Observed = {
  core: [['identitypools', synced]],
  pods: [['pods/ci-payments', synced]],
  troubles: [],
  guard: { is: 'Intact', since: now },
  leads: true,
  credentials: { issuers: () => [issuer], expiries: () => [], clockOffsets: () => [] },
  now,
};
const allWell = ['ok watch identitypools', 'ok audit stream'];

function lines(observed: Partial<Observed>): readonly string[] {
  return readyChecks({ ...fine, ...observed }).map(({ name, ok, message, note }) =>
    ok ? (note === undefined ? `ok ${name}` : `ok ${name}, but: ${note}`) : `not ok ${name}: ${message ?? ''}`,
  );
}

const table: readonly (readonly [what: string, observed: Partial<Observed>, says: readonly string[]])[] = [
  ['all is well', {}, allWell],
  [
    'a watch that everything needs was never read',
    { core: [['identitypools', { synced: false }]] },
    ['not ok watch identitypools: not read completely yet', 'ok audit stream'],
  ],
  [
    'the rights in one namespace are missing: the others are served',
    { pods: [...fine.pods, ['pods/ci-web', lost]] },
    [...allWell, 'ok watch pods/ci-web, but: API server: list pods: 403'],
  ],
  [
    'the audit stream is blocked',
    { auditTrouble: 'full disk' },
    ['ok watch identitypools', 'not ok audit stream: full disk'],
  ],
  [
    'the API server refuses what the operator has to do: pods wait, and no restart heals it',
    { refused: { at: now, message: 'API server: create subjectaccessreviews is refused (403)' } },
    [
      ...allWell,
      'ok API server, but: refused at 2026-11-24T12:00:00Z: API server: create subjectaccessreviews is refused (403)',
    ],
  ],
  [
    'a leader that does not trust the admission policies yet',
    { guard: { is: 'Unknown' } },
    [
      ...allWell,
      'ok admission policies, but: the policies have not been read yet, or became whole only now: new pods get no token',
    ],
  ],
  [
    'a standby, which sends no probe and gives nothing to pods',
    { guard: { is: 'Unknown' }, leads: false },
    [...allWell, 'ok admission policies, but: this replica does not lead; the one that does judges them'],
  ],
  [
    'the admission policies were edited',
    { guard: { is: 'Missing', objects: ['ValidatingAdmissionPolicy use.ci-identity.dev (edited)'] } },
    [
      ...allWell,
      'ok admission policies, but: nothing is minted: ValidatingAdmissionPolicy use.ci-identity.dev (edited)',
    ],
  ],
  [
    'a provider that was away and is not configured any more',
    { troubles: [['https://old.example.com/tokens', { up: false, since: now, retryAt: now, message: 'refused' }]] },
    allWell,
  ],
  [
    'a provider is away',
    {
      troubles: [
        [`${issuer}/tokens`, { up: false, since: plus(now, -minute), retryAt: plus(now, minute), message: 'refused' }],
      ],
    },
    [
      ...allWell,
      `ok provider ${issuer}/tokens, but: paused since 2026-11-24T11:59:00Z, next try 2026-11-24T12:01:00Z: refused`,
    ],
  ],
  [
    'a certificate ends in a week, another has ended, a third is far',
    {
      credentials: {
        ...fine.credentials,
        expiries: () => [
          { issuer, credential: 'CaBundle', at: plus(now, 7 * day) },
          { issuer, credential: 'TlsCertificate', at: plus(now, -day) },
          { issuer, credential: 'RegistrationToken', at: plus(now, 90 * day) },
        ],
      },
    },
    [
      ...allWell,
      `ok CaBundle of ${issuer}, but: expires at 2026-12-01T12:00:00Z; renew it`,
      `ok TlsCertificate of ${issuer}, but: expired at 2026-11-23T12:00:00Z; renew it`,
    ],
  ],
  [
    'clocks that differ',
    {
      credentials: {
        ...fine.credentials,
        clockOffsets: () => [
          [issuer, -5 * minute],
          ['kubernetes', 2 * second],
        ],
      },
    },
    [...allWell, `ok clock of ${issuer}, but: 5m behind ours; compare both with a time server`],
  ],
];

for (const [what, observed, says] of table) test(what, (t) => t.deepEqual(lines(observed), says));

test('watches of pods are told as the worst of them: names of namespaces are no labels', (t) => {
  const pods = [
    ['pods/a', { synced: true, lastEventAt: plus(now, -minute) }],
    ['pods/b', { synced: false, lastEventAt: plus(now, -second) }],
  ] as const;
  t.deepEqual(watchHealth([['nodes', synced]], pods), [
    { name: 'nodes', synced: true, lastEventAt: now },
    { name: 'pods', synced: false, lastEventAt: plus(now, -minute) },
  ]);
  t.deepEqual(watchHealth([], []), [{ name: 'pods', synced: true }]);
});
