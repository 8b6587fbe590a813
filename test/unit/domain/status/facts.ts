import type { CiIdentityStatus } from '#src/api/v1alpha1/ci-identity.ts';
import { day, instant, minute, parseRfc3339, plus } from '#src/clock.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import type { ClientView, PoolFacts } from '#src/domain/status/pool-facts.ts';
import type { IdentityFacts } from '#src/domain/status/identity-facts.ts';
import type { PolicyFacts } from '#src/domain/status/policy.ts';
import { Redacted } from '#src/redacted.ts';
import { buildKey } from '#test/support/builders.ts';
import { accessOf, identity, policy, pool, rule, seen } from '../access/objects.ts';

export const now = parseRfc3339('2026-11-24T12:00:00Z') ?? instant(0);
export const later = plus(now, minute);
export const finalizers = ['ci-identity.dev/clients'];

export function generation(n: number, state: Generation['state']): Generation {
  return {
    n,
    state,
    since: now,
    clientId: 'ci-1234-ci-bots',
    credential: buildKey(),
  };
}

export function record(partial: Partial<ClientRecord> = {}): ClientRecord {
  return {
    formatVersion: 1,
    epoch: 1,
    tag: { installation: 'i', owner: 'pool-uid' },
    issuer: 'https://idp.example.com/realms/ci',
    pool: { name: 'ci-bots', uid: 'pool-uid' },
    variant: 'TwoKeys',
    management: { token: new Redacted('manages'), uri: 'https://idp.example.com/realms/ci/reg/1' },
    generations: [generation(1, 'Current')],
    proofs: {},
    handled: [],
    ...partial,
  };
}

export function client(partial: Partial<ClientView> = {}): ClientView {
  return { wanted: true, record: record(), nextRotation: plus(now, 90 * day), ...partial };
}

export const whole = { is: 'Intact', since: now } as const;

export function poolFacts(partial: Partial<PoolFacts> = {}): PoolFacts {
  return {
    pool: pool({}, { finalizers, generation: 4 }),
    synced: true,
    issuerConfigured: true,
    registrationCredential: 'Present',
    managementCredential: 'NotNeeded',
    guard: whole,
    clients: [client()],
    capabilities: {
      variants: ['TwoKeys'],
      clientIdBy: 'Provider',
      revocation: 'Immediate',
    },
    ...partial,
  };
}

/** Hash of what the identity of `identityFacts` is granted. */
export const hash = ((): string => {
  const access = accessOf();
  return access.is === 'Granted' ? access.hash : '';
})();

export const proven = record({ proofs: { [hash]: { outcome: 'Accepted', at: now, generation: 1 } } });

export function identityFacts(partial: Partial<IdentityFacts> = {}): IdentityFacts {
  return {
    identity: identity({}, { generation: 2 }),
    access: seen(accessOf()),
    optedIn: true,
    guard: whole,
    client: seen(client({ record: proven })),
    sessions: 0,
    sharedCreators: [],
    ...partial,
  };
}

export function policyFacts(partial: Partial<PolicyFacts> = {}): PolicyFacts {
  return {
    policy: policy('publishers', [rule()], { generation: 3 }),
    pools: seen([pool()]),
    namespaces: seen([{ name: 'ci-payments', labels: {} }]),
    identities: 1,
    ...partial,
  };
}

/** `Ready=True/Ready Authorized=False/NoRule …`, which is what a table can compare; that nobody refuses us goes without saying. */
export function brief(status: { readonly conditions?: CiIdentityStatus['conditions'] }): string {
  return (status.conditions ?? [])
    .map(({ type, status: value, reason }) => `${type}=${value}/${reason}`)
    .filter((text) => text !== 'Authenticating=True/Authenticated')
    .join(' ');
}

export function messageOf(status: { readonly conditions?: CiIdentityStatus['conditions'] }, type: string): string {
  return status.conditions?.find((condition) => condition.type === type)?.message ?? '';
}
