import type { ShippedPolicy } from '#src/domain/access/trust.ts';
import { readShippedPolicies } from '#src/kube/guard.ts';
import { processesOf } from '#test/cluster/processes.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import {
  type AdmissionLab,
  createPods,
  grant,
  identitiesOf,
  identity,
  installManifests,
  mayUse,
  namespace,
  podsOf,
  startAdmissionLab,
  subject,
} from '#test/api/admission-lab.ts';
import { inTurns, nameOf, prepareTurns, removePods, type TurnFigures, unscheduled } from './admission-turns.ts';
import { type Bench, cell, median, type Target, target } from './bench.ts';
import { percentile, tableOf, useOf } from './figures.ts';
import { steady } from './steady.ts';

/** What creating agent pods costs in one situation. */
export interface AdmissionFigures {
  readonly situation: string;
  /** Milliseconds of one create, one at a time. */
  readonly p50: number;
  readonly p99: number;
  /** Creates per second, sixteen at a time. */
  readonly throughput: number;
  /** Milliseconds of CPU of the API server per create, sixteen at a time. */
  readonly cpu: number;
}

interface Situation {
  readonly name: string;
  readonly policies: boolean;
  readonly inject: boolean;
  /** CiIdentities in the namespace; the first one selects the pods. */
  readonly identities: number;
}

const situations: readonly Situation[] = [
  { name: 'no policies', policies: false, inject: false, identities: 0 },
  { name: 'not opted in', policies: true, inject: false, identities: 0 },
  { name: '1 identity, it matches', policies: true, inject: true, identities: 1 },
  { name: '30 identities, 1 matches', policies: true, inject: true, identities: 30 },
];

const inParallel = 16;
/** Two seconds of creating: with a quarter of it, ratios of single runs lay between 0.65 and 1.11. */
const defaultSize = 1_200;
const ns = 'ci-payments';
const bindings = readShippedPolicies().filter(({ kind }) => kind.endsWith('Binding'));

/** Pods are created by Jenkins' service account in the same namespace, with and without the shipped policies. */
export const admission: Bench = {
  name: 'admission',
  about: 'creating a pod with and without the admission policies (1,200 pods, 16 in parallel)',
  async run(o) {
    const lab = await startAdmissionLab({ log: o.log });
    try {
      await lab.apply(...grant(ns, 'bench', [subject('jenkins')], [createPods, mayUse()]));
      const apiServer = (await processesOf(lab.cluster.dir)).find(({ name }) => name === 'kube-apiserver')!.pid;
      const runs: AdmissionFigures[] = [];
      for (let run = 0; run < (o.runs ?? 3); run += 1) {
        for (const situation of situations) {
          await prepare(lab, situation);
          // Compiling the policies and deleting the pods before goes on behind the answers: less than a tenth of a second of CPU a second is rest.
          await steady('the API server has nothing left to do', () => useOf(apiServer).cpu, 100);
          const figures = await measured(lab, situation, o.size ?? defaultSize, apiServer);
          const { p50, throughput, cpu } = figures;
          o.log(
            `admission ${run + 1}, ${situation.name}: p50 ${p50.toFixed(1)} ms, ${throughput.toFixed(0)} pods/s, ${cpu.toFixed(2)} ms CPU a pod`,
          );
          runs.push(figures);
        }
      }
      await prepareTurns(lab);
      const turns: TurnFigures[] = [];
      for (let run = 0; run < (o.runs ?? 3) * 4; run += 1) {
        const figures = await inTurns(lab, o.size ?? defaultSize, inParallel);
        const { created, updated } = figures;
        o.log(`admission, in turns ${run + 1}: created ${created.toFixed(2)}, updated ${updated.toFixed(2)}`);
        turns.push(figures);
      }
      return { runs: [...runs, ...turns], targets: judge(turns), table: `${table(runs)}\n${turnsTable(turns)}` };
    } finally {
      await lab.stop();
    }
  },
};

