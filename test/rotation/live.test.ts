/**
 * Rotations as people ask for them, on a real oidc-provider, under a load of token requests and with agent pods that come and go: nobody
 * notices. With keys and with secrets; a provider that is away for the whole overlap, that takes a new credential late, or never; emergencies.
 */
import test, { type ExecutionContext } from 'ava';
import { second } from '#src/clock.ts';
import type { Program } from '#test/kill/program.ts';
import { Stage } from '#test/kill/story.ts';
import { auditOf, condition, statusOf } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { assertServed, Builds } from './builds.ts';
import { assertUnharmed } from './load.ts';
import { viewOfOidcProvider } from './provider-view.ts';
import { Rotations, requestEvery } from './rotations.ts';

let lab: Lab;
let stage: Stage;
let program: Program;

/** A pool under load: a client that asks for tokens all the time, and builds. */
interface Busy {
  readonly name: string;
  readonly rotations: Rotations;
  readonly builds?: Builds;
}

const open: Rotations[] = [];

test.before(async (t) => {
  t.timeout(540_000);
  lab = await startLab({ tokenLifetime: 60, deliveryLag: '2s' });
  stage = new Stage(lab);
  program = stage.program();
  await lab.guarded();
});

logOnFailure(() => program);
test.after.always(async () => {
  for (const rotations of open) rotations.kill();
  await stage?.close();
  await lab?.stop();
});

/** `builds: false`: the pool is stopped in between, and its builds are to notice that. */
async function begin(
  name: string,
  spec: Readonly<Record<string, unknown>>,
  { builds = true }: { readonly builds?: boolean } = {},
): Promise<Busy> {
  const view = viewOfOidcProvider(lab.provider);
  const rotations = await Rotations.begin({ programs: stage, view, name, spec });
  open.push(rotations);
  if (!builds) return { name, rotations };
  return { name, rotations, builds: new Builds({ programs: stage, view, name, every: 1_000, life: 15_000 }) };
}

/** Every request had its token and every build too, before and after the credential changed. */
async function unharmed(
  t: ExecutionContext,
  { name, rotations, builds }: Busy,
  generations: readonly number[],
): Promise<void> {
  const report = await builds?.stop();
  assertUnharmed(t, name, await rotations.stop());
  if (report !== undefined) assertServed(t, name, report, generations);
}

/** Resolves when the load has asked for some seconds with the credential that mints now. */
async function underLoad(): Promise<void> {
  const enough = lab.provider.issued() + (6 * second) / requestEvery;
  await eventually('the load gets its tokens', () => (lab.provider.issued() >= enough ? true : undefined));
}

const asked = { every: '2d', overlap: '1m' };

