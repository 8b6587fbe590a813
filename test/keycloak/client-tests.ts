/** Clients of a realm that the pool shares out otherwise: one for each identity, or one that an administrator made by hand. */
import test from 'ava';
import { createPod, identity, identityReady, policy, pool, registry, team, tokenOf } from '#test/api/operator-lab.ts';
import { secret } from '#test/clients/support.ts';
import { eventually } from '#test/support/eventually.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { typeAsAdministrator } from './administrator.ts';
import { kcadmClient } from './kcadm.ts';
import { audiences, claimsOf, type Stage } from './stage.ts';

const patient = { timeoutMs: 90_000 };

/** `started` is asked when the first test begins. */
export function testClients(started: () => Stage): void {
  const ready = (name: string) => eventually(`${name} is ready`, () => identityReady(started().lab, name), patient);

  const tokenFor = async (name: string): Promise<string> => {
    const { lab } = started();
    return tokenOf(lab, await createPod(lab, nextPodName(), [name]), name, undefined, patient.timeoutMs);
  };

  test.serial(
    'one client with a secret for each identity: an id and a subject of its own, and it goes with its identity',
    async (t) => {
      const { lab, realm, pool } = started();
      const before = await realm.clientIds();
      const added = async () => (await realm.clientIds()).filter((id) => !before.includes(id));
      await lab.apply(
        pool('per-bots', { client: { per: 'Identity', authentication: 'ClientSecretBasic' } }),
        policy('per-bots', { role: 'publisher', pool: 'per-bots', scopes: ['artifacts:publish'] }),
        identity('one', { pool: 'per-bots', roles: ['publisher'] }),
        identity('two', { pool: 'per-bots', roles: ['publisher'] }),
      );
      await ready('one');
      await ready('two');
      const ids = await added();
      t.is(ids.length, 2);
      for (const id of ids) t.regex(id, /^ci-[0-9a-f]{8}-per-bots-[0-9a-f]{16}$/);
      const tokens = [await tokenFor('one'), await tokenFor('two')] as const;
      const [one, two] = [claimsOf(tokens[0]), claimsOf(tokens[1])];
      for (const { scope, aud } of [one, two]) t.deepEqual([scope, aud], ['artifacts:publish', registry]);
      t.deepEqual([String(one['azp']), String(two['azp'])].toSorted(), ids.toSorted());
      t.not(one['sub'], two['sub']);
      await lab.kubectl(['delete', 'ciidentity', '-n', team, 'two']);
      await eventually(
        'its token and its client are gone',
        async () => (!(await realm.isLive(tokens[1])) && (await added()).length === 1 ? true : undefined),
        patient,
      );
      t.deepEqual(await added(), [one['azp']]);
      t.is(claimsOf(await tokenFor('one'))['azp'], one['azp']);
      await lab.kubectl(['delete', 'identitypool/per-bots', '--timeout=90s']);
      t.deepEqual(await added(), []);
    },
  );

  test.serial(
    'clients that an administrator makes by hand as the README shows, with a key and with a secret: used, and never touched',
    async (t) => {
      t.timeout(240_000);
      const { lab, realm, keycloak, provider } = started();
      const name = realm.issuer.split('/').at(-1) ?? '';
      const made = (clientId: string, credential: 'Certificate' | 'Secret'): string =>
        kcadmClient(name, clientId, ['artifacts:publish', ...Object.values(audiences)], credential);
      const typed = await typeAsAdministrator(
        keycloak,
        `{ ${made('by-key', 'Certificate')}
        ${made('by-secret', 'Secret')}
        } >&2
        cat by-key.pem; echo; cat by-secret.txt`,
      );
      const [key = '', secretText = ''] = typed.split('\n\n');
      for (const [clientId, authentication, credential] of [
        ['by-key', 'PrivateKeyJwt', key],
        ['by-secret', 'ClientSecretPost', secretText],
      ] as const) {
        const before = await realm.client(clientId);
        await secret(lab, clientId, { credential });
        await lab.apply(
          pool(clientId, realm.issuer, {
            provider,
            client: { existing: { clientId, credentialRef: { name: clientId, key: 'credential' } }, authentication },
          }),
          policy(clientId, { role: 'publisher', pool: clientId, scopes: ['artifacts:publish'] }),
          identity(clientId, { pool: clientId, roles: ['publisher'] }),
        );
        await ready(clientId);
        const claims = claimsOf(await tokenFor(clientId));
        t.deepEqual([claims['scope'], claims['aud'], claims['azp']], ['artifacts:publish', registry, clientId]);
        await lab.kubectl(['delete', `identitypool/${clientId}`, '--timeout=90s']);
        t.deepEqual(await realm.client(clientId), before);
        await realm.removeClient(clientId);
      }
    },
  );
}
