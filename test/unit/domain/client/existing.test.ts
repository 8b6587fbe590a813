import test from 'ava';
import { day, hour, plus } from '#src/clock.ts';
import { holderOf } from '#src/domain/client/claims.ts';
import { readSecretText, remindAt } from '#src/domain/client/existing.ts';
import { liveAfter, revokerOf } from '#src/domain/client/generations.ts';
import { buildClientRecord, buildGeneration, noon } from '#test/support/builders.ts';

for (const [what, text, problem] of [
  ['nothing', '\n', /^is empty$/],
  [
    'PEM',
    '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----',
    /holds a key, while spec\.client\.authentication is ClientSecretBasic/,
  ],
  ['a JWK', '{"kty":"EC","d":"AAAA"}', /holds a key/],
  ['two lines', 'one\ntwo', /is no client secret/],
  ['other letters', 'pässword', /is no client secret/],
  ['too long', 'x'.repeat(4_097), /is no client secret/],
] as const) {
  test(`not a client secret: ${what}`, (t) => {
    const read = readSecretText('ClientSecretBasic', text);
    t.regex('problem' in read ? read.problem : '', problem);
  });
}

test('a client secret loses the line end that editors add', (t) => {
  const read = readSecretText('ClientSecretPost', 's3cret with space\n');
  if (!('credential' in read) || read.credential.type === 'PrivateKeyJwt') return t.fail();
  t.is(read.credential.type, 'ClientSecretPost');
  t.is(read.credential.secret?.reveal(), 's3cret with space');
});

for (const [what, every, expiresAt, at] of [
  ['in the last tenth', 90 * day, undefined, 81 * day],
  ['not earlier than 14 days before', 730 * day, undefined, 716 * day],
  ['by expiry where that comes first', 90 * day, plus(noon, 10 * day), 9 * day],
  ['by age where that comes first', 10 * hour, plus(noon, 10 * day), 9 * hour],
] as const) {
  test(`the reminder to replace a credential comes ${what}`, (t) => {
    const one = buildGeneration({ source: 'one', ...(expiresAt === undefined ? {} : { expiresAt }) });
    t.is(remindAt(one, every), plus(noon, at));
  });
}

const claim = (name: string, created: number, inUse = false) => ({
  pool: { name, uid: name },
  created: plus(noon, created),
  inUse,
});

test('of two pools that name one client the first one has it, unless the other mints with it already', (t) => {
  t.is(holderOf([claim('b', 1), claim('a', 2)])?.pool.name, 'b');
  t.is(holderOf([claim('b', 1), claim('a', 2, true)])?.pool.name, 'a');
  t.is(holderOf([claim('b', 1), claim('a', 1)])?.pool.name, 'a', 'the same second: the order is fixed all the same');
  t.is(holderOf([]), undefined);
});

test('a client of its own gets its own key and not that of the client before it', (t) => {
  const numbers = (clientId?: string): readonly number[] => {
    const { clientId: _, ...planned } = buildGeneration({ n: 2, state: 'Planned' });
    const next = clientId === undefined ? planned : { ...planned, clientId };
    return liveAfter(buildClientRecord({ generations: [buildGeneration(), next] }), { generation: 2 }).map(
      ({ n }) => n,
    );
  };
  t.deepEqual(numbers(), [2], 'the provider chooses its id');
  t.deepEqual(numbers('ci-1-2'), [2]);
  t.deepEqual(numbers('ci-1'), [1, 2], 'a second key of the same client');
});

test('a token is revoked with the credential that mints now, if the client is the same', (t) => {
  const rotated = buildClientRecord({
    generations: [buildGeneration({ state: 'Draining' }), buildGeneration({ n: 2 })],
  });
  const token = (generation: number, clientId = 'ci-1'): Parameters<typeof revokerOf>[1] => ({ generation, clientId });
  t.is(revokerOf(rotated, token(1))?.n, 2);
  const moved = buildClientRecord({
    generations: [buildGeneration({ state: 'Draining' }), buildGeneration({ n: 2, clientId: 'ci-2' })],
  });
  t.is(revokerOf(moved, token(1))?.n, 1);
  const leaving = buildClientRecord({
    generations: [buildGeneration({ state: 'Draining' }), buildGeneration({ n: 2, state: 'Draining' })],
  });
  t.is(revokerOf(leaving, token(1))?.n, 2, 'also while the client goes');
  const gone = buildClientRecord({ generations: [buildGeneration({ n: 2 })] });
  t.is(revokerOf(gone, token(1))?.n, 2, 'also what a Mint brought whose credential is out by now');
  t.is(revokerOf(gone, token(1, 'ci-2')), undefined);
  t.is(revokerOf(undefined, token(1)), undefined);
});
