/** What a client's decision sees of the pool that its record names, from what memory holds. */
import test from 'ava';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { type ClientSources, snapshotClient } from '#src/controllers/client/snapshot.ts';
import { ClientTargets } from '#src/controllers/client/targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import type { ClientSnapshot } from '#src/domain/client/machine.ts';
import { orphansId } from '#src/domain/client/orphans.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { buildClientRecord, noon } from '#test/support/builders.ts';
import { pool } from '../../domain/access/objects.ts';

const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });

interface Now {
  readonly uid: string;
  readonly deletionPolicy?: 'Delete' | 'Retain';
  /** Somebody deletes it. */
  readonly goes?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

const ofPool = { pool: { name: 'ci-bots', uid: 'before' }, retain: true } as const;

/** The record is of a pool with uid `before` whose clients stay at the provider; there may be a pool of that name now. */
function seen(now: Now | undefined, record: ClientRecord = buildClientRecord(ofPool)): ClientSnapshot {
  const memory = new Memory('ci-identity-system');
  const { uid = '', deletionPolicy, annotations = {}, goes = false } = now ?? {};
  const going = goes ? { deletionTimestamp: '2026-11-24T12:00:00Z' } : {};
  const spec = deletionPolicy === undefined ? {} : { deletionPolicy };
  memory.pools.replaceAll(
    now === undefined
      ? []
      : [['ci-bots', { ...kept(uid), ...pool(spec, { name: 'ci-bots', uid, annotations, ...going }) }]],
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
      managementCredential: () => 'NotNeeded',
    },
    handIns: { existing: () => undefined, managementToken: () => undefined },
    brakes: { of: () => undefined },
    installation: () => 'here',
    now: () => noon,
    epoch: () => 1,
    apiServerOffset: () => 0,
    troubleOf: () => ({}),
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

for (const [what, now, expected] of [
  ['its pool asks for it', { uid: 'before', annotations: { 'ci-identity.dev/retry': '1' } }, '1'],
  ['its pool asks for it and goes', { uid: 'before', goes: true, annotations: { 'ci-identity.dev/retry': '1' } }, '1'],
  ['another pool of its name does', { uid: 'other', annotations: { 'ci-identity.dev/retry': '1' } }],
  ['nobody does', { uid: 'before' }],
] as const)
  test(`another try is ${expected === undefined ? 'not ' : ''}asked for where ${what}`, (t) =>
    t.is(seen(now).retryRequest, expected));

const orphaned = buildClientRecord({ ...ofPool, possibleOrphans: 1 });
const id = orphansId([['client', orphaned]]);

for (const [what, now, record, expected] of [
  ['its pool carries the id', { uid: 'before', annotations: { 'ci-identity.dev/acknowledge': id } }, orphaned, true],
  [
    'its pool carries another',
    { uid: 'before', annotations: { 'ci-identity.dev/acknowledge': 'orphans-0' } },
    orphaned,
  ],
  ['its pool carries none', { uid: 'before' }, orphaned],
  ['another pool of its name does', { uid: 'other', annotations: { 'ci-identity.dev/acknowledge': id } }, orphaned],
  [
    'there is one more by now',
    { uid: 'before', annotations: { 'ci-identity.dev/acknowledge': id } },
    { ...orphaned, possibleOrphans: 2 },
  ],
  [
    'it is noted already',
    { uid: 'before', annotations: { 'ci-identity.dev/acknowledge': id } },
    { ...orphaned, acknowledgedOrphans: 1 },
  ],
] as const)
  test(`possible orphans are ${expected === true ? '' : 'not '}acknowledged where ${what}`, (t) =>
    t.is(seen(now, record).orphansAcknowledged, expected));
