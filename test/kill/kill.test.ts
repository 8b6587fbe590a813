/**
 * The program is killed (SIGKILL) at its outside calls and started again; every answer of the provider that says "done" is lost once. Whatever
 * happens, the auditor must be content after every phase of the story. Points come from the table that the program itself uses.
 *
 * By default: right after every call of registration and of a session's first token, and a few other points chosen by a printed seed.
 * `KILL_ALL=1` takes all, before and after; `KILL_SEED=…` repeats a choice.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import {
  clientEffects,
  type EffectName,
  effectNames,
  sessionEffects,
  statusEffects,
} from '#src/controllers/effect-names.ts';
import type { Condition } from '#src/api/meta.ts';
import { createPod, identity, policy, pool } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { type Moment, Stage, type Story, type Trouble, lostAnswers, troublesOf } from './story.ts';

interface Point {
  readonly effect: EffectName;
  readonly moment: Moment;
}

/** Registration of a client and the way to a session's first token. */
const beginning: ReadonlySet<EffectName> = new Set<EffectName>([
  ...clientEffects.Plan,
  ...clientEffects.Register,
  ...clientEffects.Prove,
  ...sessionEffects.Mint,
  ...sessionEffects.Deliver,
  statusEffects.pool.AddFinalizer,
  statusEffects.pool.WriteStatus,
  statusEffects.policy.WriteStatus,
  statusEffects.identity.WriteStatus,
]);

const seed = process.env['KILL_SEED'] ?? randomBytes(4).toString('hex');
const sampleSize = 4;

function chosenPoints(): readonly Point[] {
  const after = effectNames.map((effect): Point => ({ effect, moment: 'after' }));
  const before = effectNames.map((effect): Point => ({ effect, moment: 'before' }));
  if (process.env['KILL_ALL'] === '1') return [...after, ...before];
  const order = ({ effect, moment }: Point): string =>
    createHash('sha256').update(`${seed} ${effect} ${moment}`).digest('hex');
  const others = [...after.filter(({ effect }) => !beginning.has(effect)), ...before];
  const sample = others.toSorted((a, b) => order(a).localeCompare(order(b))).slice(0, sampleSize);
  return [...after.filter(({ effect }) => beginning.has(effect)), ...sample];
}

/** Where the answer to a PUT is lost that gave a new registration access token, nothing can be changed any more: a test of its own. */
function settingsFor(effect: EffectName): Pick<Story, 'settings'> {
  return effect.startsWith('client.Update.') ? { settings: { rotateManagementToken: false } } : {};
}

function storyOf({ effect, moment }: Point): Omit<Story, 'name'> {
  const losesProbe =
    `${effect}:${moment}` === 'client.Prove.call:after' || `${effect}:${moment}` === 'client.Prove.revoke:before';
  return {
    crashAt: { effect, moment },
    rotates: effect.startsWith('client.Update.'),
    troubles: troublesOf[effect] ?? [],
    lostProbes: losesProbe ? 1 : 0,
    ...settingsFor(effect),
  };
}

interface PoolView {
  readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly clientId?: string; readonly conditions?: readonly Condition[] };
}

let lab: Lab;
let stage: Stage;
let count = 0;
let spoilt: string | undefined;

/** What a failed story leaves behind would be blamed on every later one. */
async function tell(story: Omit<Story, 'name'>): Promise<number> {
  if (spoilt !== undefined) throw new Error(`not told, because an earlier story failed: ${spoilt}`);
  const name = `story-${(count += 1)}`;
  try {
    return await stage.tell({ name, ...story });
  } catch (error) {
    spoilt = name;
    throw error;
  }
}

test.before(async (t) => {
  t.timeout(120_000);
  t.log(`KILL_SEED=${seed}`);
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  stage = new Stage(lab);
  const program = stage.program();
  await lab.guarded();
  await program.stop();
});

test.after.always(async () => {
  await stage?.close();
  await lab?.stop();
});

test.serial(
  'nobody is killed: the auditor is content after every phase, and a client is registered once',
  async (t) => {
    const { stats } = lab.provider;
    stats.reset();
    t.is(await tell({ rotates: true }), 0);
    t.is(stats.count('register'), 1);
    t.is(stats.count('update'), 1);
  },
);

for (const point of chosenPoints()) {
  test.serial(`killed right ${point.moment} ${point.effect}`, async (t) => {
    t.timeout(180_000);
    t.is(await tell(storyOf(point)), 1, 'it died there, once');
  });
}

for (const [effect, { phase, endpoint }] of Object.entries(lostAnswers)) {
  test.serial(`the answer of ${effect} is lost`, async (t) => {
    t.timeout(120_000);
    const { stats } = lab.provider;
    stats.reset();
    const died = await tell({
      rotates: phase === 'rotation',
      troubles: [{ phase, fault: { endpoint, dropAnswer: true, times: 1 } }],
      lostProbes: effect === 'client.Prove.call' ? 1 : 0,
      ...settingsFor(effect as EffectName),
    });
    t.is(died, 0);
    t.is(stats.count(endpoint, -1), 1, 'an answer was lost');
  });
}

