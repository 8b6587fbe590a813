import test from 'ava';
import fc from 'fast-check';
import { type Milliseconds, instant, minute, plus, second } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { Reflector } from '#src/runtime/reflector.ts';
import {
  type Page,
  PageTooLargeError,
  type Source,
  VersionExpiredError,
  type WatchEvent,
  type WatchRequest,
} from '#src/runtime/source.ts';
import { type Kept, Store } from '#src/runtime/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** What one call of the source does. `list`: a page; `watch`: events, then the end, an error, or silence until the cut. */
interface Script {
  list?(n: number, page: { limit: number; continue?: string }): Page<Kept> | Error | 'Hang';
  watch?(n: number, from: string): readonly (WatchEvent<Kept> | Error | 'Silence' | { readonly wait: Milliseconds })[];
}

interface Run {
  readonly clock: VirtualClock;
  readonly store: Store<Kept>;
  readonly reflector: Reflector<Kept>;
  /** `list`, `list <token>`, `watch <version>`, with the time. */
  readonly calls: string[];
  /** What each watch was opened with. */
  readonly asked: WatchRequest[];
  readonly errors: unknown[];
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

function start(script: Script, random = (): number => 0.5): Run {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const asked: WatchRequest[] = [];
  let lists = 0;
  let watches = 0;
  const source: Source<Kept> = {
    async list(page, signal) {
      await Promise.resolve();
      calls.push(`${clock.monotonic()} list${page.continue === undefined ? '' : ` ${page.continue}`}`);
      const answer = script.list?.((lists += 1), page) ?? { items: [], resourceVersion: '1' };
      if (answer === 'Hang') await clock.sleepUntil(instant(Number.MAX_SAFE_INTEGER), signal);
      if (answer instanceof Error) throw answer;
      signal.throwIfAborted();
      return answer as Page<Kept>;
    },
    async *watch(request, signal) {
      const { resourceVersion } = request;
      asked.push(request);
      calls.push(`${clock.monotonic()} watch ${resourceVersion}`);
      for (const step of script.watch?.((watches += 1), resourceVersion) ?? (['Silence'] as const)) {
        if (step instanceof Error) throw step;
        if (step === 'Silence') await clock.sleepUntil(instant(Number.MAX_SAFE_INTEGER), signal);
        else if ('wait' in step) await clock.sleepUntil(plus(clock.now(), step.wait), signal);
        else yield step;
      }
    },
  };
  const store = new Store<Kept>('things');
  const errors: unknown[] = [];
  const reflector = new Reflector({ name: 'things', source, store, clock, random, onFailure: (e) => errors.push(e) });
  const stop = new AbortController();
  return { clock, store, reflector, calls, asked, errors, stop, ended: reflector.run(stop.signal) };
}

const item = (key: string, uid: string, version: number): readonly [string, Kept] => [
  key,
  { uid, resourceVersion: String(version) },
];
const put = (key: string, uid: string, version: number): WatchEvent<Kept> => ({
  type: 'Put',
  key,
  value: { uid, resourceVersion: String(version) },
});
const bookmark = (version: number): WatchEvent<Kept> => ({ type: 'Bookmark', resourceVersion: String(version) });
const busy = (retryAt?: number): OperatorError =>
  new OperatorError({
    class: 'Transient',
    reason: 'RateLimited',
    message: 'busy',
    ...(retryAt === undefined ? {} : { retryAt: instant(retryAt) }),
  });
const forbidden = new OperatorError({ class: 'Waiting', reason: 'ApiForbidden', message: 'no right to list things' });
const what = (calls: readonly string[]): string[] => calls.map((call) => call.replace(/^\S+ /, ''));

test('a list in pages, synced only after the last one, then a watch from its version', async (t) => {
  const synced: boolean[] = [];
  const run: Run = start({
    list(n, page) {
      synced.push(run.store.synced);
      t.is(page.limit, 500);
      return { items: [item(`k${n}`, `u${n}`, n)], resourceVersion: '10', ...(n < 3 ? { continue: `page${n}` } : {}) };
    },
  });
  await run.clock.settle(20);
  t.deepEqual(synced, [false, false, false]);
  t.true(run.reflector.health().synced);
  t.is(run.store.size, 3);
  t.deepEqual(what(run.calls), ['list', 'list page1', 'list page2', 'watch 10']);
  run.stop.abort();
  await run.ended;
});

test('a page that is too large is asked for again with fewer objects, and so are those that follow it', async (t) => {
  const asked: string[] = [];
  const run = start({
    list(n, { limit, continue: token }) {
      asked.push(`${limit} ${token ?? ''}`);
      if (limit > 8) return new PageTooLargeError('more than 16 MiB');
      return {
        items: [item(`k${n}`, `u${n}`, n)],
        resourceVersion: '10',
        ...(token === undefined ? { continue: 'next' } : {}),
      };
    },
    watch: (n) => (n === 1 ? [new VersionExpiredError('gone')] : ['Silence']),
  });
  await run.clock.advance(1 * second);
  const list = ['500 ', '63 ', '8 ', '8 next'];
  t.deepEqual(asked, [...list, ...list]);
  t.deepEqual(
    what(run.calls).filter((call) => call.startsWith('watch')),
    ['watch 10', 'watch 10'],
  );
  t.is(run.store.size, 2);
  run.stop.abort();
  await run.ended;
});

test('one object that is too large is a failure like others', async (t) => {
  const run = start({
    list: (n) => (n < 5 ? new PageTooLargeError('more than 16 MiB') : { items: [], resourceVersion: '1' }),
  });
  await run.clock.settle(20);
  t.is(run.reflector.health().message, 'more than 16 MiB');
  await run.clock.advance(5 * second);
  t.true(run.reflector.health().synced);
  run.stop.abort();
  await run.ended;
});

test('stop during the list opens no watch and changes nothing', async (t) => {
  const run: Run = start({
    list() {
      run.stop.abort();
      return { items: [item('a', '1', 1)], resourceVersion: '1' };
    },
  });
  await run.ended;
  t.deepEqual(what(run.calls), ['list']);
  t.false(run.store.synced);
  t.deepEqual(run.errors, []);
  t.is(run.clock.sleeping, 0);
});

test('a watch is told which versions are in memory: those of our own writes, and no other', async (t) => {
  const run = start({ list: () => ({ items: [item('a', 'u1', 1)], resourceVersion: '1' }) });
  await run.clock.settle(20);
  run.store.wrote('a', { uid: 'u1', resourceVersion: '5' });
  const knows = run.asked[0]?.knows;
  t.true(knows?.('a', { uid: 'u1', resourceVersion: '5' }));
  for (const [key, uid, resourceVersion] of [
    ['a', 'u1', '1'],
    ['a', 'u1', '6'],
    ['a', 'u2', '5'],
    ['b', 'u1', '5'],
  ] as const)
    t.false(knows?.(key, { uid, resourceVersion }), `${key} ${uid} ${resourceVersion}`);
  run.stop.abort();
  await run.ended;
});

test('stop during a watch ends it and leaves no sleeper', async (t) => {
  const run = start({ watch: () => [bookmark(2), 'Silence'] });
  await run.clock.settle();
  run.stop.abort();
  await run.ended;
  t.is(run.clock.sleeping, 0);
});

for (const [name, error, relists] of [
  ['410', new VersionExpiredError('gone'), true],
  ['a line that cannot be decoded', new SyntaxError('torn'), true],
  ['403, as right after the start of an API server,', forbidden, false],
  ['429', busy(), false],
  ['503', new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'down' }), false],
] as const) {
  test(`${name} in a watch ${relists ? 'leads to a new list' : 'resumes from the last version'}`, async (t) => {
    const run = start({
      list: (n) => ({ items: [], resourceVersion: String(n * 10) }),
      watch: (n) => (n === 1 ? [put('a', '1', 12), error] : ['Silence']),
    });
    await run.clock.advance(1 * second);
    t.deepEqual(what(run.calls), ['list', 'watch 10', ...(relists ? ['list', 'watch 20'] : ['watch 12'])]);
    t.deepEqual(run.errors, [error]);
    run.stop.abort();
    await run.ended;
  });
}

