import test from 'ava';
import fc from 'fast-check';
import { clean, cleanLines } from '#src/clean.ts';

const rows: readonly (readonly [string, string, string])[] = [
  ['plain text', 'Größe: 3 ≥ 2 – 漢字 😀', 'Größe: 3 ≥ 2 – 漢字 😀'],
  ['line ends', 'a\r\nb\u2028c\u2029d\u0085e', 'a??b?c?d?e'],
  ['tab, escape, delete, C1', '\t\u001b[31m\u007f\u009b', '??[31m??'],
  ['bidirectional overrides, isolates and marks', '\u202e\u2066\u200f\u061c', '????'],
  ['zero width, byte order mark, soft hyphen, tag', '\u200b\ufeff\u00ad\u{e0041}', '????'],
  ['half a character', '\ud83d!', '\ufffd!'],
];

for (const [name, text, expected] of rows) test(`cleans ${name}`, (t) => t.is(clean(text), expected));

test('text of several lines keeps its line ends and tabs, its length, and nothing else that moves text', (t) => {
  t.is(cleanLines('a\n\tb\r\n\u001b[31m\u2028\u202e\ud83d'), 'a\n\tb?\n?[31m??\ufffd');
  t.is(cleanLines('a'.repeat(1_000)).length, 1_000);
});

test('cuts to the length, never through a character', (t) => {
  t.is(clean('a'.repeat(501)).length, 500);
  t.is(clean('abcdef', 6), 'abcdef');
  t.is(clean('abcdefg', 6), 'abcde…');
  t.is(clean('abcd😀😀', 6), 'abcd\ufffd…');
});

test('any text: one clean, well-formed line that is not too long, and cleaning again changes nothing', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, length) => {
      const cleaned = clean(text, length);
      t.true(cleaned.length <= length && cleaned.isWellFormed());
      t.notRegex(cleaned, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      t.is(clean(cleaned, length), cleaned);
    }),
  );
});
