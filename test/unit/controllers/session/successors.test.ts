/** How long a token that must go waits for its successor: the real loop, budgets and table, on a virtual clock. */
import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { failureOf } from '#src/controllers/session/snapshot.ts';
import { AwaitedSuccessors } from '#src/controllers/session/successors.ts';
import { Troubles } from '#src/controllers/status/troubles.ts';
import { decideSession } from '#src/domain/session/decide.ts';
import type { SessionAction, SessionSnapshot } from '#src/domain/session/machine.ts';
import { OperatorError } from '#src/errors.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Loop } from '#src/runtime/loop.ts';
import type { Machine } from '#src/runtime/machine.ts';
import { buildClientFacts, buildLiveSnapshot, buildSessionRecord, buildToken } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** `Lost`: no answer came. `Unasked`: our API server failed before the provider was asked. `Nothing`: the Mint ends without a token and without an error. */
type Answer = 'Token' | 'Lost' | 'Unasked' | 'Refused' | 'Conflict' | 'Nothing';

const errors = {
  Lost: new OperatorError({ class: 'Transient', reason: 'ProviderUnavailable', whose: 'Issuer', message: 'closed' }),
  Unasked: new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: '503' }),
  Refused: new OperatorError({ class: 'Terminal', reason: 'ScopeRefused', message: 'invalid_scope' }),
  Conflict: new OperatorError({ class: 'Conflict', reason: 'InProgress', message: 'the record was changed' }),
} as const;
const { issuer } = buildClientFacts();

/** Live sessions `s0`, `s1`, … of one issuer. Each is over here once it has its successor or its token is Forbidden. */
class Sessions {
  readonly clock = new VirtualClock();
  readonly budgets: Budgets;
  readonly loop: Loop;
  /** `<milliseconds> <session> <what>`. */
  readonly log: string[] = [];
  /** Everybody's token must go. */
  emergency = true;
  /** So many records cannot be written. */
  brokenWrites = 0;
  /** To the Mints, in order; the last one for ever. */
  readonly #answers: Answer[];
  readonly #live: Set<string>;
  readonly #troubles: Troubles;
  readonly #record = buildSessionRecord({ tokens: [buildToken({ minted: plus(this.clock.now(), -second) })] });
  readonly #revokeBefore = this.clock.now();

  constructor(count: number, answers: readonly Answer[], perSecond = 100) {
    const { clock } = this;
    const random = (): number => 0.9;
    this.budgets = new Budgets({ clock, random, rateOf: () => ({ perSecond, parallel: 16 }), reservedShare: () => 0 });
    this.loop = new Loop({ clock, random, budgets: this.budgets });
    const podWatches = { health: () => [], healthOf: () => undefined };
    this.#troubles = new Troubles({ clock, budgets: this.budgets, podWatches });
    this.#answers = [...answers];
    this.#live = new Set(Array.from({ length: count }, (_, i) => `s${i}`));
    this.loop.register(this.#machine());
  }

  wake(): void {
    for (const key of this.#live) this.loop.wake('session', key);
  }

  /** Lets `scenario` happen, with a loop that runs. */
  async during(scenario: () => Promise<void>): Promise<void> {
    const stop = new AbortController();
    const ended = this.loop.run(stop.signal);
    this.wake();
    await scenario();
    stop.abort();
    await ended;
  }

  #machine(): Machine<SessionSnapshot, SessionAction> {
    const successors = new AwaitedSuccessors(this.clock);
    return {
      name: 'session',
      snapshot: (key, held) =>
        this.#live.has(key) ? successors.shownIn(key, { ...this.#seen(), ...failureOf(held) }) : undefined,
      decide: decideSession,
      apply: async (key, s, { action }) => {
        if (action.type === 'Mint') await successors.minting(key, s, () => this.#mint(key));
        else this.#write(key, action.type);
      },
    };
  }

  #seen(): SessionSnapshot {
    const outage = this.#troubles.outage(issuer, '');
    const client = buildClientFacts({
      ...(this.emergency ? { revokeBefore: this.#revokeBefore } : {}),
      ...(outage === undefined ? {} : { outage }),
    });
    return buildLiveSnapshot({ record: this.#record, client: { is: 'Seen', value: client } });
  }

  async #mint(key: string): Promise<void> {
    await this.budgets.awaitTurn(`${issuer}/tokens`, new AbortController().signal);
    const answer = (this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]) ?? 'Token';
    this.#say(key, answer);
    if (answer === 'Token') this.#live.delete(key);
    else if (answer !== 'Nothing') throw errors[answer];
  }

  #write(key: string, what: string): void {
    this.brokenWrites -= 1;
    this.#say(key, this.brokenWrites >= 0 ? 'not written' : what);
    if (this.brokenWrites >= 0)
      throw new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: '503' });
    this.#live.delete(key);
  }

