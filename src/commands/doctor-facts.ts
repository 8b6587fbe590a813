import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { emergencyStopConfigMap, leaseName } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../api/v1alpha1/scope-policy.ts';
import { type Instant, type Milliseconds, systemClock } from '../clock.ts';
import type { ObservedPolicy, ShippedPolicy } from '../domain/access/trust.ts';
import { type Definition, readShippedDefinitions } from '../kube/definitions.ts';
import { readShippedPolicies, trimPolicy } from '../kube/guard.ts';
import { type Kind, kinds } from '../kube/resources.ts';
import { admissionKinds } from '../kube/watches.ts';
import type { Cluster, Read } from './cluster.ts';
import type { NamespaceObject } from './objects.ts';
import { type Grant, type RawBinding, type RawRole, grantsOf } from './rights.ts';
import { CommandError } from './surface.ts';

export interface LeaseObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly renewTime?: string;
    readonly leaseDurationSeconds?: number;
  };
}

/** Everything that `doctor` judges. What the caller may not read is `Withheld`, and is told as not checked. */
export interface Facts {
  readonly operatorNamespace: string;
  readonly now: Instant;
  /** How far the API server's clock is ahead of this machine's. */
  readonly serverOffset?: Milliseconds;
  readonly version: { readonly major: number; readonly minor: number; readonly text: string };
  readonly definitions: Read<readonly Definition[]>;
  readonly shippedDefinitions: readonly Definition[];
  readonly admission: Read<readonly ObservedPolicy[]>;
  readonly shippedAdmission: readonly ShippedPolicy[];
  readonly namespaces: Read<readonly NamespaceObject[]>;
  readonly pools: Read<readonly IdentityPool[]>;
  readonly policies: Read<readonly ScopePolicy[]>;
  readonly identities: Read<readonly CiIdentity[]>;
  readonly lease: Read<LeaseObject | undefined>;
  readonly emergencyStop: Read<{ readonly data?: Readonly<Record<string, string>> } | undefined>;
  readonly grants: Read<readonly Grant[]>;
  /** What the operator needs for itself. */
  readonly shippedRoles: readonly RawRole[];
}

const rbac = (plural: string): Kind => ({ group: 'rbac.authorization.k8s.io', version: 'v1', plural });

export async function gatherFacts(cluster: Cluster): Promise<Facts> {
  const version = await versionOf(cluster);
  const place = { namespace: cluster.operatorNamespace };
  const [definitions, admission, namespaces, pools, policies, identities, lease, emergencyStop, grants] =
    await Promise.all([
      readDefinitions(cluster),
      readAdmission(cluster),
      cluster.list<NamespaceObject>(kinds.namespaces),
      orMissing(cluster.pools()),
      orMissing(cluster.policies()),
      orMissing(cluster.identities()),
      cluster.get<LeaseObject>(kinds.leases, { ...place, name: leaseName }),
      cluster.get<{ readonly data?: Readonly<Record<string, string>> }>(kinds.configMaps, {
        ...place,
        name: emergencyStopConfigMap,
      }),
      readGrants(cluster),
    ]);
  const offset = cluster.connection.serverTime()?.offset;
  return {
    operatorNamespace: cluster.operatorNamespace,
    now: systemClock.now(),
    ...(offset === undefined ? {} : { serverOffset: offset }),
    version,
    definitions,
    shippedDefinitions: readShippedDefinitions(),
    admission,
    shippedAdmission: readShippedPolicies(),
    namespaces,
    pools,
    policies,
    identities,
    lease,
    emergencyStop,
    grants,
    shippedRoles: readShippedRoles(),
  };
}

async function versionOf(cluster: Cluster): Promise<Facts['version']> {
  const { body } = await cluster.call('GET', '/version');
  const { major, minor, gitVersion } = body as {
    readonly major?: string;
    readonly minor?: string;
    readonly gitVersion?: string;
  };
  return {
    major: Number.parseInt(major ?? '', 10),
    minor: Number.parseInt(minor ?? '', 10),
    text: gitVersion ?? 'unknown',
  };
}

/** A kind that is not installed is a finding of its own. */
async function orMissing<T>(read: Promise<Read<T>>): Promise<Read<T>> {
  return read.catch((error: unknown) => {
    if (error instanceof CommandError) return { is: 'Withheld', message: error.message };
    throw error;
  });
}

async function readDefinitions(cluster: Cluster): Promise<Facts['definitions']> {
  const read = await Promise.all(
    readShippedDefinitions().map(({ metadata }) => cluster.get<Definition>(kinds.customResourceDefinitions, metadata)),
  );
  return joined(
    read.map((one) =>
      one.is === 'Withheld' ? one : { is: 'Read', value: one.value === undefined ? [] : [one.value] },
    ),
  );
}

async function readAdmission(cluster: Cluster): Promise<Facts['admission']> {
  const read = await Promise.all(
    Object.entries(admissionKinds).map(async ([name, kind]) => {
      const list = await cluster.list<unknown>(kind);
      return list.is === 'Withheld'
        ? list
        : { is: 'Read' as const, value: list.value.flatMap((raw) => trimPolicy(name, raw) ?? []) };
    }),
  );
  return joined(read);
}

async function readGrants(cluster: Cluster): Promise<Facts['grants']> {
  const [clusterRoles, roles, clusterBindings, bindings] = await Promise.all([
    cluster.list<RawRole>(rbac('clusterroles')),
    cluster.list<RawRole>(rbac('roles')),
    cluster.list<RawBinding>(rbac('clusterrolebindings')),
    cluster.list<RawBinding>(rbac('rolebindings')),
  ]);
  const [allRoles, allBindings] = [joined([clusterRoles, roles]), joined([clusterBindings, bindings])];
  if (allRoles.is === 'Withheld') return allRoles;
  if (allBindings.is === 'Withheld') return allBindings;
  return { is: 'Read', value: grantsOf(allRoles.value, allBindings.value) };
}

function joined<T>(reads: readonly Read<readonly T[]>[]): Read<readonly T[]> {
  const withheld = reads.find((read) => read.is === 'Withheld');
  if (withheld !== undefined) return withheld;
  return { is: 'Read', value: reads.flatMap((read) => (read.is === 'Read' ? read.value : [])) };
}

/** The roles that the operator is shipped with, read from `manifests/controller/rbac.yaml` beside the source (the image has it). */
export function readShippedRoles(): readonly RawRole[] {
  const file = new URL('../../manifests/controller/rbac.yaml', import.meta.url);
  return parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document) => document.toJS() as RawRole & { readonly kind: string })
    .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
}
