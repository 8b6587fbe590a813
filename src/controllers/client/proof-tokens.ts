import { type Clock, type Instant, type Milliseconds, second } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { type ProofToken, type ProofTokenAction, decideProofToken } from '../../domain/client/proof-token.ts';
import { OperatorError } from '../../errors.ts';
import type { TokenSource } from '../../providers/port.ts';
import { withDeadline } from '../../runtime/abort.ts';
import type { Effects } from '../../runtime/effect.ts';
import type { Machine } from '../../runtime/machine.ts';
import type { EffectName } from '../effect-names.ts';
import { machines } from '../machine-names.ts';
import { type Revocable, revokeProof } from './prove.ts';

/** One that waits for its revocation. */
export interface Deferred extends Revocable, Omit<ProofToken, 'isBusy' | 'client'> {
  readonly exp: Instant;
}

export interface ProofTokensOptions {
  readonly effects: Effects<EffectName>;
  readonly clock: Clock;
  tokensOf(issuer: string): TokenSource | undefined;
  /** Some session holds this token: a provider may hand it out again. */
  inUse(sha256: string): boolean;
  isBusy(): boolean;
  wake(client: string): void;
}

/** How many are revoked at once when the process stops, and how long that may take; what is left then expires. */
const atStop = { parallel: 16, deadline: 10 * second } as const satisfies { parallel: number; deadline: Milliseconds };

/**
 * Tokens that showed that a new client's credential works, until they are revoked: at once where nothing else is to be done, otherwise when the
 * registrations of others have had their turn (`domain/client/proof-token.ts`), before anything else is done with the same client, and when the
 * process stops. At most one for each client.
 */
export class ProofTokens implements Machine<ProofToken, ProofTokenAction> {
  readonly name = machines.proofToken;
  readonly canWait = true;
  readonly #o: ProofTokensOptions;
  readonly #held = new Map<string, Deferred>();
  readonly #underWay = new Map<string, Promise<void>>();
  /** Issuers that have revoked a token: what that showed of them is known. */
  readonly #revoking = new Set<string>();

  constructor(options: ProofTokensOptions) {
    this.#o = options;
  }

  /** The provider revoked a token of a proof. */
  revoked(issuer: string): void {
    this.#revoking.add(issuer);
  }

  /** `false`: it is the caller's to revoke, because what the answer shows of this issuer is not known yet. */
  defer(client: string, token: Deferred): boolean {
    if (!this.#revoking.has(token.issuer)) return false;
    this.#held.set(client, token);
    this.#o.wake(client);
    return true;
  }

  snapshot(client: string): ProofToken | undefined {
    const held = this.#held.get(client);
    if (held === undefined || this.#o.clock.now() >= held.exp) {
      this.#held.delete(client);
      return undefined;
    }
    const { issuer, pool, since } = held;
    return { issuer, pool, client, since, isBusy: this.#o.isBusy() };
  }

  decide(s: ProofToken, now: Instant): Decision<ProofTokenAction> {
    return decideProofToken(s, now);
  }

  async apply(client: string, _s: ProofToken, _decision: unknown, signal: AbortSignal): Promise<void> {
    await this.#revoke(client, signal).catch((error: unknown) => {
      // Only an outage passes.
      if (error instanceof OperatorError && error.class === 'Terminal') this.#held.delete(client);
      throw error;
    });
  }

  /** To be awaited before anything else is done with the client, which may take away what can revoke it. Tries it once. */
  async settle(client: string, signal: AbortSignal): Promise<void> {
    if (!this.#held.has(client)) return;
    try {
      await this.#revoke(client, signal);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
    } finally {
      this.#held.delete(client);
    }
  }

  /** To be awaited when the process stops and leads still. */
  async settleAll(): Promise<void> {
    const clients = this.#held.keys();
    await withDeadline(atStop.deadline, AbortSignal.any([]), async (signal) => {
      const some = async (): Promise<void> => {
        for (const client of clients) if (!signal.aborted) await this.settle(client, signal).catch(() => undefined);
      };
      await Promise.all(Array.from({ length: atStop.parallel }, some));
    });
  }

  /** Whoever comes while it is under way waits for the same call. */
  #revoke(client: string, signal: AbortSignal): Promise<void> {
    const known = this.#underWay.get(client);
    if (known !== undefined) return known;
    const call = this.#call(client, signal).finally(() => this.#underWay.delete(client));
    this.#underWay.set(client, call);
    return call;
  }

  async #call(client: string, signal: AbortSignal): Promise<void> {
    const held = this.#held.get(client);
    const tokens = held === undefined ? undefined : this.#o.tokensOf(held.issuer);
    if (held !== undefined && tokens !== undefined) await revokeProof({ ...this.#o, tokens }, held, signal);
    this.#held.delete(client);
  }
}
