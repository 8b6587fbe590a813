import test from 'ava';
import fc from 'fast-check';
import { type Clock, type Instant, type Milliseconds, minute, plus, second } from '#src/clock.ts';
import { LostLeaseError, OperatorError } from '#src/errors.ts';
import { Leader, type LeaseAccess, type LeaseState, type StoredLease } from '#src/runtime/leader.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** One lease with compare-and-set, as the API server keeps it. */
class Lease {
  stored: StoredLease | undefined;
  /** What each call does before it reaches the lease. */
  fault: 'None' | 'Down' | 'Hang' | 'AnswerLost' = 'None';
  #version = 0;

  access(clock: Clock): LeaseAccess {
    const meet = async <T>(signal: AbortSignal, act: () => T): Promise<T> => {
      await Promise.resolve();
      const down = new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'down' });
      if (this.fault === 'Down') throw down;
      if (this.fault === 'Hang') await clock.sleepUntil(plus(clock.now(), 60 * minute), signal);
      signal.throwIfAborted();
      const answer = act();
      if (this.fault === 'AnswerLost') throw down;
      return answer;
    };
    return {
      get: (signal) => meet(signal, () => this.stored),
      create: (state, signal) => meet(signal, () => this.#write(state, undefined)),
      update: (state, version, signal) => meet(signal, () => this.#write(state, version)),
    };
  }

  #write(state: LeaseState, version: string | undefined): StoredLease {
    if (this.stored?.version !== version)
      throw new OperatorError({ class: 'Conflict', reason: 'ApiConflict', message: 'late' });
    this.#version = Math.max(this.#version, Number(version ?? 0)) + 1;
    this.stored = { ...state, version: String(this.#version) };
    return this.stored;
  }
}

function elect(
  id: string,
  lease: Lease,
  clock: Clock,
): { leader: Leader; stop: AbortController; ended: Promise<unknown>; lost: string[] } {
  const lost: string[] = [];
  const leader = new Leader({
    id,
    lease: lease.access(clock),
    clock,
    random: () => 0.5,
    onLost: (why) => lost.push(why),
  });
  const stop = new AbortController();
  return { leader, stop, ended: leader.run(stop.signal).catch((error: unknown) => error), lost };
}

test('the first takes the lease, the second waits; a release hands over within the retry time and raises the epoch', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  const b = elect('b', lease, clock);
  await clock.advance(5 * minute);
  t.true(a.leader.held());
  t.false(b.leader.held());
  t.is(a.leader.epoch, 1);
  t.throws(() => b.leader.epoch, { instanceOf: LostLeaseError });
  a.stop.abort();
  await a.ended;
  t.false(a.leader.held());
  t.is(lease.stored?.holder, '');
  await clock.advance(3 * second);
  t.true(b.leader.held());
  t.is(b.leader.epoch, 2);
  await b.leader.acquired();
  b.stop.abort();
  await b.ended;
  t.deepEqual([a.lost, b.lost], [[], []]);
  t.is(clock.sleeping, 0);
});

for (const fault of ['Down', 'Hang'] as const) {
  test(`an API server that is ${fault === 'Down' ? 'down' : 'hanging'}: no effect after ten seconds, the process is told once and never rejoins`, async (t) => {
    const clock = new VirtualClock();
    const lease = new Lease();
    const a = elect('a', lease, clock);
    await clock.advance(5 * second);
    lease.fault = fault;
    // Renewed last when 4 s had passed.
    await clock.advance(9 * second - 1);
    t.true(a.leader.held());
    await clock.advance(1);
    t.false(a.leader.held());
    t.true(a.leader.lost.aborted);
    lease.fault = 'None';
    await clock.advance(1 * minute);
    t.true((await a.ended) instanceof LostLeaseError);
    t.false(a.leader.held());
    t.is(a.lost.length, 1);
  });
}

test('a hiccup of eight seconds is survived', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  lease.fault = 'Down';
  await clock.advance(8 * second);
  lease.fault = 'None';
  await clock.advance(5 * minute);
  t.true(a.leader.held());
  a.stop.abort();
  await a.ended;
});

test('a renewal whose answer was lost is recognised as our own', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  lease.fault = 'AnswerLost';
  await clock.advance(4 * second);
  lease.fault = 'None';
  await clock.advance(1 * minute);
  t.true(a.leader.held());
  a.stop.abort();
  await a.ended;
});

test('frozen beyond its lease: not held the moment it wakes up, before any timer fired', async (t) => {
  const clock = new VirtualClock();
  const a = elect('a', new Lease(), clock);
  await clock.advance(1 * second);
  const frozen = clock.freeze(11 * second);
  t.false(a.leader.held());
  await frozen;
  t.true((await a.ended) instanceof LostLeaseError);
});

