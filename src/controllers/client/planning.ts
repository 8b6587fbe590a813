import type { Clock } from '../../clock.ts';
import { currentOf } from '../../domain/client/generations.ts';
import type { ClientAction, ClientSnapshot, Desired } from '../../domain/client/machine.ts';
import type { ClientRecord, Variant } from '../../domain/client/record.ts';
import { type Plan, planned } from '../../domain/client/transitions.ts';
import { nextMethod } from '../../domain/client/variants.ts';
import { notConfigured } from '../pool-providers.ts';
import { type ClientSources, isPoolOf } from './snapshot.ts';

export interface Planning {
  readonly sources: ClientSources;
  readonly clock: Clock;
}

/** The pool is there still, and nobody deletes it. */
export function isThere({ sources }: Planning, { wanted }: ClientSnapshot): boolean {
  if (wanted.is !== 'Seen') return false;
  const pool = sources.memory.pool(wanted.value.pool.name);
  return isPoolOf(wanted.value, pool) && pool.value.metadata.deletionTimestamp === undefined;
}

/** The record with a new credential; `undefined`: what that needs is not known. */
export async function withPlan(
  { sources, clock }: Planning,
  s: ClientSnapshot,
  n: number,
  { variant, handles }: Pick<Extract<ClientAction, { readonly type: 'Plan' }>, 'variant' | 'handles'>,
): Promise<ClientRecord | undefined> {
  if (s.wanted.is !== 'Seen' || s.capabilities === undefined) return undefined;
  const desired = s.wanted.value;
  const made = await newCredential(sources, s, desired, variant);
  if (made === undefined) return undefined;
  const plan = { desired, generation: n, variant, ...made, clientIdBy: s.capabilities.clientIdBy, handles };
  return planned(s.record, plan, clock.now());
}

async function newCredential(
  { providers }: ClientSources,
  s: ClientSnapshot,
  desired: Desired,
  variant: Variant,
): Promise<Pick<Plan, 'credential' | 'source' | 'expiresAt'> | undefined> {
  if (variant === 'External') return s.existing?.is === 'Usable' ? s.existing : undefined;
  const method = nextMethod(variant, desired, currentOf(s.record)?.credential.type);
  if (method !== 'PrivateKeyJwt') return { credential: { type: method } };
  const found = providers.issuer(desired.issuer);
  if (found === undefined) throw notConfigured(desired.issuer);
  return { credential: await found.generateKey() };
}
