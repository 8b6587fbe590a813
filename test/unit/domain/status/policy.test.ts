import test from 'ava';
import { day, plus } from '#src/clock.ts';
import { decidePolicy, policyStatus, type PolicyFacts } from '#src/domain/status/policy.ts';
import { charts, policy, pool, rule, seen, twoAudiences, type PolicyRule } from '../access/objects.ts';
import { brokenInvariants } from './condition-invariants.ts';
import { brief, messageOf, now, policyFacts } from './facts.ts';
import { statusProblems } from './schema.ts';

const problemsWith = statusProblems('scopepolicies.yaml');

const of = (...rules: Partial<PolicyRule>[]): Partial<PolicyFacts> => ({
  policy: policy('publishers', rules.map(rule), { generation: 3 }),
});

const cases: readonly (readonly [
  what: string,
  facts: Partial<PolicyFacts>,
  conditions: string,
  problems: readonly string[],
])[] = [
  ['one good rule', {}, 'Ready=True/Ready Valid=True/Valid', []],
  [
    'no such pool',
    of({ pool: 'other' }),
    'Ready=False/PoolMissing Valid=False/PoolMissing Reconciling=True/PoolMissing',
    ['0 PoolMissing'],
  ],
  [
    'the pool is being deleted',
    { pools: seen([pool({}, { deletionTimestamp: '2026-11-24T11:00:00Z' })]) },
    'Ready=False/PoolMissing Valid=False/PoolMissing Reconciling=True/PoolMissing',
    ['0 PoolMissing'],
  ],
  [
    'a pool for people',
    { pools: seen([pool({ purpose: 'Interactive' })]) },
    'Ready=False/PurposeMismatch Valid=False/PurposeMismatch Stalled=True/PurposeMismatch',
    ['0 PurposeMismatch'],
  ],
  [
    'a scope outside the ceiling',
    of({ scopes: ['artifacts:publish', 'admin'] }),
    'Ready=False/OutsideCeiling Valid=False/OutsideCeiling Stalled=True/OutsideCeiling',
    ['0 OutsideCeiling'],
  ],
  [
    'an audience outside the ceiling',
    of({ audiences: [charts] }),
    'Ready=False/OutsideCeiling Valid=False/OutsideCeiling Stalled=True/OutsideCeiling',
    ['0 OutsideCeiling'],
  ],
  [
    'no audience, and the ceiling has two',
    { pools: seen([pool(twoAudiences)]) },
    'Ready=False/AudienceUnclear Valid=False/AudienceUnclear Stalled=True/AudienceUnclear',
    ['0 AudienceUnclear'],
  ],
  [
    'an audience is named, and the ceiling has two',
    { ...of({ audiences: [charts] }), pools: seen([pool(twoAudiences)]) },
    'Ready=True/Ready Valid=True/Valid',
    [],
  ],
  ['no namespace yet', of({ namespaces: ['ci-search'] }), 'Ready=True/Ready Valid=True/Valid', ['0 MatchesNothing']],
  [
    'no namespace has the labels',
    of({ namespaces: undefined, namespaceSelector: { matchLabels: { team: 'x' } } } as object),
    'Ready=True/Ready Valid=True/Valid',
    ['0 MatchesNothing'],
  ],
  [
    'different problems',
    of({ pool: 'other' }, {}, { scopes: ['admin'] }),
    'Ready=False/RuleInvalid Valid=False/RuleInvalid Stalled=True/RuleInvalid',
    ['0 PoolMissing', '2 OutsideCeiling'],
  ],
];

for (const [what, facts, conditions, problems] of cases) {
  test(`policy: ${what}`, (t) => {
    const status = policyStatus(policyFacts(facts), now);
    t.is(brief(status), conditions);
    t.deepEqual(
      (status.problems ?? []).map(({ rule: index, reason }) => `${index} ${reason}`),
      problems,
    );
    t.deepEqual(brokenInvariants(status, 3, ['Valid']), []);
    t.deepEqual(problemsWith(status), []);
    for (const { message } of status.conditions ?? []) t.regex(message, /^ScopePolicy publishers: \S.*\.$/);
    const written = { ...policyFacts(facts).policy, status };
    t.is(decidePolicy(policyFacts(facts), now).row, 'changed');
    t.is(decidePolicy(policyFacts({ ...facts, policy: written }), plus(now, 30 * day)).row, 'settled');
  });
}

