import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { clocksAgree, clocksDisagree, mintMoment, revokeMoment } from '#src/domain/clocks.ts';
import { noon } from '#test/support/builders.ts';

const before = plus(noon, -minute);
const ahead = plus(noon, 45 * second);
const farAhead = plus(noon, 3 * minute);

for (const [what, youngest, moment] of [
  ['there is no token', undefined, noon],
  ['the youngest token is older', before, noon],
  ['the youngest token is of this very moment', noon, plus(noon, 1)],
  ['a clock that was ahead minted it', ahead, plus(ahead, 1)],
  ['a clock that was far ahead did: nothing would ever be younger', farAhead, noon],
] as const) {
  test(`what is revoked was minted before: ${what}`, (t) => t.is(revokeMoment(youngest, noon), moment));
}

for (const [what, revokeBefore, moment] of [
  ['nothing was revoked', undefined, noon],
  ['what was revoked is older', before, noon],
  ['what was revoked is a little younger', ahead, ahead],
  ['a clock that was far ahead revoked', farAhead, noon],
] as const) {
  test(`a token is minted: ${what}`, (t) => t.is(mintMoment(noon, revokeBefore), moment));
}

for (const [apiServer, provider, agree, disagree] of [
  [0, 0, true, false],
  [minute, -minute, true, false],
  [0, 2 * minute, false, true],
  [-2 * minute, 0, false, true],
  [undefined, 0, false, false],
  [undefined, 2 * minute, false, true],
] as const)
  test(`clocks that are ${apiServer} and ${provider} ms ahead of ours`, (t) => {
    t.deepEqual([clocksAgree(apiServer, provider), clocksDisagree(apiServer, provider)], [agree, disagree]);
  });
