/** Who may do what, computed from RBAC objects: the API server answers this question only for one user at a time. */

export interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface RawRole {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly PolicyRule[] | null;
}

export interface RawSubject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface RawBinding {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly RawSubject[] | null;
}

/** One rule that one subject holds, in one namespace or (absent) in all. */
export interface Grant {
  readonly subject: RawSubject;
  readonly namespace?: string;
  readonly rule: PolicyRule;
  readonly binding: string;
}

export interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** Absent: in all namespaces, or of something that is in none. */
  readonly namespace?: string;
  /** Absent: for every object of the resource. */
  readonly name?: string;
}

/** Roles and ClusterRoles, RoleBindings and ClusterRoleBindings: a namespace in the metadata tells which. */
export function grantsOf(roles: readonly RawRole[], bindings: readonly RawBinding[]): readonly Grant[] {
  const byName = new Map(roles.map((role) => [`${role.metadata.namespace ?? ''}/${role.metadata.name}`, role]));
  return bindings.flatMap(({ metadata, roleRef, subjects }) => {
    const { name, namespace } = metadata;
    const place = roleRef.kind === 'ClusterRole' ? '' : (namespace ?? '');
    const rules = byName.get(`${place}/${roleRef.name}`)?.rules ?? [];
    const binding = namespace === undefined ? `ClusterRoleBinding ${name}` : `RoleBinding ${namespace}/${name}`;
    return (subjects ?? []).flatMap((subject) =>
      rules.map((rule) => ({ subject, rule, binding, ...(namespace === undefined ? {} : { namespace }) })),
    );
  });
}

/** The grants that give this right. */
export function grantsFor(grants: readonly Grant[], right: Right): readonly Grant[] {
  return grants.filter(
    ({ namespace, rule }) =>
      (namespace === undefined || namespace === right.namespace) &&
      has(rule.verbs, right.verb) &&
      has(rule.apiGroups, right.group) &&
      has(rule.resources, right.resource) &&
      ((rule.resourceNames ?? []).length === 0 || (right.name !== undefined && has(rule.resourceNames, right.name))),
  );
}

/** Every right that a role gives where it is bound. */
export function rightsOf({ metadata: { namespace }, rules }: RawRole): readonly Right[] {
  const place = namespace === undefined ? {} : { namespace };
  return (rules ?? []).flatMap(({ apiGroups = [], resources = [], resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) =>
          (resourceNames ?? [undefined]).map((name) => ({
            verb,
            group,
            resource,
            ...place,
            ...(name === undefined ? {} : { name }),
          })),
        ),
      ),
    ),
  );
}

export function mayDo(
  grants: readonly Grant[],
  right: Right,
  account: { readonly namespace: string; readonly name: string },
): boolean {
  return grantsFor(grants, right).some(
    ({ subject }) =>
      (subject.kind === 'ServiceAccount' && subject.name === account.name && subject.namespace === account.namespace) ||
      (subject.kind === 'User' && subject.name === `system:serviceaccount:${account.namespace}:${account.name}`) ||
      (subject.kind === 'Group' &&
        ['system:authenticated', 'system:serviceaccounts', `system:serviceaccounts:${account.namespace}`].includes(
          subject.name,
        )),
  );
}

/** Holds everything in the whole cluster, so nothing can be kept from it. */
export function isAdministrator(grants: readonly Grant[], subject: RawSubject): boolean {
  return (
    (subject.kind === 'Group' && subject.name === 'system:masters') ||
    grants.some(
      (grant) =>
        grant.namespace === undefined &&
        isSameSubject(grant.subject, subject) &&
        has(grant.rule.verbs, '*') &&
        has(grant.rule.apiGroups, '*') &&
        has(grant.rule.resources, '*'),
    )
  );
}

/** Groups that nobody has to be put into. */
export const everybody: readonly string[] = [
  'system:authenticated',
  'system:unauthenticated',
  'system:serviceaccounts',
];

/** Part of Kubernetes itself. */
export function isSystem({ kind, name, namespace }: RawSubject): boolean {
  if (kind === 'ServiceAccount') return namespace === 'kube-system';
  return name.startsWith('system:') && !everybody.includes(name) && !/^system:serviceaccounts?:/.test(name);
}

export function isSameSubject(a: RawSubject, b: RawSubject): boolean {
  return a.kind === b.kind && a.name === b.name && a.namespace === b.namespace;
}

/** `ServiceAccount jenkins/jenkins`, `Group developers`. */
export function subjectName({ kind, name, namespace }: RawSubject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function has(list: readonly string[] | undefined, item: string): boolean {
  return list?.includes(item) === true || list?.includes('*') === true;
}
