import test from 'ava';
import { hour, type Instant, minute, plus, toRfc3339 } from '#src/clock.ts';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { Memory } from '#src/controllers/memory.ts';
import { sessionKey } from '#src/controllers/session/key.ts';
import { type SessionSources, failureOf, snapshotSession } from '#src/controllers/session/snapshot.ts';
import type { SessionSnapshot } from '#src/domain/session/machine.ts';
import { OperatorError } from '#src/errors.ts';
import type { FailureNote } from '#src/runtime/machine.ts';
import {
  buildClientRecord,
  buildEndedToken,
  buildGranted,
  buildPod,
  buildSessionRecord,
  buildToken,
} from '#test/support/builders.ts';
import { identity, policy, pool, rule, seen } from '../../domain/access/objects.ts';

const kept = (name: string): { uid: string; resourceVersion: string } => ({ uid: name, resourceVersion: '1' });
const pod = buildPod();
const limited = { reason: 'RateLimited', message: 'issuer x – token endpoint asks to wait (429).' } as const;
const record = buildSessionRecord({ client: 'client-before', pool: { name: 'before', uid: 'before' } });
const requested = plus(record.since, minute);

const afterMove = buildSessionRecord({
  client: 'client-now',
  pool: { name: 'ci-bots', uid: 'ci-bots' },
  tokens: [buildEndedToken('Superseded', { sha256: 'old', client: 'client-before' }), buildToken()],
});

/** A session whose token is from the pool `before`, while its CiIdentity names `ci-bots` by now. */
function moved(o: {
  readonly stopped?: 'before' | 'ci-bots';
  readonly revoked?: 'client-before' | 'client-now';
  readonly ended?: boolean;
  /** The pool that it names by now has minted as well. */
  readonly renewed?: boolean;
  /** The pool that it names by now is on its way out, by itself or with its kind. */
  readonly leaves?: 'Alone' | 'WithKind';
  /** The provider asked everybody for a pause until then. */
  readonly nextTry?: Instant;
  /** Its client is not registered, and the last try met this. */
  readonly clientFailure?: FailureNote;
  /** Whose clock is not ours. */
  readonly clockOf?: string;
}): SessionSnapshot | undefined {
  const memory = new Memory('ci-identity-system');
  memory.poolKindGoes = o.leaves === 'WithKind';
  for (const name of ['before', 'ci-bots']) {
    const going = o.leaves !== undefined && name === 'ci-bots' ? { deletionTimestamp: '2026-11-24T12:00:00Z' } : {};
    memory.pools.put(name, { ...kept(name), ...pool({ suspend: o.stopped === name }, { name, uid: name, ...going }) });
  }
  for (const name of ['client-before', 'client-now']) {
    const asked = o.revoked === name ? { revokeBefore: requested } : {};
    const of = name === 'client-before' ? 'before' : 'ci-bots';
    memory.clients.put(name, {
      ...kept(name),
      name,
      record: buildClientRecord({
        ...asked,
        ...(o.clientFailure === undefined ? {} : { generations: [] }),
        pool: { name: of, uid: of },
      }),
    });
  }
  memory.clients.replaceAll([...memory.clients.entries()]);
  const tokens = o.ended === true ? ([buildEndedToken('Forbidden')] as const) : record.tokens;
  const held = o.renewed === true ? afterMove : { ...record, tokens };
  memory.sessions.put('session', { ...kept('session'), name: 'session', record: held });
  memory.sessions.replaceAll([...memory.sessions.entries()]);
  const { name, uid } = record.identity;
  const one = identity({}, { namespace: record.pod.namespace, name, uid });
  memory.identities.put(`${record.pod.namespace}/${name}`, { ...kept(uid), ...one });
  const sources = {
    memory,
    access: { of: () => seen(buildGranted()), ofHeld: () => undefined },
    reviews: { known: () => seen(true) },
    targets: { serving: () => ({ recordName: 'client-now' }) },
    existing: () => undefined,
    delivered: new Map(),
    answered: new Map(),
    brakes: { of: () => undefined },
    guard: () => ({ is: 'Unknown' }),
    capabilities: () => undefined,
    deliveryLag: () => minute,
    now: () => record.since,
    epoch: () => 1,
    clientFailure: () => o.clientFailure,
    outage: () => (o.nextTry === undefined ? undefined : { ...limited, nextTry: o.nextTry }),
    revocationsPaused: () => false,
    clocksDisagree: (issuer: string) => issuer === o.clockOf,
    limitOf: () => 'full',
    seenSince: () => record.since,
  } as unknown as SessionSources;
  const key = sessionKey({ namespace: record.pod.namespace, pod: pod.name, podUid: record.pod.uid, identity: name });
  return snapshotSession(sources, key, []);
}

test('a pause of more than a minute for which the provider asked stands with its end in what a build reads', (t) => {
  const note = (after: number): FailureNote => ({
    error: new OperatorError({ ...limited, class: 'Transient', retryAt: plus(record.since, after) }),
    row: 'first',
    at: record.since,
    attempts: 1,
  });
  const until = plus(record.since, hour);
  const told = `${limited.message} Next try at ${toRfc3339(until)}.`;
  const client = (o: Parameters<typeof moved>[0]): unknown => {
    const found = moved(o)?.client;
    return found?.is === 'Seen' ? (found.value.outage?.message ?? found.value.message) : found;
  };
  t.is(failureOf([note(hour)]).failure?.message, told);
  t.is(failureOf([note(minute)]).failure?.message, limited.message, 'it would be over before it is read');
  t.is(client({ nextTry: until }), told);
  t.is(client({ clientFailure: note(hour) }), told);
});

