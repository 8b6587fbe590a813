import type { Reason } from '../../api/reasons.ts';
import { type Clock, type Milliseconds, plus, second } from '../../clock.ts';
import { generation, newestSent, ownManagementOf } from '../../domain/client/generations.ts';
import { withIntent } from '../../domain/client/intents.ts';
import type { ClientAction, ClientSnapshot } from '../../domain/client/machine.ts';
import { withOwn } from '../../domain/client/management.ts';
import type { ClientRecord, Generation, Intent } from '../../domain/client/record.ts';
import { answered, deregistered, lookedAt, observed } from '../../domain/client/answers.ts';
import { OperatorError } from '../../errors.ts';
import type { RecordStore } from '../../kube/records.ts';
import type { ClientRegistry, IdentityProvider } from '../../providers/port.ts';
import type { Effects } from '../../runtime/effect.ts';
import { deadlines } from '../deadlines.ts';
import { clientRef, desiredClient, nothingDesired } from './desired.ts';
import type { EffectName } from '../effect-names.ts';
import { afterFailure } from './failed-call.ts';
import type { Memory } from '../memory.ts';
import { type PoolProviders, notConfigured } from '../pool-providers.ts';

type Action<T extends ClientAction['type']> = Extract<ClientAction, { readonly type: T }>;

/** One action of a client as the machine carries it out. */
export interface Turn {
  readonly key: string;
  /** What the action was decided on. */
  readonly s: ClientSnapshot;
  readonly reason: Reason;
  readonly signal: AbortSignal;
}

/** What one call works with. */
export interface ClientWork {
  readonly record: ClientRecord;
  readonly subject: Generation;
  readonly provider: IdentityProvider;
}

/** An answer that could not be stored is stored again and again for so long: what is in it exists nowhere else. */
const persistFor: Milliseconds = 60 * second;
const persistEvery: Milliseconds = second / 4;
/** So long it is asked whether an intent was stored. */
const noteFor: Milliseconds = 30 * second;

export interface ClientChangesOptions {
  readonly memory: Memory;
  readonly providers: PoolProviders;
  readonly records: RecordStore<ClientRecord>;
  readonly effects: Effects<EffectName>;
  readonly clock: Clock;
}

/** What {@link ClientChanges.change} needs to know of its caller. */
export interface Change {
  /** The record with the credential that the call is about, stored already or not. */
  readonly planned: () => Promise<ClientRecord | undefined>;
  /** Says what is stored next, which is this record with the note of the call. */
  readonly noting: Tell;
  readonly changed: Tell;
}

/** Says what a call did, given the record as it is stored next. Before it is: a process that is killed in between says it twice, never not at all. */
export type Tell = (next: ClientRecord) => void;

/**
 * The calls that change or look at a client at the provider, write-ahead: intent → exactly one call → what is told of it → answer. A refusal
 * closes the intent; where nobody knows whether the call took effect it stays open, and the table decides.
 */
export class ClientChanges {
  readonly #o: ClientChangesOptions;

  constructor(options: ClientChangesOptions) {
    this.#o = options;
  }

