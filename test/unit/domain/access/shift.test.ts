import test from 'ava';
import { type AuthorizeInput } from '#src/domain/access/authorize.ts';
import { shiftOf } from '#src/domain/access/shift.ts';
import { identity, input, policy, pool, rule, seen } from './objects.ts';

const stop = { annotations: { 'ci-identity.dev/emergency-stop': 'INC-1' } };
const plain = { policies: seen([policy('publishers', [rule()])]), pool: seen(pool()), identity: identity() };

for (const [what, before, after, lost] of [
  ['the pool is suspended', {}, { pool: seen(pool({ suspend: true })) }, 'Suspended'],
  ['the pool gets an emergency stop', {}, { pool: seen(pool({}, stop)) }, 'Suspended'],
  ['the identity is suspended', {}, { identity: identity({ suspend: true }) }, 'Suspended'],
  ['the identity gets an emergency stop', {}, { identity: identity({}, stop) }, 'Suspended'],
  ['the stop is lifted', { pool: seen(pool({ suspend: true })) }, {}, undefined],
  [
    'stopped before and after, and a rule goes: what it would lose when the stop is lifted',
    { pool: seen(pool({ suspend: true })) },
    { pool: seen(pool({ suspend: true })), policies: seen([]) },
    'NoRule',
  ],
  ['nothing changes', {}, {}, undefined],
] as const)
  test(`shift: ${what}: ${lost === undefined ? 'nothing is lost' : `lost, because ${lost}`}`, (t) => {
    const of = (given: Partial<AuthorizeInput>): AuthorizeInput => input({ ...plain, ...given });
    const shift = shiftOf(of(before), of(after));
    if (shift.is !== 'Seen') throw new Error('every object is known');
    t.deepEqual(
      shift.value.lost.map(({ scope, reason }) => [scope, reason]),
      lost === undefined ? [] : [['artifacts:publish', lost]],
    );
    for (const { message } of shift.value.lost) t.regex(message, /\.$/);
  });
