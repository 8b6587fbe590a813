import { keyOf } from '../api/meta.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../api/v1alpha1/scope-policy.ts';
import { formatDuration } from '../clock.ts';
import { ruleName } from '../domain/access/explain.ts';
import { type Shift, shiftOf } from '../domain/access/shift.ts';
import { type Kind, kinds } from '../kube/resources.ts';
import { clean } from '../clean.ts';
import { printAnswer } from './answer.ts';
import { type Description, clusterOptions, outputOption } from './arguments.ts';
import { type Cluster, answerMessage, required } from './cluster.ts';
import { dryRun } from './dry-run.ts';
import { type Manifest, isOurs, readManifests } from './manifests.ts';
import { type Objects, inputOf, readObjects } from './objects.ts';
import { clusterVerb } from './run.ts';
import { livePods } from './live-pods.ts';
import { CommandError, exitCodes } from './surface.ts';
import { renderTable } from './table.ts';
import { counted } from './words.ts';

const description: Description = {
  name: 'diff',
  synopsis: '-f FILE…',
  about:
    'Says which CiIdentities, and how many live pods, would lose or gain scopes if the ScopePolicies, IdentityPools and CiIdentities in the\nfiles were applied. Each object counts as it stands in its file: what is left out there is taken out.\nNothing is changed. Each object is checked by the API server (dry run) where you may change it.',
  examples: [
    ['In the CI of the GitOps repository: exit code 2 if somebody loses something', 'diff -f policies/'],
    ['What if the policies that are not in the directory were deleted?', 'diff -f policies/ --prune'],
    ['Who would lose what if pools with enforcement Audit were switched to Enforce?', 'diff --enforce'],
  ],
  options: [
    ...clusterOptions.map((option) =>
      option.name === 'namespace' ? { ...option, help: 'Only CiIdentities of this namespace; default: all.' } : option,
    ),
    {
      name: 'filename',
      short: 'f',
      placeholder: 'FILE',
      help: 'File or directory; - is standard input.',
      repeated: true,
    },
    { name: 'prune', help: 'ScopePolicies that are not in the files count as deleted.' },
    { name: 'enforce', help: 'Every pool counts as having enforcement Enforce.' },
    outputOption,
  ],
  refusesNames: 'files are given with -f; see --help',
  exit: '0 nobody loses anything, 2 somebody does, 1 it could not be answered.',
};

export interface IdentityShift extends Shift {
  readonly namespace: string;
  readonly identity: string;
  readonly pool: string;
  /** Running pods that hold it; absent where the caller may not see pods. */
  readonly livePods?: number;
}

export const runDiff = clusterVerb(description, async (cluster, args, surface) => {
  const files = args.given.get('filename') ?? [];
  const [prune, enforce] = [args.given.has('prune'), args.given.has('enforce')];
  if (files.length === 0 && !enforce) throw new CommandError('-f FILE is needed (or --enforce); see --help');
  const only = args.given.get('namespace')?.[0];
  const proposed = await readManifests(files, surface);
  const ours = proposed.filter(isOurs);
  refuseTwins(ours, cluster.namespace);
  if (only !== undefined) await cluster.requireNamespace(only);
  const edits = await checked(cluster, ours);
  const identities = required(await cluster.identities(only));
  const namespaces = [...new Set([...identities, ...edits.identities].map(({ metadata }) => metadata.namespace ?? ''))];
  const before = await readObjects(cluster, namespaces);
  const after = edited(before, edits, { prune, enforce });
  const shifts = identities.map((identity) => shiftFor(identity, edits, before, after));
  const changed = await withPods(
    cluster,
    identities,
    shifts.filter(({ lost, gained, lifetime }) => lost.length + gained.length > 0 || lifetime !== undefined),
  );
  const isNew = ({ metadata }: CiIdentity): boolean =>
    (only === undefined || metadata.namespace === only) && !identities.some((one) => isSame({ metadata }, one));
  printAnswer(args, surface, {
    json: { identities: changed, compared: identities.length },
    text: diffText(changed, identities.length),
    notes: [
      ...edits.unchecked.map(
        (subject) => `${subject} is taken as it stands, because you may not apply it (not checked by the API server)`,
      ),
      ...edits.identities
        .filter(isNew)
        .map(({ metadata }) => `CiIdentity ${metadata.namespace}/${metadata.name} is new, so nobody holds it yet`),
      ...selectorNotes(identities, edits.identities),
    ],
  });
  return changed.some(({ lost }) => lost.length > 0) ? exitCodes.no : exitCodes.done;
});

