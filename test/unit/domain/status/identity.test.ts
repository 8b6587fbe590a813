import { suspended } from '#test/support/builders.ts';
import test from 'ava';
import { day, hour, plus, second } from '#src/clock.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import type { ClientFailure } from '#src/domain/status/pool-facts.ts';
import { decideIdentity, identityStatus } from '#src/domain/status/identity.ts';
import type { IdentityFacts } from '#src/domain/status/identity-facts.ts';
import { accessOf, charts, identity, policy, pool, registry, rule, seen, twoAudiences } from '../access/objects.ts';
import { brokenInvariants } from './condition-invariants.ts';
import { brief, client, generation, hash, identityFacts, later, messageOf, now, proven, record } from './facts.ts';
import { statusProblems } from './schema.ts';

const refusedRecord = { ...proven, generations: [{ ...generation(1, 'Current'), refusedAt: now }] };

const problemsWith = statusProblems('ciidentities.yaml');

const own = ['Authorized', 'Probed', 'Issuing', 'Exclusive'];
const failure = (reason: ClientFailure['reason'], terminal = false): ClientFailure => ({
  reason,
  terminal,
  message: `the provider fails with ${reason}. Do something.`,
});
const { record: _none, ...unregistered } = client();
const refused = (lasting: boolean) =>
  seen(
    client({
      record: record({
        proofs: {
          [hash]: {
            outcome: 'Refused',
            at: now,
            generation: 1,
            lasting,
            message: 'the provider refuses scope artifacts:publish. Make it an optional client scope.',
          },
        },
      }),
    }),
  );
const denied = seen(accessOf({ policies: seen([]) }));
const named = (scopes: readonly string[]): Partial<IdentityFacts> => {
  const who = identity({ scopes }, { generation: 2 });
  const access = accessOf({ identity: who });
  const proofs =
    access.is === 'Granted' ? { [access.hash]: { outcome: 'Accepted' as const, at: now, generation: 1 } } : {};
  return { identity: who, access: seen(access), client: seen(client({ record: record({ proofs }) })) };
};

test('a generation is only ever compared for being another: a smaller one is news as well', (t) => {
  for (const [before, after] of [
    [7, 1],
    [Number.MAX_SAFE_INTEGER, 1],
    [1, Number.MAX_SAFE_INTEGER],
  ] as const) {
    const told = identityStatus(identityFacts({ identity: identity({}, { generation: before }) }), now);
    const anew = { ...identity({}, { generation: after }), status: told };
    const { action } = decideIdentity(identityFacts({ identity: anew, writtenAt: now }), later);
    const written = action?.type === 'WriteStatus' ? action.status : undefined;
    t.is(written?.observedGeneration, after);
    t.true(written?.conditions?.every(({ observedGeneration }) => observedGeneration === after));
  }
});

/** So many others of the same client were proven, all of them before this identity's turn. */
const proofsOf = (count: number): ClientRecord['proofs'] =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`!${i}`, { outcome: 'Accepted', at: now, generation: 1 }] as const),
  );

