/** Which clients there are: the same as counted naively after any history, and at a cost that does not grow with their number. */
import test from 'ava';
import fc from 'fast-check';
import type { CiIdentity } from '#src/api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '#src/api/v1alpha1/identity-pool.ts';
import { ClientTargets, refOf } from '#src/controllers/client/targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import { Wiring } from '#src/controllers/wiring.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { targetOf } from '#src/domain/client/target.ts';
import { buildClientRecord, buildGeneration } from '#test/support/builders.ts';
import { pool as aPool } from '../../domain/access/objects.ts';

type Per = 'Pool' | 'Namespace' | 'Identity';

let version = 0;
const kept = (uid: string): { uid: string; resourceVersion: string } => ({
  uid,
  resourceVersion: String((version += 1)),
});

function pool(name: string, per: Per, uid: string): Parameters<Memory['pools']['put']>[1] {
  const object = aPool({ client: { per } }, { name, uid });
  return { ...object, ...kept(uid) } as Parameters<Memory['pools']['put']>[1];
}

function identity(
  namespace: string,
  name: string,
  ofPool: string,
  uid: string,
): Parameters<Memory['identities']['put']>[1] {
  return {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'CiIdentity',
    metadata: { namespace, name, uid, generation: 1 },
    spec: { pool: ofPool, roles: ['publisher'] },
    ...kept(uid),
  } as Parameters<Memory['identities']['put']>[1];
}

function record(
  memory: Memory,
  object: IdentityPool,
  of: CiIdentity | undefined,
  state: 'Current' | 'Planned',
): string {
  const target = targetOf(object, of && refOf(of));
  if (target === undefined) throw new Error('nobody wants this client');
  const { recordName, ...owner } = target;
  const stored: ClientRecord = buildClientRecord({ ...owner, generations: [buildGeneration({ state })] });
  memory.clients.put(recordName, { record: stored, newerFormat: false, ...kept(recordName) } as Parameters<
    Memory['clients']['put']
  >[1]);
  return recordName;
}

/** As it was before there were indexes: everything of a pool, counted anew. */
function naive(memory: Memory, name: string): readonly string[] {
  const object = memory.pools.get(name);
  if (object === undefined) return [];
  const own = targetOf(object, undefined);
  if (own !== undefined) return [own.recordName];
  const all = [...memory.identities.entries()].filter(([, { spec }]) => spec.pool === name);
  return [...new Set(all.flatMap(([, one]) => targetOf(object, refOf(one))?.recordName ?? []))].toSorted();
}

const names = ['a', 'b'] as const;
const step = fc.oneof(
  fc.record({
    do: fc.constant('pool' as const),
    name: fc.constantFrom(...names),
    per: fc.constantFrom<Per>('Pool', 'Namespace', 'Identity'),
    again: fc.boolean(),
  }),
  fc.record({ do: fc.constant('no-pool' as const), name: fc.constantFrom(...names) }),
  fc.record({
    do: fc.constant('identity' as const),
    namespace: fc.constantFrom('x', 'y'),
    name: fc.constantFrom('p', 'q', 'r'),
    pool: fc.constantFrom(...names, 'missing'),
    again: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('no-identity' as const),
    namespace: fc.constantFrom('x', 'y'),
    name: fc.constantFrom('p', 'q', 'r'),
  }),
);

test('after any history the clients are those of a naive count', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const memory = new Memory('ci-identity-system');
      const targets = new ClientTargets(memory);
      let uids = 0;
      for (const one of steps) {
        if (one.do === 'pool') {
          const known = one.again ? undefined : memory.pools.get(one.name);
          memory.pools.put(one.name, pool(one.name, one.per, known?.uid ?? `pool-${(uids += 1)}`));
        } else if (one.do === 'no-pool') {
          const known = memory.pools.get(one.name);
          if (known !== undefined) memory.pools.remove(one.name, known.uid);
        } else {
          const key = `${one.namespace}/${one.name}`;
          const known = memory.identities.get(key);
          if (one.do === 'no-identity') {
            if (known !== undefined) memory.identities.remove(key, known.uid);
          } else {
            const uid = one.again || known === undefined ? `identity-${(uids += 1)}` : known.uid;
            memory.identities.put(key, identity(one.namespace, one.name, one.pool, uid));
          }
        }
        const expected = names.map((name) => naive(memory, name));
        t.deepEqual(
          names.map((name) => targets.ofPool(name).toSorted()),
          expected,
          `after ${JSON.stringify(one)}`,
        );
        for (const recordName of expected.flat())
          t.true(targets.isWanted(recordName) && targets.find(recordName) !== undefined, recordName);
        t.is(targets.all().length, expected.flat().length, 'nothing is left over');
      }
    }),
    { numRuns: 300, seed: 20_261_126 },
  );
});

