import { useRight } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { type Instant, systemClock } from '../clock.ts';
import { notOptedIn } from '../domain/access/explain.ts';
import { passedOver } from '../domain/access/missed.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { trimPod } from '../kube/trim.ts';
import { type Expected, type PodDraft, type Uses, draftOf, expectAdmission } from './admission.ts';
import { printAnswer } from './answer.ts';
import { type Description, clusterOptions, outputOption, valueOf } from './arguments.ts';
import type { Cluster } from './cluster.ts';
import { type Manifest, readManifests } from './manifests.ts';
import { identitiesOf, inputOf, isOptedIn, readObjects } from './objects.ts';
import { newPodFacts, predict, wholeBefore } from './predict.ts';
import { clusterVerb } from './run.ts';
import { type Simulation, isGood, simulationText } from './simulation.ts';
import { CommandError, exitCodes } from './surface.ts';
import { verdictOf } from './verdict.ts';

const description: Description = {
  name: 'simulate',
  synopsis: '-f POD.yaml',
  about:
    'Says what would happen to a pod: which identities it gets or why it is refused, and what token each of them would carry. The API server\nitself is asked with a dry run, as the creator if you may impersonate it; the operator by its own decision code. Nothing is created.',
  examples: [
    [
      'Before the first build of a team',
      'simulate -n ci-payments -f pod.yaml --as system:serviceaccount:jenkins:jenkins',
    ],
    ['From a pod that ran yesterday', 'simulate -f - < pod.yaml'],
  ],
  options: [
    ...clusterOptions,
    { name: 'filename', short: 'f', placeholder: 'FILE', help: 'The manifest of one pod; - is standard input.' },
    {
      name: 'as',
      placeholder: 'USER',
      help: 'Who creates the pod, e.g. system:serviceaccount:jenkins:jenkins; default: you.',
    },
    outputOption,
  ],
  refusesNames: 'a pod is given with -f; see --help',
  exit: '0 admitted and every identity gets a token, 2 not so, 1 it could not be answered.',
};

export const runSimulate = clusterVerb(description, async (cluster, args, surface) => {
  const manifest = onePod(await readManifests(args.given.get('filename') ?? [], surface));
  const namespace = namespaceOf(manifest, valueOf(args, 'namespace')) ?? cluster.namespace;
  const user = valueOf(args, 'as');
  await cluster.requireNamespace(namespace);
  const objects = await readObjects(cluster, [namespace]);
  const identities = await identitiesOf(cluster, namespace);
  const server = await verdictOf(cluster, manifest, namespace, user);
  const draft = draftOf(manifest);
  const creator = user ?? (await cluster.whoAmI());
  const place = objects.namespaces.get(namespace) ?? { is: 'Unknown' };
  const scene = { creator, namespace };
  const preview = expectAdmission(draft, identities, { ...scene, optedIn: true, uses: new Map() });
  const uses = await usesOf(cluster, preview.selected, scene, draft.serviceAccount);
  const optedIn = isOptedIn(place) ?? true;
  const asSeen = server.verdict.is === 'Admitted' ? withGroupsOf(creator, uses) : uses;
  const expected = expectAdmission(draft, identities, { ...scene, optedIn, uses: asSeen });
  const now = systemClock.now();
  const pod = podOf(server.stored, draft, scene, expected, now);
  const simulation: Simulation = {
    namespace,
    pod: manifest.metadata.name ?? '(generated)',
    creator,
    server: server.verdict,
    expected: { admitted: expected.refusals.length === 0, refusals: expected.refusals },
    identities: given(expected, identities, server.stored).map((identity) => {
      const mayUse = mayUseOf(uses.get(identity.metadata.name)?.creator);
      const input = inputOf(objects, identity);
      const next = predict({ identity, input, namespace: place, pod, mayUse, guard: wholeBefore(now) }, now);
      return { name: identity.metadata.name, pool: identity.spec.pool, next };
    }),
    ...(optedIn || preview.selected.length === 0 ? {} : { withoutLabel: notOptedIn(namespace) }),
  };
  const over = optedIn
    ? passedOver({ ...pod, containers: draft.containers }, identities).map(({ message }) => message)
    : [];
  printAnswer(args, surface, {
    json: simulation,
    text: simulationText(simulation),
    notes: [...objects.withheld, ...over],
  });
  return isGood(simulation) ? exitCodes.done : exitCodes.no;
});

interface Scene {
  readonly creator: string;
  readonly namespace: string;
}

/** Who holds `use` on each of these identities, as far as the caller may ask. */
async function usesOf(
  cluster: Cluster,
  identities: readonly CiIdentity[],
  { creator, namespace }: Scene,
  serviceAccount: string,
): Promise<ReadonlyMap<string, Uses>> {
  const account = `system:serviceaccount:${namespace}:${serviceAccount}`;
  const found = identities.map(async ({ metadata: { name } }) => {
    const right = { ...useRight, namespace, name };
    const [creates, runs] = await Promise.all([cluster.may(creator, right), cluster.may(account, right)]);
    const uses: Uses = {
      ...(creates === undefined ? {} : { creator: creates }),
      ...(runs === undefined ? {} : { pod: runs }),
    };
    return [name, uses] as const;
  });
  return new Map(await Promise.all(found));
}

/** The API server knows the groups of a user, we do not: where it admitted the pod, its word on the creator's rights holds. */
function withGroupsOf(creator: string, uses: ReadonlyMap<string, Uses>): ReadonlyMap<string, Uses> {
  if (creator.startsWith('system:serviceaccount:')) return uses;
  return new Map([...uses].map(([name, { pod }]) => [name, pod === undefined ? {} : { pod }]));
}

/** The pod as the API server would store it; without its answer as we think that admission makes it. */
function podOf(
  stored: unknown,
  { name, labels }: PodDraft,
  { creator, namespace }: Scene,
  { selected }: Expected,
  now: Instant,
): PodFacts {
  if (stored !== undefined) return { ...trimPod(stored), created: now };
  return newPodFacts({ namespace, name: name ?? '', labels, requester: creator, identities: selected }, now);
}

function mayUseOf(
  creator: boolean | undefined,
): { readonly is: 'Unknown' } | { readonly is: 'Seen'; readonly value: boolean } {
  return creator === undefined ? { is: 'Unknown' } : { is: 'Seen', value: creator };
}

function onePod(manifests: readonly Manifest[]): Manifest {
  const [pod, ...more] = manifests;
  if (pod?.kind !== 'Pod' || pod.apiVersion !== 'v1' || more.length > 0) {
    throw new CommandError('-f must name the manifest of exactly one Pod (apiVersion v1); see --help');
  }
  return pod;
}

/** As kubectl does: a manifest that names another namespace than the command line is refused. */
export function namespaceOf({ metadata }: Manifest, asked: string | undefined): string | undefined {
  if (asked !== undefined && metadata.namespace !== undefined && metadata.namespace !== asked) {
    throw new CommandError(
      `the manifest names namespace ${metadata.namespace}, -n names ${asked}: leave one of them out`,
    );
  }
  return asked ?? metadata.namespace;
}

/** The identities that the API server injected; without its answer those that select the pod. */
function given(expected: Expected, identities: readonly CiIdentity[], stored: unknown): readonly CiIdentity[] {
  if (stored === undefined) return expected.selected;
  const { claims } = trimPod(stored);
  return identities.filter(({ metadata }) => Object.hasOwn(claims, metadata.name));
}
