/** Why a provider refuses our credentials, and what to do about it: one table. */
import type { Reason } from '../../api/reasons.ts';
import { formatDuration, second, toRfc3339 } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { secretExpiresAt } from './credential.ts';
import { isExternal } from './existing.ts';
import type { ClientRecord, Generation } from './record.ts';

/** What is known when a credential was refused. */
export interface RefusedCredential {
  /** Which call refused it. */
  readonly call: 'Token' | 'Register' | 'Manage';
  /** What the provider said, cleaned. */
  readonly said: string;
  /** The credential of the client; absent for registration credentials. */
  readonly generation?: Generation;
  readonly observed?: ClientRecord['observed'];
  /** Nothing is left of the client, as far as its provider answers for it. */
  readonly gone?: boolean;
  /** Provider's clock minus ours, where it told it. */
  readonly clockOffset?: Milliseconds;
  /** The provider changes no clients. */
  readonly registersOnly?: true;
}

/** The likely cause as a reason, what speaks for it, and the next step. */
export interface Diagnosis {
  readonly reason: Reason;
  readonly why: string;
  readonly todo: string;
}

interface DiagnosisRow {
  readonly when: (f: RefusedCredential, now: Instant) => boolean;
  readonly then: (f: RefusedCredential, now: Instant) => Diagnosis;
}

/** An assertion of ours lives a minute, and providers allow little beside. */
const skewMatters: Milliseconds = 30 * second;

/** The operator changes nothing about a client of an administrator, so no request of ours replaces its credential. */
const newInSecret = 'Put a credential that works into the Secret that spec.client.existing names';

const rows: readonly DiagnosisRow[] = [
  {
    when: ({ call }) => call === 'Register',
    then: () => ({
      reason: 'RegistrationCredentialRefused',
      why: 'it refuses the credential with which clients are registered: it has expired, is used up or was revoked',
      todo: 'Put a new initial access token into the Secret of registrationTokenRef; clients that exist go on',
    }),
  },
  {
    when: ({ call }) => call === 'Manage',
    then: () => ({
      reason: 'RegistrationAccessTokenLost',
      why: 'it refuses the token that manages the client: it was replaced, or an answer with its successor was lost',
      todo: 'Give managementTokenRef of the issuer, or hand in a new registration access token; tokens are issued meanwhile',
    }),
  },
  {
    when: ({ generation }, now) => (secretExpiresAt(generation?.credential) ?? now + 1) <= now,
    then: ({ generation }, now) => ({
      reason: 'SecretExpired',
      why: `the client secret expired at ${toRfc3339(secretExpiresAt(generation?.credential) ?? now)}`,
      todo: isExternal(generation)
        ? newInSecret
        : 'Rotate the credential (annotation ci-identity.dev/rotate), or raise the life of client secrets at the provider',
    }),
  },
  {
    when: ({ generation, clockOffset }) =>
      isKey(generation) && clockOffset !== undefined && Math.abs(clockOffset) > skewMatters,
    then: ({ clockOffset = 0 }) => ({
      reason: 'ClockSkew',
      why: `its clock is about ${formatDuration(roughly(clockOffset))} ${clockOffset > 0 ? 'ahead of' : 'behind'} ours, so that our signed assertions look ${clockOffset > 0 ? 'expired' : 'not yet valid'}`,
      todo: 'Compare the clocks of the provider and of the nodes with a time server',
    }),
  },
  {
    when: ({ gone }) => gone === true,
    then: () => ({
      reason: 'ClientGone',
      why: 'the client no longer exists there, or was disabled: somebody did that; or our credential is one from before a rotation, restored with the cluster from a backup',
      todo: 'Bring it back, or set spec.rotation.allowSubjectChange so that a new one is registered; after a restore give the issuer a managementTokenRef and annotate the pool with ci-identity.dev/retry first, which keeps the client',
    }),
  },
  {
    when: ({ generation, said }) => generation !== undefined && /service account .*does not exist/i.test(said),
    then: () => ({
      reason: 'CredentialRefused',
      why: 'the client has no service account any more: somebody switched it off, and no change of ours brings it back',
      todo: 'Save the client there with its service account on (Keycloak: Clients, the client, Capability config, Service account roles)',
    }),
  },
  {
    when: ({ observed }) => (observed?.drift.length ?? 0) > 0,
    then: ({ observed }) => ({
      reason: 'ClientDrifted',
      why: `the client was changed there by somebody else (${observed?.drift.join(', ') ?? ''})`,
      todo: 'The operator sets it back; find out who changes it',
    }),
  },
  {
    when: ({ generation, said }) => isKey(generation) && /\baud(ience)?\b/i.test(said),
    then: () => ({
      reason: 'AssertionAudienceWrong',
      why: 'it does not accept the audience of our signed assertion',
      todo: 'Compare the issuer URL in the configuration with what the provider calls itself. A product that wants the URL of its token endpoint needs assertionAudience: TokenEndpoint there, one that wants the URL that is called (Okta) CalledEndpoint',
    }),
  },
  {
    when: ({ generation }) => generation?.state === 'Created',
    then: ({ generation }) => ({
      reason: 'CredentialUnverified',
      why: 'the credential is new, and the provider may not know it everywhere yet',
      todo: `It is tried again by itself${undecoded(generation)}`,
    }),
  },
  {
    when: ({ generation }) => isExternal(generation),
    then: ({ generation }) => ({
      reason: 'CredentialRefused',
      why: 'it refuses the credential that was copied from your Secret',
      todo: `See whether the client is enabled there. ${newInSecret}${undecoded(generation)}`,
    }),
  },
  {
    when: ({ registersOnly }) => registersOnly === true,
    then: () => ({
      reason: 'CredentialRefused',
      why: 'it refuses the credential of the client, which worked before',
      todo: 'See whether the client is still there; a rotation (annotation ci-identity.dev/rotate) with spec.rotation.allowSubjectChange registers a new one',
    }),
  },
  {
    when: () => true,
    then: () => ({
      reason: 'CredentialRefused',
      why: 'it refuses the credential of the client, which worked before',
      todo: 'See whether the client is enabled there and still has our credential; a rotation (annotation ci-identity.dev/rotate) replaces the credential',
    }),
  },
];

/** The first row that matches. */
export function diagnose(facts: RefusedCredential, now: Instant): Diagnosis {
  const row = rows.find(({ when }) => when(facts, now));
  if (row === undefined) throw new Error('no row of the table matches');
  return row.then(facts, now);
}

/** In half minutes: the sentence must not change with every answer. */
function roughly(offset: Milliseconds): Milliseconds {
  return Math.round(Math.abs(offset) / skewMatters) * skewMatters;
}

/** In a header a secret is encoded, which several products forget; in a form every one decodes it. */
function undecoded(generation: Generation | undefined): string {
  return generation?.credential.type === 'ClientSecretBasic'
    ? '. A product that does not decode what stands in a Basic header (RFC 6749 §2.3.1) needs spec.client.authentication: ClientSecretPost'
    : '';
}

function isKey(generation: Generation | undefined): boolean {
  return generation?.credential.type === 'PrivateKeyJwt';
}
