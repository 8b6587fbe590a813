import { readFile } from 'node:fs/promises';
import test from 'ava';
import { reasonsFile, reasonsText } from '../../crds/generate-reasons.ts';

test('the checked-in table of conditions and reasons is what npm run generate makes', async (t) => {
  t.is(await readFile(reasonsFile, 'utf8'), await reasonsText(), 'run npm run generate');
});
