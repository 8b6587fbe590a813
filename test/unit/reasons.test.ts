import { globSync, readFileSync } from 'node:fs';
import test from 'ava';
import { conditionTypes, reasons } from '#src/api/reasons.ts';

const table = Object.keys(reasons);
const files = globSync('src/**/*.ts', { exclude: ['src/api/**'] }).map((file) => ({
  file,
  text: readFileSync(file, 'utf8'),
}));

/** In the table before the part that says them. Each entry needs a reason of its own to be here. */
const reserved: readonly string[] = [];

test('every row of the table is said somewhere, or is reserved', (t) => {
  const unused = table.filter((reason) => !files.some(({ text }) => text.includes(`'${reason}'`)));
  t.deepEqual(unused.toSorted(), [...reserved].toSorted());
});

test('every reason that the code says is in the table', (t) => {
  let said = 0;
  for (const { file, text } of files) {
    for (const [, reason = ''] of text.matchAll(/\breason: '([^']*)'/g)) {
      said += 1;
      t.true(table.includes(reason), `${file}: ${reason}`);
    }
  }
  t.true(said > 20);
});

test('every row of the table is expected by some test', (t) => {
  const tests = globSync('test/**/*.ts', { exclude: ['test/unit/reasons.test.ts'] }).map((file) =>
    readFileSync(file, 'utf8'),
  );
  // In quotes, as `Type=False/Reason`, or in a pattern.
  const expected = (reason: string): boolean => {
    const word = new RegExp(`['/ (|="]${reason}['/ )|"\\\\$]`);
    return tests.some((text) => word.test(text));
  };
  t.deepEqual(
    table.filter((reason) => !expected(reason)),
    [],
  );
});

const words = { reason: reasons, 'condition type': conditionTypes };
for (const [kind, name, text] of Object.entries(words).flatMap(([of, rows]) =>
  Object.entries(rows).map(([n, x]) => [of, n, x] as const),
)) {
  test(`${kind} ${name} is one CamelCase word with a sentence`, (t) => {
    t.regex(name, /^[A-Z][A-Za-z]{1,63}$/);
    t.regex(text, /^[A-Zk].*\.$/);
  });
}
