import test from 'ava';
import { instant } from '#src/clock.ts';
import type { ApiConnection, RequestParameters } from '#src/kube/connection.ts';
import { type EventNote, EventRecorder, eventName } from '#src/kube/events.ts';

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

/** An API server that takes so many milliseconds for each write, and the rest after each. */
function writing(takes: number): { recorder: EventRecorder; written: string[]; rests: number[] } {
  const written: string[] = [];
  const rests: number[] = [];
  let elapsed = 0;
  const connection = {
    clock: {
      now: () => instant(elapsed),
      monotonic: () => elapsed,
      sleepUntil: async (t: number) => void rests.push(t - elapsed),
    },
    request: async (_method: string, _path: string, { body }: RequestParameters) => {
      elapsed += takes;
      written.push((body as { note: string }).note);
      return { status: 201, headers: {}, body: {}, at: instant(elapsed) };
    },
  } as unknown as ApiConnection;
  return { recorder: new EventRecorder({ connection, instance: 'replica-1' }), written, rests };
}

const paces: readonly (readonly [string, number, number])[] = [
  ['an API server with nothing else to do', 3, 12],
  ['a busy one', 30, 120],
  ['one that hardly answers', 4_000, 1_000],
];

for (const [what, takes, rest] of paces)
  test(`events yield to work, ${what}: after ${takes} ms the writer rests for ${rest}`, async (t) => {
    const { recorder, written, rests } = writing(takes);
    for (const message of ['a', 'b', 'c']) recorder.record(noteOf('Normal', message));
    await recorder.flush();
    t.deepEqual(written, ['a', 'b', 'c']);
    t.deepEqual(rests, [rest, rest, rest]);
  });

test('warnings are written first, and what is in order comes all the same', async (t) => {
  const { recorder, written } = writing(1);
  for (const n of [1, 2, 3]) recorder.record(noteOf('Normal', `in order ${n}`));
  for (const n of [1, 2, 3, 4, 5, 6]) recorder.record(noteOf('Warning', `warning ${n}`));
  await recorder.flush();
  t.deepEqual(written, [
    'warning 1',
    'warning 2',
    'warning 3',
    'warning 4',
    'in order 1',
    'warning 5',
    'warning 6',
    'in order 2',
    'in order 3',
  ]);
});

function noteOf(type: 'Normal' | 'Warning', message: string): EventNote {
  const regarding = { apiVersion: 'ci-identity.dev/v1alpha1', kind: 'IdentityPool', name: 'ci-bots', uid: 'u-1' };
  return { regarding, type, reason: 'Ready', message };
}
