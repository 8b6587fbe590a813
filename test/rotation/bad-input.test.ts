/**
 * What people and providers do to a client while its credential is being replaced: each time a sentence says what to do, nothing is lost, and
 * a pool beside it, under load and with builds that come and go, notices nothing. The whole list is in README.md.
 */
import test from 'ava';
import { auditOf, condition, identity, pool, policy, registry } from '#test/api/operator-lab.ts';
import { recordWhere, secret, system } from '#test/clients/support.ts';
import type { Program } from '#test/kill/program.ts';
import { Stage } from '#test/kill/story.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { assertServed, Builds } from './builds.ts';
import { assertUnharmed } from './load.ts';
import { viewOfOidcProvider } from './provider-view.ts';
import { Rotations } from './rotations.ts';

let lab: Lab;
let stage: Stage;
let program: Program;
let innocent: Rotations;
let builds: Builds;
const open: Rotations[] = [];

const asked = { every: '2d', overlap: '5m' };
const soon = { every: '2d', overlap: '1m' };

async function begin(name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<Rotations> {
  const view = viewOfOidcProvider(lab.provider);
  const rotations = await Rotations.begin({ programs: stage, view, name, spec: { rotation: asked, ...spec } });
  open.push(rotations);
  return rotations;
}

/** Asks for a rotation and waits until the old credential drains. Yields the name of the record's Secret. */
async function draining(name: string, rotations: Rotations): Promise<string> {
  await rotations.ask(false);
  const [record] = await recordWhere(lab, name, 'drains', ({ generations }) =>
    generations.some(({ state }) => state === 'Draining'),
  );
  return record;
}

const statesOf = async (rotations: Rotations): Promise<readonly string[]> =>
  (await rotations.record()).generations.map(({ n, state, credential }) => `${n} ${state} ${credential.kid}`);

test.before(async (t) => {
  t.timeout(1_500_000);
  lab = await startLab({ tokenLifetime: 60, deliveryLag: '2s' });
  stage = new Stage(lab);
  program = stage.program();
  await lab.guarded();
  innocent = await begin('innocent');
  const view = viewOfOidcProvider(lab.provider);
  builds = new Builds({ programs: stage, view, name: 'innocent', every: 2_000, life: 15_000 });
});

logOnFailure(() => program);
test.after.always(async () => {
  for (const rotations of open) rotations.kill();
  await stage?.close();
  await lab?.stop();
});

for (const [how, name, damage] of [
  ['deleted', 'deleted', (record: string) => ['delete', 'secret', '-n', system, record, '--wait=false']],
  ['overwritten', 'scribbled', (record: string) => ['patch', 'secret', '-n', system, record, '-p', nonsense]],
] as const) {
  test.serial(
    `the record with the credentials is ${how} by hand while the old one drains: it is written again, and an event says so`,
    async (t) => {
      t.timeout(900_000);
      const rotations = await begin(name);
      const record = await draining(name, rotations);
      const before = await statesOf(rotations);
      await lab.kubectl(damage(record));
      await eventually('an event tells of it', async () => {
        const text = await lab.kubectl(['get', 'events', '-n', 'default', '-o', 'custom-columns=R:.reason,N:.message']);
        const says = `RecordRestored +IdentityPool ${name}: somebody deleted or changed Secret ${record}, which holds the credential of the client. It was written again as it was, so nothing is lost; leave it alone`;
        return new RegExp(says).test(text) ? true : undefined;
      });
      t.deepEqual(await statesOf(rotations), before);
      const lines = auditOf({ audit: () => stage.auditText() });
      t.true(lines.some((line) => line.event === 'Restored' && line.pool === name));
      // And what was under way goes on.
      await rotations.settled(1, await rotations.ask(true));
      assertUnharmed(t, name, await rotations.stop());
    },
  );
}

const nonsense = JSON.stringify({ data: { 'record.json': Buffer.from('mine').toString('base64') } });

test.serial(
  'the registration access token stops working while the old credential drains: the pool names the one step, and after it the old one goes',
  async (t) => {
    t.timeout(1_200_000);
    const { provider } = lab;
    const rotations = await begin('unmanaged', { rotation: soon });
    const record = await draining('unmanaged', rotations);
    const clientId = (await rotations.record()).generations[0]?.clientId ?? '';
    provider.loseManagementToken(clientId);
    const { message } = await eventually(
      'the pool says it',
      () =>
        condition(lab, 'identitypool/unmanaged', 'Registered', {
          status: 'True',
          reason: 'RegistrationAccessTokenLost',
        }),
      { timeoutMs: 150_000 },
    );
    t.true(
      message.includes(`put it under key ${record} of Secret management-tokens in the operator's namespace`),
      message,
    );
    await secret(lab, 'management-tokens', { [record]: await provider.newManagementToken(clientId) });
    await rotations.settled(1, undefined, { timeoutMs: 120_000 });
    assertUnharmed(t, 'unmanaged', await rotations.stop());
  },
);

test.serial(
  'the client is deleted at the provider while the old credential drains: told, and replaced as soon as a new subject is allowed',
  async (t) => {
    t.timeout(1_500_000);
    const { provider } = lab;
    const rotations = await begin('gone', { rotation: soon });
    await draining('gone', rotations);
    const clientId = (await rotations.record()).generations[0]?.clientId ?? '';
    provider.removeClient(clientId);
    const { message } = await eventually(
      'the pool says it',
      () => condition(lab, 'identitypool/gone', 'Registered', { status: 'False', reason: 'ClientGone' }),
      { timeoutMs: 120_000 },
    );
    t.regex(
      message,
      /was deleted or disabled at the provider, which refuses its credential .* set spec.rotation.allowSubjectChange/,
    );
    await lab.kubectl([
      'patch',
      'identitypool',
      'gone',
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { rotation: { allowSubjectChange: true } } }),
    ]);
    await rotations.settled(2, undefined, { timeoutMs: 240_000 });
    t.not((await rotations.record()).generations[0]?.clientId, clientId);
    await rotations.stop();
  },
);

