import { nearName } from '../domain/access/near-name.ts';
import { type Check, checked, info, warning } from './doctor-findings.ts';

/** Namespaces that a rule lists and that do not exist: announced ones grant nothing yet, a slip never will. */
const listedNamespaces: Check = ({ policies, namespaces }) =>
  checked('ScopePolicies', policies, (all) =>
    checked('namespaces', namespaces, (found) => {
      const known = found.map(({ metadata }) => metadata.name);
      return all.flatMap(({ metadata, spec }) =>
        spec.rules.flatMap((rule, index) =>
          (rule.namespaces ?? [])
            .filter((name) => !known.includes(name))
            .map((name) => {
              const near = nearName(name, known);
              const what = `lists namespace ${name}, which does not exist`;
              const subject = `ScopePolicy ${metadata.name} (spec.rules[${index}])`;
              return near === undefined
                ? info(subject, what, 'it grants nothing there until it is created', 'create it, or take it out')
                : warning(
                    subject,
                    what,
                    `namespace ${near} does, and gets nothing by this`,
                    `correct it if ${near} is meant`,
                  );
            }),
        ),
      );
    }),
  );

/** Roles of an identity that no rule of its pool names: the others may well give it something, so its status is Ready. */
const namedRoles: Check = ({ policies, identities }) =>
  checked('ScopePolicies', policies, (all) =>
    checked('CiIdentities', identities, (found) =>
      found.flatMap(({ metadata, spec }) => {
        const rules = all.flatMap((policy) => policy.spec.rules.filter(({ pool }) => pool === spec.pool));
        const known = new Set(rules.map(({ role }) => role));
        const unknown = spec.roles.filter((role) => !known.has(role));
        if (unknown.length === spec.roles.length) return [];
        return unknown.map((role) => {
          const near = nearName(role, known);
          return warning(
            `CiIdentity ${metadata.namespace ?? ''}/${metadata.name}`,
            `has role ${role}, which gives nothing`,
            `no rule of any ScopePolicy names it for IdentityPool ${spec.pool}${near === undefined ? '' : `; there is ${near}`}`,
            'ask the owner of the policies for a rule, or correct spec.roles',
          );
        });
      }),
    ),
  );

export const nameChecks: readonly Check[] = [listedNamespaces, namedRoles];
