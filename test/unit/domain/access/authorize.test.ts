import test from 'ava';
import type { CiIdentity } from '#src/api/v1alpha1/ci-identity.ts';
import { minute } from '#src/clock.ts';
import type { Denial } from '#src/domain/access/access.ts';
import { authorize, type AuthorizeInput } from '#src/domain/access/authorize.ts';
import { accessOf, charts, identity, input, policy, pool, registry, rule, seen, twoAudiences } from './objects.ts';

const publish = 'artifacts:publish';
const read = 'artifacts:read';

interface Case {
  readonly name: string;
  readonly given: Partial<AuthorizeInput>;
  /** Scopes and audiences of the one token; absent: denied. */
  readonly token?: readonly [scopes: readonly string[], audiences: readonly string[]];
  /** `reason audience scope` of each denial. */
  readonly denials?: readonly string[];
  readonly wouldDeny?: readonly string[];
  /** Of a denial: somebody decided it (default). */
  readonly lasting?: boolean;
}

const rules = (...list: Parameters<typeof rule>[0][]): Partial<AuthorizeInput> => ({
  policies: seen([policy('publishers', list.map(rule))]),
});

const cases: readonly Case[] = [
  { name: 'the 23 lines', given: {}, token: [[publish], [registry]] },
  { name: 'no policy at all', given: { policies: seen([]) }, denials: ['NoRule'] },
  { name: 'policies cannot be there', given: { policies: { is: 'Gone' } }, denials: ['NoRule'] },
  { name: 'rule for another role', given: rules({ role: 'reader' }), denials: ['NoRule'] },
  { name: 'rule for another pool', given: rules({ pool: 'other' }), denials: ['NoRule'] },
  { name: 'rule for another namespace', given: rules({ namespaces: ['ci-search'] }), denials: ['NoRule'] },
  { name: 'namespace name is not a prefix', given: rules({ namespaces: ['ci-pay'] }), denials: ['NoRule'] },
  {
    name: 'namespace by label',
    given: rules({ namespaces: undefined, namespaceSelector: { matchLabels: { team: 'payments' } } } as object),
    token: [[publish], [registry]],
  },
  {
    name: 'namespace by another label',
    given: rules({ namespaces: undefined, namespaceSelector: { matchLabels: { team: 'search' } } } as object),
    denials: ['NoRule'],
  },
  {
    name: 'an empty namespaceSelector grants nothing',
    given: rules({ namespaces: undefined, namespaceSelector: {} } as object),
    denials: ['NoRule'],
  },
  { name: 'neither namespaces nor selector', given: rules({ namespaces: undefined } as object), denials: ['NoRule'] },
  {
    name: 'a policy that is being deleted grants nothing',
    given: { policies: seen([policy('p', [rule()], { deletionTimestamp: '2026-11-24T12:00:00Z' })]) },
    denials: ['NoRule'],
  },
  {
    name: 'union over rules and policies',
    given: { policies: seen([policy('a', [rule()]), policy('b', [rule({ scopes: [read] })])]) },
    token: [[publish, read], [registry]],
  },
  {
    name: 'union over roles',
    given: { ...rules({}, { role: 'reader', scopes: [read] }), identity: identity({ roles: ['publisher', 'reader'] }) },
    token: [[publish, read], [registry]],
  },
  {
    name: 'outside the ceiling',
    given: rules({ scopes: [publish, 'admin'] }),
    token: [[publish], [registry]],
    denials: [`OutsideCeiling ${registry} admin`],
  },
  {
    name: 'all of it outside the ceiling',
    given: rules({ scopes: ['admin'] }),
    denials: [`OutsideCeiling ${registry} admin`],
  },
  {
    name: 'audience outside the ceiling',
    given: rules({ audiences: [charts] }),
    denials: [`OutsideCeiling ${charts} ${publish}`],
  },
  {
    name: 'a second audience outside the ceiling costs nothing else',
    given: rules({ audiences: [registry, charts] }),
    token: [[publish], [registry]],
    denials: [`OutsideCeiling ${charts} ${publish}`],
  },
  {
    name: 'a wildcard grants nothing',
    given: {
      ...rules({ scopes: ['*', 'artifacts:*'] }),
      pool: seen(pool({ ceiling: { scopes: ['*'], audiences: [registry] } } as object)),
      identity: identity({ scopes: ['*'] }),
    },
    denials: ['NoRule  *'],
  },
  {
    name: 'narrowed by scope',
    given: { ...rules({ scopes: [publish, read] }), identity: identity({ scopes: [read] }) },
    token: [[read], [registry]],
  },
  {
    name: 'narrowing to something the roles do not give',
    given: { ...rules({}), identity: identity({ scopes: [publish, read] }) },
    token: [[publish], [registry]],
    denials: [`NoRule ${registry} ${read}`],
  },
  {
    name: 'narrowing to nothing that the roles give',
    given: { ...rules({}), identity: identity({ scopes: [read] }) },
    denials: [`NoRule  ${read}`],
  },
  {
    name: 'narrowing to an audience without a rule',
    given: { ...rules({}), identity: identity({ audiences: [charts] }) },
    denials: [`NoRule ${charts}`],
  },
  {
    name: 'rule without audience, ceiling with two',
    given: { ...rules({}), pool: seen(pool(twoAudiences)) },
    denials: [`AudienceUnclear  ${publish}`],
  },
  {
    name: 'the identity naming the audience does not make such a rule clear',
    given: {
      ...rules({}),
      pool: seen(pool(twoAudiences)),
      identity: identity({ audiences: [registry], scopes: [publish] }),
    },
    denials: [`AudienceUnclear ${registry} ${publish}`],
  },
  {
    name: 'two audiences that grant the same share a token',
    given: { ...rules({ audiences: [registry, charts] }), pool: seen(pool(twoAudiences)) },
    token: [[publish], [charts, registry]],
  },
  {
    name: 'two audiences that grant different scopes: split',
    given: {
      ...rules({ audiences: [registry], scopes: [publish, read] }, { audiences: [charts] }),
      pool: seen(pool(twoAudiences)),
    },
    denials: [
      `AudiencesDiffer ${charts} ${publish}`,
      `AudiencesDiffer ${registry} ${publish}`,
      `AudiencesDiffer ${registry} ${read}`,
    ],
  },
  {
    name: 'narrowed to the scope that both grant',
    given: {
      ...rules({ audiences: [registry], scopes: [publish, read] }, { audiences: [charts] }),
      pool: seen(pool(twoAudiences)),
      identity: identity({ scopes: [publish] }),
    },
    token: [[publish], [charts, registry]],
  },
  {
    name: 'narrowed to one of the audiences',
    given: {
      ...rules({ audiences: [registry], scopes: [publish, read] }, { audiences: [charts] }),
      pool: seen(pool(twoAudiences)),
      identity: identity({ audiences: [registry] }),
    },
    token: [[publish, read], [registry]],
  },
  {
    name: 'an audience that is named and grants nothing denies the token for both',
    given: {
      ...rules({ audiences: [registry] }),
      pool: seen(pool(twoAudiences)),
      identity: identity({ audiences: [registry, charts] }),
    },
    denials: [`NoRule ${charts}`, `AudiencesDiffer ${registry} ${publish}`],
  },
  {
    name: 'Audit: outside the policy, inside the ceiling',
    given: {
      ...rules({}),
      pool: seen(pool({ enforcement: 'Audit' })),
      identity: identity({ scopes: [publish, read] }),
    },
    token: [[publish, read], [registry]],
    wouldDeny: [`NoRule ${registry} ${read}`],
  },
  {
    name: 'Audit: no rule at all',
    given: { policies: seen([]), pool: seen(pool({ enforcement: 'Audit' })), identity: identity({ scopes: [read] }) },
    token: [[read], [registry]],
    wouldDeny: [`NoRule ${registry} ${read}`],
  },
  {
    name: 'Audit: an identity that names no scopes',
    given: { policies: seen([]), pool: seen(pool({ enforcement: 'Audit' })) },
    denials: ['NoRule'],
  },
  {
    name: 'Audit: outside the ceiling stays denied',
    given: {
      ...rules({}),
      pool: seen(pool({ enforcement: 'Audit' })),
      identity: identity({ scopes: [publish, 'admin'] }),
    },
    token: [[publish], [registry]],
    denials: [`NoRule ${registry} admin`],
  },
  {
    name: 'Audit: which audience?',
    given: {
      policies: seen([]),
      pool: seen(pool({ ...twoAudiences, enforcement: 'Audit' })),
      identity: identity({ scopes: [read] }),
    },
    denials: [`AudienceUnclear  ${read}`],
  },
  { name: 'no such pool', given: { pool: { is: 'Gone' } }, denials: ['PoolMissing'] },
  {
    name: 'the pool is being deleted',
    given: { pool: seen(pool({}, { deletionTimestamp: '2026-11-24T12:00:00Z' })) },
    denials: ['PoolMissing'],
  },
  { name: 'a pool for people', given: { pool: seen(pool({ purpose: 'Interactive' })) }, denials: ['PurposeMismatch'] },
  {
    name: 'an issuer that is not configured: nobody decided that',
    given: { issuerConfigured: false },
    denials: ['IssuerNotConfigured'],
    lasting: false,
  },
  {
    name: 'an issuer that is not configured, and no rule either: that is decided',
    given: { issuerConfigured: false, policies: seen([]) },
    denials: ['NoRule'],
  },
  {
    name: 'the namespace is gone: nobody decided that',
    given: { namespace: { is: 'Gone' } },
    denials: ['NamespaceLeaving'],
    lasting: false,
  },
];

