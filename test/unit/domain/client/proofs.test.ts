import test from 'ava';
import { day, hour, minute, plus } from '#src/clock.ts';
import { isAsAnswered } from '#src/domain/client/generations.ts';
import { doubted, isRemovalBelieved, proved } from '#src/domain/client/proofs.ts';
import type { ClientRecord, Proof } from '#src/domain/client/record.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { answered, deregistered, observed } from '#src/domain/client/answers.ts';
import { drainedFrom, moved, rolledBack } from '#src/domain/client/transitions.ts';
import { Redacted } from '#src/redacted.ts';
import { buildClientRecord, buildDesired, buildGeneration, noon } from '#test/support/builders.ts';
import { now, record } from '../status/facts.ts';

const accepted: Proof = { outcome: 'Accepted', at: now, generation: 1 };
const refused: Proof = {
  outcome: 'Refused',
  at: now,
  generation: 1,
  reason: 'ScopeWider',
  message: 'm',
  lasting: true,
};
const rotating = [buildGeneration(), buildGeneration({ n: 2, state: 'Created' })];
const of = { generation: 1, overlap: 0, lastExp: undefined, use: 'Ask', hash: 'a' } as const;

test('a refusal keeps its reason and its sentence', (t) => {
  const outcome = { is: 'AskRefused', reason: 'LifetimeTooLong', message: 'they live an hour', lasting: true } as const;
  t.deepEqual(proved(record(), { ...of, outcome }, plus(now, minute)).proofs, {
    a: {
      outcome: 'Refused',
      at: plus(now, minute),
      generation: 1,
      reason: 'LifetimeTooLong',
      message: 'they live an hour',
      lasting: true,
    },
  });
});

for (const [what, outcome, expected] of [
  ['something: what was sent once more has arrived', { is: 'Accepted' }, undefined],
  ['nothing: it stays known', { is: 'AskRefused', reason: 'ScopeRefused', message: 'm', lasting: true }, now],
] as const)
  test(`a client that got nothing gets ${what}`, (t) => {
    t.is(proved(record({ nothingGiven: now }), { ...of, outcome }, plus(now, minute)).nothingGiven, expected);
  });

for (const [said, atOnce] of [
  ['Deleted', true],
  ['Gone', false],
] as const)
  test(`a failure as at a client that is gone is believed ${atOnce ? 'at once' : 'after an hour'} where ${said} was answered`, (t) => {
    const intent = { call: 'Deregister', generation: 1, at: now } as const;
    const leaving = record({ generations: [buildGeneration({ state: 'Retiring' })], intent });
    const [one] = deregistered(leaving, said, now).generations;
    t.deepEqual([isRemovalBelieved(one!, plus(now, minute)), isRemovalBelieved(one!, plus(now, hour))], [atOnce, true]);
  });

for (const [what, value, expiresAt] of [
  ['the secret that we have: its end stays known, in its last minute too', 'old', plus(now, 45_000)],
  ['another secret: it has no end', 'new', undefined],
] as const)
  test(`an answer names no end that is to come, and ${what}`, (t) => {
    const secret = new Redacted('old');
    const credential = { type: 'ClientSecretBasic', secret, expiresAt: plus(now, 45_000) } as const;
    const intent = { call: 'Update', generation: 1, at: now } as const;
    const before = record({ generations: [buildGeneration({ credential })], intent });
    const answer = {
      clientId: 'ci',
      secret: new Redacted(value),
      observed: { is: 'Present', at: now, drift: [] },
    } as const;
    const [one] = answered(before, answer, buildDesired(), now).generations;
    const after = one?.offered?.credential ?? one?.credential;
    t.is(after?.type === 'ClientSecretBasic' ? after.expiresAt : 0, expiresAt);
  });

for (const [what, use, hash, outcome] of [
  ['an ask of nobody', 'Ask', '', { is: 'Accepted' }],
  ['an ask whose credential was refused', 'Ask', 'a', { is: 'CredentialRefused', message: 'invalid_client' }],
  ['a credential that was taken out', 'Retired', 'a', { is: 'Accepted' }],
] as const)
  test(`of ${what} nothing is remembered`, (t) => {
    const generations = [buildGeneration({ state: use === 'Retired' ? 'Retiring' : 'Current' })];
    t.deepEqual(proved(record({ generations }), { ...of, use, hash, outcome }, now).proofs, {});
  });

