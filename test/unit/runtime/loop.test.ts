import test from 'ava';
import fc from 'fast-check';
import { type Instant, instant, minute, plus, second, systemClock } from '#src/clock.ts';
import type { Decision, Work } from '#src/decision.ts';
import { type ErrorOptions, LostLeaseError, OperatorError } from '#src/errors.ts';
import { workersFor } from '#src/controllers/pool-providers.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Loop, type LoopOptions } from '#src/runtime/loop.ts';
import type { FailureNote, Machine } from '#src/runtime/machine.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

interface Seen {
  readonly key: string;
  readonly failure: FailureNote | undefined;
}

type Decide = (seen: Seen, now: Instant) => Decision<string>;
type Apply = (key: string, decision: Decision<string>, signal: AbortSignal) => Promise<void> | void;

interface Run {
  readonly clock: VirtualClock;
  readonly loop: Loop;
  readonly budgets: Budgets;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  readonly log: string[];
  readonly errors: unknown[];
  end(): Promise<void>;
}

function start(decide: Decide, apply: Apply = () => {}, options: Partial<LoopOptions> = {}): Run {
  const clock = new VirtualClock();
  const log: string[] = [];
  const errors: unknown[] = [];
  const budgets = new Budgets({
    clock,
    random: () => 0.5,
    rateOf: () => ({ perSecond: 100, parallel: 16 }),
    reservedShare: () => 0,
  });
  const loop = new Loop({
    clock,
    random: () => 0.999999,
    budgets,
    onFailure: (_m, _k, _r, error) => errors.push(error),
    ...options,
  });
  const machine: Machine<Seen, string> = {
    name: 'm',
    snapshot: (key, [failure]) => (key.startsWith('unknown') ? undefined : { key, failure }),
    decide,
    async apply(key, _snapshot, decision, signal) {
      log.push(`${clock.monotonic()} ${key} ${decision.action}`);
      await apply(key, decision, signal);
    },
  };
  loop.register(machine);
  const stop = new AbortController();
  const ended = loop.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await ended;
  };
  return { clock, loop, budgets, stop, ended, log, errors, end };
}

const nothing: Decision<string> = { row: 'settled', reason: 'Settled' };
const todo = (row: string, work: Partial<Work> = {}, action = row): Decision<string> => ({
  row,
  action,
  reason: 'InProgress',
  work: { lane: 2, by: instant(0), group: 'ns', ...work },
});
const failing = (o: Partial<ErrorOptions> & Pick<ErrorOptions, 'class'>): OperatorError =>
  new OperatorError({ reason: 'ApiServerUnavailable', message: 'as told', ...o });
const times = (log: readonly string[]): number[] => log.map((line) => Number(line.split(' ')[0]));
const gaps = (log: readonly string[]): number[] =>
  times(log)
    .slice(1)
    .map((at, i) => at - (times(log)[i] ?? 0));

test('wake → one effect after the other until nothing is to be done → recheck', async (t) => {
  const state = { step: 0, rechecks: 0 };
  const run = start(
    ({ key }, now) => {
      if (state.step < 3) return todo(`step${state.step}`);
      if (key === 'k') state.rechecks += 1;
      return { ...nothing, recheckAt: plus(now, 1 * minute) };
    },
    () => {
      state.step += 1;
    },
  );
  run.loop.wake('m', 'k');
  await run.loop.idle();
  t.deepEqual(run.log, ['0 k step0', '0 k step1', '0 k step2']);
  const before = state.rechecks;
  await run.clock.advance(3 * minute);
  t.is(state.rechecks, before + 3);
  await run.end();
});

test('a recheck comes at its moment, however near; one in the past comes after a second', async (t) => {
  const looks: Instant[] = [];
  const began = new VirtualClock().now();
  const run = start((_seen, now) => {
    looks.push(now);
    return { ...nothing, recheckAt: plus(began, 300) };
  });
  run.loop.wake('m', 'k');
  await run.clock.advance(2 * second);
  t.deepEqual(looks, [began, plus(began, 300), plus(began, 1300)]);
  await run.end();
});

