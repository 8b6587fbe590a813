import { day, hour, plus } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import type { Reason } from '#src/api/reasons.ts';
import type { ClientAction, ClientRowName, ClientSnapshot } from '#src/domain/client/machine.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { Redacted } from '#src/redacted.ts';
import {
  suspended,
  buildAsk,
  buildClientRecord,
  buildClientSnapshot,
  buildDesired,
  buildGeneration,
  buildKey,
  noon,
  omit,
} from '#test/support/builders.ts';

export interface Case {
  readonly row: string;
  readonly title: string;
  readonly s: ClientSnapshot;
  readonly now?: Instant;
  readonly action?: Partial<Exclude<ClientAction, { type: 'Record' }>> | { readonly type: 'Record' };
  /** After a Record: states of the generations, oldest first; `gone`: the record is deleted. */
  readonly next?: readonly Generation['state'][] | 'gone';
  /** Likewise: members of the record; `undefined`: it has none. */
  readonly stored?: { readonly [K in keyof ClientRecord]?: ClientRecord[K] | undefined };
  readonly lane?: number;
  readonly reason?: Reason;
  readonly recheckAt?: Instant;
}

export const snapshot = buildClientSnapshot;
export const record = buildClientRecord;
export const g = buildGeneration;
export const none = omit(snapshot(), 'record');
export const gone: Pick<ClientSnapshot, 'wanted'> = { wanted: { is: 'Gone' } };
export const wanting = (overrides: Parameters<typeof buildDesired>[0]): Pick<ClientSnapshot, 'wanted'> => ({
  wanted: { is: 'Seen', value: buildDesired(overrides) },
});
export const able = (
  overrides: Partial<NonNullable<ClientSnapshot['capabilities']>>,
): Pick<ClientSnapshot, 'capabilities'> => ({
  capabilities: {
    variants: ['TwoKeys', 'NewClient'],
    clientIdBy: 'Us',
    credentialPropagation: 0,
    ...overrides,
  },
});
export const hashOf = (i: number): string => String(i).padStart(3, '0');
export const expiresIn = (life: number): Generation['credential'] => ({
  type: 'ClientSecretBasic',
  secret: new Redacted('s'),
  expiresAt: plus(noon, life),
});
export const closed = { is: 'Closed', opensAt: plus(noon, 100 * day), length: hour } as const;
export const stop: Pick<ClientSnapshot, 'stop'> = { stop: suspended };
export const failed = (row: ClientRowName, terminal = false): Pick<ClientSnapshot, 'failure'> => ({
  failure: { row, reason: 'ProviderUnavailable', message: 'x', at: noon, terminal },
});
export const withGenerations = (generations: readonly Generation[], rest: Partial<ClientRecord> = {}): ClientRecord =>
  record({ generations, ...rest });
export const rotating = (state: Generation['state'], more: Partial<Generation> = {}): readonly Generation[] => [
  g(),
  g({ n: 2, state, ...more }),
];
export const inPlace = (rest: Partial<ClientRecord> = {}): Pick<ClientSnapshot, 'wanted' | 'record'> => ({
  ...wanting({ authentication: 'ClientSecretPost' }),
  record: record({
    variant: 'InPlace',
    generations: [
      g({ credential: { type: 'ClientSecretPost', secret: new Redacted('s') } }),
      g({ n: 2, state: 'Planned', credential: { type: 'ClientSecretPost' } }),
    ],
    ...rest,
  }),
});
export const drainingAndCurrent = [g({ state: 'Draining' }), g({ n: 2 })];
export const retiringAndCurrent = [g({ state: 'Retiring' }), g({ n: 2 })];
export const givenUp = (rest: Partial<ClientRecord> = {}): ClientRecord =>
  omit(
    withGenerations([], { highest: 1, possibleOrphans: 3, rollbacks: { count: 1, at: noon }, ...rest }),
    'management',
    'observed',
  ) as ClientRecord;
export const asks = [{ hash: 'h1', ask: buildAsk() }];
export const proven: Partial<ClientSnapshot> = {
  asks,
  record: record({ proofs: { h1: { outcome: 'Accepted', at: noon, generation: 1 } } }),
};
export const sound = {
  is: 'Present',
  at: noon,
  drift: [],
  tag: 'cluster/ci-identity-system/pool-uid',
  generation: 1,
} as const;
/** Of a credential that mints: once may be a mishap. */
export const refusedTwice = { refusedAt: noon, refusedAgain: true } as const;
export const refusedAtNoon = { outcome: 'Refused', at: noon, generation: 1 } as const;
export const retrying: Partial<ClientSnapshot> = { retryRequest: 'r2' };
export const retriedAt = (at: Instant): Pick<ClientRecord, 'retried'> => ({ retried: { id: 'r2', at } });
export const late: Partial<ClientRecord> = { managementLost: true };
export const expired = { type: 'ClientSecretBasic', secret: new Redacted('s'), expiresAt: noon } as const;
export const other = { is: 'Present', at: noon, drift: ['scope'], tag: 'other/owner' } as const;
export const theirs = wanting({ existing: { clientId: 'theirs' } });
export const handed = (source: string): NonNullable<ClientSnapshot['existing']> => ({
  is: 'Usable',
  credential: buildKey(source),
  source,
});
export const theirOne = (more: Partial<Generation> = {}): Generation =>
  g({ clientId: 'theirs', source: 'one', ...more });
export const external = (generations: readonly Generation[], rest: Partial<ClientRecord> = {}): ClientRecord =>
  omit(
    withGenerations(generations, { variant: 'External', ...rest }),
    'management',
    'observed',
    'sent',
    'updatedAt',
  ) as ClientRecord;
export const givenLess = { count: 9, at: noon, lacked: 'without scope a' } as const;
