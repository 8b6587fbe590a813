import test from 'ava';
import fc from 'fast-check';
import { minute, second } from '#src/clock.ts';
import { RepeatSuppressor } from '#src/telemetry/repeat-suppressor.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function told() {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const repeats = new RepeatSuppressor<string>(
    clock,
    (what, times) => void lines.push(times === 0 ? what : `${what} +${times}`),
  );
  return { clock, lines, repeats };
}

test('the same is said once, and how often it was when its time is over', (t) => {
  const { clock, lines, repeats } = told();
  for (let n = 0; n < 4; n += 1) repeats.say('a', 'a');
  repeats.say('b', 'b');
  t.deepEqual(lines, ['a', 'b']);
  clock.setWall(4 * minute);
  repeats.flush();
  t.deepEqual(lines, ['a', 'b']);
  clock.setWall(1 * minute + second);
  repeats.flush();
  t.deepEqual(lines, ['a', 'b', 'a +3'], 'b was no repetition');
  repeats.say('a', 'a');
  t.deepEqual(lines.slice(3), ['a'], 'and is new again');
});

test('what is said again after its time comes after how often it was said', (t) => {
  const { clock, lines, repeats } = told();
  repeats.say('a', 'a');
  repeats.say('a', 'a');
  clock.setWall(6 * minute);
  repeats.say('a', 'a');
  t.deepEqual(lines, ['a', 'a +1', 'a']);
});

test('of what was repeated the last is told, and what comes when its time is just over is new', (t) => {
  const { clock, lines, repeats } = told();
  for (const what of ['first', 'second', 'third']) repeats.say('a', what);
  clock.setWall(5 * minute);
  repeats.say('a', 'fourth');
  t.deepEqual(lines, ['first', 'third +2', 'fourth']);
});

test('of more things than it remembers the oldest is told early', (t) => {
  const { lines, repeats } = told();
  repeats.say('a', 'a');
  repeats.say('a', 'a');
  for (let n = 1; n < 10_000; n += 1) repeats.say(String(n), 'b');
  t.false(lines.includes('a +1'));
  repeats.say('10000', 'b');
  t.is(lines.at(-1), 'a +1');
});

test('at the end everything that was repeated is told', (t) => {
  const { lines, repeats } = told();
  for (const what of ['a', 'b', 'b', 'c', 'c', 'c']) repeats.say(what, what);
  repeats.flush(true);
  t.deepEqual(lines, ['a', 'b', 'c', 'b +1', 'c +2']);
});

test('whatever is said, nothing is dropped silently', (t) => {
  const step = fc.record({ what: fc.constantFrom('a', 'b', 'c'), wait: fc.nat(3 * minute) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, lines, repeats } = told();
      for (const { what, wait } of steps) {
        repeats.say(what, what);
        clock.setWall(wait);
        repeats.flush();
      }
      repeats.flush(true);
      const counted = lines.reduce((sum, line) => sum + Number(line.split(' +')[1] ?? 1), 0);
      t.is(counted, steps.length);
    }),
  );
});
