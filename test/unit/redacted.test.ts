import { format, inspect } from 'node:util';
import test from 'ava';
import { Redacted } from '#src/redacted.ts';

const secret = 'hunter2-hunter2';
const box = new Redacted(secret);

/** Who reads the output sees that something was left out. */
const ways: readonly (readonly [string, () => string])[] = [
  ['JSON', () => JSON.stringify({ box, list: [box] })],
  ['String', () => String(box)],
  ['template string', () => `token: ${box as unknown as string}`],
  ['concatenation', () => 'token: ' + (box as unknown as string)],
  ['inspect', () => inspect(box)],
  ['inspect of everything', () => inspect({ nested: [{ box }] }, { depth: Infinity, showHidden: true, getters: true })],
  ['console format', () => format('%s %o %O %j', box, box, box, box)],
  ['message of an error', () => new Error(`refused ${box as unknown as string}`).message],
  ['cause of an error', () => inspect(new Error('refused', { cause: box }))],
];

for (const [name, print] of ways) {
  test(`${name} shows a placeholder`, (t) => {
    const text = print();
    t.false(text.includes('hunter2'), text);
    t.regex(text, /\[redacted\]/);
  });
}

const inside: typeof ways = [
  ['inspect without custom functions', () => inspect(box, { customInspect: false, showHidden: true })],
  ['members', () => JSON.stringify([Object.entries(box), Reflect.ownKeys(box), Object.assign({}, box)])],
];

for (const [name, print] of inside) test(`${name} does not show it`, (t) => t.notRegex(print(), /hunter2/));

test('structuredClone cannot carry it elsewhere', (t) => {
  t.false(inspect(structuredClone(box), { customInspect: false, showHidden: true }).includes('hunter2'));
});

test('reveal opens it, and it cannot be changed', (t) => {
  t.is(box.reveal(), secret);
  t.true(Object.isFrozen(box));
  t.is(String(box), '[redacted]');
});
