import { deliverySecretName } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import { type Instant, second } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { type Rendered, renderEmpty, renderError, renderToken } from '../../domain/delivery/render.ts';
import { decideSession } from '../../domain/session/decide.ts';
import { restoredMessage } from '../../domain/session/explain.ts';
import { usableToken } from '../../domain/session/facts.ts';
import type { DeliveredError, SessionAction, SessionSnapshot } from '../../domain/session/machine.ts';
import { type SessionRecord, newestOf } from '../../domain/session/record.ts';
import { concluded, dropped, forbidden } from '../../domain/session/transitions.ts';
import type { Token } from '../../domain/token.ts';
import { assertNever } from '../../errors.ts';
import type { Deliveries } from '../../kube/deliveries.ts';
import type { RecordStore } from '../../kube/records.ts';
import type { FailureNote, Machine } from '../../runtime/machine.ts';
import type { EffectName } from '../effect-names.ts';
import { heldToken } from '../telling/session-audit.ts';
import { type DeliveredState, isNewDenial, lastDelivery } from './delivered.ts';
import type { SessionLimits } from './limits.ts';
import type { Minter } from './mint.ts';
import { Revoker, type RevokerOptions } from './revoke.ts';
import { type SessionSources, jitterOf, parseSessionKey, recordNameOf, snapshotSession } from './snapshot.ts';
import { AwaitedSuccessors } from './successors.ts';

type Taken = Decision<SessionAction> & { readonly action: SessionAction };

export interface SessionMachineOptions extends RevokerOptions {
  readonly sources: SessionSources;
  readonly delivered: Map<string, DeliveredState>;
  readonly minter: Minter;
  readonly limits: SessionLimits;
  readonly records: RecordStore<SessionRecord>;
  readonly deliveries: Deliveries;
  /** How the delivery of a Secret into a namespace ended; `error` absent: it is there. */
  written(namespace: string, error?: unknown): void;
  /** The session is over: what is remembered of it goes. */
  forget(key: string): void;
  /** Somebody should hear that a pod got an error instead of a token; `isNew`: it counts. */
  denied(key: string, error: DeliveredError, isNew: boolean): void;
  /** Somebody should hear that the record of a session was damaged, and is written again. */
  restored(key: string, reason: Reason, message: string): void;
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
  readonly #revoker: Revoker;
  readonly #successors: AwaitedSuccessors;

  constructor(options: SessionMachineOptions) {
    this.#o = options;
    this.#revoker = new Revoker(options);
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
        return this.#revoker.revoke(key, s, action.token, reason, signal);
      case 'Conclude':
        return this.#conclude(key, s, signal);
      case 'Forbid':
        return this.#forbid(key, s, action.tokens, reason, signal);
      case 'Restore':
        return this.#restore(key, s, reason, signal);
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
    reason: Reason,
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
    reason: Reason,
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
    reason: Reason,
    signal: AbortSignal,
  ): Promise<void> {
    if (s.record === undefined) return;
    const revocation = s.client.is === 'Seen' ? s.client.value.revocation : 'Immediate';
    const isMeant = ({ sha256 }: Token): boolean => tokens.includes(sha256);
    this.#o.audit.forbidden(key, s, { record: s.record, reason, isMeant });
    const next = forbidden(s.record, tokens, this.#o.clock.now(), revocation, reason);
    await this.#write('session.Forbid.record', s, next, signal);
  }

  async #conclude(key: string, s: SessionSnapshot, signal: AbortSignal): Promise<void> {
    if (s.record === undefined || s.answered === undefined) return;
    await this.#write('session.Conclude.record', s, concluded(s.record, s.answered), signal);
    this.#o.answered.delete(key);
  }

  async #restore(key: string, s: SessionSnapshot, reason: Reason, signal: AbortSignal): Promise<void> {
    const message = restoredMessage(recordNameOf(s) ?? '');
    this.#o.audit.record(key, s, { event: 'Restored', outcome: 'Failure', reason, message });
    this.#o.restored(key, reason, message);
    await this.#write('session.Restore.record', s, s.record, signal);
  }

  async #drop(
    key: string,
    s: SessionSnapshot,
    tokens: readonly string[],
    reason: Reason,
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
