import { annotations, group, labels, version as ourVersion } from '../api/names.ts';
import { type Instant, formatDuration, parseRfc3339, plus, second } from '../clock.ts';
import { optInSteps } from '../domain/access/explain.ts';
import { brokenPolicies } from '../domain/access/trust.ts';
import { missingMembers } from '../kube/definitions.ts';
import type { LeaseObject } from './doctor-facts.ts';
import { type Check, type Finding, checked, problem, some, warning } from './doctor-findings.ts';
import type { NamespaceObject } from './objects.ts';
import { counted } from './words.ts';

const serverVersion: Check = ({ version }) =>
  version.major > 1 || version.minor >= 36
    ? []
    : [
        problem(
          'API server',
          `has version ${version.text}`,
          'mutating admission policies, without which nothing is injected, are on from 1.36',
          'upgrade the cluster',
        ),
      ];

const definitions: Check = ({ definitions: read, shippedDefinitions }) =>
  checked('custom resource definitions', read, (found) =>
    shippedDefinitions.flatMap((shipped) => {
      const subject = `CustomResourceDefinition ${shipped.metadata.name}`;
      const apply = 'kubectl apply --server-side -k crds, of the version that you want';
      const live = found.find(({ metadata }) => metadata.name === shipped.metadata.name);
      if (live === undefined)
        return [problem(subject, 'is missing', 'the operator is not installed, or only in part', apply)];
      const served = live.spec.versions.find(({ name, served: is }) => name === ourVersion && is !== false);
      const established = live.status?.conditions?.some(
        ({ type, status }) => type === 'Established' && status === 'True',
      );
      if (served === undefined)
        return [problem(subject, `does not serve ${ourVersion}`, 'this program knows no other version', apply)];
      if (established !== true)
        return [
          problem(
            subject,
            'is not Established',
            'the API server does not accept it',
            `see kubectl describe crd ${shipped.metadata.name}`,
          ),
        ];
      const [missing, more] = [missingMembers(shipped, live), missingMembers(live, shipped)];
      return [
        ...(missing.length === 0
          ? []
          : [problem(subject, 'is older than this program', `it does not know ${some(missing)}`, apply)]),
        ...(more.length === 0
          ? []
          : [
              warning(
                subject,
                'is newer than this program',
                `it also knows ${some(more)}`,
                'use the program of that version',
              ),
            ]),
      ];
    }),
  );

const admission: Check = ({ admission: read, shippedAdmission }) =>
  checked('admission policies', read, (observed) =>
    brokenPolicies(shippedAdmission, observed).map((object) =>
      problem(
        object,
        'is not as this version ships it',
        'the operator mints nothing until all of them are whole (GuardMissing)',
        'kubectl apply -k manifests/admission; where one was edited, kubectl replace -f its file',
      ),
    ),
  );

/** Not among those that the operator compares: without it everything works, until somebody deletes too much. */
const protection: Check = ({ admission: read, operatorNamespace }) =>
  checked('protection of kinds and records', read, (observed) => {
    const name = `uninstall.${group}`;
    const has = (kind: string): boolean => observed.some((one) => one.kind === kind && one.name === name);
    if (has('ValidatingAdmissionPolicy') && has('ValidatingAdmissionPolicyBinding')) return [];
    return [
      warning(
        `ValidatingAdmissionPolicy ${name} or its binding`,
        'is not installed',
        `whoever deletes a kind or namespace ${operatorNamespace} leaves the clients of every pool at the providers, and nobody knows of them any more`,
        'kubectl apply --server-side -k manifests/protection',
      ),
    ];
  });

const staleLease = 60 * second;
/** What a round trip and the whole seconds of a `Date` header make of clocks that agree. */
const clockTolerance = 3 * second;

/** Why nobody leads, at this time of the API server; `undefined`: somebody does. */
export function leaderless(lease: LeaseObject | undefined, server: Instant): string | undefined {
  const renewed = parseRfc3339(lease?.spec?.renewTime ?? '');
  if (renewed === undefined || (lease?.spec?.holderIdentity ?? '') === '') {
    return 'nobody holds its lease, so nothing is issued, renewed or revoked';
  }
  return server - renewed > staleLease
    ? `its lease was last renewed ${formatDuration(server - renewed)} ago`
    : undefined;
}

