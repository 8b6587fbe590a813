/** Clients of a realm that the pool shares out otherwise: one for each identity, or one that an administrator made by hand. */
import test from 'ava';
import { createPod, identity, identityReady, policy, pool, registry, team, tokenOf } from '#test/api/operator-lab.ts';
import { recordWhere, secret } from '#test/clients/support.ts';
import { eventually } from '#test/support/eventually.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { typeAsAdministrator } from './administrator.ts';
import { kcadmClient } from './kcadm.ts';
import { audiences, claimsOf, type Stage } from './stage.ts';

const patient = { timeoutMs: 90_000 };

/** `started` is asked when the first test begins. */
export function testClients(started: () => Stage): void {
  const ready = (name: string, namespace: string = team) =>
    eventually(`${name} is ready`, () => identityReady(started().lab, name, namespace), patient);

  const tokenFor = async (name: string, namespace: string = team): Promise<string> => {
    const { lab } = started();
    const pod = await createPod(lab, nextPodName(), [name], { namespace });
    return tokenOf(lab, pod, name, undefined, patient.timeoutMs);
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
      await lab.kubectl(['delete', 'identitypool/per-bots', '--timeout=270s']);
      t.deepEqual(await added(), []);
    },
  );

  test.serial(
    'one client with a key for each namespace: its identities share it, and it goes with the last of them',
    async (t) => {
      const { lab, realm, pool } = started();
      const other = 'ci-shipping';
      await lab.agentNamespace(other);
      const before = await realm.clientIds();
      const added = async () => (await realm.clientIds()).filter((id) => !before.includes(id));
      await lab.apply(
        pool('space-bots', { client: { per: 'Namespace' } }),
        policy('space-bots', {
          role: 'publisher',
          pool: 'space-bots',
          scopes: ['artifacts:publish'],
          namespaces: [team, other],
        }),
        ...(
          [
            ['first', team],
            ['second', team],
            ['third', other],
          ] as const
        ).map(([name, namespace]) => identity(name, { pool: 'space-bots', roles: ['publisher'] }, namespace)),
      );
      await ready('first');
      await ready('second');
      await ready('third', other);
      const ids = await added();
      t.is(ids.length, 2);
      for (const id of ids) t.regex(id, /^ci-[0-9a-f]{8}-space-bots-[0-9a-f]{16}$/);
      const [first, second] = [claimsOf(await tokenFor('first')), claimsOf(await tokenFor('second'))];
      const third = await tokenFor('third', other);
      t.deepEqual([first['azp'], first['sub']], [second['azp'], second['sub']]);
      t.deepEqual([String(first['azp']), String(claimsOf(third)['azp'])].toSorted(), ids.toSorted());
      t.not(claimsOf(third)['sub'], first['sub']);
      await lab.kubectl(['delete', 'ciidentity', '-n', other, 'third']);
      await eventually(
        'its token and the client of its namespace are gone',
        async () => (!(await realm.isLive(third)) && (await added()).length === 1 ? true : undefined),
        patient,
      );
      await lab.kubectl(['delete', 'ciidentity', '-n', team, 'second']);
      t.is(claimsOf(await tokenFor('first'))['azp'], first['azp']);
      await lab.kubectl(['delete', 'identitypool/space-bots', '--timeout=270s']);
      t.deepEqual(await added(), []);
    },
  );

  test.serial(
    'clients that an administrator makes by hand as the README shows, with a key and with a secret: used, replaced by him, and never touched',
    async (t) => {
      t.timeout(720_000);
      const { lab, realm, keycloak, provider } = started();
      const name = realm.issuer.split('/').at(-1) ?? '';
      const made = (clientId: string, credential: 'Certificate' | 'Secret'): string =>
        kcadmClient(name, clientId, ['artifacts:publish', ...Object.values(audiences)], credential);
      const typed = await typeAsAdministrator(
        keycloak,
        `{ ${made('by-key', 'Certificate')}
        ${made('by-secret', 'Secret')}
        openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=by-key -keyout next.pem -out next.crt
        } >&2
        cat by-key.pem; echo; cat by-secret.txt; echo; cat next.pem; echo; openssl x509 -in next.crt -outform der | openssl base64 -A`,
      );
      const [key = '', secretText = '', nextKey = '', nextCertificate = ''] = typed.split('\n\n');
      const replaceCertificate = async (): Promise<string> => {
        await realm.replaceCertificate('by-key', nextCertificate.trim());
        return nextKey;
      };
      for (const [clientId, authentication, credential, replace] of [
        ['by-key', 'PrivateKeyJwt', key, replaceCertificate],
        ['by-secret', 'ClientSecretPost', secretText, () => realm.replaceSecret('by-secret')],
      ] as const) {
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
        await secret(lab, clientId, { credential: await replace() });
        const before = await realm.client(clientId);
        await recordWhere(
          lab,
          clientId,
          'mints with the new credential',
          ({ generations }) => generations.some(({ n, state }) => n === 2 && state === 'Current'),
          patient.timeoutMs,
        );
        t.is(claimsOf(await tokenFor(clientId))['sub'], claims['sub']);
        await lab.kubectl(['delete', `identitypool/${clientId}`, '--timeout=270s']);
        t.deepEqual(await realm.client(clientId), before);
        await realm.removeClient(clientId);
      }
    },
  );
}
