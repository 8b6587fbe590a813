/** Keys and secrets of a realm's clients, rotated under a load of token requests while builds come and go. */
import test from 'ava';
import { createPod, statusOf, team, tokenOf } from '#test/api/operator-lab.ts';
import { assertServed, Builds } from '#test/rotation/builds.ts';
import { assertUnharmed } from '#test/rotation/load.ts';
import type { ProviderAccount } from '#test/rotation/provider-view.ts';
import { Rotations } from '#test/rotation/rotations.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import type { Realm } from './realm.ts';
import { claimsOf, type Stage } from './stage.ts';

const accountOf = (realm: Realm): ProviderAccount => ({
  clients: ({ uid }) => realm.clientsOf(`/${uid}`),
  honours: (token) => realm.isLive(token),
});

/** `started` is asked when the first test begins. */
export function testRotation(started: () => Stage): void {
  const all: Rotations[] = [];

  test.after.always('end the load', () => {
    for (const rotations of all) rotations.kill();
  });

  test.serial(
    'rotation under load: two keys, then one, with the same subject; with a secret a second client, then that one alone',
    async (t) => {
      t.timeout(900_000);
      const { lab, realm, programs, provider } = started();
      const view = accountOf(realm);
      const begin = async (name: string, spec: Readonly<Record<string, unknown>>) => {
        const asks = {
          parameters: { scope: 'artifacts:publish registry-audience' },
          assertionAudience: 'Issuer',
        } as const;
        const rotations = await Rotations.begin({ programs, view, name, spec: { provider, ...spec }, asks });
        all.push(rotations);
        const builds = new Builds({ programs, view, name, every: 2_000, life: 6_000 });
        const callerOf = async (): Promise<readonly [subject: unknown, client: unknown]> => {
          const pod = await createPod(lab, nextPodName(), [name]);
          const { sub, azp } = claimsOf(await tokenOf(lab, pod, name, undefined, 90_000));
          return [sub, azp];
        };
        return { name, rotations, builds, callerOf, before: await callerOf() };
      };
      const pools = [
        await begin('key-bots', { rotation: { overlap: '1m' } }),
        await begin('secret-bots', {
          client: { authentication: 'ClientSecretBasic' },
          rotation: { overlap: '1m', allowSubjectChange: true },
        }),
      ] as const;
      await Promise.all(pools.map(({ builds }) => builds.enough()));
      const ids = await Promise.all(pools.map(({ rotations }) => rotations.ask(false)));
      await Promise.all(pools.map(({ rotations }, n) => rotations.settled(1, ids[n], { everyMs: 500 })));
      const after = await Promise.all(pools.map(({ callerOf }) => callerOf()));
      for (const { name, rotations, builds } of pools) {
        const built = await builds.stop();
        const report = await rotations.stop();
        assertUnharmed(t, `Keycloak, ${name}`, report);
        t.deepEqual(Object.keys(report.byGeneration), ['1', '2']);
        assertServed(t, `Keycloak, ${name}`, built, [1, 2]);
      }
      const [keys, secrets] = pools;
      t.deepEqual(after[0], keys.before);
      t.notDeepEqual(after[1], secrets.before);
      t.truthy(keys.before[0]);
      const { capabilities } = await statusOf(lab, 'identitypool/secret-bots');
      t.like(capabilities, { revocation: 'IntrospectionOnly' });
    },
  );

  test.serial('and these pools go with all their clients', async (t) => {
    const { lab, realm } = started();
    await lab.kubectl(['delete', 'pods', '-n', team, '--all', '--grace-period=0', '--force']);
    await lab.kubectl(['delete', 'identitypool/key-bots', 'identitypool/secret-bots', '--timeout=270s']);
    t.is((await realm.clientIds()).length, 1);
  });
}