const cases: readonly (readonly [what: string, facts: Partial<IdentityFacts>, conditions: string])[] = [
  [
    'everything works',
    {},
    'Ready=True/Ready Authorized=True/Authorized Probed=True/Probed Issuing=True/Issuing Exclusive=True/Exclusive',
  ],
  [
    'no rule',
    { access: denied },
    'Ready=False/NoRule Authorized=False/NoRule Probed=Unknown/NothingGranted Issuing=False/NoRule Exclusive=True/Exclusive Stalled=True/NoRule',
  ],
  [
    'no pool yet',
    { access: seen(accessOf({ pool: { is: 'Gone' } })), client: { is: 'Gone' } },
    'Ready=False/PoolMissing Authorized=False/PoolMissing Probed=Unknown/NothingGranted Issuing=False/PoolMissing Exclusive=True/Exclusive Reconciling=True/PoolMissing',
  ],
  [
    'the issuer is not in the configuration',
    { access: seen(accessOf({ issuerConfigured: false })) },
    'Ready=False/IssuerNotConfigured Authorized=False/IssuerNotConfigured Probed=Unknown/NothingGranted Issuing=False/IssuerNotConfigured Exclusive=True/Exclusive Stalled=True/IssuerNotConfigured',
  ],
  [
    'not probed yet',
    { client: seen(client()) },
    'Ready=Unknown/Probing Authorized=True/Authorized Probed=Unknown/Probing Issuing=True/Issuing Exclusive=True/Exclusive Reconciling=True/Probing',
  ],
  [
    'more is asked of its client than is tried ahead',
    { client: seen(client({ record: record({ proofs: proofsOf(256) }) })) },
    'Ready=True/Ready Authorized=True/Authorized Probed=Unknown/NotProbed Issuing=True/Issuing Exclusive=True/Exclusive',
  ],
  [
    'hardly less is asked of its client than is tried ahead',
    { client: seen(client({ record: record({ proofs: proofsOf(255) }) })) },
    'Ready=Unknown/Probing Authorized=True/Authorized Probed=Unknown/Probing Issuing=True/Issuing Exclusive=True/Exclusive Reconciling=True/Probing',
  ],
  [
    'the client is being registered',
    { client: seen(unregistered) },
    'Ready=False/WaitingForClient Authorized=True/Authorized Probed=Unknown/WaitingForClient Issuing=False/WaitingForClient Exclusive=True/Exclusive Reconciling=True/WaitingForClient',
  ],
  [
    'the client waits for its proof',
    { client: seen(client({ record: record({ generations: [generation(1, 'Created')] }) })) },
    'Ready=False/WaitingForClient Authorized=True/Authorized Probed=Unknown/WaitingForClient Issuing=False/WaitingForClient Exclusive=True/Exclusive Reconciling=True/WaitingForClient',
  ],
  [
    'the provider refuses the only credential of the client',
    { client: seen(client({ record: refusedRecord })) },
    'Ready=False/CredentialRefused Authorized=True/Authorized Probed=True/Probed Issuing=False/CredentialRefused Exclusive=True/Exclusive Reconciling=True/CredentialRefused',
  ],
  [
    'the client cannot be registered',
    { client: seen({ ...unregistered, failure: failure('RegistrationRefused', true) }) },
    'Ready=False/RegistrationRefused Authorized=True/Authorized Probed=Unknown/WaitingForClient Issuing=False/RegistrationRefused Exclusive=True/Exclusive Stalled=True/RegistrationRefused',
  ],
  [
    'the provider is away before the first client',
    { client: seen({ ...unregistered, failure: failure('ProviderUnavailable') }) },
    'Ready=False/ProviderUnavailable Authorized=True/Authorized Probed=Unknown/WaitingForClient Issuing=False/ProviderUnavailable Exclusive=True/Exclusive Reconciling=True/ProviderUnavailable',
  ],
  [
    'a rotation fails while the client works',
    {
      client: seen(
        client({
          record: record({ proofs: { [hash]: { outcome: 'Accepted', at: now, generation: 1 } } }),
          failure: failure('RegistrationRefused', true),
        }),
      ),
    },
    'Ready=True/Ready Authorized=True/Authorized Probed=True/Probed Issuing=True/Issuing Exclusive=True/Exclusive',
  ],
  [
    'the provider refuses the scope for good',
    { client: refused(true) },
    'Ready=False/ScopeRefused Authorized=True/Authorized Probed=False/ScopeRefused Issuing=False/ScopeRefused Exclusive=True/Exclusive Stalled=True/ScopeRefused',
  ],
  [
    'the provider refuses the scope for now',
    { client: refused(false) },
    'Ready=False/ScopeRefused Authorized=True/Authorized Probed=False/ScopeRefused Issuing=True/Issuing Exclusive=True/Exclusive Reconciling=True/ScopeRefused',
  ],
  [
    'mints fail for now',
    { failure: failure('ProviderUnavailable') },
    'Ready=False/ProviderUnavailable Authorized=True/Authorized Probed=True/Probed Issuing=False/ProviderUnavailable Exclusive=True/Exclusive Reconciling=True/ProviderUnavailable',
  ],
  [
    'mints fail for good',
    { failure: failure('LifetimeTooLong', true) },
    'Ready=False/LifetimeTooLong Authorized=True/Authorized Probed=True/Probed Issuing=False/LifetimeTooLong Exclusive=True/Exclusive Stalled=True/LifetimeTooLong',
  ],
  [
    'tokens live too short',
    { shortLifetime: 60 * second },
    'Ready=True/Ready Authorized=True/Authorized Probed=True/TokenLifetimeTooShort Issuing=True/Issuing Exclusive=True/Exclusive',
  ],
  [
    'suspended',
    { stop: { sources: [{ kind: 'CiIdentity', namespace: 'ci-payments', name: 'publisher', by: 'suspend' }] } },
    'Ready=True/Suspended Authorized=True/Authorized Probed=True/Probed Issuing=False/Suspended Exclusive=True/Exclusive',
  ],
  [
    'suspended and denied',
    { stop: suspended, access: denied },
    'Ready=True/Suspended Authorized=False/NoRule Probed=Unknown/NothingGranted Issuing=False/Suspended Exclusive=True/Exclusive',
  ],
  [
    'its namespace does not opt in',
    { optedIn: false },
    'Ready=False/NotOptedIn Authorized=True/Authorized Probed=True/Probed Issuing=False/NotOptedIn Exclusive=True/Exclusive Reconciling=True/NotOptedIn',
  ],
  [
    'its namespace does not opt in, and mints failed for good',
    { optedIn: false, failure: failure('LifetimeTooLong', true) },
    'Ready=False/NotOptedIn Authorized=True/Authorized Probed=True/Probed Issuing=False/NotOptedIn Exclusive=True/Exclusive Reconciling=True/NotOptedIn',
  ],
  [
    'its namespace does not opt in, and nothing is granted there',
    { optedIn: false, access: denied },
    'Ready=False/NoRule Authorized=False/NoRule Probed=Unknown/NothingGranted Issuing=False/NotOptedIn Exclusive=True/Exclusive Stalled=True/NoRule',
  ],
  [
    'the guard is missing',
    { guard: { is: 'Missing', objects: ['use.ci-identity.dev'] } },
    'Ready=False/GuardMissing Authorized=True/Authorized Probed=True/Probed Issuing=False/GuardMissing Exclusive=True/Exclusive Reconciling=True/GuardMissing',
  ],
  [
    'a shared creator',
    {
      sharedCreators: [{ creator: 'system:serviceaccount:jenkins:jenkins', namespaces: ['ci-payments', 'ci-search'] }],
    },
    'Ready=True/Ready Authorized=True/Authorized Probed=True/Probed Issuing=True/Issuing Exclusive=False/SharedCreator',
  ],
  [
    'names a scope that it does not get: pods are admitted, but it is not Ready',
    named(['artifacts:publish', 'artifacts:read']),
    'Ready=False/NoRule Authorized=True/PartlyGranted Probed=True/Probed Issuing=True/Issuing Exclusive=True/Exclusive',
  ],
  [
    'its roles give more than the ceiling: nothing that it asks for is missing',
    {
      access: seen({
        ...accessOf(),
        denials: [
          {
            reason: 'OutsideCeiling',
            scope: 'admin',
            audience: registry,
            message: 'scope admin is outside of the ceiling.',
          },
        ],
      }),
    } as Partial<IdentityFacts>,
    'Ready=True/Ready Authorized=True/PartlyGranted Probed=True/Probed Issuing=True/Issuing Exclusive=True/Exclusive',
  ],
];

