import type { ObjectMeta } from '../api/meta.ts';
import { instant, parseRfc3339, second } from '../clock.ts';
import type { LeaseAccess, LeaseState, StoredLease } from '../runtime/leader.ts';
import type { ApiConnection } from './connection.ts';
import { microTime } from './micro-time.ts';
import { create, get, kinds, replace } from './resources.ts';

/** `coordination.k8s.io/v1` Lease, as far as election cares. */
interface Lease {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly leaseTransitions?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
  };
}

/**
 * The three calls that leader election needs, on one Lease; every update is conditional on its resourceVersion. The API server creates a
 * Lease that is updated but does not exist (seen), so a holder whose Lease was deleted by hand gets it back, and another one gets a conflict.
 */
export function leaseAccess(
  connection: ApiConnection,
  place: { readonly namespace: string; readonly name: string },
): LeaseAccess {
  const bodyFor = (state: LeaseState, resourceVersion?: string): unknown => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...place, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: {
      // The API server refuses an empty holder: a released Lease has none.
      ...(state.holder === '' ? {} : { holderIdentity: state.holder }),
      leaseDurationSeconds: Math.max(1, Math.ceil(state.duration / second)),
      leaseTransitions: state.transitions,
      acquireTime: microTime(state.acquired),
      renewTime: microTime(state.renewed),
    },
  });
  return {
    async get(signal) {
      const lease = await get<Lease>(connection, kinds.leases, place, { signal });
      return lease === undefined ? undefined : storedFrom(lease);
    },
    async create(state, signal) {
      const collection = { namespace: place.namespace };
      return storedFrom(await create<Lease>(connection, kinds.leases, collection, bodyFor(state), { signal }));
    },
    async update(state, version, signal) {
      return storedFrom(await replace<Lease>(connection, kinds.leases, place, bodyFor(state, version), { signal }));
    },
  };
}

function storedFrom({ metadata, spec }: Lease): StoredLease {
  return {
    holder: spec?.holderIdentity ?? '',
    transitions: spec?.leaseTransitions ?? 0,
    duration: (spec?.leaseDurationSeconds ?? 0) * second,
    acquired: parseRfc3339(spec?.acquireTime ?? '') ?? instant(0),
    renewed: parseRfc3339(spec?.renewTime ?? '') ?? instant(0),
    version: metadata.resourceVersion ?? '',
  };
}
