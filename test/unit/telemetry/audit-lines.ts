import { second } from '#src/clock.ts';
import { type AuditFacts, AuditLog } from '#src/telemetry/audit.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

export const sessionFacts = {
  session_id: '5f0c.publisher',
  namespace: 'ci-payments',
  identity: 'publisher',
  pod: { name: 'agent-1', uid: '5f0c' },
} as const;

export const tokenFacts = {
  ...sessionFacts,
  pool: 'ci-bots',
  issuer: 'https://idp.example.com',
  client: 'client-00',
  client_id: 'ci-00-bots',
  generation: 2,
  scopes: ['artifacts:publish'],
  audiences: ['https://registry.example.com'],
  by: [{ policy: 'publishers', rule: 0, generation: 1 }],
} as const;

const sha = 'a'.repeat(64);

/** What every line about a token that a session holds says of it. */
const { by: _, ...asked } = tokenFacts;
const heldToken = { ...asked, expires_at: '2026-11-24T12:15:00Z', token_sha256: sha } as const;

const longNames = (first: string): readonly string[] =>
  Array.from({ length: 64 }, (_, n) => `${first}${n}${'x'.repeat(253)}`.slice(0, 256));

/** As long as a team can make a line: 64 scopes and 64 audiences of 256 characters. */
export const widest = {
  event: 'Forbidden',
  outcome: 'Success',
  reason: 'NoRule',
  ...tokenFacts,
  expires_at: '2026-11-24T12:15:00Z',
  token_sha256: 'a'.repeat(64),
  message: 'm'.repeat(2_048),
  requester: 'r'.repeat(512),
  claimed_run_url: 'u'.repeat(512),
  scopes: longNames('s'),
  audiences: longNames('a'),
  by: longNames('p').map((policy, rule) => ({ policy, rule, generation: 1 })),
  denials: longNames('s').map((scope, n) => ({ scope, audience: longNames('a')[n] ?? '', reason: 'NoRule' })),
  policies: longNames('p').map((policy) => ({ policy, generation: 1 })),
} as const satisfies AuditFacts;

