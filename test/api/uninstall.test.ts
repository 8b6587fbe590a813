/** `manifests/protection`: whatever is deleted in whatever order, kinds and records stay while a pool needs them. */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { operatorNamespace, poolFinalizer } from '#src/api/names.ts';
import { readShippedDefinitions } from '#src/kube/definitions.ts';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { established } from '#test/support/established.ts';
import { eventually } from '#test/support/eventually.ts';

const manifests = fileURLToPath(new URL('../../manifests/', import.meta.url));
const definitions = readShippedDefinitions().map(({ metadata }) => metadata.name);
const kept = [`namespace/${operatorNamespace}`, ...definitions.map((name) => `crd/${name}`)];
const refusal = /IdentityPool ci-bots is still there.*: run kubectl ci-identity uninstall --yes first/;
const pool = {
  apiVersion: 'ci-identity.dev/v1alpha1',
  kind: 'IdentityPool',
  metadata: { name: 'ci-bots', finalizers: [poolFinalizer] },
  spec: { provider: { issuer: 'https://idp.example.com' }, ceiling: { scopes: ['a'], audiences: ['https://b'] } },
};
let cluster: Cluster;

const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
  const { stdout, stderr, code } = await cluster.kubectlRun(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};
/** Those that are not there, or on their way out. */
const lost = async (): Promise<readonly string[]> => {
  const states = await Promise.all(
    kept.map((object) => kubectl(['get', object, '--ignore-not-found', '-o', 'jsonpath={.metadata}'])),
  );
  return kept.filter((_, i) => states[i] === '' || states[i]?.includes('deletionTimestamp'));
};

test.before('a cluster with everything that is shipped, and a pool', async () => {
  cluster = await startCluster();
  await kubectl(['apply', '--server-side', '-k', `${manifests}default`]);
  await kubectl(['apply', '--server-side', '-k', `${manifests}protection`]);
  await established(kubectl, 'crd', '--all');
  await kubectl(['create', '-f', '-'], JSON.stringify(pool));
  await eventually('the protection is effective', async () => {
    const { stderr } = await cluster.kubectlRun(['delete', '--dry-run=server', ...kept]);
    return stderr.match(new RegExp(refusal, 'g'))?.length === kept.length ? true : undefined;
  });
});

test.after.always(async () => cluster?.stop());

test.serial('one by one they are not deleted', async (t) => {
  for (const object of kept) {
    const { code, stderr } = await cluster.kubectlRun(['delete', object, '--timeout=10s']);
    t.is(code, 1);
    t.regex(stderr, refusal);
  }
});

test.serial('as a collection they are not deleted', async (t) => {
  for (const name of definitions) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldSelector=metadata.name%3D${name}`;
    const { stderr, code } = await cluster.kubectlRun(['delete', '--raw', path]);
    t.is(code, 1);
    t.regex(stderr, refusal);
  }
  t.deepEqual(await lost(), []);
});

test.serial('kubectl delete -k of everything else does not delete them, however often it is repeated', async (t) => {
  for (const attempt of [1, 2]) {
    const { code, stderr } = await cluster.kubectlRun(['delete', '-k', `${manifests}default`, '--timeout=30s']);
    t.is(code, 1, `attempt ${attempt}`);
    t.regex(stderr, refusal);
    t.deepEqual(await lost(), [], `attempt ${attempt}`);
  }
});

test.serial('without a pool everything goes, and what protected goes last', async (t) => {
  await kubectl(['patch', 'identitypool/ci-bots', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
  await kubectl(['delete', 'identitypool/ci-bots']);
  await eventually('the API server knows that no pool is left', () =>
    kubectl(['delete', '--dry-run=server', '--ignore-not-found', ...kept]),
  );
  await kubectl(['delete', '-k', `${manifests}default`, '--ignore-not-found', '--wait', '--timeout=270s']);
  t.deepEqual(await lost(), kept);
  await kubectl(['delete', '-k', `${manifests}protection`]);
});
