import test from 'ava';
import fc from 'fast-check';
import { jsonLines, TornStreamError } from '#src/kube/lines.ts';

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncIterable<Uint8Array> {
  let from = 0;
  for (const size of sizes) {
    yield bytes.subarray(from, from + size);
    from += size;
  }
  yield bytes.subarray(from);
}

async function read(text: string, sizes: readonly number[] = []): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const together of jsonLines(chunksOf(Buffer.from(text), sizes))) values.push(...together);
  return values;
}

test('however the bytes are cut, the lines are the same', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), fc.array(fc.nat(20)), async (values, sizes) => {
      const text = values.map((value) => `${JSON.stringify(value)}\n`).join('');
      t.deepEqual(
        await read(text, sizes),
        values.map((value) => JSON.parse(JSON.stringify(value)) as unknown),
      );
    }),
  );
});

test('what comes together is yielded together', async (t) => {
  const together: (readonly unknown[])[] = [];
  for await (const values of jsonLines(chunksOf(Buffer.from('1\n2\n3\n4\n5\n'), [4, 3]))) together.push(values);
  t.deepEqual(together, [[1, 2], [3], [4, 5]]);
});

for (const [name, text] of [
  ['garbage', '{"a":1}\nhunter2\n'],
  ['a cut line', '{"a":1}\n{"secret":"hunter2'],
] as const) {
  test(`${name} is an error that quotes nothing`, async (t) => {
    const error = await t.throwsAsync(read(text), { instanceOf: TornStreamError });
    t.notRegex(`${error?.message} ${String(error?.cause)}`, /hunter2/);
  });
}
