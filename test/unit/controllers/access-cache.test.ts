import test from 'ava';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { Memory } from '#src/controllers/memory.ts';
import { identity, policy, pool, rule } from '../domain/access/objects.ts';

let version = 0;
const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: `${(version += 1)}` });

test('however many identities are judged, policies are listed and put in order once for each of their versions', (t) => {
  const memory = new Memory('ci-identity-system');
  const access = new AccessCache(memory, () => true);
  let read = 0;
  const edit = (scopes: readonly string[], generation: number): void => {
    const one = policy('publishers', [rule({ scopes: [...scopes] })], { generation });
    const spec = {
      get rules() {
        return ((read += 1), one.spec.rules);
      },
    };
    memory.policies.put('publishers', { ...kept('policy'), ...one, spec });
  };
  memory.pools.put('ci-bots', { ...kept('pool-uid'), ...pool() });
  const annotations = {};
  memory.namespaces.put('ci-payments', {
    ...kept('n'),
    name: 'ci-payments',
    labels: {},
    annotations,
    terminating: false,
  });
  edit(['artifacts:publish'], 1);
  memory.policies.replaceAll([...memory.policies.entries()]);
  const granted = (): readonly string[] => {
    const asks = Array.from({ length: 50 }, (_, n) => access.of(identity({}, { name: `i-${n}`, uid: `i-${n}` })));
    return [
      ...new Set(
        asks.map((one) => (one.is === 'Seen' && one.value.is === 'Granted' ? one.value.ask.scopes.join() : '-')),
      ),
    ];
  };
  t.deepEqual(granted(), ['artifacts:publish']);
  t.is(read, 1);
  edit(['artifacts:read'], 2);
  t.deepEqual(granted(), ['artifacts:read']);
  t.is(read, 2);
});

test('policies are told of an identity that gets something from them, of an edit, and of its end', (t) => {
  const memory = new Memory('ci-identity-system');
  const access = new AccessCache(memory, () => true);
  const told: string[][] = [];
  access.onChange((_identity, policies) => told.push([...policies].toSorted()));
  memory.pools.put('ci-bots', { ...kept('pool-uid'), ...pool() });
  const place = { name: 'ci-payments', labels: {}, annotations: {}, terminating: false };
  memory.namespaces.put('ci-payments', { ...kept('n'), ...place });
  for (const [name, role] of [
    ['publishers', 'publisher'],
    ['others', 'other'],
  ] as const)
    memory.policies.put(name, { ...kept(name), ...policy(name, [rule({ role })]) });
  memory.policies.replaceAll([...memory.policies.entries()]);
  const edit = (roles: string[], generation: number): void => {
    const one = { ...kept('i'), ...identity({ roles }, { generation }) };
    memory.identities.put('ci-payments/publisher', one);
    access.of(one);
  };
  edit(['publisher'], 1);
  edit(['other'], 2);
  memory.identities.remove('ci-payments/publisher', 'i');
  t.deepEqual(told, [['publishers'], ['others', 'publishers'], ['others']]);
});

test('a pool that does not exist: the nearest one is told, and told anew when it comes or goes', (t) => {
  const memory = new Memory('ci-identity-system');
  const access = new AccessCache(memory, () => true);
  memory.policies.replaceAll([]);
  memory.pools.replaceAll([]);
  const place = { name: 'ci-payments', labels: {}, annotations: {}, terminating: false };
  memory.namespaces.put('ci-payments', { ...kept('n'), ...place });
  const said = (): string => {
    const known = access.of(identity({ pool: 'ci-bot' }));
    return known.is === 'Seen' ? (known.value.denials[0]?.message ?? '') : known.is;
  };
  t.regex(said(), /^IdentityPool ci-bot does not exist\./);
  memory.pools.put('ci-bots', { ...kept('pool-uid'), ...pool() });
  t.regex(said(), /^IdentityPool ci-bot does not exist \(there is ci-bots\)\./);
  memory.pools.remove('ci-bots', 'pool-uid');
  t.regex(said(), /^IdentityPool ci-bot does not exist\./);
});
