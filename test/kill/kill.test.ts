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
  ...sessionEffects.Mint.filter((effect) => effect !== 'session.Mint.introspect'),
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
    // What registers a client plans its credential too; a plan alone is made for a rotation.
    rotates: effect.startsWith('client.Update.') || effect === 'client.Plan.record',
    renews: effect === 'session.Mint.introspect',
    damages: effect === 'session.Restore.record',
    troubles: troublesOf[effect] ?? [],
    lostProbes: losesProbe ? 1 : 0,
    ...settingsFor(effect),
  };
}

interface PoolView {
  readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly conditions?: readonly Condition[] };
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
  t.timeout(360_000);
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
    t.timeout(1_200_000);
    t.is(await tell(storyOf(point)), 1, 'it died there, once');
  });
}

for (const [effect, { phase, endpoint }] of Object.entries(lostAnswers)) {
  test.serial(`the answer of ${effect} is lost`, async (t) => {
    t.timeout(360_000);
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
  t.timeout(540_000);
  const of = (...effects: readonly EffectName[]): readonly Trouble[] =>
    effects.flatMap((effect) => troublesOf[effect] ?? []);
  const refusals = of('client.Register.refusal', 'client.Update.refusal', 'client.Deregister.refusal');
  t.is(await tell({ rotates: true, troubles: refusals }), 0);
  t.is(await tell({ troubles: of('client.Refusal.record', 'session.Drop.record') }), 0);
  t.is(await tell({ renews: true, troubles: of('session.Mint.introspect') }), 0);
});

test.serial('a record that somebody deletes is written again', async (t) => {
  t.timeout(360_000);
  t.is(await tell({ damages: true }), 0);
});

test.serial(
  'a rotation whose answer took the registration access token along: minting goes on, deletion waits and says why',
  async (t) => {
    t.timeout(360_000);
    t.is(spoilt, undefined);
    const name = 'token-lost';
    const { provider } = lab;
    const poolView = async (): Promise<PoolView> =>
      (await stage.get(`/apis/ci-identity.dev/v1alpha1/identitypools/${name}`)) as PoolView;
    const program = stage.program();
    await stage.apply(name);
    await stage.sound(name);
    provider.faults.add({ endpoint: 'update', dropAnswer: true, times: 1 });
    await stage.rotate(name);
    await stage.sound('the rotation went on by a proof');
    const pod = await stage.pod(name);
    await stage.sound('a pod has a token of the new credential');
    await stage.endOf(pod);
    await stage.sound('the token is revoked');
    const { uid } = (await poolView()).metadata;
    await stage.remove(name);
    await eventually('the pool waits for its client and says why', async () => {
      const ready = (await poolView()).status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.reason === 'RegistrationAccessTokenLost') return true;
      throw new Error(JSON.stringify(ready));
    });
    t.is(stage.auditor.clientsOf(uid), 1);
    await lab.kubectl(['patch', 'identitypool', name, '--type=merge', '-p', '{"spec":{"deletionPolicy":"Retain"}}']);
    await eventually('the pool is gone', async () => {
      const { items } = (await stage.get('/apis/ci-identity.dev/v1alpha1/identitypools')) as {
        items: readonly PoolView[];
      };
      return items.length === 0 ? true : undefined;
    });
    t.is(stage.auditor.clientsOf(uid), 1, 'the client stays');
    for (const { clientId, softwareId } of provider.clients())
      if (softwareId?.endsWith(uid) === true) provider.removeClient(clientId);
    await stage.sound('the administrator deletes the client that was retained');
    await program.stop();
    t.is(program.died, 0);
  },
);

test.serial('a restart changes nothing at the provider', async (t) => {
  t.timeout(360_000);
  t.is(spoilt, undefined);
  const name = 'restarted';
  const { stats } = lab.provider;
  const first = stage.program();
  await stage.apply(name);
  await stage.sound(name);
  await stage.pod(name);
  await stage.sound('its pod has a token');
  await first.stop();
  stats.reset();
  const second = stage.program();
  await eventually('the new process has delivered again', async () =>
    (await second.effects()).includes('session.Deliver.write') ? true : undefined,
  );
  await stage.sound('the restart');
  const writes = (['register', 'update', 'delete', 'token', 'revocation'] as const).map((one) => stats.count(one));
  t.deepEqual(writes, [0, 0, 0, 0, 0]);
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
