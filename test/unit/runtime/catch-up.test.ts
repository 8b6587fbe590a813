/** Before anybody acts on memory: what a silent watch has not told comes by a new watch, and by a list where that is silent too. */
import test from 'ava';
import { type Milliseconds, minute, instant, second } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { catchUp } from '#src/runtime/catch-up.ts';
import { Reflector } from '#src/runtime/reflector.ts';
import { type Source, VersionExpiredError } from '#src/runtime/source.ts';
import { type Kept, Store } from '#src/runtime/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const away = new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'down' });
const refused = new OperatorError({ class: 'Waiting', reason: 'ApiForbidden', message: 'no right to list things' });
const never = new AbortController().signal;

/** What happens to a watch: it tells what changed since and, a second later, how far the server is; or nothing; or that it cannot. */
type Watch = 'Tells' | 'Silent' | 'Expired';

/** One object, of which version 7 was listed long ago; the server has version 9 of it and is at 10 with others. */
class Scene {
  readonly clock = new VirtualClock();
  readonly store = new Store<Kept>('things');
  readonly stop = new AbortController();
  readonly reflector: Reflector<Kept>;
  calls: string[] = [];
  watches: Watch[] = ['Silent'];
  failures = 0;
  failure = away;
  #version = 7;
  #server = 7;

  constructor() {
    const source: Source<Kept> = {
      list: async ({ limit }) => {
        this.calls.push(`list ${limit}`);
        if ((this.failures -= 1) >= 0) throw this.failure;
        return { items: [this.#item()], resourceVersion: String(this.#server) };
      },
      watch: ({ resourceVersion, timeoutSeconds }, signal) => this.#watch(resourceVersion, timeoutSeconds, signal),
    };
    const { clock, store } = this;
    this.reflector = new Reflector({ name: 'things', source, store, clock, random: () => 0.5 });
    void this.reflector.run(this.stop.signal);
  }

  /** The first watch is open for a while, and then others write. */
  async begin(...watches: Watch[]): Promise<void> {
    await this.clock.advance(20 * second);
    this.watches = watches;
    this.calls = [];
    [this.#version, this.#server] = [9, 10];
  }

  /** What it resolves with, and after how long. */
  async catchUp(signal = never): Promise<readonly [boolean, Milliseconds]> {
    const began = this.clock.monotonic();
    const over = catchUp(this.reflector, this.clock, signal).then(
      (answer) => [answer, this.clock.monotonic() - began] as const,
    );
    await this.clock.advance(20 * second);
    return over;
  }

  get known(): string | undefined {
    return this.store.get('a')?.resourceVersion;
  }

  async *#watch(from: string, timeout: number, signal: AbortSignal): ReturnType<Source<Kept>['watch']> {
    this.calls.push(`watch ${from}${timeout < 300 ? ` for ${timeout} s` : ''}`);
    const what = this.watches.shift() ?? 'Tells';
    if (what === 'Expired') throw new VersionExpiredError('too old');
    const [key, value] = this.#item();
    if (what === 'Tells' && Number(from) < this.#version) yield { type: 'Put', key, value };
    if (what === 'Tells') {
      await this.clock.sleepUntil(instant(this.clock.now() + second), signal);
      yield { type: 'Bookmark', resourceVersion: String(this.#server) };
    }
    const rest = what === 'Silent' ? minute : (timeout - 1) * second;
    await this.clock.sleepUntil(instant(this.clock.now() + rest), signal);
  }

  #item(): readonly [string, Kept] {
    return ['a', { uid: 'a', resourceVersion: String(this.#version) }];
  }
}

const rows: readonly (readonly [
  string,
  { watches?: Watch[]; failures?: number; after: Milliseconds; calls: string[] },
])[] = [
  ['a new watch tells it', { after: 1_000, calls: ['list 1', 'watch 7 for 3 s'] }],
  [
    'the new watch is silent too',
    { watches: ['Silent'], after: 4_050, calls: ['list 1', 'watch 7 for 3 s', 'list 500', 'watch 10'] },
  ],
  [
    'its version is too old',
    { watches: ['Expired'], after: 50, calls: ['list 1', 'watch 7 for 3 s', 'list 500', 'watch 10'] },
  ],
  [
    'the server is away for a moment',
    { failures: 2, after: 2_000, calls: ['list 1', 'list 1', 'list 1', 'watch 7 for 3 s'] },
  ],
];

for (const [title, { watches = [], failures = 0, after, calls }] of rows)
  test(`a watch was silent, and ${title}: the store is current ${after / second} s later`, async (t) => {
    const scene = new Scene();
    await scene.begin(...watches);
    scene.failures = failures;
    t.is(scene.known, '7');
    t.deepEqual(await scene.catchUp(), [true, after]);
    t.is(scene.known, '9');
    t.deepEqual(scene.calls.slice(0, calls.length), calls);
    scene.stop.abort();
  });

test('a watch that told all is left alone', async (t) => {
  const scene = new Scene();
  scene.watches = ['Tells'];
  await scene.clock.advance(20 * second);
  scene.calls = [];
  t.deepEqual(await scene.catchUp(), [true, 0]);
  t.deepEqual(scene.calls, ['list 1']);
  scene.stop.abort();
});

test('what was just listed is current', async (t) => {
  const scene = new Scene();
  await scene.clock.advance(1 * second);
  scene.calls = [];
  t.deepEqual(await scene.catchUp(), [true, 0]);
  t.deepEqual(scene.calls, []);
  scene.stop.abort();
});

test('what counts as unknown is not waited for', async (t) => {
  const scene = new Scene();
  await scene.begin('Silent', 'Silent');
  scene.failures = 1_000;
  scene.store.markUnsynced();
  t.deepEqual(await scene.catchUp(), [true, 0]);
  scene.stop.abort();
});

for (const [title, failure, after] of [
  ['whoever gives up is told so', away, 3_000],
  ['a server that refuses is not waited for', refused, 0],
] as const)
  test(`${title}, and what is known counts as unknown until it is listed again`, async (t) => {
    const scene = new Scene();
    await scene.begin('Silent');
    Object.assign(scene, { failure, failures: 1_000 });
    const over = new AbortController();
    void scene.clock.sleepUntil(instant(scene.clock.now() + 3 * second), never).then(() => over.abort());
    t.deepEqual(await scene.catchUp(over.signal), [false, after]);
    t.deepEqual([scene.store.synced, scene.known], [false, '7']);
    scene.failures = 0;
    await scene.clock.advance(1 * minute);
    t.deepEqual([scene.store.synced, scene.known], [true, '9']);
    scene.stop.abort();
  });
