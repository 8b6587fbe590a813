import { type AdmissionLab, createPods, grant, mayUse, namespace, podsOf, subject } from '#test/api/admission-lab.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { eventually } from '#test/support/eventually.ts';
import { readShippedPolicies } from '#src/kube/guard.ts';
import { inParallel } from './in-parallel.ts';

/** Work done in a second in namespaces that did not opt in, as a share of what is done beside it where no policy of ours is bound. */
export interface TurnFigures {
  readonly created: number;
  readonly updated: number;
}

const places = ['ci-bare', 'ci-plain'] as const;
type Place = (typeof places)[number];

/** So many of one are created, or updated, before as many of the other. */
const most = 100;

/** Makes two namespaces that did not opt in and binds the policies everywhere but in the first. */
export async function prepareTurns(lab: AdmissionLab): Promise<void> {
  const elsewhere = { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [places[0]] };
  const bindings = readShippedPolicies()
    .filter(({ kind }) => kind.endsWith('Binding'))
    .map(({ kind, name, spec }) => ({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind,
      metadata: { name },
      spec: { ...(spec as object), matchResources: { namespaceSelector: { matchExpressions: [elsewhere] } } },
    }));
  await lab.apply(...bindings, ...places.map((place) => namespace(place)));
  for (const place of places) await lab.apply(...grant(place, 'bench', [subject('jenkins')], [createPods, mayUse()]));
  for (const place of places) {
    const judged = agentPod({ namespace: place, spec: { imagePullSecrets: [{ name: 'ci-identity-x' }] } });
    await eventually(`the policies look at ${place}, or away`, async () => {
      const { status } = await lab.send('jenkins', 'POST', podsOf(place), judged);
      return status === (place === 'ci-bare' ? 201 : 403) ? true : undefined;
    });
  }
}

/**
 * Creates so many pods in each of both, a hundred in turn, sixteen at a time, and updates the status of each once, as a kubelet does. What grows or is
 * collected in the API server on the way, and what else the machine does, meets both alike; a run of one after a run of the other differs by more
 * than the policies cost.
 */
export async function inTurns(lab: AdmissionLab, pods: number, parallel: number): Promise<TurnFigures> {
  const block = Math.min(most, pods);
  const rounds = Math.ceil(pods / block);
  const created = await turns(rounds, async (place, round) => {
    await inParallel(namesOf(round, block), parallel, async (name) => {
      await done(lab, 'POST', podsOf(place), unscheduled(place, name));
    });
  });
  const updated = await turns(rounds, async (place, round) => {
    const conditions = [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady' }];
    await inParallel(namesOf(round, block), parallel, async (name) => {
      await done(lab, 'PATCH', `${podsOf(place)}/${name}/status`, { status: { phase: 'Running', conditions } });
    });
  });
  for (const place of places) await removePods(lab, place);
  return { created, updated };
}

/** Nobody schedules it: what a scheduler writes behind the answers would fall into what is measured next. */
export function unscheduled(place: string, name: string): object {
  return agentPod({ namespace: place, name, spec: { schedulerName: 'nobody' } });
}

export function nameOf(pod: number): string {
  return `payments-deploy-${pod}-x7k2p-q0b4t-m1wz9`;
}

/** So many may take longer than one request may. */
export async function removePods(lab: AdmissionLab, place: string): Promise<void> {
  await eventually(`the pods of ${place} are gone`, async () => {
    const options = { dryRun: false, query: { gracePeriodSeconds: '0' } } as const;
    const { status } = await lab.send('cluster-admin', 'DELETE', podsOf(place), undefined, options);
    return status === 200 ? true : undefined;
  });
}

/** The time of the first of both, of all rounds together, in that of the second. Who begins changes with each round. */
async function turns(rounds: number, work: (place: Place, round: number) => Promise<void>): Promise<number> {
  const took = { 'ci-bare': 0, 'ci-plain': 0 };
  for (let round = 0; round < rounds; round += 1) {
    for (const place of round % 2 === 0 ? places : places.toReversed()) {
      const started = performance.now();
      await work(place, round);
      took[place] += performance.now() - started;
    }
  }
  return took['ci-bare'] / took['ci-plain'];
}

function namesOf(round: number, block: number): readonly string[] {
  return Array.from({ length: block }, (_, n) => nameOf(round * block + n));
}

async function done(lab: AdmissionLab, method: 'POST' | 'PATCH', path: string, body: object): Promise<void> {
  const asPatch = method === 'PATCH' ? { contentType: 'application/strategic-merge-patch+json' } : {};
  const who = method === 'PATCH' ? 'cluster-admin' : 'jenkins';
  const { status, body: answer } = await lab.send(who, method, path, body, { dryRun: false, ...asPatch });
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
}