/** Pure. Which pods an identity is for is decided when they are created: a change of that takes nothing from anybody. */
export function selectorNotes(live: readonly CiIdentity[], edits: readonly CiIdentity[]): readonly string[] {
  return edits.flatMap((edit) => {
    const now = live.find((one) => isSame(one, edit));
    if (now === undefined || JSON.stringify(now.spec.agents) === JSON.stringify(edit.spec.agents)) return [];
    const subject = `CiIdentity ${edit.metadata.namespace}/${edit.metadata.name}`;
    return [
      `${subject} is for other pods (spec.agents): running pods keep what they have, new ones get it if they match`,
    ];
  });
}

/** The objects as they will be. Throws CommandError where the caller may not read the policies or pools that are there. */
function edited(before: Objects, edits: Edits, o: { readonly prune: boolean; readonly enforce: boolean }): Objects {
  if (before.pools.is !== 'Seen' || before.policies.is !== 'Seen') throw unanswerable(before);
  const pools = overlay(before.pools.value, edits.pools);
  const policies = o.prune ? edits.policies : overlay(before.policies.value, edits.policies);
  return {
    ...before,
    pools: { is: 'Seen', value: o.enforce ? pools.map(enforced) : pools },
    policies: { is: 'Seen', value: policies },
  };
}

function shiftFor(identity: CiIdentity, edits: Edits, before: Objects, after: Objects): IdentityShift {
  const next = edits.identities.find((one) => isSame(one, identity)) ?? identity;
  const shift = shiftOf(inputOf(before, identity), inputOf(after, next));
  // An answer that leaves somebody out would let a loss pass the gate.
  if (shift.is !== 'Seen') throw unanswerable(before);
  const { namespace = '', name } = identity.metadata;
  return { namespace, identity: name, pool: next.spec.pool, ...shift.value };
}

function unanswerable({ withheld }: Objects): CommandError {
  return new CommandError(withheld.join('; '));
}

interface Edits {
  readonly pools: readonly IdentityPool[];
  readonly policies: readonly ScopePolicy[];
  readonly identities: readonly CiIdentity[];
  /** Kind and name of what the caller may not apply. */
  readonly unchecked: readonly string[];
}

function placeOf({ kind, metadata }: Manifest, namespace: string): Named['metadata'] {
  return { name: metadata.name, ...(kind === 'CiIdentity' ? { namespace: metadata.namespace ?? namespace } : {}) };
}

/** Pure. Of an object that is in the files twice the last would stay if they were applied in order, but nobody knows the order. */
export function refuseTwins(manifests: readonly Manifest[], namespace: string): void {
  const seen = new Set<string>();
  for (const manifest of manifests) {
    const object = `${manifest.kind} ${keyOf(placeOf(manifest, namespace))}`;
    if (seen.has(object)) throw new CommandError(`${object} is in the files twice: leave one of them out`);
    seen.add(object);
  }
}

