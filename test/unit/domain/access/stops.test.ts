import test from 'ava';
import { stopOf, stopSentence } from '#src/domain/access/stops.ts';
import { identity, pool } from './objects.ts';

const stop = 'ci-identity.dev/emergency-stop';
const everythingRuns = { pool: pool(), identity: identity(), namespace: { name: 'ci-payments', annotations: {} } };

test('nothing stops', (t) => {
  t.is(stopOf(everythingRuns), undefined);
  t.is(stopOf({}), undefined);
  t.is(stopOf({ pool: pool({ suspend: false }) }), undefined);
});

for (const [what, sources, expected] of [
  ['the pool', { pool: pool({ suspend: true }) }, 'IdentityPool ci-bots (spec.suspend)'],
  ['the identity', { identity: identity({ suspend: true }) }, 'CiIdentity ci-payments/publisher (spec.suspend)'],
  [
    'annotation on the pool',
    { pool: pool({}, { annotations: { [stop]: 'leak 4711' } }) },
    `IdentityPool ci-bots (annotation ${stop}: "leak 4711")`,
  ],
  [
    'annotation on the identity',
    { identity: identity({}, { annotations: { [stop]: '' } }) },
    `CiIdentity ci-payments/publisher (annotation ${stop})`,
  ],
  [
    'annotation that says false',
    { identity: identity({}, { annotations: { [stop]: 'false' } }) },
    `CiIdentity ci-payments/publisher (annotation ${stop}: "false")`,
  ],
  [
    'annotation on the namespace',
    { namespace: { name: 'ci-payments', annotations: { [stop]: 'x' } } },
    `Namespace ci-payments (annotation ${stop}: "x")`,
  ],
  [
    'the ConfigMap',
    { configMap: { namespace: 'ci-identity-system', data: { reason: 'all stop' } } },
    'ConfigMap ci-identity-system/emergency-stop: "all stop"',
  ],
  [
    'the ConfigMap without data',
    { configMap: { namespace: 'ci-identity-system' } },
    'ConfigMap ci-identity-system/emergency-stop',
  ],
] as const) {
  test(`stops: ${what}`, (t) => t.deepEqual(stopOf({ ...everythingRuns, ...sources }), { sources: [expected] }));
}

test('every source is named, and the reason of somebody else stays on one line', (t) => {
  const found = stopOf({
    pool: pool({ suspend: true }, { annotations: { [stop]: 'a\n\u202eb' } }),
    identity: identity({ suspend: true }),
    configMap: { namespace: 'ci-identity-system', data: { reason: 'x'.repeat(1000) } },
  });
  t.is(found?.sources.length, 4);
  t.true(found?.sources.every((source) => source.length < 300 && !/[\p{Cc}\p{Cf}]/u.test(source)));
  t.true(found?.sources.includes(`IdentityPool ci-bots (annotation ${stop}: "a b")`));
});

test('the sentence says who stops it and what to do', (t) => {
  t.is(
    stopSentence({ sources: ['A', 'B'] }),
    'stopped on purpose by A and by B: no new tokens, and live ones are revoked. Remove what stops it to go on.',
  );
});
