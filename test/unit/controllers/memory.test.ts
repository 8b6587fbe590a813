import test from 'ava';
import { Memory, indexes } from '#src/controllers/memory.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { sessionRecordName } from '#src/domain/record-names.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import type { StoredRecord } from '#src/kube/records.ts';
import { type Kept, Store } from '#src/runtime/store.ts';
import {
  buildClientRecord,
  buildGeneration,
  buildPod,
  buildSessionRecord,
  buildToken,
  omit,
} from '#test/support/builders.ts';

const kept = (name: string): { name: string; uid: string; resourceVersion: string } => ({
  name,
  uid: name,
  resourceVersion: '1',
});

test('the highest epoch is that of all records, whatever their kind', (t) => {
  const memory = new Memory('ci-identity-system');
  t.is(memory.highestEpoch(), 0);
  memory.clients.put('client', { ...kept('client'), record: buildClientRecord({ epoch: 2 }) });
  t.is(memory.highestEpoch(), 2);
  const identity = { namespace: 'ci-payments', name: 'publisher', uid: 'i1' };
  memory.limits.put('limits', { ...kept('limits'), record: { formatVersion: 1, epoch: 5, identity, starts: [] } });
  t.is(memory.highestEpoch(), 5);
  memory.sessions.put('session', { ...kept('session'), record: buildSessionRecord({ epoch: 7 }) });
  t.is(memory.highestEpoch(), 7);
});

test('the record of a session is found by what it says, and one of a newer version by its name', (t) => {
  const memory = new Memory('ci-identity-system');
  const { uid: pod, claims } = buildPod();
  const [[identity, claimed] = ['', '']] = Object.entries(claims);
  t.is(memory.sessionRecord(pod, identity, claimed), undefined);
  const name = sessionRecordName(pod, claimed);
  memory.sessions.put(name, { ...kept(name), newerFormat: true });
  t.true(memory.sessionRecord(pod, identity, claimed)?.newerFormat);
  t.is(memory.sessionRecord(pod, identity), undefined, 'without its pod nobody knows whose it is');
  const record = buildSessionRecord();
  memory.sessions.put(name, { ...kept(name), resourceVersion: '2', record });
  t.is(memory.sessionRecord(record.pod.uid, record.identity.name)?.record, record);
});

for (const [what, record, asked] of [
  ['with its management token', buildClientRecord(), false],
  ['whose management token was lost', buildClientRecord({ managementLost: true }), true],
  ['to which the provider never gave one', omit(buildClientRecord(), 'management') as ClientRecord, true],
] as const) {
  test(`a client ${what}: ${asked ? 'a token that a person hands in is looked for' : 'nothing is looked for'}`, (t) => {
    const memory = new Memory('ci-identity-system');
    memory.clients.put('client', { ...kept('client'), record });
    t.is(memory.clients.byIndex(indexes.unmanaged, 'yes').length, asked ? 1 : 0);
  });
}

test('a pod is there or gone only while its namespace can be read: who may not look any more knows nothing of it', (t) => {
  const memory = new Memory('ci-identity-system');
  const { namespace, name, uid } = buildPod();
  t.is(memory.pod(namespace, name, uid).is, 'Unknown');
  const pods = new Store<PodFacts>('pods');
  memory.pods.set(namespace, pods);
  t.is(memory.pod(namespace, name, uid).is, 'Unknown');
  pods.replaceAll([[`${namespace}/${name}`, buildPod()]]);
  t.is(memory.pod(namespace, name, uid).is, 'Seen');
  t.is(memory.pod(namespace, name, 'another').is, 'Gone');
  pods.markUnsynced();
  t.is(memory.pod(namespace, name, uid).is, 'Unknown');
});

const secret = (record: SessionRecord, resourceVersion = '5'): StoredRecord<SessionRecord> => ({
  ...kept('session'),
  resourceVersion,
  record,
});

const other = buildSessionRecord({
  pod: { namespace: 'x', name: 'x', uid: 'x' },
  tokens: [buildToken({ sha256: 'other' })],
});

