/** Who is held back by the brake, and how often it counts and tells, from what memory holds. */
import test from 'ava';
import { type Instant, minute, plus, second } from '#src/clock.ts';
import { BrakeMemory, type BrakeMemoryOptions } from '#src/controllers/brake-memory.ts';
import { BrakeReport, type BrakeReportOptions } from '#src/controllers/upkeep/brake-report.ts';
import { Brakes, type HeldNamespaces } from '#src/controllers/brakes.ts';
import { ClientTargets } from '#src/controllers/client/targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import { type BrakedThing, isHeldBy } from '#src/domain/access/brake.ts';
import { clientRecordName } from '#src/domain/record-names.ts';
import { LostLeaseError } from '#src/errors.ts';
import { buildClientRecord, buildSessionRecord, noon } from '#test/support/builders.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { identity, pool } from '../domain/access/objects.ts';

const system = 'ci-identity-system';
let version = 0;
const kept = (uid: string): { uid: string; resourceVersion: string } => ({
  uid,
  resourceVersion: `${(version += 1)}`,
});

/** As a new process has it. */
function brakesOf({ memory, targets, clock }: Pick<Scene, 'memory' | 'targets' | 'clock'>): Brakes {
  return new Brakes({ memory, targets, namespace: system, clock });
}

/** Pools with a client per identity, and `own` with one client for all; each identity has its client. */
class Scene {
  now: Instant = noon;
  readonly memory = new Memory(system);
  readonly targets = new ClientTargets(this.memory);
  readonly clock = { now: () => this.now } as BrakeReportOptions['clock'];
  brakes = brakesOf(this);

  constructor(pools: readonly string[]) {
    for (const name of pools) this.pool(name);
    this.memory.pools.put('own', { ...kept('own'), ...pool({}, { name: 'own', uid: 'own' }) });
    this.#client('own', '', '');
    const { pools: all, identities, clients, sessions, namespaces } = this.memory;
    all.replaceAll([...all.entries()]);
    identities.replaceAll([]);
    clients.replaceAll([...clients.entries()]);
    sessions.replaceAll([]);
    namespaces.replaceAll([]);
  }

  pool(name: string, deletionTimestamp?: string): void {
    const meta = { name, uid: name, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) };
    const client = name === 'own' ? {} : { client: { per: 'Identity' as const } };
    this.memory.pools.put(name, { ...kept(name), ...pool(client, meta) });
  }

  add(poolName: string, namespace: string, name: string, uid = `${namespace}/${name}`): void {
    const one = identity({ pool: poolName }, { namespace, name, uid });
    this.memory.identities.put(`${namespace}/${name}`, { ...kept(uid), ...one });
    this.#client(poolName, namespace, uid, name);
    if (this.memory.namespaces.get(namespace) === undefined) this.#namespace(namespace);
  }

  /** A live session of this identity. */
  session(poolName: string, namespace: string, name: string): void {
    const record = buildSessionRecord({
      since: noon,
      pod: { namespace, name: `pod-${name}`, uid: `pod-${name}` },
      identity: { name, uid: `${namespace}/${name}` },
      pool: { name: poolName, uid: poolName },
    });
    const key = `session-${namespace}-${name}`;
    this.memory.sessions.put(key, { ...kept(key), name: key, record });
  }

  remove(namespace: string, name: string, uid = `${namespace}/${name}`): void {
    this.memory.identities.remove(`${namespace}/${name}`, uid);
  }

  /** What the operator does with clients that are not wanted any longer and not held. */
  deregister(): void {
    for (const [name] of this.memory.clients.entries()) {
      const held = isHeldBy(this.brakes.of('clients'), name);
      if (!this.targets.isWanted(name) && !held) this.memory.clients.remove(name, name);
    }
  }

  /** What the operator does with sessions whose identity is gone and that are not held, and with those that somebody stopped. */
  end(...stopped: readonly string[]): void {
    for (const [key, { record }] of this.memory.sessions.entries()) {
      const isGone = this.memory.identity(record?.pod.namespace ?? '', record?.identity.name ?? '').is === 'Gone';
      const isOver = isGone && !isHeldBy(this.brakes.of('sessions'), key);
      if (isOver || stopped.includes(record?.pod.namespace ?? '')) this.memory.sessions.forget(key, key);
    }
  }

  held(...namespaces: readonly string[]): readonly string[] {
    const lost = this.brakes.of('clients')?.lost;
    return namespaces.filter((namespace) => lost?.has(namespace));
  }

  size(what: BrakedThing): number {
    return this.brakes.of(what)?.keys.size ?? 0;
  }

  acknowledge(what: BrakedThing = 'clients', id = this.brakes.of(what)?.id ?? ''): void {
    const annotations = { 'ci-identity.dev/acknowledge': id };
    this.memory.namespaces.put(system, { ...kept(system), name: system, annotations, labels: {}, terminating: false });
  }

  #namespace(name: string): void {
    const facts = { name, annotations: {}, labels: { 'ci-identity.dev/inject': 'enabled' }, terminating: false };
    this.memory.namespaces.put(name, { ...kept(name), ...facts });
  }

  #client(poolName: string, namespace: string, uid: string, name = ''): void {
    const key = clientRecordName(poolName, namespace, uid);
    const owner = namespace === '' ? {} : { namespace, identity: { name, uid } };
    const record = buildClientRecord({ pool: { name: poolName, uid: poolName }, ...owner });
    this.memory.clients.put(key, { ...kept(key), name: key, record });
  }
}

