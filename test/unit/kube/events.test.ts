import test from 'ava';
import { eventName } from '#src/kube/events.ts';

const digest = '0123456789abcdef0123456789abcdef';
const a199 = 'a'.repeat(199);

const rows: readonly (readonly [string, string, string])[] = [
  ['a short name', 'ci-bots', 'ci-bots.0123456789abcdef'],
  ['a long one', 'a'.repeat(253), `${a199}a.0123456789abcdef`],
  ['its 200th character is a hyphen', `${a199}-${'b'.repeat(20)}`, `${a199}.0123456789abcdef`],
  ['its 200th character is a dot', `${a199}.${'b'.repeat(20)}`, `${a199}.0123456789abcdef`],
  ['hyphens up to there', `${'a'.repeat(190)}${'-'.repeat(12)}b`, `${'a'.repeat(190)}.0123456789abcdef`],
];

for (const [what, object, expected] of rows)
  test(`the name of an event about an object: ${what}`, (t) => {
    const name = eventName(object, digest);
    t.is(name, expected);
    t.regex(name, /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
  });
