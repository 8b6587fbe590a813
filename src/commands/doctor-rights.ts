import { labels, operatorServiceAccount, useRight } from '../api/names.ts';
import { type Check, type Finding, checked, problem, some, warning } from './doctor-findings.ts';
import type { Facts } from './doctor-facts.ts';
import {
  type Grant,
  type RawSubject,
  everybody,
  grantsFor,
  isAdministrator,
  isSameSubject,
  isSystem,
  mayDo,
  subjectName,
} from './rights.ts';

/** What the component `agent-namespace` grants the operator in each agent namespace. */
const needed: readonly (readonly [string, string, string])[] = [
  ['', 'pods', 'get'],
  ['', 'pods', 'list'],
  ['', 'pods', 'watch'],
  ['', 'secrets', 'create'],
  ['', 'secrets', 'update'],
];

/** What nobody should be able to do with Secrets beside what must: reading them is reading tokens, and so is a dry-run delete. */
const readingVerbs = ['get', 'list', 'watch', 'delete'];

/** The rights of the operator in each namespace that opted in. */
const operatorRights: Check = (facts) =>
  perAgentNamespace(facts, 'rights of the operator', (namespace, grants) => {
    const account = { namespace: facts.operatorNamespace, name: operatorServiceAccount };
    const may = (apiGroup: string, resource: string, verb: string): boolean =>
      mayDo(grants, { group: apiGroup, resource, verb, namespace }, account);
    const missing = needed.filter(([apiGroup, resource, verb]) => !may(apiGroup, resource, verb));
    const excess = readingVerbs.filter((verb) => may('', 'secrets', verb));
    return [
      ...(missing.length === 0
        ? []
        : [
            problem(
              `Namespace ${namespace}`,
              'opts in, but the operator has not its rights there',
              `it may not ${some(missing.map(([, resource, verb]) => `${verb} ${resource}`))}, so pods wait for their token`,
              'apply the component manifests/components/agent-namespace there',
            ),
          ]),
      ...(excess.length === 0
        ? []
        : [
            problem(
              `Namespace ${namespace}`,
              'gives the operator more than it needs',
              `it may ${excess.join(', ')} Secrets there; whoever takes over the operator could read them all`,
              'remove that right: create and update are enough',
            ),
          ]),
    ];
  });

/** Who may create pods with identities. */
const useRights: Check = (facts) =>
  perAgentNamespace(facts, 'right to use identities', (namespace, grants) => {
    const subject = `Namespace ${namespace}`;
    const holders = grantsFor(grants, { ...useRight, namespace }).filter(
      (grant) => !isAdministrator(grants, grant.subject) && !isSystem(grant.subject),
    );
    const wide = holders.filter((grant) => grant.subject.kind === 'Group' && everybody.includes(grant.subject.name));
    const own = holders.filter(
      (grant) => grant.subject.kind === 'ServiceAccount' && grant.subject.namespace === namespace,
    );
    const groups = holders.filter(
      ({ subject: { kind, name } }) =>
        kind === 'Group' && !everybody.includes(name) && !name.startsWith('system:serviceaccounts:'),
    );
    const anywhere = holders.filter((grant) => grant.namespace === undefined);
    return [
      ...(holders.length === 0
        ? [
            problem(
              subject,
              'has no creator that may use its identities',
              'the verb use on ciidentities is bound to nobody there, so every agent pod is refused',
              'apply the component manifests/components/agent-namespace with the service account of its Jenkins cloud',
            ),
          ]
        : []),
      ...wide.map(({ subject: who, binding }) =>
        problem(
          subject,
          `lets ${subjectName(who)} use its identities`,
          `${binding} gives use to everybody`,
          'bind it to one service account',
        ),
      ),
      ...own.map(({ subject: who, binding }) =>
        warning(
          subject,
          `lets its own ${subjectName(who)} use its identities`,
          `code in a pod that runs as it could create pods with them (${binding})`,
          'create agent pods with an account of another namespace',
        ),
      ),
      ...groups.map(({ subject: who, binding }) =>
        warning(
          subject,
          `lets ${subjectName(who)} use its identities, which the operator does not see`,
          `${binding} names a group, and a pod tells only the name of its creator, so its members' pods are admitted and get no token`,
          'bind it to the users or service accounts by name',
        ),
      ),
      ...anywhere.map(({ subject: who, binding }) =>
        warning(
          subject,
          `lets ${subjectName(who)} use its identities, as every namespace does`,
          `${binding} gives use in the whole cluster`,
          'bind it per namespace',
        ),
      ),
    ];
  });

