import test from 'ava';
import { parseRfc3339, plus, second } from '#src/clock.ts';
import { decideProofToken } from '#src/domain/client/proof-token.ts';
import { lanes } from '#src/domain/lanes.ts';

const since = parseRfc3339('2026-11-24T12:00:00Z')!;
const token = { issuer: 'https://idp.example.com', pool: 'ci-bots', client: 'client-1', since };

for (const [what, isBusy, age, expected] of [
  ['nothing else is to be done', false, 0, { row: 'revoke', lane: lanes.CleanUp }],
  ['other work waits', true, 0, { row: 'yields', recheck: 2 }],
  ['other work waits, the last look', true, 14, { row: 'yields', recheck: 15 }],
  ['other work waits for long', true, 15, { row: 'revoke', lane: lanes.NewPod }],
] as const)
  test(`the token of a proof, ${age} s old, ${what}: ${expected.row}`, (t) => {
    const { row, action, work, recheckAt } = decideProofToken({ ...token, isBusy }, plus(since, age * second));
    t.is(row, expected.row);
    if ('lane' in expected) {
      t.deepEqual(action, { type: 'Revoke' });
      t.like(work, { lane: expected.lane, resource: 'https://idp.example.com/revocations', party: 'client-1' });
    } else {
      t.is(action, undefined);
      t.is(recheckAt, plus(since, expected.recheck * second));
    }
  });