test('before it runs the last wake decides on the order, then the first', async (t) => {
  const clock = new VirtualClock();
  const budgets = new Budgets({ clock, random: () => 0.5, rateOf: () => ({ perSecond: 1 }), reservedShare: () => 0 });
  const loop = new Loop({ clock, random: () => 0.5, budgets });
  const looked: string[] = [];
  const machine: Machine<string, string> = {
    name: 'm',
    snapshot: (key) => {
      looked.push(key);
      return key;
    },
    decide: () => nothing,
    apply: async () => {},
  };
  loop.register(machine);
  for (const key of ['a', 'b', 'c', 'b', 'a']) loop.wake('m', key);
  const stop = new AbortController();
  const ended = loop.run(stop.signal);
  for (const key of ['d', 'c', 'e', 'd']) loop.wake('m', key);
  await loop.idle();
  t.deepEqual(looked, ['c', 'b', 'a', 'd', 'e']);
  stop.abort();
  await ended;
});

test('a storm of wakes costs one look per turn', async (t) => {
  let looks = 0;
  const run = start(() => {
    looks += 1;
    return nothing;
  });
  for (let i = 0; i < 10_000; i += 1) run.loop.wake('m', 'k');
  await run.loop.idle();
  t.is(looks, 1);
  await run.end();
});

test('looks that take long do not keep others from the event loop', async (t) => {
  let turns = 0;
  let isOver = false;
  const others = (): void => {
    turns += 1;
    if (!isOver) setImmediate(others);
  };
  const run = start(
    () => {
      for (const until = performance.now() + 20; performance.now() < until;);
      return nothing;
    },
    undefined,
    { clock: systemClock },
  );
  setImmediate(others);
  for (let i = 0; i < 30; i += 1) run.loop.wake('m', `k${i}`);
  await run.loop.idle();
  isOver = true;
  t.true(turns >= 5, `${turns}`);
  await run.end();
});

test('the worker decides afresh: what became void is not done and its budget is given back', async (t) => {
  let wanted = true;
  const run = start(
    ({ key }) =>
      wanted || key === 'first' ? todo('call', { resource: 'a/x', by: instant(key === 'first' ? 0 : 1) }) : nothing,
    (key) => {
      if (key === 'first') wanted = false;
      return Promise.reject(failing({ class: 'Terminal' }));
    },
    { workers: () => 1 },
  );
  run.loop.wake('m', 'first');
  run.loop.wake('m', 'second');
  await run.clock.settle();
  t.deepEqual(run.log, ['0 first call']);
  await run.end();
});

test('issuers that take their time over every call hold up nobody else', async (t) => {
  const slow = ['a', 'b', 'c'];
  const run = start(
    ({ key }) => todo('call', key === 'record' ? {} : { resource: `${key.split('-')[0]}/tokens` }),
    (key) => (slow.includes(key.slice(0, 1)) ? new Promise(() => undefined) : undefined),
    { workers: () => workersFor(slow.length + 1) },
  );
  for (const issuer of slow) for (let i = 0; i < 30; i += 1) run.loop.wake('m', `${issuer}-${i}`);
  await run.clock.settle();
  for (const key of ['good-1', 'record']) run.loop.wake('m', key);
  await run.clock.settle();
  for (const key of ['good-1', 'record'])
    t.true(
      run.log.some((line) => line.includes(` ${key} `)),
      key,
    );
});

test('a key of which nothing is known is forgotten', async (t) => {
  const run = start(() => todo('never'));
  run.loop.wake('m', 'unknown');
  await run.loop.idle();
  t.deepEqual(run.log, []);
  t.deepEqual(run.loop.depth(), { lanes: new Map(), delayed: 0, running: 0 });
  await run.end();
});

test('row changes are reported once, with the row before', async (t) => {
  const rows: string[] = [];
  let done = false;
  const run = start(
    () => (done ? nothing : todo('call')),
    () => {
      done = true;
    },
    { onDecision: (_m, key, decision, previous) => rows.push(`${key}: ${previous} → ${decision.row}`) },
  );
  run.loop.wake('m', 'k');
  await run.loop.idle();
  run.loop.wake('m', 'k');
  await run.loop.idle();
  t.deepEqual(rows, ['k: undefined → call', 'k: call → settled']);
  await run.end();
});

