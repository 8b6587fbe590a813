import { type Kind, type Place, patchContent, pathOf } from '../kube/resources.ts';
import type { ApiResponse } from '../kube/connection.ts';
import type { Cluster } from './cluster.ts';
import type { Manifest } from './manifests.ts';

interface Live {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/**
 * The API server's answer to a dry run after which the object is as the manifest has it: what the manifest leaves out of `spec` is gone, and labels
 * and annotations of others stay. Not server-side apply, which adds lists of type set to what others own of them, and keeps what we never owned.
 * Needs get and patch, for a new object create; status 403 where the caller may not.
 */
export async function dryRun(cluster: Cluster, kind: Kind, place: Place, manifest: Manifest): Promise<ApiResponse> {
  const query = { dryRun: 'All', fieldValidation: 'Strict', fieldManager: 'kubectl-ci_identity' };
  const found = await cluster.call('GET', pathOf(kind, place));
  if (found.status === 404) {
    const { name: _, ...collection } = place;
    return cluster.call('POST', pathOf(kind, collection), { body: manifest, query });
  }
  if (found.status !== 200) return found;
  const { labels, annotations } = (found.body as Live).metadata;
  const body = [
    { op: 'add', path: '/metadata/labels', value: { ...labels, ...manifest.metadata.labels } },
    { op: 'add', path: '/metadata/annotations', value: { ...annotations, ...manifest.metadata.annotations } },
    { op: 'add', path: '/spec', value: manifest['spec'] ?? {} },
  ];
  return cluster.call('PATCH', pathOf(kind, place), { body, contentType: patchContent.Json, query });
}
