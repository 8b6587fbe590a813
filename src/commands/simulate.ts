import { clean } from '../clean.ts';
import { useRight } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { type Instant, systemClock } from '../clock.ts';
import { notOptedIn } from '../domain/access/explain.ts';
import { passedOver } from '../domain/access/missed.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { invalidFields } from '../kube/classify.ts';
import { kinds, pathOf } from '../kube/resources.ts';
import { trimPod } from '../kube/trim.ts';
import { type Expected, type PodDraft, type Uses, draftOf, expectAdmission } from './admission.ts';
import { printAnswer } from './answer.ts';
import { type Description, clusterOptions, outputOption, valueOf } from './arguments.ts';
import { type Cluster, answerMessage } from './cluster.ts';
import { type Manifest, readManifests } from './manifests.ts';
import { identitiesOf, inputOf, isOptedIn, readObjects } from './objects.ts';
import { type Prediction, newPodFacts, predict, wholeBefore } from './predict.ts';
import { clusterVerb } from './run.ts';
import { CommandError, exitCodes } from './surface.ts';
import { renderTable } from './table.ts';
import { inSentences } from './words.ts';

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

/** What the API server said; `NotAsked`: the caller may not do that. */
export type Verdict =
  | { readonly is: 'Admitted' }
  | { readonly is: 'Refused'; readonly message: string }
  | { readonly is: 'NotAsked'; readonly message: string };

export interface Simulation {
  readonly namespace: string;
  readonly pod: string;
  readonly creator: string;
  readonly server: Verdict;
  /** By our own reading of the policies. */
  readonly expected: { readonly admitted: boolean; readonly refusals: readonly string[] };
  readonly identities: readonly { readonly name: string; readonly pool: string; readonly next: Prediction }[];
  /** Why it starts without the identities that select it: their namespace lacks the label. */
  readonly withoutLabel?: string;
}

export const runSimulate = clusterVerb(description, async (cluster, args, surface) => {
  const manifest = onePod(await readManifests(args.given.get('filename') ?? [], surface));
  const namespace = placeOf(manifest, valueOf(args, 'namespace')) ?? cluster.namespace;
  const user = valueOf(args, 'as');
  await cluster.requireNamespace(namespace);
  const objects = await readObjects(cluster, [namespace]);
  const identities = await identitiesOf(cluster, namespace);
  const server = await dryRun(cluster, manifest, namespace, user);
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

/** Pure. Admitted, and every identity that selects it gets a token. Our own reading of the policies counts only where the API server was not asked. */
export function isGood({ server, expected, identities, withoutLabel }: Simulation): boolean {
  const admitted = server.is === 'NotAsked' ? expected.admitted : server.is === 'Admitted';
  return admitted && withoutLabel === undefined && identities.every(({ next }) => next.does === 'Token');
}

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
export function placeOf({ metadata }: Manifest, asked: string | undefined): string | undefined {
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

/** A create that changes nothing, with every admission policy of the cluster. */
async function dryRun(
  cluster: Cluster,
  manifest: Manifest,
  namespace: string,
  user: string | undefined,
): Promise<{ readonly verdict: Verdict; readonly stored?: unknown }> {
  if (/\p{Cc}/u.test(user ?? '')) {
    const message =
      'the name of the creator has control characters, which no header carries, so the API server was not asked';
    return { verdict: { is: 'NotAsked', message } };
  }
  const { namespace: _, ...metadata } = manifest.metadata;
  const answer = await cluster.call('POST', pathOf(kinds.pods, { namespace }), {
    body: { ...manifest, metadata: { ...metadata, namespace } },
    query: { dryRun: 'All' },
    ...(user === undefined ? {} : { impersonate: user }),
  });
  if (answer.status === 201) return { verdict: { is: 'Admitted' }, stored: answer.body };
  const message = answerMessage(answer);
  if (answer.status === 403 && /cannot impersonate resource/.test(message)) {
    return {
      verdict: { is: 'NotAsked', message: `you may not impersonate ${user ?? ''}, so the API server was not asked` },
    };
  }
  if (answer.status === 403 && user === undefined && /cannot create resource "pods"/.test(message)) {
    return {
      verdict: {
        is: 'NotAsked',
        message: 'you may not create pods there, so the API server was not asked; name the creator with --as',
      },
    };
  }
  if (answer.status === 409) {
    return {
      verdict: {
        is: 'NotAsked',
        message: 'a pod of that name exists, so the API server was not asked; change metadata.name',
      },
    };
  }
  // A sentence about an invalid field quotes its value, and a pod of Jenkins carries secrets in its environment.
  if (answer.status === 422) {
    const fields = invalidFields(answer).join(', ');
    return {
      verdict: { is: 'Refused', message: `it is not a valid pod; see ${fields === '' ? 'its fields' : fields}` },
    };
  }
  return { verdict: { is: 'Refused', message } };
}

/** Pure: the answer for people. */
export function simulationText(simulation: Simulation): string {
  const { namespace, pod, creator, server } = simulation;
  return [
    `Pod ${namespace}/${pod}, created by ${clean(creator)}\n`,
    verdictText(simulation),
    doubtText(simulation),
    server.is === 'Refused' ? '' : givenText(simulation),
  ].join('');
}

function verdictText({ server, expected }: Simulation): string {
  switch (server.is) {
    case 'Admitted':
      return 'The API server admits it (dry run).\n';
    case 'Refused':
      return `The API server refuses it (dry run): ${server.message}\n`;
    case 'NotAsked': {
      const reading = expected.admitted ? 'it is admitted.' : `it is refused: ${refusalsOf(expected)}`;
      return `${server.message}. By our reading of the policies ${reading}\n`;
    }
  }
}

/** They quote annotations of the manifest, which somebody else may have written. */
function refusalsOf({ refusals }: Simulation['expected']): string {
  return clean(refusals.join(' '), 3_000);
}

/** Where the API server and our own reading of the policies differ. */
function doubtText({ server, expected, identities }: Simulation): string {
  const throughGroup = identities.some(({ next }) => next.reason === 'CreatorMayNotUse');
  if (server.is === 'Admitted' && expected.admitted && throughGroup)
    return 'The creator may use it through a group, which the operator does not see: name who creates agent pods with --as.\n';
  if (server.is === 'Admitted' && !expected.admitted)
    return `By our reading the pod should have been refused: are the admission policies whole? Run doctor. ${refusalsOf(expected)}\n`;
  if (server.is === 'Refused' && expected.admitted)
    return 'By our reading nothing of ours refuses it: another policy, plugin or right does.\n';
  return '';
}

function givenText({ identities, withoutLabel }: Simulation): string {
  if (withoutLabel !== undefined) return `No CiIdentity is given to it: ${withoutLabel}\n`;
  if (identities.length === 0) return 'No CiIdentity is given to it.\n';
  const rows = identities.map(({ name, pool, next }) => [
    name,
    pool,
    { Token: 'a token', Error: 'error.json', Wait: 'waits', Nothing: 'nothing' }[next.does],
    (next.scopes ?? []).join(' ') || '-',
    (next.audiences ?? []).join(' ') || '-',
  ]);
  const sentences = identities.flatMap(({ name, next }) => {
    if (next.does === 'Token') return [];
    const what = next.message ?? `CiIdentity ${name}: ${next.reason}`;
    return [`- ${inSentences([what, next.fix])}\n`];
  });
  const table = renderTable(['CIIDENTITY', 'POOL', 'GETS', 'SCOPES', 'AUDIENCES'], rows);
  return `\n${table}${sentences.length === 0 ? '' : `\n${sentences.join('')}`}`;
}
