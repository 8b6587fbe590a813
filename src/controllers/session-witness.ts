import { second } from '../clock.ts';
import type { Credential } from '../domain/client/credential.ts';
import type { Token } from '../domain/token.ts';
import { OperatorError } from '../errors.ts';
import type { TokenSource } from '../providers/port.ts';
import type { Effects } from '../runtime/effect.ts';
import type { EffectName } from './effect-names.ts';

const deadline = 10 * second;

export interface Renewed {
  readonly issuer: string;
  readonly tokens: TokenSource;
  readonly before: Token;
  readonly after: Token;
  credentialOf(generation: number): Credential | undefined;
}

/**
 * Asks the provider at a renewal whether it still honours the token that is replaced: if not, somebody else revoked it. Many providers call
 * every token inactive when the wrong client asks, so the new token, which is certainly good, has to be called active by the same means.
 */
export class Witness {
  readonly #effects: Effects<EffectName>;
  /** Issuers that call a good token inactive: what they say proves nothing. */
  readonly #mute = new Set<string>();

  constructor(effects: Effects<EffectName>) {
    this.#effects = effects;
  }

  /** Never fails: what cannot be known is not claimed. */
  async revokedElsewhere(renewed: Renewed, signal: AbortSignal): Promise<boolean> {
    const { issuer, before, after } = renewed;
    if (this.#mute.has(issuer)) return false;
    if ((await this.#isActive(renewed, before, signal)) !== false) return false;
    const isGoodOneActive = await this.#isActive(renewed, after, signal);
    if (isGoodOneActive === false) this.#mute.add(issuer);
    return isGoodOneActive === true;
  }

  async #isActive(renewed: Renewed, token: Token, signal: AbortSignal): Promise<boolean | undefined> {
    const { tokens } = renewed;
    const credential = renewed.credentialOf(token.generation);
    const { value, clientId } = token;
    const introspect = tokens.introspect?.bind(tokens);
    if (introspect === undefined || credential === undefined || value === undefined) return undefined;
    try {
      const answer = await this.#effects.run(
        'session.Mint.introspect',
        { deadline, signal, whose: 'Issuer' },
        (bounded) => introspect(value, clientId, credential, bounded),
      );
      return answer?.active;
    } catch (error) {
      if (error instanceof OperatorError) return undefined;
      throw error;
    }
  }
}
