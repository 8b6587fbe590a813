import test from 'ava';
import { type Instant, instant } from '#src/clock.ts';
import { type Row, firstRow } from '#src/decision.ts';

const now = instant(7);
const row = (name: string, matches: (n: number, at: Instant) => boolean): Row<number, string> => ({
  name,
  when: matches,
  ['then']: (n) => ({ action: `${name} ${n}`, reason: 'Settled' }),
});

test('the first row that matches decides, and its name is in the decision', (t) => {
  const rows = [
    row('never', () => false),
    row('odd', (n) => n % 2 === 1),
    row('late', (_n, at) => at > 5),
    row('rest', () => true),
  ];
  t.deepEqual(firstRow(rows, 1, now), { row: 'odd', action: 'odd 1', reason: 'Settled' });
  t.deepEqual(firstRow(rows, 2, now), { row: 'late', action: 'late 2', reason: 'Settled' });
  t.deepEqual(firstRow(rows, 2, instant(5)), { row: 'rest', action: 'rest 2', reason: 'Settled' });
});

test('a row whose step depends on what it finds matches where it finds something, and is asked once', (t) => {
  const asked: number[] = [];
  const even: Row<number, string> = {
    name: 'even',
    ['then']: (n) => {
      asked.push(n);
      return n % 2 === 0 ? { action: `even ${n}`, reason: 'Settled' } : undefined;
    },
  };
  const guarded: Row<number, string> = { ...even, when: (n) => n > 5 };
  const rest = row('rest', () => true);
  t.deepEqual(firstRow([even, rest], 2, now), { row: 'even', action: 'even 2', reason: 'Settled' });
  t.is(firstRow([even, rest], 3, now).row, 'rest');
  t.deepEqual(asked, [2, 3]);
  t.is(firstRow([guarded, rest], 4, now).row, 'rest');
  t.is(firstRow([guarded, rest], 6, now).row, 'even');
  t.deepEqual(asked, [2, 3, 6]);
});

test('rows after the first match are not asked', (t) => {
  const bug = row('bug', () => t.fail('was asked') as never);
  t.is(firstRow([row('first', () => true), bug], 0, now).row, 'first');
});

test('a table that does not cover the case is a bug and says so', (t) => {
  t.throws(() => firstRow([row('never', () => false)], 0, now), { message: 'no row of the table matches' });
  t.throws(() => firstRow([], 0, now), { message: 'no row of the table matches' });
});