for (const { name, given, token, denials = [], wouldDeny = [], lasting = true } of cases) {
  test(`authorize: ${name}`, (t) => {
    const access = accessOf(given);
    t.deepEqual(access.denials.map(line), denials);
    t.deepEqual(access.is === 'Granted' ? [access.ask.scopes, access.ask.audiences] : undefined, token);
    if (access.is === 'Granted') t.deepEqual(access.wouldDeny.map(line), wouldDeny);
    if (access.is === 'Denied') t.is(access.lasting, lasting);
    for (const { message } of access.denials) t.regex(message, /^\S.{20,1800}\.$/);
  });
}

test('what the rules give is known while the issuer is not configured, so that what was given can be cut to it', (t) => {
  t.deepEqual(accessOf({ issuerConfigured: false }).ask, accessOf({}).ask);
  t.is(accessOf({ issuerConfigured: false, policies: seen([]) }).ask, undefined);
});

for (const unknown of ['pool', 'policies', 'namespace'] as const) {
  test(`nobody is denied while ${unknown} has not been read`, (t) => {
    t.deepEqual(authorize(input({ [unknown]: { is: 'Unknown' } })), { is: 'Unknown' });
  });
}

test('the lifetime is the shortest of the ceiling and what the rules allow; of two rules for one scope the longer counts', (t) => {
  const lifetime = (...lifetimes: (string | undefined)[]): number => {
    const list = lifetimes.map((maxTokenLifetime) => rule({ maxTokenLifetime } as object));
    const access = accessOf({
      policies: seen([policy('p', list)]),
      pool: seen(pool({ ceiling: { scopes: [publish], audiences: [registry], maxTokenLifetime: '30m' } } as object)),
    });
    return access.is === 'Granted' ? access.ask.maxLifetime : 0;
  };
  t.is(lifetime(undefined), 30 * minute);
  t.is(lifetime('10m'), 10 * minute);
  t.is(lifetime('1h'), 30 * minute);
  t.is(lifetime('10m', '20m'), 20 * minute);
  const access = accessOf(
    rules({ maxTokenLifetime: '10m' } as object, { scopes: [read], maxTokenLifetime: '5m' } as object),
  );
  t.is(access.is === 'Granted' ? access.ask.maxLifetime : 0, 5 * minute);
});

