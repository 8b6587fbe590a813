/**
 * A toy provider and API server around the client table. It carries out decisions with the real transition functions, and it can break
 * between any two effects. What it promises of a provider: a call takes effect once or not at all.
 */
import { hour, instant, minute, plus } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import type { Decision } from '#src/decision.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import { decideClient } from '#src/domain/client/decide.ts';
import {
  currentOf,
  generation,
  liveAfter,
  managementOf,
  possibleOrphans,
  tagText,
} from '#src/domain/client/generations.ts';
import type { ClientAction, ClientCapabilities, ClientSnapshot, Desired } from '#src/domain/client/machine.ts';
import { credentialRefused, proved } from '#src/domain/client/proofs.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { idTaken, refusedCall, withIntent } from '#src/domain/client/intents.ts';
import { managementRefused } from '#src/domain/client/management.ts';
import type { ClientObservation, ClientRecord } from '#src/domain/client/record.ts';
import { firstHonoured } from '#src/domain/client/requests.ts';
import { answered, deregistered, observed } from '#src/domain/client/answers.ts';
import { planned } from '#src/domain/client/transitions.ts';
import { nextMethod } from '#src/domain/client/variants.ts';
import type { Failure } from '#src/domain/failure.ts';
import { Redacted } from '#src/redacted.ts';
import { buildAsk, buildDesired, buildKey, issuer, noon } from '#test/support/builders.ts';

/**
 * What goes wrong with the next action. `lost`: the call took effect, the process lives and hears nothing. `late`: likewise, but a registration
 * takes effect no sooner than the next call comes, and in a pool that is deleted by then after its record is gone.
 */
export type Mishap = 'none' | 'refused' | 'unsent' | 'lost' | 'late' | 'crash-before' | 'crash-intent' | 'crash-answer';

interface ToyClient {
  readonly tag: string;
  keys: ReadonlySet<string>;
  /** The registration access token that works now. */
  management: string;
  generation: number;
  scopes: readonly string[];
}

/** The client that an administrator registered. */
export const theirs = 'theirs';

class Crash extends Error {}
class Trouble extends Error {
  readonly effect: 'None' | 'Unclear';
  readonly reason: 'ProviderUnavailable' | 'RegistrationAccessTokenLost' | 'RegistrationRefused' | 'ClientIdTaken';

  constructor(effect: Trouble['effect'], reason: Trouble['reason'] = 'ProviderUnavailable') {
    super(reason);
    this.effect = effect;
    this.reason = reason;
  }
}

export interface ToyOptions {
  readonly capabilities: ClientCapabilities;
  /** Every PUT gives a new registration access token and voids the old one (Keycloak, oidc-provider). */
  readonly rotatesManagement: boolean;
  readonly allowSubjectChange: boolean;
  /** An administrator registered the client by hand. */
  readonly existing?: boolean;
  /** Default `PrivateKeyJwt`. */
  readonly authentication?: Desired['authentication'];
}

/** Why a row is not tried yet. */
type Hold = Failure & { readonly until: Instant };

/** What a leader had decided when it was frozen: from which stored record, and in which epoch. */
interface Frozen {
  readonly stored: string | undefined;
  readonly epoch: number;
  readonly action: ClientAction;
}

export class ToyWorld {
  now: Instant = noon;
  stopped = false;
  deleted = false;
  outage = false;
  fallback = false;
  windowOpen = false;
  clockAgrees = true;
  /** Somebody deleted the client at the provider at some time. */
  removed = false;
  /** So many clients may be left at the provider, as was said when records went. */
  admitted = 0;
  /** The credential that minted when somebody last asked for an emergency, as long as he did not take it back. */
  leaked: number | undefined;
  desired: Desired;
  /** The stored record, as text, as the API server has it. */
  stored: string | undefined;
  epoch = 1;
  readonly clients = new Map<string, ToyClient>();
  readonly tokens: { generation: number; clientId: string; kid: string; minted: Instant; exp: Instant }[] = [];
  readonly trail: string[] = [];
  #frozen: Frozen | undefined;
  /** A registration that is still under way at the provider. */
  #late: (() => void) | undefined;
  /** By row, as the loop keeps them. */
  readonly #failures = new Map<string, Hold>();
  #count = 0;
  #existing: ClientSnapshot['existing'];
  readonly #o: ToyOptions;

