/**
 * A toy provider and API server around the client table. It carries out decisions with the real transition functions, and it can break
 * between any two effects. What it promises of a provider: a call takes effect once or not at all.
 */
import { hour, instant, minute, plus } from '#src/clock.ts';
import type { Instant, Milliseconds } from '#src/clock.ts';
import type { Decision } from '#src/decision.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import { decideClient } from '#src/domain/client/decide.ts';
import { currentOf, generation, liveAfter, managementOf, newestSent, tagText } from '#src/domain/client/generations.ts';
import { possibleOrphans } from '#src/domain/client/orphans.ts';
import type {
  ClientAction,
  ClientCapabilities,
  ClientRowName,
  ClientSnapshot,
  Desired,
} from '#src/domain/client/machine.ts';
import { provenWith } from '#src/domain/client/offered.ts';
import { type ProofOutcome, credentialRefused, proved } from '#src/domain/client/proofs.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { idTaken, refusedCall, withIntent } from '#src/domain/client/intents.ts';
import { managementRefused } from '#src/domain/client/management.ts';
import type { ClientObservation, ClientRecord, Generation } from '#src/domain/client/record.ts';
import { firstHonoured } from '#src/domain/client/requests.ts';
import { answered, deregistered, lookedAt, observed } from '#src/domain/client/answers.ts';
import { planned } from '#src/domain/client/transitions.ts';
import { nextMethod } from '#src/domain/client/variants.ts';
import { windowState } from '#src/domain/client/window.ts';
import type { Failure } from '#src/domain/failure.ts';
import { Redacted } from '#src/redacted.ts';
import { suspended, buildAsk, buildDesired, buildKey, issuer, noon } from '#test/support/builders.ts';

/**
 * What goes wrong with the next action. `lost`: the call took effect, the process lives and hears nothing. `late`: likewise, but a registration
 * takes effect no sooner than the next call comes, and in a pool that is deleted by then after its record is gone. `frozen`: the leader stops
 * with its intent stored and the call about to leave, which it does when it {@link ToyWorld.thaw}s; another one leads meanwhile. `limited`: 429.
 * `ask-refused`, `unclear`: the credential authenticates and is not given what a proof asks for, or for a reason that says nothing about it.
 */
export type Mishap =
  | 'none'
  | 'refused'
  | 'limited'
  | 'ask-refused'
  | 'unclear'
  | 'unsent'
  | 'lost'
  | 'late'
  | 'frozen'
  | 'crash-before'
  | 'crash-intent'
  | 'crash-answer';

/** Maintenance windows as pools have them; the time zone of the last one nobody knows. */
export const windows = {
  none: undefined,
  nightly: { from: '02:00', to: '04:00' },
  always: { from: '00:00', to: '23:59' },
  unusable: { from: '02:00', to: '04:00', timeZone: 'Atlantis/Centre' },
} as const;

interface ToyClient {
  readonly tag: string;
  keys: ReadonlySet<string>;
  /** A credential is refused before this moment: replicas of the provider take their time. */
  readonly from: Map<string, Instant>;
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
  readonly reason:
    'ProviderUnavailable' | 'RateLimited' | 'RegistrationAccessTokenLost' | 'RegistrationRefused' | 'ClientIdTaken';

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
  /** Secrets stop working after this long. */
  readonly secretsLive?: Milliseconds;
  /** A PUT leaves a secret alone and answers what is stored of it. */
  readonly answersHash?: boolean;
  /** Default `PrivateKeyJwt`. */
  readonly authentication?: Desired['authentication'];
}

/** What changes something at the provider. */
type Call = Extract<ClientAction, { type: 'Register' | 'Update' | 'Deregister' }>;

/** Why a row is not tried yet. */
type Hold = Failure<ClientRowName> & { readonly until: Instant };

/** What a leader had decided when it was frozen: from which stored record, and in which epoch. */
interface Frozen {
  readonly stored: string | undefined;
  readonly epoch: number;
  readonly action: ClientAction;
}

