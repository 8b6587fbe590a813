import type { PodFacts } from '../domain/session/machine.ts';
import { kinds } from '../kube/resources.ts';
import { trimPod } from '../kube/trim.ts';
import type { Cluster, Read } from './cluster.ts';

/** The pods of a namespace (absent: of all) that carry a claim and have not ended. Of each only what decisions need stays in memory. */
export async function livePods(cluster: Cluster, namespace?: string): Promise<Read<readonly PodFacts[]>> {
  const read = await cluster.list<unknown>(kinds.pods, namespace === undefined ? {} : { namespace });
  if (read.is === 'Withheld') return read;
  const pods = read.value.map(trimPod).filter((pod) => Object.keys(pod.claims).length > 0 && !hasEnded(pod));
  return { is: 'Read', value: pods };
}

function hasEnded({ phase, deleting }: PodFacts): boolean {
  return deleting || phase === 'Succeeded' || phase === 'Failed';
}
