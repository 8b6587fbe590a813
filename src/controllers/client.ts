import { type Clock, type Instant, plus, second } from '../clock.ts';
import type { Decision } from '../decision.ts';
import { decideClient } from '../domain/client/decide.ts';
import type { Credential } from '../domain/client/credential.ts';
import { generation, liveAfter, managementOf, metadataDigest, tagText } from '../domain/client/generations.ts';
import type { ClientAction, ClientSnapshot, Desired } from '../domain/client/machine.ts';
import { proved } from '../domain/client/proofs.ts';
import type { ClientRecord, Generation, Intent } from '../domain/client/record.ts';
import {
  answered,
  deregistered,
  managementRefused,
  observed,
  planned,
  withIntent,
  withoutIntent,
} from '../domain/client/transitions.ts';
import { OperatorError, assertNever } from '../errors.ts';
import type { RecordStore } from '../kube/records.ts';
import { surelyWithoutEffect } from '../providers/no-effect.ts';
import type { ClientRef, ClientRegistry, DesiredClient, IdentityProvider } from '../providers/port.ts';
import type { Effects } from '../runtime/effect.ts';
import type { FailureNote, Machine } from '../runtime/machine.ts';
import type { AuditEvent, AuditFacts, AuditLog } from '../telemetry/audit.ts';
import { prove } from './client-prove.ts';
import { type ClientSources, snapshotClient } from './client-snapshot.ts';

type Taken = Decision<ClientAction> & { readonly action: ClientAction };
type Action<T extends ClientAction['type']> = Extract<ClientAction, { readonly type: T }>;

export interface ClientMachineOptions {
  readonly sources: ClientSources;
  readonly records: RecordStore<ClientRecord>;
  readonly effects: Effects;
  readonly audit: AuditLog;
  readonly clock: Clock;
}

/** What one action works with; a snapshot whose provider or owner is gone meanwhile has none. */
interface Work {
  readonly key: string;
  readonly record: ClientRecord;
  readonly provider: IdentityProvider;
  readonly registry: ClientRegistry;
  readonly subject: Generation;
}

const providerDeadline = 20 * second;
const apiDeadline = 15 * second;
/** An answer that could not be stored is stored again and again for so long: what is in it exists nowhere else. */
const persistFor = 60 * second;
const persistEvery = second / 4;

/** Snapshot and apply of one OAuth client. The table is `domain/client/decide.ts`. */
export class ClientMachine implements Machine<ClientSnapshot, ClientAction> {
  readonly name = 'client';
  readonly #o: ClientMachineOptions;

  constructor(options: ClientMachineOptions) {
    this.#o = options;
  }

  snapshot(key: string, failure: FailureNote | undefined): ClientSnapshot | undefined {
    return snapshotClient(this.#o.sources, key, failure);
  }

  decide(snapshot: ClientSnapshot, now: Instant): Decision<ClientAction> {
    return decideClient(snapshot, now);
  }

  async apply(key: string, s: ClientSnapshot, { action, reason }: Taken, signal: AbortSignal): Promise<void> {
    switch (action.type) {
      case 'Plan':
        return this.#plan(key, s, action, reason, signal);
      case 'Register':
        return this.#change(key, s, action, 'Register', reason, signal);
      case 'Update':
        return this.#change(key, s, action, 'Update', reason, signal);
      case 'Deregister':
        return this.#deregister(key, s, action, reason, signal);
      case 'Prove':
        return this.#prove(key, s, action, reason, signal);
      case 'Observe':
        return this.#observe(key, s, signal);
      case 'Record':
        return this.#write('client.Record.record', key, action.next, signal);
      default:
        return assertNever(action);
    }
  }

  /** Key first: the credential exists in our record before anybody else hears of it. */
  async #plan(
    key: string,
    s: ClientSnapshot,
    action: Action<'Plan'>,
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (s.wanted.is !== 'Seen' || s.capabilities === undefined) return;
    const desired = s.wanted.value;
    const { generation: n, variant, handles } = action;
    const credential = await this.#newCredential(desired);
    const plan = { desired, generation: n, variant, credential, clientIdBy: s.capabilities.clientIdBy, handles };
    const next = planned(s.record, plan, this.#o.clock.now(), this.#o.sources.epoch());
    await this.#write('client.Plan.record', key, next, signal);
    this.#record(next, n, { event: 'Planned', outcome: 'Success', reason });
  }

  async #newCredential({ issuer, authentication }: Desired): Promise<Credential> {
    if (authentication !== 'PrivateKeyJwt') return { type: authentication };
    const found = this.#o.sources.providers.issuer(issuer);
    if (found === undefined) throw notConfigured(issuer);
    return found.generateKey();
  }

