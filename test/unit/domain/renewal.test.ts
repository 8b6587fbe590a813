import test from 'ava';
import fc from 'fast-check';
import { hour, minute, plus, second } from '#src/clock.ts';
import { lastFifthAt, renewAt } from '#src/domain/renewal.ts';
import { buildAsk, buildToken, noon } from '#test/support/builders.ts';

const renewals: readonly { readonly life: number; readonly lag: number; readonly after: number }[] = [
  { life: 900, lag: 150, after: 450 },
  { life: 400, lag: 150, after: 400 / 3 },
  { life: 500, lag: 150, after: 200 },
  { life: 300, lag: 150, after: 100 },
  { life: 60, lag: 10, after: 30 },
  { life: 3600, lag: 150, after: 1800 },
];

for (const { life, lag, after } of renewals) {
  test(`renewal of ${life} s with a delivery lag of ${lag} s after ${Math.round(after)} s`, (t) => {
    const token = buildToken({ exp: plus(noon, life * second), ask: buildAsk({ maxLifetime: hour }) });
    t.is(renewAt(token, lag * second, 0), plus(noon, after * second));
  });
}

test('a token that lives longer than asked is renewed by what was asked (RevokeEarly)', (t) => {
  const token = buildToken({ exp: plus(noon, hour), ask: buildAsk({ maxLifetime: 10 * minute }) });
  t.is(renewAt(token, 10 * second, 0), plus(noon, 5 * minute));
  t.is(lastFifthAt(token), plus(noon, 8 * minute));
});

test('property: a renewal lies within the life, and never before a quarter of it', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 30, max: 86_400 }),
      fc.integer({ min: 1, max: 600 }),
      fc.double({ min: -1, max: 1, noNaN: true }),
      (life, lag, jitter) => {
        const token = buildToken({ exp: plus(noon, life * second), ask: buildAsk({ maxLifetime: 24 * hour }) });
        const at = renewAt(token, lag * second, jitter) - noon;
        return at >= (life * second) / 4 && at <= life * second * 0.56;
      },
    ),
  );
  t.pass();
});
