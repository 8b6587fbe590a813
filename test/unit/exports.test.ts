/** What is exported is used elsewhere, so that a reader who meets `export` knows to look for others who rely on it. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';

const texts = new Map(
  globSync('{src,test,crds}/**/*.ts', { exclude: ['**/node_modules/**'] }).map((file) => [
    file,
    readFileSync(file, 'utf8'),
  ]),
);

function fileOf(from: string, importer: string): string {
  return from.startsWith('#') ? from.slice(1) : join(dirname(importer), from);
}

/** `<file> <name>`, and the files that are imported whole. */
const imported = new Set<string>();
for (const [importer, text] of texts) {
  for (const [, names = '', from = ''] of text.matchAll(/^(?:import|export) [^;']*?\{([^}]*)\}\s*from '([^']+)'/gm))
    for (const [, name] of names.matchAll(/(?:^|,)\s*(?:type )?(\w+)/g))
      imported.add(`${fileOf(from, importer)} ${name}`);
  for (const [, star, dynamic] of text.matchAll(/^import \* as \w+ from '([^']+)'|\bimport\('([^']+)'\)/gm))
    imported.add(fileOf(star ?? dynamic ?? '', importer));
}

test('every exported value of src/ is imported by another file', (t) => {
  const values = [...texts].flatMap(([file, text]) =>
    file.startsWith('src/')
      ? [...text.matchAll(/^export (?:async )?(?:const|function\*?|class) (\w+)/gm)].map(
          ([, name]) => [file, `${file} ${name}`] as const,
        )
      : [],
  );
  t.true(values.length > 500, `${values.length}`);
  t.deepEqual(
    values.filter(([file, value]) => !imported.has(file) && !imported.has(value)).map(([, value]) => value),
    [],
  );
});
