import { invalidFields } from '../kube/classify.ts';
import { kinds, pathOf } from '../kube/resources.ts';
import { type Cluster, answerMessage } from './cluster.ts';
import type { Manifest } from './manifests.ts';

/** What the API server said; `NotAsked`: the caller may not do that. */
export type Verdict =
  | { readonly is: 'Admitted' }
  | { readonly is: 'Refused'; readonly message: string }
  | { readonly is: 'NotAsked'; readonly message: string };

/**
 * Asks for a create that changes nothing, with every admission policy of the cluster, as `user` (absent: as the caller). `stored`: the pod as it
 * would be there.
 */
export async function verdictOf(
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
