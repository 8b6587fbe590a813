import { type Clock, type Instant, type Milliseconds, minute, plus } from '../../clock.ts';
import type { Credential } from '../../domain/client/credential.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import type { Token } from '../../domain/token.ts';
import { OperatorError } from '../../errors.ts';
import type { TokenSource } from '../../providers/port.ts';
import type { Effects } from '../../runtime/effect.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { deadlines } from '../deadlines.ts';
import type { EffectName } from '../effect-names.ts';
import type { Reporter } from '../telling/reporter.ts';
import { type SessionAudit, heldToken } from '../telling/session-audit.ts';

/** So long nobody is asked who called a good token inactive: with most it is for good. */
const askAgain: Milliseconds = 10 * minute;

export interface WitnessOptions {
  readonly effects: Effects<EffectName>;
  readonly audit: SessionAudit;
  readonly metrics: Metrics;
  readonly reporter: Reporter;
  readonly logger: Logger;
  readonly clock: Clock;
  credentialOf(client: string, generation: number): Credential | undefined;
}

/** One token took the place of another. */
export interface Renewed {
  readonly facts: {
    readonly pod: { readonly namespace: string; readonly name: string };
    readonly identity: { readonly name: string };
    readonly pool: { readonly name: string };
    readonly client: string;
    readonly issuer: string;
  };
  readonly tokens: TokenSource;
  readonly before: Token;
  readonly after: Token;
}

/**
 * Asks the provider at a renewal whether it still honours the token that is replaced: if not, somebody else revoked it. Many providers call
 * every token inactive when the wrong client asks, so the new token, which is certainly good, has to be called active by the same means.
 */
export class Witness {
  readonly #o: WitnessOptions;
  /** Issuers that call a good token inactive, so that what they say proves nothing, and when they are asked about one again. */
  readonly #mute = new Map<string, Instant>();

  constructor(options: WitnessOptions) {
    this.#o = options;
  }

  /** The token is replaced by its renewal anyhow; people hear of it. Never fails for the provider: what cannot be known is not claimed. */
  async look(key: string, s: SessionSnapshot, renewed: Renewed, signal: AbortSignal): Promise<void> {
    if (!(await this.#revokedElsewhere(renewed, signal))) return;
    const { before, facts } = renewed;
    const reason = 'RevokedElsewhere';
    const message = `CiIdentity ${facts.pod.namespace}/${facts.identity.name}: the token of pod ${facts.pod.name} was revoked at ${facts.issuer} by somebody else before it expired. A new one was issued; if tokens must not be used, set suspend or revokeRequest instead.`;
    this.#o.metrics.count('ci_identity_tokens_revoked_total', { pool: facts.pool.name, outcome: 'Elsewhere' });
    this.#o.reporter.onPod(key, reason, message);
    const token = s.record === undefined ? {} : heldToken(s.record, before);
    this.#o.audit.record(key, s, { event: 'Noticed', outcome: 'Failure', reason, message, ...token });
  }

  async #revokedElsewhere(renewed: Renewed, signal: AbortSignal): Promise<boolean> {
    const { before, after } = renewed;
    const { issuer } = renewed.facts;
    const { clock, logger } = this.#o;
    const mutedUntil = this.#mute.get(issuer);
    if (mutedUntil !== undefined) {
      if (clock.now() < mutedUntil) return false;
      this.#mute.set(issuer, plus(clock.now(), askAgain));
      if ((await this.#isActive(renewed, after, signal)) !== true) return false;
      this.#mute.delete(issuer);
      logger.info('introspection is right again: tokens that somebody else revokes are noticed', { issuer });
    }
    if ((await this.#isActive(renewed, before, signal)) !== false) return false;
    const isGoodOneActive = await this.#isActive(renewed, after, signal);
    if (isGoodOneActive === false) {
      this.#mute.set(issuer, plus(clock.now(), askAgain));
      logger.warn('introspection calls a good token inactive: tokens that somebody else revokes are not noticed', {
        issuer,
      });
    }
    return isGoodOneActive === true;
  }

  async #isActive({ tokens, facts }: Renewed, token: Token, signal: AbortSignal): Promise<boolean | undefined> {
    const credential = this.#o.credentialOf(facts.client, token.generation);
    const { value, clientId } = token;
    const introspect = tokens.introspect?.bind(tokens);
    if (introspect === undefined || credential === undefined || value === undefined) return undefined;
    const options = { deadline: deadlines.introspection, signal, whose: 'Issuer' } as const;
    try {
      const answer = await this.#o.effects.run('session.Mint.introspect', options, (bounded) =>
        introspect(value, clientId, credential, bounded),
      );
      return answer?.active;
    } catch (error) {
      if (error instanceof OperatorError) return undefined;
      throw error;
    }
  }
}