function reportOf(scene: Scene, told: string[], changed: () => void = () => undefined): BrakeReport {
  return new BrakeReport({
    brakes: scene.brakes,
    memory: scene.memory,
    clock: scene.clock,
    namespace: system,
    events: { record: () => undefined },
    audit: { record: ({ event, reason }: AuditFacts) => told.push(`${event} ${reason}`) },
    metrics: { set: () => undefined },
    changed,
    counted: () => undefined,
  } as unknown as BrakeReportOptions);
}

test('who makes and deletes one identity again and again holds back only his own clients', (t) => {
  const scene = new Scene(['shared']);
  for (let n = 0; n < 30; n += 1) scene.add('shared', 'team-b', `id-${n}`);
  const told: string[] = [];
  let looks = 0;
  const report = reportOf(scene, told, () => (looks += 1));
  for (let n = 0; n < 30; n += 1) {
    scene.now = plus(scene.now, 2 * second);
    scene.add('shared', 'team-evil', 'x', `evil-${n}`);
    scene.now = plus(scene.now, 2 * second);
    scene.remove('team-evil', 'x', `evil-${n}`);
    report.look();
    scene.deregister();
  }
  t.deepEqual(scene.held('team-evil', 'team-b', ''), ['team-evil']);
  scene.pool('own', '2026-11-24T12:00:00Z');
  scene.remove('team-b', 'id-0');
  t.deepEqual(scene.held('team-evil', 'team-b', ''), ['team-evil'], 'what others delete goes on');
  t.is(looks, 1, 'everything looks again when the brake begins to hold, not each time it holds one more');
  t.true(told.length <= 8, `told ${told.length} times in 80 s`);
  scene.now = plus(scene.now, 5 * minute);
  t.deepEqual(scene.held('team-evil'), ['team-evil'], 'until somebody acknowledges it');
  scene.acknowledge();
  scene.now = plus(scene.now, second);
  t.deepEqual(scene.held('team-evil', 'team-b', ''), []);
  report.look();
  t.is(told.at(-1), 'Released BrakeAcknowledged', 'the decision of a person is told from its opposite');
});

test('many pools with few clients each are deleted at once: everything is held, one acknowledgement lets all go', (t) => {
  const pools = Array.from({ length: 8 }, (_, n) => `pool-${n}`);
  const scene = new Scene(pools);
  for (const name of pools) for (const one of ['a', 'b']) scene.add(name, `team-${name}`, one);
  for (const name of pools) scene.pool(name, '2026-11-24T12:00:00Z');
  const teams = pools.map((name) => `team-${name}`);
  t.deepEqual(scene.held(...teams), teams);
  t.regex(scene.brakes.of('clients')?.id ?? '', /^clients-16-/);
  scene.acknowledge();
  scene.now = plus(scene.now, second);
  t.deepEqual(scene.held(...teams), []);
});

