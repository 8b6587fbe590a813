/** Pods that should carry an identity and do not: admission writes claims at CREATE only, and nothing can be mended afterwards. */
import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import { parseRfc3339 } from '../../clock.ts';
import type { PodFacts } from '../session/machine.ts';
import { selectsPod } from './selectors.ts';

export interface Miss {
  readonly identity: string;
  /** What – why – what to do. */
  readonly message: string;
}

/** The identities of the pod's namespace that select it as it is now and that it was created without. A pod that ended needs none. */
export function missedBy(pod: PodFacts, identities: readonly CiIdentity[]): readonly Miss[] {
  if (pod.deleting || pod.phase === 'Succeeded' || pod.phase === 'Failed') return [];
  return identities
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .filter(({ metadata }) => !Object.hasOwn(pod.claims, metadata.name))
    .filter((identity) => selectsPod(identity, pod.labels, pod.containers))
    .map((identity) => ({ identity: identity.metadata.name, message: sentence(pod, identity) }));
}

function sentence(pod: PodFacts, { metadata }: CiIdentity): string {
  const made = parseRfc3339(metadata.creationTimestamp ?? '');
  const why =
    made !== undefined && pod.created <= made
      ? 'the pod was created before the CiIdentity was in force'
      : 'it got its labels after it was created, or was created while the namespace or the admission policies did not give identities';
  return `Pod ${pod.namespace}/${pod.name}: CiIdentity ${metadata.name} selects it, but it runs without that identity – ${why}. Identities are given when a pod is created: run the build again.`;
}
