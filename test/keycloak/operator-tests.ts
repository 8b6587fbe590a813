/** The running program on a realm as Keycloak makes it: refusal, the administrator's steps, tokens, revocation, deletion, lost answers. */
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { annotations } from '#src/api/names.ts';
import {
  condition,
  createPod,
  diesWithPod,
  identity,
  policy,
  registry,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { secret } from '#test/clients/support.ts';
import { eventually } from '#test/support/eventually.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { audiences, claimsOf, type Stage } from './stage.ts';

/** `started` is asked when the first test begins. */
export function testFirstSteps(started: () => Stage): void {
  let clientId = '';

  test.serial.before('the first objects of a platform team', async () => {
    const { lab, pool } = started();
    await lab.apply(
      pool('ci-bots'),
      policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish'] }),
      identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    );
  });

  test.serial(
    'a stock realm: the pool says what its administrator has to do, and goes on when that is done',
    async (t) => {
      const { lab, realm } = started();
      const refused = { status: 'False', reason: 'RegistrationRefused' };
      const { message } = await condition(lab, 'identitypool/ci-bots', 'Registered', refused);
      t.regex(
        message,
        /make each of artifacts:publish, artifacts:read, registry-audience an optional client scope of realm stock-operator/,
      );
      t.deepEqual(await realm.clientIds(), []);
      await realm.prepare({ scopes: ['artifacts:publish', 'artifacts:read'], audiences });
      await lab.kubectl(['annotate', 'identitypool/ci-bots', `${annotations.retry}=realm-prepared`]);
      await condition(lab, 'identitypool/ci-bots', 'Registered', { status: 'True' });
      await condition(lab, 'ciidentity/publisher', 'Probed', { status: 'True' }, team);
      const clients = await realm.clientIds();
      t.is(clients.length, 1);
      [clientId] = clients as [string];
      t.regex(clientId, /^ci-[0-9a-f]{8}-ci-bots$/);
    },
  );

  test.serial('a pod gets a token for exactly its scopes and audience, and it dies with the pod', async (t) => {
    const { lab, realm } = started();
    const pod = await createPod(lab, nextPodName(), ['publisher']);
    const token = await tokenOf(lab, pod, 'publisher');
    const claims = claimsOf(token);
    t.deepEqual([claims['scope'], claims['aud'], claims['azp']], ['artifacts:publish', registry, clientId]);
    t.is(Number(claims['exp']) - Number(claims['iat']), 60);
    t.truthy(claims['sub']);
    t.true(await realm.isLive(token));
    await diesWithPod(lab, pod, () => realm.isLive(token));
  });
}

/** After the others: the program is killed, and the registration token has no use left for anything else. */
export function testAccidents(started: () => Stage): void {
  test.serial('a pool that goes takes its client along', async (t) => {
    const { lab, realm } = started();
    await lab.kubectl(['delete', 'ciidentity', '-n', 'ci-payments', 'publisher']);
    await lab.kubectl(['delete', 'identitypool/ci-bots', '--timeout=180s']);
    t.deepEqual(await realm.clientIds(), []);
  });

  test.serial(
    'killed before the answer to a registration is stored: the client is found by its key, never made twice',
    async (t) => {
      const stage = started();
      const { lab, realm } = stage;
      await stage.program.stop();
      stage.program = stage.programs.program('client.Register.call:after');
      await lab.apply(stage.pool('lost-bots'));
      await eventually('it is killed', () => (stage.program.died === 1 ? true : undefined), { timeoutMs: 90_000 });
      const made = await realm.clientIds();
      t.is(made.length, 1);
      const lost = { status: 'True', reason: 'RegistrationAccessTokenLost' };
      const { message } = await eventually(
        'the next one says so',
        () => condition(lab, 'identitypool/lost-bots', 'Registered', lost),
        { timeoutMs: 90_000 },
      );
      t.regex(
        message,
        /Make a new one at the provider and put it under key client-[0-9a-f]{32} of Secret management-tokens/,
      );
      t.deepEqual(await realm.clientIds(), made);
    },
  );

  test.serial(
    'a registration access token that its administrator made anew heals the client, which can then be deleted',
    async (t) => {
      const { lab, realm } = started();
      const [lostClient = ''] = await realm.clientIds();
      await secret(lab, 'management', { token: await realm.replaceManagementToken(lostClient) });
      const text = readFileSync(lab.configFile, 'utf8');
      const named = '"managementTokenRef":{"name":"management","key":"token"},"caBundleRef"';
      writeFileSync(lab.configFile, text.replace('"caBundleRef"', named));
      await lab.kubectl(['delete', 'identitypool/lost-bots', '--timeout=270s']);
      t.deepEqual(await realm.clientIds(), []);
    },
  );

  test.serial(
    'a pool made again whose client Retain has left: it says which client that is and what to do',
    async (t) => {
      const { lab, realm, pool } = started();
      const kept = pool('kept-bots', { deletionPolicy: 'Retain' });
      await lab.apply(kept);
      await condition(lab, 'identitypool/kept-bots', 'Registered', { status: 'True' });
      await lab.kubectl(['delete', 'identitypool/kept-bots', '--timeout=180s']);
      const [left = ''] = await realm.clientIds();
      await lab.apply(kept);
      const taken = { status: 'False', reason: 'ClientIdTaken' };
      const { message } = await condition(lab, 'identitypool/kept-bots', 'Ready', taken);
      t.true(message.includes(`a client ${left} is there already`), message);
      t.regex(message, /create the pool under another name; delete it at the provider only where nothing uses it/);
      await realm.removeClient(left);
      await lab.kubectl(['annotate', 'identitypool/kept-bots', `${annotations.retry}=client-deleted`]);
      await condition(lab, 'identitypool/kept-bots', 'Registered', { status: 'True' });
      t.deepEqual(await realm.clientIds(), [left]);
    },
  );
}