for (const [what, facts, conditions] of cases) {
  test(`identity: ${what}`, (t) => {
    const status = identityStatus(identityFacts(facts), now);
    t.is(brief(status), conditions);
    t.deepEqual(brokenInvariants(status, 2, own), []);
    t.deepEqual(problemsWith(status), []);
    for (const { message } of status.conditions ?? []) t.regex(message, /^(?!CiIdentity)\S.{10,}\.$/);
    const first = decideIdentity(identityFacts(facts), now);
    t.is(first.row, 'changed');
    const settled = identityFacts({ ...facts, identity: { ...identityFacts(facts).identity, status } });
    t.is(decideIdentity({ ...settled, writtenAt: now }, now).row, 'settled');
    t.is(decideIdentity(settled, plus(now, 30 * day)).row, 'settled');
  });
}

/** The rule of `manifests/admission/identities.yaml`, variable `refusals`. */
function refusedAtAdmission(facts: IdentityFacts): string | undefined {
  return identityStatus(facts, now).conditions?.find(
    ({ type, status, reason }) =>
      (type === 'Authorized' && status === 'False') ||
      (type === 'Stalled' && status === 'True') ||
      (type === 'Issuing' && status === 'False' && reason === 'Suspended'),
  )?.message;
}

for (const [what, facts, message] of [
  [
    'a denial',
    { access: denied },
    /^nothing is granted: no rule of any ScopePolicy gives anything to role publisher .*\. Ask the owner of the policies/,
  ],
  ['a stop', { stop: suspended }, /^stopped on purpose by IdentityPool ci-bots \(spec\.suspend\)/],
  [
    'a refusal for good',
    { client: refused(true) },
    /^the provider refuses scope artifacts:publish\. Make it an optional client scope\.$/,
  ],
  ['a failure for good', { failure: failure('LifetimeTooLong', true) }, /^the provider fails with LifetimeTooLong\./],
  ['a temporary failure', { failure: failure('ProviderUnavailable') }, undefined],
  ['a refusal for now', { client: refused(false) }, undefined],
  ['no client yet', { client: seen(unregistered) }, undefined],
  ['not probed yet', { client: seen(client()) }, undefined],
  ['missing policies', { guard: { is: 'Missing', objects: ['x'] } }, undefined],
  ['a label that may be on its way', { optedIn: false }, undefined],
  ['a part that is denied', named(['artifacts:publish', 'artifacts:read']), undefined],
  ['a shared creator', { sharedCreators: [{ creator: 'x', namespaces: ['ci-payments', 'b'] }] }, undefined],
  ['nothing', {}, undefined],
] as const) {
  test(`a pod is ${message === undefined ? 'admitted in spite of' : 'refused with the sentence about'} ${what}`, (t) => {
    const refusal = refusedAtAdmission(identityFacts(facts as Partial<IdentityFacts>));
    if (message === undefined) t.is(refusal, undefined);
    else t.regex(refusal ?? '', message);
  });
}

