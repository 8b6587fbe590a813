import test from 'ava';
import { type Instant, minute, plus, second } from '#src/clock.ts';
import { Troubles } from '#src/controllers/status/troubles.ts';
import { OperatorError } from '#src/errors.ts';
import { Budgets } from '#src/runtime/budget.ts';
import type { ReflectorHealth } from '#src/runtime/reflector.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const idp = 'https://idp.example.com/realms/ci';
const down = new OperatorError({ class: 'Transient', reason: 'TlsInvalid', message: 'no trust', whose: 'Issuer' });
const forbidden = new OperatorError({ class: 'Waiting', reason: 'ApiForbidden', message: 'apply RoleBinding' });
const quota = new OperatorError({ class: 'Waiting', reason: 'QuotaExceeded', message: 'raise it' });
const otherType = new OperatorError({ class: 'Waiting', reason: 'DeliveryRefused', message: 'delete it' });

const limitedUntil = (retryAt: Instant): OperatorError =>
  new OperatorError({ class: 'Transient', reason: 'RateLimited', message: 'too many calls', whose: 'Issuer', retryAt });

function setUp(): {
  clock: VirtualClock;
  budgets: Budgets;
  watches: Map<string, ReflectorHealth>;
  troubles: Troubles;
} {
  const clock = new VirtualClock();
  const budgets = new Budgets({ clock, random: () => 0, rateOf: () => ({ perSecond: 100 }), reservedShare: () => 0 });
  const watches = new Map<string, ReflectorHealth>();
  const podWatches = { health: () => [...watches], healthOf: (namespace: string) => watches.get(namespace) };
  return { clock, budgets, watches, troubles: new Troubles({ clock, budgets, podWatches }) };
}

function fail(budgets: Budgets, resource: string, outcome: OperatorError | 'Done', party?: string): void {
  const permit = budgets.start(resource, 0);
  if (permit === undefined) throw new Error('no permit');
  budgets.finish(permit, outcome, party);
}

test('an outage of minting is told once it lasts, with the sentence of the last call, and not again when it is over', async (t) => {
  const { clock, budgets, troubles } = setUp();
  const since = clock.now();
  fail(budgets, `${idp}/tokens`, down);
  t.is(troubles.outage(idp, 'a'), undefined, 'a hiccup is not told');
  troubles.changed();
  await clock.advance(5 * second);
  t.deepEqual(troubles.outage(idp, 'a'), { reason: 'TlsInvalid', message: 'no trust', since });
  t.deepEqual(troubles.changed(), { issuers: [idp], namespaces: [] });
  t.deepEqual(troubles.changed(), { issuers: [], namespaces: [] }, 'news once');
  t.is(troubles.outage('https://other.example.com', 'a'), undefined);
  fail(budgets, `${idp}/tokens`, 'Done');
  t.is(troubles.outage(idp, 'a'), undefined);
  t.deepEqual(troubles.changed().issuers, [idp]);
});

test('a long pause for which the provider asked is told with its end, the same at each look, and no longer than it lasts', async (t) => {
  const { clock, budgets, troubles } = setUp();
  const nextTry = plus(clock.now(), 10 * minute);
  fail(budgets, `${idp}/tokens`, limitedUntil(nextTry));
  for (const passed of [5 * second, 9 * minute]) {
    await clock.advance(passed);
    t.is(troubles.outage(idp, 'a')?.nextTry, nextTry);
  }
  await clock.advance(minute);
  fail(budgets, `${idp}/tokens`, down);
  t.is(troubles.outage(idp, 'a')?.reason, 'TlsInvalid');
  t.is(troubles.outage(idp, 'a')?.nextTry, undefined);
});

test('one client that alone was asked to wait for long is told until when', async (t) => {
  const { clock, budgets, troubles } = setUp();
  fail(budgets, `${idp}/tokens`, 'Done', 'b');
  const retryAt = plus(clock.now(), 15 * minute);
  fail(budgets, `${idp}/tokens`, limitedUntil(retryAt), 'a');
  await clock.advance(5 * second);
  t.like(troubles.outage(idp, 'a'), { reason: 'RateLimited', nextTry: retryAt });
  t.is(troubles.outage(idp, 'b'), undefined);
});