test('Transient: back-off from 50 ms to 5 min; a wake does not cut it short; success forgets it', async (t) => {
  let fail = true;
  const run = start(
    () => (fail ? todo('call') : nothing),
    () => (fail ? Promise.reject(failing({ class: 'Transient' })) : undefined),
  );
  run.loop.wake('m', 'k');
  for (let i = 0; i < 60; i += 1) {
    await run.clock.advance(30 * second);
    run.loop.wake('m', 'k');
  }
  const all = gaps(run.log);
  t.deepEqual(all.slice(0, 6), [50, 100, 200, 400, 800, 1600]);
  t.true(all.every((gap) => gap <= 5 * minute));
  t.is(all.at(-1), 5 * minute);
  t.is(run.loop.failure('m', 'k')?.attempts, run.log.length);
  fail = false;
  run.loop.wake('m', 'k');
  await run.loop.idle();
  t.is(run.loop.failure('m', 'k'), undefined);
  await run.end();
});

test('retryAt is a lower bound', async (t) => {
  const run: Run = start(
    () => todo('call'),
    () => Promise.reject(failing({ class: 'Transient', retryAt: plus(run.clock.now(), 20 * second) })),
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(19_999);
  t.is(run.log.length, 1);
  await run.clock.advance(1);
  t.is(run.log.length, 2);
  await run.end();
});

test('only a better lane cuts a back-off short', async (t) => {
  let lane = 3;
  const run = start(
    () => todo('call', { lane }),
    () => Promise.reject(failing({ class: 'Transient' })),
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(1 * minute);
  const before = run.log.length;
  lane = 4;
  run.loop.wake('m', 'k');
  await run.clock.settle();
  t.is(run.log.length, before);
  lane = 1;
  run.loop.wake('m', 'k');
  await run.clock.settle();
  t.is(run.log.length, before + 1);
  await run.end();
});

test('Conflict: once at once and silently, then with back-off', async (t) => {
  const run = start(
    () => todo('call'),
    () => Promise.reject(failing({ class: 'Conflict' })),
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(400);
  t.deepEqual(gaps(run.log), [0, 50, 100, 200]);
  t.is(run.loop.failure('m', 'k'), undefined);
  await run.end();
});

test('Conflict: news end a long wait, and then no faster than every few seconds', async (t) => {
  const run = start(
    () => todo('call'),
    () => Promise.reject(failing({ class: 'Conflict' })),
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(10 * minute);
  const before = run.log.length;
  await run.clock.advance(5 * second);
  t.is(run.log.length, before);
  run.loop.wake('m', 'k', 'Check');
  await run.clock.settle();
  t.is(run.log.length, before);
  run.loop.wake('m', 'k');
  await run.clock.settle();
  t.is(run.log.length, before + 1);
  for (let i = 0; i < 1_000; i += 1) {
    run.loop.wake('m', 'k');
    await run.clock.advance(10);
  }
  t.true(run.log.length < before + 6, `${run.log.length - before} tries in ten seconds of constant change`);
  await run.end();
});

test('Terminal: kept and tried again after ten minutes, or when something changes, and then no faster than the back-off', async (t) => {
  const run = start(
    () => todo('call'),
    () => Promise.reject(failing({ class: 'Terminal', message: 'refused' })),
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(10 * minute - 1);
  t.is(run.log.length, 1);
  t.is(run.loop.failure('m', 'k')?.error.message, 'refused');
  await run.clock.advance(1);
  t.is(run.log.length, 2);
  await run.clock.advance(1 * minute);
  run.loop.wake('m', 'k', 'Check');
  await run.clock.settle();
  t.is(run.log.length, 2);
  run.loop.wake('m', 'k');
  await run.clock.settle();
  t.is(run.log.length, 3);
  for (let i = 0; i < 1000; i += 1) {
    run.loop.wake('m', 'k');
    await run.clock.advance(10);
  }
  t.true(run.log.length < 13, `${run.log.length} tries in ten seconds of constant change`);
  await run.end();
});

for (const when of [1 * second, 3 * second]) {
  test(`what was refused is mended ${when / second} s after a call left that takes 2 s: it is tried again at once`, async (t) => {
    let mended = false;
    let done = false;
    const run: Run = start(
      () => (done ? nothing : todo('call')),
      async () => {
        const saw = mended;
        await run.clock.sleepUntil(plus(run.clock.now(), 2 * second), new AbortController().signal);
        if (!saw) throw failing({ class: 'Terminal' });
        done = true;
      },
    );
    run.loop.wake('m', 'k');
    await run.clock.advance(when);
    mended = true;
    run.loop.wake('m', 'k', 'Changed');
    await run.clock.advance(10 * second);
    t.is(run.log.length, 2);
    t.true(done);
    await run.end();
  });
}

test('a look in case something was missed, while a call is under way, ends no hold', async (t) => {
  const run: Run = start(
    () => todo('call'),
    async () => {
      await run.clock.sleepUntil(plus(run.clock.now(), 2 * second), new AbortController().signal);
      throw failing({ class: 'Terminal' });
    },
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(1 * second);
  run.loop.wake('m', 'k', 'Check');
  await run.clock.advance(5 * minute);
  t.is(run.log.length, 1);
  await run.end();
});

test('Waiting: at the named time, or when something changes', async (t) => {
  const run: Run = start(
    () => todo('call'),
    () => Promise.reject(failing({ class: 'Waiting' })),
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(59_999);
  t.is(run.log.length, 1);
  run.loop.wake('m', 'k');
  await run.clock.settle();
  t.is(run.log.length, 2);
  await run.end();
});

test('an exception that nobody expected is reported, backs off and stops nobody else', async (t) => {
  const done = new Set<string>();
  const run = start(
    ({ key }) => {
      if (key === 'mad') throw new TypeError('decide is broken');
      return done.has(key) ? nothing : todo('call');
    },
    (key) => {
      if (key === 'bad') throw new TypeError('apply is broken');
      done.add(key);
    },
  );
  for (const key of ['mad', 'bad', 'good']) run.loop.wake('m', key);
  await run.clock.advance(10 * second);
  t.true(done.has('good'));
  t.is(run.loop.failure('m', 'bad')?.error.reason, 'InternalError');
  t.true(run.errors.every((error) => error instanceof TypeError));
  t.true(run.errors.length > 2 && run.errors.length < 15);
  await run.end();
});

test('an action that succeeds and is chosen again for ever is a bug: reported and slowed down', async (t) => {
  const run = start(() => todo('call'));
  run.loop.wake('m', 'k');
  await run.clock.advance(1 * minute);
  t.true(run.log.length < 25);
  t.regex(String(run.errors[0]), /row call of m was carried out and is chosen again, 5 times/);
  await run.end();
});

test('the same action again after there was nothing to do is no circle, however often', async (t) => {
  let nextAt = instant(0);
  const run = start(
    (_seen, now) => (now >= nextAt ? todo('look') : { ...nothing, recheckAt: nextAt }),
    () => {
      nextAt = plus(run.clock.now(), 1 * minute);
    },
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(20 * minute);
  t.true(run.log.length >= 20);
  t.deepEqual(run.errors, []);
  t.is(run.loop.failure('m', 'k'), undefined);
  await run.end();
});

test('a failure is shown while it holds its row back, and hidden when the time has come again', async (t) => {
  let errorDelivered = 0;
  const run = start(
    ({ failure }) => {
      if (failure?.error.class === 'Terminal')
        return errorDelivered === 0 ? todo('deliver-error') : { ...nothing, row: 'told' };
      return todo('mint');
    },
    (_key, decision) => {
      if (decision.row === 'mint') return Promise.reject(failing({ class: 'Terminal' }));
      errorDelivered += 1;
      return undefined;
    },
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(25 * minute);
  t.deepEqual(run.log, ['0 k mint', '0 k deliver-error', '600000 k mint', '1200000 k mint']);
  t.is(run.loop.failure('m', 'k')?.row, 'mint');
  await run.end();
});

test('a hold that ends while the loop looks at the key is not forgotten', async (t) => {
  let failures = 0;
  const run = start(
    ({ failure }) => {
      if (failure === undefined) return failures === 2 ? nothing : todo('work');
      // The look itself takes longer than what is left of the hold.
      void run.clock.freeze(50);
      return { ...nothing, row: 'other' };
    },
    () => {
      failures += 1;
      if (failures === 1) throw failing({ class: 'Transient' });
    },
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(1 * second);
  t.is(failures, 2, 'it was tried again');
  await run.end();
});

test('a failure is dropped when the world asks for something else, and rows that take turns do not spin', async (t) => {
  let row = 'a';
  const run = start(
    () => todo(row),
    () => {
      const now = row;
      row = row === 'a' ? 'b' : 'a';
      return now === 'a' ? Promise.reject(failing({ class: 'Transient' })) : undefined;
    },
  );
  run.loop.wake('m', 'k');
  await run.clock.advance(1 * minute);
  t.true(run.log.length < 30, `${run.log.length}`);
  await run.end();
});

test('a row that comes back while it is held back has the same failure again; after that it begins anew', async (t) => {
  let asked: 'taken' | 'proof' | 'other' = 'taken';
  const run = start(
    ({ failure }) => {
      if (asked === 'other') return { ...nothing, row: 'other' };
      return failure === undefined ? todo(asked) : { ...nothing, row: failure.error.message };
    },
    (_key, { row }) => {
      asked = row === 'taken' ? 'proof' : 'taken';
      if (row === 'taken') throw failing({ class: 'Terminal', message: 'told' });
    },
  );
  run.loop.wake('m', 'k');
  await run.loop.idle();
  t.deepEqual(run.log, ['0 k taken', '0 k proof']);
  t.is(run.loop.failure('m', 'k')?.error.message, 'told');
  asked = 'other';
  await run.clock.advance(10 * minute);
  t.is(run.loop.failure('m', 'k'), undefined);
  asked = 'taken';
  run.loop.wake('m', 'k', 'Check');
  await run.clock.settle();
  t.deepEqual(run.log.slice(2), ['600000 k taken', '600000 k proof']);
  await run.end();
});

test('an outage of an issuer is found out once, not by every key; others keep their place and go on in order', async (t) => {
  let up = false;
  const done = new Set<string>();
  const run = start(
    ({ key }) =>
      done.has(key)
        ? nothing
        : todo('call', {
            resource: key.startsWith('other') ? 'b/tokens' : 'a/tokens',
            by: instant(Number(key.slice(-3))),
          }),
    (key) => {
      if (!up && !key.startsWith('other')) return Promise.reject(failing({ class: 'Transient', whose: 'Issuer' }));
      done.add(key);
      return undefined;
    },
    { workers: () => 1 },
  );
  for (let i = 100; i < 150; i += 1) run.loop.wake('m', `k${i}`);
  for (let i = 100; i < 110; i += 1) run.loop.wake('m', `other${i}`);
  await run.clock.advance(5 * minute);
  t.is([...done].filter((key) => key.startsWith('other')).length, 10);
  const failed = run.log.filter((line) => !line.includes('other')).length;
  t.true(failed < 15, `${failed} calls in five minutes of outage`);
  t.false(run.budgets.health('a/tokens').up);
  up = true;
  await run.clock.advance(3 * minute);
  t.is(done.size, 60);
  t.true(run.budgets.health('a/tokens').up);
  await run.end();
});

test('a wall clock that is set forward is noticed within half a minute; one that is set back does not stop retries', async (t) => {
  let looks = 0;
  const run = start(
    ({ key }, now) => {
      if (key === 'recheck') looks += 1;
      return key === 'retry' ? todo('call') : { ...nothing, recheckAt: plus(now, 60 * minute) };
    },
    () => Promise.reject(failing({ class: 'Transient' })),
  );
  run.loop.wake('m', 'recheck');
  run.loop.wake('m', 'retry');
  await run.clock.settle();
  run.clock.setWall(61 * minute);
  await run.clock.advance(30 * second);
  t.is(looks, 2);
  run.clock.setWall(-24 * 60 * minute);
  const before = run.log.length;
  await run.clock.advance(10 * minute);
  t.true(run.log.length > before);
  await run.end();
});

test('a lost lease ends the loop at once and aborts what runs', async (t) => {
  let aborted = false;
  const run = start(
    ({ key }) => todo('call', { by: instant(key === 'long' ? 0 : 1) }),
    (key, _decision, signal) => {
      if (key === 'lost') return Promise.reject(new LostLeaseError('gone'));
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(signal.reason as Error);
        });
      });
    },
  );
  run.loop.wake('m', 'long');
  run.loop.wake('m', 'lost');
  await t.throwsAsync(run.ended, { instanceOf: LostLeaseError });
  t.true(aborted);
  t.deepEqual(run.errors, []);
});

test('a stop starts nothing more and waits for what runs, but not for ever', async (t) => {
  const run = start(
    () => todo('call'),
    (key, _decision, signal) =>
      key === 'short'
        ? run.clock.sleepUntil(plus(run.clock.now(), 5 * second), signal)
        : new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    { drain: 20 * second },
  );
  run.loop.wake('m', 'short');
  run.loop.wake('m', 'stuck');
  await run.clock.settle();
  run.stop.abort();
  run.loop.wake('m', 'late');
  let ended = false;
  const watched = run.ended.then(() => {
    ended = true;
  });
  await run.clock.advance(19 * second);
  t.false(ended);
  await run.clock.advance(1 * second);
  await watched;
  t.deepEqual(run.log, ['0 short call', '0 stuck call']);
});

const happening = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      key: fc.nat({ max: 9 }),
      lane: fc.nat({ max: 4 }),
      resource: fc.nat({ max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), by: fc.constantFrom(0, 3, 30, 3000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      class: fc.constantFrom(
        'Terminal' as const,
        'Waiting' as const,
        'Transient' as const,
        'Conflict' as const,
        'Bug' as const,
      ),
      whose: fc.constantFrom('Object' as const, 'Issuer' as const),
    }),
  },
);

test('never two workers on a key; every change is carried out in the end, whatever failed in between', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (history) => {
      const wanted = new Map<string, { version: number; lane: number; resource: number }>();
      const reached = new Map<string, number>();
      const running = new Set<string>();
      const failures: Error[] = [];
      const run: Run = start(
        ({ key }) => {
          const want = wanted.get(key);
          if (want === undefined || reached.get(key) === want.version) return nothing;
          return todo(
            'reach',
            { lane: want.lane, group: `g${key}`, ...(want.resource === 0 ? {} : { resource: `r${want.resource}/x` }) },
            `${want.version}`,
          );
        },
        async (key, decision) => {
          t.false(running.has(key));
          running.add(key);
          await run.clock.sleepUntil(plus(run.clock.now(), 5), new AbortController().signal);
          running.delete(key);
          const failure = failures.shift();
          if (failure !== undefined) throw failure;
          reached.set(key, Number(decision.action));
        },
        { workers: () => 3 },
      );
      for (const h of history) {
        if (h.do === 'change') {
          const key = `k${h.key}`;
          wanted.set(key, { version: (wanted.get(key)?.version ?? 0) + 1, lane: h.lane, resource: h.resource });
          run.loop.wake('m', key);
        } else if (h.do === 'wait') {
          await run.clock.advance(h.by);
        } else {
          failures.push(h.class === 'Bug' ? new TypeError('bug') : failing({ class: h.class, whose: h.whose }));
        }
      }
      await run.clock.advance(3 * 60 * minute);
      for (const [key, { version }] of wanted) t.is(reached.get(key), version);
      t.deepEqual(run.loop.depth().delayed, 0);
      await run.end();
      t.is(run.clock.sleeping, 0);
    }),
    { numRuns: 60 },
  );
});

test('thousands of keys per second', async (t) => {
  const done = new Set<string>();
  const run = start(
    ({ key }) => (done.has(key) ? nothing : todo('call', { group: key.slice(0, 2), lane: key.length % 5 })),
    (key) => {
      done.add(key);
    },
  );
  const before = process.cpuUsage();
  for (let i = 0; i < 20_000; i += 1) run.loop.wake('m', `${i}`);
  await run.loop.idle();
  t.is(done.size, 20_000);
  // CPU time: the machine may be busy with other things.
  t.true(process.cpuUsage(before).user < 4_000_000);
  await run.end();
});
