import type { Instant } from '../../clock.ts';
import type { RevocationReach } from '../port.ts';
import type { Metadata } from './discovery.ts';
import { Offer } from './offer.ts';
import type { Profile } from './profile.ts';

/**
 * What revocation reaches at one issuer, learnt from its tokens, because metadata does not say it:
 * no revocation endpoint – `ExpiryOnly`; nothing seen yet – `IntrospectionOnly`, the least that the endpoint promises;
 * only opaque tokens – `Immediate`, since nobody can use one without asking the provider;
 * a JWT, or one that is encrypted – `IntrospectionOnly`, since resource servers may read it alone; all tokens are such, and their revocation is
 * refused or nobody can ask about them (no introspection endpoint) – `ExpiryOnly`.
 * Opaque tokens whose revocation is refused are no longer `Immediate` at once; only when that lasts are they not asked to be revoked any more.
 */
export class Reach {
  #opaque = false;
  #jwt = false;
  #jwtRefused = false;
  readonly #opaqueRevoked = new Offer();

  /** `isSelfContained`: resource servers may read it without asking. */
  sawToken(isSelfContained: boolean): void {
    if (isSelfContained) this.#jwt = true;
    else this.#opaque = true;
  }

  /** The provider answered `unsupported_token_type` (RFC 7009 §2.2.1) for a token of this kind. */
  sawRefusal(isSelfContained: boolean, at: Instant): void {
    if (isSelfContained) this.#jwtRefused = true;
    else this.#opaqueRevoked.sawRefusal(at);
  }

  sawRevoked(isSelfContained: boolean): void {
    if (!isSelfContained) this.#opaqueRevoked.sawSuccess();
  }

  /** `introspection`: as {@link Profile.introspection}. */
  of(metadata: Metadata | undefined, now: Instant, introspection?: Profile['introspection']): RevocationReach {
    if (metadata !== undefined && metadata.revocationEndpoint === undefined) return 'ExpiryOnly';
    const { isDoubted } = this.#opaqueRevoked;
    const isRevoked = this.#opaqueRevoked.stands(now);
    if (this.#opaque && isRevoked) return this.#jwt || isDoubted ? 'IntrospectionOnly' : 'Immediate';
    if (!this.#jwt && !isRevoked) return 'ExpiryOnly';
    const isAskable =
      metadata === undefined || metadata.introspectionEndpoint !== undefined || introspection === 'Elsewhere';
    return this.#jwtRefused || (this.#jwt && !isAskable) ? 'ExpiryOnly' : 'IntrospectionOnly';
  }
}
