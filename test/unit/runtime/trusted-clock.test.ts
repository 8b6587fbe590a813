import test from 'ava';
import fc from 'fast-check';
import { type Clock, day, hour, type Instant, instant, minute, type Milliseconds, plus, second } from '#src/clock.ts';
import { TrustedClock } from '#src/runtime/trusted-clock.ts';

const noon = instant(Date.UTC(2026, 10, 24, 12));

/** A machine: true time goes on, its wall clock may be wrong, and its monotonic clock stands still while it sleeps. */
class Machine implements Clock {
  truth: Instant = noon;
  error: Milliseconds = 0;
  #monotonic = 0;

  now(): Instant {
    return plus(this.truth, this.error);
  }

  monotonic(): Milliseconds {
    return this.#monotonic;
  }

  sleepUntil(): Promise<void> {
    return Promise.resolve();
  }

  run(by: Milliseconds): void {
    this.truth = plus(this.truth, by);
    this.#monotonic += by;
  }

  sleep(by: Milliseconds): void {
    this.truth = plus(this.truth, by);
  }
}

test('a wall clock that jumps a day is not believed, and nothing is when it comes back', (t) => {
  for (const jump of [day, -day, hour, -5 * minute]) {
    const machine = new Machine();
    const clock = new TrustedClock(machine);
    clock.witness(machine.truth);
    machine.run(hour);
    machine.error = jump;
    t.is(clock.now(), machine.truth);
    machine.run(hour);
    clock.witness(machine.truth);
    t.is(clock.now(), machine.truth);
    machine.error = 0;
    t.is(clock.now(), machine.truth);
  }
});

test('an API server whose clock jumps alone is not believed', (t) => {
  const machine = new Machine();
  const clock = new TrustedClock(machine);
  clock.witness(machine.truth);
  machine.run(hour);
  clock.witness(plus(machine.truth, day));
  t.is(clock.now(), machine.truth);
});

test('a machine that slept over a day knows it with the first answer of the API server', (t) => {
  const machine = new Machine();
  const clock = new TrustedClock(machine);
  clock.witness(machine.truth);
  machine.sleep(day);
  t.is(clock.now(), plus(noon, 0), 'nobody has confirmed it yet');
  clock.witness(machine.truth);
  t.is(clock.now(), machine.truth);
});

test('started on a machine with a wrong clock: the first answer of the API server sets it right', (t) => {
  const machine = new Machine();
  machine.error = day;
  const clock = new TrustedClock(machine);
  clock.witness(machine.truth);
  t.is(clock.now(), machine.truth);
  machine.run(hour);
  t.is(clock.now(), machine.truth);
});

test('small corrections are followed, however many there are', (t) => {
  const machine = new Machine();
  const clock = new TrustedClock(machine);
  for (let i = 0; i < 1_000; i += 1) {
    machine.run(hour);
    machine.error += 30 * second;
    t.is(clock.now(), machine.now());
  }
});

test('one clock that lies at a time never moves the trusted one by more than a minute', (t) => {
  const step = fc.record({
    run: fc.integer({ min: 0, max: day }),
    sleep: fc.constantFrom(0, 0, 0, hour, 30 * day),
    liar: fc.constantFrom('Nobody', 'Nobody', 'Wall', 'Server'),
    by: fc.integer({ min: -2 * day, max: 2 * day }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const machine = new Machine();
      const clock = new TrustedClock(machine);
      clock.witness(machine.truth);
      for (const { run, sleep, liar, by } of steps) {
        machine.run(run);
        machine.error = sleep === 0 && liar === 'Wall' ? by : 0;
        machine.sleep(sleep);
        clock.witness(sleep === 0 && liar === 'Server' ? plus(machine.truth, by) : machine.truth);
        if (Math.abs(clock.now() - machine.truth) > 2 * minute) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('a sleep ends after its own length, whatever the wall clock shows', async (t) => {
  const asked: Instant[] = [];
  const machine = new Machine();
  machine.sleepUntil = (...args: unknown[]) => {
    asked.push(args[0] as Instant);
    return Promise.resolve();
  };
  const clock = new TrustedClock(machine);
  clock.witness(machine.truth);
  machine.error = day;
  await clock.sleepUntil(plus(machine.truth, hour), AbortSignal.timeout(1_000));
  t.deepEqual(asked, [plus(noon, day + hour)]);
});
