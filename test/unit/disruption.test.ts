/** The PodDisruptionBudget that is shipped. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

test('a replica that is not ready holds up no drain, and one that is stays', (t) => {
  const text = readFileSync(new URL('../../manifests/controller/deployment.yaml', import.meta.url), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as { readonly kind: string });
  t.like(
    objects.find(({ kind }) => kind === 'PodDisruptionBudget'),
    { spec: { minAvailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' } },
  );
});
