import test from 'ava';
import { contractTables, writtenTables } from '#test/providers/contract-table.ts';

/** Without what a formatter makes of a table. */
const plain = (text: string): string => text.replaceAll(/[ -]+/g, ' ');

test('the tables that the README of the contract shows are those of its rows and traits', (t) => {
  t.is(plain(writtenTables()), plain(contractTables()), 'run node test/providers/contract-table.ts');
});