test.serial(
  'keys and secrets: asked for, verified, switched, drained, retired; the provider is away for the whole overlap',
  async (t) => {
    t.timeout(900_000);
    const pools = await Promise.all([
      begin('keys', { rotation: asked }),
      begin('secrets', {
        client: { authentication: 'ClientSecretPost' },
        rotation: { ...asked, allowSubjectChange: true },
      }),
    ]);
    for (const { builds } of pools) await builds?.enough();
    const ids = await Promise.all(pools.map(({ rotations }) => rotations.ask(false)));
    const words = new Set<string>();
    for (const name of ['keys', 'secrets'])
      await eventually(`${name} mints with generation 2`, async () => {
        const { credential } = (await statusOf(lab, `identitypool/${name}`)) as { credential?: { generation: number } };
        return credential?.generation === 2 ? true : undefined;
      });
    const endpoints = ['update', 'delete'] as const;
    const back = endpoints.map((endpoint) => lab.provider.faults.add({ endpoint, instead: { status: 503 } }));
    const { message } = await condition(lab, 'identitypool/keys', 'CredentialCurrent', { status: 'True' });
    t.regex(
      message,
      /generation 2 mints since .*; generation 1 stays until .* at least, and until its last token has ended/,
    );
    await eventually(
      'the step that takes the old one out is held up, and the pool says so',
      async () => {
        const { conditions = [] } = await statusOf(lab, 'identitypool/keys');
        for (const one of conditions) words.add(`${one.type} ${one.reason}`);
        const said = conditions.find(({ type }) => type === 'CredentialCurrent')?.message ?? '';
        return /generation 1 is being taken out at the provider; the next step is held up: .*503/.test(said)
          ? true
          : undefined;
      },
      { timeoutMs: 150_000, everyMs: 1_000 },
    );
    for (const remove of back) remove();
    await Promise.all(pools.map(({ rotations }, index) => rotations.settled(1, ids[index], { timeoutMs: 120_000 })));
    for (const one of pools) await unharmed(t, one, [1, 2]);
    const columns = await lab.kubectl(['get', 'identitypools']);
    t.regex(columns, /NAME +READY +REASON +CLIENTS +GENERATION +CREDENTIAL AGE +NEXT ROTATION +AGE/);
    t.regex(columns, /keys +True +Ready +1 +2 +\d+[ms]\S* +20\d\d-\S+Z +\d/);
    const steps = auditOf({ audit: () => stage.auditText() })
      .filter(({ pool, generation }) => pool === 'keys' && (generation === 1 || generation === 2))
      .map(({ event, generation }) => `${event} ${String(generation)}`)
      .filter((line) => !/^(Requested|Minted|Renewed|Narrowed|Delivered|Revoked|Expired|Forbidden|Failed)/.test(line));
    t.deepEqual(
      steps.filter((line) => /Planned|Activated|Drained|Retired/.test(line)),
      ['Planned 1', 'Activated 1', 'Planned 2', 'Activated 2', 'Drained 1', 'Retired 1'],
    );
    const events = (): Promise<string> =>
      lab
        .kubectl([
          'get',
          'events',
          '-n',
          'default',
          '--field-selector',
          'regarding.name=keys',
          '-o',
          'custom-columns=R:.reason,N:.note',
          '--no-headers',
        ])
        .catch(() =>
          lab.kubectl(['get', 'events', '-n', 'default', '-o', 'custom-columns=R:.reason,N:.message', '--no-headers']),
        );
    for (const reason of ['Planned', 'CredentialCurrent', 'Draining', 'Retired'])
      await eventually(`an event ${reason}`, async () =>
        new RegExp(`^${reason} .*IdentityPool keys: `, 'm').test(await events()) ? true : undefined,
      );
  },
);

test.serial('401 for the new credential for a while: it is asked again, and the old one mints on', async (t) => {
  t.timeout(540_000);
  // Without builds: the one request that is refused has to be the one that proves the new credential.
  const late = await begin('late', { rotation: asked }, { builds: false });
  await underLoad();
  lab.provider.faults.add({ endpoint: 'token', times: 1, instead: { status: 401, body: { error: 'invalid_client' } } });
  await late.rotations.settled(1, await late.rotations.ask(true), { timeoutMs: 90_000 });
  await underLoad();
  const refused = auditOf({ audit: () => stage.auditText() }).filter(
    ({ pool, event, outcome, generation }) =>
      pool === 'late' && event === 'Proved' && outcome === 'Failure' && generation === 2,
  );
  t.is(refused.length, 1, 'the new credential was refused once');
  await unharmed(t, late, [1, 2]);
});