test('a stop of the pool that minted ends the token, whichever pool the identity names by now', (t) => {
  t.is(moved({})?.stop, undefined);
  for (const stopped of ['before', 'ci-bots'] as const)
    t.deepEqual(moved({ stopped })?.stop?.sources, [{ kind: 'IdentityPool', name: stopped, by: 'suspend' }]);
});

test('a stop of the pool before reaches its superseded token as well, and leaves the usable one alone', (t) => {
  const stopped = moved({ renewed: true, stopped: 'before' });
  t.is(stopped?.stop, undefined);
  t.deepEqual(stopped?.stoppedClients, new Set(['client-before']));
  t.is(moved({ renewed: true })?.stoppedClients, undefined);
  t.is(moved({ renewed: true, stopped: 'ci-bots' })?.stoppedClients, undefined, 'one stop of everything is enough');
});

test('clocks that disagree are those of the issuer whose token it holds', (t) => {
  t.true(moved({ clockOf: record.issuer })?.clocksDisagree);
  t.is(moved({ clockOf: 'https://other.example.com' })?.clocksDisagree, undefined);
});

test('a request to revoke reaches the tokens of the client that it is about, and no others', (t) => {
  const requestOf = (snapshot: SessionSnapshot | undefined): unknown =>
    snapshot?.client.is === 'Seen' ? snapshot.client.value.revokeBefore : 'unknown';
  t.is(requestOf(moved({ revoked: 'client-before' })), requested);
  t.is(requestOf(moved({ revoked: 'client-now' })), undefined);
  t.deepEqual(moved({ revoked: 'client-before' })?.revokedBefore, new Map([['client-before', requested]]));
  t.deepEqual(moved({ revoked: 'client-now' })?.revokedBefore, new Map());
  t.deepEqual(moved({})?.firstHonoured, new Map([['client-before', 1]]));
});

test('a pool that goes with its kind takes nothing from the session by anybody’s decision, one that is deleted does', (t) => {
  t.like(moved({ leaves: 'WithKind' }), { poolVanishes: true, access: { is: 'Gone' } });
  t.like(moved({ leaves: 'Alone' }), { poolVanishes: undefined, access: { is: 'Seen' } });
  t.is(moved({})?.poolVanishes, undefined);
});

test('the pool that the snapshot decides on is the one that the identity names', (t) => {
  t.is(moved({})?.pool?.name, 'ci-bots');
});

test('a limit is for who has no token, also where a stop took the one that there was', (t) => {
  t.is(moved({})?.limit, undefined);
  t.is(moved({ ended: true })?.limit, 'full');
});

test('a session whose identity is gone is judged by the policies that there are, in the roles in which it was minted', (t) => {
  const memory = new Memory('ci-identity-system');
  const held = { ...buildSessionRecord(), identity: { name: 'publisher', uid: 'identity-uid', roles: ['publisher'] } };
  const access = new AccessCache(memory, () => true);
  let generation = 0;
  const edit = (rules: Parameters<typeof policy>[1]): void => {
    const edited = policy('publishers', rules);
    const metadata = { ...edited.metadata, generation: (generation += 1) };
    memory.policies.replaceAll([['publishers', { ...kept('publishers'), ...edited, metadata }]]);
  };
  const outcome = (): unknown => {
    const judged = access.ofHeld(held);
    return judged?.is === 'Seen' ? judged.value.is : judged?.is;
  };
  t.is(outcome(), undefined);
  memory.pools.replaceAll([['ci-bots', { ...kept('ci-bots'), ...pool() }]]);
  const { namespace } = held.pod;
  memory.namespaces.replaceAll([
    [namespace, { ...kept(namespace), name: namespace, labels: {}, annotations: {}, terminating: false }],
  ]);
  edit([rule()]);
  t.is(outcome(), 'Granted');
  edit([rule({ role: 'reader' })]);
  t.is(outcome(), 'Denied');
  t.is(access.ofHeld(buildSessionRecord()), undefined, 'a record from before the roles were kept');
  edit([rule()]);
  const leaving = pool({}, { deletionTimestamp: '2026-11-24T12:00:00Z' });
  memory.pools.replaceAll([['ci-bots', { ...kept('ci-bots'), ...leaving }]]);
  t.is(outcome(), undefined, 'the pool goes, maybe with its kind');
  memory.pools.replaceAll([]);
  t.is(outcome(), undefined, 'the pool is gone, maybe with its kind');
  memory.poolKindGoes = true;
  memory.pools.replaceAll([['ci-bots', { ...kept('ci-bots'), ...leaving }]]);
  t.is(outcome(), 'Granted', 'the pool goes with its kind, so that the policies decide');
  edit([rule({ role: 'reader' })]);
  t.is(outcome(), 'Denied');
});

test('what a held session may have is judged once per change, however often it is looked at', (t) => {
  const memory = new Memory('ci-identity-system');
  const held = { ...buildSessionRecord(), identity: { name: 'publisher', uid: 'identity-uid', roles: ['publisher'] } };
  memory.pools.replaceAll([['ci-bots', { ...kept('ci-bots'), ...pool() }]]);
  memory.policies.replaceAll([['publishers', { ...kept('publishers'), ...policy('publishers', [rule()]) }]]);
  const { namespace } = held.pod;
  const facts = { ...kept(namespace), name: namespace, labels: {}, annotations: {}, terminating: false };
  memory.namespaces.replaceAll([[namespace, facts]]);
  const access = new AccessCache(memory, () => true);
  const first = access.ofHeld(held);
  t.is(access.ofHeld(held), first);
  access.configurationChanged();
  const second = access.ofHeld(held);
  t.not(second, first);
  t.deepEqual(second, first);
});
