/** For each alert: series that make it fire, and that do not. Values as in promtool: one a minute, `a+bxn` is n more steps of b. */
export interface AlertRow {
  readonly alert: string;
  readonly series: Readonly<Record<string, string>>;
  /** When it is asked about. */
  readonly at: string;
  /** Labels of each alert that fires then, without name and severity; empty: none does. */
  readonly fires: readonly Readonly<Record<string, string>>[];
}

const issuer = 'https://idp.example.com';
const once = [{}] as const;

/** `quiet`: other values of the same series with which it stays silent at the same moment. */
function row(
  alert: string,
  at: string,
  fires: readonly Readonly<Record<string, string>>[],
  series: Readonly<Record<string, string>>,
  quiet: Readonly<Record<string, string>>,
): readonly AlertRow[] {
  return [
    { alert, series, at, fires },
    { alert, series: quiet, at, fires: [] },
  ];
}

const pool = { pool: 'ci-bots' };
const minted = 'ci_identity_tokens_minted_total{pool="ci-bots",outcome="Success",reason="NewPod"}';
const failed = 'ci_identity_tokens_minted_total{pool="ci-bots",outcome="Failure",reason="ProviderUnavailable"}';
const expiry = `ci_identity_expiry_seconds{issuer="${issuer}",credential="CaBundle"}`;
const day = 86_400;

/** One replica of ours, as opposed to whatever else Prometheus scrapes. */
const ours = { 'ci_identity_leader{instance="a"}': '1x20' };
const process = (instance: string, open: number): Readonly<Record<string, string>> => ({
  [`process_open_fds{instance="${instance}"}`]: `${open}x20`,
  [`process_max_fds{instance="${instance}"}`]: '1000x20',
});