test('each granted scope names its rule', (t) => {
  const access = accessOf({
    policies: seen([
      policy('b', [rule({ role: 'other' }), rule()], { generation: 7 }),
      policy('a', [rule({ scopes: [read] })]),
    ]),
  });
  t.deepEqual(access.is === 'Granted' ? access.by : [], [
    { audience: registry, scope: publish, by: { policy: 'b', rule: 1, generation: 7 } },
    { audience: registry, scope: read, by: { policy: 'a', rule: 0, generation: 1 } },
  ]);
});

test('an answer names the policies that it rests on, and a denial the rule that comes nearest', (t) => {
  const access = accessOf({
    policies: seen([
      policy('b', [rule({ scopes: ['admin'] }), rule({ namespaces: ['elsewhere'] })], { generation: 7 }),
      policy('a', [rule({ role: 'other' })]),
      policy('c', [rule({ pool: 'other' })]),
    ]),
  });
  t.deepEqual(access.policies, [{ policy: 'b', generation: 7 }]);
  t.deepEqual(
    access.denials.map(({ reason, by }) => [reason, by]),
    [['OutsideCeiling', { policy: 'b', rule: 0, generation: 7 }]],
  );
  t.is(accessOf({ pool: { is: 'Gone' } }).policies, undefined, 'no rule was asked');
});