test('the relist after 410 reports what vanished', async (t) => {
  const run = start({
    list: (n) =>
      n === 1
        ? { items: [item('a', '1', 1), item('b', '2', 2)], resourceVersion: '5' }
        : { items: [item('a', '3', 8)], resourceVersion: '9' },
    watch: (n) => (n === 1 ? [new VersionExpiredError('gone')] : ['Silence']),
  });
  const log: string[] = [];
  run.store.onChange((key, next, previous) => log.push(`${key} ${previous?.uid ?? '-'}→${next?.uid ?? '-'}`));
  await run.clock.advance(1 * second);
  t.deepEqual(log, ['a -→1', 'b -→2', 'b 2→-', 'a 1→-', 'a -→3']);
  run.stop.abort();
  await run.ended;
});

test('Retry-After is a lower bound', async (t) => {
  const run: Run = start({
    list: (n) => (n === 1 ? busy(run.clock.now() + 20_000) : { items: [], resourceVersion: '1' }),
  });
  await run.clock.advance(19_999);
  t.is(run.calls.length, 1);
  t.is(run.reflector.health().message, 'busy');
  t.not(run.reflector.health().failingSince, undefined);
  await run.clock.advance(1);
  t.true(run.store.synced);
  t.is(run.reflector.health().failingSince, undefined);
  run.stop.abort();
  await run.ended;
});