async function prepare(lab: AdmissionLab, { policies, inject, identities }: Situation): Promise<void> {
  const real = { dryRun: false } as const;
  const plain = agentPod({ namespace: ns, spec: { imagePullSecrets: [{ name: 'ci-identity-x' }] } });
  if (policies) await installManifests(lab.cluster);
  else for (const binding of bindings) await lab.send('cluster-admin', 'DELETE', pathOf(binding), undefined, real);
  await lab.apply(namespace(ns, inject ? 'enabled' : undefined));
  await lab.send('cluster-admin', 'DELETE', identitiesOf(ns), undefined, real);
  const elsewhere = { agents: { podSelector: { matchLabels: { team: 'another' } } } };
  for (let n = 0; n < identities; n += 1) {
    await lab.send('cluster-admin', 'POST', identitiesOf(ns), identity(ns, `i${n}`, n === 0 ? {} : elsewhere), real);
  }
  await eventually(`the policies are ${policies ? 'effective' : 'gone'}`, async () => {
    const { status } = await lab.send('jenkins', 'POST', podsOf(ns), plain);
    return (status === 403) === policies ? true : undefined;
  });
  await eventually('identities are known to the policies', async () => {
    const { body } = await lab.send('jenkins', 'POST', podsOf(ns), agentPod({ namespace: ns }));
    const injected = JSON.stringify(body).includes('CI_IDENTITY_I0_DIR');
    return injected === identities > 0 ? true : undefined;
  });
}

function pathOf({ kind, name }: ShippedPolicy): string {
  return `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}s/${name}`;
}

async function measured(
  lab: AdmissionLab,
  { name: situation }: Situation,
  pods: number,
  apiServer: number,
): Promise<AdmissionFigures> {
  const real = { dryRun: false } as const;
  let made = 0;
  const create = async (): Promise<number> => {
    made += 1;
    const pod = unscheduled(ns, nameOf(made));
    const asked = performance.now();
    const { status, body } = await lab.send('jenkins', 'POST', podsOf(ns), pod, real);
    if (status !== 201) throw new Error(`pod: ${status} ${JSON.stringify(body)}`);
    return performance.now() - asked;
  };
  for (let n = 0; n < pods / 8; n += 1) await create();
  const alone: number[] = [];
  for (let n = 0; n < pods / 4; n += 1) alone.push(await create());
  const cpu = useOf(apiServer).cpu;
  const started = performance.now();
  const wanted = made + pods;
  await Promise.all(
    Array.from({ length: inParallel }, async () => {
      while (made < wanted) await create();
    }),
  );
  const took = performance.now() - started;
  const spent = useOf(apiServer).cpu - cpu;
  await removePods(lab, ns);
  return {
    situation,
    p50: percentile(alone, 0.5),
    p99: percentile(alone, 0.99),
    throughput: pods / (took / 1_000),
    cpu: spent / pods,
  };
}

function judge(turns: readonly TurnFigures[]): readonly Target[] {
  const share = (of: (figures: TurnFigures) => number): number => median(turns.map(of));
  return [
    target(
      'pods created where not opted in ÷ without policies',
      share(({ created }) => created),
      'AtLeast',
      0.85,
    ),
    target(
      'pods updated where not opted in ÷ without policies',
      share(({ updated }) => updated),
      'AtLeast',
      0.85,
    ),
  ];
}

function turnsTable(turns: readonly TurnFigures[]): string {
  const row = (name: string, of: (figures: TurnFigures) => number): readonly string[] => [name, cell(turns.map(of), 2)];
  return tableOf([
    ['in turns; smallest / median / largest', 'not opted in ÷ without policies'],
    row('pods created a second', ({ created }) => created),
    row('pods updated a second', ({ updated }) => updated),
  ]);
}

function table(runs: readonly AdmissionFigures[]): string {
  const rows = situations.map(({ name }) => {
    const mine = runs.filter(({ situation }) => situation === name);
    const column = (of: (figures: AdmissionFigures) => number, digits: number): string => cell(mine.map(of), digits);
    return [
      name,
      column(({ p50 }) => p50, 1),
      column(({ p99 }) => p99, 1),
      column(({ throughput }) => throughput, 0),
      column(({ cpu }) => cpu, 2),
    ];
  });
  const head = [
    'admission; smallest / median / largest',
    'p50, ms',
    'p99, ms',
    'pods/s, 16 at a time',
    'CPU, ms a pod',
  ];
  return tableOf([head, ...rows]);
}