  #say(key: string, what: string): void {
    this.log.push(`${this.clock.monotonic()} ${key} ${what}`);
  }
}

const stories: readonly {
  readonly title: string;
  readonly answers: readonly Answer[];
  readonly log: readonly string[];
}[] = [
  {
    title: 'one lost answer: the build gets its successor',
    answers: ['Lost', 'Token'],
    log: ['0 s0 Lost', '950 s0 Token'],
  },
  {
    title: 'a second failure: at once',
    answers: ['Lost', 'Lost'],
    log: ['0 s0 Lost', '950 s0 Lost', '950 s0 Forbid'],
  },
  {
    title: 'a refusal: at once',
    answers: ['Refused'],
    log: ['0 s0 Refused', '0 s0 Forbid'],
  },
  {
    title: 'a refusal after a lost answer: at once',
    answers: ['Lost', 'Refused'],
    log: ['0 s0 Lost', '950 s0 Refused', '950 s0 Forbid'],
  },
  {
    title: 'a conflict says nothing about the successor',
    answers: ['Conflict', 'Lost', 'Token'],
    log: ['0 s0 Conflict', '0 s0 Lost', '950 s0 Token'],
  },
  {
    title: 'Mints that end with nothing',
    answers: ['Nothing'],
    log: ['0 s0 Nothing', '0 s0 Nothing', '0 s0 Forbid'],
  },
];

for (const { title, answers, log } of stories) {
  test(title, async (t) => {
    const sessions = new Sessions(1, answers);
    await sessions.during(() => sessions.clock.advance(minute));
    t.deepEqual(sessions.log, log);
  });
}

test('the circuit opens, and its probes are others’: nobody waits longer than 2 s for a Mint that cannot leave', async (t) => {
  const sessions = new Sessions(8, ['Lost']);
  await sessions.during(() => sessions.clock.advance(minute));
  const forbidden = sessions.log.filter((line) => line.endsWith('Forbid'));
  t.is(forbidden.length, 8);
  t.deepEqual(
    forbidden.filter((line) => Number.parseInt(line) > 2 * second),
    [],
  );
});

test('what wakes the session shortly before makes it no longer', async (t) => {
  const sessions = new Sessions(8, ['Lost']);
  await sessions.during(async () => {
    await sessions.clock.advance(1.9 * second);
    sessions.wake();
    await sessions.clock.advance(minute);
  });
  const forbidden = sessions.log.filter((line) => line.endsWith('Forbid'));
  t.is(forbidden.length, 8);
  t.true(
    forbidden.every((line) => Number.parseInt(line) <= 2 * second),
    forbidden.join('\n'),
  );
});

test('the circuit has been open for a while: a Mint that fails is not waited for', async (t) => {
  const sessions = new Sessions(1, ['Lost']);
  const resource = `${issuer}/tokens`;
  sessions.budgets.finish(sessions.budgets.start(resource, 0)!, errors.Lost);
  await sessions.clock.advance(6 * second);
  await sessions.during(() => sessions.clock.advance(minute));
  t.deepEqual(sessions.log, ['6000 s0 Lost', '6000 s0 Forbid']);
});

