import test from 'ava';
import { second } from '#src/clock.ts';
import { Troubles } from '#src/controllers/troubles.ts';
import { OperatorError } from '#src/errors.ts';
import { Budgets } from '#src/runtime/budget.ts';
import type { ReflectorHealth } from '#src/runtime/reflector.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const idp = 'https://idp.example.com/realms/ci';
const down = new OperatorError({ class: 'Transient', reason: 'TlsInvalid', message: 'no trust', whose: 'Issuer' });
const forbidden = new OperatorError({ class: 'Waiting', reason: 'ApiForbidden', message: 'apply RoleBinding' });
const quota = new OperatorError({ class: 'Waiting', reason: 'QuotaExceeded', message: 'raise it' });
const otherType = new OperatorError({ class: 'Waiting', reason: 'DeliveryRefused', message: 'delete it' });

function setUp(): {
  clock: VirtualClock;
  budgets: Budgets;
  watches: Map<string, ReflectorHealth>;
  troubles: Troubles;
} {
  const clock = new VirtualClock();
  const budgets = new Budgets({ clock, random: () => 0, rateOf: () => ({ perSecond: 100 }), leaves: () => 0 });
  const watches = new Map<string, ReflectorHealth>();
  const podWatches = { health: () => [...watches], healthOf: (namespace: string) => watches.get(namespace) };
  return { clock, budgets, watches, troubles: new Troubles({ clock, budgets, podWatches }) };
}

function fail(budgets: Budgets, resource: string, outcome: OperatorError | 'Done'): void {
  const permit = budgets.start(resource, 0);
  if (permit === undefined) throw new Error('no permit');
  budgets.finish(permit, outcome);
}

test('an outage of minting is told once it lasts, with the sentence of the last call, and not again when it is over', async (t) => {
  const { clock, budgets, troubles } = setUp();
  const since = clock.now();
  fail(budgets, `${idp}/tokens`, down);
  t.is(troubles.outage(idp), undefined, 'a hiccup is not told');
  troubles.changed();
  await clock.advance(5 * second);
  t.deepEqual(troubles.outage(idp), { reason: 'TlsInvalid', message: 'no trust', since });
  t.deepEqual(troubles.changed(), { issuers: [idp], namespaces: [] });
  t.deepEqual(troubles.changed(), { issuers: [], namespaces: [] }, 'news once');
  t.is(troubles.outage('https://other.example.com'), undefined);
  fail(budgets, `${idp}/tokens`, 'Done');
  t.is(troubles.outage(idp), undefined);
  t.deepEqual(troubles.changed().issuers, [idp]);
});

test('trouble with managing clients keeps nobody from tokens', async (t) => {
  const { clock, budgets, troubles } = setUp();
  fail(budgets, `${idp}/clients`, down);
  await clock.advance(10 * second);
  t.is(troubles.outage(idp), undefined);
});

test('pods that may not be watched are the trouble of their namespace alone', async (t) => {
  const { clock, watches, troubles } = setUp();
  const failing = {
    synced: false,
    failingSince: clock.now(),
    message: 'apply RoleBinding',
    reason: 'ApiForbidden',
  } as const;
  watches.set('ci-a', failing);
  watches.set('ci-b', { synced: true });
  watches.set('ci-c', { ...failing, reason: 'ApiServerUnavailable' });
  t.is(troubles.ofNamespace('ci-a'), undefined, 'a RoleBinding often comes a moment after the label');
  await clock.advance(5 * second);
  t.deepEqual(troubles.ofNamespace('ci-a'), { reason: 'ApiForbidden', message: 'apply RoleBinding' });
  t.is(troubles.ofNamespace('ci-b'), undefined);
  t.is(troubles.ofNamespace('ci-c'), undefined, 'an API server in trouble is nobody’s namespace');
  t.deepEqual(troubles.changed().namespaces, ['ci-a']);
  watches.set('ci-a', { synced: true });
  t.deepEqual(troubles.changed().namespaces, ['ci-a']);
  t.deepEqual(troubles.changed().namespaces, []);
});

for (const [name, error, told] of [
  ['a missing right', forbidden, true],
  ['a used-up quota', quota, true],
  ['one Secret of another type', otherType, false],
  ['a bug', new Error('bug'), false],
] as const) {
  test(`a delivery is refused for ${name}: ${told ? 'the whole namespace is told, until one succeeds' : 'not the namespace'}`, (t) => {
    const { troubles } = setUp();
    troubles.delivered('ci-a', error);
    t.is(troubles.ofNamespace('ci-a')?.message, told && error instanceof OperatorError ? error.message : undefined);
    t.is(troubles.ofNamespace('ci-b'), undefined);
    troubles.delivered('ci-b');
    t.is(troubles.ofNamespace('ci-a') === undefined, !told);
    troubles.delivered('ci-a');
    t.is(troubles.ofNamespace('ci-a'), undefined);
  });
}

test('a namespace that goes takes its trouble along', (t) => {
  const { watches, troubles } = setUp();
  watches.set('ci-a', { synced: true });
  troubles.delivered('ci-a', quota);
  t.deepEqual(troubles.changed().namespaces, ['ci-a']);
  t.deepEqual(troubles.ofNamespace('ci-a'), { reason: 'QuotaExceeded', message: 'raise it' });
  watches.delete('ci-a');
  t.deepEqual(troubles.changed().namespaces, ['ci-a']);
  watches.set('ci-a', { synced: true });
  t.is(troubles.ofNamespace('ci-a'), undefined);
  t.deepEqual(troubles.changed().namespaces, []);
});
