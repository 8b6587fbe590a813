import test from 'ava';
import { instant, minute, parseRfc3339, plus } from '#src/clock.ts';
import { about, draft, marked, setConditions, summarise } from '#src/domain/status/conditions.ts';
import { saysTheSame, statusDecision } from '#src/domain/status/decision.ts';

const now = parseRfc3339('2026-11-24T12:00:00Z') ?? instant(0);
const ready = draft('Ready', 'True', 'Ready', 'fine');

test('the transition time stays while the status stays, and moves with it, in whole seconds', (t) => {
  const first = setConditions(undefined, [ready], 1, now);
  t.deepEqual(first, [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: 'fine',
      observedGeneration: 1,
      lastTransitionTime: '2026-11-24T12:00:00Z',
    },
  ]);
  const same = setConditions(first, [{ ...ready, message: 'better', reason: 'Suspended' }], 2, plus(now, minute));
  t.like(same[0], {
    message: 'better',
    reason: 'Suspended',
    observedGeneration: 2,
    lastTransitionTime: '2026-11-24T12:00:00Z',
  });
  const other = setConditions(same, [{ ...ready, status: 'False' }], 2, plus(now, minute + 999));
  t.is(other[0]?.lastTransitionTime, '2026-11-24T12:01:00Z');
});

test("the default of the CRD is no condition that lasts: its time is nobody's", (t) => {
  const pending = {
    type: 'Ready',
    status: 'Unknown',
    reason: 'Pending',
    message: '',
    lastTransitionTime: '1970-01-01T00:00:00Z',
  } as const;
  const [next] = setConditions([pending], [{ ...ready, status: 'Unknown' }], 1, now);
  t.is(next?.lastTransitionTime, '2026-11-24T12:00:00Z');
});

test('fixed order, Ready first; what no draft speaks of goes', (t) => {
  const types = setConditions(
    undefined,
    [
      draft('Stalled', 'True', 'NoRule', 'x'),
      draft('Issuing', 'True', 'Issuing', 'x'),
      ready,
      draft('Authorized', 'True', 'Authorized', 'x'),
    ],
    1,
    now,
  );
  t.deepEqual(
    types.map(({ type }) => type),
    ['Ready', 'Authorized', 'Issuing', 'Stalled'],
  );
  t.deepEqual(
    setConditions(types, [ready], 1, now).map(({ type }) => type),
    ['Ready'],
  );
});

test('messages are cut to what the CRD takes', (t) => {
  t.is(setConditions(undefined, [{ ...ready, message: 'x'.repeat(5000) }], 1, now)[0]?.message.length, 2048);
});

test('a sentence that quotes somebody stays one line of text', (t) => {
  const [condition] = setConditions(undefined, [{ ...ready, message: 'creator a\nb\u001b[31m\u202ec.' }], 1, now);
  t.is(condition?.message, 'creator a?b?[31m?c.');
});

test('Ready: the first False speaks, else the first Unknown, else all is well', (t) => {
  const yes = draft('Authorized', 'True', 'Authorized', 'yes');
  const unknown = draft('Probed', 'Unknown', 'Probing', 'perhaps');
  const no = draft('Issuing', 'False', 'WaitingForClient', 'no');
  t.deepEqual(summarise([yes], 'happy'), draft('Ready', 'True', 'Ready', 'happy'));
  t.deepEqual(summarise([yes, unknown], 'happy'), draft('Ready', 'Unknown', 'Probing', 'perhaps'));
  t.deepEqual(summarise([yes, unknown, no], 'happy'), draft('Ready', 'False', 'WaitingForClient', 'no'));
});

test('kstatus marks only while not Ready', (t) => {
  const bad = draft('Ready', 'False', 'NoRule', 'x');
  t.deepEqual(marked(ready, 'Stalled'), [ready]);
  t.deepEqual(marked(bad, 'Neither'), [bad]);
  t.deepEqual(marked(bad, 'Stalled'), [bad, { ...bad, type: 'Stalled', status: 'True' }]);
});

test('the subject stands in front once', (t) => {
  t.is(about('IdentityPool a', 'b'), 'IdentityPool a: b');
  t.is(about('IdentityPool a', 'IdentityPool a: b'), 'IdentityPool a: b');
});

