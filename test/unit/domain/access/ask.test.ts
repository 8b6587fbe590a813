import test from 'ava';
import fc from 'fast-check';
import { askHash, askOf } from '#src/domain/access/ask.ts';
import { minute } from '#src/clock.ts';

const someScopes = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 });
const someAsk = fc
  .tuple(someScopes, someScopes, fc.constantFrom(5 * minute, 15 * minute))
  .map(([scopes, audiences, lifetime]) => askOf(scopes, audiences, lifetime));

test('the hash is the same for every order and repetition, and different for different asks', (t) => {
  fc.assert(
    fc.property(someAsk, someAsk, (a, b) => {
      const shuffled = { ...a, scopes: [...a.scopes, ...a.scopes].toReversed(), audiences: a.audiences.toReversed() };
      t.is(askHash(shuffled), askHash(a));
      t.is(askHash(a) === askHash(b), JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});

test('the hash is stable over versions: proofs in stored records depend on it', (t) => {
  const ask = askOf(['artifacts:publish'], ['https://registry.example.com'], 15 * minute);
  t.is(askHash(ask), 'a418c4a844a8c2207c17bb984f8fe3c3ce401475206fbe923efba8b89d613e9d');
});

test('scopes and audiences are not confused by the hash', (t) => {
  t.not(askHash(askOf(['a', 'b'], ['c'], 1)), askHash(askOf(['a'], ['b', 'c'], 1)));
});
