/** Where a rotation is disturbed: the points follow from the effects, calls and writes of its variant, and so does which of them are taken. */
import { createHash, randomBytes } from 'node:crypto';
import { type EffectName, sessionEffects, statusEffects } from '#src/controllers/effect-names.ts';
import { type Call, calls } from './provider-view.ts';
import type { Variant } from './variants.ts';

/** Writes to the API server whose answer may be lost. */
export const writes = ['client record', 'session record', 'delivery', 'pool status'] as const;
export type Write = (typeof writes)[number];

export type Point =
  | { readonly is: 'Killed'; readonly effect: EffectName; readonly moment: 'before' | 'after'; readonly time: number }
  /** Killed right after it stored that the provider refused. */
  | { readonly is: 'KilledRefused'; readonly effect: EffectName; readonly refuses: Call }
  /** The provider did the work, and nobody hears of it. */
  | { readonly is: 'CallLost'; readonly call: Call; readonly time: number }
  /** The API server stored it, and nobody hears of it. */
  | { readonly is: 'WriteLost'; readonly write: Write; readonly time: number };

/**
 * No part of every emergency: a token that is thrown away, the question that only a renewal asks, what is forbidden without a successor or
 * dropped when it expires, a record that somebody damaged. `test/kill` is about those.
 */
const elsewhere: ReadonlySet<EffectName> = new Set([
  'session.Mint.revoke',
  'session.Mint.introspect',
  'session.Forbid.record',
  'session.Drop.record',
  'session.Restore.record',
]);

/** What the build's session and the pool's status come by in an emergency; how often depends on the hour. */
const others: readonly EffectName[] = [
  ...Object.values(sessionEffects)
    .flat()
    .filter((effect) => !elsewhere.has(effect)),
  statusEffects.pool.WriteStatus,
];

/** That the old credential is refused is an error, which has no moment after it but the one before the record is written. */
const isRefused = (effect: EffectName, time: number): boolean => effect === 'client.Prove.call' && time === 2;

const oneTo = (last: number): readonly number[] => Array.from({ length: last }, (_, index) => index + 1);

export function pointsOf(variant: Variant): readonly Point[] {
  const counted = Object.entries(variant.effects) as [EffectName, number][];
  const killed = [...counted, ...others.map((effect) => [effect, 1] as const)].flatMap(([effect, times]) =>
    oneTo(times).flatMap((time): Point[] => [
      { is: 'Killed', effect, moment: 'before', time },
      ...(isRefused(effect, time) ? [] : [{ is: 'Killed', effect, moment: 'after', time } as const]),
    ]),
  );
  const refused = Object.entries(variant.refusals) as [EffectName, Call][];
  return [
    ...killed,
    ...refused.map(([effect, refuses]): Point => ({ is: 'KilledRefused', effect, refuses })),
    ...calls.flatMap((call) => oneTo(variant.calls[call] ?? 0).map((time): Point => ({ is: 'CallLost', call, time }))),
    ...oneTo(recordWrites(variant)).map((time): Point => ({ is: 'WriteLost', write: 'client record', time })),
    ...writes.slice(1).map((write): Point => ({ is: 'WriteLost', write, time: 1 })),
  ];
}

/** How often one rotation writes the client's record. */
export function recordWrites({ effects }: Variant): number {
  const stored = Object.entries(effects).filter(([effect]) => /\.(record|intent|answer)$/.test(effect));
  return stored.reduce((sum, [, times]) => sum + times, 0);
}

export function nameOf({ name }: Variant, point: Point): string {
  switch (point.is) {
    case 'Killed':
      return `${name}, ${point.effect} ${point.moment}${nth(point.time)}`;
    case 'KilledRefused':
      return `${name}, ${point.effect} after`;
    case 'CallLost':
      return `${name}, answer to ${point.call} lost${nth(point.time)}`;
    case 'WriteLost':
      return `${name}, answer to write of ${point.write} lost${nth(point.time)}`;
  }
}

const nth = (time: number): string => (time === 1 ? '' : ` (${time})`);

export const seed = process.env['ROTATION_SEED'] ?? randomBytes(4).toString('hex');

/**
 * `ROTATION_ALL=1`: all. `ROTATION_POINTS=5-20`: these by their place in the list, to go on where another run ended; `ROTATION_POINTS='TwoKeys,
 * client.Prove.record before (2); …'`: these by name. Otherwise `ROTATION_SAMPLE` of them (7), chosen by the seed.
 */
export function chosen(variant: Variant): readonly Point[] {
  const all = pointsOf(variant);
  const asked = process.env['ROTATION_POINTS'];
  const [, from, to] = /^(\d+)-(\d+)$/.exec(asked ?? '') ?? [];
  if (from !== undefined && to !== undefined) return all.slice(Number(from) - 1, Number(to));
  const names = asked?.split(';').map((name) => name.trim());
  if (names !== undefined) return all.filter((point) => names.includes(nameOf(variant, point)));
  if (process.env['ROTATION_ALL'] === '1') return all;
  const order = (point: Point): string =>
    createHash('sha256')
      .update(`${seed} ${nameOf(variant, point)}`)
      .digest('hex');
  return all.toSorted((a, b) => order(a).localeCompare(order(b))).slice(0, Number(process.env['ROTATION_SAMPLE'] ?? 7));
}