test('sentences: what, why, what to do', (t) => {
  const message = (given: Partial<AuthorizeInput>): string => accessOf(given).denials[0]?.message ?? '';
  t.is(
    message({ ...rules({}), identity: identity({ scopes: [publish, read] }) }),
    `scope ${read} at ${registry} is denied: no rule of any ScopePolicy gives it to role publisher of IdentityPool ci-bots in namespace ci-payments. Ask the owner of the policies to add it to a rule, or leave it out of spec.scopes.`,
  );
  t.is(
    message(rules({ namespaces: ['ci-search'] })),
    'nothing is granted: no rule of any ScopePolicy gives anything to role publisher of IdentityPool ci-bots in namespace ci-payments (ScopePolicy publishers (spec.rules[0]) does in other namespaces). Ask the owner of the policies for a rule, or correct spec.roles.',
  );
  for (const [nearPool, there] of [
    ['ci-bots', ' (there is ci-bots)'],
    [undefined, ''],
  ] as const)
    t.is(
      message({ identity: identity({ pool: 'ci-bot' }), pool: { is: 'Gone' }, nearPool }),
      `IdentityPool ci-bot does not exist${there}. Create it, or correct spec.pool.`,
    );
  for (const [given, hint] of [
    [
      [
        { namespaces: ['ci-search'], scopes: ['admin'] },
        { namespaces: ['ci-search'], audiences: [charts] },
        { namespaces: ['ci-search'] },
      ],
      'ScopePolicy publishers (spec.rules[2]) does in other namespaces',
    ],
    [
      [{ namespaces: ['ci-search'], scopes: ['admin'] }],
      'ScopePolicy publishers (spec.rules[0]) does in other namespaces, but the ceiling of the pool leaves nothing of it',
    ],
  ] as const) {
    const said = message(rules(...(given as unknown as Parameters<typeof rules>)));
    t.true(said.includes(` in namespace ci-payments (${hint}). `), said);
  }
  t.is(
    message({ ...rules({}), identity: identity({ roles: ['publsher'] }) }),
    'nothing is granted: no rule of any ScopePolicy gives anything to role publsher of IdentityPool ci-bots in namespace ci-payments (there are rules for role publisher). Ask the owner of the policies for a rule, or correct spec.roles.',
  );
  t.is(
    message(rules({ scopes: ['admin'] })),
    `scope admin at ${registry} is denied: ScopePolicy publishers (spec.rules[0]) gives it, but the ceiling of IdentityPool ci-bots does not contain the scope. Ask the owner of the pool to add it to spec.ceiling, or take it out of the rule.`,
  );
  t.regex(
    message({
      ...rules({ audiences: [registry], scopes: [publish, read] }, { audiences: [charts] }),
      pool: seen(pool(twoAudiences)),
    }),
    /these grant different scopes \(https:\/\/charts\.example\.com: artifacts:publish; https:\/\/registry\.example\.com: artifacts:publish artifacts:read\)\. Split it into two identities/,
  );
});

/** A team chooses how much it asks for; judging that must not hold up everybody else. */
const many = (prefix: string): string[] => Array.from({ length: 64 }, (_, i) => `${prefix}${i}`);

