import type { Description } from './arguments.ts';
import { withCluster } from './cluster.ts';
import { poolNameOf, request, requestOptions } from './request.ts';
import { verb } from './run.ts';

const description: Description = {
  name: 'revoke',
  synopsis: 'identitypool/NAME',
  about:
    'Asks the operator to revoke every token of a pool that was minted before now, once; running pods get new ones. It sets the annotation\nci-identity.dev/revoke, which no GitOps tool reverts. What it reaches depends on the provider: status.capabilities.revocation of the pool.\nDone means that no token from before is left: revoked, or expired; the audit log has each token.',
  examples: [
    ['A token may have leaked', 'revoke identitypool/ci-bots --id INC-4711 --wait'],
    ['A credential may have leaked too', 'rotate identitypool/ci-bots --emergency --id INC-4711 --wait'],
  ],
  options: requestOptions,
  exit: '0 asked (with --wait: done), or done earlier with this id, 1 refused, failed or not handled in time.',
};

const elsewhere =
  'only an IdentityPool has revoke requests. To end one pod, delete it: its tokens are revoked. To stop one CiIdentity or namespace, annotate it with ci-identity.dev/emergency-stop=<reason>; remove the annotation to go on';

export const runRevoke = verb(description, (args, surface) => {
  const name = poolNameOf(args, elsewhere);
  return withCluster(args, surface, (cluster) => request(cluster, args, surface, name, ['Revoke']));
});
