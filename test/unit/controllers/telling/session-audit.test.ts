import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { SessionAudit, shadowDenied } from '#src/controllers/telling/session-audit.ts';
import { type AuditFacts, AuditLog } from '#src/telemetry/audit.ts';
import type { SessionSnapshot } from '#src/domain/session/machine.ts';
import { buildAsk, buildLiveSnapshot, buildSessionRecord, issuer, omit } from '#test/support/builders.ts';
import { identity } from '../../domain/access/objects.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const decided = {
  identity: { is: 'Seen', value: { uid: 'identity-uid', generation: 4 } },
  pool: { name: 'ci-bots', generation: 7 },
} satisfies Partial<SessionSnapshot>;

const table: readonly (readonly [event: AuditFacts['event'], lines: number])[] = [
  ['Expired', 1],
  ['Forbidden', 1],
  // The provider was asked each time.
  ['Revoked', 3],
];

for (const [event, lines] of table) {
  test(`${event}, and its record can be stored at the third attempt only: ${lines} lines, and one more for another record`, (t) => {
    const clock = new VirtualClock();
    const written: string[] = [];
    const log = new AuditLog({ write: (line) => void written.push(line), clock });
    const audit = new SessionAudit(log, new Memory('ci-identity-system'), clock);
    const facts: AuditFacts = { event, outcome: 'Success', reason: 'PodOver', token_sha256: 'a1' };
    const s = buildLiveSnapshot();
    for (let attempt = 0; attempt < 3; attempt += 1) audit.record('ns/pod/uid/publisher', s, facts);
    t.is(written.length, lines);
    audit.record('ns/pod/uid/publisher', s, { ...facts, token_sha256: 'b2' });
    t.is(written.length, lines + 1, 'another token');
    audit.record('ns/pod/uid/publisher', buildLiveSnapshot({ record: buildSessionRecord() }), facts);
    t.is(written.length, lines + 2, 'the record was changed meanwhile');
  });
}

for (const { title, s, pool, then } of [
  {
    title: 'a first token',
    s: omit(buildLiveSnapshot(decided), 'record'),
    pool: 'ci-bots',
    then: { identity: 4, pool: 7 },
  },
  { title: 'a denial without a pool', s: omit(buildLiveSnapshot(decided), 'record'), then: { identity: 4, pool: 7 } },
  { title: 'a revocation', s: buildLiveSnapshot(decided), then: { identity: 4, pool: 7 } },
  {
    title: 'a token of the pool before, while the identity names another one by now',
    s: buildLiveSnapshot({ ...decided, pool: { name: 'others', generation: 9 } }),
    then: { identity: 4 },
  },
  { title: 'the identity is gone', s: buildLiveSnapshot({ ...decided, identity: { is: 'Gone' } }), then: undefined },
])
  test(`decided_on is what the snapshot saw, whatever memory holds by now: ${title}`, (t) => {
    const clock = new VirtualClock();
    const written: string[] = [];
    const log = new AuditLog({ write: (line) => void written.push(line), clock });
    const memory = new Memory('ci-identity-system');
    const edited = identity({}, { namespace: 'ns', name: 'publisher', uid: 'identity-uid', generation: 5 });
    memory.identities.put('ns/publisher', { uid: 'identity-uid', resourceVersion: '5', ...edited });
    const facts = { event: 'Revoked', outcome: 'Success', reason: 'NewPod' } as const;
    new SessionAudit(log, memory, clock).record(
      'ns/pod/uid/publisher',
      s,
      pool === undefined ? facts : { ...facts, pool },
    );
    t.deepEqual((JSON.parse(written[0] ?? '{}') as AuditFacts).decided_on, then);
  });

test('the actor is named also when its CiIdentity is gone', (t) => {
  const clock = new VirtualClock();
  const written: string[] = [];
  const audit = new SessionAudit(
    new AuditLog({ write: (line) => void written.push(line), clock }),
    new Memory('ci-identity-system'),
    clock,
  );
  const actor = { type: 'AIAgent', id: 'release-bot', owner: 'payments@example.com' } as const;
  const record = buildSessionRecord({ identity: { name: 'publisher', uid: 'identity-uid', actor } });
  audit.record('ns/pod/uid/publisher', buildLiveSnapshot({ record }), {
    event: 'Revoked',
    outcome: 'Success',
    reason: 'IdentityGone',
  });
  t.like(JSON.parse(written[0] ?? ''), { actor });
});

const policies = [{ policy: 'publishers', generation: 5 }];
const denial = { reason: 'NoRule', message: 'no rule', scope: 'deploy:production' } as const;
const access = (is: 'Denied' | 'Granted'): SessionSnapshot['access'] => ({
  is: 'Seen',
  value:
    is === 'Denied'
      ? { is, lasting: true, denials: [denial], policies }
      : { is, ask: buildAsk(), hash: '', by: [], denials: [], wouldDeny: [], policies },
});

for (const { title, event, reason, s, then } of [
  {
    title: 'a pod that never gets a token: what would serve it, and after which policies it is denied',
    event: 'Denied',
    reason: 'NoRule',
    s: omit(buildLiveSnapshot({ ...decided, access: access('Denied') }), 'record'),
    then: {
      pool: 'ci-bots',
      issuer,
      client: 'client-1',
      denials: [{ scope: 'deploy:production', reason: 'NoRule' }],
      policies,
    },
  },
  {
    title: 'a policy edit that leaves nothing',
    event: 'Forbidden',
    reason: 'NoRule',
    s: buildLiveSnapshot({ access: access('Denied') }),
    then: { pool: 'ci-bots', policies },
  },
  {
    title: 'a policy edit that leaves something',
    event: 'Forbidden',
    reason: 'Narrowed',
    s: buildLiveSnapshot({ access: access('Granted') }),
    then: { pool: 'ci-bots', denials: undefined, policies },
  },
  {
    title: 'the pod is over, and policies have nothing to do with it',
    event: 'Forbidden',
    reason: 'PodOver',
    s: buildLiveSnapshot({ access: access('Granted') }),
    then: { pool: 'ci-bots', denials: undefined, policies: undefined },
  },
] as const)
  test(`a line says which policies decided: ${title}`, (t) => {
    const clock = new VirtualClock();
    const written: string[] = [];
    const log = new AuditLog({ write: (line) => void written.push(line), clock });
    const facts = { event, outcome: 'Success', reason } as const;
    new SessionAudit(log, new Memory('ci-identity-system'), clock).record('ns/pod/uid/publisher', s, facts);
    t.like({ denials: undefined, policies: undefined, ...(JSON.parse(written[0] ?? '{}') as AuditFacts) }, then);
  });

test('what would be denied is named to its last scope, though not each pair is kept', (t) => {
  const scopes = ['artifacts:publish', 'artifacts:read'];
  const audiences = ['https://registry.example.com'];
  const line = shadowDenied(
    {
      is: 'Seen',
      value: {
        is: 'Granted',
        ask: buildAsk(),
        hash: '',
        by: [],
        denials: [],
        wouldDeny: Array.from({ length: 64 }, () => ({ reason: 'NoRule', message: `${'x'.repeat(99)}.` })),
        audited: { scopes, audiences, pairs: 4_096 },
      },
    },
    'token',
  );
  t.like(line, { scopes, audiences, reason: 'NoRule' });
  t.regex(line?.message ?? '', / 4077 more: see status\.wouldDeny of the CiIdentity\.$/);
  t.is(shadowDenied(access('Granted'), 'token'), undefined);
});
