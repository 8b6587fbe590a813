import { readFile, readdir } from 'node:fs/promises';
import test from 'ava';
import { generate } from '../../crds/generate.ts';

const folder = new URL('../../src/api/v1alpha1/', import.meta.url);

test('the checked-in types are what npm run generate makes of the CRDs', async (t) => {
  const files = await generate();
  t.deepEqual(
    files.map(({ file }) => file.href).toSorted(),
    (await readdir(folder)).map((name) => new URL(name, folder).href).toSorted(),
  );
  for (const { file, text } of files)
    t.is(await readFile(file, 'utf8'), text, `${file.pathname}: run npm run generate`);
});

test('every member and every list is readonly, and every object has a name of its own', async (t) => {
  for (const { file, text } of await generate()) {
    const members = text.split('\n').filter((line) => /^ +["\w[].*;$/.test(line));
    t.true(members.length > 10);
    t.deepEqual(
      members.filter(
        (line) => !/^ +readonly /.test(line) || (line.includes('[];') && !/: readonly .*\[\];$/.test(line)),
      ),
      [],
      file.pathname,
    );
    const names = [...text.matchAll(/^export interface (\w+)/gm)].map(([, name]) => name ?? '');
    t.deepEqual(
      names.filter((name) => /\d$/.test(name)),
      [],
      'json-schema-to-typescript numbers names that collide',
    );
    t.is(new Set(names).size, names.length);
  }
});