test('a storm of errors is met with delays that double from 50 ms to 30 s, with full jitter', async (t) => {
  const run = start({ list: () => busy() }, () => 0.999999);
  await run.clock.advance(10 * minute);
  const times = run.calls.map((call) => Number(call.split(' ')[0]));
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  t.deepEqual(gaps.slice(0, 12), [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  run.stop.abort();
  await run.ended;
});

test('list and failing watch do not spin: the back-off grows although each list succeeds', async (t) => {
  const run = start({ watch: () => [new SyntaxError('torn')] }, () => 0.999999);
  await run.clock.advance(5 * minute);
  t.true(run.calls.filter((call) => call.endsWith('list')).length < 25);
  run.stop.abort();
  await run.ended;
});

test('a server that sends one event and hangs up does not make it spin either', async (t) => {
  let version = 10;
  const run = start({ watch: () => [put('a', '1', (version += 1))] }, () => 0.999999);
  await run.clock.advance(5 * minute);
  t.true(run.calls.length < 25);
  run.stop.abort();
  await run.ended;
});

test('after a good watch the next trouble starts with a short delay', async (t) => {
  const run = start(
    {
      list: (n) => (n < 9 ? busy() : { items: [], resourceVersion: '1' }),
      watch: (n) => (n === 1 ? [{ wait: 10_000 }, bookmark(2), busy()] : ['Silence']),
    },
    () => 0.999999,
  );
  await run.clock.advance(30 * second);
  const at = run.calls.filter((call) => call.includes('watch')).map((call) => Number(call.split(' ')[0]));
  t.is(at[1]! - at[0]!, 10_050);
  run.stop.abort();
  await run.ended;
});

test('a stream that goes silent is cut after 90 s and everything is listed anew; one with bookmarks is left alone', async (t) => {
  const run = start({
    list: (n) => ({ items: [], resourceVersion: n === 1 ? '1' : '5' }),
    watch: (n) =>
      n === 1 ? [bookmark(2), { wait: 80_000 }, bookmark(3), { wait: 80_000 }, bookmark(4), 'Silence'] : ['Silence'],
  });
  await run.clock.advance(249 * second);
  t.is(run.calls.length, 2);
  await run.clock.advance(2 * second);
  t.deepEqual(what(run.calls), ['list', 'watch 1', 'list', 'watch 5']);
  t.is(run.reflector.health().failingSince, undefined);
  run.stop.abort();
  await run.ended;
});

test('a list that hangs is given up after a minute', async (t) => {
  const run = start({ list: (n) => (n === 1 ? 'Hang' : { items: [], resourceVersion: '1' }) });
  await run.clock.advance(61 * second);
  t.true(run.store.synced);
  run.stop.abort();
  await run.ended;
});

test('three watches in a row that end without any event mean a version that the server does not know: relist', async (t) => {
  const run = start({
    list: (n) => ({ items: [], resourceVersion: String(n) }),
    watch: (n) => (n <= 3 ? [] : ['Silence']),
  });
  await run.clock.advance(1 * second);
  t.deepEqual(what(run.calls), ['list', 'watch 1', 'watch 1', 'watch 1', 'list', 'watch 2']);
  run.stop.abort();
  await run.ended;
});

test('an error event that comes again and again leads to a new list', async (t) => {
  const run = start({
    list: (n) => ({ items: [], resourceVersion: String(n) }),
    watch: (_, from) => (from === '1' ? [busy()] : ['Silence']),
  });
  await run.clock.advance(1 * minute);
  t.deepEqual(what(run.calls).slice(-2), ['list', 'watch 2']);
  run.stop.abort();
  await run.ended;
});

test('a withdrawn right makes knowledge unknown after ten seconds, an outage does not; the next list cures it', async (t) => {
  let answer: OperatorError | undefined;
  const run = start({
    list: () => answer ?? { items: [item('a', '1', 1)], resourceVersion: '5' },
    watch: () => (answer === undefined ? [{ wait: 1000 }, new VersionExpiredError('gone')] : [answer]),
  });
  await run.clock.settle(20);
  answer = busy();
  await run.clock.advance(10 * minute);
  t.true(run.store.synced);
  answer = forbidden;
  await run.clock.advance(1 * minute);
  t.false(run.store.synced);
  t.is(run.store.size, 1);
  answer = undefined;
  await run.clock.advance(31 * second);
  t.true(run.store.synced);
  run.stop.abort();
  await run.ended;
});

test('a refusal that passes within seconds, as from a server that has just started, changes nothing', async (t) => {
  const run = start({
    list: (n) => (n > 1 && n < 5 ? forbidden : { items: [], resourceVersion: '5' }),
    watch: (n) => (n === 1 ? [new VersionExpiredError('gone')] : ['Silence']),
  });
  const synced: boolean[] = [];
  run.store.onSynced((now) => synced.push(now));
  await run.clock.advance(1 * minute);
  t.is(run.calls.length, 7);
  t.deepEqual(synced, [true]);
  run.stop.abort();
  await run.ended;
});

test('a server that lags behind is not believed; one that insists was restored from a backup', async (t) => {
  const run = start({
    list: (n) =>
      n === 1
        ? { items: [item('a', '1', 50)], resourceVersion: '50' }
        : { items: [item('b', '2', 7)], resourceVersion: '9' },
    watch: (n) => (n === 1 ? [new VersionExpiredError('gone')] : ['Silence']),
  });
  await run.clock.advance(60);
  t.deepEqual(
    [...run.store.entries()].map(([key]) => key),
    ['a'],
  );
  await run.clock.advance(10 * second);
  t.deepEqual(what(run.calls), ['list', 'watch 50', 'list', 'list', 'list', 'watch 9']);
  t.deepEqual(
    [...run.store.entries()].map(([key]) => key),
    ['b'],
  );
  run.stop.abort();
  await run.ended;
});

/** A server's truth with a history that can be compacted. */
class Truth {
  readonly objects = new Map<string, Kept>();
  readonly #events: { readonly version: number; readonly event: WatchEvent<Kept> }[] = [];
  #compacted = 0;
  #uids = 0;
  version = 1;

  put(key: string): void {
    this.version += 1;
    const value = { uid: this.objects.get(key)?.uid ?? `u${(this.#uids += 1)}`, resourceVersion: String(this.version) };
    this.objects.set(key, value);
    this.#events.push({ version: this.version, event: { type: 'Put', key, value } });
  }

  delete(key: string): void {
    const gone = this.objects.get(key);
    if (gone === undefined) return;
    this.version += 1;
    this.objects.delete(key);
    this.#events.push({
      version: this.version,
      event: { type: 'Delete', key, uid: gone.uid, resourceVersion: String(this.version) },
    });
  }

  compact(): void {
    this.#compacted = this.version;
  }

  after(version: number): readonly WatchEvent<Kept>[] {
    if (version < this.#compacted) throw new VersionExpiredError('too old');
    return this.#events.filter((e) => e.version > version).map((e) => e.event);
  }
}

const faults = ['None', 'None', 'Expired', 'Busy', 'Torn', 'Empty', 'Silent', 'Forbidden', 'Reset'] as const;
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('put' as const, 'delete' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), by: fc.constantFrom(20, 1000, 40_000, 100_000) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('fault' as const), fault: fc.constantFrom(...faults) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const) }) },
);

