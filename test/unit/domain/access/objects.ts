import type { CiIdentity } from '#src/api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '#src/api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '#src/api/v1alpha1/scope-policy.ts';
import { authorize, type AuthorizeInput } from '#src/domain/access/authorize.ts';
import type { Access } from '#src/domain/access/access.ts';
import type { Known } from '#src/decision.ts';

/** Objects like those of `manifests/samples/first-identity.yaml`, small enough to see in a test what matters. */

export const registry = 'https://registry.example.com';
export const charts = 'https://charts.example.com';

type PoolSpec = IdentityPool['spec'];
type IdentitySpec = CiIdentity['spec'];
export type PolicyRule = ScopePolicy['spec']['rules'][number];

export function pool(spec: Partial<PoolSpec> = {}, meta: Partial<IdentityPool['metadata']> = {}): IdentityPool {
  return {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'IdentityPool',
    metadata: { name: 'ci-bots', uid: 'pool-uid', generation: 1, ...meta },
    spec: {
      provider: { issuer: 'https://idp.example.com/realms/ci' },
      ceiling: { scopes: ['artifacts:publish', 'artifacts:read'], audiences: [registry] },
      ...spec,
    },
  } as IdentityPool;
}

export function rule(partial: Partial<PolicyRule> = {}): PolicyRule {
  return {
    role: 'publisher',
    pool: 'ci-bots',
    namespaces: ['ci-payments'],
    scopes: ['artifacts:publish'],
    ...partial,
  } as PolicyRule;
}

export function policy(
  name: string,
  rules: readonly PolicyRule[],
  meta: Partial<ScopePolicy['metadata']> = {},
): ScopePolicy {
  return {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'ScopePolicy',
    metadata: { name, uid: `${name}-uid`, generation: 1, ...meta },
    spec: { rules: [...rules] },
  } as ScopePolicy;
}

export function identity(spec: Partial<IdentitySpec> = {}, meta: Partial<CiIdentity['metadata']> = {}): CiIdentity {
  return {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'CiIdentity',
    metadata: { namespace: 'ci-payments', name: 'publisher', uid: 'identity-uid', generation: 1, ...meta },
    spec: { pool: 'ci-bots', roles: ['publisher'], ...spec },
  } as CiIdentity;
}

export const twoAudiences = {
  ceiling: { scopes: ['artifacts:publish', 'artifacts:read'], audiences: [registry, charts] },
} as Partial<PoolSpec>;

export function seen<T>(value: T): Known<T> {
  return { is: 'Seen', value };
}

export function input(partial: Partial<AuthorizeInput> = {}): AuthorizeInput {
  return {
    identity: identity(),
    pool: seen(pool()),
    policies: seen([policy('publishers', [rule()])]),
    namespace: seen({ name: 'ci-payments', labels: { team: 'payments' } }),
    issuerConfigured: true,
    ...partial,
  };
}

export function accessOf(partial: Partial<AuthorizeInput> = {}): Access {
  const access = authorize(input(partial));
  if (access.is !== 'Seen') throw new Error(`access is ${access.is}`);
  return access.value;
}
