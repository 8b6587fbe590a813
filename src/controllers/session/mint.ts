import type { Reason } from '../../api/reasons.ts';
import { mintMoment } from '../../domain/clocks.ts';
import { type Instant, plus, second } from '../../clock.ts';
import type { Credential } from '../../domain/client/credential.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import { heldBefore, minted } from '../../domain/session/transitions.ts';
import type { Minted, Token } from '../../domain/token.ts';
import { checkMinted } from '../../domain/token-check.ts';
import { OperatorError } from '../../errors.ts';
import type { IdentityProvider } from '../../providers/port.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { deadlines } from '../deadlines.ts';
import { tokenRules } from '../token-rules.ts';
import { type Minting, concernsTheAsk, discarded, failed, issued, subjectMatter } from './minting.ts';
import type { Reviews } from './reviews.ts';
import { shadowDenied } from '../telling/session-audit.ts';
import { Storing, type StoringOptions } from './storing.ts';
import type { Witness } from './witness.ts';

/** How soon a token is asked for again that could not be audited. */
const unauditedPause = 2 * second;

export interface MinterOptions extends StoringOptions {
  readonly reviews: Reviews;
  /** Why audit lines cannot be written now. */
  auditTrouble(): string | undefined;
  readonly metrics: Metrics;
  readonly witness: Witness;
  /** The provider as the pool uses it; `undefined` where its issuer is not configured any more. */
  providerOf(pool: string): IdentityProvider | undefined;
  credentialOf(client: string, generation: number): Credential | undefined;
  /** The token endpoint refused this generation (`invalid_client`): the client machine must know. */
  credentialRefused(client: string, generation: number, said: string | undefined, signal: AbortSignal): Promise<void>;
  /** The provider gave something else than was proven for this ask: a new proof shall say whether everybody who asks so is concerned. */
  askDoubted(client: string, hash: string, signal: AbortSignal): Promise<void>;
}

/** The action Mint: review, token request, check, record. What it may not keep it revokes. */
export class Minter {
  readonly #o: MinterOptions;
  readonly #storing: Storing;

  constructor(options: MinterOptions) {
    this.#o = options;
    this.#storing = new Storing(options);
  }

  /**
   * Asks for one token and stores it; true: it is stored, with what `s` says of the tokens before it. False, without a token, when the creator
   * may not use the identity (memory then knows, and the table decides anew) or when the snapshot is no longer true. Throws what the provider or
   * the API server yields.
   */
  async mint(
    key: string,
    s: SessionSnapshot,
    action: Minting['action'],
    reason: Reason,
    signal: AbortSignal,
  ): Promise<boolean> {
    const minting = this.#gather(key, s, action);
    if (minting === undefined) return false;
    const { facts } = minting;
    const { namespace } = facts.pod;
    const allowed = await this.#o.effects.run(
      'session.Mint.review',
      { deadline: deadlines.tokenCall, signal },
      (bounded) => this.#o.reviews.allowed(facts.requester, namespace, facts.identity.name, bounded),
    );
    if (!allowed) return false;
    this.#announce(minting, reason);
    const started = this.#o.clock.now();
    const answer = await this.#request(minting, reason, signal);
    if (!this.#o.memory.reserve(answer.sha256)) throw this.#sameTokenAgain(minting);
    try {
      const token = await this.#checked(minting, answer, started, signal);
      await this.#keep(minting, { token, answer, reason }, signal);
    } finally {
      this.#o.memory.release(answer.sha256);
    }
    return true;
  }

