import test from 'ava';
import fc from 'fast-check';
import type { CiIdentity } from '#src/api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '#src/api/v1alpha1/identity-pool.ts';
import { authorize } from '#src/domain/access/authorize.ts';
import { caseOf, judge, pairVerdicts, type Verdict } from '#src/domain/access/judge.ts';
import type { Question } from '#src/domain/access/rules.ts';
import { identity, policy, pool, rule, seen, type PolicyRule } from './objects.ts';

const scopes = ['read', 'write', 'admin'];
const audiences = ['https://a', 'https://b', 'https://c'];
const some = (items: readonly string[]): fc.Arbitrary<string[]> => fc.subarray([...items], { minLength: 1 });
const optional = <K extends string, T>(key: K, value: fc.Arbitrary<T>): fc.Arbitrary<object> =>
  fc.option(value, { nil: undefined }).map((v) => (v === undefined ? {} : { [key]: v }));

const someRule: fc.Arbitrary<PolicyRule> = fc
  .tuple(
    fc.constantFrom('publisher', 'publisher', 'reader', 'other'),
    fc.constantFrom('ci-bots', 'ci-bots', 'ci-bots', 'other'),
    fc.constantFrom(
      { namespaces: ['ci-payments'] },
      { namespaces: ['ci-search', 'ci-payments'] },
      { namespaces: ['ci-search'] },
      { namespaces: undefined, namespaceSelector: { matchLabels: { team: 'payments' } } },
      { namespaces: undefined, namespaceSelector: { matchLabels: { team: 'search' } } },
    ),
    some(scopes),
    optional('audiences', some(audiences)),
    optional('maxTokenLifetime', fc.constantFrom('5m', '10m', '1h')),
  )
  .map(([role, ofPool, where, list, ...rest]) =>
    rule(Object.assign({ role, pool: ofPool, scopes: list }, where, ...rest) as PolicyRule),
  );

const someRules = fc.array(someRule, { maxLength: 6 });
const somePool: fc.Arbitrary<IdentityPool> = fc
  .tuple(some(scopes), some(audiences), fc.constantFrom('Enforce', 'Audit'))
  .map(([s, a, enforcement]) => pool({ enforcement, ceiling: { scopes: s, audiences: a } } as object));
const someIdentity: fc.Arbitrary<CiIdentity> = fc
  .tuple(some(['publisher', 'reader']), optional('scopes', some(scopes)), optional('audiences', some(audiences)))
  .map(([roles, ...narrowing]) => identity(Object.assign({ roles }, ...narrowing)));

const someQuestion: fc.Arbitrary<Question> = fc
  .tuple(someIdentity, somePool, someRules)
  .map(([who, ofPool, rules]) => ({
    identity: who,
    pool: ofPool,
    policies: [policy('p', rules)],
    namespace: { name: 'ci-payments', labels: { team: 'payments' } },
  }));

const runs = { numRuns: 1000 };
const key = ({ audience, scope }: { audience?: string; scope?: string }): string => `${audience} ${scope}`;
const grantedPairs = (verdicts: readonly Verdict[]): string[] =>
  verdicts.filter(({ outcome }) => outcome === 'Granted').map(key);
const told = ({ verdicts, ask }: ReturnType<typeof judge>): unknown => [
  verdicts.map(({ say, ...verdict }) => ({ ...verdict, message: say() })),
  ask,
];
const beforeToken = (q: Question): readonly Verdict[] => pairVerdicts(caseOf(q));
const withRules = (q: Question, rules: readonly PolicyRule[]): Question => ({ ...q, policies: [policy('p', rules)] });
const rulesOf = (q: Question): readonly PolicyRule[] => q.policies.flatMap(({ spec }) => spec.rules);

/** Written anew, with nothing of the code under test: does this one rule give this pair to this identity? */
function givesAlone(q: Question, one: PolicyRule, audience: string, scope: string): boolean {
  const ceiling = q.pool.spec.ceiling.audiences;
  const here =
    one.namespaces?.includes('ci-payments') === true || one.namespaceSelector?.matchLabels?.['team'] === 'payments';
  const at = one.audiences ?? (ceiling.length === 1 ? ceiling : []);
  return (
    one.pool === 'ci-bots' &&
    q.identity.spec.roles.includes(one.role) &&
    here &&
    at.includes(audience) &&
    one.scopes.includes(scope)
  );
}

