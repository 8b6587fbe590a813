import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import type { Decision } from '#src/decision.ts';
import { clientRows, decideClient } from '#src/domain/client/decide.ts';
import type { ClientAction } from '#src/domain/client/machine.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { isTriedAhead, proved } from '#src/domain/client/proofs.ts';
import { openRequests } from '#src/domain/client/requests.ts';
import { clientRecordName } from '#src/domain/record-names.ts';
import { lanes } from '#src/domain/lanes.ts';
import { buildAsk, buildDesired, issuer, noon } from '#test/support/builders.ts';
import { tableTests } from '../table.ts';
import { recoveryCases } from './cases-recovery.ts';
import { endingCases } from './cases-ending.ts';
import { planningCases } from './cases-planning.ts';
import { rotationCases } from './cases-rotation.ts';
import { upkeepCases } from './cases-upkeep.ts';
import { hashOf, none, other, record, rotating, snapshot, wanting, withGenerations } from './cases.ts';
import type { Case } from './cases.ts';

const cases: readonly Case[] = [...recoveryCases, ...endingCases, ...planningCases, ...rotationCases, ...upkeepCases];

const statesAfter = ({ next }: Extract<ClientAction, { type: 'Record' }>): Case['next'] =>
  next === undefined ? 'gone' : next.generations.map(({ state }) => state);

for (const c of cases) {
  test(`${c.row}: ${c.title}`, (t) => {
    const decision: Decision<ClientAction> = decideClient(c.s, c.now ?? noon);
    t.is(decision.row, c.row);
    const { action } = decision;
    t.is(action?.type, c.action?.type);
    t.true(c.action !== undefined || c.reason !== undefined, 'a case without an action says why there is none');
    if (c.action !== undefined) t.like(action, c.action);
    if (action !== undefined) t.truthy(decision.work, 'every action says its lane');
    if (c.reason !== undefined) t.is(decision.reason, c.reason);
    if (c.lane !== undefined) t.is(decision.work?.lane, c.lane);
    if (c.recheckAt !== undefined) t.is(decision.recheckAt, c.recheckAt);
    if (c.stored !== undefined) t.like(action?.type === 'Record' ? action.next : undefined, c.stored);
    if (c.next !== undefined) t.deepEqual(action?.type === 'Record' ? statesAfter(action) : undefined, c.next);
  });
}

/** In the order in which they are asked. */
const expectedRows = [
  'lost-lease',
  'unknown',
  'damaged',
  'clock-set-back',
  'revocation',
  'restored',
  'handed-in',
  'retry',
  'open-intent',
  'answer-too-late',
  'unwanted',
  'emergency',
  'stopped',
  'first',
  'wanted-again',
  'replaced',
  'asked',
  'expiring-soon', // before those that wait for a window or a turn
  'due',
  'expiring',
  'method-changed',
  'again',
  'refused',
  'abandoned',
  'offered', // before whatever else could refuse or mint
  'create',
  'verify',
  'not-accepted',
  'drained',
  'retire',
  'noted',
  'acknowledged',
  'nothing-given',
  'stale',
  'proof',
  'outage', // the pool would say so until somebody asks for a token
  'settled', // nothing to do
] as const;

tableTests(clientRows, expectedRows, cases);

test('what spends a budget of the issuer says which, and nothing else does', (t) => {
  for (const c of cases) {
    const { action, work } = decideClient(c.s, c.now ?? noon);
    if (action === undefined) continue;
    const byAction = {
      Prove: 'tokens',
      Record: undefined,
      // A used-up initial access token must not keep others from being rotated and deleted.
      Register: 'registrations',
      Plan: work?.lane === lanes.Routine ? 'plans' : undefined,
    };
    const resource = action.type in byAction ? byAction[action.type as keyof typeof byAction] : 'clients';
    t.is(work?.resource, resource && `${issuer}/${resource}`, c.title);
    t.is(work?.group, 'ci-bots');
    t.is(work?.party, resource === 'tokens' ? clientRecordName('pool-uid', '', '') : undefined);
  }
});

test('the share of a client is its pool’s, and of that its namespace’s', (t) => {
  for (const [namespace, share] of [
    [undefined, { group: 'ci-bots' }],
    ['ci-payments', { group: 'ci-bots', member: 'ci-payments' }],
  ] as const) {
    const own = namespace === undefined ? {} : { namespace };
    for (const s of [{ ...none, ...wanting(own) }, snapshot({ record: record({ ...own, sent: 'before' }) })]) {
      const { work } = decideClient(s, noon);
      t.like(work, share);
      t.is(work?.member, namespace);
    }
  }
});

test('an emergency, in the middle of which somebody revoked, owes its rotation when nothing can replace the credential', (t) => {
  const wanted = wanting({ rotateRequest: 'e1', revokeRequest: 'r1' });
  const emergency = { emergency: 2, revoking: { id: 'e1', since: noon }, handled: ['e1'], observed: other };
  let kept: ClientRecord | undefined = withGenerations(rotating('Planned'), emergency);
  for (const row of ['revocation', 'emergency'] as const) {
    const decision = decideClient(snapshot({ ...wanted, record: kept }), noon);
    t.is(decision.row, row);
    kept = decision.action?.type === 'Record' ? decision.action.next : undefined;
    if (kept === undefined) return t.fail();
  }
  t.deepEqual(kept.handled, ['Revoke e1', 'Revoke r1']);
  t.deepEqual(openRequests(kept, buildDesired({ rotateRequest: 'e1', revokeRequest: 'r1' })), [
    { kind: 'Rotate', id: 'e1' },
  ]);
});

test('a decision is the same however often it is made, and a recheck lies ahead', (t) => {
  for (const c of cases) {
    const now = c.now ?? noon;
    const decision = decideClient(c.s, now);
    t.deepEqual(decideClient(c.s, now), decision);
    t.true(decision.recheckAt === undefined || decision.recheckAt > now, c.title);
  }
});

test('of 300 asks each one is proven or left to a pod, once and for all', (t) => {
  const many = Array.from({ length: 300 }, (_, i) => ({ hash: hashOf(i), ask: buildAsk() }));
  let now = plus(noon, minute);
  let s = snapshot({ asks: many });
  for (;;) {
    const { action } = decideClient(s, now);
    if (action?.type !== 'Prove' || s.record === undefined) break;
    const result = { use: action.settles, generation: action.generation, hash: action.hash, overlap: 0 };
    const outcome = { is: 'Accepted' } as const;
    s = snapshot({ asks: many, record: proved(s.record, { ...result, outcome, lastExp: undefined }, now) });
    now = plus(now, 1);
  }
  const { proofs } = s.record!;
  t.is(Object.keys(proofs).length, 256);
  for (const { hash } of many) t.is(proofs[hash] === undefined, !isTriedAhead(s.record!, hash), hash);
});
