/** A client that an administrator registered by hand: used, watched, and never touched. */
import test from 'ava';
import {
  auditOf,
  condition,
  createPod,
  dies,
  errorOf,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import { administratorsKey, letCredentialsAge, patiently, recordWhere, records, secret, system } from './support.ts';

let lab: Lab;
let operator: OperatorProcess;

const first = administratorsKey();
const second = administratorsKey();
const third = administratorsKey();

const theirs = (clientId: string, name: string, authentication = 'PrivateKeyJwt') => ({
  client: { existing: { clientId, credentialRef: { name, key: 'credential' } }, authentication },
});

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  operator = await lab.running();
  lab.provider.addClient('jenkins', {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [first.jwk] },
    client_name: 'made by hand',
  });
  lab.provider.addClient('legacy', {
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: 'a secret, old',
  });
  await lab.apply(
    pool('theirs', lab.provider.issuer, theirs('jenkins', 'jenkins')),
    policy('theirs', { role: 'publisher', pool: 'theirs', scopes: ['artifacts:publish'] }),
    identity('publisher', { pool: 'theirs', roles: ['publisher'] }),
  );
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

const current = (want: { status: string; reason?: string }, name = 'theirs'): ReturnType<typeof condition> =>
  patiently(lab, name, 'CredentialCurrent', want);

test.serial('the Secret is missing: the pool, the identity and a waiting build say which one', async (t) => {
  const { message } = await current({ status: 'False', reason: 'CredentialMissing' });
  t.is(
    message,
    'IdentityPool theirs: Secret ci-identity-system/jenkins does not exist. Put the credential of the client there.',
  );
  await condition(lab, 'identitypool/theirs', 'Stalled', { status: 'True', reason: 'CredentialMissing' });
  const pod = await createPod(lab, nextPodName(), ['publisher']);
  t.true((await errorOf(lab, pod, 'publisher')).message.includes('Secret ci-identity-system/jenkins does not exist'));
});

test.serial('what is no key is no credential, and the sentence does not quote it', async (t) => {
  await secret(lab, 'jenkins', { credential: 'hunter2-hunter2' });
  const { message } = await current({ status: 'False', reason: 'CredentialMalformed' });
  t.regex(message, /key credential of Secret ci-identity-system\/jenkins is neither a private JWK nor PEM/);
  t.false(message.includes('hunter2'));
});

