/** `npm run quickstart -- --kubeconfig …` on a cluster of somebody else: asks first, cleans up, touches nothing that was there. */
import test from 'ava';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { stopAfterwards } from '#test/support/hooks.ts';
import { contentsOf, quickstart } from '#test/quickstart/foreign-cluster.ts';

let cluster: Cluster;
let before: readonly string[];

test.before(async () => {
  cluster = await startCluster();
  before = await contentsOf(cluster);
});

stopAfterwards(() => [cluster]);

test.serial('without a terminal and without --yes nothing is created; what would be is shown', async (t) => {
  const { code, out } = await quickstart(['--kubeconfig', cluster.kubeconfig]);
  t.is(code, 1, out);
  t.regex(out, /CustomResourceDefinition: ciidentities\.ci-identity\.dev, identitypools/);
  t.regex(out, /nobody can be asked, because standard input is no terminal: say --yes if this is meant/);
  t.deepEqual(await contentsOf(cluster), before);
});

test.serial('somebody who is no administrator is told so', async (t) => {
  const kubeconfig = await cluster.kubeconfigFor('eve', ['developers']);
  const { code, out } = await quickstart(['--kubeconfig', kubeconfig, '--yes']);
  t.is(code, 1, out);
  t.regex(out, /takes a cluster administrator, and this user is none: use another context/);
  t.regex((await quickstart(['--kubeconfig', cluster.kubeconfig, '--context', 'nope', '--yes'])).out, /context "nope"/);
});

for (const [moment, pattern] of [
  ['while it installs', /is created and never scheduled/],
  ['while a pod holds a token', /Token delivered/],
] as const) {
  test.serial(`Ctrl-C ${moment}: everything goes that was created`, async (t) => {
    const { code, out } = await quickstart(['--kubeconfig', cluster.kubeconfig, '--yes'], pattern);
    t.is(code, 130, out);
    t.regex(out, /Removed; the cluster is as it was before\./);
    t.deepEqual(await contentsOf(cluster), before, out);
  });
}

test.serial('where something of it is there already, it does nothing at all', async (t) => {
  const created = await cluster.kubectlRun([
    'create',
    'clusterrole',
    'ci-identity-view',
    '--verb=get',
    '--resource=pods',
  ]);
  t.is(created.code, 0, created.stderr);
  const mine = await contentsOf(cluster);
  const { code, out } = await quickstart(['--kubeconfig', cluster.kubeconfig, '--yes']);
  t.is(code, 1, out);
  t.regex(out, /is there already, and it never touches what it did not create: clusterrole.*\/ci-identity-view/);
  t.deepEqual(await contentsOf(cluster), mine);
});
