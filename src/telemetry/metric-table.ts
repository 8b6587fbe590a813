export interface Definition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly Label[];
  /** Of a histogram, in seconds; there are as many series of them for each pool. */
  readonly buckets?: readonly number[];
}

/** The only labels that exist; none of them grows with pods, jobs, identities or namespaces. */
export type Label =
  'pool' | 'issuer' | 'operation' | 'outcome' | 'reason' | 'machine' | 'lane' | 'watch' | 'credential';

/** Every metric, its labels and its help. Names are `ci_identity_<noun>_<unit>` and stable. */
export const metricTable = {
  ci_identity_decisions_total: {
    type: 'counter',
    help: 'Work that was carried out, by machine, and how it ended.',
    labels: ['machine', 'outcome'],
  },
  ci_identity_failures_total: {
    type: 'counter',
    help: 'Failed work by machine and reason.',
    labels: ['machine', 'reason'],
  },
  ci_identity_work_seconds: {
    type: 'histogram',
    help: 'Duration of each piece of work that was carried out, by machine.',
    labels: ['machine'],
  },
  ci_identity_effect_seconds: {
    type: 'histogram',
    help: 'Duration of each outside call (API server or provider) by operation and outcome.',
    labels: ['operation', 'outcome'],
  },
  ci_identity_queue_depth_keys: { type: 'gauge', help: 'Keys that wait for a worker, by lane.', labels: ['lane'] },
  ci_identity_queue_delayed_keys: {
    type: 'gauge',
    help: 'Keys whose work waits for a time: back-off, rate limit, outage.',
    labels: [],
  },
  ci_identity_watch_synced: {
    type: 'gauge',
    help: '1 while a watch is complete and current; pods: of every opted-in namespace.',
    labels: ['watch'],
  },
  ci_identity_watch_age_seconds: {
    type: 'gauge',
    help: 'Seconds since the last byte of a watch; pods: of the namespace that waits longest.',
    labels: ['watch'],
  },
  ci_identity_sessions_live: { type: 'gauge', help: 'Sessions that hold a usable token.', labels: ['pool'] },
  ci_identity_tokens_minted_total: {
    type: 'counter',
    help: 'Token requests by pool and outcome; the reason of a failure.',
    labels: ['pool', 'outcome', 'reason'],
  },
  ci_identity_token_request_seconds: {
    type: 'histogram',
    help: 'Duration of calls about tokens that succeeded, by pool and operation (NewPod, RenewalDue, Narrowed, Revoke …).',
    labels: ['pool', 'operation'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  ci_identity_tokens_revoked_total: {
    type: 'counter',
    help: 'Ends of tokens by pool and outcome: Confirmed, Requested or NotSupported as the provider says; Expired: not revoked in time; Elsewhere: somebody else revoked it.',
    labels: ['pool', 'outcome'],
  },
  ci_identity_revoke_lag_seconds: {
    type: 'histogram',
    help: 'From the moment that the controller saw why a token must end to the answer of the provider that it is revoked.',
    labels: ['pool', 'outcome'],
    buckets: [0.1, 0.5, 1, 2.5, 5, 10, 60, 300, 900],
  },
  ci_identity_revocations_pending: {
    type: 'gauge',
    help: 'Tokens that must end and whose revocation the provider has not answered yet.',
    labels: ['pool'],
  },
  ci_identity_revocation_oldest_seconds: {
    type: 'gauge',
    help: 'How long the oldest pending revocation has waited; a provider that cannot revoke is not counted.',
    labels: ['pool'],
  },
  ci_identity_delivery_seconds: {
    type: 'histogram',
    help: 'From the creation of a pod to its token in the delivery Secret (first token only).',
    labels: ['pool'],
    buckets: [0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  },
  ci_identity_provider_calls_total: {
    type: 'counter',
    help: 'Calls to identity providers by issuer, operation and outcome.',
    labels: ['issuer', 'operation', 'outcome'],
  },
  ci_identity_provider_up: {
    type: 'gauge',
    help: '1 while calls to an issuer are made, 0 while they are paused after failures of its own; operation: clients, registrations, tokens or revocations.',
    labels: ['issuer', 'operation'],
  },
  ci_identity_clock_offset_seconds: {
    type: 'gauge',
    help: 'Clock of an issuer (or of the API server, issuer kubernetes) minus ours, as its last answer told it.',
    labels: ['issuer'],
  },
  ci_identity_authentications_failed_total: {
    type: 'counter',
    help: 'Calls in which an issuer refused a credential of ours, by reason; condition Authenticating of the pool names the likely cause.',
    labels: ['issuer', 'reason'],
  },
  ci_identity_denials_total: {
    type: 'counter',
    help: 'Sessions that were refused a token, by reason.',
    labels: ['reason'],
  },
  ci_identity_possible_orphans: {
    type: 'gauge',
    help: 'Registrations of a pool whose answer was lost, so that a client may be left at the provider that nobody uses.',
    labels: ['pool'],
  },
  ci_identity_credential_generation: {
    type: 'gauge',
    help: 'Generation of the newest current credential of a pool.',
    labels: ['pool'],
  },
  ci_identity_credential_since_seconds: {
    type: 'gauge',
    help: 'Unix time at which the oldest current credential of a pool became current.',
    labels: ['pool'],
  },
  ci_identity_credential_next_rotation_seconds: {
    type: 'gauge',
    help: 'Unix time of the next rotation by schedule in a pool, the window counted in; in the past: it is overdue.',
    labels: ['pool'],
  },
  ci_identity_rotations_total: {
    type: 'counter',
    help: 'Rotations by pool: a new credential mints (Activated), or never came to work (RolledBack).',
    labels: ['pool', 'outcome'],
  },
  ci_identity_expiry_seconds: {
    type: 'gauge',
    help: 'Unix time at which a credential or certificate that we depend on expires, where it says so; the earliest per issuer and credential.',
    labels: ['issuer', 'credential'],
  },
  ci_identity_guard_intact: {
    type: 'gauge',
    help: '1 while the admission policies are what this version ships.',
    labels: [],
  },
  ci_identity_leader: { type: 'gauge', help: '1 while this process holds the lease.', labels: [] },
  ci_identity_brake_held_keys: {
    type: 'gauge',
    help: 'Clients or sessions whose end the brake on mass changes holds back.',
    labels: ['machine'],
  },
  ci_identity_injection_misses: {
    type: 'gauge',
    help: 'Running agent pods that an identity selects but that were created without it.',
    labels: [],
  },
  ci_identity_objects_not_ready: {
    type: 'gauge',
    help: 'Pools, policies and identities whose condition Ready is not True, by kind and reason.',
    labels: ['machine', 'reason'],
  },
  ci_identity_events_dropped_total: {
    type: 'counter',
    help: 'Events by reason that were not written, because too many of their namespace waited already.',
    labels: ['reason'],
  },
  ci_identity_audit_lines_total: {
    type: 'counter',
    help: 'Audit lines by outcome: Written; Lost because more waited than memory may hold (a gap shows in the chain).',
    labels: ['outcome'],
  },
  ci_identity_audit_waiting_lines: {
    type: 'gauge',
    help: 'Audit lines that the stream has not taken yet; above 0 no token is minted.',
    labels: [],
  },
  ci_identity_audit_blocked: {
    type: 'gauge',
    help: '1 while audit lines cannot be written, or the next one could not; no token is minted.',
    labels: [],
  },
  ci_identity_configuration_loads_total: {
    type: 'counter',
    help: 'Readings of a changed configuration file by outcome: Loaded, or Refused (the old one stays in force).',
    labels: ['outcome'],
  },
  ci_identity_configuration_current: {
    type: 'gauge',
    help: '1 while the configuration file as it is now is in force.',
    labels: [],
  },
} as const satisfies Readonly<Record<string, Definition>>;