test('a wall clock that jumps neither loses the lease nor steals it', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  const b = elect('b', lease, clock);
  for (const jump of [60 * minute, -120 * minute, 24 * 60 * minute]) {
    clock.setWall(jump);
    await clock.advance(1 * minute);
    t.true(a.leader.held());
    t.false(b.leader.held());
  }
  a.stop.abort();
  b.stop.abort();
  await Promise.all([a.ended, b.ended]);
});

for (const { what, gains, stolen, sure, within } of [
  { what: 'nothing happened', gains: 0, stolen: false, sure: true, within: 0 },
  { what: 'the wall clock was set back by a day', gains: -24 * 60 * minute, stolen: false, sure: true, within: 0 },
  { what: 'the wall clock gains 4 s', gains: 4 * second, stolen: false, sure: true, within: 0 },
  { what: 'the wall clock was set forward by a day', gains: 24 * 60 * minute, stolen: false, sure: true, within: 2 },
  { what: 'the machine stood still, and nobody took over', gains: 20 * second, stolen: false, sure: true, within: 2 },
  { what: 'the machine stood still, and another took over', gains: 20 * second, stolen: true, sure: false, within: 2 },
]) {
  test(`${what}: ${sure ? 'it leads' : 'it leads no more'}, which is known ${within === 0 ? 'at once' : 'with the next renewal'}`, async (t) => {
    const clock = new VirtualClock();
    const lease = new Lease();
    const a = elect('a', lease, clock);
    await clock.advance(1 * second);
    clock.setWall(gains);
    if (stolen) lease.stored = { ...(lease.stored as StoredLease), holder: 'b', transitions: 2, version: 'theirs' };
    let known: boolean | undefined;
    const asked = a.leader.surelyHeld().then((held) => (known = held));
    await clock.settle();
    t.is(known, within === 0 ? sure : undefined);
    await clock.advance(within * second + 500);
    t.is(known, sure);
    await asked;
    t.is(await a.leader.surelyHeld(), sure, 'and from then on at once');
    a.stop.abort();
    await a.ended;
  });
}

test('the machine stood still, and the API server is away: who waits hears it when the lease is over', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  lease.fault = 'Down';
  clock.setWall(20 * second);
  const asked = a.leader.surelyHeld();
  await clock.advance(11 * second);
  t.false(await asked);
  t.true((await a.ended) instanceof LostLeaseError);
});

test('a restarted process with the same id waits for its former self and gets a new epoch', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  lease.stored = {
    holder: 'a',
    transitions: 7,
    duration: 15 * second,
    acquired: clock.now(),
    renewed: clock.now(),
    version: 'x',
  };
  const a = elect('a', lease, clock);
  await clock.advance(14 * second);
  t.false(a.leader.held());
  await clock.advance(4 * second);
  t.true(a.leader.held());
  t.is(a.leader.epoch, 8);
  a.stop.abort();
  await a.ended;
});

test('the epoch can be raised above what old records carry, after somebody deleted the Lease', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  await a.leader.raiseEpoch(42, a.stop.signal);
  t.is(a.leader.epoch, 42);
  await clock.advance(1 * minute);
  t.is(lease.stored?.transitions, 42);
  await a.leader.raiseEpoch(3, a.stop.signal);
  t.is(a.leader.epoch, 42);
  a.stop.abort();
  await a.ended;
});

test('the epoch is raised from two sides at once, and a renewal came before both: each builds on what is stored', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  const { stored } = lease;
  // Its answer is still on the way.
  lease.stored = stored && { ...stored, version: '5' };
  await t.notThrowsAsync(Promise.all([8, 9].map((atLeast) => a.leader.raiseEpoch(atLeast, a.stop.signal))));
  t.is(a.leader.epoch, 9);
  t.is(lease.stored?.transitions, 9);
  await clock.advance(1 * minute);
  t.true(a.leader.held());
  a.stop.abort();
  await a.ended;
});

test('somebody else took the lease: lost at once', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  lease.stored = { ...(lease.stored as StoredLease), holder: 'thief', version: 'theirs' };
  await clock.advance(2 * second);
  t.false(a.leader.held());
  t.deepEqual(a.lost, ['it is held by thief now']);
  t.true((await a.ended) instanceof LostLeaseError);
});