test('256 asks are remembered: where there is one more, the one that was proven longest ago goes', (t) => {
  const hashes = Array.from({ length: 256 }, (_, index) => `${index}`);
  const proofs = Object.fromEntries(hashes.map((hash, at) => [hash, { ...accepted, at: plus(now, -at) }]));
  const after = proved(record({ proofs }), { ...of, hash: 'one more', outcome: { is: 'Accepted' } }, plus(now, minute));
  t.deepEqual(new Set(Object.keys(after.proofs)), new Set([...hashes.slice(0, -1), 'one more']));
});

test('a proof of a credential that is gone meanwhile changes nothing', (t) => {
  const before = record();
  t.is(proved(before, { ...of, generation: 7, outcome: { is: 'Accepted' } }, now), before);
});

test('an emergency forbids every token from before its credential mints, a rotation none', (t) => {
  const switchedAt = (emergency: Partial<ClientRecord>) =>
    proved(
      record({ generations: rotating, ...emergency }),
      { ...verify, outcome: { is: 'Accepted' } },
      plus(now, minute),
    );
  t.is(switchedAt({ emergency: 2 }).revokeBefore, plus(now, minute));
  t.is(switchedAt({}).revokeBefore, undefined);
});

test('a proof that a session contradicts goes, and only that one', (t) => {
  t.deepEqual(doubted(record({ proofs: { a: accepted, b: accepted } }), 'a').proofs, { b: accepted });
});

for (const [name, proofs] of [
  ['a refusal stays: sessions that meet it too tell nothing new', { a: refused }],
  ['nothing was proven', { b: accepted }],
] as const) {
  test(name, (t) => {
    const before = record({ proofs });
    t.is(doubted(before, 'a'), before);
  });
}

const less = { is: 'AskRefused', reason: 'ScopeNarrower', message: 'without scope a', lasting: true } as const;
const verify = { ...of, generation: 2, use: 'Verify', outcome: less } as const;
const anew = (proofs: ClientRecord['proofs'], more: Partial<ClientRecord> = {}): ClientRecord =>
  buildClientRecord({
    variant: 'NewClient',
    generations: [buildGeneration(), buildGeneration({ n: 2, state: 'Created', clientId: 'ci-1-2' })],
    proofs,
    ...more,
  });

test('a new client is not given what the one before it is given: it does not mint, and sessions hear nothing of it', (t) => {
  const after = proved(anew({ a: accepted, b: accepted }), verify, now);
  t.like(after.generations, [
    { state: 'Current' },
    { state: 'Created', refusedAt: now, lacks: 'without scope a', lacksAsk: 'a' },
  ]);
  t.deepEqual(after.proofs, { b: accepted }, 'after the rollback this one is tried with the old client');
  t.like(rolledBack(after, 2, now).rollbacks, { count: 1, lacked: 'without scope a' });
  const given = proved(after, { ...verify, outcome: { is: 'Accepted' } }, now);
  t.like(given.generations, [{ state: 'Draining' }, { state: 'Current' }]);
  t.false('lacks' in (given.generations[1] ?? {}));
  t.false('lacksAsk' in (given.generations[1] ?? {}));
});

const expiring = {
  since: plus(now, -9 * minute),
  credential: { type: 'ClientSecretPost', secret: new Redacted('s'), expiresAt: plus(now, minute) },
} as const;

for (const [what, before] of [
  ['the client before it is not given either', anew({ a: refused })],
  [
    'a client is not given that has the new key too',
    anew({ a: accepted }, { variant: 'TwoKeys', generations: rotating }),
  ],
  [
    'the client before it cannot get any more',
    anew(
      { a: accepted },
      { generations: [buildGeneration({ refusedAt: noon, refusedAgain: true }), ...rotating.slice(1)] },
    ),
  ],
  [
    'the client before it gets for a tenth of its life at most',
    anew({ a: accepted }, { generations: [buildGeneration(expiring), ...rotating.slice(1)] }),
  ],
  ['a client is not given that an emergency brings', anew({ a: accepted }, { emergency: 2 })],
] as const)
  test(`what ${what} keeps no credential from minting`, (t) =>
    t.like(proved(before, verify, now).generations, [{ state: 'Draining' }, { state: 'Current' }]));

test('new clients that were given less and credentials that were refused are counted apart', (t) => {
  const two = buildClientRecord({
    generations: rotating,
    rollbacks: { count: 9, at: noon, lacked: 'without scope a' },
  });
  t.deepEqual(rolledBack(two, 2, now).rollbacks, { count: 1, at: now });
  const less = { ...two, generations: [buildGeneration(), buildGeneration({ n: 2, state: 'Created', lacks: 'b' })] };
  t.deepEqual(rolledBack(less, 2, now).rollbacks, { count: 10, at: now, lacked: 'b' });
});

