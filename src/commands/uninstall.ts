import { leaseName } from '../api/names.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { type Milliseconds, plus, second, systemClock } from '../clock.ts';
import { type Kind, type Place, kinds, pathOf } from '../kube/resources.ts';
import { type Description, clusterWideOptions, isJson, outputOption } from './arguments.ts';
import { clean } from '../clean.ts';
import { deletionPolicyOf } from '../domain/pool-defaults.ts';
import { type Cluster, answerMessage, required } from './cluster.ts';
import { leaderless } from './doctor-checks.ts';
import type { LeaseObject } from './doctor-facts.ts';
import { timeoutOf } from './request.ts';
import { clusterVerb } from './run.ts';
import { CommandError, type ProcessSurface, exitCodes } from './surface.ts';
import { renderJson, renderTable } from './table.ts';
import { counted } from './words.ts';

const description: Description = {
  name: 'uninstall',
  synopsis: '',
  about:
    'Ends what the operator has made outside this cluster, while it is still there to do it: every IdentityPool is deleted, and it is awaited\nthat their tokens are revoked and their clients gone from the providers. Then every ScopePolicy and CiIdentity is deleted, and the command\nthat takes out the operator itself is printed. Without --yes it only says what would happen. Stop your GitOps tool first: it would bring\nback what is deleted.',
  examples: [
    ['What would go?', 'uninstall'],
    ['Do it', 'uninstall --yes'],
  ],
  options: [
    ...clusterWideOptions,
    { name: 'yes', help: 'Do it.' },
    {
      name: 'timeout',
      placeholder: 'DURATION',
      help: 'How long to wait for the providers, e.g. 90s or 10m; default 5m.',
    },
    outputOption,
  ],
  refusesNames:
    'it takes out every pool, policy and identity of the cluster, so no names are expected; to delete one pool: kubectl delete identitypool NAME',
  exit: '0 done (without --yes: told), 1 refused, failed or not finished in time; a deletion that was begun goes on by itself.',
};

/** What there is to take out. */
export interface Plan {
  readonly pools: readonly {
    readonly name: string;
    readonly issuer: string;
    /** Registered, with a credential that works. */
    readonly clients: number;
    readonly deletionPolicy: string;
    /** Its client was registered by hand, so it is nobody's here to delete. */
    readonly existing?: true;
    /** Registrations without an answer: the provider may have a client of each that the operator does not know. */
    readonly possibleOrphans?: number;
  }[];
  readonly policies: readonly string[];
  /** `<namespace>/<name>` */
  readonly identities: readonly string[];
  /** Why nothing of it could be done now. */
  readonly blocked?: string;
}

/** What protects goes last, and only when the rest is gone. README.md has the same names. */
const rest = 'kubectl delete -k ci-identity && kubectl delete -k manifests/protection';
const whatIsMeant = '-k ci-identity is the kustomization that you applied';
const lookEvery = second;

export const runUninstall = clusterVerb(description, async (cluster, args, surface) => {
  const timeout = timeoutOf(args);
  const plan = await planFor(cluster);
  const blocked = plan.pools.length > 0 ? await obstacleOf(cluster) : undefined;
  if (!args.given.has('yes')) {
    const told = { ...plan, ...(blocked === undefined ? {} : { blocked }) };
    surface.print(isJson(args) ? renderJson({ ...told, done: false }) : planText(told));
    return exitCodes.done;
  }
  const tell = (line: string): void => (isJson(args) ? undefined : surface.print(`${line}\n`));
  if (blocked !== undefined) throw new CommandError(`nothing was deleted: ${blocked}`);
  for (const { name } of plan.pools) await remove(cluster, kinds.identityPools, { name }, `IdentityPool ${name}`);
  await poolsGone(cluster, surface, timeout, tell);
  for (const name of plan.policies) await remove(cluster, kinds.scopePolicies, { name }, `ScopePolicy ${name}`);
  for (const one of plan.identities) {
    const [namespace = '', name = ''] = one.split('/');
    await remove(cluster, kinds.ciIdentities, { namespace, name }, `CiIdentity ${one}`);
  }
  surface.print(isJson(args) ? renderJson({ ...plan, done: true }) : doneText(plan));
  return exitCodes.done;
});