  constructor(options: ToyOptions) {
    this.#o = options;
    const { allowSubjectChange, authentication = 'PrivateKeyJwt', existing } = options;
    this.desired = buildDesired({
      allowSubjectChange,
      authentication,
      ...(existing === true ? { existing: { clientId: theirs } } : {}),
    });
    if (existing === true) this.handIn('good');
  }

  get record(): ClientRecord | undefined {
    if (this.stored === undefined) return undefined;
    const decoded = clientCodec.decode(this.stored);
    if (decoded.is !== 'Record') throw new Error(`stored record: ${JSON.stringify(decoded)}`);
    return decoded.record;
  }

  /** Decides as the loop does: a failure is shown while it holds its row back. Yields whether something was done. */
  step(mishap: Mishap): boolean {
    const { decision, held } = this.#look();
    this.trail.push(
      `${decision.row}${decision.action === undefined ? '' : ` ${decision.action.type}`}${mishap === 'none' ? '' : ` (${mishap})`}`,
    );
    if (decision.action === undefined || held.some(({ row }) => row === decision.row)) return this.#waitFor(held);
    try {
      this.#apply(decision.action, mishap);
      this.#failures.delete(decision.row);
    } catch (error) {
      if (error instanceof Crash) this.takeOver();
      else if (error instanceof Trouble) {
        const reason = error.reason;
        const { row } = decision;
        const until = plus(this.now, minute);
        this.#failures.set(row, { row, reason, message: '', at: this.now, terminal: false, until });
      } else throw error;
    }
    return true;
  }

  get decision(): Decision<ClientAction> {
    return this.#look().decision;
  }

  /** The leader decides and stops in the middle; another one takes over. The frozen one wakes up later and carries out what it had decided. */
  handOver(): void {
    const { action } = this.decision;
    if (action !== undefined) this.#frozen = { stored: this.stored, epoch: this.epoch, action };
    this.takeOver();
  }

  /** Its first write is a compare-and-set on the record that it knew: it fails if anybody has written since. */
  thaw(): void {
    const frozen = this.#frozen;
    this.#frozen = undefined;
    if (frozen === undefined || frozen.stored !== this.stored) return;
    const { epoch } = this;
    this.epoch = frozen.epoch;
    try {
      this.#apply(frozen.action, 'none');
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
    } finally {
      this.epoch = epoch;
    }
  }

  /** Another leader: nothing of the memory is left. */
  takeOver(): void {
    this.epoch += 1;
    this.#failures.clear();
  }

  /**
   * An administrator stores another credential, or takes the Secret away. The good ones the provider knows at once; what they replace it
   * forgets as soon as nothing of ours uses it any more.
   */
  handIn(what: 'good' | 'wrong' | 'nothing'): void {
    const client = this.clients.get(theirs) ?? { tag: '', keys: new Set(), management: '', generation: 0, scopes: [] };
    this.clients.set(theirs, client);
    if (what === 'nothing') {
      this.#existing = { is: 'Unusable', reason: 'CredentialMissing', message: '' };
      return;
    }
    const kid = `theirs-${(this.#count += 1)}`;
    const used = new Set((this.record?.generations ?? []).map(({ credential }) => kidOf(credential)));
    const known = [...client.keys].filter((key) => used.has(key));
    client.keys = new Set(what === 'good' ? [...known, kid] : known);
    this.#existing = { is: 'Usable', credential: buildKey(kid), source: kid };
  }

  /** An administrator deletes the client of the Current credential; its tokens die with it. */
  removeClient(): void {
    const clientId = this.record?.generations.find(({ state }) => state === 'Current')?.clientId;
    if (clientId === undefined || clientId === theirs || !this.clients.delete(clientId)) return;
    this.removed = true;
    const kept = this.tokens.filter((token) => token.clientId !== clientId);
    this.tokens.splice(0, this.tokens.length, ...kept);
  }

