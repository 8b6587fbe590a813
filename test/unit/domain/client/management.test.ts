import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { answered, deregistered, observed } from '#src/domain/client/answers.ts';
import { isManagementLost, managementOf } from '#src/domain/client/generations.ts';
import { withIntent } from '#src/domain/client/intents.ts';
import { isUnmanaged, managementHandedIn, managementRefused, unmanagedOne } from '#src/domain/client/management.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { moved, without } from '#src/domain/client/transitions.ts';
import { Redacted } from '#src/redacted.ts';
import { buildClientRecord, buildDesired, buildGeneration, issuer, noon, omit } from '#test/support/builders.ts';

const later = plus(noon, minute);
const second = { token: new Redacted('second'), uri: `${issuer}/clients/ci-1-2` };
const seen = { is: 'Present', at: later, drift: [] } as const;

/** The client of generation 2 was registered beside that of generation 1, whose registration access token was `first`. */
function twoClients(first = buildClientRecord()): ClientRecord {
  const planned = buildGeneration({ n: 2, state: 'Planned', clientId: 'ci-1-2' });
  const before = { ...first, variant: 'NewClient', generations: [buildGeneration(), planned] } as const;
  const asked = withIntent(before, { call: 'Register', generation: 2, at: noon });
  return answered(asked, { clientId: 'ci-1-2', management: second, observed: seen }, buildDesired(), later);
}

/** The provider refuses the token with which the client of generation 1 was to be deleted. */
function refusedFirst(): ClientRecord {
  const leaving = moved(twoClients(), 1, 'Retiring', later);
  return managementRefused(withIntent(leaving, { call: 'Deregister', generation: 1, at: later }), later);
}

const tokensOf = (record: ClientRecord): readonly (string | undefined)[] =>
  record.generations.map((one) => managementOf(record, one)?.token.reveal());
const lostOf = (record: ClientRecord): readonly boolean[] =>
  record.generations.map((one) => isManagementLost(record, one));

test('of two clients the one is lost whose token is refused, and the other goes on', (t) => {
  const record = refusedFirst();
  t.deepEqual(lostOf(record), [true, false]);
  t.is(unmanagedOne(record)?.n, 1);
  t.deepEqual(lostOf(observed(record, seen)), [true, false], 'the look at the other one shows nothing of it');
});

test('what a person hands in reaches the client that lost its token, and only that', (t) => {
  const record = managementHandedIn(refusedFirst(), { token: new Redacted('new'), digest: 'd' });
  t.deepEqual(tokensOf(record), ['new', 'second']);
  t.false(isUnmanaged(record));
  t.is(record.handedIn, 'd');
});

test('a token that was lost before another client came stays lost, and never is the other one’s', (t) => {
  const refused = twoClients(buildClientRecord({ managementLost: true }));
  t.deepEqual(
    [tokensOf(refused), lostOf(refused)],
    [
      ['management', 'second'],
      [true, false],
    ],
  );
  const missing = twoClients(omit(buildClientRecord(), 'management'));
  t.deepEqual(
    [tokensOf(missing), lostOf(missing)],
    [
      [undefined, 'second'],
      [true, false],
    ],
  );
  const known = managementHandedIn(missing, { token: new Redacted('new'), digest: 'd' });
  t.deepEqual(tokensOf(known), ['new', 'second']);
});

test('of two clients one is left: its token is the record’s, also where the newer one went', (t) => {
  const leaving = moved(twoClients(), 2, 'Retiring', later);
  const asked = withIntent(leaving, { call: 'Deregister', generation: 2, at: later });
  const record = without(deregistered(asked, 'Deleted', later), 2);
  t.is(record.management?.token.reveal(), 'management');
  t.true(record.generations.every(({ management }) => management === undefined));
  t.true(without(refusedFirst(), 2).managementLost);
});

test('which token is lost outlives the process', (t) => {
  const decoded = clientCodec.decode(clientCodec.encode(refusedFirst()));
  if (decoded.is !== 'Record') throw new Error(JSON.stringify(decoded));
  t.deepEqual(
    [tokensOf(decoded.record), lostOf(decoded.record)],
    [
      ['management', 'second'],
      [true, false],
    ],
  );
});

test('one client: the look finds it out, and finds it healed', (t) => {
  const record = buildClientRecord();
  const lost = observed(record, { is: 'Unknowable', at: later, drift: [] });
  t.true(lost.managementLost);
  t.false(isUnmanaged(observed(lost, seen)));
  t.is(managementHandedIn(lost, { token: new Redacted('new'), digest: 'd' }).management?.token.reveal(), 'new');
  t.true(isUnmanaged(omit(record, 'management')));
});
