import test from 'ava';
import { InjectionMisses } from '#src/controllers/injection-misses.ts';
import { Memory } from '#src/controllers/memory.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import type { EventNote, EventRecorder } from '#src/kube/events.ts';
import { Store } from '#src/runtime/store.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { buildPod } from '#test/support/builders.ts';
import { identity } from '../domain/access/objects.ts';

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
  const events = { record: () => undefined } as unknown as EventRecorder;
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
  t.regex(await metrics.registry.metrics(), /^ci_identity_injection_misses 25000$/m);
});

test('told once for each pod and identity; what may be meant so is no warning and not counted', async (t) => {
  const memory = new Memory('ci-identity-system');
  const pods = new Store<PodFacts>('pods/ci-payments');
  const pod = buildPod({ claims: {}, containers: ['jnlp'] });
  const ended = buildPod({ claims: {}, uid: 'ended', name: 'ended', phase: 'Succeeded' });
  pods.replaceAll([pod, ended].map((one) => [`ci-payments/${one.name}`, one]));
  memory.pods.set('ci-payments', pods);
  for (const [name, spec] of [
    ['all', {}],
    ['toolbox', { delivery: { containers: ['mavn'] } }],
  ] as const) {
    memory.identities.put(`ci-payments/${name}`, {
      resourceVersion: '1',
      ...identity(spec, { name, uid: name }),
      uid: name,
    });
  }
  const told: string[] = [];
  const record = ({ regarding, type, reason, message }: EventNote): void =>
    void told.push(`${regarding.name} ${type} ${reason} ${/CiIdentity \w+/.exec(message)?.[0]}`);
  const metrics = new Metrics();
  const misses = new InjectionMisses({ memory, events: { record } as unknown as EventRecorder, metrics });
  await misses.look();
  await misses.look();
  t.deepEqual(told.toSorted(), [
    `${pod.name} Normal ContainerMissing CiIdentity toolbox`,
    `${pod.name} Warning InjectionMissed CiIdentity all`,
  ]);
  t.regex(await metrics.registry.metrics(), /^ci_identity_injection_misses 1$/m);
});
