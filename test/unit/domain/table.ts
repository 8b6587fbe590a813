import test from 'ava';
import type { Row } from '#src/decision.ts';

/** What holds of a table and its cases: its rows stand in the order that is `expected` (a row that moves is a decision), and each has a case. */
export function tableTests<S, A, const Names extends readonly string[]>(
  rows: readonly Row<S, A, Names[number]>[],
  expected: Names,
  cases: readonly { readonly row: string }[],
): void {
  test('the table has these rows, in this order', (t) => {
    t.deepEqual(
      rows.map((row) => row.name),
      expected,
    );
  });

  test('every row is shown by at least one case', (t) => {
    const shown = new Set(cases.map((c) => c.row));
    t.deepEqual(
      expected.filter((row) => !shown.has(row)),
      [],
    );
  });
}
