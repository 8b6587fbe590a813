/** `manifests/admission/finalizer.yaml`: a new pool has the finalizer of the operator from the start, while an operator leads. */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { leaseName, operatorNamespace, poolFinalizer } from '#src/api/names.ts';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { established } from '#test/support/established.ts';
import { eventually } from '#test/support/eventually.ts';

const manifests = fileURLToPath(new URL('../../manifests/', import.meta.url));
const theirs = 'example.com/theirs';
let cluster: Cluster;

const kubectl = async (args: readonly string[], input?: object): Promise<string> => {
  const text = input === undefined ? undefined : JSON.stringify(input);
  const { stdout, stderr, code } = await cluster.kubectlRun(args, text);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly acquireTime?: string;
  readonly renewTime?: string;
}

const led = { acquireTime: '2026-01-01T00:00:00.000000Z', renewTime: '2026-01-01T00:00:11.000000Z' };
const leads: LeaseSpec = { holderIdentity: 'controller-0', ...led };

/** The operator's Lease is exactly so from now on. */
async function lease(spec: LeaseSpec | undefined): Promise<void> {
  await kubectl(['delete', 'lease', leaseName, '-n', operatorNamespace, '--ignore-not-found']);
  const metadata = { name: leaseName, namespace: operatorNamespace };
  const object = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
  if (spec !== undefined) await kubectl(['create', '-f', '-'], object);
}

function pool(name: string, finalizers?: readonly string[]): object {
  return {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'IdentityPool',
    metadata: { name, ...(finalizers === undefined ? {} : { finalizers }) },
    spec: { provider: { issuer: 'https://idp.example.com' }, ceiling: { scopes: ['a'], audiences: ['https://b'] } },
  };
}

/** What a pool that is created with these finalizers has, as JSON; nothing is stored. */
async function created(finalizers?: readonly string[]): Promise<string> {
  const path = '{.metadata.finalizers}';
  return kubectl(['create', '--dry-run=server', '-o', `jsonpath=${path}`, '-f', '-'], pool('ci-bots', finalizers));
}

/** The API server hears of Leases and policies by watches. */
async function eventuallyCreated(given: readonly string[] | undefined, gives: readonly string[]): Promise<void> {
  const wanted = gives.length === 0 ? '' : JSON.stringify(gives);
  await eventually(`a new pool has ${wanted}`, async () => ((await created(given)) === wanted ? true : undefined));
}

test.before('a cluster with everything that is shipped', async (t) => {
  t.timeout(120_000);
  cluster = await startCluster();
  await kubectl(['apply', '--server-side', '-k', `${manifests}default`]);
  await established(async (args) => kubectl(args), 'crd', '--all');
  await lease(leads);
  await eventuallyCreated(undefined, [poolFinalizer]);
});

test.after.always(async () => cluster?.stop());

const rows: readonly {
  readonly title: string;
  readonly lease: LeaseSpec | undefined;
  readonly with?: readonly string[];
  readonly gives: readonly string[];
}[] = [
  { title: 'no operator was ever there', lease: undefined, gives: [] },
  { title: 'the last leader has left', lease: led, gives: [] },
  { title: 'the Lease was never renewed', lease: { holderIdentity: 'controller-0' }, gives: [] },
  {
    title: 'the leader is new, and the kind may be, too',
    lease: { ...leads, renewTime: '2026-01-01T00:00:10.000000Z' },
    gives: [],
  },
  { title: 'an operator leads', lease: leads, gives: [poolFinalizer] },
  { title: 'one of others is there', lease: leads, with: [theirs], gives: [theirs, poolFinalizer] },
  { title: 'it is there already', lease: leads, with: [poolFinalizer, theirs], gives: [poolFinalizer, theirs] },
];

for (const { title, lease: spec, with: given, gives } of rows) {
  test.serial(`${title}: a new pool has ${gives.length === 0 ? 'no finalizer' : gives.join(' and ')}`, async (t) => {
    await lease(leads);
    await eventuallyCreated(undefined, [poolFinalizer]);
    await lease(spec);
    await eventuallyCreated(given, gives);
    t.pass();
  });
}

test.serial('who takes it away from a pool that is there is not overruled', async (t) => {
  await lease(leads);
  await eventuallyCreated(undefined, [poolFinalizer]);
  await kubectl(['create', '-f', '-'], pool('stripped'));
  const finalizers = (): Promise<string> =>
    kubectl(['get', 'identitypool', 'stripped', '-o', 'jsonpath={.metadata.finalizers}']);
  t.is(await finalizers(), JSON.stringify([poolFinalizer]));
  await kubectl(['patch', 'identitypool', 'stripped', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
  t.is(await finalizers(), '');
  await kubectl(['delete', 'identitypool', 'stripped', '--timeout=10s']);
});

for (const how of [[], ['--server-side']]) {
  test.serial(`it stays when the pool is applied again: kubectl apply ${how.join(' ')}`, async (t) => {
    await lease(leads);
    await eventuallyCreated(undefined, [poolFinalizer]);
    const applied = (): Promise<string> =>
      kubectl(['apply', ...how, '-o', 'jsonpath={.metadata.finalizers}', '-f', '-'], pool(`applied${how.length}`));
    t.is(await applied(), JSON.stringify([poolFinalizer]));
    t.is(await applied(), JSON.stringify([poolFinalizer]));
  });
}