test.serial(
  '401 for the new credential for ever: it is taken back, the old one stays, and the pool says when it is tried again',
  async (t) => {
    t.timeout(540_000);
    const { provider } = lab;
    const never = await begin('never', { rotation: asked });
    const { rotations } = never;
    const [before] = (await rotations.record()).generations;
    // It says that it has stored the new key, and has not.
    provider.faults.add({
      endpoint: 'update',
      times: 1,
      instead: { status: 200, body: { client_id: before?.clientId, client_name: 'ci-identity never 2' } },
    });
    const id = await rotations.ask(false);
    await eventually(
      'it was taken back',
      async () => {
        const { generations } = await rotations.record();
        const { conditions = [] } = await statusOf(lab, 'identitypool/never');
        const said = conditions.find(({ type }) => type === 'CredentialCurrent')?.message ?? '';
        return generations.length === 1 &&
          generations[0]?.n === 1 &&
          /never came to work .* the next try comes by itself, not before/.test(said)
          ? true
          : undefined;
      },
      { timeoutMs: 90_000, everyMs: 250 },
    );
    t.is(
      provider.clients().find(({ clientId }) => clientId === before?.clientId)?.kids.length,
      1,
      'nothing half-made is left',
    );
    const { requests } = (await statusOf(lab, 'identitypool/never')) as {
      requests?: readonly { id: string; outcome: string }[];
    };
    t.is(requests?.find((one) => one.id === id)?.outcome, 'InProgress');
    const lines = auditOf({ audit: () => stage.auditText() }).filter((line) => line.pool === 'never');
    t.true(lines.some(({ event, generation }) => event === 'RolledBack' && generation === 2));
    await unharmed(t, never, [1]);
  },
);

test.serial(
  'an emergency while the pool is stopped: rotated, then everything from before is dead, and status and audit say how long it took',
  async (t) => {
    t.timeout(540_000);
    const leaked = await begin('leaked', { rotation: asked }, { builds: false });
    const { rotations } = leaked;
    const [before] = (await rotations.record()).generations;
    await lab.kubectl(['annotate', 'identitypool', 'leaked', 'ci-identity.dev/emergency-stop=INC-4711']);
    await condition(lab, 'identitypool/leaked', 'Ready', { status: 'True', reason: 'Suspended' });
    const id = await rotations.ask(true);
    await eventually(
      'rotated and done',
      async () => {
        const { generations } = await rotations.record();
        const { requests = [] } = (await statusOf(lab, 'identitypool/leaked')) as {
          requests?: readonly { id: string; outcome: string; message?: string }[];
        };
        const done = requests.filter(
          (one) => one.id === id && one.outcome === 'Done' && /It took/.test(one.message ?? ''),
        );
        return generations.length === 1 && generations[0]?.n === 2 && done.length === 2 ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
    const lines = auditOf({ audit: () => stage.auditText() }).filter(({ pool }) => pool === 'leaked');
    const completed = lines.find(({ event }) => event === 'Completed');
    t.regex(
      String(completed?.['message']),
      new RegExp(
        `^request ${id} was carried out in .* s: credential generation 2 replaced the one before, which is refused, and every token`,
      ),
    );
    const own = lab.provider.clients().find(({ clientId }) => clientId === before?.clientId);
    t.false(own?.kids.includes(before?.credential.kid ?? ''));
    await lab.kubectl(['annotate', 'identitypool', 'leaked', 'ci-identity.dev/emergency-stop-']);
    await unharmed(t, leaked, []);
  },
);

test.serial('requests: set back, withdrawn by GitOps, changed twice quickly', async (t) => {
  t.timeout(360_000);
  const requests = await begin('requests', { rotation: { ...asked, request: 'first' } });
  const { rotations } = requests;
  t.is((await rotations.record()).generations[0]?.n, 1, 'what stands there at the first registration is done');
  const patch = (request: string | null): Promise<string> =>
    lab.kubectl([
      'patch',
      'identitypool',
      'requests',
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { rotation: { request } } }),
    ]);
  await Promise.all([patch('second'), patch('third')]);
  await eventually('it has rotated', async () =>
    (await rotations.record()).generations.some(({ n, state }) => n >= 2 && state === 'Current') ? true : undefined,
  );
  await patch(null);
  await patch('first');
  // Until a new request would have begun: nothing tells that this one is none.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const { generations } = await rotations.record();
  t.true(
    generations.length <= 2 && (generations.at(-1)?.n ?? 0) <= 2,
    JSON.stringify(generations.map(({ n, state }) => `${n} ${state}`)),
  );
  await unharmed(t, requests, []);
});