test('every identity vanishes with its kind: everything is held, also where most are of one namespace', (t) => {
  const scene = new Scene(['shared']);
  scene.memory.pools.remove('own', 'own');
  scene.memory.clients.remove(clientRecordName('own', '', ''), clientRecordName('own', '', ''));
  for (let n = 0; n < 20; n += 1) scene.add('shared', 'team-a', `id-${n}`);
  scene.add('shared', 'team-b', 'one');
  scene.memory.identities.replaceAll([]);
  t.deepEqual(scene.held('team-a', 'team-b'), ['team-a', 'team-b']);
});

for (const { title, kindGoes, held } of [
  { title: 'a pool is deleted, which somebody decided: its sessions are not held', kindGoes: false, held: 0 },
  { title: 'the kind of the pools is deleted, which decides about none: sessions are held', kindGoes: true, held: 12 },
])
  test(title, (t) => {
    const scene = new Scene(['shared']);
    for (let n = 0; n < 12; n += 1) {
      scene.add('shared', 'team-a', `id-${n}`);
      scene.session('shared', 'team-a', `id-${n}`);
    }
    t.is(scene.brakes.of('sessions'), undefined);
    scene.memory.poolKindGoes = kindGoes;
    scene.pool('shared', '2026-11-24T12:00:00Z');
    t.is(scene.size('sessions'), held);
    t.is(scene.size('clients'), 12);
  });

/** Sessions, so many in each namespace, and each with an identity of its own. */
function crowded(sizes: Readonly<Record<string, number>>): Scene {
  const scene = new Scene(['shared']);
  for (const [namespace, size] of Object.entries(sizes))
    for (let n = 0; n < size; n += 1) {
      scene.add('shared', namespace, `id-${n}`);
      scene.session('shared', namespace, `id-${n}`);
    }
  return scene;
}

function removeAll(scene: Scene, ...namespaces: readonly string[]): void {
  for (const [, { metadata }] of scene.memory.identities.entries())
    if (namespaces.includes(metadata.namespace ?? '')) scene.remove(metadata.namespace ?? '', metadata.name);
}

test('a team deletes what is its own: no session is held', (t) => {
  const scene = crowded({ 'team-a': 20, 'team-b': 5 });
  removeAll(scene, 'team-a');
  t.is(scene.size('sessions'), 0);
  t.is(scene.size('clients'), 20, 'clients would not come back');
});

for (const [title, kindSince, held] of [
  ['the kind is older than they are: somebody deleted them', plus(noon, -minute), 0],
  ['the kind was made anew since: they went with it, and a new process knows it too', plus(noon, minute), 20],
] as const)
  test(`the identities of one namespace are gone, and ${title}`, (t) => {
    const scene = crowded({ 'team-a': 20 });
    scene.now = plus(noon, 5 * minute);
    scene.memory.identityKind = { since: kindSince, goes: false };
    removeAll(scene, 'team-a');
    t.is(scene.size('sessions'), held);
  });

test('the kind goes: what it will take along is held from the first object on', (t) => {
  const scene = crowded({ 'team-a': 20, 'team-b': 5 });
  scene.memory.identityKind = { since: scene.now, goes: true };
  scene.remove('team-b', 'id-0');
  scene.end();
  t.is(scene.memory.sessions.size, 25);
  t.is(scene.size('sessions'), 25);
});

