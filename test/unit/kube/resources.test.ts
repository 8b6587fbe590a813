import test from 'ava';
import { kinds, pathOf } from '#src/kube/resources.ts';

const rows = [
  [pathOf(kinds.secrets, { namespace: 'ci', name: 'a.b' }), '/api/v1/namespaces/ci/secrets/a.b'],
  [pathOf(kinds.pods), '/api/v1/pods'],
  [
    pathOf(kinds.identityPools, { name: 'ci-bots', subresource: 'status' }),
    '/apis/ci-identity.dev/v1alpha1/identitypools/ci-bots/status',
  ],
  [pathOf(kinds.ciIdentities, { namespace: 'ci' }), '/apis/ci-identity.dev/v1alpha1/namespaces/ci/ciidentities'],
  [
    pathOf(kinds.secrets, { namespace: '../../x', name: 'a/b?c#d' }),
    '/api/v1/namespaces/..%2F..%2Fx/secrets/a%2Fb%3Fc%23d',
  ],
] as const;

for (const [path, expected] of rows) {
  test(expected, (t) => {
    t.is(path, expected);
  });
}
