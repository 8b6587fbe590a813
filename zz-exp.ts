import { writeFileSync } from 'node:fs';
import { startCluster } from '#test/cluster/cluster.ts';
import { connect } from '#src/kube/connection.ts';
import { systemClock } from '#src/clock.ts';
import { listPage, kinds, pathOf, create } from '#src/kube/resources.ts';
const signal = new AbortController().signal;
const cluster = await startCluster({});
try {
  const api: any = await connect({ kubeconfig: cluster.kubeconfig, clock: systemClock });
  const sec = kinds.secrets;
  for (let i = 0; i < 3; i++) await create(api, sec, { namespace: 'default' }, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' + i, labels: { a: 'b' } } }, { signal });
  const l = await listPage<any>(api, sec, { namespace: 'default' }, { signal, query: { labelSelector: 'a=b' } });
  console.log('list', l.resourceVersion, l.items.map((i: any) => i.metadata.resourceVersion));
  for (let i = 0; i < 20; i++) await create(api, kinds.configMaps, { namespace: 'default' }, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' + i } }, { signal });
  for (const [kind, place, query] of [[sec, { namespace: 'default' }, { labelSelector: 'a=b' }], [kinds.namespaces, {}, {}], [kinds.validatingPolicies, {}, {}]] as any) for (const timeoutSeconds of ['2', '3', '4']) {
    const t0 = Date.now();
    const r = await listPage<any>(api, kind, place, { signal, query: { ...query, limit: '1' } });
    const t1 = Date.now();
    const seen: string[] = [];
    for await (const ev of api.stream(pathOf(kind, place), { ...query, watch: 'true', allowWatchBookmarks: 'true', resourceVersion: l.resourceVersion, timeoutSeconds }, signal))
      for (const e of ev as any[]) seen.push(`${e.type} ${e.object.metadata?.resourceVersion ?? e.object.message} after ${Date.now() - t1}`);
    console.log(kind.plural, timeoutSeconds, 'R', r.resourceVersion, 'list took', t1 - t0, seen, 'ended', Date.now() - t1);
  }
  const sar = async (a: any, user: string, ns: string) => (await create<any>(a, kinds.subjectAccessReviews, {}, { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user, groups: ['system:authenticated'], resourceAttributes: { group: 'ci-identity.dev', resource: 'ciidentities', verb: 'use', namespace: ns, name: 'x' } } }, { signal })).status;
  const rb = { group: 'rbac.authorization.k8s.io', version: 'v1', plural: 'rolebindings' };
  await create(api, rb, { namespace: 'default' }, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'm' }, roleRef: { apiGroup: rb.group, kind: 'Role', name: 'missing' }, subjects: [{ apiGroup: rb.group, kind: 'User', name: 'joe' }] }, { signal });
  await new Promise((r) => setTimeout(r, 1000));
  console.log('missing Role', await sar(api, 'joe', 'default'), 'none', await sar(api, 'jim', 'default'));
  await api.close();
} finally { await cluster.stop(); }
writeFileSync('/tmp/races2-webhook.yaml', JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'x', contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }], clusters: [{ name: 'x', cluster: { server: 'https://127.0.0.1:9/authorize' } }], users: [{ name: 'x', user: {} }] }));
const two = await startCluster({ apiServerFlags: ['--authorization-mode=Node,RBAC,Webhook', '--authorization-webhook-config-file=/tmp/races2-webhook.yaml'] });
try {
  const api: any = await connect({ kubeconfig: two.kubeconfig, clock: systemClock });
  const t0 = Date.now();
  const a = await create<any>(api, kinds.subjectAccessReviews, {}, { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user: 'joe', groups: ['system:authenticated'], resourceAttributes: { group: 'ci-identity.dev', resource: 'ciidentities', verb: 'use', namespace: 'default', name: 'x' } } }, { signal });
  console.log('webhook away', a.status, Date.now() - t0);
  await api.close();
} finally { await two.stop(); }