  /** Register or Update: intent → one mutating call → answer. A refusal closes the intent; not knowing leaves it open for the table. */
  async #change(
    key: string,
    s: ClientSnapshot,
    action: Action<'Register'> | Action<'Update'>,
    call: 'Register' | 'Update',
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const work = this.#workOn(key, s, action.generation);
    if (work === undefined || s.wanted.is !== 'Seen') return;
    const desired = s.wanted.value;
    const { registry, subject } = work;
    await this.#metadata(`client.${call}.metadata`, work.record.issuer, signal);
    const orphanPossible = action.type === 'Register' && action.orphanPossible === true;
    const intent: Intent = { call, generation: action.generation, at: this.#o.clock.now() };
    const noted = withIntent(work.record, intent, orphanPossible);
    await this.#write(`client.${call}.intent`, key, noted, signal);
    const without = action.type === 'Update' ? action.without : undefined;
    const wanted = desiredClient(noted, desired, subject, without);
    const answer = await this.#call(`client.${call}.call`, key, noted, signal, (bounded) =>
      call === 'Register'
        ? registry.register(wanted, bounded)
        : registry.update(clientRef(noted, subject), wanted, bounded),
    );
    const next = answered(noted, answer, metadataDigest(desired), this.#o.clock.now());
    await this.#persist(`client.${call}.answer`, key, next, signal);
    const event: AuditEvent = call === 'Register' ? 'Registered' : 'Updated';
    this.#record(next, action.generation, { event, outcome: 'Success', reason, client_id: answer.clientId });
  }

  async #deregister(
    key: string,
    s: ClientSnapshot,
    action: Action<'Deregister'>,
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const work = this.#workOn(key, s, action.generation);
    if (work === undefined) return;
    const noted = withIntent(work.record, {
      call: 'Deregister',
      generation: action.generation,
      at: this.#o.clock.now(),
    });
    await this.#metadata('client.Deregister.metadata', work.record.issuer, signal);
    await this.#write('client.Deregister.intent', key, noted, signal);
    await this.#call('client.Deregister.call', key, noted, signal, (bounded) =>
      work.registry.deregister(clientRef(noted, work.subject), bounded),
    );
    const next = deregistered(noted, this.#o.clock.now());
    await this.#persist('client.Deregister.answer', key, next, signal);
    this.#record(next, action.generation, { event: 'Deregistered', outcome: 'Success', reason });
  }

  async #prove(
    key: string,
    s: ClientSnapshot,
    action: Action<'Prove'>,
    reason: string,
    signal: AbortSignal,
  ): Promise<void> {
    const work = this.#workOn(key, s, action.generation);
    const tokens = work?.provider.tokens;
    if (work === undefined || tokens === undefined || work.subject.clientId === undefined) return;
    const pool = this.#o.sources.memory.pool(work.record.pool.name);
    const outcome = await prove({
      effects: this.#o.effects,
      provider: work.provider,
      tokens,
      ask: action.ask,
      clientId: work.subject.clientId,
      credential: work.subject.credential,
      ...(pool.is === 'Seen' ? { pool: pool.value } : {}),
      now: () => this.#o.clock.now(),
      signal,
    });
    const result = {
      use: action.settles,
      generation: action.generation,
      hash: action.hash,
      outcome,
      overlap: s.wanted.is === 'Seen' ? s.wanted.value.overlap : 0,
      lastExp: latest(s.lastExp),
    };
    const next = proved(work.record, result, this.#o.clock.now());
    await this.#write('client.Prove.record', key, next, signal);
    this.#record(next, action.generation, {
      event: 'Proved',
      outcome: outcome.is === 'Accepted' ? 'Success' : 'Failure',
      reason,
      scopes: action.ask.scopes,
      audiences: action.ask.audiences,
      ...(outcome.is === 'Accepted' ? {} : { message: outcome.message }),
    });
  }

  async #observe(key: string, s: ClientSnapshot, signal: AbortSignal): Promise<void> {
    const newest = s.record?.generations.findLast((one) => one.clientId !== undefined) ?? s.record?.generations.at(-1);
    const work = newest === undefined ? undefined : this.#workOn(key, s, newest.n);
    if (work === undefined) return;
    const wanted =
      s.wanted.is === 'Seen'
        ? desiredClient(work.record, s.wanted.value, work.subject, undefined)
        : nothingDesired(work);
    const seen = await this.#o.effects.run(
      'client.Observe.call',
      { deadline: providerDeadline, signal, whose: 'Issuer' },
      (bounded) => work.registry.observe(clientRef(work.record, work.subject), wanted, bounded),
    );
    const { management, ...observation } = seen;
    const known = management === undefined ? work.record : withManagement(work, management);
    await this.#persist('client.Observe.record', key, observed(known, observation), signal);
  }

  #workOn(key: string, s: ClientSnapshot, n: number): Work | undefined {
    const { record } = s;
    const subject = record === undefined ? undefined : generation(record, n);
    if (record === undefined || subject === undefined) return undefined;
    const pool = this.#o.sources.memory.pool(record.pool.name);
    const audience = pool.is === 'Seen' ? pool.value.spec.provider.audience : undefined;
    const provider = this.#o.sources.providers.providerAt(record.issuer, audience);
    if (provider === undefined) throw notConfigured(record.issuer);
    if (provider.clients === undefined) {
      throw new OperatorError({
        class: 'Terminal',
        reason: 'RegistrationRefused',
        whose: 'Issuer',
        message: `issuer ${record.issuer}: its metadata names no registration endpoint; switch dynamic client registration on (RFC 7591)`,
      });
    }
    return { key, record, subject, provider, registry: provider.clients };
  }

  /** Metadata is read before the intent is noted: an outage then leaves no question open. */
  async #metadata(effect: string, issuer: string, signal: AbortSignal): Promise<void> {
    const found = this.#o.sources.providers.issuer(issuer);
    if (found === undefined) throw notConfigured(issuer);
    await this.#o.effects.run(effect, { deadline: providerDeadline, signal, whose: 'Issuer' }, (bounded) =>
      found.ready(bounded),
    );
  }

  async #call<T>(
    effect: string,
    key: string,
    noted: ClientRecord,
    signal: AbortSignal,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#o.effects.run(effect, { deadline: providerDeadline, signal, whose: 'Issuer' }, call);
    } catch (error) {
      if (error instanceof OperatorError && surelyWithoutEffect(error)) {
        const lost = error.reason === 'RegistrationAccessTokenLost';
        const next = lost ? managementRefused(noted, this.#o.clock.now()) : withoutIntent(noted);
        await this.#persist(`${effect}.refused`, key, next, signal);
      }
      throw error;
    }
  }

  async #write(effect: string, key: string, next: ClientRecord | undefined, signal: AbortSignal): Promise<void> {
    await this.#o.effects.run(effect, { deadline: apiDeadline, signal }, (bounded) =>
      next === undefined ? this.#o.records.remove(key, bounded) : this.#o.records.write(key, next, bounded),
    );
  }

  /** Stores what an answer held, before anything else and whatever it takes: the call is never repeated for it. */
  async #persist(effect: string, key: string, next: ClientRecord, signal: AbortSignal): Promise<void> {
    const until = plus(this.#o.clock.now(), persistFor);
    for (;;) {
      try {
        return await this.#write(effect, key, next, signal);
      } catch (error) {
        const again = error instanceof OperatorError && error.class === 'Transient' && this.#o.clock.now() < until;
        if (!again) throw error;
        await this.#o.clock.sleepUntil(plus(this.#o.clock.now(), persistEvery), signal);
      }
    }
  }

  #record(record: ClientRecord, n: number, facts: AuditFacts): void {
    const clientId = generation(record, n)?.clientId;
    this.#o.audit.record({
      pool: record.pool.name,
      issuer: record.issuer,
      generation: n,
      ...(record.namespace === undefined ? {} : { namespace: record.namespace }),
      ...(record.identity === undefined ? {} : { identity: record.identity.name }),
      ...(clientId === undefined ? {} : { client_id: clientId }),
      ...facts,
    });
  }
}