test('of what is held much ends otherwise, and others come: the rest stays held until it is acknowledged, and new ends do not', (t) => {
  const scene = crowded({ 'team-a': 12, 'team-b': 12, 'team-c': 3 });
  removeAll(scene, 'team-a', 'team-b');
  t.is(scene.size('sessions'), 24);
  scene.end('team-a');
  for (let n = 0; n < 200; n += 1) {
    scene.add('shared', 'team-d', `id-${n}`);
    scene.session('shared', 'team-d', `id-${n}`);
  }
  for (let at = 0; at < 120; at += 1) {
    scene.now = plus(scene.now, second);
    scene.end();
  }
  t.is(scene.size('sessions'), 12);
  scene.memory.identities.markUnsynced();
  scene.now = plus(scene.now, second);
  t.is(scene.size('sessions'), 12, 'while nobody knows which identities there are');
  scene.memory.identities.replaceAll([...scene.memory.identities.entries()]);
  removeAll(scene, 'team-c');
  scene.end();
  t.is([...scene.memory.sessions.entries()].filter(([key]) => key.startsWith('session-team-c')).length, 0);
  t.is(scene.size('sessions'), 12);
  scene.acknowledge('sessions');
  scene.now = plus(scene.now, second);
  t.is(scene.size('sessions'), 0);
});

/** The store of a process, as the API server keeps it for the next. */
function brakeStore(saved: { record?: HeldNamespaces; writes: number }): BrakeMemoryOptions['store'] {
  return {
    load: () => Promise.resolve(saved.record),
    save: (record) => {
      Object.assign(saved, { record, writes: saved.writes + 1 });
      return Promise.resolve();
    },
  };
}

for (const [what, isHeld, left] of [
  ['is held as before', true, 12],
  ['goes on where somebody acknowledged it', false, 0],
] as const)
  test(`what is left of a mass change, too little to be one, after a restart: ${what}`, async (t) => {
    const scene = crowded({ 'team-a': 12, 'team-b': 12, 'team-c': 3 });
    const saved = { writes: 0 };
    const memoryOf = (brakes: Brakes): BrakeMemory =>
      new BrakeMemory({ brakes, store: brakeStore(saved), held: () => true });
    const before = memoryOf(scene.brakes);
    const { signal } = new AbortController();
    await before.look(signal);
    t.is(saved.writes, 0, 'nothing is held');
    removeAll(scene, 'team-a', 'team-b');
    for (let at = 0; at < 3; at += 1) {
      scene.now = plus(scene.now, second);
      await before.look(signal);
    }
    t.deepEqual(saved, {
      record: { clients: ['team-a', 'team-b'], sessions: ['team-a', 'team-b'] },
      writes: 1,
    });
    scene.end('team-a');
    for (let n = 0; n < 60; n += 1) {
      scene.add('shared', 'team-d', `id-${n}`);
      scene.session('shared', 'team-d', `id-${n}`);
    }
    if (!isHeld) {
      scene.acknowledge('sessions');
      scene.now = plus(scene.now, second);
      await before.look(signal);
    }
    const after = memoryOf((scene.brakes = brakesOf(scene)));
    await after.look(signal);
    await after.loaded;
    t.is(scene.size('sessions'), left);
    removeAll(scene, 'team-c');
    scene.now = plus(scene.now, 2 * minute);
    scene.end();
    t.is(scene.memory.sessions.size, left + 60, 'what others delete goes on');
  });

test('a new leader that does not know the identities for minutes forgets nothing that was held', async (t) => {
  const scene = crowded({ 'team-a': 12, 'team-b': 4 });
  const saved = { writes: 0 };
  const { signal } = new AbortController();
  const look = async (): Promise<BrakeMemory> => {
    const memory = new BrakeMemory({ brakes: scene.brakes, store: brakeStore(saved), held: () => true });
    await memory.look(signal);
    await memory.loaded;
    return memory;
  };
  await look();
  removeAll(scene, 'team-a', 'team-b');
  scene.now = plus(scene.now, second);
  await look();
  const record = { clients: ['team-a'], sessions: ['team-a', 'team-b'] };
  t.deepEqual(saved, { record, writes: 1 });
  scene.end('team-a');
  for (let n = 0; n < 60; n += 1) {
    scene.add('shared', 'team-d', `id-${n}`);
    scene.session('shared', 'team-d', `id-${n}`);
  }
  scene.brakes = brakesOf(scene);
  scene.memory.identities.markUnsynced();
  const after = await look();
  for (let at = 0; at < 2; at += 1) {
    scene.now = plus(scene.now, minute);
    await after.look(signal);
  }
  t.deepEqual(saved, { record, writes: 1 });
  scene.memory.identities.replaceAll([...scene.memory.identities.entries()]);
  t.is(scene.size('sessions'), 4);
  scene.end();
  t.is(scene.memory.sessions.size, 64);
});

