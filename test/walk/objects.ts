/** The objects of a walk. */
import { identity, pool, team } from '#test/api/operator-lab.ts';
import { agentNamespaceDocuments } from '#test/support/lab.ts';
import type { Random } from '#test/support/random.ts';

export const scopes = ['artifacts:publish', 'artifacts:read', 'artifacts:delete'] as const;
export const pools = ['walk-a', 'walk-b'] as const;
export const namespaces = [team, 'ci-walk'] as const;
export const roles = ['one', 'two'] as const;

const ours = '/apis/ci-identity.dev/v1alpha1';

/** How much policies and ceilings give: mostly something is left where they meet. */
export const given = 0.8;

export const poolPath = (name: string): string => `${ours}/identitypools/${name}`;
export const policyPath = (name: string): string => `${ours}/scopepolicies/${name}`;
export const identityPath = (namespace: string, name: string): string =>
  `${ours}/namespaces/${namespace}/ciidentities/${name}`;

export function poolOf(name: string, issuer: string): string {
  return pool(name, issuer, { ceiling: { scopes: [...scopes], audiences: ['https://registry.example.com'] } });
}

/** `where`: in which namespaces it gives something. */
export function policyOf(name: string, random: Random, where: object = { namespaces: [...namespaces] }): string {
  const rules = roles.map((role) => ({ role, pool: name, scopes: random.some(scopes, 1, given), ...where }));
  return JSON.stringify({
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'ScopePolicy',
    metadata: { name },
    spec: { rules },
  });
}

/** `more`: in place of what it would say. */
export function identityOf(name: string, namespace: string, random: Random, more: object = {}): string {
  const narrowing = random.next() < 0.3 ? { scopes: random.some(scopes, 1) } : {};
  return identity(name, { pool: name, roles: [...random.some(roles, 1)], ...narrowing, ...more }, namespace);
}

/** The walk begins here. */
export function beginning(issuer: string, random: Random): readonly string[] {
  return [
    ...agentNamespaceDocuments('ci-walk'),
    ...pools.flatMap((name) => [
      poolOf(name, issuer),
      policyOf(name, random),
      ...namespaces.map((namespace) => identity(name, { pool: name, roles: [...roles] }, namespace)),
    ]),
  ];
}
