import test from 'ava';
import fc from 'fast-check';
import { sha256 } from '#src/digest.ts';

test('the digest of one part is what sha256sum prints for its UTF-8', (t) => {
  t.is(sha256(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  t.is(sha256('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  t.is(sha256('é'), '4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c');
});

test('different lists of parts have different digests', (t) => {
  const list = fc.array(fc.string({ maxLength: 6 }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(list, list, (a, b) => t.is(sha256(...a) === sha256(...b), JSON.stringify(a) === JSON.stringify(b))),
  );
  t.not(sha256('a', 'bc'), sha256('ab', 'c'));
  t.not(sha256('1:a', ''), sha256('', '1:a'));
});