test('a brake record that cannot be written is written again, and none by who does not lead', async (t) => {
  const scene = crowded({ 'team-a': 12, 'team-b': 4 });
  let [isLeader, fails, loads] = [true, true, 0];
  const saved: HeldNamespaces[] = [];
  const store = {
    load: () => Promise.resolve(((loads += 1), undefined)),
    save: (record: HeldNamespaces) =>
      fails ? Promise.reject(new Error('no answer')) : Promise.resolve(void saved.push(record)),
  };
  const memory = new BrakeMemory({ brakes: scene.brakes, store, held: () => isLeader });
  const { signal } = new AbortController();
  await memory.look(signal);
  removeAll(scene, 'team-a', 'team-b');
  await t.throwsAsync(memory.look(signal), { message: 'no answer' });
  isLeader = fails = false;
  await t.throwsAsync(memory.look(signal), { instanceOf: LostLeaseError });
  isLeader = true;
  await memory.look(signal);
  await memory.look(signal);
  t.is(saved.length, 1);
  t.is(loads, 2, 'whether the first one arrived was open');
});

test('an acknowledgement that is withdrawn when all has ended: nothing is told again', (t) => {
  const scene = crowded({ 'team-a': 12, 'team-b': 12 });
  const told: string[] = [];
  const report = reportOf(scene, told);
  const look = (): void => {
    scene.now = plus(scene.now, second);
    report.look();
  };
  look();
  removeAll(scene, 'team-a', 'team-b');
  look();
  scene.acknowledge('sessions');
  look();
  scene.end();
  scene.acknowledge('sessions', '');
  look();
  look();
  t.deepEqual(
    told.filter((line) => !line.includes('clients')),
    ['Held BrakeHolds', 'Held BrakeHolds', 'Released BrakeAcknowledged'],
    'clients and sessions are held, and sessions let go',
  );
});

test('edits that bring nothing on its way out make no new count: each walks through every session and client', (t) => {
  const scene = new Scene(['shared']);
  scene.add('shared', 'team-a', 'one');
  let counts = 0;
  const { sessions, clients } = scene.memory;
  for (const store of [sessions, clients]) {
    const entries = store.entries.bind(store);
    Object.assign(store, { entries: () => ((counts += 1), entries()) });
  }
  const look = (): void => {
    scene.brakes.of('sessions');
    scene.brakes.of('clients');
  };
  look();
  t.is(counts, 2);
  for (let generation = 2; generation < 102; generation += 1) {
    const meta = { namespace: 'team-a', name: 'one', uid: 'team-a/one', generation };
    scene.memory.identities.put('team-a/one', { ...kept(meta.uid), ...identity({ pool: 'shared' }, meta) });
    look();
  }
  t.is(counts, 2, '100 edits');
  scene.remove('team-a', 'one');
  look();
  t.is(counts, 4, 'its deletion');
});

for (const retain of [true, false]) {
  const held = retain ? 0 : 30;
  test(`a pool is gone, its clients were to be ${retain ? 'kept' : 'deleted'}, another pool of that name says otherwise: ${held} held`, (t) => {
    const scene = new Scene(['ci-bots']);
    for (let n = 0; n < 30; n += 1) scene.add('ci-bots', 'ci-payments', `one-${n}`);
    const clients = [...scene.memory.clients.entries()];
    for (const [name, client] of clients)
      if (client.record?.pool.name === 'ci-bots')
        scene.memory.clients.put(name, { ...client, ...kept(name), record: { ...client.record, retain } });
    scene.memory.pools.remove('ci-bots', 'ci-bots');
    const another = pool({ deletionPolicy: retain ? 'Delete' : 'Retain' }, { name: 'ci-bots', uid: 'another' });
    scene.memory.pools.put('ci-bots', { ...kept('another'), ...another });
    t.is(scene.size('clients'), held);
  });
}
