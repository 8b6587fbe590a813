/** The running program with a real Glewlwyd: keys and secrets, rotation of both under load, and a deletion that this product only half does. */
import test from 'ava';
import { parseJsonObject } from '#src/providers/fields.ts';
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
  tokenOf,
  team,
} from '#test/api/operator-lab.ts';
import { administratorsKey, secret } from '#test/clients/support.ts';
import { type Program, Programs } from '#test/kill/program.ts';
import { assertServed, Builds } from '#test/rotation/builds.ts';
import { assertUnharmed } from '#test/rotation/load.ts';
import { accountOfGlewlwyd } from '#test/rotation/provider-view.ts';
import { requestEvery, Rotations } from '#test/rotation/rotations.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, type LabProvider, startLabWith } from '#test/support/lab.ts';
import { type Glewlwyd, startGlewlwyd } from './glewlwyd.ts';

const patient = { timeoutMs: 150_000, everyMs: 500 };

let lab: Lab<LabProvider>;
let glewlwyd: Glewlwyd;
let programs: Programs;
let program: Program;
/** Under load at the moment. */
let rotations: Rotations | undefined;

/** Each pool has an identity of its own name. */
const pools = {
  'key-bots': { rotation: { overlap: '1m' } }, // an old credential stays at least as long as its tokens
  'secret-bots': {
    client: { authentication: 'ClientSecretBasic' },
    rotation: { overlap: '1m', window: { from: '00:00', to: '23:59' } }, // without one, nothing that leaves a gap is done
  },
} as const;

const claimsOf = (token: string) =>
  parseJsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {};

async function clientOf(name: string): Promise<string> {
  for (const id of await glewlwyd.clientIds())
    if (String((await glewlwyd.client(id))['name']).includes(` ${name} `)) return id;
  throw new Error(`no client of ${name}`);
}

/** Its client asks for tokens all the time from now on. */
async function underLoad(name: keyof typeof pools): Promise<Rotations> {
  rotations = await Rotations.begin({
    programs,
    view: accountOfGlewlwyd(glewlwyd),
    name,
    spec: pools[name],
    asks: { parameters: { scope: 'artifacts:publish', resource: registry }, assertionAudience: 'TokenEndpoint' },
  });
  return rotations;
}

