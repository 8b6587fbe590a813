import test from 'ava';
import { existsSync, readFileSync } from 'node:fs';

const tests = new URL('../', import.meta.url);
const text = readFileSync(new URL('faults/README.md', tests), 'utf8');
const named = [...text.matchAll(/`([\w./-]+\.ts)` › ([^|]+?)(?=; `[\w./-]+\.ts` ›| *\||$)/gm)].map(
  ([, file = '', title = '']) => [file, title.trim()] as const,
);

/** What stands in quotes of any kind: a test's title and the parts of which a table makes titles, but no code and no comment. */
const quoted = (source: string): string =>
  [...source.replaceAll(/^ *(\/\*\*|\*|\/\/).*$/gm, '').matchAll(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`[^`]*`/g)]
    .map(([literal]) => literal.replaceAll("\\'", "'"))
    .join('\n');

test('the table of faults names tests that exist, each by some words of its title', (t) => {
  t.true(named.length > 90, `${named.length}`);
  const missing = named.filter(([file, title]) => {
    const path = new URL(file, tests);
    return !title.includes(' ') || !existsSync(path) || !quoted(readFileSync(path, 'utf8')).includes(title);
  });
  t.deepEqual(missing, []);
});

/** The numbers in the first column of the table below a heading, and in what follows it as void. */
function numbersBelow(heading: string): readonly number[] {
  const [, part = ''] = text.split(`## ${heading}\n`);
  const [section = ''] = part.split('\n## ');
  const cells = [...section.matchAll(/^\| ([\d–, ]+?) *\|/gm)].map(([, cell = '']) => cell);
  const [, voids = ''] = section.split(/^Void\b/m);
  return [...cells, voids].flatMap((list) =>
    [...list.matchAll(/(\d+)(?:–(\d+))?/g)].flatMap(([, from, to = from]) =>
      Array.from({ length: Number(to) - Number(from) + 1 }, (_, n) => Number(from) + n),
    ),
  );
}

for (const [heading, count] of [
  ['Sixty faults', 60],
  ['124 classes of bad input', 124],
] as const)
  test(`${heading}: each number stands there once`, (t) => {
    const all = Array.from({ length: count }, (_, n) => n + 1);
    t.deepEqual(
      numbersBelow(heading).toSorted((a, b) => a - b),
      all,
    );
  });

test('every row of the provider faults is in it', async (t) => {
  const { faultRows } = await import('#test/faults/rows.ts');
  t.deepEqual(
    faultRows.map(({ title }) => title).filter((title) => !text.includes(title)),
    [],
  );
});