test('the policies are gone through as often for 4,096 pairs as for one', (t) => {
  const reads = (spec: Partial<CiIdentity['spec']>): number => {
    let count = 0;
    const counted = policy('publishers', [rule()]);
    const { spec: rules } = counted;
    Object.defineProperty(counted, 'spec', { get: () => ((count += 1), rules) });
    accessOf({ identity: identity(spec), policies: seen([counted]) });
    return count;
  };
  t.is(reads({ scopes: many('scope-'), audiences: many('https://a') }), reads({ scopes: [read], audiences: [charts] }));
});

test('64 rules that each give 64 scopes at 64 audiences are judged in a moment', (t) => {
  const [scopes, audiences] = [many('scope-'), many('https://a')];
  const started = performance.now();
  const access = accessOf({
    identity: identity({ scopes: scopes.slice(0, 1), audiences: audiences.slice(0, 1) }),
    pool: seen(pool({ ceiling: { scopes, audiences } })),
    policies: seen([
      policy(
        'publishers',
        Array.from({ length: 64 }, () => rule({ scopes, audiences })),
      ),
    ]),
  });
  t.is(access.is, 'Granted');
  t.true(performance.now() - started < 5_000, `${performance.now() - started} ms`);
});

test('of 1,024 rules in 16 policies the one that gives the role is found, and a role that nobody has is denied with a sentence', (t) => {
  const others = [
    (n: number) => rule({ role: `role-${n}` }),
    (n: number) => rule({ pool: `pool-${n}` }),
    (n: number) => rule({ namespaces: [`team-${n}`] }),
    () => rule({ scopes: ['artifacts:delete'], audiences: [charts] }),
  ];
  const rules = Array.from({ length: 1_024 }, (_, n) => others[n % others.length]?.(n) ?? rule());
  rules[1_000] = rule();
  const policies = seen(Array.from({ length: 16 }, (_, p) => policy(`policy-${p}`, rules.slice(p * 64, p * 64 + 64))));
  const before = process.cpuUsage();
  const granted = accessOf({ policies });
  t.is(granted.is, 'Granted');
  t.like(granted, { ask: { scopes: ['artifacts:publish'], audiences: [registry] } });
  t.deepEqual(granted.is === 'Granted' && granted.by.map(({ by }) => [by.policy, by.rule]), [['policy-15', 40]]);
  const denied = accessOf({ policies, identity: identity({ roles: ['nobody'] }) });
  t.is(denied.is, 'Denied');
  t.regex(denied.denials[0]?.message ?? '', /nobody/);
  t.true(process.cpuUsage(before).user < 2_000_000);
});

test('of many denials the last that is kept names a reason that is not among the first', (t) => {
  const { denials } = accessOf({
    identity: identity({ scopes: [...many('a').slice(0, 10), 'outside'] }),
    policies: seen([policy('publishers', [rule({ scopes: ['outside', read] })])]),
  });
  t.deepEqual([...new Set(denials.map(({ reason }) => reason))], ['NoRule', 'OutsideCeiling']);
});

test('of thousands of denials few are kept', (t) => {
  const { denials } = accessOf({ identity: identity({ scopes: many('scope-'), audiences: many('https://a') }) });
  t.is(denials.length, 8);
  t.is(denials.at(-1)?.message, '4089 more denials are not listed: kubectl ci-identity explain says all.');
});

function line({ reason, audience, scope }: Denial): string {
  return [
    reason,
    ...(audience === undefined && scope === undefined ? [] : [audience ?? '']),
    ...(scope === undefined ? [] : [scope]),
  ].join(' ');
}

test('64 scopes at 64 audiences by enforcement Audit: few are kept for each identity, all are counted', (t) => {
  const [scopes, audiences] = [many('artifacts:publish:'), many('https://registry.example.com/')];
  const access = accessOf({
    identity: identity({ scopes, audiences }),
    pool: seen(pool({ enforcement: 'Audit', ceiling: { scopes, audiences } })),
    policies: seen([]),
  });
  if (access.is === 'Denied') return t.fail();
  t.deepEqual(access.audited, { scopes: scopes.toSorted(), audiences: audiences.toSorted(), pairs: 4_096 });
  t.is(access.wouldDeny.length, 8);
  t.is(access.wouldDeny.at(-1)?.message, '4089 more denials are not listed: kubectl ci-identity explain says all.');
});
