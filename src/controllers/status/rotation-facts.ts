import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { isExternal } from '../../domain/client/existing.ts';
import { type ChangeFacts, changeWaits, changesLeaveGap, mayLeaveGap } from '../../domain/client/gap.ts';
import { currentOf } from '../../domain/client/generations.ts';
import type { Desired } from '../../domain/client/machine.ts';
import type { ClientRecord, Generation } from '../../domain/client/record.ts';
import { nextRotation } from '../../domain/client/schedule.ts';
import { desiredOf, type ClientTarget } from '../../domain/client/target.ts';
import { rotationVariant } from '../../domain/client/variants.ts';
import { declaredWindow } from '../../domain/client/window.ts';
import type { ClientView } from '../../domain/status/pool-facts.ts';
import type { Capabilities } from '../../providers/port.ts';
import { jitterOf } from '../session/key.ts';

export type RotationFacts = Pick<
  ClientView,
  'nextRotation' | 'registersAnew' | 'unknownTimeZone' | 'unsupported' | 'lacks' | 'noKeys' | 'gapWaits' | 'changeWaits'
>;

/** When the credential of one client is replaced by schedule; `undefined`: nothing mints yet, or its window never opens. */
export function nextRotationOf(pool: IdentityPool, target: ClientTarget, record: ClientRecord): Instant | undefined {
  const current = currentOf(record);
  return current && scheduled(pool, target, current, desiredOf(pool, target, '').rotateEvery);
}

function scheduled(
  pool: IdentityPool,
  { recordName }: ClientTarget,
  current: Generation,
  rotateEvery: Milliseconds,
): Instant | undefined {
  return nextRotation(current, rotateEvery, jitterOf(recordName), (at) => declaredWindow(pool, at));
}

/** When and how the credential of one client is replaced, as its pool stands now. */
export function rotationFacts(
  pool: IdentityPool,
  target: ClientTarget,
  record: ClientRecord | undefined,
  capabilities: Capabilities | undefined,
  now: Instant,
): RotationFacts {
  const current = currentOf(record);
  if (current === undefined || record === undefined) return {};
  const desired = desiredOf(pool, target, '');
  const declared = pool.spec.rotation?.window;
  const next = scheduled(pool, target, current, desired.rotateEvery);
  const knows = capabilities !== undefined && capabilities.variants.length > 0 && !isExternal(current);
  const variant = knows ? rotationVariant(capabilities, desired, current.credential.type) : undefined;
  return {
    ...(next === undefined ? {} : { nextRotation: next }),
    ...(next === undefined && declared?.timeZone !== undefined ? { unknownTimeZone: declared.timeZone } : {}),
    ...(variant === 'NewClient' ? { registersAnew: true } : {}),
    ...(knows && variant === undefined ? { unsupported: 'NeedsNewSubject' } : {}),
    ...(knows ? whatIsNotOffered(record, desired, capabilities) : {}),
    ...(variant === 'InPlace' && declared === undefined ? { unsupported: 'NeedsWindow' } : {}),
    ...(knows ? gapFacts(pool, { record, desired, capabilities }, now) : {}),
  };
}

function whatIsNotOffered(
  { sentScopes }: ClientRecord,
  desired: Desired,
  { registersOnly, variants }: Capabilities,
): Pick<RotationFacts, 'lacks' | 'noKeys'> {
  const lacks = registersOnly === true ? desired.scopes.filter((scope) => sentScopes?.includes(scope) === false) : [];
  return {
    ...(lacks.length === 0 ? {} : { lacks }),
    ...(variants.includes('TwoKeys') ? {} : { noKeys: true }),
  };
}

function gapFacts(
  pool: IdentityPool,
  client: Omit<ChangeFacts, 'window'>,
  now: Instant,
): Pick<RotationFacts, 'gapWaits' | 'changeWaits'> {
  const window = changesLeaveGap(client) ? declaredWindow(pool, now) : undefined;
  if (window === undefined || mayLeaveGap({ ...client, window }, now)) return {};
  return {
    gapWaits: window.is === 'Closed' ? { until: window.opensAt } : {},
    ...(changeWaits({ ...client, window }, now) ? { changeWaits: true } : {}),
  };
}
