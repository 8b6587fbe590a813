import { operatorNamespace, operatorServiceAccount } from '../api/names.ts';
import { type Check, checked, problem, some } from './doctor-findings.ts';
import { mayDo, rightsOf } from './rights.ts';

/** What the operator needs for itself, beside its rights in agent namespaces. */
export const ownRights: Check = ({ grants: read, shippedRoles, operatorNamespace: own }) =>
  checked('rights of the operator', read, (grants) =>
    shippedRoles.flatMap((role) => {
      const { namespace } = role.metadata;
      const place = namespace === operatorNamespace ? own : namespace;
      const missing = rightsOf(role)
        .map((right) => (place === undefined ? right : { ...right, namespace: place }))
        .filter((right) => !mayDo(grants, right, { namespace: own, name: operatorServiceAccount }))
        .map(({ verb, resource, name }) => `${verb} ${resource}${name === undefined ? '' : ` ${name}`}`);
      if (missing.length === 0) return [];
      const where = place === undefined ? 'for the whole cluster' : `in namespace ${place}`;
      return [
        problem(
          `operator in namespace ${own}`,
          `lacks rights ${where}`,
          `it may not ${some([...new Set(missing)])}, so what needs that waits`,
          'kubectl apply -f manifests/controller/rbac.yaml',
        ),
      ];
    }),
  );
