/** What is told of stops, requests and admission policies: by the one who leads as soon as it is seen, and by the next leader what came while nobody led. */
import test from 'ava';
import { Auditors } from '#src/controllers/telling/auditors.ts';
import { Memory } from '#src/controllers/memory.ts';
import type { Guard } from '#src/domain/access/access.ts';
import { stopOf, stoppedBy } from '#src/domain/access/stops.ts';
import type { AuditFacts, AuditLog } from '#src/telemetry/audit.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { identity, pool } from '../../domain/access/objects.ts';

const stopAnnotation = 'ci-identity.dev/emergency-stop';
const leak = { [stopAnnotation]: 'leak' };
const ofPool = (reason: string): string => `IdentityPool ci-bots (annotation ${stopAnnotation}: "${reason}")`;

const ofIdentity = `CiIdentity ci-payments/publisher (annotation ${stopAnnotation}: "leak")`;
const ofNamespace = `Namespace ci-payments (annotation ${stopAnnotation}: "leak")`;

let version = 0;
const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: `${(version += 1)}` });

class Scene {
  readonly told: string[] = [];
  readonly memory = new Memory('ci-identity-system');
  readonly #audit = {
    record: ({ event, reason, message }: AuditFacts) => {
      const ended = event === 'Resumed' && reason !== 'Suspended' ? ` ${reason}` : '';
      this.told.push(`${event} ${message}${ended}`);
    },
  };
  readonly auditors = new Auditors(this.#audit as unknown as AuditLog, this.memory, new VirtualClock());

  pool(
    annotations: Readonly<Record<string, string>>,
    spec: Parameters<typeof pool>[0] = {},
    status: object = {},
  ): void {
    this.memory.pools.put('ci-bots', { ...kept('p'), ...pool(spec, { uid: 'p', annotations }), status: { ...status } });
  }

  identity(annotations: Readonly<Record<string, string>>, stoppedBy: readonly string[] = []): void {
    const one = identity({}, { uid: 'i', annotations });
    this.memory.identities.put('ci-payments/publisher', {
      ...kept('i'),
      ...one,
      status: { stoppedBy: [...stoppedBy] },
    });
  }

  namespace(annotations: Readonly<Record<string, string>>): void {
    const facts = { ...kept('n'), name: 'ci-payments', labels: {}, annotations, terminating: false };
    this.memory.namespaces.put('ci-payments', facts);
  }

  configMap(reason: string): void {
    this.memory.configMaps.put('emergency-stop', { ...kept('c'), name: 'emergency-stop', data: { reason } });
  }

  lead(): this {
    this.auditors.begin(1, { is: 'Unknown' });
    this.told.length = 0;
    return this;
  }
}

const leading: readonly (readonly [string, (scene: Scene) => void, readonly string[]])[] = [
  [
    'a stop that is set and lifted in the same moment',
    (scene) => {
      scene.pool({});
      scene.pool(leak);
      scene.pool({});
    },
    [`Halted ${ofPool('leak')}`, `Resumed ${ofPool('leak')}`],
  ],
  [
    'its reason is edited: nothing is resumed',
    (scene) => {
      for (const reason of ['', 'leak', 'a worse leak']) scene.pool({ [stopAnnotation]: reason });
    },
    [
      `Halted IdentityPool ci-bots (annotation ${stopAnnotation})`,
      `Halted ${ofPool('leak')}`,
      `Halted ${ofPool('a worse leak')}`,
    ],
  ],
  [
    'what is stopped and deleted: its stops end with it',
    (scene) => {
      scene.pool({}, { suspend: true });
      scene.identity(leak);
      scene.namespace(leak);
      scene.memory.pools.remove('ci-bots', 'p');
      scene.memory.identities.remove('ci-payments/publisher', 'i');
      scene.memory.namespaces.remove('ci-payments', 'n');
    },
    [
      'Halted IdentityPool ci-bots (spec.suspend)',
      `Halted ${ofIdentity}`,
      `Halted ${ofNamespace}`,
      'Resumed IdentityPool ci-bots (spec.suspend) PoolMissing',
      `Resumed ${ofIdentity} IdentityGone`,
      `Resumed ${ofNamespace} NamespaceLeaving`,
    ],
  ],
  [
    'an edit that has nothing to do with it',
    (scene) => {
      scene.pool(leak);
      scene.pool(leak, { deletionPolicy: 'Retain' });
    },
    [`Halted ${ofPool('leak')}`],
  ],
  [
    'every other source',
    (scene) => {
      scene.identity(leak);
      scene.namespace(leak);
      scene.configMap('all');
      scene.identity({});
      scene.namespace({});
      scene.memory.configMaps.remove('emergency-stop', 'c');
    },
    ['Halted', 'Resumed'].flatMap((event) =>
      [ofIdentity, ofNamespace, 'ConfigMap ci-identity-system/emergency-stop: "all"'].map(
        (source) => `${event} ${source}`,
      ),
    ),
  ],
  [
    'requests, once each',
    (scene) => {
      scene.pool({ 'ci-identity.dev/revoke': 'r-1' });
      scene.pool({ 'ci-identity.dev/revoke': 'r-1' }, { rotation: { request: 'q-1' } });
      scene.pool({ 'ci-identity.dev/revoke': 'r-2' }, { rotation: { request: 'q-1' } });
      scene.pool({});
    },
    [
      'Asked IdentityPool ci-bots: request r-1 to revoke every token',
      'Asked IdentityPool ci-bots: request q-1 to replace the credentials',
      'Asked IdentityPool ci-bots: request r-2 to revoke every token',
    ],
  ],
];
for (const [title, happens, told] of leading)
  test(`who leads tells of ${title}`, (t) => {
    const scene = new Scene().lead();
    happens(scene);
    t.deepEqual(scene.told, told);
  });

