import test from 'ava';
import { InjectionMisses } from '#src/controllers/upkeep/injection-misses.ts';
import { Memory } from '#src/controllers/memory.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import type { EventNote, EventRecorder } from '#src/kube/events.ts';
import { Store } from '#src/runtime/store.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { buildPod } from '#test/support/builders.ts';
import { identity } from '../../domain/access/objects.ts';

test('however many identities and pods a team makes: others have their turn meanwhile', async (t) => {
  const memory = new Memory('ci-identity-system');
  const pods = new Store<PodFacts>('pods/ci-payments');
  const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
  const pod = buildPod({ claims: {}, labels: { 'jenkins/label': 'x' } });
  pods.replaceAll(names('p', 250).map((name) => [`ci-payments/${name}`, { ...pod, name, uid: name }]));
  memory.pods.set('ci-payments', pods);
  for (const name of names('i', 150)) {
    const one = identity({}, { name, uid: name });
    memory.identities.put(`ci-payments/${name}`, { uid: name, resourceVersion: '1', ...one });
  }
  const events = { record: () => true } as unknown as EventRecorder;
  const metrics = new Metrics();
  let turns = 0;
  let isOver = false;
  const others = (): void => {
    turns += 1;
    if (!isOver) setImmediate(others);
  };
  setImmediate(others);
  await new InjectionMisses({ memory, events, metrics }).look();
  isOver = true;
  t.true(turns >= 2);
  t.regex(await metrics.registry.metrics(), /^ci_identity_injection_misses 250$/m, 'pods, not pairs');
});

test('no identity is left out, however many there are, and a namespace where a look is dear is looked at more rarely', async (t) => {
  const memory = memoryWith(
    'ci-payments',
    Array.from({ length: 300 }, (_, i) => bare(`p-${i}`, { labels: {} })),
  );
  for (let n = 0; n < 2_000; n += 1) {
    const spec = { agents: { podSelector: { matchLabels: { [`team/${n}`]: 'yes' } } } };
    const [name, uid] = [`i-${n}`, `i-${n}`];
    memory.identities.put(`ci-payments/${name}`, { ...identity(spec, { name, uid }), uid, resourceVersion: '1' });
  }
  const { told, events } = listener();
  const metrics = new Metrics();
  const misses = new InjectionMisses({ memory, events, metrics });
  const late = (name: string, label: string): void =>
    memory.pods
      .get('ci-payments')
      ?.put(`ci-payments/${name}`, { ...bare(name, { labels: { [label]: 'yes' } }), resourceVersion: '9' });
  late('of-last', 'team/1999');
  await misses.look();
  t.deepEqual(told, ['Pod ci-payments/of-last Warning InjectionMissed CiIdentity i']);
  late('of-first', 'team/0');
  for (const [look, count] of [1, 1, 2].entries()) {
    await misses.look();
    t.is(told.length, count, `look ${look + 2}`);
    t.regex(await metrics.registry.metrics(), new RegExp(`^ci_identity_injection_misses ${count}$`, 'm'));
  }
});

/** With a namespace of these pods, an identity for all of them and `toolbox` for a container that none has. */
function memoryWith(namespace: string, podsOf: readonly PodFacts[], memory = new Memory('ci-identity-system')): Memory {
  const pods = new Store<PodFacts>(`pods/${namespace}`);
  pods.replaceAll(podsOf.map((one) => [`${namespace}/${one.name}`, { ...one, namespace }]));
  memory.pods.set(namespace, pods);
  for (const [name, spec] of [
    ['all', {}],
    ['toolbox', { delivery: { containers: ['mavn'] } }],
  ] as const) {
    const uid = `${namespace}-${name}`;
    memory.identities.put(`${namespace}/${name}`, {
      resourceVersion: '1',
      ...identity(spec, { namespace, name, uid }),
      uid,
    });
  }
  return memory;
}

/** What is told, and what is not taken, as if too much waited. */
function listener(takes = true): { readonly told: string[]; readonly events: EventRecorder } {
  const told: string[] = [];
  const record = ({ regarding, type, reason, message }: EventNote): boolean => {
    told.push(
      `${regarding.kind} ${regarding.namespace}/${regarding.name} ${type} ${reason} ${/CiIdentity \w+/.exec(message)?.[0]}`,
    );
    return takes;
  };
  return { told, events: { record } as unknown as EventRecorder };
}

const bare = (name: string, more: Partial<PodFacts> = {}): PodFacts =>
  buildPod({ claims: {}, containers: ['jnlp'], name, uid: name, ...more });

test('a miss is told once for each pod; what may be meant so once for each identity, as no warning and not counted', async (t) => {
  const memory = memoryWith('ci-payments', [bare('a'), bare('b'), bare('ended', { phase: 'Succeeded' })]);
  const { told, events } = listener();
  const metrics = new Metrics();
  const misses = new InjectionMisses({ memory, events, metrics });
  await misses.look();
  await misses.look();
  t.deepEqual(told, [
    'Pod ci-payments/a Warning InjectionMissed CiIdentity all',
    'Pod ci-payments/b Warning InjectionMissed CiIdentity all',
    'CiIdentity ci-payments/toolbox Normal ContainerMissing CiIdentity toolbox',
  ]);
  t.regex(await metrics.registry.metrics(), /^ci_identity_injection_misses 2$/m);
});

test('a namespace with thousands of misses is told of bit by bit, and the next one is heard at once', async (t) => {
  const many = Array.from({ length: 50 }, (_, i) => bare(`p-${i}`));
  const memory = memoryWith('other', [bare('q')], memoryWith('noisy', many));
  const { told, events } = listener();
  const misses = new InjectionMisses({ memory, events, metrics: new Metrics() });
  await misses.look();
  t.deepEqual([told.length, told.filter((one) => one.includes(' other/')).length], [22, 2]);
  await misses.look();
  await misses.look();
  await misses.look();
  t.is(new Set(told).size, 53, 'every pod, and of both namespaces the identity');
  t.is(told.length, 53, 'and each once');
});

test('what the recorder did not take is told again', async (t) => {
  const { told, events } = listener(false);
  const misses = new InjectionMisses({ memory: memoryWith('ci', [bare('a')]), events, metrics: new Metrics() });
  await misses.look();
  await misses.look();
  t.is(told.length, 4);
});
