import test from 'ava';
import { ClientTargets } from '#src/controllers/client-targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import { Wiring } from '#src/controllers/wiring.ts';
import { identity, policy, pool, rule } from '../domain/access/objects.ts';

const changes: readonly (readonly [string, (wiring: Wiring) => void])[] = [
  ['a policy', (wiring) => wiring.policy('publishers')],
  ['a pool', (wiring) => wiring.pool('ci-bots')],
  ['everything', (wiring) => wiring.everything()],
];

for (const [what, change] of changes) {
  test(`${what} changes: each identity is judged in its own turn before anything asks about all of them`, (t) => {
    const memory = new Memory('ci-identity-system');
    const kept = (uid: string): { uid: string; resourceVersion: string } => ({ uid, resourceVersion: '1' });
    memory.pools.put('ci-bots', { ...kept('pool-uid'), ...pool() });
    memory.policies.put('publishers', { ...kept('policy-uid'), ...policy('publishers', [rule()]) });
    for (const name of ['one', 'two'])
      memory.identities.put(`ci-payments/${name}`, { ...kept(name), ...identity({}, { name, uid: name }) });
    const woken: string[] = [];
    change(new Wiring(memory, new ClientTargets(memory), 'ci-identity-system', (machine) => woken.push(machine)));
    t.is(woken.filter((machine) => machine === 'identity').length, 2);
    const last = woken.lastIndexOf('identity');
    for (const asksAboutAll of ['policy', 'client']) t.true(woken.indexOf(asksAboutAll) > last, woken.join(' '));
  });
}