  /** A session meets the refusal of a Current that was accepted before, and the record hears of it. */
  meetRefusal(): void {
    const { record } = this;
    const current = record?.generations.find(({ state }) => state === 'Current');
    if (record === undefined || current === undefined || this.authenticates(current.clientId, current.credential))
      return;
    if (current.refusedAt === undefined) this.#store(credentialRefused(record, current.n, this.now));
  }

  /** A session mints with the Current credential, if it works; some tokens live longer than the overlap. */
  mint(): void {
    const current = this.record?.generations.find(({ state }) => state === 'Current');
    if (
      current === undefined ||
      this.stopped ||
      this.deleted ||
      !this.authenticates(current.clientId, current.credential)
    )
      return;
    const life = this.tokens.length % 2 === 0 ? 3 * hour : 15 * minute;
    this.tokens.push({
      generation: current.n,
      clientId: current.clientId ?? '',
      kid: kidOf(current.credential),
      minted: this.now,
      exp: plus(this.now, life),
    });
  }

  /** The session machine, very short: tokens that are forbidden are revoked, as whom minted them. */
  sweep(): void {
    const { record } = this;
    const kept = this.tokens.filter((token) => {
      const isLeaked = record !== undefined && token.generation < firstHonoured(record);
      const forbidden = this.deleted || this.stopped || isLeaked || token.minted < (record?.revokeBefore ?? 0);
      return token.exp > this.now && !(forbidden && this.canRevoke(token));
    });
    this.tokens.splice(0, this.tokens.length, ...kept);
  }

  /** As the client that minted it, by any credential of it that we hold. */
  canRevoke({ clientId }: { readonly clientId: string }): boolean {
    const own = this.record?.generations.filter((one) => one.clientId === clientId) ?? [];
    return own.some((one) => this.authenticates(one.clientId, one.credential));
  }

  advance(by: number): void {
    this.now = plus(this.now, by);
    this.#expire();
  }

  authenticates(clientId: string | undefined, credential: Credential): boolean {
    const kid = kidOf(credential);
    return clientId !== undefined && kid !== '' && this.clients.get(clientId)?.keys.has(kid) === true;
  }

