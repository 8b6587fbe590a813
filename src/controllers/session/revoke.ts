import type { Reason } from '../../api/reasons.ts';
import { type Clock, type Milliseconds, earliest, second } from '../../clock.ts';
import { revokerOf } from '../../domain/client/generations.ts';
import type { ClientRecord } from '../../domain/client/record.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import { type SessionRecord, clientOf } from '../../domain/session/record.ts';
import type { RevocationOutcome, Token } from '../../domain/token.ts';
import { OperatorError } from '../../errors.ts';
import type { StoredRecord } from '../../kube/records.ts';
import type { TokenSource } from '../../providers/port.ts';
import type { Effects } from '../../runtime/effect.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { deadlines } from '../deadlines.ts';
import type { Causes } from './causes.ts';
import type { EffectName } from '../effect-names.ts';
import { notConfigured } from '../pool-providers.ts';
import { type SessionAudit, heldToken } from '../telling/session-audit.ts';
import { unreadable } from '../status/facts.ts';

export interface RevokerOptions {
  /** By session: what providers answered to revocations and no record says yet. */
  readonly answered: Map<string, ReadonlyMap<string, RevocationOutcome>>;
  readonly effects: Effects<EffectName>;
  readonly audit: SessionAudit;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly causes: Causes;
  tokensOf(issuer: string): TokenSource | undefined;
  /** The record of the client that minted, as memory has it. */
  clientRecord(name: string): StoredRecord<ClientRecord> | undefined;
}

/** The action Revoke: one call to the provider, and what is told of it. */
export class Revoker {
  readonly #o: RevokerOptions;

  constructor(options: RevokerOptions) {
    this.#o = options;
  }

  /** RFC 7009, as the client and generation that minted it. What is answered stands in `answered` when this returns. */
  async revoke(key: string, s: SessionSnapshot, sha256: string, reason: Reason, signal: AbortSignal): Promise<void> {
    const token = s.record?.tokens.find((held) => held.sha256 === sha256);
    if (s.record === undefined || token === undefined) return;
    const started = this.#o.clock.monotonic();
    const outcome = await this.#ask(s.record, token, signal);
    this.#measure(key, s.record.pool.name, token, outcome, this.#o.clock.monotonic() - started);
    this.#o.audit.record(key, s, {
      event: 'Revoked',
      outcome: outcome === 'NotSupported' ? 'Failure' : 'Success',
      reason: token.endedFor ?? reason,
      message: outcome,
      ...heldToken(s.record, token),
    });
    this.#o.metrics.count('ci_identity_tokens_revoked_total', { pool: s.record.pool.name, outcome });
    this.#o.answered.set(key, new Map([...(this.#o.answered.get(key) ?? []), [sha256, outcome]]));
  }

  /** A superseded token has no cause to be fast about: only forbidden ones count as lag. */
  #measure(key: string, pool: string, token: Token, outcome: RevocationOutcome, took: Milliseconds): void {
    const { metrics, causes, clock } = this.#o;
    if (outcome !== 'NotSupported')
      metrics.observe('ci_identity_token_request_seconds', { pool, operation: 'Revoke' }, took / second);
    if (token.end !== 'Forbidden') return;
    const since = earliest(causes.seenAt(key), token.endedAt) ?? clock.now();
    metrics.observe('ci_identity_revoke_lag_seconds', { pool, outcome }, (clock.now() - since) / second);
  }

  async #ask(record: SessionRecord, token: Token, signal: AbortSignal): Promise<RevocationOutcome> {
    const tokens = this.#o.tokensOf(record.issuer);
    const client = clientOf(record, token);
    const stored = this.#o.clientRecord(client);
    const credential = revokerOf(stored?.record, token)?.credential;
    const { value } = token;
    if (value === undefined) return 'NotSupported';
    // Whatever hides the provider or the credential may pass; only the provider itself can say that it does not revoke.
    if (tokens === undefined) throw notConfigured(record.issuer);
    if (credential === undefined) throw withoutCredential(client, stored);
    return this.#o.effects.run(
      'session.Revoke.call',
      { deadline: deadlines.revocation, signal, whose: 'Issuer' },
      (bounded) => tokens.revoke(value, token.clientId, credential, bounded),
    );
  }
}

/** Only the client that minted a token can revoke it, and nobody can act as that client. */
function withoutCredential(client: string, stored: StoredRecord<ClientRecord> | undefined): OperatorError {
  const lost =
    stored === undefined
      ? `client record ${client} is gone from the operator's namespace`
      : `client record ${client} holds no credential of the client that minted it any more`;
  const { reason, message } = unreadable(stored) ?? {
    reason: 'RecordInvalid' as const,
    message: `${lost}. Bring it back from a backup, or revoke the token at the provider.`,
  };
  return new OperatorError({
    class: 'Waiting',
    reason,
    message: `a token cannot be revoked, and lives until it expires: ${message}`,
  });
}