test('a provider that asked for a long pause: the identity that waits for its client says when it is tried again', (t) => {
  const limited = { ...failure('RateLimited'), nextTry: plus(now, hour) };
  const waiting = identityFacts({ client: seen({ ...unregistered, failure: limited }) });
  t.regex(messageOf(identityStatus(waiting, now), 'Issuing'), /Do something\. Next try at 2026-11-24T13:00:00Z\.$/);
});

test('what it would get, before any pod exists', (t) => {
  const status = identityStatus(identityFacts(), now);
  t.deepEqual(status.grants, [
    { audience: registry, scopes: [{ name: 'artifacts:publish', policy: 'publishers', rule: 0 }] },
  ]);
  t.like(status, { observedGeneration: 2, clientId: 'ci-1234-ci-bots', sessions: 0 });
  t.is(
    messageOf(status, 'Ready'),
    `pods that it selects get a token with scope artifacts:publish for ${registry}, living at most 15m.`,
  );
  for (const absent of ['denials', 'wouldDeny', 'stoppedBy']) t.false(absent in status);
});

test('a namespace that does not opt in: pods start without it, and what to do in which order', (t) => {
  const status = identityStatus(identityFacts({ optedIn: false }), now);
  for (const type of ['Ready', 'Issuing']) {
    t.is(
      messageOf(status, type),
      'namespace ci-payments lacks the label ci-identity.dev/inject=enabled, so its pods start without an identity. Apply the component manifests/components/agent-namespace there first, or its agent pods are refused; then kubectl label namespace ci-payments --overwrite ci-identity.dev/inject=enabled.',
    );
  }
  t.true('grants' in status);
});

test('a namespace that does not opt in, and nothing is granted there: both are told at once', (t) => {
  const namespace = 'n'.repeat(63);
  const many = Array.from({ length: 30 }, (_, i) => ({
    reason: 'NoRule' as const,
    message: `${i} ${'x'.repeat(70)}.`,
  }));
  const who = {
    ...identity({}, { generation: 2 }),
    metadata: { ...identity({}, { generation: 2 }).metadata, namespace },
  };
  for (const access of [accessOf({ policies: seen([]) }), { ...accessOf({ policies: seen([]) }), denials: many }]) {
    const told = identityStatus(identityFacts({ access: seen(access), identity: who, optedIn: false }), now);
    t.deepEqual(brokenInvariants(told, 2, own), []);
    const [grant, label, ...both] = ['Authorized', 'Issuing', 'Ready', 'Stalled'].map((type) => messageOf(told, type));
    t.regex(label ?? '', /^namespace n{63} lacks the label/);
    t.deepEqual(
      both,
      Array.from({ length: 2 }, () => `${grant} N${label?.slice(1)}`),
    );
  }
});

