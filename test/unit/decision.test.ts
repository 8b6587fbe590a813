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

test('rows after the first match are not asked', (t) => {
  const bug = row('bug', () => t.fail('was asked') as never);
  t.is(firstRow([row('first', () => true), bug], 0, now).row, 'first');
});

test('a table that does not cover the case is a bug and says so', (t) => {
  t.throws(() => firstRow([row('never', () => false)], 0, now), { message: 'no row of the table matches' });
  t.throws(() => firstRow([], 0, now), { message: 'no row of the table matches' });
});
