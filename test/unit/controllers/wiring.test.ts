import test from 'ava';
import { ClientTargets } from '#src/controllers/client/targets.ts';
import { Creators } from '#src/controllers/session/creators.ts';
import { Memory } from '#src/controllers/memory.ts';
import { Wiring } from '#src/controllers/wiring.ts';
import { instant } from '#src/clock.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import { Store } from '#src/runtime/store.ts';
import {
  buildClientRecord,
  buildEndedToken,
  buildGeneration,
  buildPod,
  buildSessionRecord,
  buildToken,
} from '#test/support/builders.ts';
import { identity, policy, pool, rule } from '../domain/access/objects.ts';

const changes: readonly (readonly [string, (wiring: Wiring) => void])[] = [
  ['a policy', (wiring) => wiring.policy('publishers')],
  ['a pool', (wiring) => wiring.pool('ci-bots')],
  ['everything', (wiring) => wiring.everything()],
];

for (const [what, change] of changes) {
  test(`${what} changes: each identity is judged in its own turn before anything asks about all of them`, (t) => {
    const memory = new Memory('ci-identity-system');
    const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });
    memory.pools.put('ci-bots', { ...kept('pool-uid'), ...pool() });
    memory.policies.put('publishers', { ...kept('policy-uid'), ...policy('publishers', [rule()]) });
    for (const name of ['one', 'two'])
      memory.identities.put(`ci-payments/${name}`, { ...kept(name), ...identity({}, { name, uid: name }) });
    const woken: string[] = [];
    change(new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (machine) => woken.push(machine)));
    t.is(woken.filter((machine) => machine === 'identity').length, 2);
    const last = woken.lastIndexOf('identity');
    for (const asksAboutAll of ['policy', 'client']) t.true(woken.indexOf(asksAboutAll) > last, woken.join(' '));
  });
}

test('a pool changes: sessions that hold a token of it look, also where their identity names another pool by now', (t) => {
  const memory = new Memory('ci-identity-system');
  const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });
  memory.pools.put('before', { ...kept('before'), ...pool({}, { name: 'before', uid: 'before' }) });
  const client = buildClientRecord({ pool: { name: 'before', uid: 'before' } });
  memory.clients.put('client-before', { ...kept('client-before'), name: 'client-before', record: client });
  const record = buildSessionRecord({
    tokens: [buildEndedToken('Superseded', { client: 'client-before' }), buildToken()],
  });
  memory.sessions.put('session', { ...kept('session'), name: 'session', record });
  const woken: string[] = [];
  new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (machine) => woken.push(machine)).pool('before');
  t.true(woken.includes('session'));
});

test('a creator is seen in another namespace: identities of all its namespaces say so within a second, once each, until they are gone', (t) => {
  const memory = new Memory('ci-identity-system');
  for (const namespace of ['ci-payments', 'ci-search', 'ci-other']) {
    const one = identity({}, { name: 'reader', namespace, uid: namespace });
    memory.identities.put(`${namespace}/reader`, { uid: namespace, resourceVersion: '1', ...one });
  }
  const woken: string[] = [];
  const wiring = new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (_machine, key) =>
    woken.push(key),
  );
  const creators = new Creators(memory.namespaces, (namespaces) => wiring.deferred.namespaces(namespaces));
  const pods = new Store<PodFacts>('pods');
  creators.connect(pods);
  const told = (): readonly string[] => {
    woken.length = 0;
    wiring.deferred.wake({ issuers: [], namespaces: [] });
    return woken.toSorted();
  };
  const create = (namespace: string, requester = 'mallory\u202e'): void => {
    pods.put(`${namespace}/${pods.size}`, buildPod({ namespace, requester }));
  };
  create('ci-payments');
  create('ci-other', 'somebody else');
  t.deepEqual(told(), []);
  create('ci-search');
  t.deepEqual(told(), ['ci-payments/reader', 'ci-search/reader']);
  create('ci-search');
  t.deepEqual(told(), []);
  memory.namespaces.put('ci-search', {
    uid: 'n',
    resourceVersion: '1',
    name: 'ci-search',
    labels: {},
    annotations: {},
    terminating: true,
  });
  t.is(creators.sharedIn('ci-payments').length, 1, 'it is still there');
  memory.namespaces.remove('ci-search', 'n', '2');
  t.deepEqual(creators.sharedIn('ci-payments'), [], 'what is gone shares nothing');
  t.deepEqual(told(), ['ci-payments/reader']);
});

test('a policy changes: a session whose identity is gone looks again, because a brake may keep it', (t) => {
  const memory = new Memory('ci-identity-system');
  memory.identities.replaceAll([]);
  memory.sessions.put('session', { uid: 's', resourceVersion: '1', name: 'session', record: buildSessionRecord() });
  const woken: string[] = [];
  const wake = (machine: string, key: string): number => woken.push(`${machine} ${key}`);
  new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', wake).policy('publishers');
  t.true(woken.includes('session ci-payments/agent-1/pod-uid/publisher'), woken.join(', '));
});

