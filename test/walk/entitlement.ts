/** Who may have what, computed from raw objects by code of its own: the program's answer is compared with it. */
import type { Raw, Rule, World } from '#test/support/auditor-facts.ts';

const stop = 'ci-identity.dev/emergency-stop';
const claim = 'identity.ci-identity.dev/';

/** The scopes that a pod may have of an identity at the one audience of the walk; none: it may have no token. */
export function entitlement(world: World, pod: Raw, identityName: string): readonly string[] {
  const { namespace = '' } = pod.metadata;
  const where = world.namespaces.find(({ metadata }) => metadata.name === namespace);
  const identity = world.identities.find(
    ({ metadata }) => metadata.name === identityName && metadata.namespace === namespace,
  );
  const pool = world.pools.find(({ metadata }) => metadata.name === identity?.spec?.pool);
  if (where === undefined || identity === undefined || pool === undefined) return [];
  const isOver = pod.metadata.deletionTimestamp !== undefined || /^(Succeeded|Failed)$/.test(pod.status?.phase ?? '');
  const isClaimed = pod.metadata.annotations?.[`${claim}${identityName}`] === identity.metadata.uid;
  const isServed = where.metadata.labels?.['ci-identity.dev/inject'] === 'enabled';
  const isStopped =
    world.configMaps.includes('emergency-stop') ||
    [where, identity, pool].some(({ metadata }) => metadata.annotations?.[stop] !== undefined) ||
    [identity, pool].some(({ spec }) => spec?.suspend === true);
  if (isOver || !isClaimed || !isServed || isStopped || pool.metadata.deletionTimestamp !== undefined) return [];
  const rules = world.policies.flatMap(({ spec }) => spec?.rules ?? []);
  const given = rules
    .filter((rule) => rule.pool === pool.metadata.name && isMeant(rule, namespace))
    .filter(({ role }) => identity.spec?.roles?.includes(role) === true)
    .flatMap(({ scopes }) => scopes);
  const { scopes: narrowing } = identity.spec ?? {};
  const ceiling = pool.spec?.ceiling?.scopes ?? [];
  // What the identity names is enough where policies are only tried out.
  const wanted = pool.spec?.enforcement === 'Audit' && narrowing !== undefined ? narrowing : given;
  return [...new Set(wanted)].filter(
    (scope) => ceiling.includes(scope) && (narrowing === undefined || narrowing.includes(scope)),
  );
}

function isMeant({ namespaces, namespaceSelector }: Rule, name: string): boolean {
  const label = namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name'];
  return namespaces?.includes(name) === true || label === name;
}