/** One of each event, as the controllers write them. */
export const everyEvent: readonly AuditFacts[] = [
  widest,
  { event: 'Started', outcome: 'Success', reason: 'Ready', message: 'epoch 1' },
  { event: 'Halted', outcome: 'Success', reason: 'Suspended', message: 'IdentityPool p (spec.suspend)', pool: 'p' },
  { event: 'Resumed', outcome: 'Success', reason: 'Suspended', message: 'IdentityPool p (spec.suspend)', pool: 'p' },
  { event: 'Asked', outcome: 'Success', reason: 'RevokeRequested', message: 'IdentityPool p: request 1', pool: 'p' },
  { event: 'Unguarded', outcome: 'Failure', reason: 'GuardMissing', message: 'x (missing)' },
  { event: 'Guarded', outcome: 'Success', reason: 'Ready', message: 'whole since 2026-11-24T12:00:00Z' },
  { event: 'Drifted', outcome: 'Failure', reason: 'ClientDrifted', message: 'jwks', pool: 'p', generation: 1 },
  {
    event: 'Planned',
    outcome: 'Success',
    reason: 'Planned',
    pool: 'ci-bots',
    issuer: 'https://idp.example.com',
    generation: 1,
  },
  ...(
    [
      ['Activated', 'CredentialCurrent'],
      ['Drained', 'Draining'],
      ['Retired', 'Retired'],
      ['Completed', 'RequestDone'],
    ] as const
  ).map(([event, reason]): AuditFacts => ({
    event,
    outcome: 'Success',
    reason,
    pool: 'ci-bots',
    generation: 2,
    message: 'm',
  })),
  {
    event: 'RolledBack',
    outcome: 'Failure',
    reason: 'CredentialRefused',
    pool: 'ci-bots',
    generation: 2,
    message: 'm',
  },
  { event: 'Acknowledged', outcome: 'Success', reason: 'OrphanAcknowledged', pool: 'ci-bots', generation: 2 },
  {
    event: 'Restored',
    outcome: 'Failure',
    reason: 'RecordRestored',
    pool: 'ci-bots',
    generation: 2,
    message: 'm',
  },
  { event: 'Registered', outcome: 'Success', reason: 'Registering', pool: 'ci-bots', generation: 1, client_id: 'c' },
  { event: 'Updated', outcome: 'Success', reason: 'RotationDue', pool: 'ci-bots', generation: 2, client_id: 'c' },
  {
    event: 'Proved',
    outcome: 'Failure',
    reason: 'CredentialUnverified',
    generation: 2,
    scopes: [],
    audiences: [],
    message: 'refused',
  },
  {
    event: 'Requested',
    outcome: 'Pending',
    reason: 'NewPod',
    ...tokenFacts,
    requester: 'system:serviceaccount:j:j',
    claimed_run_url: 'https://j/1',
    claimed_traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    actor: { type: 'AIAgent', id: 'release-bot', owner: 'payments@example.com' },
    decided_on: { pool: 3, identity: 1 },
    node: 'n',
  },
  {
    event: 'Minted',
    outcome: 'Success',
    reason: 'NewPod',
    ...tokenFacts,
    expires_at: '2026-11-24T12:15:00Z',
    token_sha256: sha,
  },
  {
    event: 'Renewed',
    outcome: 'Success',
    reason: 'RenewalDue',
    ...tokenFacts,
    expires_at: '2026-11-24T12:22:30Z',
    token_sha256: sha,
  },
  {
    event: 'Narrowed',
    outcome: 'Success',
    reason: 'Narrowed',
    ...tokenFacts,
    expires_at: '2026-11-24T12:22:30Z',
    token_sha256: sha,
  },
  { event: 'ShadowDenied', outcome: 'Success', reason: 'NoRule', message: 'no rule', token_sha256: sha, ...tokenFacts },
  { event: 'Discarded', outcome: 'Failure', reason: 'ScopeWider', message: 'wider', token_sha256: sha, ...tokenFacts },
  { event: 'Delivered', outcome: 'Success', reason: 'Undelivered', ...heldToken },
  { event: 'Emptied', outcome: 'Success', reason: 'PodOver', ...sessionFacts },
  { event: 'Forbidden', outcome: 'Success', reason: 'PodOver', ...heldToken },
  {
    event: 'Revoked',
    outcome: 'Failure',
    reason: 'PodOver',
    message: 'NotSupported',
    ...heldToken,
  },
  { event: 'Expired', outcome: 'Success', reason: 'Expired', ...heldToken },
  {
    event: 'Denied',
    outcome: 'Failure',
    reason: 'NoRule',
    denials: [
      { scope: 'deploy:production', audience: 'https://registry.example.com', reason: 'NoRule' },
      {
        scope: 'admin',
        audience: 'https://registry.example.com',
        reason: 'OutsideCeiling',
        by: { policy: 'publishers', rule: 0, generation: 1 },
      },
    ],
    policies: [{ policy: 'publishers', generation: 1 }],
    repeated: 4,
    ...sessionFacts,
  },
  { event: 'Failed', outcome: 'Failure', reason: 'ProviderUnavailable', ...sessionFacts },
  { event: 'Deregistered', outcome: 'Success', reason: 'Deregistering', generation: 1, client_id: 'c' },
  {
    event: 'Noticed',
    outcome: 'Failure',
    reason: 'RevokedElsewhere',
    ...heldToken,
    message: 'revoked by somebody else',
  },
  { event: 'Held', outcome: 'Success', reason: 'BrakeHolds', message: '40 of 100 sessions' },
  { event: 'Released', outcome: 'Success', reason: 'BrakeHolds', message: 'sessions-40-20781 is no longer held' },
  { event: 'Stopped', outcome: 'Success', reason: 'LostLease' },
];

/** The lines that a process writes for these facts, without their line ends; a second passes before each. */
export function written(processId: string, facts: readonly AuditFacts[]): readonly string[] {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = new AuditLog({ write: (line) => void lines.push(line.replace(/\n$/, '')), clock, processId });
  for (const fact of facts) {
    clock.setWall(second);
    log.record(fact);
  }
  return lines;
}
