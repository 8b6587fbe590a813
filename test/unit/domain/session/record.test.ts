import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { type SessionRecord, objectionTo } from '#src/domain/session/record.ts';
import type { Token } from '#src/domain/token.ts';
import { buildEndedToken, buildSessionRecord, buildToken, noon } from '#test/support/builders.ts';

const usable = (n: number): Token => buildToken({ sha256: `t${n}`, minted: plus(noon, n * minute) });
const ended = (n: number, end: 'Superseded' | 'Forbidden' = 'Superseded'): Token =>
  buildEndedToken(end, { sha256: `t${n}`, minted: plus(noon, n * minute) });
const of = (...tokens: readonly [Token, ...Token[]]): SessionRecord => buildSessionRecord({ tokens, epoch: 2 });
const older = 'it is older than what was stored last';

const rows: readonly (readonly [what: string, found: SessionRecord, known: SessionRecord | undefined, why?: string])[] =
  [
    ['nothing is known', of(usable(1)), undefined],
    ['the same', of(usable(1)), of(usable(1))],
    ['renewed', of(ended(1), usable(2)), of(usable(1))],
    ['renewed twice, and the first one left', of(ended(2), usable(3)), of(usable(1))],
    ['forbidden', of(ended(1, 'Forbidden')), of(usable(1))],
    [
      'the newest of two was revoked first',
      of(ended(1, 'Forbidden')),
      of(ended(1, 'Forbidden'), ended(2, 'Forbidden')),
    ],
    ['renewed after the clock was set back', of(ended(5), usable(2)), of(usable(5))],
    ['from before the renewal', of(usable(1)), of(ended(1), usable(2)), older],
    ['from before the renewal, whose predecessor is gone', of(usable(1)), of(usable(2)), older],
    ['from before it was forbidden', of(usable(1)), of(ended(1, 'Forbidden')), older],
    ['of an earlier epoch', { ...of(usable(2)), epoch: 1 }, of(usable(1)), older],
    ['of a later epoch, whatever it says', { ...of(usable(1)), epoch: 3 }, of(ended(1), usable(2))],
    [
      'of another pod',
      { ...of(usable(1)), pod: { namespace: 'ci-payments', name: 'agent-2', uid: 'other' } },
      of(usable(1)),
      'it is of another session',
    ],
  ];

for (const [what, found, known, why] of rows)
  test(`a session record that was found, ${what}: ${why ?? 'is the one to go by'}`, (t) => {
    t.is(objectionTo(found, known), why);
  });
