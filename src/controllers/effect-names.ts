import type { ClientAction } from '../domain/client/machine.ts';
import type { SessionAction } from '../domain/session/machine.ts';
import type { StatusAction } from '../domain/status/decision.ts';

/**
 * The outside calls of every action, in the order in which they leave. `Effects.run` takes no other name, an action without a row here does
 * not compile, and the kill test takes its points from this table: no step can be forgotten.
 */
export const clientEffects = {
  Plan: ['client.Plan.record'],
  Register: [
    'client.Register.metadata',
    'client.Register.intent',
    'client.Register.call',
    'client.Register.refusal',
    'client.Register.answer',
  ],
  Update: [
    'client.Update.metadata',
    'client.Update.intent',
    'client.Update.call',
    'client.Update.refusal',
    'client.Update.answer',
  ],
  Deregister: [
    'client.Deregister.metadata',
    'client.Deregister.intent',
    'client.Deregister.call',
    'client.Deregister.refusal',
    'client.Deregister.answer',
  ],
  Prove: ['client.Prove.call', 'client.Prove.revoke', 'client.Prove.record'],
  Observe: ['client.Observe.metadata', 'client.Observe.call', 'client.Observe.record'],
  Record: ['client.Record.record'],
} as const satisfies Readonly<Record<ClientAction['type'], readonly string[]>>;

export const sessionEffects = {
  Mint: [
    'session.Mint.review',
    'session.Mint.call',
    'session.Mint.revoke',
    'session.Mint.record',
    'session.Mint.introspect',
  ],
  Deliver: ['session.Deliver.write'],
  Forbid: ['session.Forbid.record'],
  Revoke: ['session.Revoke.call'],
  Conclude: ['session.Conclude.record'],
  Restore: ['session.Restore.record'],
  Drop: ['session.Drop.record'],
} as const satisfies Readonly<Record<SessionAction['type'], readonly string[]>>;

type StatusEffects<Name extends string> = Readonly<Partial<Record<StatusAction<unknown>['type'], Name>>>;

/** Only pools have a finalizer. */
export const statusEffects = {
  pool: { AddFinalizer: 'pool.AddFinalizer', RemoveFinalizer: 'pool.RemoveFinalizer', WriteStatus: 'pool.WriteStatus' },
  policy: { WriteStatus: 'policy.WriteStatus' },
  identity: { WriteStatus: 'identity.WriteStatus' },
} as const satisfies Readonly<Record<string, StatusEffects<string>>>;

/** What a session tells about the client that was refused; part of no action of the client table. */
const refusalEffect = 'client.Refusal.record';

/** What counts the sessions that an identity begins; part of the first Mint of a session whose identity has a limit. */
export const limitsEffect = 'session.Limits.record';

type ValuesOf<T> = T[keyof T];

export type EffectName =
  | ValuesOf<typeof clientEffects>[number]
  | ValuesOf<typeof sessionEffects>[number]
  | ValuesOf<{ readonly [M in keyof typeof statusEffects]: ValuesOf<(typeof statusEffects)[M]> }>
  | typeof refusalEffect
  | typeof limitsEffect;

/** The effects of one projection; an action that it never takes has none. */
export type ProjectionEffects = StatusEffects<EffectName>;

/** Every effect there is. */
export const effectNames: readonly EffectName[] = [
  ...Object.values(clientEffects).flat(),
  ...Object.values(sessionEffects).flat(),
  ...Object.values(statusEffects).flatMap((effects) => Object.values(effects)),
  refusalEffect,
  limitsEffect,
];