export const alertRows: readonly AlertRow[] = [
  ...row(
    'CiIdentityNoLeader',
    '5m',
    once,
    { 'ci_identity_leader{instance="a"}': '0x10' },
    {
      'ci_identity_leader{instance="a"}': '0x10',
      'ci_identity_leader{instance="b"}': '1x10',
    },
  ),
  { alert: 'CiIdentityNoLeader', series: { 'up{job="else"}': '1x10' }, at: '5m', fires: once },
  ...row(
    'CiIdentityAdmissionPoliciesBroken',
    '5m',
    once,
    { ci_identity_guard_intact: '1 0x10' },
    {
      ci_identity_guard_intact: '1 0 0 1x10',
    },
  ),
  ...row(
    'CiIdentityWatchStale',
    '10m',
    [{ watch: 'pods' }],
    { 'ci_identity_watch_synced{watch="pods"}': '0x20' },
    {
      'ci_identity_watch_synced{watch="pods"}': '1x20',
    },
  ),
  ...row(
    'CiIdentityWatchStale',
    '30m',
    [{ watch: 'nodes' }],
    { 'ci_identity_watch_age_seconds{watch="nodes"}': '0+60x30' },
    {
      'ci_identity_watch_age_seconds{watch="nodes"}': '60x30',
    },
  ),
  ...row(
    'CiIdentityProviderDown',
    '10m',
    [{ issuer, operation: 'tokens' }],
    { [`ci_identity_provider_up{issuer="${issuer}",operation="tokens"}`]: '0x20' },
    { [`ci_identity_provider_up{issuer="${issuer}",operation="tokens"}`]: '0 0 0 1x20' },
  ),
  ...row(
    'CiIdentityMintFailing',
    '20m',
    [pool],
    { [minted]: '0+10x30', [failed]: '0+2x30' },
    {
      [minted]: '0+100x30',
      [failed]: '0+2x30',
    },
  ),
  ...row(
    'CiIdentityDeliverySlow',
    '30m',
    once,
    {
      'ci_identity_delivery_seconds_bucket{pool="ci-bots",le="10"}': '0+5x40',
      'ci_identity_delivery_seconds_bucket{pool="ci-bots",le="30"}': '0+10x40',
      'ci_identity_delivery_seconds_bucket{pool="ci-bots",le="+Inf"}': '0+10x40',
    },
    {
      'ci_identity_delivery_seconds_bucket{pool="ci-bots",le="10"}': '0+10x40',
      'ci_identity_delivery_seconds_bucket{pool="ci-bots",le="+Inf"}': '0+10x40',
    },
  ),
  ...row(
    'CiIdentityRevocationStuck',
    '5m',
    [pool],
    { 'ci_identity_revocation_oldest_seconds{pool="ci-bots"}': '0+60x10' },
    { 'ci_identity_revocation_oldest_seconds{pool="ci-bots"}': '30x10' },
  ),
  ...row(
    'CiIdentityRevocationMissed',
    '10m',
    [pool],
    { 'ci_identity_tokens_revoked_total{pool="ci-bots",outcome="Expired"}': '0x5 1x10' },
    { 'ci_identity_tokens_revoked_total{pool="ci-bots",outcome="Confirmed"}': '0+5x20' },
  ),
  ...row(
    'CiIdentityRotationOverdue',
    '28h',
    [pool],
    { 'ci_identity_credential_next_rotation_seconds{pool="ci-bots"}': '3600x1800' },
    { 'ci_identity_credential_next_rotation_seconds{pool="ci-bots"}': `${90 * day}x1800` },
  ),
  ...row(
    'CiIdentityRotationRolledBack',
    '10m',
    [pool],
    { 'ci_identity_rotations_total{pool="ci-bots",outcome="RolledBack"}': '0x5 1x10' },
    { 'ci_identity_rotations_total{pool="ci-bots",outcome="Activated"}': '0x5 1x10' },
  ),
  ...row(
    'CiIdentityCredentialExpires',
    '30m',
    [{ issuer, credential: 'CaBundle' }],
    { [expiry]: `${13 * day}x60` },
    {
      [expiry]: `${30 * day}x60`,
    },
  ),
  ...row(
    'CiIdentityCredentialExpiresSoon',
    '30m',
    [{ issuer, credential: 'CaBundle' }],
    { [expiry]: `${day}x60` },
    {
      [expiry]: `${13 * day}x60`,
    },
  ),
  ...row(
    'CiIdentityAuthenticationFailing',
    '12m',
    [{ issuer, reason: 'CredentialRefused' }],
    { [`ci_identity_authentications_failed_total{issuer="${issuer}",reason="CredentialRefused"}`]: '0+1x20' },
    { [`ci_identity_authentications_failed_total{issuer="${issuer}",reason="CredentialRefused"}`]: '5x20' },
  ),
  ...row(
    'CiIdentityClockSkew',
    '20m',
    [{ issuer }],
    { [`ci_identity_clock_offset_seconds{issuer="${issuer}"}`]: '-300x30' },
    {
      [`ci_identity_clock_offset_seconds{issuer="${issuer}"}`]: '-1x30',
    },
  ),
  ...row(
    'CiIdentityApiRefuses',
    '15m',
    [{ machine: 'session', reason: 'ApiForbidden' }],
    { 'ci_identity_failures_total{machine="session",reason="ApiForbidden"}': '0+2x20' },
    { 'ci_identity_failures_total{machine="session",reason="ProviderUnavailable"}': '0+2x20' },
  ),
  ...row(
    'CiIdentityApiRefuses',
    '20m',
    [{ machine: 'client', reason: 'QuotaExceeded' }],
    { 'ci_identity_failures_total{machine="client",reason="QuotaExceeded"}': '0+2x20' },
    { 'ci_identity_failures_total{machine="client",reason="QuotaExceeded"}': '7x20' },
  ),
  ...row(
    'CiIdentityAuditBlocked',
    '5m',
    once,
    { ci_identity_audit_blocked: '1x10' },
    {
      ci_identity_audit_blocked: '0x10',
    },
  ),
  ...row(
    'CiIdentityAuditLost',
    '10m',
    once,
    { 'ci_identity_audit_lines_total{outcome="Lost"}': '0x5 1x10' },
    {
      'ci_identity_audit_lines_total{outcome="Written"}': '0+9x10',
    },
  ),
  ...row(
    'CiIdentityConfigurationRefused',
    '10m',
    once,
    { ci_identity_configuration_current: '0x10' },
    {
      ci_identity_configuration_current: '1x10',
    },
  ),
  ...row(
    'CiIdentityPodsWithoutIdentity',
    '20m',
    once,
    { ci_identity_injection_misses: '2x30' },
    {
      ci_identity_injection_misses: '0x30',
    },
  ),
  ...row(
    'CiIdentityBrakeHolds',
    '10m',
    [{ machine: 'sessions' }],
    { 'ci_identity_brake_held_keys{machine="sessions"}': '40x20' },
    { 'ci_identity_brake_held_keys{machine="sessions"}': '40 0x20' },
  ),
  ...row(
    'CiIdentityNotReady',
    '30m',
    [{ machine: 'pool', reason: 'ProviderUnavailable' }],
    { 'ci_identity_objects_not_ready{machine="pool",reason="ProviderUnavailable"}': '1x40' },
    { 'ci_identity_objects_not_ready{machine="pool",reason="Ready"}': '0x40' },
  ),
  ...row(
    'CiIdentityDenials',
    '15m',
    [{ reason: 'NoRule' }],
    { 'ci_identity_denials_total{reason="NoRule"}': '0+2x20' },
    {
      'ci_identity_denials_total{reason="NoRule"}': '0x10 1x10',
    },
  ),
  ...row(
    'CiIdentityDenials',
    '12m',
    [{ reason: 'NoRule' }],
    { 'ci_identity_denials_total{reason="NoRule"}': '_x10 1000x30' },
    { 'ci_identity_denials_total{reason="NoRule"}': '_x10 1x30' },
  ),
  {
    alert: 'CiIdentityDenials',
    series: { 'ci_identity_denials_total{reason="NoRule"}': '_x10 1000x60' },
    at: '40m',
    fires: [],
  },
  ...row(
    'CiIdentityBugs',
    '10m',
    [{ machine: 'session' }],
    { 'ci_identity_decisions_total{machine="session",outcome="Bug"}': '0x5 1x10' },
    { 'ci_identity_decisions_total{machine="session",outcome="Transient"}': '0+1x20' },
  ),
  ...row(
    'CiIdentityDescriptorsNearLimit',
    '10m',
    [{ instance: 'a' }],
    { ...process('a', 900), ...ours },
    { ...process('a', 100), ...process('somebody-else', 900), ...ours },
  ),
  ...row(
    'CiIdentityMemoryNearLimit',
    '15m',
    [{ instance: 'a' }],
    { 'process_resident_memory_bytes{instance="a"}': '700000000x20', ...ours },
    { 'process_resident_memory_bytes{instance="a"}': '300000000x20', ...ours },
  ),
  ...row(
    'CiIdentityQueueBacklog',
    '20m',
    [{ lane: '3' }],
    { 'ci_identity_queue_depth_keys{lane="3"}': '5000x30' },
    {
      'ci_identity_queue_depth_keys{lane="3"}': '5000 10x30',
    },
  ),
];