const leader: Check = ({ lease: read, now, serverOffset, operatorNamespace }) =>
  checked('operator', read, (lease) => {
    const subject = `operator in namespace ${operatorNamespace}`;
    const server = plus(now, serverOffset ?? 0);
    const why = leaderless(lease, server);
    if (why !== undefined) {
      return [problem(subject, 'has no leader', why, `see kubectl get pods,lease -n ${operatorNamespace}`)];
    }
    const ahead = (parseRfc3339(lease?.spec?.renewTime ?? '') ?? server) - server;
    return ahead > clockTolerance
      ? [
          problem(
            subject,
            `has a clock that is ${formatDuration(ahead)} ahead of the API server`,
            'tokens are then renewed and credentials retired at the wrong time',
            'synchronise the clock of its node',
          ),
        ]
      : [];
  });

/** Only a leader ends what a pool has at its provider, and then lets it go. */
const leaving: Check = ({ pools, lease, now, serverOffset }) => {
  if (pools.is !== 'Read' || lease.is !== 'Read') return [];
  if (leaderless(lease.value, plus(now, serverOffset ?? 0)) === undefined) return [];
  return pools.value
    .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
    .map(({ metadata: { name } }) =>
      problem(
        `IdentityPool ${name}`,
        'is being deleted and waits for the operator',
        'only the operator revokes its tokens, deletes its clients at the provider and lets it go',
        `apply the manifests of the operator again; if that cannot be, delete the clients named ci-identity ${name} at the provider and then the finalizer: kubectl patch identitypool ${name} --type=merge -p '{"metadata":{"finalizers":null}}'`,
      ),
    );
};

const clock: Check = ({ serverOffset = 0 }) =>
  Math.abs(serverOffset) <= clockTolerance
    ? []
    : [
        warning(
          'this machine',
          `has a clock that is ${formatDuration(Math.abs(serverOffset))} ${serverOffset > 0 ? 'behind' : 'ahead of'} the API server`,
          'ages and times that are shown here are wrong by that much',
          'synchronise it',
        ),
      ];

const emergencyStop: Check = ({ emergencyStop: read, operatorNamespace }) =>
  checked('emergency stop', read, (found) =>
    found === undefined
      ? []
      : [
          warning(
            `ConfigMap ${operatorNamespace}/emergency-stop`,
            'stops everything',
            found.data?.['reason'] ?? 'no reason is given',
            'delete it to go on',
          ),
        ],
  );

const namespaces: Check = ({ namespaces: read, identities }) =>
  checked('namespaces', read, (all) =>
    all.flatMap((namespace) => {
      const { name } = namespace.metadata;
      const own =
        identities.is === 'Read' ? identities.value.filter(({ metadata }) => metadata.namespace === name) : [];
      return [...optIn(namespace, own.length), ...nodeAccess(namespace), ...stopped(namespace)];
    }),
  );

function optIn({ metadata }: NamespaceObject, identities: number): readonly Finding[] {
  const subject = `Namespace ${metadata.name}`;
  const value = metadata.labels?.[labels.inject];
  const enable = optInSteps(metadata.name);
  if (value !== undefined && value !== 'enabled') {
    const what = `has the label ${labels.inject} with another value than enabled`;
    return [problem(subject, what, 'its pods get no identity', enable)];
  }
  if (value === 'enabled' || identities === 0) return [];
  const what = `has ${counted(identities, 'CiIdentity', 'CiIdentities')} and does not opt in`;
  return [problem(subject, what, 'its pods start without identity', enable)];
}

/** https://kubernetes.io/docs/concepts/security/pod-security-admission/ */
const podSecurity = 'pod-security.kubernetes.io/enforce';

function nodeAccess({ metadata }: NamespaceObject): readonly Finding[] {
  const walled = ['baseline', 'restricted'].includes(metadata.labels?.[podSecurity] ?? '');
  if (metadata.labels?.[labels.inject] !== 'enabled' || walled) return [];
  return [
    warning(
      `Namespace ${metadata.name}`,
      'lets its pods use the node',
      'with hostPath or a privileged container a pipeline reads the tokens of every pod beside it, of other teams too',
      `kubectl label namespace ${metadata.name} --overwrite ${podSecurity}=baseline`,
    ),
  ];
}

function stopped({ metadata }: NamespaceObject): readonly Finding[] {
  const reason = metadata.annotations?.[annotations.emergencyStop];
  if (reason === undefined) return [];
  return [
    warning(
      `Namespace ${metadata.name}`,
      'is stopped by annotation',
      reason === '' ? 'no reason is given' : reason,
      `kubectl annotate namespace ${metadata.name} ${annotations.emergencyStop}-`,
    ),
  ];
}

export const checks: readonly Check[] = [
  serverVersion,
  definitions,
  admission,
  protection,
  leader,
  leaving,
  clock,
  emergencyStop,
  namespaces,
];
