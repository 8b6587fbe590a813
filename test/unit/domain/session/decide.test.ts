import test from 'ava';
import type { Decision } from '#src/decision.ts';
import { decideSession, sessionRows } from '#src/domain/session/decide.ts';
import type { SessionAction } from '#src/domain/session/machine.ts';
import { issuer, noon } from '#test/support/builders.ts';
import { tableTests } from '../table.ts';
import { endingCases } from './cases-ending.ts';
import { mintingCases } from './cases-minting.ts';
import type { Case } from './cases.ts';

const cases: readonly Case[] = [...endingCases, ...mintingCases];

for (const c of cases) {
  test(`${c.row}: ${c.title}`, (t) => {
    const decision: Decision<SessionAction> = decideSession(c.s, c.now ?? noon);
    t.is(decision.row, c.row);
    const { action } = decision;
    t.is(action?.type, c.action);
    t.true(c.action !== undefined || c.reason !== undefined, 'a case without an action says why there is none');
    if (action !== undefined) t.truthy(decision.work, 'every action says its lane');
    if (c.reason !== undefined) t.is(decision.reason, c.reason);
    if (c.lane !== undefined) t.is(decision.work?.lane, c.lane);
    if (c.recheckAt !== undefined) t.is(decision.recheckAt, c.recheckAt);
    const tokens =
      action?.type === 'Revoke'
        ? [action.token]
        : action?.type === 'Forbid' || action?.type === 'Drop' || action?.type === 'Conclude'
          ? action.tokens
          : undefined;
    if (c.tokens !== undefined) t.deepEqual(tokens, c.tokens);
    if (c.content !== undefined) t.is(action?.type === 'Deliver' ? action.content : undefined, c.content);
    if (c.error !== undefined)
      t.is(action?.type === 'Deliver' && action.content === 'Error' ? action.error.reason : undefined, c.error);
    if (c.predecessor !== undefined) t.is(action?.type === 'Mint' ? action.predecessor : undefined, c.predecessor);
  });
}

/** In the order in which they are asked: what ends a token before what makes one. */
const expectedRows = [
  'lost-lease',
  'damaged',
  'unreadable',
  'expired',
  'unknown',
  'recalled', // somebody asked to revoke what the usable token has replaced
  'clean',
  'over',
  'revoke',
  'revoked', // the record does not say so yet
  'stopped',
  'guard',
  'untrusted',
  'waiting',
  'undelivered',
  'limited',
  'full',
  'first',
  'withdrawn', // narrowed, where no narrower token can be had
  'narrowed',
  'due',
  'settled', // nothing to do
] as const;

tableTests(sessionRows, expectedRows, cases);

test('what spends the budget of the issuer says so, and nothing else does; revocations have a circuit of their own', (t) => {
  const circuits: Readonly<Record<string, string>> = { Mint: 'tokens', Revoke: 'revocations' };
  for (const c of cases) {
    const { action, work } = decideSession(c.s, c.now ?? noon);
    const circuit = circuits[action?.type ?? ''];
    t.is(work?.resource, circuit && `${issuer}/${circuit}`, c.title);
    if (action !== undefined) t.is(work?.group, 'ci-payments');
  }
});

test('messages for the build name the subject and hold no token', (t) => {
  for (const c of cases) {
    const { action } = decideSession(c.s, c.now ?? noon);
    if (action?.type !== 'Deliver' || action.content !== 'Error') continue;
    t.true(action.error.message.startsWith('CiIdentity ci-payments/publisher'), c.title);
    t.false(JSON.stringify(action.error).includes('value of'));
    t.true(action.error.fix.length > 0);
  }
});
