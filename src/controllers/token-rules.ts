import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { Ask } from '../domain/access/access.ts';
import { maxTokenLifetime, onExceed } from '../domain/pool-defaults.ts';
import type { TokenRules } from '../domain/token-check.ts';
import type { Capabilities } from '../providers/port.ts';

/** By what an answer to `ask` is judged, of a proof as of a pod. `pool`: absent where it is gone or not known; then the ask alone bounds the lifetime. */
export function tokenRules(ask: Ask, capabilities: Capabilities, pool: IdentityPool | undefined): TokenRules {
  return {
    ignoredScopes: capabilities.ignoredScopes,
    carrierScopes: capabilities.carrierScopes(ask.audiences),
    revocation: capabilities.revocation,
    maxLifetime: pool === undefined ? ask.maxLifetime : maxTokenLifetime(pool),
    onExceed: pool === undefined ? 'Refuse' : onExceed(pool),
  };
}