const unclear = { is: 'Unclear', reason: 'TokenRequestRefused', message: 'm', lasting: true } as const;
for (const [use, state] of [
  ['Verify', 'Created'],
  ['OpenIntent', 'Planned'],
] as const) {
  test(`${use}: an ask that is refused for an unknown reason is remembered and settles nothing, so that the next one may`, (t) => {
    const before = buildClientRecord({
      generations: [buildGeneration(), buildGeneration({ n: 2, state })],
    });
    const after = proved(before, { ...of, generation: 2, use, outcome: unclear }, now);
    t.deepEqual(after.generations, before.generations);
    t.like(after.proofs['a'], { outcome: 'Refused', reason: 'TokenRequestRefused', generation: 2 });
  });
}

for (const [what, after, isRepaired] of [
  ['nothing differs any more', {}, true],
  ['the same differs', { drift: ['grantTypes'], driftDigest: 'd1' }, false],
  ['something differs by itself', { drift: ['grantTypes'], driftDigest: 'd2' }, false],
] as const)
  test(`an Update that was to repair, and a look that shows that ${what}`, (t) => {
    const intent = { call: 'Update', generation: 1, at: now } as const;
    const drifted = { is: 'Present', at: now, drift: ['grantTypes'], driftDigest: 'd1' } as const;
    const before = record({ generations: [buildGeneration()], intent, observed: drifted });
    const sent = answered(
      before,
      { clientId: 'ci', observed: { is: 'Present', at: now, drift: [] } },
      buildDesired(),
      now,
    );
    t.true(sent.repairing);
    const seen = observed(sent, { is: 'Present', at: plus(now, 1), drift: [], ...after });
    t.is(seen.repairing, undefined);
    t.is(isAsAnswered(seen), !isRepaired);
    const nextDay = observed(seen, { ...drifted, at: plus(now, hour), driftDigest: 'd3' });
    t.false(isAsAnswered(nextDay), 'what comes later is by somebody else');
    t.is(nextDay.ownDrift, seen.ownDrift);
  });

test('what an administrator stored is refused for the client that the pool names: both are remembered, also across a restart', (t) => {
  const tried = buildGeneration({ n: 2, state: 'Created', clientId: 'mistyped', source: 'one' });
  const after = rolledBack(record({ variant: 'External', generations: [tried] }), 2, now);
  t.deepEqual(after.rollbacks, { count: 1, at: now, source: 'one', clientId: 'mistyped' });
  const decoded = clientCodec.decode(clientCodec.encode(after));
  t.deepEqual(decoded.is === 'Record' ? decoded.record.rollbacks : decoded, after.rollbacks);
});

for (const [what, outcome, state] of [
  ['accepted', { is: 'Accepted' }, 'Current'],
  ['refused', { is: 'CredentialRefused', message: 'invalid_client' }, 'Retiring'],
] as const)
  test(`the credential of a client that is wanted again is ${what}`, (t) => {
    const one = buildGeneration({ state: 'Retiring', retireAfter: plus(noon, hour), stillThere: 1 });
    const [after] = proved(record({ generations: [one] }), { ...of, use: 'WantedAgain', outcome }, now).generations;
    t.is(after?.state, state);
    t.is(after?.retireAfter, state === 'Current' ? undefined : one.retireAfter);
    t.is(after?.stillThere, state === 'Current' ? undefined : 1, 'no removal of it is under way any longer');
  });

const minting = record({ generations: [buildGeneration({ since: plus(noon, -80 * day) })] });

for (const [title, before, since] of [
  ['its tokens are not over yet', drainedFrom(minting, 1, plus(noon, -hour)), plus(noon, -80 * day)],
  [
    'it was to be taken out next',
    moved(drainedFrom(minting, 1, plus(noon, -hour)), 1, 'Retiring', noon),
    plus(noon, -80 * day),
  ],
  ['it never minted', record({ generations: [buildGeneration({ state: 'Retiring' })] }), now],
] as const)
  test(`the credential of a client that is wanted again is as old as it was: ${title}`, (t) => {
    const again = proved(before, { ...of, use: 'WantedAgain', outcome: { is: 'Accepted' } }, now);
    t.like(again.generations, [{ state: 'Current', since, currentSince: undefined }]);
  });