async function planFor(cluster: Cluster): Promise<Plan> {
  const [pools, policies, identities] = [
    required(await cluster.pools()),
    required(await cluster.policies()),
    required(await cluster.identities()),
  ];
  return {
    pools: pools.map(plannedFor),
    policies: policies.map(({ metadata }) => metadata.name),
    identities: identities.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
  };
}

/** Pure: what goes with one pool. Of clients that it needs and has not, there is nothing to delete. */
export function plannedFor(pool: IdentityPool): Plan['pools'][number] {
  const { metadata, spec, status } = pool;
  return {
    name: metadata.name,
    issuer: spec.provider.issuer,
    clients: status?.clients?.ready ?? 0,
    deletionPolicy: deletionPolicyOf(pool),
    ...(spec.client?.existing === undefined ? {} : { existing: true }),
    ...(status?.clients?.possibleOrphans === undefined ? {} : { possibleOrphans: status.clients.possibleOrphans }),
  };
}

/** Pure: what `uninstall` would do. */
export function planText({ pools, policies, identities, blocked }: Plan): string {
  const rows = pools.map((pool) => [pool.name, pool.issuer, String(pool.clients), fate(pool)]);
  if (pools.length + policies.length + identities.length === 0)
    return `There is no IdentityPool, ScopePolicy or CiIdentity. ${rest} takes out the operator (${whatIsMeant}).\n`;
  const table = rows.length === 0 ? '' : `${renderTable(['IDENTITYPOOL', 'ISSUER', 'CLIENTS', 'WHICH'], rows)}\n`;
  return `${table}${counted(pools.length, 'IdentityPool', 'IdentityPools')}, ${counted(policies.length, 'ScopePolicy', 'ScopePolicies')} and ${counted(identities.length, 'CiIdentity', 'CiIdentities')} would be deleted, and every live token revoked: running
builds that still need one fail. Nothing has been changed. Add --yes to do it; then ${rest} takes out the operator (${whatIsMeant}).
${blocked === undefined ? '' : `It could not be done now: ${blocked}.\n`}${orphansText(pools)}`;
}

/** What becomes of the clients of a pool at the provider. Where none works, there may be one that is not proven yet, or is refused. */
function fate(pool: Plan['pools'][number]): string {
  const why = stays(pool);
  const stay = `at the provider (${why})`;
  if (pool.clients === 0 && pool.existing !== true)
    return `no client works; what is registered all the same ${why === undefined ? 'is deleted at the provider' : `stays ${stay}`}`;
  return why === undefined ? 'are deleted at the provider' : `stay ${stay}`;
}

/** Why the clients of a pool are not deleted at the provider; `undefined`: they are. */
function stays({ existing, deletionPolicy }: Plan['pools'][number]): string | undefined {
  if (existing === true) return 'client.existing';
  return deletionPolicy === 'Retain' ? 'deletionPolicy Retain' : undefined;
}

/** Pure. */
export function doneText({ pools }: Plan): string {
  const left = pools.flatMap((pool) => {
    const why = stays(pool);
    return why === undefined ? [] : `${pool.name} (${why})`;
  });
  const butFor = left.length === 0 ? '' : `, but for the clients of ${left.join(', ')}`;
  return `Nothing that the operator knows of is left at a provider${butFor}.
${orphansText(pools)}Now take out the operator, its rights, policies and kinds (${whatIsMeant}):
  ${rest}
and, in each agent namespace, the component that you applied there. Labels ci-identity.dev/inject mean nothing any more.
`;
}

