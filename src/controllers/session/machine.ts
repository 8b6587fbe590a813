import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { decideSession } from '../../domain/session/decide.ts';
import { restoredMessage } from '../../domain/session/explain.ts';
import { usableToken } from '../../domain/session/facts.ts';
import type { SessionAction, SessionSnapshot } from '../../domain/session/machine.ts';
import type { SessionRecord } from '../../domain/session/record.ts';
import { concluded, dropped, forbidden } from '../../domain/session/transitions.ts';
import type { Token } from '../../domain/token.ts';
import { assertNever } from '../../errors.ts';
import type { RecordStore } from '../../kube/records.ts';
import type { FailureNote, Machine } from '../../runtime/machine.ts';
import { deadlines } from '../deadlines.ts';
import type { EffectName } from '../effect-names.ts';
import { heldToken } from '../telling/session-audit.ts';
import { Deliverer, type DelivererOptions } from './deliver.ts';
import type { SessionLimits } from './limits.ts';
import type { Minter } from './mint.ts';
import { Revoker, type RevokerOptions } from './revoke.ts';
import { parseSessionKey, recordNameOf } from './key.ts';
import { type SessionSources, snapshotSession } from './snapshot.ts';
import { AwaitedSuccessors } from './successors.ts';

type Taken = Decision<SessionAction> & { readonly action: SessionAction };

export interface SessionMachineOptions extends RevokerOptions, DelivererOptions {
  readonly sources: SessionSources;
  readonly minter: Minter;
  readonly limits: SessionLimits;
  readonly records: RecordStore<SessionRecord>;
  /** The session is over: what is remembered of it goes. */
  forget(key: string): void;
  /** Somebody should hear that the record of a session was damaged, and is written again. */
  restored(key: string, reason: Reason, message: string): void;
}

/**
 * Snapshot and apply of one (pod, CiIdentity): mint, deliver, renew, revoke, end. The table is `domain/session/decide.ts`. Audit lines are
 * written before the record that they tell of: a process that is killed in between says something twice, never not at all.
 */
export class SessionMachine implements Machine<SessionSnapshot, SessionAction> {
  readonly name = 'session';
  readonly #o: SessionMachineOptions;
  readonly #deliverer: Deliverer;
  readonly #revoker: Revoker;
  readonly #successors: AwaitedSuccessors;

  constructor(options: SessionMachineOptions) {
    this.#o = options;
    this.#deliverer = new Deliverer(options);
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
        return this.#deliverer.deliver(key, s, action, reason, signal);
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
    await this.#o.effects.run(effect, { deadline: deadlines.sessionWrite, signal }, async (bounded) => {
      if (next === undefined) await this.#o.records.remove(name, s.record, bounded);
      else await this.#o.records.write(name, next, s.record, bounded);
    });
  }
}
