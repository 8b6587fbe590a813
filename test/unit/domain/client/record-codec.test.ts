import test from 'ava';
import fc from 'fast-check';
import { inspect } from 'node:util';
import { instant } from '#src/clock.ts';
import { Redacted } from '#src/redacted.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { buildClientRecord, buildGeneration, buildKey, noon } from '#test/support/builders.ts';

const at = fc.integer({ min: 0, max: 4_000_000_000_000 }).map(instant);
const text = fc.string({ maxLength: 20 });
const secret = fc.string({ minLength: 1, maxLength: 20 }).map((value) => new Redacted(value));
const management = fc.record({ token: secret, uri: text });
const credential: fc.Arbitrary<Credential> = fc.oneof(
  fc.record({
    type: fc.constant('PrivateKeyJwt' as const),
    kid: text,
    alg: text,
    publicJwk: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 5 }).filter((key) => key !== '__proto__'),
      text,
    ),
    privateJwk: secret,
  }),
  fc.record(
    {
      type: fc.constantFrom('ClientSecretBasic' as const, 'ClientSecretPost' as const),
      secret,
      expiresAt: at,
      expiryIgnored: fc.constantFrom('Text' as const, 'Past' as const, 'TooLarge' as const),
    },
    { requiredKeys: ['type'] },
  ),
);
const generations = fc
  .array(
    fc.record(
      {
        credential,
        since: at,
        currentSince: at,
        tag: text,
        management,
        offered: fc.record({ credential, at, refusedAt: at }, { requiredKeys: ['credential', 'at'] }),
        refusedAt: at,
        lacks: fc.string(),
        lacksAsk: fc.string(),
        unheard: fc.boolean(),
        saidGone: fc.boolean(),
        stillThere: fc.nat(),
        foreign: fc.boolean(),
        lookedAt: at,
        state: fc.constantFrom('Draining' as const, 'Retiring' as const),
      },
      { requiredKeys: ['credential', 'since', 'state'] },
    ),
    { maxLength: 3 },
  )
  .map((parts) => parts.map((part, index) => ({ n: index + 1, clientId: `c${index}`, retireAfter: noon, ...part })));

const record: fc.Arbitrary<ClientRecord> = fc.record(
  {
    formatVersion: fc.constant(1 as const),
    epoch: fc.nat(2_000_000_000),
    tag: fc.record({ installation: text, owner: text }),
    issuer: text,
    pool: fc.record({ name: text, uid: text }),
    namespace: text,
    identity: fc.record({ name: text, uid: text }),
    variant: fc.constantFrom(
      'TwoKeys' as const,
      'TwoSecrets' as const,
      'NewClient' as const,
      'InPlace' as const,
      'External' as const,
    ),
    generations,
    management,
    managementLost: fc.boolean(),
    observed: fc.record(
      {
        is: fc.constantFrom('Present' as const, 'Gone' as const, 'Unknowable' as const),
        at,
        drift: fc.array(text),
        excess: fc.boolean(),
        driftDigest: text,
        tag: text,
        generation: fc.nat(),
      },
      { requiredKeys: ['is', 'at', 'drift'] },
    ),
    proofs: fc.dictionary(
      fc.stringMatching(/^[0-9a-f]{1,8}$/),
      fc.record(
        {
          outcome: fc.constantFrom('Accepted' as const, 'Refused' as const),
          at,
          generation: fc.nat(),
          message: text,
          reason: fc.constantFrom('ScopeWider' as const, 'LifetimeTooLong' as const),
          lasting: fc.boolean(),
        },
        { requiredKeys: ['outcome', 'at', 'generation'] },
      ),
    ),
    handled: fc.array(text),
    revokeBefore: at,
    possibleOrphans: fc.nat(),
    acknowledgedOrphans: fc.nat(),
    updatedAt: at,
    repairing: fc.boolean(),
    ownDrift: text,
    nothingGiven: at,
    sent: text,
    sentScopes: fc.array(text),
    sentCarriers: fc.array(text),
    highest: fc.nat(),
    rollbacks: fc.record({ count: fc.nat(), at, unusable: text }, { requiredKeys: ['count', 'at'] }),
    emergency: fc.nat(),
    revoking: fc.record(
      { id: text, since: at, left: fc.constantFrom('External' as const, 'Foreign' as const) },
      { requiredKeys: ['id', 'since'] },
    ),
    retried: fc.record({ id: text, at }),
  },
  { requiredKeys: ['formatVersion', 'epoch', 'tag', 'issuer', 'pool', 'variant', 'generations', 'proofs', 'handled'] },
);

