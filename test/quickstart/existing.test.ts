/** The whole story on a cluster that was there already, with a pod that runs in it. */
import test from 'ava';
import { startCluster } from '#test/cluster/cluster.ts';
import { contentsOf, quickstart } from './foreign-cluster.ts';

test('told to its end, and nothing is left behind', async (t) => {
  await using cluster = await startCluster({ node: true });
  const before = await contentsOf(cluster);
  const image = cluster.node?.agentImage ?? '';
  const { code, out } = await quickstart(['--kubeconfig', cluster.kubeconfig, '--image', image, '--yes']);
  t.log(out);
  t.is(code, 0, out);
  t.regex(out, /Pod runs and reads \/var\/run\/secrets\/ci-identity\/publisher\/token/);
  t.regex(out, /Done; nothing is left behind\.\n$/);
  t.deepEqual(await contentsOf(cluster), before);
});
