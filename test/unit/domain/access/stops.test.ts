import test from 'ava';
import { sourceFromWords, sourceInWords, stopOf, stopSentence, stoppedBy, wayOf } from '#src/domain/access/stops.ts';
import { forbiddenError } from '#src/domain/session/explain.ts';
import { buildSessionSnapshot, suspended } from '#test/support/builders.ts';
import { identity, pool } from './objects.ts';

const stop = 'ci-identity.dev/emergency-stop';
const everythingRuns = { pool: pool(), identity: identity(), namespace: { name: 'ci-payments', annotations: {} } };

test('what nobody stops is not stopped', (t) => {
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
  test(`stops: ${what}`, (t) => {
    const found = stopOf({ ...everythingRuns, ...sources })?.sources ?? [];
    t.deepEqual(found.map(sourceInWords), [expected]);
    const [again] = found.flatMap((one) => sourceFromWords(sourceInWords(one)) ?? []);
    t.is(again && sourceInWords(again), expected, 'what status tells is understood');
    t.is(again && wayOf(again), found[0] && wayOf(found[0]));
  });
}

test('every source is named, and the reason of somebody else stays on one line', (t) => {
  const found = stopOf({
    pool: pool({ suspend: true }, { annotations: { [stop]: 'a\n\u202eb' } }),
    identity: identity({ suspend: true }),
    configMap: { namespace: 'ci-identity-system', data: { reason: 'x'.repeat(1000) } },
  });
  const told = found === undefined ? [] : stoppedBy(found);
  t.is(told.length, 4);
  t.true(told.every((source) => source.length < 300 && !/[\p{Cc}\p{Cf}]/u.test(source)));
  t.true(told.includes(`IdentityPool ci-bots (annotation ${stop}: "a b")`));
});

test('words that status cut off, or that are not of a stop', (t) => {
  const name = 'x'.repeat(253);
  const long = identity({}, { namespace: 'y'.repeat(63), name, annotations: { [stop]: 'z'.repeat(300) } });
  const [told = ''] = stoppedBy(stopOf({ identity: long }) ?? { sources: [] });
  t.is(told.length, 512);
  t.like(sourceFromWords(told), { kind: 'CiIdentity', namespace: 'y'.repeat(63), name, by: 'annotation' });
  for (const text of ['', 'somebody', 'Secret x (spec.suspend)']) t.is(sourceFromWords(text), undefined);
});

test('the sentence says who stops it and what to do', (t) => {
  t.is(
    stopSentence({ sources: [...suspended.sources, { kind: 'Namespace', name: 'ci-payments', by: 'annotation' }] }),
    'stopped on purpose by IdentityPool ci-bots (spec.suspend) and by Namespace ci-payments (annotation ci-identity.dev/emergency-stop): no new tokens, and live ones are revoked. Remove what stops it to go on.',
  );
});

test('error.json says of a stop what the condition says', (t) => {
  const stops = {
    sources: [...suspended.sources, { kind: 'Namespace', name: 'ci-payments', by: 'annotation' }],
  } as const;
  const { message, fix } = forbiddenError(buildSessionSnapshot({ stop: stops }));
  t.is(`${message}. ${fix}`, `CiIdentity ci-payments/publisher: ${stopSentence(stops)}`);
});
