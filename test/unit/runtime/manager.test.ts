import test from 'ava';
import { plus, second } from '#src/clock.ts';
import { LostLeaseError } from '#src/errors.ts';
import { type Part, loopLag, manage } from '#src/runtime/manager.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });
}

function part(name: string, log: string[], o: Partial<Part> & { readonly after?: () => Promise<void> } = {}): Part {
  return {
    name,
    run: async (signal) => {
      log.push(`${name} up`);
      await untilAborted(signal);
      await o.after?.();
      log.push(`${name} down`);
    },
    ...o,
  };
}

test('parts start in order, each when the one before is ready, and stop in reverse order', async (t) => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const log: string[] = [];
  const ready = (name: string) => async (signal: AbortSignal) => {
    await clock.sleepUntil(plus(clock.now(), second), signal);
    log.push(`${name} ready`);
  };
  const all = manage(
    [
      part('watches', log, { ready: ready('watches') }),
      part('lease', log, { ready: ready('lease') }),
      part('loop', log),
    ],
    { clock, stop: stop.signal },
  );
  await clock.advance(3 * second);
  stop.abort();
  await all;
  t.deepEqual(log, [
    'watches up',
    'watches ready',
    'lease up',
    'lease ready',
    'loop up',
    'loop down',
    'lease down',
    'watches down',
  ]);
});

test('a stop while a part is not ready yet starts nothing more', async (t) => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const log: string[] = [];
  const all = manage([part('lease', log, { ready: () => new Promise(() => {}) }), part('loop', log)], {
    clock,
    stop: stop.signal,
  });
  await clock.settle();
  stop.abort();
  await all;
  t.deepEqual(log, ['lease up', 'lease down']);
});

test('a part that rejects takes all others down at once and is the reason', async (t) => {
  const clock = new VirtualClock();
  const log: string[] = [];
  const lost = new LostLeaseError('gone');
  const run = manage(
    [
      part('watches', log),
      {
        name: 'lease',
        run: async (signal) => {
          await clock.sleepUntil(plus(clock.now(), second), signal);
          throw lost;
        },
      },
      part('loop', log),
    ],
    { clock, stop: new AbortController().signal },
  );
  const failed = t.throwsAsync(run, { is: lost });
  await clock.advance(second);
  await failed;
  await clock.settle();
  t.deepEqual(log.slice(2).toSorted(), ['loop down', 'watches down']);
});

test('a part that ends by itself is a failure', async (t) => {
  const run = manage([{ name: 'loop', run: async () => {} }], {
    clock: new VirtualClock(),
    stop: new AbortController().signal,
  });
  await t.throwsAsync(run, { message: 'part loop ended by itself' });
});

test('a part that does not end is left behind after 25 s, and the rest is still told', async (t) => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const log: string[] = [];
  const all = manage([part('lease', log), part('stuck', log, { after: () => new Promise(() => {}) })], {
    clock,
    stop: stop.signal,
  });
  await clock.settle();
  stop.abort();
  let ended = false;
  const watched = all.then(() => (ended = true));
  await clock.advance(24 * second);
  t.false(ended);
  await clock.advance(1 * second);
  await watched;
  await clock.settle();
  t.deepEqual(log, ['lease up', 'stuck up', 'lease down']);
});

test('an event loop that stood still for longer than the lease allows is a lost lease', async (t) => {
  const clock = new VirtualClock();
  const lags: number[] = [];
  const run = loopLag({ clock, limit: 10 * second, onLag: (lag) => lags.push(lag) }).run(new AbortController().signal);
  await clock.advance(2 * second);
  await clock.freeze(6 * second);
  t.deepEqual(lags.slice(0, 3), [0, 0, 5000]);
  const lost = t.throwsAsync(run, { instanceOf: LostLeaseError, message: /stood still for 11 s/ });
  await clock.freeze(12 * second);
  await lost;
});