test.serial(
  'the registration credential is used up on the day of a rotation that needs it: the old credential mints on, and a new one in the Secret is all it takes',
  async (t) => {
    t.timeout(1_200_000);
    const { provider } = lab;
    const spec = { client: { authentication: 'ClientSecretBasic' }, rotation: { ...asked, allowSubjectChange: true } };
    const rotations = await begin('used-up', spec);
    const valid = { status: 'True', reason: 'RegistrationCredentialValid' };
    await eventually('the pool names the rotation that will need it', async () => {
      const { message: ahead } = await condition(lab, 'identitypool/used-up', 'RegistrationCredentialValid', valid);
      return /The rotation that is due at .* registers a client with it: see at the provider/.test(ahead)
        ? true
        : undefined;
    });
    const fresh = await provider.replaceInitialAccessToken();
    const id = await rotations.ask(true);
    const { message } = await condition(lab, 'identitypool/used-up', 'RegistrationCredentialValid', {
      status: 'False',
      reason: 'RegistrationCredentialRefused',
    });
    t.regex(message, /put a new initial access token into the Secret of registrationTokenRef/);
    t.deepEqual(
      (await rotations.record()).generations.filter(({ state }) => state === 'Current').map(({ n }) => n),
      [1],
    );
    await secret(lab, 'registration', { token: fresh });
    await rotations.settled(1, id, { timeoutMs: 240_000 });
    assertUnharmed(t, 'used-up', await rotations.stop());
  },
);

test.serial('the registration credential expires in three weeks: every pool says so today', async (t) => {
  const exp = Math.floor(Date.now() / 1_000) + 21 * 86_400;
  const before = await lab.kubectl(['get', 'secret', '-n', system, 'registration', '-o', 'jsonpath={.data.token}']);
  await secret(lab, 'registration', { token: jwtThatExpires(exp) });
  const { message } = await eventually(
    'the pool says it',
    () =>
      condition(lab, 'identitypool/innocent', 'RegistrationCredentialValid', {
        status: 'True',
        reason: 'RegistrationCredentialExpiring',
      }),
    { timeoutMs: 60_000 },
  );
  const when = new Date(exp * 1_000).toISOString().replace('.000', '');
  t.true(message.includes(`the credential for registering clients expires at ${when}. Make a new one at `), message);
  await secret(lab, 'registration', { token: Buffer.from(before, 'base64').toString('utf8') });
});

