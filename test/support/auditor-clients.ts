/** What the provider's clients must be, and what the records must say of them. */
import type { Facts, Raw } from './auditor-facts.ts';

/** Somebody stops it: a credential that is not there yet is not made. */
function isStopped({ metadata, spec }: Raw, configMaps: readonly string[]): boolean {
  const stop = 'ci-identity.dev/emergency-stop';
  return spec?.suspend === true || metadata.annotations?.[stop] !== undefined || configMaps.includes('emergency-stop');
}

/** How the provider calls the ways to authenticate. */
const methods: Readonly<Record<string, string>> = {
  PrivateKeyJwt: 'private_key_jwt',
  ClientSecretBasic: 'client_secret_basic',
  ClientSecretPost: 'client_secret_post',
};

export function clientFindings(
  { pools, clients, there, configMaps, lines }: Facts,
  admitted: ReadonlyMap<string, number>,
  retained: ReadonlySet<string>,
  broken: string[],
): void {
  const known = new Set<string>();
  const said = new Set(lines.map((line) => `${line.event} ${line.pool ?? ''} ${line.generation ?? ''}`));
  const poolOf = new Map(pools.map((pool) => [pool.metadata.uid, pool]));
  for (const [name, { tag, pool, generations, intent }] of clients) {
    const owner = poolOf.get(tag.owner);
    if (owner === undefined) broken.push(`client record ${name} belongs to pool ${pool.name}, which is gone`);
    const current = generations.filter(({ state }) => state === 'Current');
    const waits = owner !== undefined && current.length === 0 && isStopped(owner, configMaps);
    if (owner?.metadata.deletionTimestamp === undefined && current.length !== 1 && !waits)
      broken.push(`client record ${name} has ${current.length} Current credentials instead of one`);
    for (const { n, state } of generations)
      for (const step of state === 'Current' ? ['Planned', 'Activated'] : ['Planned'])
        if (!said.has(`${step} ${pool.name} ${n}`))
          broken.push(`generation ${n} of ${name} is ${state}, and no audit line says ${step}`);
    if (intent !== undefined) broken.push(`client record ${name} has an open ${intent.call}`);
    for (const { clientId } of generations) if (clientId !== undefined) known.add(clientId);
    for (const { clientId, credential, n } of current) {
      const found = there.find((client) => client.clientId === clientId);
      if (found === undefined)
        broken.push(`Current of ${name} names client ${clientId ?? '?'}, which the provider does not know`);
      else if (found.authentication !== methods[credential.type])
        broken.push(`the client of generation ${n} of ${name} authenticates by ${found.authentication}`);
      else if (credential.secret === undefined && !found.kids.includes(credential.kid ?? ''))
        broken.push(`the provider does not know the key of generation ${n} of ${name}`);
      const kids = generations.map((one) => one.credential.kid);
      for (const kid of found?.kids ?? [])
        if (!kids.includes(kid)) broken.push(`client of ${name} has a key that is in no record`);
    }
  }
  for (const pool of pools) {
    const { metadata } = pool;
    if (metadata.deletionTimestamp !== undefined) continue;
    const owned = [...clients.values()].filter(({ tag }) => tag.owner === metadata.uid);
    if (owned.length === 0 && isStopped(pool, configMaps)) continue;
    if (owned.length !== 1) broken.push(`pool ${metadata.name} has ${owned.length} client records instead of one`);
    if (metadata.finalizers?.includes('ci-identity.dev/clients') !== true)
      broken.push(`pool ${metadata.name} has clients and no finalizer`);
  }
  const orphans = new Map<string, number>();
  for (const { clientId, softwareId } of there) {
    const owner = softwareId?.split('/').at(-1);
    if (owner !== undefined && !known.has(clientId)) orphans.set(owner, (orphans.get(owner) ?? 0) + 1);
  }
  for (const [owner, count] of orphans) {
    const counted = admitted.get(owner) ?? 0;
    if (count > counted && !retained.has(owner))
      broken.push(
        `the provider keeps ${count} clients of owner ${owner} that no record knows; status admits ${counted}`,
      );
  }
}