/** 2,000 identities in 40 namespaces, each with a client that works. */
function many(per: Per): { memory: Memory; targets: ClientTargets; object: IdentityPool; clients: readonly string[] } {
  const memory = new Memory('ci-identity-system');
  const targets = new ClientTargets(memory);
  memory.pools.put('a', pool('a', per, 'pool-uid'));
  const object = memory.pools.get('a')!;
  const clients = new Set<string>();
  for (let n = 0; n < 2_000; n += 1) {
    const one = identity(`team-${n % 40}`, `identity-${n}`, 'a', `uid-${n}`);
    memory.identities.put(`team-${n % 40}/identity-${n}`, one);
    clients.add(record(memory, object, per === 'Pool' ? undefined : one, 'Current'));
  }
  return { memory, targets, object, clients: [...clients] };
}

/** How many objects the stores hand out while `work` runs. */
function touched(memory: Memory, work: () => void): number {
  let count = 0;
  for (const store of [memory.pools, memory.identities, memory.clients, memory.sessions, memory.policies]) {
    const byIndex = store.byIndex.bind(store);
    const entries = store.entries.bind(store);
    const get = store.get.bind(store);
    Object.assign(store, {
      byIndex: (name: string, value: string) => {
        const found = byIndex(name, value);
        count += found.length;
        return found;
      },
      entries: () => {
        count += store.size;
        return entries();
      },
      get: (key: string) => {
        count += 1;
        return get(key);
      },
    });
  }
  work();
  return count;
}

test('2,000 clients: looking each of them up touches a handful of objects per client', (t) => {
  const { memory, targets, object, clients } = many('Identity');
  t.is(clients.length, 2_000);
  const count = touched(memory, () => {
    for (const client of clients) {
      targets.find(client);
      targets.isWanted(client);
      targets.isLeaving(client);
      for (const key of targets.identitiesOf(client)) {
        const one = memory.identities.get(key);
        if (one !== undefined) targets.serving(object, refOf(one));
      }
    }
  });
  t.log(`${count / clients.length} objects per client`);
  t.true(count <= 8 * clients.length, `${count} objects`);
});

test('2,000 clients: an edited identity and a written record wake what has to do with them, and the pool once a second', (t) => {
  const { memory, targets, clients } = many('Identity');
  const woken: string[] = [];
  const wiring = new Wiring(
    memory,
    targets,
    'ci-identity-system',
    (machine, key) => void woken.push(`${machine} ${key}`),
  );
  wiring.connect();
  const before = memory.identities.get('team-7/identity-7')!;
  const count = touched(memory, () => {
    memory.identities.put('team-7/identity-7', {
      ...before,
      ...kept('uid-7'),
      metadata: { ...before.metadata, generation: 2 },
    });
    for (const client of clients.slice(0, 100)) {
      memory.clients.put(client, { ...memory.clients.get(client)!, ...kept(client) });
    }
  });
  t.true(woken.length <= 2 + 2 * 100 + 2, `${woken.length} keys were woken`);
  t.false(woken.some((key) => key.startsWith('pool ')));
  t.log(`${woken.length} wakes and ${count} objects for 101 changes`);
  woken.length = 0;
  wiring.deferred.wake({ issuers: [], namespaces: [] });
  t.deepEqual(woken, ['pool a']);
});

test('100 edits of one identity: the client that works for 2,000 looks once a second', (t) => {
  const { memory, targets, clients } = many('Pool');
  const woken: string[] = [];
  const wiring = new Wiring(memory, targets, 'ci-identity-system', (machine, key) => {
    if (machine === 'client') woken.push(key);
  });
  wiring.connect();
  const before = memory.identities.get('team-7/identity-7')!;
  for (let generation = 2; generation < 102; generation += 1) {
    const metadata = { ...before.metadata, generation };
    memory.identities.put('team-7/identity-7', { ...before, resourceVersion: `edit-${generation}`, metadata });
  }
  t.deepEqual(woken, []);
  wiring.deferred.wake({ issuers: [], namespaces: [] });
  t.deepEqual(woken, clients);
});

test('client.per is changed: the client before mints for each identity until its own works, and is wanted no longer after the last', (t) => {
  const { memory, targets, clients } = many('Pool');
  const [before = ''] = clients;
  const switched = pool('a', 'Identity', 'pool-uid');
  memory.pools.put('a', switched);
  const identities = [...memory.identities.entries()].map(([, one]) => one);
  const [first, ...others] = identities;
  t.is(targets.serving(switched, refOf(first!))?.recordName, before);
  t.true(targets.isLeaving(before));
  t.false(targets.isWanted(before));
  const own = record(memory, switched, first, 'Current');
  t.is(targets.serving(switched, refOf(first!))?.recordName, own);
  record(memory, switched, others[0], 'Planned');
  t.is(targets.serving(switched, refOf(others[0]!))?.recordName, before, 'made, but not proven yet');
  t.true(targets.isLeaving(before));
  for (const one of others) record(memory, switched, one, 'Current');
  t.false(targets.isLeaving(before));
});

test('a deleted identity takes its client along, and nobody else', (t) => {
  const { memory, targets, clients } = many('Identity');
  const gone = targets.serving(memory.pools.get('a')!, refOf(memory.identities.get('team-0/identity-0')!))!.recordName;
  memory.identities.remove('team-0/identity-0', 'uid-0');
  t.false(targets.isWanted(gone));
  t.false(targets.isLeaving(gone));
  t.is(clients.filter((client) => targets.isWanted(client)).length, 1_999);
});
