/** However many identities there are, one look judges few of them: the lease has to be renewed between two looks. */
import test from 'ava';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { type ClientSources, snapshotClient } from '#src/controllers/client/snapshot.ts';
import { ClientTargets, refOf } from '#src/controllers/client/targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import { type StatusSources, policyFacts, poolFacts } from '#src/controllers/status/facts.ts';
import { Wiring } from '#src/controllers/wiring.ts';
import { targetOf } from '#src/domain/client/target.ts';
import { noon } from '#test/support/builders.ts';
import { identity, policy, pool, rule } from '../domain/access/objects.ts';

const count = 1_000;

interface World {
  readonly memory: Memory;
  readonly access: AccessCache;
  readonly sources: StatusSources & ClientSources;
  readonly wiring: Wiring;
  readonly woken: string[];
  /** So many judgements since it was asked last. */
  readonly judged: () => number;
  /** What every identity does in its own turn. */
  readonly judgeAll: () => void;
  /** The only policy gives something to this role from now on. */
  readonly edit: (role: string) => void;
}

function world(per: 'Pool' | 'Namespace' | 'Identity'): World {
  const memory = new Memory('ci-identity-system');
  let version = 0;
  let judgements = 0;
  const kept = (uid: string): { uid: string; resourceVersion: string } => ({
    uid,
    resourceVersion: `${(version += 1)}`,
  });
  const edit = (role: string): void =>
    memory.policies.put('publishers', {
      ...kept('policy'),
      ...policy('publishers', [rule({ role })], { generation: version + 1 }),
    });
  for (const store of [memory.policies, memory.namespaces, memory.identities, memory.clients, memory.sessions])
    store.replaceAll([]);
  const ofPool = pool({ client: { per } }, { finalizers: ['ci-identity.dev/clients'] });
  memory.pools.replaceAll([['ci-bots', { ...kept('pool-uid'), ...ofPool }]]);
  const at = { name: 'ci-payments', labels: {}, annotations: {}, terminating: false };
  memory.namespaces.put('ci-payments', { ...kept('n'), ...at });
  const targets = new ClientTargets(memory);
  const access = new AccessCache(memory, () => ((judgements += 1), true));
  edit('publisher');
  for (let n = 0; n < count; n++)
    memory.identities.put(`ci-payments/i-${n}`, {
      ...kept(`i-${n}`),
      ...identity({}, { name: `i-${n}`, uid: `i-${n}` }),
    });
  const woken: string[] = [];
  const wiring = new Wiring(memory, targets, 'ci-identity-system', (machine, key) => woken.push(`${machine} ${key}`));
  access.onChange((one, policies) => wiring.access(one, policies));
  const nothing = (): undefined => undefined;
  const sources = {
    memory,
    access,
    targets,
    providers: {
      providerAt: nothing,
      issuer: nothing,
      capabilities: nothing,
      registrationCredential: nothing,
      isConfigured: () => true,
      managementCredential: () => 'NotNeeded',
    },
    handIns: { existing: nothing, managementToken: nothing },
    brakes: { of: nothing },
    troubles: { outage: nothing },
    guard: () => ({ is: 'Unknown' }),
    clientFailure: nothing,
    clocksAgree: () => true,
    installation: () => 'here',
    now: () => noon,
    epoch: () => 1,
    apiServerOffset: () => 0,
    troubleOf: () => ({}),
  } as unknown as World['sources'];
  return {
    memory,
    access,
    sources,
    wiring,
    woken,
    edit,
    judged: () => {
      const since = judgements;
      judgements = 0;
      return since;
    },
    judgeAll: () => {
      for (const [, one] of memory.identities.entries()) access.of(one);
    },
  };
}

function lookAtClient({ sources, memory }: World): ReturnType<typeof snapshotClient> {
  const [ofPool, one] = [memory.pools.get('ci-bots'), memory.identities.get('ci-payments/i-0')];
  const key = ofPool === undefined || one === undefined ? undefined : targetOf(ofPool, refOf(one))?.recordName;
  return key === undefined ? undefined : snapshotClient(sources, key, []);
}

const looks: readonly (readonly [string, Parameters<typeof world>[0], number, (world: World) => unknown])[] = [
  ['a policy', 'Pool', 32, ({ sources }) => policyFacts(sources, 'publishers', {})],
  ['the client of a pool', 'Pool', count, lookAtClient],
  ['the client of a namespace', 'Namespace', count, lookAtClient],
  ['a pool with a client for each', 'Identity', 32, ({ sources }) => poolFacts(sources, 'ci-bots', {})],
];

for (const [what, per, first, look] of looks)
  test(`a look at ${what} judges at most 32 of ${count} identities after an edit of a policy, at the start ${first}`, (t) => {
    const w = world(per);
    w.edit('other');
    for (const when of ['at the start', 'after an edit']) {
      t.not(look(w), undefined);
      t.is(w.judged(), when === 'at the start' ? first : 32, when);
      w.judgeAll();
      w.judged();
      w.edit(when === 'at the start' ? 'another' : 'other');
    }
  });

test('until it is judged anew each identity counts as it was judged last; then the policy looks again within a second', (t) => {
  const w = world('Pool');
  const counted = (): number | undefined => policyFacts(w.sources, 'publishers', {})?.identities;
  const news = (): readonly string[] => {
    w.woken.length = 0;
    w.wiring.deferred.wake({ issuers: [], namespaces: [] });
    return w.woken.filter((one) => one.startsWith('policy'));
  };
  w.judgeAll();
  t.is(counted(), count);
  t.deepEqual(news(), ['policy publishers']);
  t.deepEqual(news(), []);
  w.edit('other');
  t.is(counted(), count - 32);
  w.judgeAll();
  t.deepEqual(news(), ['policy publishers']);
  t.is(counted(), 0);
});

test('what an identity asks for now counts only once that was judged; then its client looks', (t) => {
  const w = world('Identity');
  w.judgeAll();
  w.woken.length = 0;
  // More than one look judges, and the last of them asks for something else than it was granted.
  w.edit('other');
  const few = w.access.forMany('Unknown');
  for (let n = 0; n < 32; n++) few.of(identity({}, { name: `i-${n}`, uid: `i-${n}` }));
  const before = w.memory.identities.get('ci-payments/i-40');
  const after = identity({ roles: ['other'] }, { name: 'i-40', uid: 'i-40', generation: 2 });
  t.is(before === undefined ? undefined : few.of(before).is, 'Seen');
  t.deepEqual(few.of(after), { is: 'Unknown' });
  w.memory.identities.put('ci-payments/i-40', { uid: 'i-40', resourceVersion: '1000000', ...after });
  w.woken.length = 0;
  w.access.of(after);
  t.is(w.woken.filter((one) => one.startsWith('client')).length, 1);
});