  /** `held`: the rows that are not tried yet, that which the world asks for first. */
  #look(): { readonly decision: Decision<ClientAction>; readonly held: readonly Hold[] } {
    const held: Hold[] = [];
    for (;;) {
      const [first, ...rest] = held;
      const shown = first && { ...first, others: rest.map(({ row }) => row) };
      const decision = decideClient(this.snapshot(shown), this.now);
      const next = this.#failures.get(decision.row);
      if (next === undefined || this.now >= next.until || held.includes(next)) return { decision, held };
      held.push(next);
    }
  }

  #waitFor(held: readonly Hold[]): boolean {
    if (held.length === 0) return false;
    this.now = instant(Math.max(this.now, Math.min(...held.map(({ until }) => until))));
    this.#expire();
    return true;
  }

  #expire(): void {
    const kept = this.tokens.filter((token) => token.exp > this.now);
    this.tokens.splice(0, this.tokens.length, ...kept);
  }

  snapshot(failure: Failure | undefined): ClientSnapshot {
    const { record } = this;
    const lastExp = new Map<number, Instant>();
    for (const { generation: n, exp } of this.tokens) lastExp.set(n, instant(Math.max(lastExp.get(n) ?? 0, exp)));
    return {
      wanted: this.deleted ? { is: 'Gone' } : { is: 'Seen', value: this.desired },
      ...(this.stopped ? { stop: { sources: ['test'] } } : {}),
      ...(record === undefined ? {} : { record }),
      synced: true,
      issuerConfigured: true,
      asks: [{ hash: this.desired.scopes.join(' '), ask: buildAsk({ scopes: this.desired.scopes }) }],
      lastExp,
      liveTokens: this.tokens.length,
      revokedTokens: this.tokens.filter(({ minted }) => minted < (record?.revokeBefore ?? 0)).length,
      ...(this.windowOpen ? { window: { is: 'Open', since: this.now, length: hour } } : {}),
      capabilities: this.#o.capabilities,
      clockAgrees: this.clockAgrees,
      epoch: this.epoch,
      managementFallback: this.fallback,
      ...(this.#existing === undefined ? {} : { existing: this.#existing }),
      ...(failure === undefined ? {} : { failure }),
    };
  }

  #apply(action: ClientAction, mishap: Mishap): void {
    if (mishap === 'crash-before') throw new Crash();
    const { record } = this;
    switch (action.type) {
      case 'Record':
        return this.#store(action.next);
      case 'Plan': {
        const { generation: n, variant, handles } = action;
        const method = nextMethod(variant, this.desired, currentOf(record)?.credential.type);
        const isKey = method === 'PrivateKeyJwt';
        const fresh: Credential = isKey ? buildKey(`k${(this.#count += 1)}`) : { type: method };
        const theirOwn = variant === 'External' && this.#existing?.is === 'Usable' ? this.#existing : undefined;
        const made = theirOwn ?? { credential: fresh };
        const { clientIdBy } = this.#o.capabilities;
        return this.#store(
          planned(
            record,
            { desired: this.desired, generation: n, variant, handles, ...made, clientIdBy },
            this.now,
            this.epoch,
          ),
        );
      }
      case 'Prove':
        return this.#prove(action, mishap);
      case 'Observe':
        if (this.outage) throw new Trouble('None');
        return record === undefined ? undefined : this.#store(observed(record, this.#observation(record)));
      case 'Register':
      case 'Update':
      case 'Deregister':
        return this.#call(action, mishap);
    }
  }

  #prove(action: Extract<ClientAction, { type: 'Prove' }>, mishap: Mishap): void {
    const { record } = this;
    const of = record === undefined ? undefined : generation(record, action.generation);
    if (record === undefined || of === undefined) return;
    if (this.outage || mishap === 'unsent' || mishap === 'lost') throw new Trouble('Unclear');
    const accepted = this.authenticates(of.clientId, of.credential);
    if (mishap === 'crash-answer') throw new Crash();
    const { settles: use, hash } = action;
    const outcome = accepted
      ? ({ is: 'Accepted' } as const)
      : ({ is: 'CredentialRefused', message: 'invalid_client' } as const);
    const current = record.generations.find(({ state }) => state === 'Current');
    const lastExp = this.snapshot(undefined).lastExp.get(current?.n ?? 0);
    this.#store(
      proved(record, { use, generation: of.n, hash, outcome, overlap: this.desired.overlap, lastExp }, this.now),
    );
  }

  #call(action: Extract<ClientAction, { type: 'Register' | 'Update' | 'Deregister' }>, mishap: Mishap): void {
    const { record } = this;
    // As in the controller: what nobody wants any more is neither registered nor changed.
    if (record === undefined || (this.deleted && action.type !== 'Deregister')) return;
    const orphanPossible = action.type === 'Register' && action.orphanPossible === true;
    const noted = withIntent(
      record,
      { call: action.type, generation: action.generation, at: this.now },
      orphanPossible,
    );
    this.#store(noted);
    if (mishap === 'crash-intent') throw new Crash();
    try {
      if (this.outage || mishap === 'unsent') throw new Trouble('None');
      if (mishap === 'refused') throw new Trouble('None', 'RegistrationRefused');
      if (!this.deleted) this.arrive();
      if (mishap === 'late' && action.type === 'Register') {
        this.#late = () => this.#arrive(noted, action);
        throw new Trouble('Unclear');
      }
      const answer = this.#atProvider(noted, action);
      if (mishap === 'lost' || mishap === 'late') throw new Trouble('Unclear');
      if (mishap === 'crash-answer') throw new Crash();
      const next =
        answer === undefined
          ? deregistered(noted, 'Deleted', this.now)
          : answered(noted, answer, this.desired, this.now);
      this.#store(next);
    } catch (error) {
      if (error instanceof Trouble && error.effect === 'None') {
        this.#store(this.#refused(noted, error.reason, record.intent));
      }
      throw error;
    }
  }

  #refused(noted: ClientRecord, reason: Trouble['reason'], before: ClientRecord['intent']): ClientRecord {
    if (reason === 'RegistrationAccessTokenLost') return managementRefused(noted, this.now);
    return reason === 'ClientIdTaken' ? idTaken(noted, this.now) : refusedCall(noted, before);
  }

  /** A registration that was under way takes effect after all. */
  arrive(): void {
    this.#late?.();
    this.#late = undefined;
  }

  /** Too late for anybody to hear of it. */
  #arrive(record: ClientRecord, action: Extract<ClientAction, { type: 'Register' }>): void {
    try {
      this.#atProvider(record, action);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
    }
  }

  /** One mutating call, as RFC 7591 and 7592 have it. */
  #atProvider(
    record: ClientRecord,
    action: Extract<ClientAction, { type: 'Register' | 'Update' | 'Deregister' }>,
  ): Parameters<typeof answered>[1] | undefined {
    const of = generation(record, action.generation);
    if (of === undefined) throw new Error('no such generation');
    const keys = new Set(liveAfter(record, action).map(({ credential }) => kidOf(credential)));
    const isSecret = of.credential.type !== 'PrivateKeyJwt';
    const secret = `s${(this.#count += 1)}`;
    keys.delete('');
    if (action.type === 'Register') {
      const clientId = of.clientId ?? `random-${(this.#count += 1)}`;
      if (this.clients.has(clientId)) throw new Trouble('None', 'ClientIdTaken');
      this.clients.set(clientId, {
        tag: tagText(record.tag),
        keys: isSecret ? new Set([secret]) : keys,
        management: `m${(this.#count += 1)}`,
        generation: of.n,
        scopes: this.desired.scopes,
      });
      return this.#answer(clientId, isSecret ? secret : undefined);
    }
    const client = this.clients.get(of.clientId ?? '');
    const token = managementOf(record, of)?.token.reveal();
    if (client === undefined || (!this.fallback && token !== client.management))
      throw new Trouble('None', 'RegistrationAccessTokenLost');
    if (action.type === 'Deregister') {
      this.clients.delete(of.clientId ?? '');
      return undefined;
    }
    // A PUT leaves a secret alone, or (Glewlwyd) gives a new one and kills the old, or adds one beside those that it is told to keep.
    const { variants } = this.#o.capabilities;
    const replaces = isSecret && variants.includes('InPlace');
    const adds = isSecret && variants.includes('TwoSecrets') && of.state === 'Planned';
    if (!isSecret || variants.includes('TwoSecrets')) client.keys = keys;
    if (replaces) client.keys = new Set([secret]);
    if (adds) client.keys = new Set([...keys, secret]);
    client.generation = of.n;
    client.scopes = this.desired.scopes;
    if (this.#o.rotatesManagement) client.management = `m${(this.#count += 1)}`;
    return this.#answer(of.clientId ?? '', replaces || adds ? secret : undefined);
  }

  #answer(clientId: string, secret: string | undefined): Parameters<typeof answered>[1] {
    const client = this.clients.get(clientId);
    if (client === undefined) throw new Error('no such client');
    const management = { token: new Redacted(client.management), uri: `${issuer}/${clientId}` };
    const said = secret === undefined ? {} : { secret: new Redacted(secret) };
    return { clientId, management, ...said, observed: this.#present(client) };
  }

  #observation(record: ClientRecord): ClientObservation {
    const of = record.generations.findLast(({ clientId }) => clientId !== undefined);
    const client = of === undefined ? undefined : this.clients.get(of.clientId ?? '');
    const token = of === undefined ? undefined : managementOf(record, of)?.token.reveal();
    if (of !== undefined && client !== undefined && (this.fallback || token === client.management))
      return this.#present(client);
    return { is: this.fallback ? 'Gone' : 'Unknowable', at: this.now, drift: [] };
  }

  #present(client: ToyClient): ClientObservation {
    const drift = client.scopes.join(' ') === this.desired.scopes.join(' ') ? [] : ['scope'];
    return { is: 'Present', at: this.now, drift, tag: client.tag, generation: client.generation };
  }

  /** The compare-and-set: our epoch goes with it. */
  #store(next: ClientRecord | undefined): void {
    if (next === undefined && this.record !== undefined) this.admitted += possibleOrphans(this.record);
    this.stored = next === undefined ? undefined : clientCodec.encode({ ...next, epoch: this.epoch });
  }
}

export function kidOf(credential: Credential): string {
  if (credential.type === 'PrivateKeyJwt') return credential.kid ?? '';
  return credential.secret?.reveal() ?? '';
}
