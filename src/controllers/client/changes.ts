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
    key: string,
    s: ClientSnapshot,
    action: Action<'Register'> | Action<'Update'>,
    { planned, noting, changed }: Change,
    signal: AbortSignal,
  ): Promise<void> {
    if (s.wanted.is !== 'Seen') return;
    const desired = s.wanted.value;
    const call = action.type;
    const found = await this.#open(key, s, `client.${call}.metadata`, action.generation, signal, planned);
    if (found === undefined) return;
    const intent: Intent = { call, generation: action.generation, at: this.#o.clock.now() };
    const orphanPossible = action.type === 'Register' && action.orphanPossible === true;
    noting(found.record);
    const noted = await this.#note(key, withIntent(found.record, intent, orphanPossible), s.record, intent, signal);
    const without = action.type === 'Update' ? action.without : undefined;
    const wanted = desiredClient(noted, desired, found.subject, without);
    const answer = await this.#call(`client.${call}.call`, key, { intent, ...found }, signal, (bounded) =>
      call === 'Register'
        ? found.registry.register(wanted, bounded)
        : found.registry.update(clientRef(noted, found.subject), wanted, bounded),
    );
    const next = (record: ClientRecord): ClientRecord => answered(record, answer, desired, this.#o.clock.now());
    changed(next(noted));
    await this.#persist(`client.${call}.answer`, key, intent, signal, next);
  }

  async deregister(
    key: string,
    s: ClientSnapshot,
    action: Action<'Deregister'>,
    tell: Tell,
    signal: AbortSignal,
  ): Promise<void> {
    const found = await this.#open(key, s, 'client.Deregister.metadata', action.generation, signal);
    if (found === undefined) return;
    const intent: Intent = { call: 'Deregister', generation: action.generation, at: this.#o.clock.now() };
    const noted = await this.#note(key, withIntent(found.record, intent), found.record, intent, signal);
    const said = await this.#call('client.Deregister.call', key, { intent, ...found }, signal, (bounded) =>
      found.registry.deregister(clientRef(noted, found.subject), bounded),
    );
    const next = (record: ClientRecord): ClientRecord => deregistered(record, said, this.#o.clock.now());
    if (found.subject.stillThere === undefined) tell(next(noted)); // else a proof has to show it first
    await this.#persist('client.Deregister.answer', key, intent, signal, next);
  }

  async observe(key: string, s: ClientSnapshot, n: number | undefined, tell: Tell, signal: AbortSignal): Promise<void> {
    const of = n ?? (s.record && newestSent(s.record))?.n;
    if (of === undefined) return;
    const found = await this.#open(key, s, 'client.Observe.metadata', of, signal);
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
    await this.#persist('client.Observe.record', key, record.intent, signal, next);
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
  async #note(
    key: string,
    next: ClientRecord,
    from: ClientRecord | undefined,
    intent: Intent,
    signal: AbortSignal,
  ): Promise<ClientRecord> {
    const until = plus(this.#o.clock.now(), noteFor);
    for (;;) {
      try {
        return await this.write(`client.${intent.call}.intent`, key, next, from, signal);
      } catch (error) {
        const passing = error instanceof OperatorError && (error.class === 'Transient' || error.class === 'Conflict');
        if (!passing || this.#o.clock.now() >= until) throw error;
        const stored = this.#o.records.get(key)?.record;
        if (stored !== undefined && isSame(stored.intent, intent)) return stored;
        if (stored !== from) throw error;
        await this.#o.clock.sleepUntil(plus(this.#o.clock.now(), persistEvery), signal);
      }
    }
  }

  /** Compare-and-set on `from`; resolves with the record as stored. */
  async write(
    effect: EffectName,
    key: string,
    next: ClientRecord,
    from: ClientRecord | undefined,
    signal: AbortSignal,
  ): Promise<ClientRecord> {
    return this.#o.effects.run(effect, { deadline: deadlines.apiWrite, signal }, (bounded) =>
      this.#o.records.write(key, next, from, bounded),
    );
  }

  async remove(effect: EffectName, key: string, from: ClientRecord | undefined, signal: AbortSignal): Promise<void> {
    await this.#o.effects.run(effect, { deadline: deadlines.apiWrite, signal }, (bounded) =>
      this.#o.records.remove(key, from, bounded),
    );
  }

  /** Metadata is read before an intent is noted: an outage then leaves no question open. */
  async #open(
    key: string,
    s: ClientSnapshot,
    effect: EffectName,
    n: number,
    signal: AbortSignal,
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

  async #call<T>(
    effect: EffectName,
    key: string,
    { intent, record: before }: ClientWork & { readonly intent: Intent },
    signal: AbortSignal,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#o.effects.run(effect, { deadline: deadlines.clientCall, signal, whose: 'Issuer' }, call);
    } catch (error) {
      const next =
        error instanceof OperatorError ? afterFailure(error, intent, before.intent, this.#o.clock) : undefined;
      if (next !== undefined) await this.#persist(`client.${intent.call}.refusal`, key, intent, signal, next);
      throw error;
    }
  }

  /**
   * Stores what an answer held, before anything else and whatever it takes: the call is never repeated for it. Somebody else's write in
   * between (a session that met a refusal) is no obstacle as long as the intent is still the same.
   */
  async #persist(
    effect: EffectName,
    key: string,
    intent: Intent | undefined,
    signal: AbortSignal,
    next: (record: ClientRecord) => ClientRecord,
  ): Promise<void> {
    const until = plus(this.#o.clock.now(), persistFor);
    for (;;) {
      const record = this.#o.records.get(key)?.record;
      const same = record !== undefined && isSame(record.intent, intent);
      try {
        if (!same) throw changedMeanwhile(key);
        await this.write(effect, key, next(record), record, signal);
        return;
      } catch (error) {
        // A server that has just started refuses for seconds what it will allow (401, 403), and the answer is gone with a first refusal.
        const passing = error instanceof OperatorError && error.class !== 'Terminal';
        if (!passing || !same || this.#o.clock.now() >= until) throw error;
        await this.#o.clock.sleepUntil(plus(this.#o.clock.now(), persistEvery), signal);
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