test('no combination of rules yields a pair that no single rule grants; never outside ceiling or narrowing', (t) => {
  fc.assert(
    fc.property(someQuestion, (q) => {
      const { verdicts, ask } = judge(q);
      const wouldDeny = new Set(verdicts.filter(({ outcome }) => outcome === 'WouldDeny').map(key));
      for (const audience of ask?.audiences ?? []) {
        for (const scope of ask?.scopes ?? []) {
          t.true(
            wouldDeny.has(key({ audience, scope })) || rulesOf(q).some((one) => givesAlone(q, one, audience, scope)),
          );
          t.true(q.pool.spec.ceiling.scopes.includes(scope) && q.pool.spec.ceiling.audiences.includes(audience));
          t.true(q.identity.spec.scopes?.includes(scope) ?? true);
          t.true(q.identity.spec.audiences?.includes(audience) ?? true);
        }
      }
      t.true(q.pool.spec.enforcement === 'Audit' || wouldDeny.size === 0);
    }),
    runs,
  );
});

test('enforcement Audit gives exactly what is asked for inside the ceiling, and says of each pair whether Enforce would give it', (t) => {
  fc.assert(
    fc.property(someQuestion, some(scopes), some(audiences), (question, asked, at) => {
      const q: Question = {
        ...question,
        pool: pool({ ...question.pool.spec, enforcement: 'Audit' }),
        identity: identity({ ...question.identity.spec, scopes: asked, audiences: at }),
      };
      const { scopes: mostScopes, audiences: mostAudiences } = q.pool.spec.ceiling;
      const inside = at
        .filter((audience) => mostAudiences.includes(audience))
        .flatMap((audience) =>
          asked.filter((scope) => mostScopes.includes(scope)).map((scope) => key({ audience, scope })),
        );
      const audited = beforeToken(q);
      const shadow = audited.filter(({ outcome }) => outcome === 'WouldDeny').map(key);
      t.deepEqual([...grantedPairs(audited), ...shadow].toSorted(), inside.toSorted());
      const enforced = beforeToken({ ...q, pool: pool({ ...q.pool.spec, enforcement: 'Enforce' }) });
      t.deepEqual(grantedPairs(enforced), grantedPairs(audited));
      const denied = new Set(enforced.filter(({ outcome }) => outcome === 'Denied').map(key));
      for (const pair of shadow) t.true(denied.has(pair));
    }),
    runs,
  );
});

test('an identity that names no scopes gets the same from Audit as from Enforce', (t) => {
  fc.assert(
    fc.property(someQuestion, (question) => {
      const { scopes: _, ...rest } = question.identity.spec;
      const q = { ...question, identity: identity(rest) };
      const as = (enforcement: 'Audit' | 'Enforce'): unknown =>
        judge({ ...q, pool: pool({ ...q.pool.spec, enforcement }) }).ask;
      t.deepEqual(as('Audit'), as('Enforce'));
    }),
    runs,
  );
});

test('each granted pair names a rule that gives it, and everything that a rule gives, inside ceiling and narrowing, is granted', (t) => {
  fc.assert(
    fc.property(someQuestion, (q) => {
      const granted = new Set(grantedPairs(beforeToken(q)));
      for (const verdict of beforeToken(q)) {
        if (verdict.outcome !== 'Granted') continue;
        const one = rulesOf(q)[verdict.by?.rule ?? -1];
        t.true(one !== undefined && givesAlone(q, one, verdict.audience ?? '', verdict.scope ?? ''));
      }
      for (const audience of q.pool.spec.ceiling.audiences) {
        for (const scope of q.pool.spec.ceiling.scopes) {
          const asked =
            (q.identity.spec.scopes?.includes(scope) ?? true) &&
            (q.identity.spec.audiences?.includes(audience) ?? true);
          if (asked && rulesOf(q).some((one) => givesAlone(q, one, audience, scope)))
            t.true(granted.has(key({ audience, scope })));
        }
      }
    }),
    runs,
  );
});

test('adding a rule never removes a pair from an audience, and never shortens what a single audience gets', (t) => {
  fc.assert(
    fc.property(someQuestion, someRule, (q, more) => {
      const after = new Set(grantedPairs(beforeToken(withRules(q, [...rulesOf(q), more]))));
      for (const pair of grantedPairs(beforeToken(q))) t.true(after.has(pair));
    }),
    runs,
  );
});

