import type { Reason } from '../../api/reasons.ts';
import type { Clock, Instant } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { decideClient } from '../../domain/client/decide.ts';
import { currentOf } from '../../domain/client/generations.ts';
import type { ClientAction, ClientSnapshot } from '../../domain/client/machine.ts';
import { provenWith } from '../../domain/client/offered.ts';
import { isRemovalBelieved, proved } from '../../domain/client/proofs.ts';
import type { ClientRecord, Intent } from '../../domain/client/record.ts';
import { foundOut, restored, tell } from '../../domain/client/story.ts';
import type { Telling } from '../../domain/client/telling.ts';
import { endOf } from '../../domain/client/steps.ts';
import { OperatorError, assertNever } from '../../errors.ts';
import type { Effects } from '../../runtime/effect.ts';
import type { FailureNote, Machine } from '../../runtime/machine.ts';
import type { AuditEvent, AuditFacts, AuditLog } from '../../telemetry/audit.ts';
import { OncePerRecord } from '../../telemetry/once-per-record.ts';
import { clientLine } from './audit-line.ts';
import type { Change, ClientChanges, Turn } from './changes.ts';
import { isThere, withPlan } from './planning.ts';
import type { ProofTokens } from './proof-tokens.ts';
import { prove } from './prove.ts';
import { type ClientSources, snapshotClient } from './snapshot.ts';
import type { EffectName } from '../effect-names.ts';

type Taken = Decision<ClientAction> & { readonly action: ClientAction };
type Action<T extends ClientAction['type']> = Extract<ClientAction, { readonly type: T }>;

/** The event of each call that changes something at the provider. */
const past = { Register: 'Registered', Update: 'Updated', Deregister: 'Deregistered' } as const satisfies Record<
  Intent['call'],
  AuditEvent
>;

/** The provider does not let the operator do it, or not so. */
const refusals: ReadonlySet<Reason> = new Set<Reason>([
  'RegistrationRefused',
  'RegistrationCredentialRefused',
  'RegistrationAccessTokenLost',
]);

export interface ClientMachineOptions {
  readonly sources: ClientSources;
  readonly changes: ClientChanges;
  readonly proofTokens: Pick<ProofTokens, 'defer' | 'revoked' | 'settle'>;
  readonly effects: Effects<EffectName>;
  readonly audit: AuditLog;
  /** The line about a call that the provider refused; the same comes again and again. */
  refused(line: AuditFacts): void;
  readonly clock: Clock;
  /** A step of a credential's life is over; people may want to know. */
  told(record: ClientRecord, telling: Telling): void;
}

/**
 * Snapshot and apply of one OAuth client. The table is `domain/client/decide.ts`. Audit lines are written before the record that they tell
 * of: a process that is killed in between says something twice, never not at all.
 */
export class ClientMachine implements Machine<ClientSnapshot, ClientAction> {
  readonly name = 'client';
  readonly #o: ClientMachineOptions;
  readonly #ahead = new OncePerRecord<ClientRecord>();

  constructor(options: ClientMachineOptions) {
    this.#o = options;
  }

