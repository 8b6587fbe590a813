/** What holds for a pool whose spec does not say. */
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { type Milliseconds, day, hour, minute, parseDuration } from '../clock.ts';

export const defaultTokenLifetime: Milliseconds = 15 * minute;

export function clientsPer({ spec }: IdentityPool): 'Pool' | 'Namespace' | 'Identity' {
  return spec.client?.per ?? 'Pool';
}

export function authenticationOf({ spec }: IdentityPool): 'PrivateKeyJwt' | 'ClientSecretBasic' | 'ClientSecretPost' {
  return spec.client?.authentication ?? 'PrivateKeyJwt';
}

export function rotateEvery({ spec }: IdentityPool): Milliseconds {
  return parseDuration(spec.rotation?.every ?? '') ?? 90 * day;
}

export function rotationOverlap({ spec }: IdentityPool): Milliseconds {
  return parseDuration(spec.rotation?.overlap ?? '') ?? hour;
}

export function maxTokenLifetime({ spec }: IdentityPool): Milliseconds {
  return parseDuration(spec.ceiling.maxTokenLifetime ?? '') ?? defaultTokenLifetime;
}

export function onExceed({ spec }: IdentityPool): 'Refuse' | 'RevokeEarly' {
  return spec.ceiling.onExceed ?? 'Refuse';
}

export function maxSessionAge({ spec }: IdentityPool): Milliseconds {
  return parseDuration(spec.ceiling.maxSessionAge ?? '') ?? 24 * hour;
}

export function deletionPolicyOf({ spec }: IdentityPool): 'Delete' | 'Retain' {
  return spec.deletionPolicy ?? 'Delete';
}
