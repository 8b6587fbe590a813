/** Pods that carry no identity that they may need: admission writes claims at CREATE only, and nothing can be mended afterwards. */
import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import { clean } from '../../clean.ts';
import { parseRfc3339 } from '../../clock.ts';
import type { PodFacts } from '../session/machine.ts';
import { selectsPod } from './selectors.ts';

export interface Miss {
  readonly identity: string;
  /** What – why – what to do. */
  readonly message: string;
}

/** The identities of the pod's namespace that select it as it is now and that it was created without. */
export function missedBy(pod: PodFacts, identities: readonly CiIdentity[]): readonly Miss[] {
  return identities
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .filter(({ metadata }) => !Object.hasOwn(pod.claims, metadata.name))
    .filter((identity) => selectsPod(identity, pod.labels, pod.containers))
    .map((identity) => ({ identity: identity.metadata.name, message: sentence(pod, identity) }));
}

/**
 * The identities that select the pod by its labels and are for containers that it does not have. That may be meant, or a misspelt name of which
 * nobody would hear, because such a pod is admitted without a word.
 */
export function passedOver(
  { namespace, name, labels, containers, claims }: PodFacts,
  identities: readonly CiIdentity[],
): readonly Miss[] {
  if (containers.length === 0) return [];
  return identities
    .filter(({ metadata }) => !Object.hasOwn(claims, metadata.name))
    .filter((identity) => selectsPod(identity, labels) && !selectsPod(identity, labels, containers))
    .map(({ metadata, spec }) => ({
      identity: metadata.name,
      message: `Pod ${namespace}/${name}: CiIdentity ${metadata.name} selects it by its labels and is not given to it – spec.delivery.containers names ${listed(spec.delivery?.containers ?? [])}, and the pod has ${listed(containers)}. If it is meant to have it, correct the name of the container.`,
    }));
}

function listed(containers: readonly string[]): string {
  return clean(containers.join(', '), 300);
}

function sentence(pod: PodFacts, { metadata }: CiIdentity): string {
  const made = parseRfc3339(metadata.creationTimestamp ?? '');
  const why =
    made !== undefined && pod.created <= made
      ? 'the pod was created before the CiIdentity was in force'
      : 'it got its labels after it was created, or was created while the namespace or the admission policies did not give identities';
  return `Pod ${pod.namespace}/${pod.name}: CiIdentity ${metadata.name} selects it, but it runs without that identity – ${why}. Identities are given when a pod is created: run the build again.`;
}