  /** Register or Update. */
  async change(
    turn: Turn,
    action: Action<'Register'> | Action<'Update'>,
    { planned, noting, changed }: Change,
  ): Promise<void> {
    const { s } = turn;
    if (s.wanted.is !== 'Seen') return;
    const desired = s.wanted.value;
    const call = action.type;
    const found = await this.#open(turn, `client.${call}.metadata`, action.generation, planned);
    if (found === undefined) return;
    const intent: Intent = { call, generation: action.generation, at: this.#o.clock.now() };
    const orphanPossible = action.type === 'Register' && action.orphanPossible === true;
    noting(found.record);
    const noted = await this.#note(turn, intent, withIntent(found.record, intent, orphanPossible), s.record);
    const without = action.type === 'Update' ? action.without : undefined;
    const wanted = desiredClient(noted, desired, found.subject, without);
    const answer = await this.#call(turn, intent, found.record.intent, (bounded) =>
      call === 'Register'
        ? found.registry.register(wanted, bounded)
        : found.registry.update(clientRef(noted, found.subject), wanted, bounded),
    );
    const next = (record: ClientRecord): ClientRecord => answered(record, answer, desired, this.#o.clock.now());
    changed(next(noted));
    await this.#persist(turn, `client.${call}.answer`, intent, next);
  }

  async deregister(turn: Turn, action: Action<'Deregister'>, tell: Tell): Promise<void> {
    const found = await this.#open(turn, 'client.Deregister.metadata', action.generation);
    if (found === undefined) return;
    const intent: Intent = { call: 'Deregister', generation: action.generation, at: this.#o.clock.now() };
    const noted = await this.#note(turn, intent, withIntent(found.record, intent), found.record);
    const said = await this.#call(turn, intent, found.record.intent, (bounded) =>
      found.registry.deregister(clientRef(noted, found.subject), bounded),
    );
    const next = (record: ClientRecord): ClientRecord => deregistered(record, said, this.#o.clock.now());
    if (found.subject.stillThere === undefined) tell(next(noted)); // else a proof has to show it first
    await this.#persist(turn, 'client.Deregister.answer', intent, next);
  }

  async observe(turn: Turn, n: number | undefined, tell: Tell): Promise<void> {
    const { s, signal } = turn;
    const of = n ?? (s.record && newestSent(s.record))?.n;
    if (of === undefined) return;
    const found = await this.#open(turn, 'client.Observe.metadata', of);
    if (found === undefined) return;
    const { record, subject, registry } = found;
    const wanted =
      s.wanted.is === 'Seen'
        ? desiredClient(record, s.wanted.value, subject, undefined)
        : nothingDesired(record, subject);
    const options = { deadline: deadlines.clientCall, signal, whose: 'Issuer' } as const;
    const { management, ...observation } = await this.#o.effects.run('client.Observe.call', options, (bounded) =>
      registry.observe(clientRef(record, subject), wanted, bounded),
    );
    const next = (stored: ClientRecord): ClientRecord => {
      const base = management === undefined ? stored : withManagement(stored, subject, management);
      return n === undefined ? observed(base, observation) : lookedAt(base, n, observation);
    };
    tell(next(record));
    await this.#persist(turn, 'client.Observe.record', record.intent, next);
  }

  /** The provider as the record's pool uses it; throws where its issuer is not configured any more. */
  workOn(record: ClientRecord | undefined, n: number): ClientWork | undefined {
    const subject = record === undefined ? undefined : generation(record, n);
    if (record === undefined || subject === undefined) return undefined;
    const pool = this.#o.memory.pool(record.pool.name);
    const audience = pool.is === 'Seen' ? pool.value.spec.provider.audience : undefined;
    const provider = this.#o.providers.providerAt(record.issuer, audience);
    if (provider === undefined) throw notConfigured(record.issuer);
    return { record, subject, provider };
  }

  /**
   * Stores the intent. Where the answer to that is lost it is asked for until it is known: an intent that stays open although its call never
   * left would be a question that nobody can answer any more.
   */
  async #note(turn: Turn, intent: Intent, next: ClientRecord, from: ClientRecord | undefined): Promise<ClientRecord> {
    const until = plus(this.#o.clock.now(), noteFor);
    for (;;) {
      try {
        return await this.write(turn, `client.${intent.call}.intent`, next, from);
      } catch (error) {
        const passing = error instanceof OperatorError && (error.class === 'Transient' || error.class === 'Conflict');
        if (!passing || this.#o.clock.now() >= until) throw error;
        const stored = this.#o.records.get(turn.key)?.record;
        if (stored !== undefined && isSame(stored.intent, intent)) return stored;
        if (stored !== from) throw error;
        await this.#o.clock.sleepUntil(plus(this.#o.clock.now(), persistEvery), turn.signal);
      }
    }
  }

  /** Compare-and-set on `from`; resolves with the record as stored. */
  async write(
    { key, signal }: Turn,
    effect: EffectName,
    next: ClientRecord,
    from: ClientRecord | undefined,
  ): Promise<ClientRecord> {
    return this.#o.effects.run(effect, { deadline: deadlines.apiWrite, signal }, (bounded) =>
      this.#o.records.write(key, next, from, bounded),
    );
  }

  async remove({ key, signal }: Turn, effect: EffectName, from: ClientRecord | undefined): Promise<void> {
    await this.#o.effects.run(effect, { deadline: deadlines.apiWrite, signal }, (bounded) =>
      this.#o.records.remove(key, from, bounded),
    );
  }

