import test from 'ava';
import type { Reason } from '#src/api/reasons.ts';
import { minute } from '#src/clock.ts';
import { Memory } from '#src/controllers/memory.ts';
import { RefusedCalls } from '#src/controllers/telling/refused-calls.ts';
import { Reporter, eventType } from '#src/controllers/telling/reporter.ts';
import { sessionKey } from '#src/controllers/session/key.ts';
import type { SessionSnapshot } from '#src/domain/session/machine.ts';
import { forbiddenError } from '#src/domain/session/explain.ts';
import { identityStatus } from '#src/domain/status/identity.ts';
import { OperatorError } from '#src/errors.ts';
import type { EventNote } from '#src/kube/events.ts';
import { buildSessionSnapshot, suspended } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { accessOf, identity, seen } from '../../domain/access/objects.ts';
import { identityFacts, now } from '../../domain/status/facts.ts';

for (const [ready, reason, type] of [
  [true, 'Ready', 'Normal'],
  [false, 'Registering', 'Normal'],
  [false, 'CredentialUnverified', 'Normal'],
  [false, 'WaitingForClient', 'Normal'],
  [false, 'Probing', 'Normal'],
  [false, 'PoolMissing', 'Warning'],
  [false, 'RegistrationRefused', 'Warning'],
  [false, 'NoRule', 'Warning'],
] as const) {
  test(`the event about ${reason} is ${type}: a step on the way is no warning`, (t) => {
    t.is(eventType(ready, reason), type);
  });
}

for (const [errorClass, attempts, level] of [
  ['Conflict', 1, 'debug'],
  ['Conflict', 4, 'debug'],
  ['Conflict', 5, 'warn'],
  ['Waiting', 1, 'info'],
  ['Transient', 1, 'warn'],
  ['Terminal', 1, 'warn'],
  [undefined, 1, 'error'],
] as const) {
  test(`attempt ${attempts} that fails with ${errorClass ?? 'a bug'} is logged as ${level}`, (t) => {
    const levels: string[] = [];
    const at = (name: string) => () => void levels.push(name);
    const reporter = new Reporter({
      memory: new Memory('ci-identity-system'),
      logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
      metrics: { count: () => undefined },
      refusedCalls: new RefusedCalls(new VirtualClock()),
    } as unknown as ConstructorParameters<typeof Reporter>[0]);
    const error =
      errorClass === undefined
        ? new Error('bug')
        : new OperatorError({ class: errorClass, reason: 'ApiConflict', message: 'somebody was first' });
    reporter.failure('client', 'client-1', 'damaged', error, attempts);
    t.deepEqual(levels, [level]);
  });
}

test('what the API server refuses is remembered for ten minutes; any other failure is not', async (t) => {
  const clock = new VirtualClock();
  const refusedCalls = new RefusedCalls(clock);
  const reporter = new Reporter({
    memory: new Memory('ci-identity-system'),
    logger: { info: () => undefined, warn: () => undefined },
    metrics: { count: () => undefined },
    refusedCalls,
  } as unknown as ConstructorParameters<typeof Reporter>[0]);
  const fails = (reason: Reason, message: string): void =>
    reporter.failure('client', 'client-1', 'first', new OperatorError({ class: 'Waiting', reason, message }), 1);
  fails('ProviderUnavailable', 'away');
  t.is(refusedCalls.last(), undefined);
  fails('ApiForbidden', 'no right');
  fails('QuotaExceeded', 'no room');
  fails('ProviderUnavailable', 'away');
  t.is(refusedCalls.last()?.message, 'no room');
  await clock.advance(10 * minute);
  t.is(refusedCalls.last(), undefined);
});

const deny = seen(accessOf({ policies: seen([]) }));
for (const [what, snapshot, facts] of [
  ['a stop', { stop: suspended }, { stop: suspended }],
  ['a denial', { access: deny }, { access: deny }],
] as const) {
  test(`${what}: a pod that is denied tells its CiIdentity what the condition tells it, so it is one event`, (t) => {
    const memory = new Memory('ci-identity-system');
    const one = identity();
    memory.identities.put('ci-payments/publisher', { ...one, uid: 'identity-uid', resourceVersion: '1' });
    const events: EventNote[] = [];
    const reporter = new Reporter({
      memory,
      events: { record: (note: EventNote) => events.push(note) },
      metrics: { count: () => undefined },
    } as unknown as ConstructorParameters<typeof Reporter>[0]);
    const key = sessionKey({ namespace: 'ci-payments', pod: 'p', podUid: 'u', identity: 'publisher' });
    reporter.denied(key, forbiddenError(buildSessionSnapshot(snapshot as Partial<SessionSnapshot>)), true);
    const ready = identityStatus(identityFacts(facts), now).conditions?.find(({ type }) => type === 'Ready');
    const regarding = { apiVersion: one.apiVersion, kind: 'CiIdentity', name: 'publisher', namespace: 'ci-payments' };
    const { reason = '', message = '' } = ready ?? {};
    reporter.readyChanged({ ...regarding, uid: 'identity-uid' }, ready?.status === 'True', reason, message);
    const [pod, ...own] = events;
    t.is(pod?.regarding.kind, 'Pod');
    t.is(own.length, 2);
    t.deepEqual(own[0], own[1]);
  });
}

test('a listener of a store that throws is a bug: an error in the log, and a failure that is counted', (t) => {
  const told: unknown[] = [];
  const reporter = new Reporter({
    memory: new Memory('ci-identity-system'),
    logger: { error: (...line: unknown[]) => told.push(line) },
    metrics: { count: (...counted: unknown[]) => told.push(counted) },
  } as unknown as ConstructorParameters<typeof Reporter>[0]);
  const error = new TypeError('x is not a function');
  reporter.listenerFailed(error, 'identitypools');
  t.deepEqual(told, [
    ['ci_identity_failures_total', { machine: 'memory', reason: 'InternalError' }],
    ['bug', { store: 'identitypools', error }],
  ]);
});
