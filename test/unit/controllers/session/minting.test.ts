import test from 'ava';
import { issued, type Minting } from '#src/controllers/session/minting.ts';
import type { Access } from '#src/domain/access/access.ts';
import type { SessionSnapshot } from '#src/domain/session/machine.ts';
import {
  buildAsk,
  buildClientFacts,
  buildEndedToken,
  buildGranted,
  buildLiveSnapshot,
  buildSessionRecord,
  buildSessionSnapshot,
  buildToken,
} from '#test/support/builders.ts';

type End = 'Superseded' | 'Forbidden';

const rows: readonly (readonly [string, SessionSnapshot, End, string])[] = [
  ['without a record', buildSessionSnapshot(), 'Superseded', 'Minted'],
  [
    'after a stop was lifted: what it had is forbidden already',
    buildLiveSnapshot({ record: buildSessionRecord({ tokens: [buildEndedToken('Forbidden')] }) }),
    'Superseded',
    'Minted',
  ],
  ['in good time', buildLiveSnapshot(), 'Superseded', 'Renewed'],
  ['because it may not use what it has any longer', buildLiveSnapshot(), 'Forbidden', 'Narrowed'],
];

for (const [title, s, predecessor, event] of rows)
  test(`a token for a session ${title} is ${event}`, (t) => {
    const action = { type: 'Mint', ask: buildAsk(), hash: 'h', predecessor } as const;
    const { current, ...client } = buildClientFacts();
    const facts = { pool: { name: 'ci-bots' }, issuer: client.issuer } as Minting['facts'];
    const minting = { key: 'k', s, action, client: { ...client, current }, facts } as Minting;
    const token = buildToken();
    t.like(issued(minting, token, 'NewPod'), {
      event,
      outcome: 'Success',
      reason: 'NewPod',
      pool: 'ci-bots',
      scopes: action.ask.scopes,
      token_sha256: token.sha256,
    });
  });

test('a rule that gives many scopes is named once', (t) => {
  const rule = { policy: 'publishers', rule: 0, generation: 3 };
  const other = { ...rule, rule: 1 };
  const by = [rule, rule, other].map((one, n) => ({ audience: 'a', scope: `s${n}`, by: { ...one } }));
  const s = buildSessionSnapshot({ access: { is: 'Seen', value: { ...buildGranted(), by } as Access } });
  const { current, ...client } = buildClientFacts();
  const facts = { pool: { name: 'ci-bots' }, issuer: client.issuer } as Minting['facts'];
  const action = { type: 'Mint', ask: buildAsk(), hash: 'h', predecessor: 'Superseded' } as const;
  const minting = { key: 'k', s, action, client: { ...client, current }, facts } as Minting;
  t.deepEqual(issued(minting, buildToken(), 'NewPod').by, [rule, other]);
});
