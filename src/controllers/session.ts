import { deliverySecretName } from '../api/names.ts';
import { type Clock, type Instant, type Milliseconds, earliest, second } from '../clock.ts';
import type { Decision } from '../decision.ts';
import type { Credential } from '../domain/client/credential.ts';
import { type Rendered, renderEmpty, renderError, renderToken } from '../domain/delivery/render.ts';
import { decideSession } from '../domain/session/decide.ts';
import { newestOf, usableToken } from '../domain/session/facts.ts';
import type { SessionAction, SessionSnapshot } from '../domain/session/machine.ts';
import { type SessionRecord, clientOf } from '../domain/session/record.ts';
import { concluded, dropped, forbidden } from '../domain/session/transitions.ts';
import type { RevocationOutcome, Token } from '../domain/token.ts';
import { assertNever } from '../errors.ts';
import type { Deliveries } from '../kube/deliveries.ts';
import type { RecordStore } from '../kube/records.ts';
import type { TokenSource } from '../providers/port.ts';
import type { Effects } from '../runtime/effect.ts';
import type { FailureNote, Machine } from '../runtime/machine.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Causes } from './causes.ts';
import type { EffectName } from './effect-names.ts';
import { notConfigured } from './pool-providers.ts';
import { type SessionAudit, heldToken } from './session-audit.ts';
import { type DeliveredState, isNewDenial, lastDelivery } from './session-delivered.ts';
import type { SessionLimits } from './session-limits.ts';
import type { Minter } from './session-mint.ts';
import { type SessionSources, jitterOf, parseSessionKey, recordNameOf, snapshotSession } from './session-snapshot.ts';
import { AwaitedSuccessors } from './session-successors.ts';

type Taken = Decision<SessionAction> & { readonly action: SessionAction };

export interface SessionMachineOptions {
  readonly sources: SessionSources;
  readonly delivered: Map<string, DeliveredState>;
  /** By session: what providers answered to revocations and no record says yet. */
  readonly answered: Map<string, ReadonlyMap<string, RevocationOutcome>>;
  readonly minter: Minter;
  readonly limits: SessionLimits;
  readonly records: RecordStore<SessionRecord>;
  readonly effects: Effects<EffectName>;
  readonly audit: SessionAudit;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly deliveries: Deliveries;
  /** How the delivery of a Secret into a namespace ended; `error` absent: it is there. */
  written(namespace: string, error?: unknown): void;
  readonly causes: Causes;
  /** The session is over: what is remembered of it goes. */
  forget(key: string): void;
  /** Somebody should hear that a pod got an error instead of a token; `isNew`: it counts. */
  denied(key: string, error: { readonly reason: string; readonly message: string }, isNew: boolean): void;
  tokensOf(issuer: string): TokenSource | undefined;
  /** The credential that revokes what the client minted. */
  revokerOf(client: string, token: Token): Credential | undefined;
}

const callDeadline = 20 * second;

const deliveryEvents = { Token: 'Delivered', Error: 'Denied', Empty: 'Emptied' } as const;

/**
 * Snapshot and apply of one (pod, CiIdentity): mint, deliver, renew, revoke, end. The table is `domain/session/decide.ts`. Audit lines are
 * written before the record that they tell of: a process that is killed in between says something twice, never not at all.
 */
export class SessionMachine implements Machine<SessionSnapshot, SessionAction> {
  readonly name = 'session';
  readonly #o: SessionMachineOptions;
  readonly #successors: AwaitedSuccessors;

  constructor(options: SessionMachineOptions) {
    this.#o = options;
    this.#successors = new AwaitedSuccessors(options.clock);
  }

