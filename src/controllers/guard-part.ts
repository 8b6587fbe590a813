import { group } from '../api/names.ts';
import { type Clock, type Instant, minute, plus, second } from '../clock.ts';
import type { Known } from '../decision.ts';
import type { ObservedPolicy } from '../domain/access/trust.ts';
import { LostLeaseError } from '../errors.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { probeAdmission } from '../kube/guard-probe.ts';
import { guardRecord, readShippedPolicies } from '../kube/guard.ts';
import { SmallRecord } from '../kube/small-record.ts';
import type { AdmissionObject } from '../kube/trim.ts';
import type { Store } from '../runtime/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Auditors } from './telling/auditors.ts';
import { GuardKeeper } from './guard.ts';
import { type Memory, isServed } from './memory.ts';
import { repeat } from './upkeep/periodic.ts';
import type { Watches } from './watches.ts';

/** The guard over the live policies in memory and the ones that this version ships. */
export function startGuard(o: {
  readonly connection: ApiConnection;
  readonly memory: Memory;
  readonly namespace: string;
  readonly watches: Watches;
  readonly now: () => Instant;
  /** Whether this process leads at this moment. */
  readonly held: () => boolean;
}): GuardKeeper {
  const agentNamespaces = (): readonly string[] =>
    [...o.memory.namespaces.entries()].filter(([, namespace]) => isServed(namespace)).map(([name]) => name);
  const store = new SmallRecord(o.connection, o.namespace, guardRecord);
  return new GuardKeeper({
    shipped: readShippedPolicies(),
    observed: observedPolicies(o.watches),
    store: {
      load: (signal) => store.load(signal),
      // Whoever was frozen while another process began to lead would store what it remembers of the policies.
      async save(record, signal) {
        if (!o.held()) throw new LostLeaseError('the guard record is not written: this process does not lead');
        await store.save(record, signal);
      },
    },
    probe: (signal) =>
      probeAdmission(o.connection, { namespace: o.namespace, agentNamespaces: agentNamespaces() }, signal),
    now: o.now,
  });
}

const probeEvery = 5 * minute;
/** While the guard is not whole, a probe follows this soon. */
const lookEvery = 5 * second;
/** Time alone makes new pods trusted. */
const tellEvery = second;

/** Follows the policies until `signal` aborts: after each change of one, and with a probe every few minutes. Says when the verdict changed. */
export async function keepGuard(
  o: {
    readonly guard: GuardKeeper;
    readonly watches: Watches;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly auditors: Pick<Auditors, 'guarded'>;
    readonly changed: () => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { guard, logger } = o;
  let last = '';
  const tell = (): void => {
    const current = guard.current();
    const now = JSON.stringify([current, guard.told()]);
    if (now === last) return;
    last = now;
    o.auditors.guarded(current);
    o.changed();
  };
  const look = async (): Promise<void> => {
    tell();
    const work = guard.current().is === 'Intact' ? guard.refresh(signal) : guard.probe(signal);
    await work.catch((error: unknown) => logger.warn('guard', { error }));
    tell();
  };
  for (const store of o.watches.admission.values()) {
    store.onChange(() => void look());
    store.onSynced(() => void look());
  }
  const probedAt = { at: plus(o.clock.now(), -probeEvery) };
  const telling = repeat({ clock: o.clock, logger, what: 'guard', period: tellEvery }, signal, tell);
  const probing = repeat({ clock: o.clock, logger, what: 'guard probe', period: lookEvery }, signal, async () => {
    const due = guard.current().is !== 'Intact' || o.clock.now() >= plus(probedAt.at, probeEvery);
    if (!due) return;
    await guard.probe(signal);
    probedAt.at = o.clock.now();
    if (guard.unclearProbe !== undefined) logger.warn('guard probe', { message: guard.unclearProbe });
    tell();
  });
  await Promise.all([telling, probing]);
}

/** Asked at every triage, so the list is made once per change: the same list means that nothing changed. */
function observedPolicies(watches: Watches): () => Known<readonly ObservedPolicy[]> {
  const stores = [...watches.admission.values()];
  let known: Known<readonly ObservedPolicy[]> | undefined;
  const forget = (): void => void (known = undefined);
  for (const store of stores) {
    store.onChange(forget);
    store.onSynced(forget);
  }
  return () => (known ??= listPolicies(stores));
}

function listPolicies(stores: readonly Store<AdmissionObject>[]): Known<readonly ObservedPolicy[]> {
  if (!stores.every(({ synced }) => synced)) return { is: 'Unknown' };
  const ours = ({ name }: ObservedPolicy): boolean => name.endsWith(`.${group}`);
  return {
    is: 'Seen',
    value: stores.flatMap((store) => [...store.entries()].map(([, policy]) => policy)).filter(ours),
  };
}
