import { suspended } from '#test/support/builders.ts';
import test from 'ava';
import fc from 'fast-check';
import type { Reason } from '#src/api/reasons.ts';
import { day, plus } from '#src/clock.ts';
import type { GenerationState } from '#src/domain/client/record.ts';
import { decideIdentity, identityStatus } from '#src/domain/status/identity.ts';
import type { IdentityFacts } from '#src/domain/status/identity-facts.ts';
import type { ClientFailure, ClientView, PoolFacts } from '#src/domain/status/pool-facts.ts';
import { decidePool, poolStatus } from '#src/domain/status/pool.ts';
import { accessOf, identity, pool, seen } from '../access/objects.ts';
import { brokenInvariants } from './condition-invariants.ts';
import { finalizers, generation, hash, identityFacts, now, poolFacts, record, whole } from './facts.ts';
import { statusProblems } from './schema.ts';

const poolProblems = statusProblems('identitypools.yaml');
const identityProblems = statusProblems('ciidentities.yaml');

const maybe = <K extends string, T>(key: K, value: fc.Arbitrary<T>): fc.Arbitrary<{ [P in K]?: T }> =>
  fc.option(value, { nil: undefined }).map((v) => (v === undefined ? {} : { [key]: v }) as { [P in K]?: T });
const merged = <T extends object>(...parts: fc.Arbitrary<object>[]): fc.Arbitrary<T> =>
  fc.tuple(...parts).map((objects) => Object.assign({}, ...objects) as T);

const someFailure: fc.Arbitrary<ClientFailure> = fc.record({
  reason: fc.constantFrom<Reason>(
    'RegistrationRefused',
    'ProviderUnavailable',
    'CredentialRefused',
    'RegistrationCredentialRefused',
    'RestoredState',
    'ApiForbidden',
  ),
  message: fc.constant('it fails. Do something.'),
  terminal: fc.boolean(),
});
const someRecord = merged<Partial<ReturnType<typeof record>>>(
  fc
    .constantFrom<GenerationState[]>(
      [],
      ['Planned'],
      ['Created'],
      ['Current'],
      ['Draining', 'Current'],
      ['Retiring', 'Current'],
      ['Current', 'Planned'],
      ['Retiring'],
    )
    .map((states) => ({ generations: states.map((state, i) => generation(i + 1, state)) })),
  maybe('managementLost', fc.constant(true)),
  maybe('observed', fc.constantFrom({ is: 'Gone', at: now, drift: [] }, { is: 'Present', at: now, drift: ['scope'] })),
  maybe(
    'proofs',
    fc
      .constantFrom<'Accepted' | 'Refused'>('Accepted', 'Refused')
      .chain((outcome) =>
        fc
          .boolean()
          .map((lasting) => ({ [hash]: { outcome, at: now, generation: 1, lasting, message: 'no. Do something.' } })),
      ),
  ),
).map((partial) => record(partial));
const someClient = merged<ClientView>(
  fc.boolean().map((wanted) => ({ wanted })),
  maybe('record', someRecord),
  maybe('failure', someFailure),
  maybe('owner', fc.constantFrom('namespace a', 'namespace b')),
  maybe('registersAnew', fc.boolean()),
  maybe('nextRotation', fc.constantFrom(plus(now, -2 * day), now, plus(now, day))),
);
const someStop = maybe('stop', fc.constant(suspended));
const someGuard = fc.constantFrom({ guard: whole }, { guard: { is: 'Missing', objects: ['use.ci-identity.dev'] } });

const somePoolFacts = merged<Partial<PoolFacts>>(
  fc
    .constantFrom({}, { deletionTimestamp: '2026-11-24T11:00:00Z' })
    .map((meta) => ({ pool: pool({}, { finalizers, generation: 4, ...meta }) })),
  fc.boolean().map((issuerConfigured) => ({ issuerConfigured })),
  fc.constantFrom('Present', 'Missing', 'NotNeeded').map((registrationCredential) => ({ registrationCredential })),
  fc.array(someClient, { maxLength: 3 }).map((clients) => ({ clients })),
  someStop,
  someGuard,
).map(poolFacts);

const someIdentityFacts = merged<Partial<IdentityFacts>>(
  fc.constantFrom(
    { access: seen(accessOf()) },
    { access: seen(accessOf({ policies: seen([]) })) },
    { access: seen(accessOf({ pool: { is: 'Gone' } })) },
    {
      identity: identity({ scopes: ['artifacts:publish', 'other'] }, { generation: 2 }),
      access: seen(accessOf({ identity: identity({ scopes: ['artifacts:publish', 'other'] }) })),
    },
  ),
  someClient.map((view) => ({ client: seen(view) })),
  maybe('failure', someFailure),
  maybe('shortLifetime', fc.constant(60_000)),
  maybe('sharedCreators', fc.constant([{ creator: 'x', namespaces: ['ci-payments', 'b'] }])),
  fc.nat(1000).map((sessions) => ({ sessions })),
  someStop,
  someGuard,
).map(identityFacts);

test('pool: the invariants of conditions hold, one write settles, and time alone writes nothing', (t) => {
  fc.assert(
    fc.property(somePoolFacts, (facts) => {
      const status = poolStatus(facts, now);
      t.deepEqual(
        brokenInvariants(status, 4, [
          'Registered',
          'CredentialCurrent',
          'RegistrationCredentialValid',
          'Authenticating',
        ]),
        [],
      );
      t.deepEqual(poolProblems(status), []);
      const written = { ...facts, pool: { ...facts.pool, status }, writtenAt: now };
      const next = decidePool(written, now);
      t.true(['settled', 'finalizer-done', 'leaving'].includes(next.row), next.row);
      const later = plus(next.recheckAt ?? plus(now, 400 * day), -1);
      t.is(decidePool(written, later).row, next.row);
    }),
    { numRuns: 500 },
  );
});

test('pool: the finalizer goes exactly when the pool is deleted and no record is left', (t) => {
  fc.assert(
    fc.property(somePoolFacts, (facts) => {
      const gone =
        facts.pool.metadata.deletionTimestamp !== undefined && facts.clients.every((view) => view.record === undefined);
      t.is(decidePool(facts, now).action?.type === 'RemoveFinalizer', gone);
    }),
    { numRuns: 500 },
  );
});

test('identity: the invariants of conditions hold, one write settles, and time alone writes nothing', (t) => {
  fc.assert(
    fc.property(someIdentityFacts, (facts) => {
      const status = identityStatus(facts, now);
      t.deepEqual(brokenInvariants(status, 2, ['Authorized', 'Probed', 'Issuing', 'Exclusive']), []);
      t.deepEqual(identityProblems(status), []);
      const written = { ...facts, identity: { ...facts.identity, status }, writtenAt: now };
      t.is(decideIdentity(written, now).row, 'settled');
      t.is(decideIdentity(written, plus(now, 400 * day)).row, 'settled');
    }),
    { numRuns: 500 },
  );
});

test('identity: no secret of a client record reaches the status', (t) => {
  fc.assert(
    fc.property(someIdentityFacts, (facts) => t.false(JSON.stringify(identityStatus(facts, now)).includes('hush'))),
    { numRuns: 100 },
  );
});
