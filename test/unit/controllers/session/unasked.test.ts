/** For whom a client of its own is made at the provider (`client.per`). */
import test from 'ava';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { isUnasked } from '#src/controllers/client/snapshot.ts';
import { ClientTargets, refOf } from '#src/controllers/client/targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import { targetOf } from '#src/domain/client/target.ts';
import { buildClientRecord, buildGeneration } from '#test/support/builders.ts';
import { identity, policy, pool, rule } from '../../domain/access/objects.ts';

const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });

function unasked(o: {
  readonly per: 'Pool' | 'Namespace' | 'Identity';
  readonly granted?: boolean;
  /** The client whose record is there and mints. */
  readonly minting?: 'Pool' | 'Identity';
}): boolean {
  const memory = new Memory('ci-identity-system');
  const ofPool = pool({ client: { per: o.per } });
  const one = identity();
  const targets = new ClientTargets(memory);
  memory.pools.put('ci-bots', { ...kept('pool-uid'), ...ofPool });
  memory.identities.put('ci-payments/publisher', { ...kept('identity-uid'), ...one });
  const rules = o.granted === true ? [rule()] : [rule({ role: 'other' })];
  memory.policies.put('publishers', { ...kept('policy-uid'), ...policy('publishers', rules) });
  memory.policies.replaceAll([...memory.policies.entries()]);
  const at = { uid: 'n', resourceVersion: '1', name: 'ci-payments', labels: {}, annotations: {}, terminating: false };
  memory.namespaces.put('ci-payments', at);
  if (o.minting !== undefined) {
    const target = targetOf(pool({ client: { per: o.minting } }), refOf(one));
    const { recordName = '', ...owner } = target ?? {};
    const record = buildClientRecord({ ...owner, generations: [buildGeneration({ state: 'Current' })] });
    memory.clients.put(recordName, { ...kept(recordName), name: recordName, record });
  }
  const access = new AccessCache(memory, () => true);
  const key = targetOf(ofPool, refOf(one))?.recordName ?? '';
  return isUnasked({ memory, access, targets }, key, ofPool);
}

const table: readonly (readonly [string, Parameters<typeof unasked>[0], boolean])[] = [
  ['an identity that no policy gives anything to', { per: 'Identity' }, true],
  ['its namespace', { per: 'Namespace' }, true],
  ['an identity that is given something', { per: 'Identity', granted: true }, false],
  ['one that was, and whose client is there', { per: 'Identity', minting: 'Identity' }, false],
  ['one for which the client of the pool still mints', { per: 'Identity', minting: 'Pool' }, false],
  ['the whole pool, which its owner made', { per: 'Pool' }, false],
];

for (const [whom, given, expected] of table)
  test(`${whom}: ${expected ? 'no client is made' : 'a client'}`, (t) => t.is(unasked(given), expected));
