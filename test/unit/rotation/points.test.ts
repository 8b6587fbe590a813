/** Every effect is a point of some variant of a rotation, or it is said here why not, and which test kills there instead. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { type EffectName, effectNames } from '#src/controllers/effect-names.ts';
import { pointsOf } from '#test/rotation/points.ts';
import { variants } from '#test/rotation/variants.ts';

/** Each of the stories of `kill/kill.test.ts` has to die at its effect, once. */
const killedInStories = ['kill/kill.test.ts', 'killed right ${point.moment} ${point.effect}'] as const;

const elsewhere: Readonly<
  Partial<Record<EffectName, { readonly why: string; readonly shownBy: readonly (readonly [string, string])[] }>>
> = {
  'session.Mint.revoke': { why: 'a token that is thrown away', shownBy: [killedInStories] },
  'session.Mint.introspect': {
    why: 'only a renewal asks',
    shownBy: [killedInStories, ['kill/kill.test.ts', 'refusals, an outage of revocation']],
  },
  'session.Forbid.record': { why: 'what is forbidden without a successor', shownBy: [killedInStories] },
  'session.Drop.record': {
    why: 'what expired',
    shownBy: [killedInStories, ['kill/kill.test.ts', 'refusals, an outage of revocation']],
  },
  'session.Restore.record': {
    why: 'a record that somebody damaged',
    shownBy: [killedInStories, ['kill/kill.test.ts', 'a record that somebody deletes']],
  },
  'session.Limits.record': { why: 'sessions of an identity that has a limit', shownBy: [killedInStories] },
  'client.Refusal.record': {
    why: 'a session meets a refusal, and nothing is rotating yet',
    shownBy: [killedInStories, ['kill/kill.test.ts', 'a credential that is refused end well']],
  },
  'pool.AddFinalizer': { why: 'a pool that is new', shownBy: [killedInStories] },
  'pool.RemoveFinalizer': { why: 'a pool that goes', shownBy: [killedInStories] },
  'policy.WriteStatus': { why: 'of no pool', shownBy: [killedInStories] },
  'identity.WriteStatus': { why: 'of no pool', shownBy: [killedInStories] },
};

const killed: ReadonlySet<string> = new Set(
  variants.flatMap(pointsOf).flatMap((point) => ('effect' in point ? [point.effect] : [])),
);

for (const effect of effectNames)
  test(`${effect}: ${elsewhere[effect]?.why ?? 'a point of a rotation'}`, (t) => {
    t.not(killed.has(effect), effect in elsewhere);
    for (const [file, title] of elsewhere[effect]?.shownBy ?? []) t.true(isThere(file, title), `${file} › ${title}`);
  });

function isThere(file: string, title: string): boolean {
  const path = new URL(`../../${file}`, import.meta.url);
  return existsSync(path) && readFileSync(path, 'utf8').includes(title);
}