  /** The token goes into the record of its session, and what is said of that. */
  async #keep(
    minting: Minting,
    { token, answer, reason }: { readonly token: Token; readonly answer: Minted; readonly reason: Reason },
    signal: AbortSignal,
  ): Promise<void> {
    const { key, s, action, facts } = minting;
    // Before the record: whoever is killed in between leaves a token that the stream names, instead of one that nobody ever heard of.
    this.#o.audit.record(key, s, issued(minting, token, reason));
    const shadow = shadowDenied(s.access, token.sha256);
    if (shadow !== undefined) this.#o.audit.record(key, s, { ...subjectMatter(minting), ...shadow });
    if (action.predecessor === 'Forbidden' && s.record !== undefined) {
      // The record that is about to be stored forbids whatever the session holds until now.
      const now = this.#o.clock.now();
      const isMeant = ({ end, exp }: Token): boolean => end !== 'Forbidden' && exp > now;
      this.#o.audit.forbidden(key, s, { record: s.record, reason, isMeant });
    }
    const next = minted(
      heldBefore(s.record, s.answered),
      token,
      { ...facts, ...subjectOf(answer) },
      action.predecessor,
      this.#o.clock.now(),
      reason,
    );
    await this.#storing.store(minting, next, answer, signal);
    this.#o.metrics.count('ci_identity_tokens_minted_total', { pool: facts.pool.name, outcome: 'Success', reason });
    const before = s.record?.tokens.at(-1);
    if (reason === 'RenewalDue' && before !== undefined)
      await this.#o.witness.look(key, s, { ...minting, before, after: token }, signal);
  }

  #gather(key: string, s: SessionSnapshot, action: Minting['action']): Minting | undefined {
    if (s.pod.is !== 'Seen' || s.client.is !== 'Seen' || s.identity.is !== 'Seen') return undefined;
    const { namespace, name, uid, requester, claims } = s.pod.value;
    const identity = this.#o.memory.identity(namespace, s.identityName);
    const pool = identity.is === 'Seen' ? this.#o.memory.pool(identity.value.spec.pool) : identity;
    const client = s.client.value;
    const { current } = client;
    if (identity.is !== 'Seen' || pool.is !== 'Seen' || current === undefined || requester === undefined)
      return undefined;
    const poolName = pool.value.metadata.name;
    const { roles, actor } = identity.value.spec;
    const provider = this.#o.providerOf(poolName);
    const credential = this.#o.credentialOf(client.name, current.generation);
    if (provider?.tokens === undefined || credential === undefined) return undefined;
    const facts = {
      pod: { namespace, name, uid },
      identity: {
        name: s.identityName,
        uid: claims[s.identityName] ?? '',
        roles,
        ...(actor === undefined ? {} : { actor }),
      },
      pool: { name: poolName, uid: pool.value.metadata.uid ?? '' },
      client: client.name,
      requester,
      issuer: client.issuer,
      revocation: client.revocation,
    };
    return { key, s, action, client: { ...client, current }, credential, provider, tokens: provider.tokens, facts };
  }

  /** Nothing is granted that the audit stream does not know of. */
  #announce(minting: Minting, reason: Reason): void {
    const { key, s } = minting;
    this.#refuseUnaudited(minting);
    this.#o.audit.record(key, s, { event: 'Requested', outcome: 'Pending', reason, ...subjectMatter(minting) });
    try {
      this.#refuseUnaudited(minting);
    } catch (error) {
      this.#failed(minting, error);
      throw error;
    }
  }

  #refuseUnaudited({ facts }: Minting): void {
    const trouble = this.#o.auditTrouble();
    if (trouble === undefined) return;
    throw new OperatorError({
      class: 'Waiting',
      reason: 'AuditBlocked',
      retryAt: plus(this.#o.clock.now(), unauditedPause),
      message: `CiIdentity ${facts.pod.namespace}/${facts.identity.name}: ${trouble}`,
    });
  }

  async #request(minting: Minting, reason: Reason, signal: AbortSignal): Promise<Minted> {
    const { tokens, action, client, credential, facts } = minting;
    const started = this.#o.clock.monotonic();
    try {
      const answer = await this.#o.effects.run(
        'session.Mint.call',
        { deadline: deadlines.tokenCall, signal, whose: 'Issuer' },
        (bounded) => tokens.mint(action.ask, client.current.clientId, credential, bounded),
      );
      const took = (this.#o.clock.monotonic() - started) / second;
      const labels = { pool: facts.pool.name, operation: reason };
      this.#o.metrics.observe('ci_identity_token_request_seconds', labels, took);
      return answer;
    } catch (error) {
      const why = this.#failed(minting, error);
      const labels = { pool: facts.pool.name, outcome: 'Failure', reason: why };
      this.#o.metrics.count('ci_identity_tokens_minted_total', labels);
      if (error instanceof OperatorError && why === 'CredentialRefused')
        await this.#o.credentialRefused(client.name, client.current.generation, error.said, signal);
      if (concernsTheAsk(error)) await this.#o.askDoubted(client.name, action.hash, signal);
      throw error;
    }
  }

  /** Says so, and yields the reason. */
  #failed(minting: Minting, error: unknown): string {
    const line = failed(minting, error);
    this.#o.audit.record(minting.key, minting.s, line);
    return line.reason;
  }

  /** Shared tokens cannot be revoked with one pod without being taken from another. */
  #sameTokenAgain(minting: Minting): OperatorError {
    const error = new OperatorError({
      class: 'Terminal',
      reason: 'TokenUnusable',
      message: `issuer ${minting.facts.issuer}: the token endpoint hands out a token again that another session holds; switch token caching or re-use off for this client`,
    });
    this.#failed(minting, error);
    return error;
  }

  /** The answer judged against what was asked; an unusable token is revoked here, because nobody else will know it. */
  async #checked(minting: Minting, answer: Minted, started: Instant, signal: AbortSignal): Promise<Token> {
    const { key, s, action, client, provider, facts } = minting;
    const pool = this.#o.memory.pool(facts.pool.name);
    const verdict = checkMinted(
      action.ask,
      answer,
      tokenRules(action.ask, provider.capabilities, pool.is === 'Seen' ? pool.value : undefined),
      started,
    );
    const { generation, clientId } = client.current;
    if (verdict.is === 'Usable') {
      const { sha256, value } = answer;
      const at = mintMoment(started, client.revokeBefore);
      return { sha256, value, ask: action.ask, minted: at, exp: verdict.exp, generation, clientId };
    }
    const { reason, message } = verdict;
    const fate = verdict.revoke ? await this.#storing.revoke(minting, answer, signal) : undefined;
    const error = new OperatorError({
      class: 'Terminal',
      reason,
      message: `CiIdentity ${facts.pod.namespace}/${facts.identity.name}: ${message}`,
    });
    this.#o.audit.record(key, s, discarded(minting, error, answer.sha256, fate));
    this.#o.metrics.count('ci_identity_tokens_minted_total', { pool: facts.pool.name, outcome: 'Discarded', reason });
    await this.#o.askDoubted(client.name, action.hash, signal);
    throw error;
  }
}

function subjectOf(answer: Minted): { readonly subject?: string } {
  return answer.subject === undefined ? {} : { subject: answer.subject };
}