/** The whole desired state: every credential that shall authenticate after this call. */
function desiredClient(
  record: ClientRecord,
  desired: Desired,
  subject: Generation,
  without: number | undefined,
): DesiredClient {
  const live = liveAfter(record, { generation: subject.n, ...(without === undefined ? {} : { without }) });
  return {
    ...(subject.clientId === undefined ? {} : { clientId: subject.clientId }),
    name: `${desired.name} ${subject.n}`,
    tag: tagText(record.tag),
    authentication: desired.authentication,
    keys: live.flatMap(({ credential }) => (credential.type === 'PrivateKeyJwt' ? [credential.publicJwk] : [])),
    scopes: desired.scopes,
    audiences: desired.audiences,
    maxTokenLifetime: desired.maxTokenLifetime,
  };
}

/** The token belongs where the old one was: with the client of this generation, or with the record. */
function withManagement({ record, subject }: Work, management: NonNullable<ClientRecord['management']>): ClientRecord {
  if (subject.management === undefined) return { ...record, management };
  const generations = record.generations.map((one) => (one.n === subject.n ? { ...one, management } : one));
  return { ...record, generations };
}

/** Of a client that nobody wants any more only its being there matters, so what would count as drift does not. */
function nothingDesired({ record, subject }: Work): DesiredClient {
  const { type: authentication } = subject.credential;
  return {
    name: '',
    tag: tagText(record.tag),
    authentication,
    keys: [],
    scopes: [],
    audiences: [],
    maxTokenLifetime: 0,
  };
}

function clientRef(record: ClientRecord, subject: Generation): ClientRef {
  const management = managementOf(record, subject);
  return { clientId: subject.clientId ?? '', ...(management === undefined ? {} : { management }) };
}

function latest(exps: ReadonlyMap<number, Instant>): Instant | undefined {
  return [...exps.values()].toSorted((a, b) => b - a)[0];
}

function notConfigured(issuer: string): OperatorError {
  return new OperatorError({
    class: 'Waiting',
    reason: 'IssuerNotConfigured',
    message: `issuer ${issuer} is not listed in the operator's configuration; add it under issuers`,
  });
}