test('property: what is encoded is decoded, secrets and all', (t) => {
  fc.assert(
    fc.property(record, (whole) => {
      const encoded = clientCodec.encode(whole);
      const decoded = clientCodec.decode(encoded);
      if (decoded.is !== 'Record') throw new Error(JSON.stringify(decoded));
      t.deepEqual(JSON.parse(clientCodec.encode(decoded.record)), JSON.parse(encoded));
    }),
    { numRuns: 300 },
  );
});

test('property: whatever text is stored, decoding never throws', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (stored) => {
      const decoded = clientCodec.decode(stored);
      return decoded.is !== 'Record';
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('a damaged secret is not quoted', (t) => {
  const encoded = clientCodec.encode(buildClientRecord()).replace('"n":1', '"n":"private half of k1"');
  const decoded = clientCodec.decode(encoded);
  t.deepEqual(decoded, { is: 'Invalid', message: 'record.generations[0].n is not an integer' });
});

test('a newer format is recognised and nothing else of it is read', (t) => {
  t.deepEqual(clientCodec.decode('{"formatVersion":2,"generations":"something else"}'), {
    is: 'Newer',
    formatVersion: 2,
  });
});

test('members that this version does not know are left out', (t) => {
  const encoded = JSON.stringify({ ...JSON.parse(clientCodec.encode(buildClientRecord())), invented: 'x' });
  const decoded = clientCodec.decode(encoded);
  t.is(decoded.is, 'Record');
  t.false('invented' in (decoded.is === 'Record' ? decoded.record : {}));
});

for (const [title, broken] of [
  ['two Current', { generations: [buildGeneration(), buildGeneration({ n: 2 })] }],
  ['an intent for nothing', { intent: { call: 'Update', generation: 9, at: noon } }],
  ['an open Register for a Current', { intent: { call: 'Register', generation: 1, at: noon } }],
  [
    'two in work',
    { generations: [buildGeneration({ state: 'Created' }), buildGeneration({ n: 2, state: 'Planned' })] },
  ],
  ['generations out of order', { generations: [buildGeneration({ n: 2, state: 'Retiring' }), buildGeneration()] }],
] as const) {
  test(`a record that breaks an invariant is invalid: ${title}`, (t) => {
    t.is(clientCodec.decode(clientCodec.encode(buildClientRecord(broken))).is, 'Invalid');
  });
}

test('a call under way is decoded with all that is known of it', (t) => {
  const intent = { call: 'Register', generation: 1, at: noon, takenAt: noon } as const;
  const planned = buildClientRecord({ generations: [buildGeneration({ state: 'Planned' })], intent });
  const decoded = clientCodec.decode(clientCodec.encode(planned));
  t.deepEqual(decoded.is === 'Record' && decoded.record.intent, intent);
});

test('a decoded record prints no secret', (t) => {
  const decoded = clientCodec.decode(
    clientCodec.encode(buildClientRecord({ generations: [buildGeneration({ credential: buildKey('k1') })] })),
  );
  const printed = `${JSON.stringify(decoded)} ${inspect(decoded, { depth: 9 })}`;
  t.false(printed.includes('private half'));
  t.false(printed.includes('"management"}') || printed.includes("'management'"));
});