/** The proposed objects as the API server would store them; where the caller may not apply them, as they stand in the files. */
async function checked(cluster: Cluster, manifests: readonly Manifest[]): Promise<Edits> {
  const kindOf: Readonly<Record<string, Kind>> = {
    IdentityPool: kinds.identityPools,
    ScopePolicy: kinds.scopePolicies,
    CiIdentity: kinds.ciIdentities,
  };
  const found: { kind: string; object: unknown }[] = [];
  const unchecked: string[] = [];
  for (const manifest of manifests) {
    const kind = kindOf[manifest.kind];
    if (kind === undefined)
      throw new CommandError(`${manifest.kind} ${manifest.metadata.name} is no kind of ${manifest.apiVersion}`);
    const place = placeOf(manifest, cluster.namespace);
    const answer = await dryRun(cluster, kind, place, manifest);
    if (answer.status === 200 || answer.status === 201) found.push({ kind: manifest.kind, object: answer.body });
    else if (answer.status === 403) {
      unchecked.push(`${manifest.kind} ${place.name}`);
      found.push({ kind: manifest.kind, object: { ...manifest, metadata: { ...manifest.metadata, ...place } } });
    } else throw new CommandError(`${manifest.kind} ${place.name} is not valid: ${answerMessage(answer)}`);
  }
  const of = <T>(kind: string): readonly T[] => found.flatMap((one) => (one.kind === kind ? [one.object as T] : []));
  return { pools: of('IdentityPool'), policies: of('ScopePolicy'), identities: of('CiIdentity'), unchecked };
}

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function isSame(a: Named, b: Named): boolean {
  return a.metadata.name === b.metadata.name && a.metadata.namespace === b.metadata.namespace;
}

function overlay<T extends Named>(live: readonly T[], edits: readonly T[]): readonly T[] {
  return [...live.filter((one) => !edits.some((edit) => isSame(edit, one))), ...edits];
}

function enforced(pool: IdentityPool): IdentityPool {
  return { ...pool, spec: { ...pool.spec, enforcement: 'Enforce' } };
}

async function withPods(
  cluster: Cluster,
  identities: readonly CiIdentity[],
  shifts: readonly IdentityShift[],
): Promise<readonly IdentityShift[]> {
  const pods = new Map<string, Awaited<ReturnType<typeof livePods>>>();
  for (const namespace of new Set(shifts.map((shift) => shift.namespace)))
    pods.set(namespace, await livePods(cluster, namespace));
  return shifts.map((shift) => {
    const seen = pods.get(shift.namespace);
    const uid = identities.find(
      ({ metadata }) => metadata.name === shift.identity && metadata.namespace === shift.namespace,
    )?.metadata.uid;
    if (seen?.is !== 'Read') return shift;
    return { ...shift, livePods: seen.value.filter(({ claims }) => claims[shift.identity] === uid).length };
  });
}

/** Pure: the answer for people. */
export function diffText(shifts: readonly IdentityShift[], compared: number): string {
  if (shifts.length === 0) return `Nobody loses or gains anything (${compared} CiIdentities compared).\n`;
  const rows = shifts.flatMap((shift) => {
    const where = [`${shift.namespace}/${shift.identity}`, shift.livePods === undefined ? '?' : String(shift.livePods)];
    const { lifetime } = shift;
    return [
      ...shift.lost.map(({ scope, audience, reason }) => ['LOSES', ...where, scope, audience, reason]),
      ...shift.gained.map(({ scope, audience, by }) => [
        'GAINS',
        ...where,
        scope,
        audience,
        by === undefined ? 'enforcement Audit' : ruleName(by),
      ]),
      ...(lifetime === undefined
        ? []
        : [['LIFETIME', ...where, '-', '-', `${formatDuration(lifetime.before)} → ${formatDuration(lifetime.after)}`]]),
    ];
  });
  const sentences = shifts.flatMap(({ namespace, identity, lost }) =>
    // An object that is taken as it stands in the files was checked by nobody.
    lost.map(({ message }) => `- CiIdentity ${namespace}/${identity}: ${clean(message, 2_048)}\n`),
  );
  const losers = shifts.filter(({ lost }) => lost.length > 0);
  const pods = losers.reduce((sum, shift) => sum + (shift.livePods ?? 0), 0);
  return [
    renderTable(['', 'CIIDENTITY', 'LIVE PODS', 'SCOPE', 'AUDIENCE', 'WHY'], rows),
    ...(sentences.length === 0 ? [] : [[...new Set(sentences)].join('')]),
    `${losers.length} of ${counted(compared, 'CiIdentity loses', 'CiIdentities lose')} something; ${counted(pods, 'live pod', 'live pods')} would get a narrower token, or none.\n`,
  ].join('\n');
}
