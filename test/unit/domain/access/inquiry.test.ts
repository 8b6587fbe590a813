import test from 'ava';
import fc from 'fast-check';
import type { AuthorizeInput } from '#src/domain/access/authorize.ts';
import { authorize } from '#src/domain/access/authorize.ts';
import { type Inquiry, answersTo } from '#src/domain/access/inquiry.ts';
import { shiftOf } from '#src/domain/access/shift.ts';
import { charts, identity, input, policy, pool, registry, rule, seen, twoAudiences } from './objects.ts';

const publish = 'artifacts:publish';
const read = 'artifacts:read';
const deploy = 'deploy:production';

const inquiries: readonly {
  readonly name: string;
  readonly given?: Partial<AuthorizeInput>;
  readonly about?: Inquiry;
  /** `<outcome> <reason> <scope> <audience>` and a piece of the sentence. */
  readonly answers: readonly (readonly [string, RegExp])[];
}[] = [
  {
    name: 'everything',
    answers: [[`Granted Authorized ${publish} ${registry}`, /granted by ScopePolicy publishers \(spec\.rules\[0\]\)/]],
  },
  {
    name: 'one scope that is granted',
    about: { scope: publish },
    answers: [[`Granted Authorized ${publish} ${registry}`, /granted/]],
  },
  {
    name: 'a scope that nobody asks for and no rule gives',
    about: { scope: deploy },
    answers: [[`NotAsked NoRule ${deploy} -`, /no rule of any ScopePolicy gives it to role publisher/]],
  },
  {
    name: 'the same at an audience',
    about: { scope: deploy, audience: registry },
    answers: [[`NotAsked NoRule ${deploy} ${registry}`, /denied/]],
  },
  {
    name: 'a scope that a rule gives and the ceiling does not contain',
    given: { policies: seen([policy('deployers', [rule({ scopes: [deploy] })])]) },
    about: { scope: deploy },
    answers: [
      [`Denied OutsideCeiling ${deploy} ${registry}`, /ceiling of IdentityPool ci-bots does not contain the scope/],
    ],
  },
  {
    name: 'a scope that the identity leaves out itself',
    given: {
      identity: identity({ scopes: [read] }),
      policies: seen([policy('all', [rule({ scopes: [publish, read] })])]),
    },
    about: { scope: publish },
    answers: [[`LeftOut NarrowedAway ${publish} ${registry}`, /does not ask for it/]],
  },
  {
    name: 'an audience that nobody asks for',
    given: { pool: seen(pool(twoAudiences)), policies: seen([policy('p', [rule({ audiences: [registry] })])]) },
    about: { audience: charts },
    answers: [[`NotAsked NoRule - ${charts}`, /audience .*charts.* is denied/]],
  },
  {
    name: 'a pool that is missing: one answer, whatever was asked',
    given: { pool: { is: 'Gone' } },
    about: { scope: deploy },
    answers: [[`Denied PoolMissing ${deploy} -`, /does not exist/]],
  },
];

for (const { name, given, about = {}, answers } of inquiries) {
  test(`inquiry: ${name}`, (t) => {
    const found = answersTo(input(given), about);
    if (found.is !== 'Seen') return t.fail('it is unknown');
    t.deepEqual(
      found.value.map(
        ({ outcome, reason, scope = '-', audience = '-' }) => `${outcome} ${reason} ${scope} ${audience}`,
      ),
      answers.map(([line]) => line),
    );
    for (const [index, [, sentence]] of answers.entries()) t.regex(found.value[index]?.message ?? '', sentence);
    return undefined;
  });
}

test('inquiry: what could not be read is unknown, never a no', (t) => {
  for (const given of [
    { pool: { is: 'Unknown' } },
    { policies: { is: 'Unknown' } },
    { namespace: { is: 'Unknown' } },
  ] as const) {
    t.deepEqual(answersTo(input(given), { scope: deploy }), { is: 'Unknown' });
    t.deepEqual(shiftOf(input(), input(given)), { is: 'Unknown' });
  }
});

const scopes = [publish, read, deploy];
const someInput: fc.Arbitrary<AuthorizeInput> = fc
  .record({
    given: fc.array(fc.subarray(scopes, { minLength: 1 }), { maxLength: 3 }),
    ceiling: fc.subarray(scopes, { minLength: 1 }),
    enforcement: fc.constantFrom('Enforce' as const, 'Audit' as const),
    named: fc.option(fc.subarray(scopes, { minLength: 1 }), { nil: undefined }),
    lifetime: fc.constantFrom('5m', '15m'),
  })
  .map(({ given, ceiling, enforcement, named, lifetime }) =>
    input({
      pool: seen(
        pool({ enforcement, ceiling: { scopes: ceiling, audiences: [registry], maxTokenLifetime: lifetime } }),
      ),
      policies: seen(given.map((list, index) => policy(`p${index}`, [rule({ scopes: list })]))),
      identity: identity(named === undefined ? {} : { scopes: named }),
    }),
  );

const held = (one: AuthorizeInput): readonly string[] => {
  const access = authorize(one);
  return access.is === 'Seen' && access.value.is === 'Granted' ? access.value.ask.scopes : [];
};

test('shift: what was held is either lost, with a sentence, or still held; what is held was held or is gained', (t) => {
  fc.assert(
    fc.property(someInput, someInput, (before, after) => {
      const shift = shiftOf(before, after);
      if (shift.is !== 'Seen') return t.fail('it is unknown');
      const { lost, gained } = shift.value;
      const [had, has] = [held(before), held(after)];
      t.deepEqual(
        lost.map(({ scope }) => scope),
        had.filter((scope) => !has.includes(scope)),
      );
      t.deepEqual(
        gained.map(({ scope }) => scope),
        has.filter((scope) => !had.includes(scope)),
      );
      for (const { message } of lost) t.regex(message, /^[^\n]{20,2048}\.$/);
      return undefined;
    }),
    { numRuns: 1000 },
  );
});

test('shift: no edit, no shift; a longer or shorter life is told', (t) => {
  fc.assert(
    fc.property(someInput, (one) => {
      t.deepEqual(shiftOf(one, one), { is: 'Seen', value: { lost: [], gained: [] } });
    }),
  );
  const shorter = input({ policies: seen([policy('publishers', [rule({ maxTokenLifetime: '5m' })])]) });
  t.deepEqual(shiftOf(input(), shorter), {
    is: 'Seen',
    value: { lost: [], gained: [], lifetime: { before: 900_000, after: 300_000 } },
  });
});