test.serial(
  'the credential is there: proven by a real token request, then builds get tokens of that client',
  async (t) => {
    await secret(lab, 'jenkins', { credential: first.secret });
    await patiently(lab, 'theirs', 'Ready', { status: 'True', reason: 'Ready' });
    await identityReady(lab, 'publisher');
    const pod = await createPod(lab, nextPodName(), ['publisher']);
    const token = await tokenOf(lab, pod, 'publisher');
    const live = lab.provider.liveTokens().find(({ value }) => value === token);
    t.is(live?.clientId, 'jenkins');
    const { clientId, clients } = await statusOf(lab, 'identitypool/theirs');
    t.is(clientId, 'jenkins');
    t.deepEqual(clients, { total: 1, ready: 1 });
    const { message } = await condition(lab, 'identitypool/theirs', 'Registered', { status: 'True' });
    t.regex(message, /client jenkins is an administrator's: it is used as it is, never changed and never deleted/);
  },
);

test.serial('a wrong new credential: the one before mints on, and the pool says so', async (t) => {
  await secret(lab, 'jenkins', { credential: second.secret });
  const { message } = await current({ status: 'True', reason: 'CredentialRefused' });
  t.regex(message, /refuses the new credential in key credential of Secret jenkins.*the one before mints on/);
  await condition(lab, 'identitypool/theirs', 'Ready', { status: 'True', reason: 'Ready' });
  const pod = await createPod(lab, nextPodName(), ['publisher']);
  t.true(isLive(lab.provider, await tokenOf(lab, pod, 'publisher')));
});

test.serial('the Secret is deleted: the copy mints on', async (t) => {
  await lab.kubectl(['delete', 'secret', '-n', system, 'jenkins']);
  const { message } = await current({ status: 'True', reason: 'CredentialMissing' });
  t.regex(message, /does not exist.*Until then the credential that was proven last mints on/);
  const pod = await createPod(lab, nextPodName(), ['publisher']);
  t.true(isLive(lab.provider, await tokenOf(lab, pod, 'publisher')));
});

test.serial(
  'the administrator changes the credential under a running session: taken over, nothing is interrupted',
  async (t) => {
    const pod = await createPod(lab, nextPodName(), ['publisher']);
    const token = await tokenOf(lab, pod, 'publisher');
    lab.provider.editClient('jenkins', { jwks: { keys: [first.jwk, third.jwk] } });
    await secret(lab, 'jenkins', { credential: third.secret });
    await recordWhere(lab, 'theirs', 'has the new credential', ({ generations }) =>
      generations.some(({ n, state }) => n > 1 && state === 'Current'),
    );
    t.true(isLive(lab.provider, token), 'the token of the session lives on');
    await current({ status: 'True', reason: 'CredentialCurrent' });
    // The old key goes at the provider, as soon as the pool says that the new one mints.
    lab.provider.editClient('jenkins', { jwks: { keys: [third.jwk] } });
    const later = await createPod(lab, nextPodName(), ['publisher']);
    t.true(isLive(lab.provider, await tokenOf(lab, later, 'publisher')));
    await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
    // Revoked with the credential that works now.
    await dies(lab.provider, token);
    const steps = auditOf(operator).filter(({ pool: of, event }) => of === 'theirs' && event === 'Planned');
    t.true(steps.length >= 2);
  },
);

test.serial(
  'a second pool that names the same client is refused with the name of the first, and takes over when that is gone',
  async (t) => {
    await lab.apply(pool('rival', lab.provider.issuer, theirs('jenkins', 'jenkins')));
    const { message } = await condition(lab, 'identitypool/rival', 'Ready', {
      status: 'False',
      reason: 'ClientClaimed',
    });
    t.regex(message, /^IdentityPool rival: client jenkins of https:.* is used by IdentityPool theirs already/);
    t.deepEqual(await records(lab, 'rival'), []);
    const pod = await createPod(lab, nextPodName(), ['publisher']);
    t.true(isLive(lab.provider, await tokenOf(lab, pod, 'publisher')), 'the first one mints on');
    await current({ status: 'True', reason: 'CredentialCurrent' });
    await lab.kubectl(['delete', 'identitypool', 'theirs', '--timeout=180s']);
    await patiently(lab, 'rival', 'Ready', { status: 'True', reason: 'Ready' });
  },
);

test.serial(
  'after all of this the client is as its administrator made it, and nobody called its registration',
  async (t) => {
    await lab.kubectl(['delete', 'identitypool', 'rival', '--timeout=180s']);
    const client = lab.provider.clients().find(({ clientId }) => clientId === 'jenkins');
    t.like(client, { name: 'made by hand', authentication: 'private_key_jwt', kids: [third.kid] });
    for (const endpoint of ['register', 'read', 'update', 'delete'] as const)
      t.is(lab.provider.stats.count(endpoint), 0, endpoint);
    t.deepEqual(await records(lab, 'theirs'), []);
  },
);

for (const [what, name, key, reason] of [
  ['the credential that registers clients', 'registration', 'token', 'CredentialMalformed'],
  ['management tokens that people handed in', 'management-tokens', 'client-of-another', 'CredentialMalformed'],
  ["a service account's token", 'automation', 'token', 'CredentialMalformed'],
  ['a key that no Secret has', 'registration', 'constructor', 'CredentialMissing'],
] as const) {
  test.serial(`a pool that names ${what} sends it to nobody`, async (t) => {
    const annotations = { 'kubernetes.io/service-account.name': 'controller' };
    const metadata = { name: 'automation', namespace: system, annotations };
    await lab.apply(
      JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/service-account-token' }),
    );
    await secret(lab, 'management-tokens', { 'client-of-another': 'a token, handed in' });
    const before = lab.provider.stats.count('token');
    const thief = {
      client: { existing: { clientId: 'thief', credentialRef: { name, key } }, authentication: 'ClientSecretPost' },
    };
    await lab.apply(pool('thief', lab.provider.issuer, thief));
    const { message } = await patiently(lab, 'thief', 'CredentialCurrent', { status: 'False', reason });
    t.regex(
      message,
      new RegExp(
        `${key} of Secret ci-identity-system/${name} is a record or credential of the operator|has no key ${key}`,
      ),
    );
    t.is(lab.provider.stats.count('token'), before);
    await lab.kubectl(['delete', 'identitypool', 'thief', '--timeout=180s']);
  });
}

test.serial('a client with a secret; its expiry is told ahead', async (t) => {
  const soon = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z');
  await secret(lab, 'legacy', { credential: 'a secret, old\n' }, { 'ci-identity.dev/expires': soon });
  await lab.apply(pool('legacy', lab.provider.issuer, theirs('legacy', 'legacy', 'ClientSecretBasic')));
  await patiently(lab, 'legacy', 'Ready', { status: 'True', reason: 'Ready' });
  // Told in the last tenth of its life at the latest: with an hour left it has to be older than nine.
  await letCredentialsAge(lab, 'legacy', 24 * 3_600_000);
  const { message } = await current({ status: 'True', reason: 'RotationDue' }, 'legacy');
  t.regex(message, new RegExp(`expires at ${soon}; only its administrator can replace it`));
  // At this provider a client has one secret: the old one is dead before the new one is stored.
  lab.provider.editClient('legacy', { client_secret: 'a secret, new' });
  await secret(lab, 'legacy', { credential: 'a secret, new' });
  await current({ status: 'True', reason: 'CredentialCurrent' }, 'legacy');
  await lab.kubectl(['delete', 'identitypool', 'legacy', '--timeout=180s']);
  t.false([operator.log(), operator.audit()].some((text) => text.includes('a secret, ')));
});
