import type { RevocationReach } from '../port.ts';
import type { Metadata } from './discovery.ts';

/**
 * What revocation reaches at one issuer, learnt from its tokens, because metadata does not say it:
 * no revocation endpoint – `ExpiryOnly`; nothing seen yet – `IntrospectionOnly`, the least that the endpoint promises;
 * only opaque tokens – `Immediate`, since nobody can use one without asking the provider;
 * a JWT, or one that is encrypted – `IntrospectionOnly`, since resource servers may read it alone; all tokens are such, and their revocation is
 * refused or nobody can ask about them (no introspection endpoint) – `ExpiryOnly`.
 */
export class Reach {
  #opaque = false;
  #jwt = false;
  #refused = false;

  /** `isSelfContained`: resource servers may read it without asking. */
  sawToken(isSelfContained: boolean): void {
    if (isSelfContained) this.#jwt = true;
    else this.#opaque = true;
  }

  /** The provider answered `unsupported_token_type` (RFC 7009 §2.2.1). */
  sawRefusal(): void {
    this.#refused = true;
  }

  of(metadata: Metadata | undefined): RevocationReach {
    if (metadata !== undefined && metadata.revocationEndpoint === undefined) return 'ExpiryOnly';
    if (this.#opaque) return this.#jwt ? 'IntrospectionOnly' : 'Immediate';
    const isAskable = metadata === undefined || metadata.introspectionEndpoint !== undefined;
    return this.#refused || (this.#jwt && !isAskable) ? 'ExpiryOnly' : 'IntrospectionOnly';
  }
}
