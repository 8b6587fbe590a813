import test from 'ava';
import { saysTheSame } from '#src/kube/status.ts';

const ready = {
  type: 'Ready',
  status: 'True',
  reason: 'Ready',
  message: '',
  lastTransitionTime: '2026-11-24T12:00:00Z',
};
const valid = { ...ready, type: 'Valid' };
const foreign = { ...ready, type: 'example.com/Approved' };

const rows: readonly (readonly [string, object | undefined, object, boolean])[] = [
  ['nothing yet', undefined, {}, true],
  ['first status', undefined, { conditions: [ready] }, false],
  ['the same', { conditions: [ready], sessions: 3 }, { sessions: 3, conditions: [ready] }, true],
  ['conditions in another order', { conditions: [ready, valid] }, { conditions: [valid, ready] }, true],
  ['a condition of somebody else', { conditions: [ready, foreign] }, { conditions: [ready] }, true],
  ['an absent member', { conditions: [ready] }, { conditions: [ready], sessions: undefined }, true],
  ['another count', { sessions: 3 }, { sessions: 4 }, false],
  ['a condition that goes', { conditions: [ready, valid] }, { conditions: [ready] }, false],
  ['a condition that changes', { conditions: [ready] }, { conditions: [{ ...ready, message: 'x' }] }, false],
  ['a list in another order', { grants: ['a', 'b'] }, { grants: ['b', 'a'] }, false],
];

for (const [name, known, next, same] of rows) {
  test(`${name}: ${same ? 'no write' : 'a write'}`, (t) => {
    t.is(saysTheSame(known, next), same);
  });
}