test.before(async (t) => {
  t.timeout(720_000);
  glewlwyd = await startGlewlwyd({ tokenTtl: 60 });
  lab = await startLabWith(
    async () => ({
      issuer: glewlwyd.issuer,
      caPem: glewlwyd.caPem,
      initialAccessToken: await glewlwyd.registrationToken(),
      stop: () => glewlwyd.stop(),
    }),
    { profile: 'Glewlwyd', deliveryLag: '2s' },
  );
  programs = new Programs(lab);
  program = programs.program();
  await lab.guarded();
  // It lives a minute like all tokens here, so it is made when it is needed.
  await secret(lab, 'registration', { token: await glewlwyd.registrationToken() });
  // One after the other, because Glewlwyd loses parts of clients that are registered at the same moment (README.md).
  for (const [name, spec] of Object.entries(pools)) {
    const ceiling = { scopes: ['artifacts:publish'], audiences: [registry], maxTokenLifetime: '1m' };
    await lab.apply(
      pool(name, glewlwyd.issuer, { ceiling, ...spec }),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
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

for (const name of ['key-bots', 'secret-bots']) {
  test.serial(
    `${name}: a pod gets a token for exactly its scopes and audience, and it dies with the pod`,
    async (t) => {
      const pod = await createPod(lab, nextPodName(), [name]);
      const token = await tokenOf(lab, pod, name);
      const claims = claimsOf(token);
      t.deepEqual([claims['scope'], claims['aud']], ['artifacts:publish', registry]);
      t.true(await glewlwyd.isLive(token));
      await diesWithPod(lab, pod, () => glewlwyd.isLive(token));
    },
  );
}

for (const [what, when] of [
  ['lost', 'as it was registered'],
  ['lost again', 'after it was changed since'],
]) {
  test.serial(
    `a client whose scopes Glewlwyd has ${what}, ${when}, is sent again, and then pods get tokens`,
    async (t) => {
      const clientId = await clientOf('key-bots');
      await glewlwyd.editClient(clientId, { scope: [] });
      const pod = await createPod(lab, nextPodName(), ['key-bots']);
      t.is(claimsOf(await tokenOf(lab, pod, 'key-bots', undefined, patient.timeoutMs))['client_id'], clientId);
      t.deepEqual((await glewlwyd.client(clientId))['scope'], ['artifacts:publish', 'artifacts:read']);
      await condition(lab, 'ciidentity/key-bots', 'Probed', { status: 'True' }, team);
    },
  );
}

test.serial(
  'rotation of a secret: in place, inside a declared window, with a gap no longer than the pool tells',
  async (t) => {
    t.timeout(540_000);
    const clientId = await clientOf('secret-bots');
    const before = (await glewlwyd.client(clientId))['client_secret'];
    const running = await underLoad('secret-bots');
    const builds = new Builds({
      programs,
      view: accountOfGlewlwyd(glewlwyd),
      name: 'secret-bots',
      every: 1_500,
      life: 6_000,
    });
    await builds.enough();
    await running.ask(false);
    // The old secret is dead by then; nothing but the overlap is left.
    await eventually(
      'the second credential mints',
      async () => {
        const { generations } = await running.record();
        return generations.some(({ n, state }) => n === 2 && state === 'Current') ? true : undefined;
      },
      patient,
    );
    await builds.enough();
    const built = await builds.stop();
    const report = await running.stop();
    assertUnharmed(t, 'Glewlwyd, a secret', report);
    assertServed(t, 'Glewlwyd, a secret', built, [1, 2]);
    t.is(await clientOf('secret-bots'), clientId);
    t.not((await glewlwyd.client(clientId))['client_secret'], before);
    const { capabilities, credential } = await statusOf(lab, 'identitypool/secret-bots');
    const gap = Number(/^(\d+)s$/.exec((credential as { readonly gap?: string }).gap ?? '')?.[1]);
    t.log(`the pool tells of a gap of ${gap} s`);
    t.true(gap <= 10, `a gap of ${gap} s`);
    t.true(
      report.inGap * requestEvery <= gap * 1_000 + 1_000,
      `${report.inGap} requests were refused in a gap of ${gap} s`,
    );
    t.deepEqual((capabilities as { readonly variants?: unknown }).variants, ['TwoKeys', 'NewClient', 'InPlace']);
  },
);

test.serial('rotation of a key: two, then the new one, in the same client', async (t) => {
  t.timeout(720_000);
  const clientId = await clientOf('key-bots');
  const running = await underLoad('key-bots');
  await running.settled(1, await running.ask(false), { everyMs: 500 });
  const report = await running.stop();
  // Glewlwyd writes a client in several steps and refuses who asks in between (README.md); the operator asks again.
  const between = report.failed.filter((line) => /^generation [12]: (403|500|400 .*scope_invalid)/.test(line));
  t.true(between.length * requestEvery <= 1_000, between.join());
  assertUnharmed(t, 'Glewlwyd, a key', { ...report, failed: report.failed.filter((line) => !between.includes(line)) });
  t.deepEqual(Object.keys(report.byGeneration), ['1', '2']);
  t.is(await clientOf('key-bots'), clientId);
});

test.serial('a disabled client fails at the token endpoint as the server does, and others go on', async (t) => {
  const clientId = await clientOf('key-bots');
  await glewlwyd.editClient(clientId, { enabled: false });
  await createPod(lab, nextPodName(), ['key-bots']);
  const other = await createPod(lab, nextPodName(), ['secret-bots']);
  await t.notThrowsAsync(tokenOf(lab, other, 'secret-bots', undefined, 60_000));
  await glewlwyd.editClient(clientId, { enabled: true });
});

const theirs = administratorsKey();

for (const [name, authentication, made, credential] of [
  [
    'their-key',
    'PrivateKeyJwt',
    { token_endpoint_auth_method: ['private_key_jwt'], jwks: { keys: [theirs.jwk] } },
    theirs.secret,
  ],
  [
    'their-secret',
    'ClientSecretPost',
    { token_endpoint_auth_method: ['client_secret_post'], client_secret: 'made by hand' },
    'made by hand',
  ],
] as const) {
  test.serial(`a client that its administrator made by hand, ${authentication}: used, and never touched`, async (t) => {
    await glewlwyd.addClient(name, { ...made, scope: ['artifacts:publish'] });
    const before = await glewlwyd.client(name);
    await secret(lab, name, { credential });
    await lab.apply(
      pool(name, glewlwyd.issuer, {
        client: { existing: { clientId: name, credentialRef: { name, key: 'credential' } }, authentication },
      }),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name] }),
    );
    await eventually('its identity is ready', () => identityReady(lab, name), { timeoutMs: 60_000 });
    const claims = claimsOf(await tokenOf(lab, await createPod(lab, nextPodName(), [name]), name));
    t.deepEqual([claims['scope'], claims['aud'], claims['client_id']], ['artifacts:publish', registry, name]);
    await lab.kubectl(['delete', `identitypool/${name}`, '--timeout=180s']);
    t.deepEqual(await glewlwyd.client(name), before);
  });
}

test.serial('pools that go disable their clients, which is all that this product does, and end', async (t) => {
  const clients = [await clientOf('key-bots'), await clientOf('secret-bots')];
  await lab.kubectl(['delete', 'pods', '-n', team, '--all', '--grace-period=0', '--force']);
  await lab.kubectl(['delete', 'ciidentity', '-n', team, '--all']);
  await lab.kubectl(['delete', 'identitypool', '--all', '--timeout=450s']);
  for (const id of clients) t.is((await glewlwyd.client(id))['enabled'], false);
});
