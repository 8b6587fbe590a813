import test from 'ava';
import { existsSync, readFileSync } from 'node:fs';

const tests = new URL('../', import.meta.url);
const text = readFileSync(new URL('faults/README.md', tests), 'utf8');
const named = [...text.matchAll(/`([\w./-]+\.ts)` › ([^|]+?)(?=; `[\w./-]+\.ts` ›| *\||$)/gm)].map(
  ([, file = '', title = '']) => [file, title.trim()] as const,
);

test('the table of faults names tests that exist', (t) => {
  t.true(named.length > 90, `${named.length}`);
  const missing = named.filter(([file, title]) => {
    const path = new URL(file, tests);
    return !existsSync(path) || !readFileSync(path, 'utf8').replaceAll("\\'", "'").includes(title);
  });
  t.deepEqual(missing, []);
});

test('every row of the provider faults is in it', async (t) => {
  const { faultRows } = await import('#test/faults/rows.ts');
  t.deepEqual(
    faultRows.map(({ title }) => title).filter((title) => !text.includes(title)),
    [],
  );
});