test('the circuit is open for an hour, so that no Mint leaves: every token goes after a second', async (t) => {
  const sessions = new Sessions(8, ['Token']);
  const resource = `${issuer}/tokens`;
  const asksForAnHour = new OperatorError({
    class: 'Transient',
    reason: 'RateLimited',
    whose: 'Issuer',
    message: '429',
    retryAt: plus(sessions.clock.now(), 60 * minute),
  });
  sessions.budgets.finish(sessions.budgets.start(resource, 0)!, asksForAnHour);
  await sessions.during(async () => {
    await sessions.clock.advance(second / 2);
    sessions.wake();
    await sessions.clock.advance(59 * minute);
  });
  t.deepEqual(
    sessions.log,
    [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `1000 s${n} Forbid`),
  );
});

test('ten calls a second are all that the provider takes: what has no successor in a second goes without', async (t) => {
  const sessions = new Sessions(100, ['Token'], 10);
  await sessions.during(() => sessions.clock.advance(minute));
  const at = (what: string): number[] =>
    sessions.log.filter((line) => line.endsWith(what)).map((line) => Number.parseInt(line));
  t.true(at('Token').length >= 5 && at('Token').every((moment) => moment <= second), `${at('Token').length}`);
  t.is(at('Token').length + at('Forbid').length, 100);
  t.deepEqual([...new Set(at('Forbid'))], [second]);
});

test('the token may stay after all: the next time it must go it has two tries again', async (t) => {
  const sessions = new Sessions(1, ['Unasked', 'Lost', 'Token']);
  await sessions.during(async () => {
    await sessions.clock.settle();
    sessions.emergency = false;
    sessions.wake();
    await sessions.clock.advance(minute / 2);
    sessions.emergency = true;
    sessions.wake();
    await sessions.clock.advance(minute);
  });
  t.deepEqual(sessions.log, ['0 s0 Unasked', '30000 s0 Lost', '30950 s0 Token']);
});

test('the record cannot be written: it is tried again, and nothing is minted any more', async (t) => {
  const sessions = new Sessions(1, ['Refused', 'Token']);
  sessions.brokenWrites = 3;
  await sessions.during(() => sessions.clock.advance(minute));
  t.deepEqual(
    sessions.log.map((line) => line.replace(/^\d+(\.\d+)? s0 /, '')),
    ['Refused', 'not written', 'not written', 'not written', 'Forbid'],
  );
});

test('a new process looks at the guard first, and then the token has as long as ever', async (t) => {
  const clock = new VirtualClock();
  const successors = new AwaitedSuccessors(clock);
  const start = clock.now();
  const record = buildSessionRecord({ tokens: [buildToken({ minted: plus(start, -second) })] });
  const client = buildClientFacts({ revokeBefore: start });
  const rowOf = (guard: SessionSnapshot['guard']): string => {
    const seen = buildLiveSnapshot({ record, client: { is: 'Seen', value: client }, seenSince: start, guard });
    return decideSession(successors.shownIn('s', seen), clock.now()).row;
  };
  const intact = { is: 'Intact', since: plus(start, -minute) } as const;
  t.is(rowOf({ is: 'Unknown' }), 'guard');
  await clock.advance(3 * second);
  t.is(rowOf(intact), 'narrowed');
  await clock.advance(0.9 * second);
  t.is(rowOf(intact), 'narrowed');
  await clock.advance(0.1 * second);
  t.is(rowOf(intact), 'withdrawn');
});

test('what is remembered is about one token, and is forgotten with its session', async (t) => {
  const successors = new AwaitedSuccessors(new VirtualClock());
  const of = (sha256: string): SessionSnapshot => {
    const minted = plus(new VirtualClock().now(), -second);
    const client = buildClientFacts({ revokeBefore: plus(minted, 1) });
    const record = buildSessionRecord({ tokens: [buildToken({ minted, sha256 })] });
    return buildLiveSnapshot({ record, client: { is: 'Seen', value: client } });
  };
  const fail = (): Promise<void> =>
    t.throwsAsync(successors.minting('s', of('a'), () => Promise.reject(errors.Lost))).then(() => {});
  await fail();
  t.true(successors.shownIn('s', of('a')).successorFailed);
  t.is(successors.shownIn('s', of('b')).successorFailed, undefined);
  t.is(successors.shownIn('s', of('a')).successorFailed, undefined);
  await fail();
  successors.forget('s');
  t.is(successors.shownIn('s', of('a')).successorFailed, undefined);
});