test('two audiences: grants per audience, and one sentence for the build when they differ', (t) => {
  const who = identity({}, { generation: 2 });
  const split = accessOf({
    identity: who,
    pool: seen(pool(twoAudiences)),
    policies: seen([
      policy('p', [rule({ audiences: [registry, charts] }), rule({ audiences: [charts], scopes: ['artifacts:read'] })]),
    ]),
  });
  const status = identityStatus(identityFacts({ access: seen(split) }), now);
  t.is(status.conditions?.[0]?.reason, 'AudiencesDiffer');
  t.regex(
    messageOf(status, 'Authorized'),
    /^everything is denied: an identity has one token for all its audiences, [^.]*\(https:[^)]*\)\. Split it into two identities [^.]*\.audiences each\.$/,
  );
  t.is(status.denials?.length, 3);
});

test('Audit: what would be denied is listed and said', (t) => {
  const who = identity({ scopes: ['artifacts:publish', 'artifacts:read'] });
  const access = accessOf({ identity: who, pool: seen(pool({ enforcement: 'Audit' })) });
  const status = identityStatus(identityFacts({ identity: who, access: seen(access) }), now);
  t.deepEqual(
    status.wouldDeny?.map(({ scope }) => scope),
    ['artifacts:read'],
  );
  t.regex(messageOf(status, 'Authorized'), /enforcement Audit/);
});

test('more denials than are kept', (t) => {
  const scopes = Array.from({ length: 64 }, (_, i) => `scope-${i}`);
  const access = accessOf({ identity: identity({ scopes, audiences: [registry, charts] }) });
  const status = identityStatus(identityFacts({ access: seen(access) }), now);
  t.is(status.denials?.length, 8);
  t.regex(status.denials?.at(-1)?.message ?? '', /^121 more denials/);
  t.deepEqual(brokenInvariants(status, 2, own), []);
  t.deepEqual(problemsWith(status), []);
  t.regex(messageOf(status, 'Authorized'), /more: see status\.denials\.$/);
});

for (const [what, facts, next] of [
  ['working', {}, { what: 'a token for each new pod that it selects, and a new one before it expires' }],
  ['stopped', { stop: suspended }, { what: 'none until everything in stoppedBy is lifted' }],
  ['denied', { access: denied }, { what: 'none until somebody does what condition Stalled says' }],
  [
    'waiting',
    { client: seen(unregistered) },
    { what: 'goes on by itself as soon as what condition Ready names is there' },
  ],
  [
    'failing',
    { failure: failure('ProviderUnavailable') },
    { what: 'goes on by itself as soon as what condition Ready names is there' },
  ],
] as const) {
  test(`next action: ${what}`, (t) =>
    t.deepEqual(identityStatus(identityFacts(facts as Partial<IdentityFacts>), now).nextAction, next));
}

for (const [what, facts, row] of [
  ['access', { access: { is: 'Unknown' } }, 'unknown'],
  ['the client', { client: { is: 'Unknown' } }, 'unknown'],
  ['the guard', { guard: { is: 'Unknown' } }, 'unknown'],
  ['a deleted identity', { identity: identity({}, { deletionTimestamp: '2026-11-24T11:00:00Z' }) }, 'leaving'],
] as const) {
  test(`nothing is written about what is not known: ${what}`, (t) => {
    t.deepEqual(
      [decideIdentity(identityFacts(facts as Partial<IdentityFacts>), now)].map(({ row: found, action }) => [
        found,
        action,
      ]),
      [[row, undefined]],
    );
  });
}

test('sessions are counted once a minute at most', (t) => {
  const facts = identityFacts();
  const who = { ...facts.identity, status: identityStatus(facts, now) };
  const busy = { ...facts, identity: who, sessions: 7, writtenAt: now };
  t.like(decideIdentity(busy, plus(now, second)), { row: 'counts-later', recheckAt: later });
  t.like(decideIdentity(busy, later), { row: 'counts' });
});

test('a denial that names its rule for the audit log is one that the CRD knows all the same', (t) => {
  const access = accessOf({
    policies: seen([policy('publishers', [rule({ scopes: ['admin', 'artifacts:publish'] })])]),
  });
  t.not(access.denials[0]?.by, undefined);
  const status = identityStatus(identityFacts({ access: seen(access) }), now);
  t.is(status.denials?.length, 1);
  t.deepEqual(problemsWith(status), []);
});
