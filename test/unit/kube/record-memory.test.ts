import test from 'ava';
import { RecordMemory } from '#src/kube/record-memory.ts';
import type { StoredRecord } from '#src/kube/records.ts';

type Kept = StoredRecord<string>;

const at = (resourceVersion: string, more: Partial<Kept> = {}, uid = 'u1'): Kept => ({
  name: 'a',
  uid,
  resourceVersion,
  ...more,
});
const objection = (record: string, known?: string): string | undefined => {
  if (record === 'of somebody else') return record;
  return known === 'credential' && record === 'credential of last year' ? 'older' : undefined;
};
const good = at('5', { record: 'credential' });

/** What happens after `good` is known, and what memory then holds. */
const rows: readonly (readonly [
  what: string,
  happens: (memory: RecordMemory<string>) => void,
  then: Kept | undefined,
])[] = [
  ['nothing', () => undefined, good],
  ['a newer record', (m) => m.put('a', at('6', { record: 'next' })), at('6', { record: 'next' })],
  [
    'the watch says that it was deleted',
    (m) => m.remove('a', 'u1', '6'),
    at('6', { record: 'credential', deleted: true }),
  ],
  ['a call found it gone: the watch will tell', (m) => m.remove('a', 'u1'), good],
  ['it is in no list any more', (m) => m.replaceAll([], '9'), at('9', { record: 'credential', deleted: true })],
  [
    'it is in no list of a cluster that was restored from a backup',
    (m) => m.replaceAll([]),
    at('', { record: 'credential', deleted: true }),
  ],
  [
    'the same, and written again by us under a version that was there before',
    (m) => {
      m.replaceAll([]);
      m.put('a', at('3', { record: 'credential' }, 'u2'));
    },
    at('3', { record: 'credential' }, 'u2'),
  ],
  [
    'somebody wrote nonsense',
    (m) => m.put('a', at('6', { invalid: 'it is no JSON' })),
    at('6', { invalid: 'it is no JSON', record: 'credential' }),
  ],
  [
    'somebody put an old copy in its place',
    (m) => m.put('a', at('6', { record: 'credential of last year' })),
    at('6', { invalid: 'older', record: 'credential' }),
  ],
  [
    'the list of a cluster that was restored from a backup',
    (m) => m.replaceAll([['a', at('2', { record: 'credential of last year' })]]),
    at('2', { invalid: 'older', record: 'credential' }),
  ],
  [
    'a list holds nonsense',
    (m) => m.replaceAll([['a', at('6', { invalid: 'it is no JSON' })]], '9'),
    at('6', { invalid: 'it is no JSON', record: 'credential' }),
  ],
  [
    'nonsense, then deleted',
    (m) => {
      m.put('a', at('6', { invalid: 'it is no JSON' }));
      m.remove('a', 'u1', '7');
    },
    at('7', { invalid: 'it is no JSON', record: 'credential', deleted: true }),
  ],
  [
    'deleted and written again by us',
    (m) => {
      m.remove('a', 'u1', '6');
      m.put('a', at('7', { record: 'credential' }, 'u2'));
    },
    at('7', { record: 'credential' }, 'u2'),
  ],
  [
    'the watch says that it was deleted, and it has only lost its label',
    (m) => {
      m.remove('a', 'u1', '6');
      m.found('a', at('6', { record: 'credential', unlisted: true }), m.get('a'));
    },
    at('6', { record: 'credential', unlisted: true }),
  ],
  [
    'it is in no list any more, and has only lost its label',
    (m) => {
      m.replaceAll([], '9');
      m.found('a', at('6', { record: 'credential', unlisted: true }), m.get('a'));
    },
    at('6', { record: 'credential', unlisted: true }),
  ],
  [
    'an old copy without its label',
    (m) => {
      m.remove('a', 'u1', '6');
      m.found('a', at('7', { record: 'credential of last year', unlisted: true }), m.get('a'));
    },
    at('7', { invalid: 'older', record: 'credential', unlisted: true }),
  ],
  [
    'found, and deleted before that was heard',
    (m) => {
      const before = m.get('a');
      m.remove('a', 'u1', '7');
      m.found('a', at('6', { record: 'next' }), before);
    },
    at('7', { record: 'credential', deleted: true }),
  ],
  [
    'we wrote what would look old if others had',
    (m) => m.wrote('a', at('6', { record: 'credential of last year' })),
    at('6', { record: 'credential of last year' }),
  ],
  [
    'the same, and the watch was faster than the answer',
    (m) => {
      m.put('a', at('6', { record: 'credential of last year' }));
      m.wrote('a', at('6', { record: 'credential of last year' }));
    },
    at('6', { record: 'credential of last year' }),
  ],
  [
    'the same, and a list was faster than the answer',
    (m) => {
      m.replaceAll([['a', at('6', { record: 'credential of last year' })]], '9');
      m.wrote('a', at('6', { record: 'credential of last year' }));
    },
    at('6', { record: 'credential of last year' }),
  ],
  [
    'we wrote, and somebody deleted it before the answer came',
    (m) => {
      m.put('a', at('6', { record: 'next' }));
      m.remove('a', 'u1', '7');
      m.wrote('a', at('6', { record: 'next' }));
    },
    at('7', { record: 'next', deleted: true }),
  ],
  [
    'we deleted it, and the watch was faster than the answer',
    (m) => {
      m.remove('a', 'u1', '6');
      m.forget('a', 'u1');
    },
    undefined,
  ],
  [
    'we deleted it, and the watch comes later',
    (m) => {
      m.forget('a', 'u1');
      m.remove('a', 'u1', '6');
    },
    undefined,
  ],
];

for (const [what, happens, then] of rows) {
  test(what, (t) => {
    const memory = new RecordMemory<string>('records', { worthKeeping: () => true, objection });
    memory.replaceAll([['a', good]], '5');
    happens(memory);
    t.deepEqual(memory.get('a'), then);
  });
}

test('what is not worth keeping goes, and what was never read stays unread', (t) => {
  const memory = new RecordMemory<string>('records', { worthKeeping: (record) => record !== 'ended', objection });
  memory.replaceAll([['a', at('5', { record: 'ended' })]], '5');
  memory.remove('a', 'u1', '6');
  t.is(memory.get('a'), undefined);
  memory.put('b', at('7', { invalid: 'it is no JSON' }, 'u2'));
  t.is(memory.get('b')?.record, undefined);
  memory.remove('b', 'u2', '8');
  t.is(memory.get('b'), undefined);
  memory.put('c', at('9', { record: 'of somebody else' }, 'u3'));
  t.deepEqual(memory.get('c'), at('9', { invalid: 'of somebody else' }, 'u3'));
});
