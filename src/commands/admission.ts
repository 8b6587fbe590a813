import { annotations, claimPrefix } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { selectsPod } from '../domain/access/selectors.ts';
import type { Manifest } from './manifests.ts';

/** What of a pod's manifest admission looks at. */
export interface PodDraft {
  readonly name?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly string[];
  readonly serviceAccount: string;
}

export function draftOf({ metadata, ...rest }: Manifest): PodDraft {
  const spec = rest['spec'] as
    { readonly containers?: readonly { readonly name?: string }[]; readonly serviceAccountName?: string } | undefined;
  return {
    ...(metadata.name === undefined ? {} : { name: metadata.name }),
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    containers: (spec?.containers ?? []).flatMap(({ name }) => name ?? []),
    serviceAccount: spec?.serviceAccountName ?? 'default',
  };
}

/** Who holds the verb `use` on an identity: the creator, and the account that the pod runs as; absent: nobody could be asked. */
export interface Uses {
  readonly creator?: boolean;
  readonly pod?: boolean;
}

/** What the policies of `manifests/admission` say about a pod: the same rules in our words, for where nobody may ask the API server. */
export interface Expected {
  readonly selected: readonly CiIdentity[];
  /** Why it would be refused; empty: admitted. */
  readonly refusals: readonly string[];
}

const mostIdentities = 12;
const longestName = 190;
const mostAnnotations = 2_000;

/** Pure. `optedIn`: the namespace carries the label; without it nothing is injected and nothing checked but forged claims. */
export function expectAdmission(
  pod: PodDraft,
  identities: readonly CiIdentity[],
  o: {
    readonly optedIn: boolean;
    readonly creator: string;
    readonly namespace: string;
    readonly uses: ReadonlyMap<string, Uses>;
  },
): Expected {
  const named = (pod.annotations[annotations.identities] ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  const isMirror = 'kubernetes.io/config.mirror' in pod.annotations;
  const selected =
    o.optedIn && !isMirror ? identities.filter((one) => selectsPod(one, pod.labels, pod.containers)) : [];
  const names = selected.map(({ metadata }) => metadata.name);
  return {
    selected,
    refusals: [
      ...Object.keys(pod.annotations)
        .filter((key) => key.startsWith(claimPrefix))
        .map((key) => `annotation ${key} is written by admission, not by hand: leave it out.`),
      ...(selected.length > 0 && pod.name === undefined
        ? ['the pod has generateName, so its Secret has no name yet: create it with metadata.name.']
        : []),
      ...(selected.length > 0 && (pod.name ?? '').length > longestName
        ? [`the pod name has ${pod.name?.length} characters, at most ${longestName} are possible.`]
        : []),
      ...(selected.length > 0 && Object.keys(pod.annotations).length > mostAnnotations
        ? [`the pod has ${Object.keys(pod.annotations).length} annotations, at most ${mostAnnotations} are possible.`]
        : []),
      ...(selected.length > mostIdentities
        ? [`${selected.length} CiIdentities select this pod, at most ${mostIdentities} may: narrow agents.podSelector.`]
        : []),
      ...named
        .filter((name) => !names.includes(name))
        .map((name) => `it names CiIdentity ${name} in ${annotations.identities}, which does not select it.`),
      ...selected.flatMap((identity) => refusedBy(identity, o)),
      ...defaults(selected),
    ],
  };
}

function refusedBy(
  identity: CiIdentity,
  o: { readonly creator: string; readonly namespace: string; readonly uses: ReadonlyMap<string, Uses> },
): readonly string[] {
  const { name } = identity.metadata;
  const uses = o.uses.get(name);
  const refusal = refusalInStatus(identity);
  return [
    ...(refusal === undefined ? [] : [`CiIdentity ${name}: ${refusal}`]),
    ...(uses?.creator === false
      ? [
          `${o.creator} may not use CiIdentity ${name}: give it the verb use on ciidentities in namespace ${o.namespace}.`,
        ]
      : []),
    ...(uses?.pod === true
      ? [
          `the account that the pod runs as holds the verb use on CiIdentity ${name}: run agents as one without that right.`,
        ]
      : []),
  ];
}

/** The condition with which identities.ci-identity.dev refuses; one about an older spec decides nothing. */
function refusalInStatus({ metadata, status }: CiIdentity): string | undefined {
  return (status?.conditions ?? []).find(
    ({ type, status: is, reason, observedGeneration = metadata.generation }) =>
      observedGeneration === metadata.generation &&
      ((type === 'Authorized' && is === 'False') ||
        (type === 'Stalled' && is === 'True') ||
        (type === 'Issuing' && is === 'False' && reason === 'Suspended')),
  )?.message;
}

function defaults(selected: readonly CiIdentity[]): readonly string[] {
  const wanting = selected.filter(({ spec }) => spec.delivery?.default === true).map(({ metadata }) => metadata.name);
  return wanting.length < 2
    ? []
    : [
        `CiIdentity ${wanting.join(' and ')} both have delivery.default: true and select this pod: only one can be the default.`,
      ];
}