function orphansText(pools: Plan['pools']): string {
  return pools
    .flatMap(({ name, issuer, possibleOrphans = 0 }) =>
      possibleOrphans === 0
        ? []
        : `IdentityPool ${name}: ${counted(possibleOrphans, 'registration', 'registrations')} had no answer, so ${issuer} may have as many clients that the operator does not know: look there for the name ci-identity ${name}.\n`,
    )
    .join('');
}

/** Why nothing can be deleted now, also where the caller may not see whether the operator is there. */
async function obstacleOf(cluster: Cluster): Promise<string | undefined> {
  return absenceOf(cluster).catch((error: unknown) => {
    if (error instanceof CommandError) return error.message;
    throw error;
  });
}

/** Only the operator can revoke and deregister; without one, pools would wait for ever with their finalizer. `undefined`: it is there. */
async function absenceOf(cluster: Cluster): Promise<string | undefined> {
  const namespace = cluster.operatorNamespace;
  const lease = required(await cluster.get<LeaseObject>(kinds.leases, { namespace, name: leaseName }));
  const server = plus(systemClock.now(), cluster.connection.serverTime()?.offset ?? 0);
  if (leaderless(lease, server) === undefined) return undefined;
  // Without ages in it, so that it is told once.
  return `the operator in namespace ${namespace} has no leader, and only the operator can revoke tokens and delete clients at the providers: see kubectl get pods,lease -n ${namespace}, or apply its manifests again`;
}

async function remove(cluster: Cluster, kind: Kind, place: Place, subject: string): Promise<void> {
  const answer = await cluster.call('DELETE', pathOf(kind, place));
  if ([200, 202, 404].includes(answer.status)) return;
  const why = answer.status === 403 ? 'you may not delete it' : `the API server answers ${answer.status}`;
  throw new CommandError(`${subject}: ${why} (${answerMessage(answer)}); what was deleted before it stays deleted`);
}

/** Resolves when no pool exists; meanwhile tells once whatever a pool says it waits for. */
async function poolsGone(
  cluster: Cluster,
  surface: ProcessSurface,
  timeout: Milliseconds,
  tell: (line: string) => void,
): Promise<void> {
  const until = plus(systemClock.now(), timeout);
  let before: ReadonlyMap<string, string> = new Map();
  for (;;) {
    const pools = required(await cluster.pools());
    const again = pools.find(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (again !== undefined) throw new CommandError(cameBack(again));
    // It may also go meanwhile, and come back.
    const absence = pools.length === 0 ? undefined : await absenceOf(cluster);
    const says = new Map(pools.map((pool) => [pool.metadata.name, absence ?? waitingFor(pool)]));
    for (const name of before.keys()) if (!says.has(name)) tell(`IdentityPool ${name}: gone`);
    for (const text of new Set(news(says, before))) tell(text);
    if (says.size === 0) return;
    if (systemClock.now() >= until)
      throw new CommandError(
        `not finished within ${timeout / second} s: ${[...new Set(says.values())].join('; ')}. The deletion goes on by itself; run the same command again to follow it`,
      );
    before = says;
    await systemClock.sleepUntil(plus(systemClock.now(), lookEvery), surface.stop);
    if (surface.stop.aborted) throw new CommandError('interrupted; what was begun goes on by itself');
  }
}

/** What was not said before. */
function news(says: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): readonly string[] {
  return [...says].flatMap(([name, text]) => (text === before.get(name) ? [] : text));
}

/** A pool that is ready was not looked at since it was deleted. */
function waitingFor({ metadata, status }: IdentityPool): string {
  const ready = status?.conditions?.find(({ type, status: is }) => type === 'Ready' && is === 'False');
  return clean(ready?.message ?? `IdentityPool ${metadata.name}: waits for the operator`, 2_048);
}

function cameBack({ metadata }: IdentityPool): string {
  return `IdentityPool ${metadata.name} was created while the others were being deleted, by a GitOps tool perhaps: stop that first, then run the same command again`;
}
