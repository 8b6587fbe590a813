import { group, labels } from '../api/names.ts';
import type { Instant } from '../clock.ts';
import type { Known } from '../decision.ts';
import type { ObservedPolicy } from '../domain/access/trust.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { probeAdmission } from '../kube/guard-probe.ts';
import { SecretGuardStore, readShippedPolicies } from '../kube/guard.ts';
import { GuardKeeper } from './guard.ts';
import type { Memory } from './memory.ts';
import type { Watches } from './watches.ts';

/** The guard over the live policies in memory and the ones that this version ships. */
export function startGuard(o: {
  readonly connection: ApiConnection;
  readonly memory: Memory;
  readonly namespace: string;
  readonly watches: Watches;
  readonly now: () => Instant;
}): GuardKeeper {
  const agentNamespaces = (): readonly string[] =>
    [...o.memory.namespaces.entries()]
      .filter(([, namespace]) => !namespace.terminating && namespace.labels[labels.inject] === 'enabled')
      .map(([name]) => name);
  return new GuardKeeper({
    shipped: readShippedPolicies(),
    observed: () => observedPolicies(o.watches),
    store: new SecretGuardStore(o.connection, o.namespace),
    probe: (signal) =>
      probeAdmission(o.connection, { namespace: o.namespace, agentNamespaces: agentNamespaces() }, signal),
    now: o.now,
  });
}

function observedPolicies(watches: Watches): Known<readonly ObservedPolicy[]> {
  const stores = [...watches.admission];
  if (!stores.every(([, store]) => store.synced)) return { is: 'Unknown' };
  const ours = ({ name }: ObservedPolicy): boolean => name.endsWith(`.${group}`);
  return {
    is: 'Seen',
    value: stores.flatMap(([, store]) => [...store.entries()].map(([, policy]) => policy)).filter(ours),
  };
}