test('the pods of a namespace were read: its sessions look, and no others', (t) => {
  const memory = new Memory('ci-identity-system');
  const woken: string[] = [];
  const wiring = new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (machine, key) =>
    woken.push(`${machine} ${key.split('/')[0]}`),
  );
  for (const namespace of ['ci-payments', 'ci-search']) {
    const store = new Store<PodFacts>(namespace);
    memory.pods.set(namespace, store);
    wiring.podsOf(namespace, store);
    const pod = { namespace, name: 'ended', uid: namespace };
    const kept = { uid: namespace, resourceVersion: '1', name: namespace };
    memory.sessions.put(namespace, { ...kept, record: buildSessionRecord({ pod }) });
  }
  memory.pods.get('ci-search')?.replaceAll([['ci-search/agent', buildPod({ namespace: 'ci-search' })]]);
  t.deepEqual([...new Set(woken.filter((what) => what.startsWith('session')))], ['session ci-search']);
});

test('a client hears of its own record as news where a credential came, went or got further, and not where a call was noted', (t) => {
  const memory = new Memory('ci-identity-system');
  const woken: string[] = [];
  new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (machine, _key, why) => {
    if (machine === 'client') woken.push(why ?? 'Changed');
  }).connect();
  const [generation] = buildClientRecord().generations;
  const store = (version: string, record: ClientRecord): void =>
    memory.clients.put('client-1', { uid: 'client-1', resourceVersion: version, name: 'client-1', record });
  store('1', buildClientRecord());
  store('2', buildClientRecord({ managementLost: true }));
  store('3', buildClientRecord({ generations: [{ ...generation!, refusedAt: instant(1) }] }));
  store('4', buildClientRecord({ generations: [{ ...generation!, state: 'Draining' }] }));
  store('5', buildClientRecord({ generations: [] }));
  t.deepEqual(woken, ['Changed', 'Check', 'Check', 'Changed', 'Changed']);
});

test('a client that is replaced writes its record: that is no news to it; that a session lost its token is', (t) => {
  const memory = new Memory('ci-identity-system');
  let version = 0;
  const kept = (name: string): { uid: string; resourceVersion: string; name: string } => ({
    uid: name,
    resourceVersion: String((version += 1)),
    name,
  });
  const generations = [buildGeneration(), buildGeneration({ n: 2, state: 'Planned' })];
  const write = (): void =>
    memory.clients.put('client-1', { ...kept('client-1'), record: buildClientRecord({ generations }) });
  const { namespace } = buildSessionRecord().pod;
  memory.identities.put(`${namespace}/publisher`, {
    ...kept('publisher'),
    ...identity({}, { namespace, name: 'publisher' }),
  });
  write();
  memory.sessions.put('session', { ...kept('session'), record: buildSessionRecord({ client: 'client-1' }) });
  const news: string[] = [];
  const wiring = new Wiring(
    memory,
    new ClientTargets(memory),
    'ci-identity-system',
    (machine, _key, why = 'Changed') => {
      if (why === 'Changed') news.push(machine);
    },
  );
  wiring.connect();
  write();
  t.true(news.includes('session'));
  t.false(news.includes('client'));
  const record = buildSessionRecord({ client: 'client-1', tokens: [buildToken({ sha256: 'next' })] });
  memory.sessions.put('session', { ...kept('session'), record });
  t.true(news.includes('client'));
});

test('a session record that nobody can read goes: its pod looks again, though nobody knew whose it was', (t) => {
  const memory = new Memory('ci-identity-system');
  const pods = new Store<PodFacts>('pods');
  memory.pods.set('ci-payments', pods);
  pods.put('ci-payments/agent-1', buildPod());
  const woken: string[] = [];
  new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (_machine, key) => woken.push(key)).connect();
  memory.sessions.put('session', { uid: 's', resourceVersion: '1', name: 'session', invalid: 'it is no JSON' });
  memory.sessions.remove('session', 's', '2');
  t.deepEqual(
    woken,
    Array.from({ length: 2 }, () => 'ci-payments/agent-1/pod-uid/publisher'),
  );
});

test('a namespace comes, goes or changes its labels: policies look within a second; annotations are nothing to them', (t) => {
  const memory = new Memory('ci-identity-system');
  const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });
  const policies = ['a', 'b'];
  for (const name of policies) memory.policies.put(name, { ...kept(name), ...policy(name, [rule()]) });
  let woken: string[] = [];
  const wiring = new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (machine, key) => {
    if (machine === 'policy') woken.push(key);
  });
  wiring.connect();
  const news = (): readonly string[] => {
    woken = [];
    wiring.deferred.wake({ issuers: [], namespaces: [] });
    return woken;
  };
  const put = (resourceVersion: string, labels: Record<string, string>, annotations = {}): void =>
    memory.namespaces.put('ci-payments', {
      uid: 'n',
      resourceVersion,
      name: 'ci-payments',
      labels,
      annotations,
      terminating: false,
    });
  put('1', {});
  t.deepEqual([news(), news()], [policies, []]);
  put('2', {}, { seen: 'yes' });
  t.deepEqual(news(), []);
  put('3', { team: 'x' });
  t.deepEqual(news(), policies);
  memory.namespaces.remove('ci-payments', 'n');
  t.deepEqual(news(), policies);
});
