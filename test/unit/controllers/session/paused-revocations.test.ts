/** Whose turn it is where tokens must go and builds wait for new ones: the real loop, queue, budgets and table, on a virtual clock. */
import test from 'ava';
import { type Milliseconds, minute, plus, second } from '#src/clock.ts';
import { failureOf } from '#src/controllers/session/snapshot.ts';
import { Troubles } from '#src/controllers/status/troubles.ts';
import { reservedShare, maxConsecutiveStarts } from '#src/domain/lanes.ts';
import { decideSession } from '#src/domain/session/decide.ts';
import type { SessionAction, SessionSnapshot } from '#src/domain/session/machine.ts';
import { OperatorError } from '#src/errors.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Loop } from '#src/runtime/loop.ts';
import type { Machine } from '#src/runtime/machine.ts';
import {
  buildClientFacts,
  buildEndedToken,
  buildLiveSnapshot,
  buildSessionRecord,
  buildToken,
  omit,
} from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** When what happened, since the start. */
interface Session {
  revoked?: Milliseconds;
  minted?: Milliseconds;
  delivered?: Milliseconds;
}

const { issuer } = buildClientFacts();

/** Builds whose tokens are Forbidden, and that wait for new ones. */
class Builds {
  readonly clock = new VirtualClock();
  readonly sessions: ReadonlyMap<string, Session>;
  readonly down = { tokens: false, revocations: false };
  readonly #start = this.clock.now();
  readonly #budgets: Budgets;
  readonly #loop: Loop;
  readonly #troubles: Troubles;
  readonly #old = buildEndedToken('Forbidden', { endedAt: this.#start, exp: plus(this.#start, 15 * minute) });
  readonly #new = buildToken({ sha256: 'new', minted: this.#start, exp: plus(this.#start, 60 * minute) });

  constructor(count: number) {
    const { clock } = this;
    const random = (): number => 0.5;
    const podWatches = { health: () => [], healthOf: () => undefined };
    this.sessions = new Map(Array.from({ length: count }, (_, i) => [`s${i}`, {}]));
    this.#budgets = new Budgets({ clock, random, rateOf: () => ({ perSecond: 500, parallel: 16 }), reservedShare });
    this.#troubles = new Troubles({ clock, budgets: this.#budgets, podWatches });
    this.#loop = new Loop({ clock, random, budgets: this.#budgets, maxConsecutiveStarts });
    this.#loop.register(this.#machine());
  }

  /** Of all sessions, in order. */
  moments(what: keyof Session): readonly Milliseconds[] {
    return [...this.sessions.values()].flatMap((session) => session[what] ?? []).toSorted((a, b) => a - b);
  }

  async during(scenario: () => Promise<void>): Promise<void> {
    const stop = new AbortController();
    const ended = this.#loop.run(stop.signal);
    for (const key of this.sessions.keys()) this.#loop.wake('session', key);
    await scenario();
    stop.abort();
    await ended;
  }

  #machine(): Machine<SessionSnapshot, SessionAction> {
    return {
      name: 'session',
      snapshot: (key, held) => ({ ...this.#seen(this.#of(key)), ...failureOf(held) }),
      decide: decideSession,
      apply: async (key, _s, { action }) => {
        const session = this.#of(key);
        const now = this.clock.now() - this.#start;
        if (action.type === 'Revoke') session.revoked = await this.#call('revocations', now);
        else if (action.type === 'Mint') session.minted = await this.#call('tokens', now);
        else session.delivered = now;
      },
    };
  }

  #of(key: string): Session {
    const session = this.sessions.get(key);
    if (session === undefined) throw new Error(`there is no session ${key}`);
    return session;
  }

  #seen({ revoked, minted, delivered }: Session): SessionSnapshot {
    const outage = this.#troubles.outage(issuer, '');
    const client = buildClientFacts({
      revocationsPaused: this.#troubles.revocationsPaused(issuer),
      ...(outage === undefined ? {} : { outage }),
    });
    const [first, ...rest] = [
      ...(revoked === undefined ? [this.#old] : []),
      ...(minted === undefined ? [] : [this.#new]),
    ];
    const s = buildLiveSnapshot({
      client: { is: 'Seen', value: client },
      ...(first === undefined ? {} : { record: buildSessionRecord({ tokens: [first, ...rest] }) }),
    });
    const known = first === undefined ? omit(s, 'record') : s;
    return delivered === undefined ? omit(known, 'delivered') : known;
  }

  /** Yields `now`. */
  async #call(circuit: keyof Builds['down'], now: Milliseconds): Promise<Milliseconds> {
    await this.#budgets.awaitTurn(`${issuer}/${circuit}`, new AbortController().signal);
    if (!this.down[circuit]) return now;
    const retryAt = plus(this.clock.now(), minute);
    throw new OperatorError({ class: 'Transient', reason: 'RateLimited', whose: 'Issuer', message: '429', retryAt });
  }
}

test('nothing can be revoked: every build has its token within 15 s, and every old one goes when it can', async (t) => {
  const builds = new Builds(100);
  builds.down.revocations = true;
  await builds.during(async () => {
    await builds.clock.advance(15 * second);
    t.is(builds.moments('delivered').length, 100);
    t.is(builds.moments('revoked').length, 0);
    builds.down.revocations = false;
    await builds.clock.advance(5 * minute);
  });
  t.is(builds.moments('revoked').length, 100);
});

test('the provider is away, and revokes again before it mints: no old token waits for a new one', async (t) => {
  const builds = new Builds(100);
  builds.down.tokens = true;
  builds.down.revocations = true;
  await builds.during(async () => {
    await builds.clock.advance(minute);
    builds.down.revocations = false;
    await builds.clock.advance(5 * minute);
  });
  t.is(builds.moments('revoked').length, 100);
  t.is(builds.moments('minted').length, 0);
});

test('a thousand tokens must go, and the provider is well: each goes before its successor comes, and all within seconds', async (t) => {
  const builds = new Builds(1_000);
  await builds.during(() => builds.clock.advance(10 * second));
  t.is(builds.moments('minted').length, 1_000);
  t.true((builds.moments('revoked').at(999) ?? Infinity) <= 3 * second, `${builds.moments('revoked').at(-1)} ms`);
  for (const { revoked = Infinity, minted = 0 } of builds.sessions.values()) t.true(revoked <= minted);
});
