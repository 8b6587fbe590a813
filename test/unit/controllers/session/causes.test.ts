import test from 'ava';
import { instant } from '#src/clock.ts';
import { Causes } from '#src/controllers/session/causes.ts';

const table: readonly (readonly [rows: string, since: number | undefined])[] = [
  ['settled', undefined],
  ['first undelivered settled', undefined],
  ['over', 0],
  ['settled over clean revoke', 1],
  ['settled narrowed undelivered revoke', 1],
  ['stopped clean revoke stopped', 0],
  ['narrowed revoke settled', undefined],
  ['narrowed revoke settled over', 3],
  ['narrowed withdrawn revoke', 0],
  ['narrowed undelivered unknown revoke', 0],
  ['narrowed revoke guard over', 3],
  ['narrowed revoke revoked waiting', undefined],
  ['recalled revoke', 0],
];

for (const [rows, since] of table) {
  test(`${rows}: ${since === undefined ? 'nothing ends' : `since ${since}`}`, (t) => {
    const causes = new Causes();
    for (const [at, row] of rows.split(' ').entries()) causes.decided('key', row, instant(at));
    t.is(causes.seenAt('key'), since === undefined ? undefined : instant(since));
    causes.forget('key');
    t.is(causes.seenAt('key'), undefined);
  });
}