test('sentences name the rule, what is wrong and what to do', (t) => {
  t.is(
    messageOf(policyStatus(policyFacts(of({}, { scopes: ['admin'] })), now), 'Valid'),
    'ScopePolicy publishers: spec.rules[1] (role publisher) grants less than it says: the ceiling of IdentityPool ci-bots does not contain admin. Add it there, or take it out of the rule.',
  );
});

for (const [namespaces, told] of [
  [['ci-search'], 'grants nothing now: there is no namespace ci-search. It will when there is one.'],
  [
    ['ci-search', 'ci-paymnets'],
    'grants nothing now: there is no namespace ci-search, ci-paymnets; ci-paymnets is perhaps ci-payments. Correct it, or create the namespace.',
  ],
  [
    ['ci-payments', 'ci-paymnets', 'ci-search'],
    'grants nothing in namespace ci-paymnets, which does not exist; ci-paymnets is perhaps ci-payments. Correct it, or create the namespace.',
  ],
  [['ci-payments', 'ci-search'], undefined],
] as const) {
  test(`a rule for ${namespaces.join(', ')}: what does not exist is told, though nothing else is wrong with it`, (t) => {
    const status = policyStatus(policyFacts(of({ namespaces: [...namespaces] })), now);
    const message = told === undefined ? undefined : `spec.rules[0] (role publisher) ${told}`;
    t.is(status.problems?.[0]?.message, message);
    t.is(
      messageOf(status, 'Ready'),
      `ScopePolicy publishers: every rule refers to a pool that exists and stays inside its ceiling.${message === undefined ? '' : ` But ${message}`}`,
    );
  });
}

test('a rule for a pool that does not exist names the one that was perhaps meant', (t) => {
  const said = (name: string): string =>
    policyStatus(policyFacts(of({ pool: name })), now).problems?.[0]?.message ?? '';
  t.is(
    said('ci-bot'),
    'spec.rules[0] (role publisher) grants nothing: IdentityPool ci-bot does not exist (there is ci-bots). Create it, or correct pool.',
  );
  t.regex(said('releases'), /does not exist\. Create it/);
});

test('64 bad rules of the longest names still fit', (t) => {
  const scopes = Array.from({ length: 64 }, (_, i) => `${i}`.padStart(256, 'x'));
  const facts = policyFacts(of(...Array.from({ length: 64 }, () => ({ scopes, namespaces: ['nowhere'] }))));
  const status = policyStatus(facts, now);
  t.is(status.problems?.length, 64);
  t.deepEqual(brokenInvariants(status, 3, ['Valid']), []);
  t.deepEqual(problemsWith(status), []);
  t.regex(messageOf(status, 'Valid'), /more: see status\.problems\.$/);
});

test('how many rules, and how many identities get something from them', (t) => {
  t.like(policyStatus(policyFacts({ ...of({}, {}), identities: 5 }), now), {
    rules: 2,
    identities: 5,
    observedGeneration: 3,
  });
  const facts = policyFacts();
  const counted = policyFacts({
    policy: { ...facts.policy, status: policyStatus(facts, now) },
    identities: 2,
    writtenAt: now,
  });
  t.is(decidePolicy(counted, now).row, 'counts-later');
});

for (const [what, facts, row] of [
  ['pools', { pools: { is: 'Unknown' } }, 'unknown'],
  ['namespaces', { namespaces: { is: 'Unknown' } }, 'unknown'],
  [
    'a deleted policy',
    { policy: policy('publishers', [rule()], { deletionTimestamp: '2026-11-24T11:00:00Z' }) },
    'leaving',
  ],
] as const) {
  test(`nothing is written about what is not known: ${what}`, (t) => {
    const { row: found, action } = decidePolicy(policyFacts(facts as Partial<PolicyFacts>), now);
    t.deepEqual([found, action], [row, undefined]);
  });
}