for (const role of ['leads', 'waits'] as const) {
  test(`the cluster was set back to a backup: who ${role} stops, because what it remembers never was`, async (t) => {
    const clock = new VirtualClock();
    const lease = new Lease();
    const first = elect('a', lease, clock);
    await clock.advance(1 * second);
    const standby = elect('b', lease, clock);
    await clock.advance(10 * second);
    const backup = lease.stored;
    await clock.advance(1 * minute);
    lease.stored = backup;
    await clock.advance(3 * second);
    const { leader, ended, lost } = role === 'leads' ? first : standby;
    if (role === 'waits') await t.throwsAsync(leader.acquired(), { instanceOf: LostLeaseError });
    t.true((await ended) instanceof LostLeaseError);
    t.false(leader.held());
    t.regex(lost.join(), /set back to a backup/);
  });
}

test('stopped while a renewal is under way that took effect unheard: released all the same', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  const a = elect('a', lease, clock);
  await clock.advance(1 * second);
  t.true(a.leader.held());
  const { stored } = lease;
  // The API server stored the renewal, and its answer never came.
  lease.fault = 'AnswerLost';
  await clock.advance(3 * second);
  t.not(lease.stored?.version, stored?.version);
  lease.fault = 'None';
  a.stop.abort();
  await a.ended;
  t.is(lease.stored?.holder, '');
});

test('stopped before it ever led: acquired rejects, nothing is released', async (t) => {
  const clock = new VirtualClock();
  const lease = new Lease();
  lease.fault = 'Down';
  const a = elect('a', lease, clock);
  a.stop.abort();
  await a.ended;
  await t.throwsAsync(a.leader.acquired(), { instanceOf: LostLeaseError });
  t.is(lease.stored, undefined);
});

/** A process of its own on the shared time: it can stand still, and its wall clock is its own. */
class ProcessClock implements Clock {
  readonly #real: VirtualClock;
  frozenUntil = 0;
  skew = 0;

  constructor(real: VirtualClock) {
    this.#real = real;
  }

  now(): Instant {
    return plus(this.#real.now(), this.skew);
  }

  monotonic(): Milliseconds {
    return this.#real.monotonic();
  }

  async sleepUntil(t: Instant, signal: AbortSignal): Promise<void> {
    await this.#real.sleepUntil(plus(t, -this.skew), signal);
    while (this.#real.monotonic() < this.frozenUntil) {
      await this.#real.sleepUntil(
        plus(this.#real.now(), this.frozenUntil - this.#real.monotonic()),
        new AbortController().signal,
      );
    }
  }
}

const trouble = fc.record({
  wait: fc.constantFrom(100, 900, 2500, 7000, 16_000),
  who: fc.nat({ max: 2 }),
  do: fc.oneof(
    fc.record({ type: fc.constant('freeze' as const), by: fc.constantFrom(3000, 9500, 12_000, 40_000) }),
    fc.record({ type: fc.constant('skew' as const), by: fc.constantFrom(-3_600_000, 20_000, 3_600_000) }),
    fc.record({
      type: fc.constant('fault' as const),
      fault: fc.constantFrom('None' as const, 'None' as const, 'Down' as const, 'Hang' as const, 'AnswerLost' as const),
    }),
    fc.record({ type: fc.constant('restart' as const) }),
    fc.record({ type: fc.constant('stop' as const) }),
  ),
});

test('two never hold at once and epochs only rise, with freezes, skewed clocks, outages, lost answers and restarts', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(trouble, { maxLength: 25 }), async (history) => {
      const real = new VirtualClock();
      const lease = new Lease();
      const all: Leader[] = [];
      const slots = [0, 1, 2].map((n) => {
        const clock = new ProcessClock(real);
        const elected = elect(`p${n}`, lease, clock);
        all.push(elected.leader);
        return { n, clock, ...elected };
      });
      let epoch = 0;
      let leads: Leader | undefined;
      const check = (): void => {
        const holders = all.filter((leader) => leader.held());
        t.true(holders.length <= 1);
        const [holder] = holders;
        if (holder === undefined || holder === leads) return;
        t.true(holder.epoch > epoch);
        leads = holder;
        epoch = holder.epoch;
      };
      for (const { wait, who, do: what } of history) {
        for (let passed = 0; passed < wait; passed += 500) {
          await real.advance(Math.min(500, wait - passed));
          check();
        }
        const slot = slots[who]!;
        if (what.type === 'freeze') slot.clock.frozenUntil = real.monotonic() + what.by;
        else if (what.type === 'skew') slot.clock.skew += what.by;
        else if (what.type === 'fault') lease.fault = what.fault;
        else slot.stop.abort();
        if (what.type === 'restart') {
          Object.assign(slot, elect(`p${slot.n}-${all.length}`, lease, slot.clock));
          all.push(slot.leader);
        }
      }
      for (const slot of slots) slot.stop.abort();
      lease.fault = 'None';
      await real.advance(2 * minute);
      check();
    }),
    { numRuns: 60 },
  );
});
