import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { Instant } from '../clock.ts';
import { isExternal } from '../domain/client/existing.ts';
import { currentOf } from '../domain/client/generations.ts';
import type { ClientRecord } from '../domain/client/record.ts';
import { nextRotation } from '../domain/client/schedule.ts';
import { desiredOf, type ClientTarget } from '../domain/client/target.ts';
import { rotationVariant } from '../domain/client/variants.ts';
import { type WindowState, windowState } from '../domain/client/window.ts';
import type { ClientView } from '../domain/status/pool-facts.ts';
import type { Capabilities } from '../providers/port.ts';
import { jitterOf } from './session-snapshot.ts';

export type RotationFacts = Pick<ClientView, 'nextRotation' | 'registersAnew' | 'unknownTimeZone' | 'unsupported'>;

/** When and how the credential of one client is replaced, as its pool stands now. */
export function rotationFacts(
  pool: IdentityPool,
  target: ClientTarget,
  record: ClientRecord | undefined,
  capabilities: Capabilities | undefined,
): RotationFacts {
  const current = currentOf(record);
  if (current === undefined) return {};
  const desired = desiredOf(pool, target, '');
  const window = pool.spec.rotation?.window;
  const windowAt = (at: Instant): WindowState | undefined => window && windowState(window, at);
  const next = nextRotation(current, desired.rotateEvery, jitterOf(target.recordName), windowAt);
  const knows = capabilities !== undefined && capabilities.variants.length > 0 && !isExternal(current);
  const variant = knows ? rotationVariant(capabilities, desired, current.credential.type) : undefined;
  return {
    ...(next === undefined ? {} : { nextRotation: next }),
    ...(next === undefined && window?.timeZone !== undefined ? { unknownTimeZone: window.timeZone } : {}),
    ...(variant === 'NewClient' ? { registersAnew: true } : {}),
    ...(knows && variant === undefined ? { unsupported: 'NeedsNewSubject' } : {}),
    ...(variant === 'InPlace' && window === undefined ? { unsupported: 'NeedsWindow' } : {}),
  };
}