const conditions = setConditions(undefined, [ready, draft('Issuing', 'True', 'Issuing', 'x')], 1, now);

for (const [what, a, b, same] of [
  ['order of conditions', { conditions }, { conditions: conditions.toReversed() }, true],
  ['order of members', { observedGeneration: 1, conditions }, { conditions, observedGeneration: 1 }, true],
  [
    'a condition of somebody else',
    { conditions },
    { conditions: [...conditions, { ...conditions[0], type: 'example.com/Audited' }] },
    true,
  ],
  ['an absent member', { conditions }, { conditions, clientId: undefined }, true],
  ['the first status', {}, { conditions }, false],
  ['another count', { sessions: 3 }, { sessions: 4 }, false],
  ['another message', { conditions }, { conditions: [{ ...conditions[0], message: 'y' }, conditions[1]] }, false],
  ['a condition of ours that is gone', { conditions }, { conditions: conditions.slice(1) }, false],
  ['order of a list', { conditions, stoppedBy: ['a', 'b'] }, { conditions, stoppedBy: ['b', 'a'] }, false],
] as const) {
  test(`semantic equality: ${what} → ${same ? 'same' : 'different'}`, (t) => {
    t.is(saysTheSame(a as object, b as object), same);
  });
}

interface Status {
  readonly conditions: typeof conditions;
  readonly sessions: number;
}
const status = (sessions: number, message = 'fine'): Status => ({
  conditions: setConditions(undefined, [{ ...ready, message }], 1, now),
  sessions,
});
const suspended: Status = {
  ...status(0),
  conditions: setConditions(undefined, [{ ...ready, reason: 'Suspended' }], 1, now),
};
const ask = (
  current: Status | undefined,
  next: Status,
  writtenAt?: number,
  recheckAt?: number,
  wordsFrom?: number,
  zeroIsNews = false,
) =>
  statusDecision(
    {
      zeroIsNews,
      current,
      next,
      counts: ['sessions'],
      writtenAt: writtenAt === undefined ? undefined : instant(writtenAt),
      group: 'g',
      recheckAt: recheckAt === undefined ? undefined : instant(recheckAt),
      wordsFrom: wordsFrom === undefined ? undefined : instant(wordsFrom),
    },
    now,
  );

for (const [what, decision, row, recheckAt] of [
  ['no status yet', ask(undefined, status(0)), 'changed', undefined],
  ['news are written at once', ask(status(0), status(0, 'news'), now), 'changed', undefined],
  [
    'words of a step that may be over at once',
    ask(status(0), status(0, 'news'), now, now + 9, now + 5),
    'words-later',
    now + 5,
  ],
  ['words of a step that lasts', ask(status(0), status(0, 'news'), now, undefined, now), 'changed', undefined],
  ['more than words', ask(status(0), suspended, now, undefined, now + 5), 'changed', undefined],
  ['nothing new', ask(status(3), status(3), now), 'settled', undefined],
  ['nothing new until then', ask(status(3), status(3), now, now + 5), 'settled', now + 5],
  ['a count, written just now', ask(status(3), status(4), now - 1000), 'counts-later', now - 1000 + minute],
  ['a count, something else is due before', ask(status(3), status(4), now - 1000, now + 5), 'counts-later', now + 5],
  ['a count, a minute later', ask(status(3), status(4), now - minute), 'counts', undefined],
  ['a count, after a restart', ask(status(3), status(4)), 'counts', undefined],
  ['a first one that is no news', ask(status(0), status(1), now), 'counts-later', now + minute],
  ['the first one', ask(status(0), status(1), now, undefined, undefined, true), 'changed', undefined],
  ['the last one', ask(status(2), status(0), now, undefined, undefined, true), 'changed', undefined],
  ['one more', ask(status(1), status(2), now, undefined, undefined, true), 'counts-later', now + minute],
] as const) {
  test(`when to write: ${what}`, (t) => {
    t.is(decision.row, row);
    t.is(decision.recheckAt, recheckAt === undefined ? undefined : instant(recheckAt));
    t.is(decision.action !== undefined, row === 'changed' || row === 'counts');
    t.is(decision.reason, what === 'more than words' ? 'Suspended' : 'Ready');
  });
}