  snapshot(key: string, held: readonly FailureNote[]): ClientSnapshot | undefined {
    return snapshotClient(this.#o.sources, key, held);
  }

  decide(snapshot: ClientSnapshot, now: Instant): Decision<ClientAction> {
    return decideClient(snapshot, now);
  }

  async apply(key: string, s: ClientSnapshot, { action, reason }: Taken, signal: AbortSignal): Promise<void> {
    const { changes, proofTokens } = this.#o;
    const turn: Turn = { key, s, reason, signal };
    await proofTokens.settle(key, signal);
    switch (action.type) {
      case 'Plan':
        return this.#plan(turn, action);
      case 'Register':
      case 'Update':
        return this.#change(turn, action);
      case 'Deregister':
        return changes
          .deregister(turn, action, (next) => this.#done(next, action, { reason }))
          .catch((error: unknown) => this.#refused(s.record, action, error));
      case 'Prove':
        return this.#prove(turn, action);
      case 'Observe':
        return changes.observe(turn, action.generation, (next) => {
          // Of a client that goes nothing is desired, and everything differs from that.
          if (s.wanted.is === 'Seen') this.#tellDrift(s.record, next);
        });
      case 'Record':
        return this.#store(turn, action.next);
      default:
        return assertNever(action);
    }
  }

  /** `undefined`: the record goes. */
  async #store(turn: Turn, next: ClientRecord | undefined): Promise<void> {
    const { key, s, reason } = turn;
    const { changes, clock } = this.#o;
    if (next === undefined) {
      this.#tell(s.record, undefined);
      return changes.remove(turn, 'client.Record.record', s.record);
    }
    const tellings = reason === 'RecordRestored' ? [restored(next, key)] : tell(s.record, next, clock.now(), endOf(s));
    this.#tell(s.record, next, tellings);
    await changes.write(turn, 'client.Record.record', next, s.record);
  }

  /** Key first: the credential exists in our record before anybody else hears of it. */
  async #plan(turn: Turn, action: Action<'Plan'>): Promise<void> {
    const { s } = turn;
    const next = await withPlan(this.#o, s, action.generation, action);
    if (next === undefined) return;
    this.#tell(s.record, next);
    await this.#o.changes.write(turn, 'client.Plan.record', next, s.record);
  }

  async #change(turn: Turn, action: Action<'Register' | 'Update'>): Promise<void> {
    const { s, reason } = turn;
    const plan = action.type === 'Register' ? action.plan : undefined;
    let record = s.record;
    const change: Change = {
      planned: async () => {
        if (plan === undefined) return record;
        // Until something is stored a pool that is deleted waits for nobody, and reading metadata may have taken long.
        record = isThere(this.#o, s) ? await withPlan(this.#o, s, action.generation, plan) : undefined;
        return record;
      },
      noting: (next) => this.#tell(s.record, next),
      changed: (next) => this.#done(next, action, { reason }),
    };
    await this.#o.changes.change(turn, action, change).catch((error: unknown) => this.#refused(record, action, error));
  }

  async #prove(turn: Turn, action: Action<'Prove'>): Promise<void> {
    const { key, s, reason, signal } = turn;
    const work = this.#o.changes.workOn(s.record, action.generation);
    const tokens = work?.provider.tokens;
    if (work === undefined || tokens === undefined || work.subject.clientId === undefined) return;
    const { memory } = this.#o.sources;
    const { pool: of, issuer } = work.record;
    const { clientId } = work.subject;
    const credential = provenWith(work.subject, action.settles);
    const pool = memory.pool(of.name);
    // Of a client that is there already whatever comes next may take the old credential away.
    const isFirst = action.settles === 'Verify' && currentOf(work.record) === undefined;
    const outcome = await prove({
      effects: this.#o.effects,
      provider: work.provider,
      tokens,
      ask: action.ask,
      clientId,
      credential,
      settles: action.settles,
      isRemovalBelieved: isRemovalBelieved(work.subject, this.#o.clock.now()),
      isKnownGood: action.hash === '' || work.record.proofs[action.hash]?.outcome === 'Accepted',
      ...(pool.is === 'Seen' ? { pool: pool.value } : {}),
      inUse: (sha256) => memory.isInUse(sha256),
      defer: ({ value, sha256 }, exp) => {
        const token = { issuer, pool: of.name, since: this.#o.clock.now(), value, sha256, exp, clientId, credential };
        return isFirst && this.#o.proofTokens.defer(key, token);
      },
      revoked: () => this.#o.proofTokens.revoked(issuer),
      now: () => this.#o.clock.now(),
      signal,
    });
    const result = {
      use: action.settles,
      generation: action.generation,
      hash: action.hash,
      outcome,
      overlap: s.wanted.is === 'Seen' ? s.wanted.value.overlap : 0,
      lastExp: [...s.lastExp.values()].toSorted((a, b) => b - a)[0],
    };
    const next = proved(work.record, result, this.#o.clock.now());
    this.#record(next, action.generation, {
      event: 'Proved',
      outcome: outcome.is === 'Accepted' ? 'Success' : 'Failure',
      reason,
      scopes: action.ask.scopes,
      audiences: action.ask.audiences,
      ...(outcome.is === 'Accepted' ? {} : { message: outcome.message }),
    });
    const found = foundOut(work.record, action.generation, action.settles, outcome, s.wanted.is === 'Seen');
    if (found !== undefined)
      this.#done(work.record, { type: found.call, generation: action.generation }, { reason, message: found.message });
    this.#tell(work.record, next);
    await this.#o.changes.write(turn, 'client.Prove.record', next, s.record);
  }

  /** A call changed something at the provider. */
  #done(
    record: ClientRecord,
    { type, generation: n }: Pick<Intent, 'generation'> & { readonly type: Intent['call'] },
    why: Pick<AuditFacts, 'reason' | 'message'>,
  ): void {
    this.#record(record, n, { event: past[type], outcome: 'Success', ...why });
  }

  #refused(record: ClientRecord | undefined, { type, generation: n }: Action<Intent['call']>, error: unknown): never {
    if (record !== undefined && error instanceof OperatorError && refusals.has(error.reason)) {
      const { reason, message } = error;
      this.#o.refused(clientLine(record, n, { event: past[type], outcome: 'Failure', reason, message }));
    }
    throw error;
  }

  /** Only what is new: the same drift is looked at again until it is repaired. */
  #tellDrift(record: ClientRecord | undefined, next: ClientRecord): void {
    const [before, now] = [record?.observed, next.observed];
    const newest = next.generations.at(-1)?.n;
    if (now === undefined || newest === undefined) return;
    const gone = now.is === 'Gone' && before?.is !== 'Gone';
    const isOther = now.drift.join() !== before?.drift.join() || now.driftDigest !== before?.driftDigest;
    const drifted = now.drift.length > 0 && isOther;
    const reason = gone ? 'ClientGone' : 'ClientDrifted';
    const message = now.drift.join(', ');
    if ((gone || drifted) && this.#ahead.isNew(record, `Drifted ${reason} ${message}`))
      this.#record(next, newest, { event: 'Drifted', outcome: 'Failure', reason, message });
  }

  /** Each step of a credential's life: an audit line, and an event on the pool. */
  #tell(
    before: ClientRecord | undefined,
    after: ClientRecord | undefined,
    tellings: readonly Telling[] = tell(before, after, this.#o.clock.now()),
  ): void {
    const record = after ?? before;
    if (record === undefined) return;
    for (const telling of tellings)
      if (this.#ahead.isNew(before, `${telling.step} ${telling.generation}`)) this.#say(record, telling);
  }

  #say(record: ClientRecord, telling: Telling): void {
    const { step, generation: n, reason, good, message } = telling;
    this.#record(record, n, { event: step, outcome: good ? 'Success' : 'Failure', reason, message });
    this.#o.told(record, telling);
  }

  #record(record: ClientRecord, n: number, facts: AuditFacts): void {
    this.#o.audit.record(clientLine(record, n, facts));
  }
}