export class ToyWorld {
  /** What the provider's clock shows; ours is {@link ours}. */
  now: Instant = noon;
  /** So much our clock is ahead of the provider's, or behind. */
  clockError: Milliseconds = 0;
  /** So long the provider refuses a credential that it has just been told. */
  takes: Milliseconds = 0;
  /** Of this client in its pool, -1 to 1. */
  jitter = 0;
  stopped = false;
  deleted = false;
  /** The brake holds back the deletion, together with those of others. */
  braked = false;
  outage = false;
  fallback = false;
  window: keyof typeof windows = 'none';
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
  /**
   * `minted` and `exp` by our clock, `ends` by the provider's. `misdated`: our clock was wrong when it was minted, so when it is right again the
   * token seems to end earlier or later than it does.
   */
  readonly tokens: {
    generation: number;
    clientId: string;
    kid: string;
    minted: Instant;
    exp: Instant;
    ends: Instant;
    misdated: boolean;
  }[] = [];
  readonly trail: string[] = [];
  #frozen: Frozen | undefined;
  /** The call of a frozen leader, which has stored its intent. */
  #leaving: (() => void) | undefined;
  /** The provider was told something by a leader that did not lead any more, so it may have taken out what is in use. */
  overruled = false;
  /** Clients that such a leader registered when nobody wanted them any more: no provider takes a word of who leads. */
  strays = 0;
  /** A registration that is still under way at the provider. */
  #late: (() => void) | undefined;
  /** By row, as the loop keeps them. */
  readonly #failures = new Map<string, Hold>();
  #count = 0;
  /** When the provider made a secret. */
  readonly #made = new Map<string, Instant>();
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
        const until = plus(this.now, reason === 'RateLimited' ? 10 * minute : minute);
        this.#failures.set(row, { row, reason, message: '', at: this.ours, terminal: false, until });
      } else throw error;
    }
    return true;
  }

  /** What the leader's clock shows. */
  get ours(): Instant {
    return plus(this.now, this.clockError);
  }

  get decision(): Decision<ClientAction, ClientRowName> {
    return this.#look().decision;
  }

  /** The leader decides and stops in the middle; another one takes over. The frozen one wakes up later and carries out what it had decided. */
  handOver(): void {
    const { action } = this.decision;
    if (action !== undefined) this.#frozen = { stored: this.stored, epoch: this.epoch, action };
    this.takeOver();
  }

  /**
   * Its first write is a compare-and-set on the record that it knew: it fails if anybody has written since. A call whose intent it had stored
   * leaves, and nobody stores the answer.
   */
  thaw(): void {
    this.#leaving?.();
    this.#leaving = undefined;
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
    const none = { tag: '', keys: new Set<string>(), from: new Map(), management: '', generation: 0, scopes: [] };
    const client = this.clients.get(theirs) ?? none;
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
    if (current.refusedAt === undefined) this.#store(credentialRefused(record, current.n, this.ours));
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
      minted: this.ours,
      exp: plus(this.ours, life),
      ends: plus(this.now, life),
      misdated: this.clockError !== 0,
    });
  }

  /** The session machine, very short: tokens that are forbidden are revoked, as whom minted them. */
  sweep(): void {
    const { record } = this;
    const kept = this.tokens.filter((token) => {
      const isLeaked = record !== undefined && token.generation < firstHonoured(record);
      const forbidden = this.deleted || this.stopped || isLeaked || token.minted < (record?.revokeBefore ?? 0);
      return token.ends > this.now && !(forbidden && this.canRevoke(token));
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
    if (clientId === undefined || kid === '' || !this.isAlive(credential)) return false;
    const client = this.clients.get(clientId);
    return client?.keys.has(kid) === true && this.now >= (client.from.get(kid) ?? 0);
  }

  /** Its secret has not expired. */
  isAlive(credential: Credential): boolean {
    const { secretsLive } = this.#o;
    const made = credential.type === 'PrivateKeyJwt' ? undefined : this.#made.get(kidOf(credential));
    return secretsLive === undefined || made === undefined || this.now < plus(made, secretsLive);
  }

  /** Every replica of the provider has what it was told. */
  caughtUp(): void {
    this.takes = 0;
    for (const { from } of this.clients.values()) from.clear();
  }

  /** `held`: the rows that are not tried yet, that which the world asks for first. */
  #look(): { readonly decision: Decision<ClientAction, ClientRowName>; readonly held: readonly Hold[] } {
    const held: Hold[] = [];
    for (;;) {
      const [first, ...rest] = held;
      const shown = first && { ...first, others: rest.map(({ row }) => row) };
      const decision = decideClient(this.snapshot(shown), this.ours);
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
    const kept = this.tokens.filter((token) => token.ends > this.now);
    this.tokens.splice(0, this.tokens.length, ...kept);
  }

  snapshot(failure: Failure<ClientRowName> | undefined): ClientSnapshot {
    const { record } = this;
    const lastExp = new Map<number, Instant>();
    const unexpired = this.tokens.filter(({ exp }) => exp > this.ours);
    for (const { generation: n, exp } of unexpired) lastExp.set(n, instant(Math.max(lastExp.get(n) ?? 0, exp)));
    const window = windows[this.window];
    return {
      wanted: this.deleted ? { is: 'Gone' } : { is: 'Seen', value: this.desired },
      ...(this.stopped ? { stop: suspended } : {}),
      ...(this.braked && this.deleted ? { brake: true } : {}),
      ...(record === undefined ? {} : { record }),
      synced: true,
      issuerConfigured: true,
      asks: [{ hash: this.desired.scopes.join(' '), ask: buildAsk({ scopes: this.desired.scopes }) }],
      lastExp,
      liveTokens: unexpired.length,
      revokedTokens: unexpired.filter(({ minted }) => minted < (record?.revokeBefore ?? 0)).length,
      ...(window === undefined ? {} : { window: windowState(window, this.ours) }),
      jitter: this.jitter,
      capabilities: this.#o.capabilities,
      clockAgrees: this.clockAgrees && Math.abs(this.clockError) <= minute,
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
      case 'Plan':
        return this.#store(this.#planned(action.generation, action));
      case 'Prove':
        return this.#prove(action, mishap);
      case 'Observe':
        if (this.outage) throw new Trouble('None');
        return record === undefined ? undefined : this.#store(this.#looked(record, action.generation));
      case 'Register':
      case 'Update':
      case 'Deregister':
        return this.#call(action, mishap);
    }
  }

  #planned(n: number, plan: Pick<Extract<ClientAction, { type: 'Plan' }>, 'variant' | 'handles'>): ClientRecord {
    const { record, desired } = this;
    const method = nextMethod(plan.variant, desired, currentOf(record)?.credential.type);
    const isKey = method === 'PrivateKeyJwt';
    const fresh: Credential = isKey ? buildKey(`k${(this.#count += 1)}`) : { type: method };
    const theirOwn = plan.variant === 'External' && this.#existing?.is === 'Usable' ? this.#existing : undefined;
    const made = theirOwn ?? { credential: fresh };
    const { clientIdBy } = this.#o.capabilities;
    return planned(record, { desired, generation: n, ...plan, ...made, clientIdBy }, this.ours);
  }

  #prove(action: Extract<ClientAction, { type: 'Prove' }>, mishap: Mishap): void {
    const { record } = this;
    const of = record === undefined ? undefined : generation(record, action.generation);
    if (record === undefined || of === undefined) return;
    if (this.outage || mishap === 'unsent' || mishap === 'lost') throw new Trouble('Unclear');
    if (mishap === 'limited') throw new Trouble('None', 'RateLimited');
    const { settles: use, hash } = action;
    // The controller throws what says nothing about a credential that it need not doubt.
    if (mishap === 'unclear' && (use === 'Retired' || record.proofs[hash]?.outcome === 'Accepted'))
      throw new Trouble('None');
    const outcome = this.#outcome({ ...of, credential: provenWith(of, use) }, mishap);
    if (mishap === 'crash-answer') throw new Crash();
    const current = record.generations.find(({ state }) => state === 'Current');
    const lastExp = this.snapshot(undefined).lastExp.get(current?.n ?? 0);
    this.#store(
      proved(record, { use, generation: of.n, hash, outcome, overlap: this.desired.overlap, lastExp }, this.ours),
    );
  }

  #outcome({ clientId, credential }: Generation, mishap: Mishap): ProofOutcome {
    if (!this.authenticates(clientId, credential)) return { is: 'CredentialRefused', message: 'invalid_client' };
    const said = { message: 'no', lasting: true } as const;
    if (mishap === 'ask-refused') return { is: 'AskRefused', reason: 'ScopeRefused', ...said };
    if (mishap === 'unclear') return { is: 'Unclear', reason: 'TokenRequestRefused', ...said };
    return { is: 'Accepted' };
  }

  #call(action: Call, mishap: Mishap): void {
    const plan = action.type === 'Register' ? action.plan : undefined;
    const record = plan === undefined ? this.record : this.#planned(action.generation, plan);
    // As in the controller: what nobody wants any more is neither registered nor changed.
    if (record === undefined || (this.deleted && action.type !== 'Deregister')) return;
    const orphanPossible = action.type === 'Register' && action.orphanPossible === true;
    const noted = withIntent(
      record,
      { call: action.type, generation: action.generation, at: this.ours },
      orphanPossible,
    );
    this.#store(noted);
    if (mishap === 'crash-intent') throw new Crash();
    const { desired } = this;
    if (mishap === 'frozen') {
      this.#leaving = () => {
        const before = this.clients.size;
        this.overruled = true;
        this.#arrive(noted, action, desired);
        if (action.type === 'Register') this.strays += this.clients.size - before;
      };
      throw new Crash();
    }
    try {
      if (this.outage || mishap === 'unsent') throw new Trouble('None');
      if (mishap === 'refused') throw new Trouble('None', 'RegistrationRefused');
      if (mishap === 'limited') throw new Trouble('None', 'RateLimited');
      if (!this.deleted) this.arrive();
      if (mishap === 'late' && action.type === 'Register') {
        this.#late = () => this.#arrive(noted, action, desired);
        throw new Trouble('Unclear');
      }
      const answer = this.#atProvider(noted, action, desired);
      if (mishap === 'lost' || mishap === 'late') throw new Trouble('Unclear');
      if (mishap === 'crash-answer') throw new Crash();
      const next =
        answer === undefined ? deregistered(noted, 'Deleted', this.ours) : answered(noted, answer, desired, this.ours);
      this.#store(next);
    } catch (error) {
      if (error instanceof Trouble && error.effect === 'None') {
        this.#store(this.#refused(noted, error.reason, record.intent));
      }
      throw error;
    }
  }

  #refused(noted: ClientRecord, reason: Trouble['reason'], before: ClientRecord['intent']): ClientRecord {
    if (reason === 'RegistrationAccessTokenLost') return managementRefused(noted, this.ours);
    return reason === 'ClientIdTaken' ? idTaken(noted, this.ours) : refusedCall(noted, before);
  }

  /** A registration that was under way takes effect after all. */
  arrive(): void {
    this.#late?.();
    this.#late = undefined;
  }

  /** Too late for anybody to hear of it. */
  #arrive(record: ClientRecord, action: Call, desired: Desired): void {
    try {
      this.#atProvider(record, action, desired);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
    }
  }

  /** One mutating call, as RFC 7591 and 7592 have it. */
  #atProvider(record: ClientRecord, action: Call, { scopes }: Desired): Parameters<typeof answered>[1] | undefined {
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
        from: new Map(),
        management: `m${(this.#count += 1)}`,
        generation: of.n,
        scopes,
      });
      this.#take(clientId, of, isSecret ? secret : undefined);
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
    client.scopes = scopes;
    this.#take(of.clientId ?? '', of, replaces || adds ? secret : undefined);
    if (this.#o.rotatesManagement) client.management = `m${(this.#count += 1)}`;
    const hash = isSecret && this.#o.answersHash === true ? `{bcrypt}${secret}` : undefined;
    return this.#answer(of.clientId ?? '', replaces || adds ? secret : hash);
  }

  /** The provider has a new credential, of which its replicas may not know yet. One that it is told again it knows. */
  #take(clientId: string, { credential, state }: Generation, secret: string | undefined): void {
    if (secret !== undefined) this.#made.set(secret, this.now);
    const kid = secret ?? kidOf(credential);
    const { from } = this.clients.get(clientId) ?? {};
    if (this.takes > 0 && state === 'Planned' && from?.has(kid) === false) from.set(kid, plus(this.now, this.takes));
  }

  #answer(clientId: string, secret: string | undefined): Parameters<typeof answered>[1] {
    const client = this.clients.get(clientId);
    if (client === undefined) throw new Error('no such client');
    const management = { token: new Redacted(client.management), uri: `${issuer}/${clientId}` };
    const said = secret === undefined ? {} : { secret: new Redacted(secret), ...this.#expiry() };
    return { clientId, management, ...said, observed: this.#present(client) };
  }

  /** By the provider's clock, as it says it. */
  #expiry(): Pick<Parameters<typeof answered>[1], 'secretExpiresAt'> {
    const { secretsLive } = this.#o;
    return secretsLive === undefined ? {} : { secretExpiresAt: plus(this.now, secretsLive) };
  }

  #looked(record: ClientRecord, n: number | undefined): ClientRecord {
    return n === undefined
      ? observed(record, this.#observation(record, newestSent(record)))
      : lookedAt(record, n, this.#observation(record, generation(record, n)));
  }

  #observation(record: ClientRecord, of: Generation | undefined): ClientObservation {
    const client = of === undefined ? undefined : this.clients.get(of.clientId ?? '');
    const token = of === undefined ? undefined : managementOf(record, of)?.token.reveal();
    if (of !== undefined && client !== undefined && (this.fallback || token === client.management))
      return this.#present(client);
    return { is: this.fallback ? 'Gone' : 'Unknowable', at: this.ours, drift: [] };
  }

  #present(client: ToyClient): ClientObservation {
    const drift = client.scopes.join(' ') === this.desired.scopes.join(' ') ? [] : ['scope'];
    return { is: 'Present', at: this.ours, drift, tag: client.tag, generation: client.generation };
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
