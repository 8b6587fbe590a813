/** The running program with a real Hydra that gives opaque tokens: pods, rotation of keys under load, an administrator's edits, deletion. */
import test from 'ava';
import {
  condition,
  createPod,
  diesWithPod,
  identity,
  identityReady,
  policy,
  pool,
  registry,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { administratorsKey, secret } from '#test/clients/support.ts';
import { type Program, Programs } from '#test/kill/program.ts';
import { assertUnharmed } from '#test/rotation/load.ts';
import { accountOfHydra } from '#test/rotation/provider-view.ts';
import { Rotations } from '#test/rotation/rotations.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, type LabProvider, startLabWith } from '#test/support/lab.ts';
import { type Hydra, startHydra } from './hydra.ts';

const deploy = 'https://deploy.example.com';

let lab: Lab<LabProvider>;
let hydra: Hydra;
let programs: Programs;
let program: Program;
let rotations: Rotations | undefined;

/** Each pool has an identity of its own name. */
const pools = {
  'key-bots': { rotation: { overlap: '1m' } }, // an old credential stays at least as long as its tokens
  'secret-bots': { client: { authentication: 'ClientSecretBasic' } },
} as const;

async function clientOf(name: string): Promise<string> {
  for (const id of await hydra.clientIds())
    if (String((await hydra.client(id))['client_name']).includes(` ${name} `)) return id;
  throw new Error(`no client of ${name}`);
}

async function editCeiling(ceiling: object): Promise<void> {
  const patch = JSON.stringify({ spec: { ceiling } });
  await lab.kubectl(['patch', 'identitypool/secret-bots', '--type=merge', '-p', patch]);
}

test.before(async (t) => {
  t.timeout(1_800_000); // Hydra may have to be built.
  hydra = await startHydra({ log: (line) => t.log(line) });
  lab = await startLabWith(
    async () => ({
      issuer: hydra.issuer,
      caPem: hydra.caPem,
      initialAccessToken: 'not-asked-for',
      stop: () => hydra.stop(),
    }),
    { profile: 'Hydra', deliveryLag: '2s' },
  );
  programs = new Programs(lab);
  program = programs.program();
  await lab.guarded();
  // One after the other: Hydra with SQLite sometimes cuts off calls that come at the same moment, and a client that was registered stays unknown.
  for (const [name, spec] of Object.entries(pools)) {
    const ceiling = { scopes: ['artifacts:publish'], audiences: [registry], maxTokenLifetime: '1m' };
    await lab.apply(
      pool(name, hydra.issuer, { ceiling, ...spec }),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'], audiences: [registry] }),
      identity(name, { pool: name, roles: [name] }),
    );
    await eventually(`${name} is ready`, () => identityReady(lab, name), { timeoutMs: 60_000 });
  }
});

logOnFailure(() => program);

test.after.always(async () => {
  rotations?.kill();
  await programs?.close();
  await lab?.stop();
});

for (const name of Object.keys(pools))
  test.serial(
    `${name}: a pod gets a token for exactly its scopes and audience, and it dies with the pod`,
    async (t) => {
      const pod = await createPod(lab, nextPodName(), [name]);
      const token = await tokenOf(lab, pod, name);
      t.deepEqual(await hydra.introspect(token), {
        active: true,
        scopes: ['artifacts:publish'],
        audiences: [registry],
      });
      const { capabilities } = await statusOf(lab, `identitypool/${name}`);
      t.is((capabilities as { readonly revocation?: string }).revocation, 'Immediate');
      await diesWithPod(lab, pod, () => hydra.isLive(token));
    },
  );

test.serial('rotation of a key: two, then the new one, in the same client, and nobody notices', async (t) => {
  t.timeout(720_000);
  const clientId = await clientOf('key-bots');
  rotations = await Rotations.begin({
    programs,
    view: accountOfHydra(hydra),
    name: 'key-bots',
    spec: pools['key-bots'],
    asks: { parameters: { scope: 'artifacts:publish', audience: registry }, assertionAudience: 'TokenEndpoint' },
  });
  await rotations.settled(1, await rotations.ask(false), { everyMs: 500 });
  const report = await rotations.stop();
  assertUnharmed(t, 'Hydra, a key', report);
  t.deepEqual(Object.keys(report.byGeneration), ['1', '2']);
  t.is(await clientOf('key-bots'), clientId);
});

test.serial('a second audience of the ceiling is registered for the client too', async (t) => {
  const clientId = await clientOf('secret-bots');
  t.deepEqual((await hydra.client(clientId))['audience'], [registry]);
  await editCeiling({ audiences: [registry, deploy] });
  await lab.apply(
    policy('deploy', { role: 'secret-bots', pool: 'secret-bots', scopes: ['artifacts:publish'], audiences: [deploy] }),
    identity('deploy', { pool: 'secret-bots', roles: ['secret-bots'], audiences: [deploy] }),
  );
  const pod = await createPod(lab, nextPodName(), ['deploy']);
  const { audiences } = await hydra.introspect(await tokenOf(lab, pod, 'deploy', undefined, 120_000));
  t.deepEqual(audiences, [deploy]);
  t.deepEqual((await hydra.client(clientId))['audience'], [deploy, registry]);
});

const theirs = administratorsKey();

for (const [name, authentication, made, credential] of [
  [
    'their-key',
    'PrivateKeyJwt',
    {
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [theirs.jwk] },
    },
    theirs.secret,
  ],
  [
    'their-secret',
    'ClientSecretPost',
    { token_endpoint_auth_method: 'client_secret_post', client_secret: 'made by hand' },
    'made by hand',
  ],
] as const) {
  test.serial(`a client that its administrator made by hand, ${authentication}: used, and never touched`, async (t) => {
    const rest = { grant_types: ['client_credentials'], scope: 'artifacts:publish', audience: [registry] };
    await hydra.addClient({
      client_id: name,
      client_name: name,
      ...rest,
      client_credentials_grant_access_token_lifespan: '5m',
      ...made,
    });
    const before = await hydra.client(name);
    await secret(lab, name, { credential });
    await lab.apply(
      pool(name, hydra.issuer, {
        client: { existing: { clientId: name, credentialRef: { name, key: 'credential' } }, authentication },
      }),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name] }),
    );
    await eventually('its identity is ready', () => identityReady(lab, name), { timeoutMs: 60_000 });
    const token = await tokenOf(lab, await createPod(lab, nextPodName(), [name]), name);
    t.deepEqual(await hydra.introspect(token), { active: true, scopes: ['artifacts:publish'], audiences: [registry] });
    await lab.kubectl(['delete', `identitypool/${name}`, '--timeout=180s']);
    t.deepEqual(await hydra.client(name), before);
  });
}

test.serial(
  'an update by the administrator takes the management token away: minting goes on, and the pool says it',
  async (t) => {
    const clientId = await clientOf('secret-bots');
    await hydra.replaceClient(clientId, await hydra.client(clientId));
    await editCeiling({ maxTokenLifetime: '2m' });
    await condition(lab, 'identitypool/secret-bots', 'Registered', {
      status: 'True',
      reason: 'RegistrationAccessTokenLost',
    });
    const pod = await createPod(lab, nextPodName(), ['deploy']);
    t.true(await hydra.isLive(await tokenOf(lab, pod, 'deploy')));
  },
);

test.serial('a pool that goes takes its client along', async (t) => {
  const clientId = await clientOf('key-bots');
  await lab.kubectl(['delete', 'pods', '-n', team, '--all', '--grace-period=0', '--force']);
  await lab.kubectl(['delete', 'identitypool/key-bots', '--timeout=300s']);
  t.false((await hydra.clientIds()).includes(clientId));
});