/** What others do to the Secret of a session, and who knows its token then. */
const damages: readonly (readonly [string, (memory: Memory) => void, readonly ('the leader' | 'a standby')[]])[] = [
  ['nothing', () => undefined, ['the leader', 'a standby']],
  ['deletes it', ({ sessions }) => sessions.remove('session', 'session', '6'), ['the leader']],
  ['deletes it while the watch is broken', ({ sessions }) => sessions.replaceAll([], '6'), ['the leader']],
  [
    'writes nonsense into it',
    ({ sessions }) => sessions.put('session', { ...kept('session'), resourceVersion: '6', invalid: 'no JSON' }),
    ['the leader'],
  ],
  [
    'puts the record of another session there',
    ({ sessions }) => sessions.put('session', secret(other, '6')),
    ['the leader'],
  ],
  ['deletes it, and that is we', ({ sessions }) => sessions.forget('session', 'session'), []],
];

for (const [what, does, knowing] of damages)
  for (const who of ['the leader', 'a standby'] as const)
    test(`somebody ${what}: ${who} ${knowing.includes(who) ? 'knows the token' : 'knows no token'}`, (t) => {
      const memory = new Memory('ci-identity-system', () => who === 'the leader');
      memory.sessions.replaceAll([['session', secret(buildSessionRecord())]], '5');
      does(memory);
      t.is(memory.holdsToken('a1'), knowing.includes(who));
    });

const client = (uid: string, resourceVersion: string, n: number): StoredRecord<ClientRecord> => ({
  ...kept('client'),
  uid,
  resourceVersion,
  record: buildClientRecord({ epoch: 5, highest: n, generations: [buildGeneration({ n, clientId: `ci-${n}` })] }),
});

/** What becomes of the Secret of a client of generation 3, and which generation the leader and a standby then go by. */
const fates: readonly (readonly [string, (memory: Memory) => void, leader: number | undefined, standby?: number])[] = [
  ['nothing', () => undefined, 3, 3],
  ['it is deleted', ({ clients }) => clients.remove('client', 'c1', '6'), 3],
  ['it is deleted while the watch is broken', ({ clients }) => clients.replaceAll([], '6'), 3],
  [
    'nonsense is written into it',
    ({ clients }) => clients.put('client', { ...kept('client'), resourceVersion: '6', invalid: 'no JSON' }),
    3,
  ],
  [
    'another client takes its name while the watch is broken',
    ({ clients }) => {
      clients.replaceAll([], '6');
      clients.put('client', client('c2', '7', 1));
    },
    3,
    1,
  ],
  ['we remove it', ({ clients }) => clients.forget('client', 'c1'), undefined],
];

for (const [what, happens, ...known] of fates)
  for (const [who, n] of [
    ['the leader', known[0]],
    ['a standby', known[1]],
  ] as const)
    test(`the record of a client, ${what}: ${who} goes by ${n === undefined ? 'none' : `generation ${n}`}`, (t) => {
      const memory = new Memory('ci-identity-system', () => who === 'the leader');
      memory.clients.replaceAll([['client', client('c1', '5', 3)]], '5');
      happens(memory);
      t.is(memory.clients.get('client')?.record?.highest, n);
    });

const storesOf = (memory: Memory): readonly Store<Kept>[] =>
  [...Object.values(memory), memory.newStore<Kept>('pods/ci-payments')].filter((one) => one instanceof Store);

for (const [index, { name }] of storesOf(new Memory('ci-identity-system')).entries()) {
  test(`what a listener of ${name} throws is told with the name of the store`, (t) => {
    const told: unknown[] = [];
    const memory = new Memory(
      'ci-identity-system',
      () => true,
      (error, store) => told.push([(error as Error).message, store]),
    );
    const store = storesOf(memory)[index];
    store?.onSynced(() => {
      throw new Error('a bug');
    });
    store?.replaceAll([]);
    t.deepEqual(told, [['a bug', name]]);
  });
}
