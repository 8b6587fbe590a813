import test from 'ava';
import fc from 'fast-check';
import { type Kept, Store, compareVersions } from '#src/runtime/store.ts';

interface Thing extends Kept {
  readonly colour?: string;
}

const thing = (uid: string, version: number, colour?: string): Thing => ({
  uid,
  resourceVersion: String(version),
  ...(colour === undefined ? {} : { colour }),
});

function logged(store: Store<Thing>): string[] {
  const log: string[] = [];
  store.onChange((key, next, previous) => log.push(`${key} ${previous?.uid ?? '-'}→${next?.uid ?? '-'}`));
  return log;
}

for (const [a, b, sign] of [
  ['9', '10', -1],
  ['10', '9', 1],
  ['10', '10', 0],
  ['18446744073709551616', '18446744073709551615', 1],
  ['99999999999999999999', '100000000000000000000', -1],
] as const) {
  test(`resource versions are numbers of any length: ${a} against ${b}`, (t) => {
    t.is(Math.sign(compareVersions(a, b)), sign);
  });
}

test('an older or equal version of what is known is ignored, from a watch as from an answer', (t) => {
  const store = new Store<Thing>('things');
  const log = logged(store);
  store.put('a', thing('1', 10));
  store.put('a', thing('1', 9));
  store.put('a', thing('1', 10));
  t.is(store.get('a')?.resourceVersion, '10');
  t.deepEqual(log, ['a -→1']);
});

test('delete and recreate show as a delete and a new object, also where the delete was never seen', (t) => {
  const store = new Store<Thing>('things');
  const log = logged(store);
  store.put('a', thing('1', 10));
  store.put('a', thing('2', 12));
  t.deepEqual(log, ['a -→1', 'a 1→-', 'a -→2']);
});

test('what a read finds is the truth whatever its version, unless something else became known meanwhile', (t) => {
  const store = new Store<Thing>('things');
  store.put('a', thing('1', 10));
  store.remove('a', '1', '11');
  store.found('a', thing('1', 11), undefined);
  t.is(store.get('a')?.resourceVersion, '11', 'a watch of some objects told of its end, and it is there');
  const before = store.get('a');
  store.put('a', thing('1', 12));
  store.found('a', thing('1', 11), before);
  t.is(store.get('a')?.resourceVersion, '12', 'the watch knows better by now');
  store.found('a', thing('2', 5), store.get('a'));
  t.is(store.get('a')?.uid, '2');
});

test('a delete is by uid: a late one leaves the successor alone, and a late put does not bring the dead back', (t) => {
  const store = new Store<Thing>('things');
  store.put('a', thing('1', 10));
  store.put('a', thing('2', 12));
  store.remove('a', '1', '11');
  t.is(store.get('a')?.uid, '2');
  store.remove('a', '2', '14');
  store.put('a', thing('2', 13));
  t.is(store.get('a'), undefined);
});

test('what leaves a selector may come back under the same uid with a newer version', (t) => {
  const store = new Store<Thing>('things');
  store.put('a', thing('1', 10));
  store.remove('a', '1', '11');
  store.put('a', thing('1', 12));
  t.is(store.get('a')?.resourceVersion, '12');
});

test('a list does not resurrect what own writes deleted later, nor drop what they made later', (t) => {
  const store = new Store<Thing>('things');
  store.put('old', thing('1', 5));
  store.put('deleted', thing('2', 6));
  store.remove('deleted', '2');
  store.put('mine', thing('3', 21));
  store.put('newer', thing('4', 22, 'blue'));
  store.replaceAll(
    [
      ['deleted', thing('2', 6)],
      ['newer', thing('4', 7, 'red')],
    ],
    '20',
  );
  t.deepEqual([...store.entries()].map(([key]) => key).toSorted(), ['mine', 'newer']);
  t.is(store.get('newer')?.colour, 'blue');
});

test('a list that is newer than what is known is believed, also where it says something older: a backup was restored', (t) => {
  const store = new Store<Thing>('things');
  store.put('edited', thing('1', 12, 'blue'));
  store.put('deleted', thing('2', 6));
  store.remove('deleted', '2', '13');
  store.replaceAll(
    [
      ['edited', thing('1', 5, 'red')],
      ['deleted', thing('2', 6)],
    ],
    '20',
  );
  t.deepEqual([...store.entries()].map(([key]) => key).toSorted(), ['deleted', 'edited']);
  t.is(store.get('edited')?.colour, 'red');
});

