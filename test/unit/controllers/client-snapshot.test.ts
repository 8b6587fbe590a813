/** What a client's decision sees of the pool that its record names, from what memory holds. */
import test from 'ava';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { type ClientSources, snapshotClient } from '#src/controllers/client-snapshot.ts';
import { ClientTargets } from '#src/controllers/client-targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import type { ClientSnapshot } from '#src/domain/client/machine.ts';
import { buildClientRecord, noon } from '#test/support/builders.ts';
import { pool } from '../domain/access/objects.ts';

const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });

/** The record is of a pool with uid `before` whose clients stay at the provider; there may be a pool of that name now. */
function seen(now: { readonly uid: string; readonly deletionPolicy: 'Delete' | 'Retain' } | undefined): ClientSnapshot {
  const memory = new Memory('ci-identity-system');
  const record = buildClientRecord({ pool: { name: 'ci-bots', uid: 'before' }, retain: true });
  const { uid = '', deletionPolicy } = now ?? {};
  const spec = deletionPolicy === undefined ? {} : { deletionPolicy };
  memory.pools.replaceAll(
    now === undefined ? [] : [['ci-bots', { ...kept(uid), ...pool(spec, { name: 'ci-bots', uid }) }]],
  );
  memory.clients.replaceAll([['client', { ...kept('client'), name: 'client', record }]]);
  const sources = {
    memory,
    access: new AccessCache(memory, () => true),
    targets: new ClientTargets(memory),
    providers: {
      providerAt: () => undefined,
      issuer: () => undefined,
      isConfigured: () => true,
      managementCredentialKnown: () => false,
    },
    handIns: { existing: () => undefined, managementToken: () => undefined },
    brakes: { of: () => undefined },
    installation: () => 'here',
    now: () => noon,
    epoch: () => 1,
    apiServerOffset: () => 0,
    isOut: () => false,
  } as unknown as ClientSources;
  const snapshot = snapshotClient(sources, 'client', []);
  if (snapshot === undefined) throw new Error('nobody knows this client');
  return snapshot;
}

for (const [now, retain] of [
  [undefined, undefined],
  [{ uid: 'before', deletionPolicy: 'Delete' }, false],
  [{ uid: 'before', deletionPolicy: 'Retain' }, true],
  [{ uid: 'another', deletionPolicy: 'Delete' }, undefined],
  [{ uid: 'another', deletionPolicy: 'Retain' }, undefined],
] as const) {
  const pools = now === undefined ? 'its pool is gone' : `there is pool ${now.uid} with ${now.deletionPolicy}`;
  test(`${pools}: ${retain === undefined ? 'what the record says holds' : 'what the pool says holds'}`, (t) => {
    t.is(seen(now).retain, retain);
  });
}
