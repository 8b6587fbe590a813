import test from 'ava';
import fc from 'fast-check';
import * as sets from '#src/domain/access/scopes.ts';

for (const [text, good] of [
  ['artifacts:publish', true],
  ['!', true],
  ['https://api.example.com/write', true],
  ['[]~#', true],
  ['', false],
  ['*', false],
  ['artifacts:*', false],
  ['a b', false],
  ['a"b', false],
  ['a\\b', false],
  ['a\n', false],
  ['naïve', false],
  ['\u007f', false],
  ['x'.repeat(256), true],
  ['x'.repeat(257), false],
] as const) {
  test(`${JSON.stringify(text.slice(0, 20))} (${text.length}) is ${good ? 'a' : 'no'} scope`, (t) => {
    t.is(sets.isScope(text), good);
  });
}

for (const [text, good] of [
  ['https://registry.example.com', true],
  ['urn:x', true],
  ['', false],
  ['https://*.example.com', false],
  ['a b', false],
  ['a\u0000', false],
] as const) {
  test(`${JSON.stringify(text)} is ${good ? 'an' : 'no'} audience`, (t) => t.is(sets.isAudience(text), good));
}

const items = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'));

test('set algebra: sorted, without duplicates, and the laws hold', (t) => {
  fc.assert(
    fc.property(items, items, (a, b) => {
      const common = sets.intersection(a, b);
      t.deepEqual(sets.union(common, sets.difference(a, b)), sets.setOf(a));
      t.deepEqual(sets.intersection(b, a), common);
      t.true(sets.isSubset(common, a) && sets.isSubset(common, b));
      t.is(sets.equal(a, b), JSON.stringify(sets.setOf(a)) === JSON.stringify(sets.setOf(b)));
      t.is(sets.isSubset(a, b), sets.difference(a, b).length === 0);
    }),
  );
});

test('every printable ASCII character but blank, ", \\ and * is allowed in a scope (RFC 6749 §3.3)', (t) => {
  const allowed = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).filter(sets.isScope);
  const grammar = Array.from({ length: 0x7e - 0x21 + 1 }, (_, i) => String.fromCharCode(0x21 + i));
  t.deepEqual(
    allowed,
    grammar.filter((c) => !'"\\*'.includes(c)),
  );
});
