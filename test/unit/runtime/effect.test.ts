import test from 'ava';
import { second } from '#src/clock.ts';
import { LostLeaseError, OperatorError } from '#src/errors.ts';
import { Effects, type EffectsOptions } from '#src/runtime/effect.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const never = new AbortController().signal;

function setUp(options: Partial<EffectsOptions> = {}): { clock: VirtualClock; effects: Effects; seen: string[] } {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const onEffect = (name: string, outcome: string, took: number): void => void seen.push(`${name} ${outcome} ${took}`);
  return { clock, seen, effects: new Effects({ clock, held: () => true, onEffect, ...options }) };
}

const hang = (): Promise<never> => new Promise(() => {});

test('the answer comes back, is measured, and leaves no sleeper', async (t) => {
  const { clock, effects, seen } = setUp();
  t.is(await effects.run('x', { deadline: second, signal: never }, async () => 7), 7);
  t.deepEqual(seen, ['x Done 0']);
  await clock.settle();
  t.is(clock.sleeping, 0);
});

test('without the lease nothing is called', async (t) => {
  const { effects, seen } = setUp({ held: () => false });
  await t.throwsAsync(
    effects.run('x', { deadline: second, signal: never }, () => Promise.resolve(t.fail())),
    { instanceOf: LostLeaseError },
  );
  t.deepEqual(seen, ['x LostLease 0']);
});

for (const whose of ['Object', 'Issuer'] as const) {
  test(`a call that hangs and ignores its signal is Transient after its deadline, and ${whose}'s`, async (t) => {
    const { clock, effects, seen } = setUp();
    let told = false;
    const call = effects.run('x', { deadline: 10 * second, signal: never, whose }, (signal) => {
      signal.addEventListener('abort', () => (told = true));
      return hang();
    });
    const failed = t.throwsAsync<OperatorError>(call, {
      instanceOf: OperatorError,
      message: 'x took longer than 10 s; it is tried again',
    });
    await clock.advance(10 * second);
    const error = await failed;
    t.like(error, { class: 'Transient', reason: 'TimedOut', whose });
    t.true(told);
    t.deepEqual(seen, ['x Transient 10000']);
  });
}

test('a lease that is lost during the call ends it as a lost lease', async (t) => {
  const lost = new AbortController();
  const { effects, seen } = setUp({ lost: lost.signal });
  const call = t.throwsAsync(effects.run('x', { deadline: second, signal: never }, hang), {
    instanceOf: LostLeaseError,
  });
  lost.abort(new Error('over'));
  await call;
  t.deepEqual(seen, ['x LostLease 0']);
});

test("the caller's abort ends it with the caller's reason", async (t) => {
  const stop = new AbortController();
  const { effects, seen } = setUp();
  const call = t.throwsAsync(effects.run('x', { deadline: second, signal: stop.signal }, hang), { message: 'enough' });
  stop.abort(new Error('enough'));
  await call;
  t.deepEqual(seen, ['x Cancelled 0']);
});

test('what the call throws comes through, with its class in the metric', async (t) => {
  const { effects, seen } = setUp();
  const conflict = new OperatorError({ class: 'Conflict', reason: 'ApiConflict', message: 'late' });
  await t.throwsAsync(
    effects.run('a', { deadline: second, signal: never }, () => Promise.reject(conflict)),
    { is: conflict },
  );
  await t.throwsAsync(effects.run('b', { deadline: second, signal: never }, () => Promise.reject(new TypeError('x'))));
  t.deepEqual(seen, ['a Conflict 0', 'b Bug 0']);
});

test('crash points lie right before and right after the call', async (t) => {
  const order: string[] = [];
  const { effects } = setUp({ crash: (name, moment) => void order.push(`${moment} ${name}`) });
  await effects.run('x', { deadline: second, signal: never }, async () => void order.push('call'));
  t.deepEqual(order, ['before x', 'call', 'after x']);
});