/** One creator in several namespaces makes them share their identities. */
const sharedCreators: Check = (facts) =>
  withAgents(facts, 'creators', (agents, grants) => {
    const bound = grants.filter(
      (grant) =>
        grant.namespace !== undefined &&
        agents.includes(grant.namespace) &&
        grantsFor([grant], { ...useRight, namespace: grant.namespace }).length > 0,
    );
    return unique(bound.map((grant) => grant.subject)).flatMap((subject) => {
      const places = [
        ...new Set(
          bound.filter((grant) => isSameSubject(grant.subject, subject)).flatMap((grant) => grant.namespace ?? []),
        ),
      ];
      return places.length < 2
        ? []
        : [
            warning(
              subjectName(subject),
              `may use identities in ${places.length} namespaces`,
              `whoever writes a pipeline in one of ${some(places)} can get the identities of all`,
              'give each namespace a Jenkins cloud with its own service account',
            ),
          ];
    });
  });

/** Who else can read tokens. */
const secretReaders: Check = (facts) => [
  ...perAgentNamespace(facts, 'readers of Secrets', (namespace, grants) =>
    readers(grants, namespace, facts).map(([who, verbs]) =>
      warning(
        `Namespace ${namespace}`,
        `lets ${who} ${verbs} Secrets`,
        'they hold the tokens of its running pods',
        'take Secrets out of that role, or keep people who need it out of agent namespaces',
      ),
    ),
  ),
  ...checked('readers of records', facts.grants, (grants) =>
    readers(grants, facts.operatorNamespace, facts).map(([who, verbs]) =>
      problem(
        `Namespace ${facts.operatorNamespace}`,
        `lets ${who} ${verbs} Secrets`,
        'they hold the private keys of every client and every live token',
        'remove that right: only the operator needs it',
      ),
    ),
  ),
];

/** What is as good as reading the operator's Secrets: a pod there may run as its account and mount them. */
const takingOver: readonly (readonly [group: string, resource: string, verb: string])[] = [
  ['', 'pods', 'create'],
  ['', 'pods/exec', 'create'],
  ['', 'serviceaccounts/token', 'create'],
  ['', 'serviceaccounts', 'impersonate'],
  ['apps', 'deployments', 'create'],
  ['apps', 'deployments', 'patch'],
];

/** Who can act in the operator's place, such as a Jenkins that creates pods in the whole cluster. */
const stewards: Check = (facts) =>
  checked('stewards of the operator', facts.grants, (grants) => {
    const namespace = facts.operatorNamespace;
    const operator = { kind: 'ServiceAccount', namespace, name: operatorServiceAccount };
    const found = takingOver.flatMap(([apiGroup, resource, verb]) =>
      grantsFor(grants, { group: apiGroup, resource, verb, namespace }).map(({ subject }) => ({
        subject,
        right: `${verb} ${resource}`,
      })),
    );
    return unique(found.map(({ subject }) => subject))
      .filter((who) => !isSameSubject(who, operator) && !isSystem(who) && !isAdministrator(grants, who))
      .map((who) => {
        const rights = found.filter(({ subject }) => isSameSubject(subject, who)).map(({ right }) => right);
        return problem(
          `Namespace ${namespace}`,
          `lets ${subjectName(who)} act as the operator`,
          `it may ${some([...new Set(rights)])} there, and so reach every key and token`,
          'bind that right in other namespaces only',
        );
      });
  });

function readers(grants: readonly Grant[], namespace: string, facts: Facts): readonly (readonly [string, string])[] {
  const found = readingVerbs.flatMap((verb) =>
    grantsFor(grants, { group: '', resource: 'secrets', verb, namespace }).map((grant) => ({
      subject: grant.subject,
      verb,
    })),
  );
  const operator = { kind: 'ServiceAccount', namespace: facts.operatorNamespace, name: operatorServiceAccount };
  return unique(found.map((one) => one.subject))
    .filter((who) => !isSameSubject(who, operator) && !isSystem(who) && !isAdministrator(grants, who))
    .map((who) => [
      subjectName(who),
      [...new Set(found.filter((one) => isSameSubject(one.subject, who)).map((one) => one.verb))].join(', '),
    ]);
}

function unique(subjects: readonly RawSubject[]): readonly RawSubject[] {
  return subjects.filter((one, index) => subjects.findIndex((other) => isSameSubject(one, other)) === index);
}

function perAgentNamespace(
  facts: Facts,
  what: string,
  check: (namespace: string, grants: readonly Grant[]) => readonly Finding[],
): readonly Finding[] {
  return withAgents(facts, what, (agents, grants) => agents.flatMap((namespace) => check(namespace, grants)));
}

function withAgents(
  { namespaces, grants }: Facts,
  what: string,
  check: (agents: readonly string[], grants: readonly Grant[]) => readonly Finding[],
): readonly Finding[] {
  return checked(what, namespaces, (all) =>
    checked(what, grants, (known) =>
      check(
        all
          .filter(({ metadata }) => metadata.labels?.[labels.inject] === 'enabled')
          .map(({ metadata }) => metadata.name),
        known,
      ),
    ),
  );
}

export const rightsChecks: readonly Check[] = [operatorRights, useRights, sharedCreators, secretReaders, stewards];