test('who does not lead, or does not any more, tells nothing', (t) => {
  const scene = new Scene();
  scene.pool(leak);
  t.deepEqual(scene.told, []);
  scene.lead().auditors.end();
  scene.told.length = 0;
  scene.pool({});
  t.deepEqual(scene.told, []);
});

const shown = (sources: Parameters<typeof stopOf>[0]): readonly string[] =>
  stoppedBy(stopOf(sources) ?? { sources: [] });
const requests = [{ kind: 'Revoke', id: 'r-1', at: '2026-11-24T12:00:00Z', outcome: 'InProgress' }];

const taking: readonly (readonly [string, (scene: Scene) => void, readonly string[]])[] = [
  ['a stop that is in force', (scene) => scene.pool(leak), [`Halted ${ofPool('leak')}`]],
  [
    'a stop that was lifted meanwhile',
    (scene) => scene.pool({}, {}, { stoppedBy: shown({ pool: pool({}, { annotations: leak }) }) }),
    [`Resumed ${ofPool('leak')}`],
  ],
  [
    'a stop whose reason was edited meanwhile',
    (scene) => scene.pool({ [stopAnnotation]: 'worse' }, {}, { stoppedBy: [ofPool('leak')] }),
    [`Halted ${ofPool('worse')}`],
  ],
  [
    'a stop of everything, of a namespace and of an identity, each once',
    (scene) => {
      const all = ['ConfigMap ci-identity-system/emergency-stop'];
      scene.pool({}, {}, { stoppedBy: all });
      scene.identity({}, [...all, ofNamespace, 'CiIdentity ci-payments/publisher (spec.suspend)']);
    },
    [
      'Resumed ConfigMap ci-identity-system/emergency-stop',
      `Resumed ${ofNamespace} NamespaceLeaving`,
      'Resumed CiIdentity ci-payments/publisher (spec.suspend)',
    ],
  ],
  [
    'a stop of a pool that was deleted meanwhile',
    (scene) => scene.identity({}, [ofPool('leak')]),
    [`Resumed ${ofPool('leak')} PoolMissing`],
  ],
  [
    'a request that came meanwhile',
    (scene) => scene.pool({}, { revokeRequest: 'r-1' }),
    ['Asked IdentityPool ci-bots: request r-1 to revoke every token'],
  ],
  ['a request that the one before has seen', (scene) => scene.pool({}, { revokeRequest: 'r-1' }, { requests }), []],
];
for (const [title, happened, told] of taking)
  test(`the next leader tells of ${title}: ${told.length === 0 ? 'nothing' : told.length}`, (t) => {
    const scene = new Scene();
    happened(scene);
    scene.auditors.begin(2, { is: 'Unknown' });
    t.deepEqual(scene.told, ['Started epoch 2', ...told]);
  });

test('who leads tells when the admission policies are not whole, and when they are whole again', (t) => {
  const scene = new Scene();
  const missing: Guard = { is: 'Missing', objects: ['use.ci-identity.dev (missing)'] };
  const intact: Guard = { is: 'Intact', since: noon };
  scene.auditors.guarded(missing);
  t.deepEqual(scene.told, []);
  scene.auditors.begin(1, intact);
  for (const guard of [intact, { is: 'Unknown' }, intact, missing, missing, intact] as const)
    scene.auditors.guarded(guard);
  scene.auditors.leaseLost();
  scene.auditors.begin(2, intact);
  const [whole, broken] = ['Guarded whole since 2026-11-24T12:00:00Z', 'Unguarded use.ci-identity.dev (missing)'];
  t.deepEqual(scene.told, ['Started epoch 1', whole, broken, whole, 'Started epoch 2', whole]);
});

test('what a provider refuses again and again has one line, and one that says how often it was', (t) => {
  const lines: AuditFacts[] = [];
  const log = { record: (facts: AuditFacts) => lines.push(facts) } as unknown as AuditLog;
  const auditors = new Auditors(log, new Memory('ci-identity-system'), new VirtualClock());
  auditors.begin(1, { is: 'Unknown' });
  const refused = { event: 'Updated', outcome: 'Failure', reason: 'RegistrationRefused', pool: 'ci-bots' } as const;
  for (const generation of [1, 1, 1, 2]) auditors.refused({ ...refused, generation });
  auditors.end();
  t.deepEqual(
    lines.map(({ event, generation, repeated }) => [event, generation, repeated]),
    [
      ['Started', undefined, undefined],
      ['Updated', 1, undefined],
      ['Updated', 2, undefined],
      ['Updated', 1, 2],
      ['Stopped', undefined, undefined],
    ],
  );
});
