import { hasEnded } from '../domain/session/end-cause.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { kinds } from '../kube/resources.ts';
import { trimPod } from '../kube/trim.ts';
import type { Cluster, Read } from './cluster.ts';

/** The pods of a namespace (absent: of all) that carry a claim. Of each only what decisions need stays in memory. */
export async function claimingPods(cluster: Cluster, namespace?: string): Promise<Read<readonly PodFacts[]>> {
  const read = await cluster.list<unknown>(kinds.pods, namespace === undefined ? {} : { namespace });
  if (read.is === 'Withheld') return read;
  return { is: 'Read', value: read.value.map(trimPod).filter(({ claims }) => Object.keys(claims).length > 0) };
}

/** Those of them that have not ended. */
export async function livePods(cluster: Cluster, namespace?: string): Promise<Read<readonly PodFacts[]>> {
  const read = await claimingPods(cluster, namespace);
  return read.is === 'Withheld' ? read : { is: 'Read', value: read.value.filter((pod) => !hasEnded(pod)) };
}