test('with one audience in the ceiling, adding a rule never denies and never takes a scope from the token', (t) => {
  fc.assert(
    fc.property(someQuestion, someRule, (question, more) => {
      const ceiling = { ...question.pool.spec.ceiling, audiences: ['https://a'] };
      const q = {
        ...question,
        pool: pool({ ...question.pool.spec, ceiling }),
        identity: identity({ ...question.identity.spec, audiences: ['https://a'] }),
      };
      const before = judge(q).ask;
      const after = judge(withRules(q, [...rulesOf(q), more])).ask;
      for (const scope of before?.scopes ?? []) t.true(after?.scopes.includes(scope));
    }),
    runs,
  );
});

test('the order of rules, policies, roles and narrowing changes nothing', (t) => {
  fc.assert(
    fc.property(someQuestion, someRules, (q, others) => {
      const forth = { ...q, policies: [policy('p', rulesOf(q)), policy('q', others)] };
      const back = { ...q, policies: forth.policies.toReversed() };
      t.deepEqual(told(judge(back)), told(judge(forth)));
      const turned = (list: readonly string[] | undefined): object => (list === undefined ? {} : list.toReversed());
      const spec = { ...q.identity.spec, roles: q.identity.spec.roles.toReversed() };
      const other = identity({
        ...spec,
        ...(spec.scopes === undefined ? {} : { scopes: turned(spec.scopes) }),
        ...(spec.audiences === undefined ? {} : { audiences: turned(spec.audiences) }),
      } as object);
      t.deepEqual(judge({ ...forth, identity: other }).ask, judge(forth).ask);
      const shuffled = withRules(q, rulesOf(q).toReversed());
      t.deepEqual(judge(shuffled).ask, judge(q).ask);
      t.deepEqual(judge(shuffled).verdicts.map(key), judge(q).verdicts.map(key));
    }),
    runs,
  );
});

test('narrowing never widens', (t) => {
  fc.assert(
    fc.property(someQuestion, some(scopes), some(audiences), (question, s, a) => {
      const q = { ...question, pool: pool({ ...question.pool.spec, enforcement: 'Enforce' }) };
      const { roles } = q.identity.spec;
      const wide = new Set(grantedPairs(beforeToken({ ...q, identity: identity({ roles }) })));
      for (const narrowing of [{ scopes: s }, { audiences: a }, { scopes: s, audiences: a }]) {
        for (const pair of grantedPairs(beforeToken({ ...q, identity: identity({ roles, ...narrowing }) })))
          t.true(wide.has(pair));
      }
    }),
    runs,
  );
});

test('each asked scope ends in exactly one verdict, with a sentence; nothing is both granted and denied', (t) => {
  fc.assert(
    fc.property(someQuestion, (q) => {
      const { verdicts, ask } = judge(q);
      const keys = verdicts.map(key);
      t.is(new Set(keys).size, keys.length);
      for (const scope of q.identity.spec.scopes ?? []) {
        const at = q.identity.spec.audiences ?? [undefined];
        for (const audience of at) {
          t.true(
            verdicts.some(
              (v) =>
                v.scope === scope && (audience === undefined || v.audience === audience) && v.outcome !== 'LeftOut',
            ),
          );
        }
      }
      const granted = verdicts.filter(({ outcome }) => outcome === 'Granted' || outcome === 'WouldDeny');
      t.is(granted.length, (ask?.scopes.length ?? 0) * (ask?.audiences.length ?? 0));
      t.true(ask !== undefined || verdicts.some(({ outcome }) => outcome === 'Denied'));
      for (const { say } of verdicts) t.regex(say(), /^[^\n]{20,2048}\.$/);
    }),
    runs,
  );
});

test('equal input gives equal output, and nothing is changed on the way', (t) => {
  fc.assert(
    fc.property(someQuestion, (q) => {
      const input = {
        ...q,
        pool: seen(q.pool),
        policies: seen(q.policies),
        namespace: seen(q.namespace),
        issuerConfigured: true,
      };
      const copy = structuredClone(input);
      t.deepEqual(authorize(input), authorize(copy));
      t.deepEqual(input, copy);
    }),
    { numRuns: 300 },
  );
});
