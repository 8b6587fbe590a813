import type { Description } from './arguments.ts';
import { withCluster } from './cluster.ts';
import { type RequestKind, poolNameOf, request, requestOptions } from './request.ts';
import { verb } from './run.ts';

const description: Description = {
  name: 'rotate',
  synopsis: 'identitypool/NAME',
  about:
    'Asks the operator to replace the credentials of a pool now, once, without a break: the old one stays until its last token has expired.\nIt sets the annotation ci-identity.dev/rotate, which no GitOps tool reverts. With --emergency everything that was minted before now is\nrevoked too, and the old credential goes at once.',
  examples: [
    ['Before the auditor comes', 'rotate identitypool/ci-bots --wait'],
    ['A credential may have leaked', 'rotate identitypool/ci-bots --emergency --id INC-4711 --wait'],
  ],
  options: [...requestOptions, { name: 'emergency', help: 'Revoke everything minted before now as well.' }],
  exit: '0 asked (with --wait: done), or done earlier with this id, 1 refused, failed or not handled in time.',
};

const elsewhere = 'only an IdentityPool has credentials that rotate; name the pool of the CiIdentity (spec.pool)';

export const runRotate = verb(description, (args, surface) => {
  const name = poolNameOf(args, elsewhere);
  const asked: readonly RequestKind[] = args.given.has('emergency') ? ['Rotate', 'Revoke'] : ['Rotate'];
  return withCluster(args, surface, (cluster) => request(cluster, args, surface, name, asked));
});