test('whatever goes wrong in between, the store ends as the truth, and a listener that follows it too', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 40 }), async (history) => {
      const clock = new VirtualClock();
      const truth = new Truth();
      const pending: (typeof faults)[number][] = [];
      const fail = async (signal: AbortSignal): Promise<boolean> => {
        const fault = pending.shift() ?? 'None';
        if (fault === 'Expired') throw new VersionExpiredError('gone');
        if (fault === 'Busy') throw busy(clock.now() + 3000);
        if (fault === 'Torn') throw new SyntaxError('torn');
        if (fault === 'Reset')
          throw new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'reset' });
        if (fault === 'Forbidden') throw forbidden;
        if (fault === 'Silent') await clock.sleepUntil(instant(Number.MAX_SAFE_INTEGER), signal);
        return fault === 'Empty';
      };
      const source: Source<Kept> = {
        async list({ continue: token }, signal) {
          await fail(signal);
          signal.throwIfAborted();
          const [version, from] = (token ?? `${truth.version}/0`).split('/').map(Number) as [number, number];
          if (version !== truth.version) throw new VersionExpiredError('list expired');
          const items = [...truth.objects].slice(from, from + 2);
          const more = from + 2 < truth.objects.size;
          return { items, resourceVersion: String(version), ...(more ? { continue: `${version}/${from + 2}` } : {}) };
        },
        async *watch({ resourceVersion, knows }, signal) {
          let at = Number(resourceVersion);
          for (;;) {
            if (await fail(signal)) return;
            if (signal.aborted) return;
            for (const event of truth.after(at)) {
              at = Number(event.type === 'Put' ? event.value.resourceVersion : event.resourceVersion);
              const isKnown = event.type === 'Put' && knows?.(event.key, event.value) === true;
              yield isKnown ? bookmark(at) : event;
            }
            await clock.sleepUntil(plus(clock.now(), 30_000), signal);
            yield { type: 'Bookmark', resourceVersion: String(at) };
          }
        },
      };
      const store = new Store<Kept>('things');
      const follower = new Map<string, Kept>();
      store.onChange((key, next, previous) => {
        if (previous !== undefined) t.is(follower.get(key)?.uid, previous.uid);
        if (next === undefined) follower.delete(key);
        else follower.set(key, next);
      });
      const reflector = new Reflector({ name: 'things', source, store, clock, random: () => 0.5 });
      const stop = new AbortController();
      const ended = reflector.run(stop.signal);
      for (const h of history) {
        if (h.do === 'put') truth.put(h.key);
        else if (h.do === 'delete') truth.delete(h.key);
        else if (h.do === 'compact') truth.compact();
        else if (h.do === 'fault') pending.push(h.fault);
        else if (h.do === 'wait') await clock.advance(h.by);
      }
      await clock.advance(20 * minute);
      t.deepEqual(pending.filter((f) => f !== 'None').length, 0);
      const sorted = (m: Iterable<[string, Kept]>): unknown => [...m].toSorted(([a], [b]) => a.localeCompare(b));
      t.deepEqual(sorted(store.entries()), sorted(truth.objects));
      t.deepEqual(sorted(follower), sorted(truth.objects));
      t.true(store.synced);
      stop.abort();
      await ended;
      t.is(clock.sleeping, 0);
    }),
    { numRuns: 100 },
  );
});