  snapshot(key: string, held: readonly FailureNote[]): SessionSnapshot | undefined {
    const snapshot = snapshotSession(this.#o.sources, key, held);
    if (snapshot === undefined) {
      this.#o.delivered.delete(key);
      this.#o.answered.delete(key);
      this.#o.causes.forget(key);
      this.#successors.forget(key);
      this.#o.forget(key);
    }
    return snapshot && this.#successors.shownIn(key, snapshot);
  }

  decide(snapshot: SessionSnapshot, now: Instant): Decision<SessionAction> {
    return decideSession(snapshot, now);
  }

  async apply(key: string, s: SessionSnapshot, { action, reason }: Taken, signal: AbortSignal): Promise<void> {
    switch (action.type) {
      case 'Mint':
        return this.#mint(key, s, action, reason, signal);
      case 'Deliver':
        return this.#deliver(key, s, action, reason, signal);
      case 'Revoke':
        return this.#revoke(key, s, action.token, reason, signal);
      case 'Conclude':
        return this.#conclude(key, s, signal);
      case 'Forbid':
        return this.#forbid(key, s, action.tokens, reason, signal);
      case 'Drop':
        return this.#drop(key, s, action.tokens, reason, signal);
      default:
        return assertNever(action);
    }
  }

  /** The first token of a session, or the first after its end, is inside the limits of its identity; whoever has one goes on. */
  async #mint(
    key: string,
    s: SessionSnapshot,
    action: Extract<SessionAction, { type: 'Mint' }>,
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, podUid, identity } = parseSessionKey(key);
    const known = this.#o.sources.memory.identity(namespace, identity);
    const mint = async (): Promise<void> => {
      const isStored = await this.#o.minter.mint(key, s, action, reason, signal);
      if (isStored) this.#o.answered.delete(key);
    };
    if (usableToken(s) !== undefined) await this.#successors.minting(key, s, mint);
    else if (known.is !== 'Seen') await mint();
    else await this.#o.limits.within(known.value, podUid, signal, mint);
  }

  async #deliver(
    key: string,
    s: SessionSnapshot,
    action: Extract<SessionAction, { type: 'Deliver' }>,
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const rendered = this.#render(key, s, action);
    if (rendered === undefined) return;
    const { namespace, pod, podUid, identity } = parseSessionKey(key);
    const delivery = {
      namespace,
      name: deliverySecretName(identity, pod),
      data: Object.fromEntries(Object.entries(rendered.data).map(([file, text]) => [file, text.reveal()])),
      pod: { name: pod, uid: podUid },
    };
    const before = this.#o.delivered.get(key);
    const last = lastDelivery(s, before);
    const written = await this.#o.effects
      .run('session.Deliver.write', { deadline: callDeadline, signal }, (bounded) =>
        action.content === 'Empty'
          ? this.#o.deliveries.replace(delivery, last, bounded)
          : this.#o.deliveries.put(delivery, last, bounded),
      )
      .catch((error: unknown) => {
        // Somebody wrote in between, or took it away: the next attempt overwrites whatever is there.
        this.#o.delivered.delete(key);
        this.#o.written(namespace, error);
        throw error;
      });
    this.#o.written(namespace);
    const at = this.#o.clock.now();
    this.#o.delivered.set(key, {
      digest: rendered.digest,
      content: action.content,
      at,
      ...written,
      ...(action.content === 'Error' ? { error: action.error } : {}),
      ...(action.content !== 'Empty' && action.again !== undefined ? { again: (before?.again ?? 0) + 1 } : {}),
    });
    if (written === undefined) return;
    const newest = s.record?.tokens.at(-1);
    // The very same once more, because the pod seems to miss it, is no other denial.
    if (action.content === 'Error' && (before?.content !== 'Error' || before.digest !== rendered.digest)) {
      this.#o.denied(key, action.error, isNewDenial(s, before));
      if (action.error.reason === 'LimitReached') this.#o.limits.refused(namespace, identity);
    }
    this.#o.audit.record(key, s, {
      event: deliveryEvents[action.content],
      outcome: action.content === 'Error' ? 'Failure' : 'Success',
      reason,
      ...(action.content === 'Error' ? { message: action.error.message } : {}),
      ...(action.content === 'Token' && s.record !== undefined ? heldToken(s.record, newestOf(s.record)) : {}),
    });
    const mintedHere = newest !== undefined && s.seenSince !== undefined && newest.minted >= s.seenSince;
    const first = action.content === 'Token' && mintedHere && s.record?.tokens.length === 1 && before === undefined;
    if (first && s.pod.is === 'Seen' && s.record !== undefined) {
      this.#o.metrics.observe(
        'ci_identity_delivery_seconds',
        { pool: s.record.pool.name },
        (at - s.pod.value.created) / second,
      );
    }
  }

  #render(key: string, s: SessionSnapshot, action: Extract<SessionAction, { type: 'Deliver' }>): Rendered | undefined {
    if (action.content === 'Error') return renderError(action.error);
    if (action.content === 'Empty') return renderEmpty();
    return s.record === undefined ? undefined : renderToken(s.record, s.deliveryLag, jitterOf(key));
  }

  async #forbid(
    key: string,
    s: SessionSnapshot,
    tokens: readonly string[],
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (s.record === undefined) return;
    const revocation = s.client.is === 'Seen' ? s.client.value.revocation : 'Immediate';
    const isMeant = ({ sha256 }: Token): boolean => tokens.includes(sha256);
    this.#o.audit.forbidden(key, s, { record: s.record, reason, isMeant });
    const next = forbidden(s.record, tokens, this.#o.clock.now(), revocation, reason);
    await this.#write('session.Forbid.record', s, next, signal);
  }

  /** RFC 7009, as the client and generation that minted it. */
  async #revoke(key: string, s: SessionSnapshot, sha256: string, reason: string, signal: AbortSignal): Promise<void> {
    const token = s.record?.tokens.find((held) => held.sha256 === sha256);
    if (s.record === undefined || token === undefined) return;
    const started = this.#o.clock.monotonic();
    const outcome = await this.#askForRevocation(s.record, token, signal);
    this.#measureRevocation(key, s.record.pool.name, token, outcome, this.#o.clock.monotonic() - started);
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

  async #conclude(key: string, s: SessionSnapshot, signal: AbortSignal): Promise<void> {
    if (s.record === undefined || s.answered === undefined) return;
    await this.#write('session.Conclude.record', s, concluded(s.record, s.answered), signal);
    this.#o.answered.delete(key);
  }

  /** A superseded token has no cause to be fast about: only forbidden ones count as lag. */
  #measureRevocation(key: string, pool: string, token: Token, outcome: string, took: Milliseconds): void {
    const { metrics, causes, clock } = this.#o;
    if (outcome !== 'NotSupported')
      metrics.observe('ci_identity_token_request_seconds', { pool, operation: 'Revoke' }, took / second);
    if (token.end !== 'Forbidden') return;
    const since = earliest(causes.seenAt(key), token.endedAt) ?? clock.now();
    metrics.observe('ci_identity_revoke_lag_seconds', { pool, outcome }, (clock.now() - since) / second);
  }

  async #askForRevocation(record: SessionRecord, token: Token, signal: AbortSignal): Promise<RevocationOutcome> {
    const tokens = this.#o.tokensOf(record.issuer);
    const credential = this.#o.revokerOf(clientOf(record, token), token);
    const { value } = token;
    if (value === undefined) return 'NotSupported';
    // Whatever hides the provider or the credential may pass; only the provider itself can say that it does not revoke.
    if (tokens === undefined || credential === undefined) throw notConfigured(record.issuer);
    return this.#o.effects.run('session.Revoke.call', { deadline: callDeadline, signal, whose: 'Issuer' }, (bounded) =>
      tokens.revoke(value, token.clientId, credential, bounded),
    );
  }

  async #drop(
    key: string,
    s: SessionSnapshot,
    tokens: readonly string[],
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (s.record === undefined) return;
    const { tokens: held, pool } = s.record;
    const alive = held.filter(({ sha256 }) => tokens.includes(sha256) && s.answered?.has(sha256) !== true);
    for (const token of alive) {
      const why = token.endedFor ?? reason;
      this.#o.audit.record(key, s, {
        event: 'Expired',
        outcome: 'Success',
        reason: why,
        ...heldToken(s.record, token),
      });
    }
    await this.#write('session.Drop.record', s, dropped(s.record, tokens), signal);
    // Without its value nobody could have revoked it: the provider does not, and that is no miss.
    const late = alive.filter(({ end, value }) => end === 'Forbidden' && value !== undefined);
    if (late.length > 0)
      this.#o.metrics.count('ci_identity_tokens_revoked_total', { pool: pool.name, outcome: 'Expired' }, late.length);
  }

  async #write(
    effect: EffectName,
    s: SessionSnapshot,
    next: SessionRecord | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const name = recordNameOf(s);
    if (name === undefined) return;
    await this.#o.effects.run(effect, { deadline: callDeadline, signal }, async (bounded) => {
      if (next === undefined) await this.#o.records.remove(name, s.record, bounded);
      else await this.#o.records.write(name, next, s.record, bounded);
    });
  }
}