function jwtThatExpires(exp: number): string {
  const [header, payload] = [{ alg: 'none' }, { exp }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${header}.${payload}.x`;
}

const many = 60;

test.serial(
  `the provider limits its rate in the middle of ${many} rotations: each keeps its place, none is lost, and builds get their tokens`,
  async (t) => {
    t.timeout(900_000);
    const { provider } = lab;
    const names = Array.from({ length: many }, (_, index) => `many-${index + 1}`);
    const ceiling = { scopes: ['artifacts:publish'], audiences: [registry], maxTokenLifetime: '1m' };
    await lab.apply(...names.map((name) => pool(name, provider.issuer, { ceiling, rotation: asked })));
    const generations = async (): Promise<readonly (number | undefined)[]> => {
      const { items } = (await stage.get('/apis/ci-identity.dev/v1alpha1/identitypools')) as { items: PoolView[] };
      return items
        .filter(({ metadata }) => names.includes(metadata.name))
        .map(({ status }) => status?.credential?.generation);
    };
    const all = async (n: number): Promise<true | undefined> =>
      (await generations()).every((one) => one === n) ? true : undefined;
    await eventually('all are registered', () => all(1), { timeoutMs: 120_000, everyMs: 500 });
    // Not later: a quiet machine rotates all of them in seconds.
    const asking = lab.kubectl(['annotate', 'identitypool', ...names, 'ci-identity.dev/rotate=many']);
    await eventually('the first has rotated', async () => ((await generations()).includes(2) ? true : undefined));
    const calls = provider.stats.count();
    provider.faults.limit({ perSecond: 5, delay: 20 });
    const from = Date.now();
    await asking;
    // So long the limit lasts; that it is met at all is seen after it.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const refused = provider.stats.count(undefined, 429);
    t.true(refused > 0, 'the limit was met');
    t.log(`${provider.stats.count() - calls} calls in ${Date.now() - from} ms, ${refused} of them one too many`);
    provider.faults.limit({ perSecond: 1_000, delay: 0 });
    await eventually('all have rotated', () => all(2), { timeoutMs: 180_000, everyMs: 500 });
    const records = await stage.get(
      '/api/v1/namespaces/ci-identity-system/secrets?labelSelector=ci-identity.dev%2Fkind%3Dclient',
    );
    const highest = (records as { items: { data: Record<string, string> }[] }).items
      .map(({ data }) => JSON.parse(Buffer.from(data['record.json'] ?? '', 'base64').toString('utf8')) as RecordView)
      .filter((record) => names.includes(record.pool.name))
      .map((record) => record.highest);
    t.deepEqual([...new Set(highest)], [2], 'no rotation was begun twice');
    const own = provider.clients().filter(({ name = '' }) => /^ci-identity many-\d+ \d+$/.test(name));
    t.is(own.length, many, 'one client per pool');
    t.true(own.every(({ kids }) => kids.length === 2));
  },
);

interface PoolView {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly credential?: { readonly generation: number };
  };
}

interface RecordView {
  readonly pool: { readonly name: string };
  readonly highest: number;
}

test.serial('all the while the pool beside them had every token, and rotates as if nothing had been', async (t) => {
  t.timeout(900_000);
  await innocent.settled(1, await innocent.ask(true));
  const report = await builds.stop();
  assertUnharmed(t, 'innocent', await innocent.stop());
  const withoutLeader = 30_000; // a pod that comes right after a kill waits for the dead one's lease to run out
  assertServed(t, 'innocent', report, [1], withoutLeader);
});

test.serial(
  'the record is overwritten while the operator is away: no new client in its place, and the pool says what to do',
  async (t) => {
    t.timeout(900_000);
    await lab.apply(
      pool('unread', lab.provider.issuer),
      policy('unread', { role: 'unread', pool: 'unread', scopes: ['artifacts:publish'] }),
      identity('unread', { pool: 'unread', roles: ['unread'] }),
    );
    const [record] = await recordWhere(lab, 'unread', 'has a client', ({ generations }) =>
      generations.some(({ state }) => state === 'Current'),
    );
    await program.stop();
    const path = ['secret', '-n', system, record] as const;
    const kept = await lab.kubectl(['get', ...path, '-o', 'jsonpath={.data}']);
    await lab.kubectl(['patch', ...path, '-p', nonsense]);
    const clients = lab.provider.clients().length;
    program = stage.program();
    const { message } = await condition(lab, 'identitypool/unread', 'Registered', {
      status: 'False',
      reason: 'RecordInvalid',
    });
    t.regex(
      message,
      new RegExp(
        `client record ${record} .* is left alone: record is not JSON. Bring the right one back from a backup, or delete`,
      ),
    );
    t.is(lab.provider.clients().length, clients);
    await lab.kubectl(['patch', ...path, '-p', JSON.stringify({ data: JSON.parse(kept) as unknown })]);
    await condition(lab, 'identitypool/unread', 'Ready', { status: 'True', reason: 'Ready' });
  },
);
