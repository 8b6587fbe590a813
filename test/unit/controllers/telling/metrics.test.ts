import test from 'ava';
import { pendingRevocations } from '#src/controllers/telling/metrics.ts';
import { buildEndedToken, buildSessionRecord, buildToken, omit } from '#test/support/builders.ts';

const record = buildSessionRecord({
  tokens: [
    buildEndedToken('Forbidden', { sha256: 'waits' }),
    buildEndedToken('Superseded', { sha256: 'superseded' }),
    omit(buildEndedToken('Forbidden', { sha256: 'never' }), 'value'),
  ],
});

for (const [what, of, answered, pending] of [
  ['it must not be used and still works', record, undefined, ['waits']],
  ['the provider answered, and only the record is late', record, new Map([['waits', 'Confirmed']]), []],
  ['the provider answered about another one', record, new Map([['superseded', 'Confirmed']]), ['waits']],
  ['nothing ended', buildSessionRecord({ tokens: [buildToken()] }), undefined, []],
] as const)
  test(`revocations that are pending: ${what}`, (t) => {
    t.deepEqual(
      pendingRevocations(of, answered).map(({ sha256 }) => sha256),
      pending,
    );
  });