test.serial('refusals, an outage of revocation and a credential that is refused end well', async (t) => {
  t.timeout(180_000);
  const of = (...effects: readonly EffectName[]): readonly Trouble[] =>
    effects.flatMap((effect) => troublesOf[effect] ?? []);
  const refusals = of('client.Register.refusal', 'client.Update.refusal', 'client.Deregister.refusal');
  t.is(await tell({ rotates: true, troubles: refusals }), 0);
  t.is(await tell({ troubles: of('client.Refusal.record', 'session.Drop.record') }), 0);
});

test.serial(
  'a rotation whose answer took the registration access token with it: minting goes on, deletion waits and says so',
  async (t) => {
    t.timeout(120_000);
    t.is(spoilt, undefined);
    const name = 'token-lost';
    const { provider } = lab;
    const at = (path: string): Promise<unknown> => stage.get(path);
    const poolPath = `/apis/ci-identity.dev/v1alpha1/identitypools/${name}`;
    const program = stage.program();
    await lab.apply(
      pool(name, provider.issuer),
      policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
      identity(name, { pool: name, roles: [name] }),
    );
    await stage.sound(name);
    provider.faults.add({ endpoint: 'update', dropAnswer: true, times: 1 });
    await lab.kubectl(['annotate', 'identitypool', name, 'ci-identity.dev/rotate=now']);
    const lost = await eventually('the pool says that the token is lost', async () => {
      const { status, metadata } = (await at(poolPath)) as PoolView;
      const said = status?.conditions?.find(({ reason }) => reason === 'RegistrationAccessTokenLost');
      return said === undefined ? undefined : { ...said, uid: metadata.uid, clientId: status?.clientId };
    });
    t.regex(lost.message, /registration access token/);
    const pod = await createPod(lab, `${name}-x7k2p-q0b4t-m1wz9`, [name]);
    await eventually('the pod has a token all the same', async () => {
      const raw = (await at(`/api/v1/namespaces/${pod.namespace}/secrets/ci-identity-${name}.${pod.name}`)) as {
        data?: object;
      };
      return raw.data !== undefined && 'token' in raw.data ? true : undefined;
    });
    await lab.kubectlAsJenkins(['delete', 'pod', '-n', pod.namespace, pod.name, '--now', '--wait=false']);
    await eventually('its token is revoked', () =>
      provider.liveTokens().some(({ clientId }) => clientId === lost.clientId) ? undefined : true,
    );
    await lab.kubectl([
      'delete',
      '--wait=false',
      '-n',
      pod.namespace,
      `ciidentity/${name}`,
      `scopepolicy/${name}`,
      `identitypool/${name}`,
    ]);
    await eventually('the pool waits for its client and says why', async () => {
      const { metadata, status } = (await at(poolPath)) as PoolView;
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return metadata.deletionTimestamp !== undefined && ready?.reason === 'RegistrationAccessTokenLost'
        ? true
        : undefined;
    });
    t.is(stage.auditor.clientsOf(lost.uid), 1);
    await lab.kubectl(['patch', 'identitypool', name, '--type=merge', '-p', '{"spec":{"deletionPolicy":"Retain"}}']);
    await eventually('the pool is gone', async () => {
      const { items } = (await at('/apis/ci-identity.dev/v1alpha1/identitypools')) as { items: readonly PoolView[] };
      return items.length === 0 ? true : undefined;
    });
    t.is(stage.auditor.clientsOf(lost.uid), 1, 'the client stays');
    for (const { clientId, softwareId } of provider.clients())
      if (softwareId?.endsWith(lost.uid) === true) provider.removeClient(clientId);
    await stage.sound('the administrator deletes the client that was retained');
    await program.stop();
  },
);

test.serial('a restart changes nothing at the provider', async (t) => {
  t.timeout(120_000);
  t.is(spoilt, undefined);
  const name = 'restarted';
  const { stats } = lab.provider;
  const first = stage.program();
  await lab.apply(
    pool(name, lab.provider.issuer),
    policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
    identity(name, { pool: name, roles: [name] }),
  );
  await stage.sound(name);
  await createPod(lab, `${name}-x7k2p-q0b4t-m1wz9`, [name]);
  await stage.sound(`${name} pod`);
  await first.stop();
  stats.reset();
  const second = stage.program();
  const effects = await eventually('the new process delivered again, and came to rest', async () => {
    const done = await second.effects();
    return done.includes('session.Deliver.write') ? done : undefined;
  });
  await stage.sound('the restart');
  t.is(
    stats.count('register') +
      stats.count('update') +
      stats.count('delete') +
      stats.count('token') +
      stats.count('revocation'),
    0,
  );
  t.false(effects.includes('session.Mint.call'));
  await second.stop();
});

test.serial('no effect of the table is out of reach', (t) => {
  t.is(spoilt, undefined);
  t.is(new Set(effectNames).size, effectNames.length);
  t.deepEqual(
    effectNames.filter((effect) => !stage.reached.has(effect)),
    [],
  );
});

test.serial('audit verify: every chain of every process is whole', async (t) => {
  const file = join(lab.dir, 'all.audit');
  writeFileSync(file, stage.auditText());
  const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'audit', 'verify', file]);
  t.regex(stdout, /every chain whole/);
});