  /** Metadata is read before an intent is noted: an outage then leaves no question open. */
  async #open(
    { key, s, signal }: Turn,
    effect: EffectName,
    n: number,
    planned: () => Promise<ClientRecord | undefined> = async () => s.record,
  ): Promise<(ClientWork & { readonly registry: ClientRegistry }) | undefined> {
    const url = s.record?.issuer ?? (s.wanted.is === 'Seen' ? s.wanted.value.issuer : undefined);
    const issuer = this.#o.providers.issuer(url ?? '');
    if (issuer === undefined) throw notConfigured(url ?? key);
    await this.#o.effects.run(effect, { deadline: deadlines.clientCall, signal, whose: 'Issuer' }, (bounded) =>
      issuer.ready(bounded),
    );
    const work = this.workOn(await planned(), n);
    if (work === undefined) return undefined;
    const registry = work.provider.clients;
    if (registry !== undefined) return { ...work, registry };
    throw new OperatorError({
      class: 'Terminal',
      reason: 'RegistrationRefused',
      whose: 'Issuer',
      message: `issuer ${issuer.url}: its metadata names no registration endpoint; switch dynamic client registration on (RFC 7591)`,
    });
  }

  /** Makes the call of this intent, which is stored. `before`: the intent that it took the place of. */
  async #call<T>(
    turn: Turn,
    intent: Intent,
    before: Intent | undefined,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const options = { deadline: deadlines.clientCall, signal: turn.signal, whose: 'Issuer' } as const;
    try {
      return await this.#o.effects.run(`client.${intent.call}.call`, options, call);
    } catch (error) {
      const next = error instanceof OperatorError ? afterFailure(error, intent, before, this.#o.clock) : undefined;
      if (next !== undefined) await this.#persist(turn, `client.${intent.call}.refusal`, intent, next);
      throw error;
    }
  }

  /**
   * Stores what an answer held, before anything else and whatever it takes: the call is never repeated for it. Somebody else's write in
   * between (a session that met a refusal) is no obstacle as long as the intent is still the same.
   */
  async #persist(
    turn: Turn,
    effect: EffectName,
    intent: Intent | undefined,
    next: (record: ClientRecord) => ClientRecord,
  ): Promise<void> {
    const until = plus(this.#o.clock.now(), persistFor);
    for (;;) {
      const record = this.#o.records.get(turn.key)?.record;
      const same = record !== undefined && isSame(record.intent, intent);
      try {
        if (!same) throw changedMeanwhile(turn.key);
        await this.write(turn, effect, next(record), record);
        return;
      } catch (error) {
        // A server that has just started refuses for seconds what it will allow (401, 403), and the answer is gone with a first refusal.
        const passing = error instanceof OperatorError && error.class !== 'Terminal';
        if (!passing || !same || this.#o.clock.now() >= until) throw error;
        await this.#o.clock.sleepUntil(plus(this.#o.clock.now(), persistEvery), turn.signal);
      }
    }
  }
}

function isSame(a: Intent | undefined, b: Intent | undefined): boolean {
  return a?.at === b?.at && a?.call === b?.call;
}

/** The token belongs where the old one was: with the client of this generation, or with the record. */
function withManagement(
  record: ClientRecord,
  subject: Generation,
  management: NonNullable<ClientRecord['management']>,
): ClientRecord {
  return ownManagementOf(record, subject) === undefined
    ? { ...record, management }
    : withOwn(record, subject, management);
}

function changedMeanwhile(key: string): OperatorError {
  return new OperatorError({
    class: 'Conflict',
    reason: 'ApiConflict',
    message: `record ${key} was changed by somebody else meanwhile; it is looked at again`,
  });
}
