import test from 'ava';
import { AccessCache } from '#src/controllers/access-cache.ts';
import { ClientTargets } from '#src/controllers/client/targets.ts';
import { Memory } from '#src/controllers/memory.ts';
import { type ProjectionParts, poolMachine } from '#src/controllers/status/machine.ts';
import { type Instant, plus, second } from '#src/clock.ts';
import { noon } from '#test/support/builders.ts';
import { pool } from '../../domain/access/objects.ts';

test('when a pool was seen first is remembered while it is there', (t) => {
  let now: Instant = noon;
  const memory = new Memory('ci-identity-system');
  const nothing = (): undefined => undefined;
  const sources = {
    memory,
    access: new AccessCache(memory, () => true),
    targets: new ClientTargets(memory),
    providers: {
      issuer: nothing,
      capabilities: nothing,
      registrationCredential: nothing,
      isConfigured: () => true,
      managementCredential: () => 'NotNeeded',
    },
    handIns: { existing: nothing },
    brakes: { of: nothing },
    troubles: { outage: nothing },
    guard: () => ({ is: 'Unknown' }),
    clientFailure: nothing,
    now: () => now,
    apiServerOffset: () => 0,
    clocksAgree: () => true,
    troubleOf: () => ({}),
  };
  const machine = poolMachine({ sources, clock: { now: () => now } } as unknown as ProjectionParts);
  const seenAt = (): Instant | undefined => machine.snapshot('ci-bots', [])?.seenAt;
  const comes = (): void =>
    memory.pools.replaceAll([['ci-bots', { ...pool(), uid: 'pool-uid', resourceVersion: `${now}` }]]);
  comes();
  t.is(seenAt(), noon);
  now = plus(noon, 5 * second);
  t.is(seenAt(), noon);
  memory.pools.replaceAll([]);
  t.is(machine.snapshot('ci-bots', []), undefined);
  comes();
  t.is(seenAt(), now, 'it was deleted and made anew');
});
