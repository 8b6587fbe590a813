/** One endpoint of a provider fails and the others do not: the real loop, budgets and session table, on a virtual clock. */
import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { failureOf } from '#src/controllers/session/snapshot.ts';
import { Troubles } from '#src/controllers/status/troubles.ts';
import { reservedShare, maxConsecutiveStarts } from '#src/domain/lanes.ts';
import { decideSession } from '#src/domain/session/decide.ts';
import type { SessionAction, SessionRowName, SessionSnapshot } from '#src/domain/session/machine.ts';
import { refused } from '#src/providers/classify.ts';
import { Budgets } from '#src/runtime/budget.ts';
import { Loop } from '#src/runtime/loop.ts';
import type { FailureNote } from '#src/runtime/machine.ts';
import { buildEndedToken, buildPod, buildSessionRecord, buildSessionSnapshot, issuer } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** Ended sessions whose token is to be revoked, and pods that wait for their first token. */
class World {
  readonly clock = new VirtualClock();
  readonly budgets = new Budgets({
    clock: this.clock,
    random: () => 0.5,
    rateOf: () => ({ perSecond: 50 }),
    reservedShare,
  });
  readonly loop = new Loop({ clock: this.clock, random: () => 0.5, budgets: this.budgets, maxConsecutiveStarts });
  readonly waits: number[] = [];
  readonly revokedAfter: number[] = [];
  readonly #fails: SessionAction['type'];
  /** Session → when it came. */
  readonly #ended = new Map<string, number>();
  readonly #born = new Map<string, number>();
  readonly #exp = plus(this.clock.now(), 15 * minute);

  constructor(fails: 'Mint' | 'Revoke') {
    this.#fails = fails;
    this.loop.register<SessionSnapshot, SessionAction>({
      name: 'session',
      snapshot: (key, held) => this.#snapshot(key, held),
      decide: decideSession,
      apply: async (key, _s, { action, work }) => {
        await this.budgets.awaitTurn(work?.resource ?? '', new AbortController().signal);
        this.#call(key, action.type);
      },
    });
  }

  end(key: string): void {
    this.#ended.set(key, this.clock.monotonic());
    this.loop.wake('session', key);
  }

  create(key: string): void {
    this.#born.set(key, this.clock.monotonic());
    this.loop.wake('session', key);
  }

  /** Lets `scenario` happen, with a loop that runs. */
  async during(scenario: () => Promise<void>): Promise<void> {
    const stop = new AbortController();
    const over = this.loop.run(stop.signal);
    await scenario();
    stop.abort();
    await over;
  }

  #snapshot(key: string, held: readonly FailureNote[]): SessionSnapshot | undefined {
    const failure = failureOf<SessionRowName>(held);
    if (this.#ended.has(key)) {
      const record = buildSessionRecord({ tokens: [buildEndedToken('Forbidden', { exp: this.#exp })] });
      return buildSessionSnapshot({ pod: { is: 'Gone' }, record, ...failure });
    }
    const pod = { is: 'Seen', value: buildPod({ created: this.clock.now() }) } as const;
    return this.#born.has(key) ? buildSessionSnapshot({ pod, ...failure }) : undefined;
  }

  #call(key: string, type: SessionAction['type']): void {
    const now = this.clock.now();
    const operation = type === 'Mint' ? 'Token' : 'Revoke';
    if (type === this.#fails) throw refused({ status: 503, headers: {}, body: '' }, operation, { issuer, now });
    const [kind, times] = type === 'Mint' ? [this.#born, this.waits] : [this.#ended, this.revokedAfter];
    times.push(this.clock.monotonic() - (kind.get(key) ?? 0));
    kind.delete(key);
  }
}

test('revocations that fail for ten minutes keep no new pod waiting, and nobody says that there are no tokens', async (t) => {
  const world = new World('Revoke');
  const podWatches = { health: () => [], healthOf: () => undefined };
  const troubles = new Troubles({ clock: world.clock, budgets: world.budgets, podWatches });
  await world.during(async () => {
    for (let i = 0; i < 200; i += 1) world.end(`ended-${i}`);
    for (let i = 0; i < 600; i += 1) {
      world.create(`pod-${i}`);
      await world.clock.advance(second);
      if (i > 10) t.false(world.budgets.health(`${issuer}/revocations`).up);
      t.is(troubles.outage(issuer, 'client-1'), undefined);
    }
  });
  t.is(world.waits.length, 600);
  t.true(Math.max(...world.waits) < second, `${Math.max(...world.waits)} ms`);
  t.is(world.revokedAfter.length, 0);
});

test('token requests that fail keep no revocation waiting', async (t) => {
  const world = new World('Mint');
  await world.during(async () => {
    for (let i = 0; i < 200; i += 1) world.create(`pod-${i}`);
    await world.clock.advance(10 * second);
    t.false(world.budgets.health(`${issuer}/tokens`).up);
    for (let i = 0; i < 100; i += 1) world.end(`ended-${i}`);
    await world.clock.advance(minute);
  });
  t.is(world.revokedAfter.length, 100);
  t.true(Math.max(...world.revokedAfter) < 3 * second, `${Math.max(...world.revokedAfter)} ms`);
});
