import test from 'ava';
import { nearName } from '#src/domain/access/near-name.ts';

for (const [name, candidates, expected] of [
  ['publsher', ['deployer', 'publisher'], 'publisher'],
  ['ci-paymnets', ['ci-search', 'ci-payments'], 'ci-payments'],
  ['publisher', ['publishers', 'publisherss'], 'publishers'],
  ['publisher', ['publisher', 'deployer'], undefined],
  ['ci', ['cd', 'x'], undefined],
  ['builder', ['releaser'], undefined],
  ['', ['a'], undefined],
  ['publishers', ['pblshers'], undefined],
  ['builder', ['bxilder'], 'bxilder'],
] as const) {
  test(`${name} of ${candidates.join(', ')}: ${expected ?? 'none is near'}`, (t) => {
    t.is(nearName(name, candidates), expected);
  });
}