test('a list without a version is the whole truth, also where it is older', (t) => {
  const store = new Store<Thing>('things');
  store.put('a', thing('1', 50));
  store.put('b', thing('2', 51));
  store.replaceAll([['a', thing('1', 3)]]);
  t.deepEqual([...store.entries()], [['a', thing('1', 3)]]);
});

test('synced comes with the first complete list, goes when the right is withdrawn, and listeners see the finished state', (t) => {
  const store = new Store<Thing>('things');
  const seen: unknown[] = [];
  store.onChange(() => seen.push([store.synced, store.size]));
  store.onSynced((synced) => seen.push(synced));
  t.false(store.synced);
  store.replaceAll(
    [
      ['a', thing('1', 1)],
      ['b', thing('2', 2)],
    ],
    '2',
  );
  store.markUnsynced();
  store.markUnsynced();
  store.replaceAll([], '3');
  t.deepEqual(seen, [[true, 2], [true, 2], true, false, [true, 0], [true, 0], true]);
});

test('a listener that throws is reported and harms nobody else', (t) => {
  const errors: unknown[] = [];
  const store = new Store<Thing>('things', (error, name) => errors.push([(error as Error).message, name]));
  store.onChange(() => {
    throw new Error('boom');
  });
  const log = logged(store);
  store.replaceAll(
    [
      ['a', thing('1', 1)],
      ['b', thing('2', 2)],
    ],
    '2',
  );
  t.is(log.length, 2);
  t.deepEqual(errors, [
    ['boom', 'things'],
    ['boom', 'things'],
  ]);
});

test('what a listener throws reaches whoever changed the store, where nobody asked to be told', (t) => {
  const store = new Store<Thing>('things');
  store.onChange(() => {
    throw new Error('boom');
  });
  t.throws(() => store.put('a', thing('1', 1)), { message: 'boom' });
});

test('an unknown index is a bug and says so', (t) => {
  t.throws(() => new Store<Thing>('things').byIndex('colour', 'red'), { message: 'store things has no index colour' });
});

const key = fc.constantFrom('a', 'b', 'c');
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      key,
      colour: fc.constantFrom('red', 'blue'),
      ours: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key, ours: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('watch' as const, 'list' as const, 'listed' as const, 'bookmark' as const),
    }),
  },
);

/**
 * The server's truth changes; a reflector reads it with a list that may be old when it arrives, then event by event; the answers to our own
 * writes are known at once, before the list that is under way and before the events that tell the same.
 */
test('whatever arrives in whatever order, the store ends as the truth without a further list, and its indexes fit', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (history) => {
      const truth = new Map<string, Thing>();
      const store = new Store<Thing>('things');
      store.addIndex('colour', (value) => [value.colour ?? '']);
      const events: { readonly version: number; tell(): void }[] = [];
      let version = 1;
      let uids = 0;
      let cursor = 0;
      let underWay = { version: 0, items: new Map<string, Thing>() };
      const happened = (ours: boolean, tell: () => void): void => {
        events.push({ version, tell });
        if (ours) tell();
      };
      const apply = (): void => {
        store.replaceAll(underWay.items, String(underWay.version));
        cursor = events.filter((e) => e.version <= underWay.version).length;
      };
      for (const s of history) {
        if (s.do === 'put') {
          version += 1;
          const value = thing(truth.get(s.key)?.uid ?? `u${(uids += 1)}`, version, s.colour);
          truth.set(s.key, value);
          happened(s.ours, () => store.put(s.key, value));
        } else if (s.do === 'delete') {
          const gone = truth.get(s.key);
          if (gone === undefined) continue;
          version += 1;
          const at = String(version);
          truth.delete(s.key);
          happened(s.ours, () => store.remove(s.key, gone.uid, at));
        } else if (s.do === 'watch') {
          events[cursor]?.tell();
          cursor = Math.min(cursor + 1, events.length);
        } else if (s.do === 'bookmark') {
          store.passed(String(events[cursor - 1]?.version ?? 1));
        } else if (s.do === 'list') {
          underWay = { version, items: new Map(truth) };
        } else if (underWay.version > 0) {
          apply();
        }
      }
      for (const event of events.slice(cursor)) event.tell();
      const inOrder = (things: Iterable<[string, Thing]>): unknown =>
        [...things].toSorted(([a], [b]) => a.localeCompare(b));
      t.deepEqual(inOrder(store.entries()), inOrder(truth));
      for (const colour of ['red', 'blue']) {
        t.deepEqual(
          store
            .byIndex('colour', colour)
            .map(([at]) => at)
            .toSorted(),
          [...truth]
            .filter(([, value]) => value.colour === colour)
            .map(([at]) => at)
            .toSorted(),
        );
      }
    }),
    { numRuns: 1000 },
  );
});