/** Who tries, one try each ten seconds (`a!` fails), and of whom an outage is told then. */
for (const [what, tries, told] of [
  ['one that fails alone says so, whoever else is served', 'a! b a! b', ['a']],
  ['also while nobody else tries', 'b a!', ['a']],
  ['and no longer once it is served', 'a! b a! b a', []],
  ['a hiccup of one, after which others are served', 'a! b', []],
  ['two that fail: it may be everybody', 'a! b!', ['a', 'b', 'c']],
  ['until a third one is served', 'a! b! c', []],
  ['after which those that go on failing say so', 'a! b! c a! b! a! c', ['a', 'b']],
  ['two that have failed for long beside others are still two', 'a! b a! b c! b a! c! b', ['a', 'c']],
  [
    'everybody, and the one in trouble from before: whoever gets through ends it for all but that one',
    'a! b a! b b! c! b',
    ['a'],
  ],
] as const) {
  test(`whose trouble it is: ${what}`, async (t) => {
    const { clock, budgets, troubles } = setUp();
    for (const one of tries.split(' ')) {
      fail(budgets, `${idp}/tokens`, one.endsWith('!') ? down : 'Done', one[0]);
      await clock.advance(10 * second);
    }
    const are = ['a', 'b', 'c'].filter((client) => troubles.outage(idp, client) !== undefined);
    t.deepEqual(are, [...told]);
  });
}

test('a pause that the provider asks for is everybody’s, however long ago the one call was that met it', async (t) => {
  const { clock, budgets, troubles } = setUp();
  const closed = { class: 'Transient', reason: 'ProviderUnavailable', message: 'closed', whose: 'Issuer' } as const;
  fail(budgets, `${idp}/tokens`, new OperatorError({ ...closed, retryAt: plus(clock.now(), 60 * minute) }), 'a');
  for (const after of [5 * second, 29 * minute, 30 * minute]) {
    await clock.advance(after);
    for (const client of ['a', 'b', '']) t.is(troubles.outage(idp, client)?.message, 'closed', `${client} ${after}`);
  }
  await clock.advance(minute);
  fail(budgets, `${idp}/tokens`, 'Done', 'b');
  t.is(troubles.outage(idp, 'b'), undefined);
});

test('one that has to wait for long alone says so all the time, also longer than it would be remembered otherwise', async (t) => {
  const { clock, budgets, troubles } = setUp();
  const busy = { class: 'Transient', reason: 'RateLimited', message: 'wait', whose: 'Issuer' } as const;
  fail(budgets, `${idp}/tokens`, 'Done', 'b');
  fail(budgets, `${idp}/tokens`, new OperatorError({ ...busy, retryAt: plus(clock.now(), 15 * minute) }), 'a');
  t.is(troubles.outage(idp, 'a'), undefined, 'a hiccup is not told');
  for (const after of [5 * second, 9 * minute, 5 * minute]) {
    await clock.advance(after);
    t.deepEqual(
      ['a', 'b', ''].map((client) => troubles.outage(idp, client)?.message),
      ['wait', undefined, undefined],
    );
  }
  await clock.advance(minute);
  fail(budgets, `${idp}/tokens`, 'Done', 'a');
  t.is(troubles.outage(idp, 'a'), undefined);
});

test('the trouble of one client does not come and go while others are served, and is news only as it begins and ends', async (t) => {
  const { clock, budgets, troubles } = setUp();
  const told = new Set<string>();
  let news = 0;
  for (let n = 0; n < 60; n += 1) {
    for (const [client, outcome] of [['a', down] as const, ['b', 'Done'] as const]) {
      fail(budgets, `${idp}/tokens`, outcome, client);
      await clock.advance(second);
      if (troubles.changed().issuers.length > 0) news += 1;
      if (n > 5) told.add(['a', 'b'].map((one) => troubles.outage(idp, one)?.reason).join());
    }
  }
  t.deepEqual([...told], ['TlsInvalid,']);
  t.true(news <= 3, `${news}`);
  fail(budgets, `${idp}/tokens`, 'Done', 'a');
  t.is(troubles.outage(idp, 'a'), undefined);
  t.deepEqual(troubles.changed().issuers, [idp]);
});

test('nobody has tried for ten minutes on behalf of the one that failed: it is forgotten', async (t) => {
  const { clock, budgets, troubles } = setUp();
  for (const outcome of [down, down]) {
    fail(budgets, `${idp}/tokens`, outcome, 'a');
    await clock.advance(10 * second);
  }
  fail(budgets, `${idp}/tokens`, 'Done', 'b');
  t.truthy(troubles.outage(idp, 'a'));
  await clock.advance(10 * minute);
  t.is(troubles.outage(idp, 'a'), undefined);
});

test('trouble with managing clients keeps nobody from tokens', async (t) => {
  const { clock, budgets, troubles } = setUp();
  fail(budgets, `${idp}/clients`, down);
  await clock.advance(10 * second);
  t.is(troubles.outage(idp, 'a'), undefined);
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
