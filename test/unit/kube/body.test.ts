import test from 'ava';
import { OperatorError } from '#src/errors.ts';
import { readBody } from '#src/kube/body.ts';
import { PageTooLargeError } from '#src/runtime/source.ts';

const mebibyte = 1024 ** 2;

/** Counts the chunks that are taken. */
function chunksOf(...chunks: readonly string[]): { taken: number } & AsyncIterable<Uint8Array> {
  const source = {
    taken: 0,
    async *[Symbol.asyncIterator]() {
      for (const chunk of chunks) {
        source.taken += 1;
        yield Buffer.from(chunk);
      }
    },
  };
  return source;
}

for (const [contentType, text, value] of [
  ['application/json', '{"a":"ä"}', { a: 'ä' }],
  ['application/merge-patch+json; charset=utf-8', '[1]', [1]],
  ['application/json', '', ''],
  ['text/plain', '{"a":1}', '{"a":1}'],
  [undefined, 'ok', 'ok'],
] as const) {
  test(`${contentType}: ${text}`, async (t) => {
    const bytes = Buffer.from(text);
    // Also where a character is cut in two.
    for (let at = 0; at <= bytes.length; at += 1) {
      async function* halves() {
        yield bytes.subarray(0, at);
        yield bytes.subarray(at);
      }
      t.deepEqual(await readBody(halves(), contentType), value);
    }
  });
}

test('JSON that is cut off is an error that quotes nothing', async (t) => {
  const error = await t.throwsAsync(readBody(chunksOf('{"secret":"hunter2'), 'application/json'), {
    instanceOf: OperatorError,
  });
  t.is(error?.class, 'Transient');
  t.notRegex(`${error?.message} ${String(error?.cause)}`, /hunter2/);
});

test('an answer that is too long is given up as soon as that is known', async (t) => {
  const half = 'x'.repeat(mebibyte / 2);
  t.is(await readBody(chunksOf(half, half), 'text/plain', mebibyte), half + half);
  const chunks = chunksOf(half, half, 'x', half, half);
  await t.throwsAsync(readBody(chunks, 'text/plain', mebibyte), {
    instanceOf: PageTooLargeError,
    message: 'API server: an answer has more than 1 MiB',
  });
  t.is(chunks.taken, 3);
});
