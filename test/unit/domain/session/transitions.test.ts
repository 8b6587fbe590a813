import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { sessionCodec } from '#src/domain/session/record-codec.ts';
import { clientOf, clientsOf } from '#src/domain/session/record.ts';
import { concluded, dropped, forbidden, minted } from '#src/domain/session/transitions.ts';
import type { RevocationOutcome } from '#src/domain/token.ts';
import { buildEndedToken, buildSessionRecord, buildToken, noon } from '#test/support/builders.ts';

test('a session that moves to another client knows of each token which client minted it', (t) => {
  const before = buildSessionRecord();
  const facts = { ...before, client: 'client-2', revocation: 'Immediate' } as const;
  const token = buildToken({ sha256: 'b2', minted: plus(noon, minute), clientId: 'ci-2' });
  const moved = minted(before, token, facts, 'Superseded', plus(noon, minute), 'RenewalDue');
  t.is(moved.client, 'client-2');
  t.deepEqual(
    moved.tokens.map((one) => clientOf(moved, one)),
    ['client-1', 'client-2'],
  );
  t.deepEqual(clientsOf(moved), ['client-1', 'client-2']);
  const back = buildToken({ sha256: 'c3', minted: plus(noon, 2 * minute) });
  const again = minted(
    moved,
    back,
    { ...facts, client: 'client-1' },
    'Superseded',
    plus(noon, 2 * minute),
    'RenewalDue',
  );
  t.deepEqual(
    again.tokens.map((one) => clientOf(again, one)),
    ['client-1', 'client-2', 'client-1'],
  );
  const read = sessionCodec.decode(sessionCodec.encode(again));
  t.deepEqual(read.is === 'Record' ? clientsOf(read.record) : [], ['client-1', 'client-2']);
  t.deepEqual(clientsOf(dropped(moved, ['a1'])!), ['client-2']);
});

test('a token that was revoked leaves its record, one that cannot be revoked leaves its value, and the record goes with the last one', (t) => {
  const [old, older] = [
    buildEndedToken('Forbidden', { sha256: 'old' }),
    buildEndedToken('Superseded', { sha256: 'older' }),
  ];
  const record = buildSessionRecord({ tokens: [older, old, buildToken()] });
  const left = (
    answered: ReadonlyMap<string, RevocationOutcome>,
  ): readonly (readonly [string, boolean])[] | undefined =>
    concluded(record, answered)?.tokens.map(({ sha256, value }) => [sha256, value !== undefined]);
  const [first, second, newest] = [
    ['older', true],
    ['old', true],
    ['a1', true],
  ] as const;
  t.deepEqual(left(new Map()), [first, second, newest]);
  t.deepEqual(
    left(
      new Map([
        ['old', 'Confirmed'],
        ['older', 'Requested'],
      ]),
    ),
    [newest],
  );
  t.deepEqual(left(new Map([['old', 'NotSupported']])), [first, ['old', false], newest]);
  t.is(concluded(buildSessionRecord({ tokens: [old] }), new Map([['old', 'Confirmed']])), undefined);
});

for (const [older, predecessor, becomes] of [
  ['Superseded', 'Superseded', 'Superseded'],
  ['Superseded', 'Forbidden', 'Forbidden'],
  ['Forbidden', 'Superseded', 'Forbidden'],
  ['Forbidden', 'Forbidden', 'Forbidden'],
] as const)
  test(`a token that is ${older} when another one becomes ${predecessor}: ${becomes}`, (t) => {
    const before = buildSessionRecord({ tokens: [buildEndedToken(older, { sha256: 'old' }), buildToken()] });
    const facts = { ...before, revocation: 'Immediate' } as const;
    const now = plus(noon, minute);
    const next = minted(before, buildToken({ sha256: 'new', minted: now }), facts, predecessor, now, 'Narrowed');
    t.deepEqual(
      next.tokens.map(({ end }) => end),
      [becomes, predecessor, undefined],
    );
    t.is(next.tokens[0].endedAt, becomes === older ? noon : now);
    t.is(next.tokens[0].endedFor, becomes === older ? undefined : 'Narrowed', 'why it must not be used any more');
  });

test('what is forbidden says why, and keeps saying it', (t) => {
  const record = buildSessionRecord({ tokens: [buildEndedToken('Superseded', { sha256: 'old' }), buildToken()] });
  const first = forbidden(record, ['a1'], noon, 'Immediate', 'PodOver');
  const second = forbidden(first, ['old', 'a1'], noon, 'Immediate', 'Suspended');
  t.deepEqual(
    second.tokens.map(({ endedFor }) => endedFor),
    ['Suspended', 'PodOver'],
  );
});
