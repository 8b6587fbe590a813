/** Every effect is a point of some variant of a rotation, or it is said here why not. */
import test from 'ava';
import { type EffectName, effectNames } from '#src/controllers/effect-names.ts';
import { pointsOf } from '#test/rotation/points.ts';
import { variants } from '#test/rotation/variants.ts';

const elsewhere: Readonly<Partial<Record<EffectName, string>>> = {
  'session.Mint.revoke': 'a token that is thrown away: test/kill',
  'session.Mint.introspect': 'only a renewal asks: test/kill',
  'session.Forbid.record': 'what is forbidden without a successor: test/kill',
  'session.Drop.record': 'what expired: test/kill',
  'session.Limits.record': 'sessions of an identity that has a limit: test/kill',
  'client.Refusal.record': 'a session meets a refusal, and nothing is rotating yet: test/kill',
  'pool.AddFinalizer': 'a pool that is new: test/kill',
  'pool.RemoveFinalizer': 'a pool that goes: test/kill',
  'policy.WriteStatus': 'of no pool: test/kill',
  'identity.WriteStatus': 'of no pool: test/kill',
};

const killed: ReadonlySet<string> = new Set(
  variants.flatMap(pointsOf).flatMap((point) => ('effect' in point ? [point.effect] : [])),
);

for (const effect of effectNames)
  test(`${effect}: ${elsewhere[effect] ?? 'a point of a rotation'}`, (t) =>
    t.not(killed.has(effect), effect in elsewhere));
