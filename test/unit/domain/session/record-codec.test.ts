import test from 'ava';
import fc from 'fast-check';
import { inspect } from 'node:util';
import { instant, minute, plus } from '#src/clock.ts';
import { Redacted } from '#src/redacted.ts';
import { sessionCodec } from '#src/domain/session/record-codec.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import type { Token } from '#src/domain/token.ts';
import { buildEndedToken, buildSessionRecord, buildToken, noon, omit } from '#test/support/builders.ts';

const text = fc.string({ maxLength: 20 });
const at = fc.integer({ min: 0, max: 4_000_000_000_000 }).map(instant);
const life = fc.integer({ min: 1, max: 1e9 });
const ask = fc.record({ scopes: fc.array(text), audiences: fc.array(text), maxLifetime: fc.nat() });

const token = (sha256: string, ended: boolean): fc.Arbitrary<Token> =>
  fc
    .record({
      ask,
      minted: at,
      life,
      generation: fc.nat(),
      clientId: text,
      value: text,
      keepsValue: fc.boolean(),
      end: fc.constantFrom('Superseded' as const, 'Forbidden' as const),
      endedAt: at,
      endedFor: fc.constantFrom('Suspended' as const, 'Narrowed' as const),
    })
    .map(({ life: length, keepsValue, value, end, endedAt, endedFor, ...rest }) => ({
      sha256,
      ...rest,
      exp: plus(rest.minted, length),
      ...(keepsValue || !ended ? { value: new Redacted(value) } : {}),
      ...(ended ? { end, endedAt, endedFor } : {}),
    }));

const tokens: fc.Arbitrary<SessionRecord['tokens']> = fc.oneof(
  fc.tuple(token('a', false)),
  fc.tuple(token('a', true), token('b', false)),
  fc.tuple(token('a', true), token('b', true), token('c', true)),
);

const record: fc.Arbitrary<SessionRecord> = fc.record(
  {
    formatVersion: fc.constant(1 as const),
    epoch: fc.nat(2_000_000_000),
    pod: fc.record({ namespace: text, name: text, uid: text }),
    identity: fc.record(
      {
        name: text,
        uid: text,
        roles: fc.array(text),
        actor: fc.record({ type: fc.constantFrom('AIAgent' as const, 'Automation' as const), id: text, owner: text }),
      },
      { requiredKeys: ['name', 'uid'] },
    ),
    pool: fc.record({ name: text, uid: text }),
    client: text,
    requester: text,
    since: at,
    subject: text,
    issuer: text,
    tokens,
  },
  {
    requiredKeys: [
      'formatVersion',
      'epoch',
      'pod',
      'identity',
      'pool',
      'client',
      'requester',
      'since',
      'issuer',
      'tokens',
    ],
  },
);

test('property: what is encoded is decoded, tokens and all', (t) => {
  fc.assert(
    fc.property(record, (whole) => {
      const encoded = sessionCodec.encode(whole);
      const decoded = sessionCodec.decode(encoded);
      if (decoded.is !== 'Record') throw new Error(JSON.stringify(decoded));
      const values = (of: SessionRecord): unknown => of.tokens.map(({ value }) => value?.reveal());
      t.deepEqual(decoded.record, whole);
      t.deepEqual(values(decoded.record), values(whole));
    }),
    { numRuns: 300 },
  );
});

test('property: whatever text is stored, decoding never throws', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (stored) => sessionCodec.decode(stored).is !== 'Record'),
    { numRuns: 300 },
  );
  t.pass();
});

test('a newer format is recognised', (t) => {
  t.deepEqual(sessionCodec.decode('{"formatVersion":7}'), { is: 'Newer', formatVersion: 7 });
});

const broken: readonly (readonly [string, readonly Token[]])[] = [
  ['no token', []],
  ['four tokens', ['a', 'b', 'c', 'd'].map((sha256) => buildEndedToken('Forbidden', { sha256 }))],
  ['one token twice', [buildEndedToken('Superseded'), buildToken()]],
  ['a usable token that is not the newest', [buildToken({ sha256: 'x' }), buildToken()]],
  ['a usable token without its value', [omit(buildToken(), 'value')]],
  ['expired before it was minted', [buildToken({ exp: plus(noon, -minute) })]],
];

for (const [title, held] of broken) {
  test(`a record that breaks an invariant is invalid: ${title}`, (t) => {
    const encoded = sessionCodec.encode(buildSessionRecord({ tokens: held as unknown as SessionRecord['tokens'] }));
    t.is(sessionCodec.decode(encoded).is, 'Invalid');
  });
}

test('a decoded record prints no token', (t) => {
  const decoded = sessionCodec.decode(sessionCodec.encode(buildSessionRecord()));
  t.is(decoded.is, 'Record');
  t.false(`${JSON.stringify(decoded)} ${inspect(decoded, { depth: 9 })}`.includes('value of'));
});

test('a token that ended for a reason of another version is read without it', (t) => {
  const tokens = [buildEndedToken('Forbidden', { endedFor: 'Suspended' })] as const;
  const stored = sessionCodec.encode(buildSessionRecord({ tokens })).replace('"Suspended"', '"ReasonOfAnotherVersion"');
  const decoded = sessionCodec.decode(stored);
  t.deepEqual(decoded.is === 'Record' && decoded.record.tokens, [buildEndedToken('Forbidden')]);
});
