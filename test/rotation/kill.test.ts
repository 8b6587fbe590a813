/**
 * Rotations while the program dies: at each effect that a rotation comes by, each time that it does, right before and right after; and once
 * with the answer lost although the provider acted. Under a load of token requests that must not notice. Which effects there are is counted
 * in a rotation that nobody disturbs, so a new step cannot be forgotten.
 *
 * By default a sample, chosen by a printed seed; `ROTATION_ALL=1` (`npm run test:rotation`) takes all, `ROTATION_SEED=…` repeats a choice,
 * `ROTATION_SAMPLE=…` sets its size, and `ROTATION_POINTS='TwoKeys, client.Prove.record before (2); …'` names the points as the test prints them.
 */
import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import { type EffectName, sessionEffects, statusEffects } from '#src/controllers/effect-names.ts';
import { Stage } from '#test/kill/story.ts';
import type { Endpoint, Fault } from '#test/providers/oidc-provider-faults.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { assertUnharmed } from './load.ts';
import { clientEffectsOf, type Program, Rotations } from './rotations.ts';

interface Variant {
  readonly name: 'TwoKeys' | 'NewClient';
  readonly spec: Readonly<Record<string, unknown>>;
  /** What one rotation comes by, and how often. */
  readonly effects: Readonly<Partial<Record<EffectName, number>>>;
  /** Calls whose answer is lost, each the first of its kind in a rotation. */
  readonly lost: Readonly<Partial<Record<EffectName, Endpoint>>>;
  /** Refused once: the effect that stores a refusal needs one. */
  readonly refusals: Readonly<Partial<Record<EffectName, Endpoint>>>;
}

/** Verified, and asked once more when it is taken out, which is refused: there is nothing to revoke then. */
const proofs = { 'client.Prove.call': 2, 'client.Prove.record': 2, 'client.Prove.revoke': 1 } as const;
const refused = (endpoint: Endpoint): Fault => ({
  endpoint,
  times: 1,
  instead: { status: 429, headers: { 'retry-after': '1' } },
});

const variants: readonly Variant[] = [
  {
    name: 'TwoKeys',
    spec: {},
    effects: {
      'client.Plan.record': 1,
      'client.Update.metadata': 2,
      'client.Update.intent': 2,
      'client.Update.call': 2,
      'client.Update.answer': 2,
      ...proofs,
      'client.Record.record': 2,
    },
    lost: { 'client.Update.call': 'update', 'client.Prove.call': 'token', 'client.Prove.revoke': 'revocation' },
    refusals: { 'client.Update.refusal': 'update' },
  },
  {
    name: 'NewClient',
    spec: { client: { authentication: 'ClientSecretBasic' }, rotation: { allowSubjectChange: true } },
    effects: {
      'client.Plan.record': 1,
      'client.Register.metadata': 1,
      'client.Register.intent': 1,
      'client.Register.call': 1,
      'client.Register.answer': 1,
      ...proofs,
      'client.Record.record': 2,
      'client.Observe.metadata': 1,
      'client.Observe.call': 1,
      'client.Observe.record': 1,
      'client.Deregister.metadata': 1,
      'client.Deregister.intent': 1,
      'client.Deregister.call': 1,
      'client.Deregister.answer': 1,
    },
    lost: { 'client.Register.call': 'register', 'client.Prove.call': 'token', 'client.Deregister.call': 'delete' },
    refusals: { 'client.Register.refusal': 'register', 'client.Deregister.refusal': 'delete' },
  },
];

/**
 * What the build's session and the pool's status come by in an emergency; how often depends on the hour. Not a token that is thrown away,
 * nor the question that only a renewal asks: `test/kill` is about those.
 */
const others: readonly EffectName[] = [
  ...sessionEffects.Mint.filter((effect) => effect !== 'session.Mint.revoke' && effect !== 'session.Mint.introspect'),
  ...sessionEffects.Revoke,
  statusEffects.pool.WriteStatus,
];

interface Point {
  readonly effect: EffectName;
  readonly moment: 'before' | 'after' | 'answer lost' | 'refusal, after';
  readonly time: number;
}

function pointsOf({ effects, lost, refusals }: Variant): readonly Point[] {
  const counted = Object.entries(effects) as [EffectName, number][];
  const crashes = [...counted, ...others.map((effect) => [effect, 1] as const)].flatMap(([effect, times]) =>
    Array.from({ length: times }, (_, index) => index + 1).flatMap((time): Point[] => [
      { effect, moment: 'before', time },
      { effect, moment: 'after', time },
    ]),
  );
  return [
    ...crashes,
    ...(Object.keys(lost) as EffectName[]).map((effect): Point => ({ effect, moment: 'answer lost', time: 1 })),
    ...(Object.keys(refusals) as EffectName[]).map((effect): Point => ({ effect, moment: 'refusal, after', time: 1 })),
  ];
}

const seed = process.env['ROTATION_SEED'] ?? randomBytes(4).toString('hex');
const sampleSize = Number(process.env['ROTATION_SAMPLE'] ?? 7);
const named = process.env['ROTATION_POINTS']?.split(';').map((name) => name.trim());

function nameOf(variant: Variant, { effect, moment, time }: Point): string {
  return `${variant.name}, ${effect} ${moment}${time === 1 ? '' : ` (${time})`}`;
}

function chosen(variant: Variant): readonly Point[] {
  const all = pointsOf(variant);
  if (process.env['ROTATION_ALL'] === '1') return all;
  if (named !== undefined) return all.filter((point) => named.includes(nameOf(variant, point)));
  const order = ({ effect, moment, time }: Point): string =>
    createHash('sha256').update(`${seed} ${variant.name} ${effect} ${moment} ${time}`).digest('hex');
  return all.toSorted((a, b) => order(a).localeCompare(order(b))).slice(0, sampleSize);
}

let lab: Lab;
let stage: Stage;
let rotations: Rotations | undefined;
let spoilt: string | undefined;

test.before(async (t) => {
  t.timeout(180_000);
  t.log(`ROTATION_SEED=${seed}`);
  // A PUT that gives a new management token takes it along when its answer is lost; `test/clients/ownership.test.ts` is about that.
  lab = await startLab({ tokenLifetime: 60, deliveryLag: '2s' });
  lab.provider.settings.rotateManagementToken = false;
  stage = new Stage(lab);
  const program = stage.program();
  await lab.guarded();
  await program.stop();
});

test.after.always(async () => {
  rotations?.kill();
  await stage?.close();
  await lab?.stop();
});

for (const variant of variants) {
  test.serial(`${variant.name}: killed at every step of a rotation, nobody notices`, async (t) => {
    const points = chosen(variant);
    if (points.length === 0) return void t.pass('none of the named points is of this variant');
    t.timeout(300_000 + points.length * 240_000);
    t.is(spoilt, undefined);
    spoilt = variant.name;
    let program: Program = stage.program();
    rotations = await Rotations.begin(stage, lab, variant.name.toLowerCase(), variant.spec);
    await program.stop();
    program = stage.program();
    const { generation } = await rotate(rotations, 'undisturbed');
    const counts = await clientEffectsOf(await program.metrics());
    t.deepEqual(
      Object.fromEntries(counts),
      variant.effects,
      'the effects of a rotation are the ones that are killed at',
    );
    await program.stop();
    let deaths = 0;
    for (const point of points) deaths += await killedAt(t, variant, rotations, point);
    const report = await rotations.stop();
    t.log(
      `${variant.name}: ${points.length} points, ${deaths} deaths, generation ${generation} to ${(await rotations.record()).generations[0]?.n}`,
    );
    assertUnharmed(t, variant.name, report);
    t.true(Object.keys(report.byGeneration).length > points.length / 2, 'the load saw the generations come and go');
    spoilt = undefined;
  });
}

interface Rotated {
  readonly generation: number;
}

async function rotate(rotations: Rotations, what: string): Promise<Rotated> {
  const before = (await rotations.record()).generations.at(-1)?.n ?? 0;
  const id = await rotations.ask(true);
  try {
    await rotations.settled(before, id);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
  return { generation: before + 1 };
}

/** One rotation in which the program dies, or an answer is lost. Resolves with the number of deaths. */
async function killedAt(
  t: { log(line: string): void; is: (a: unknown, b: unknown, message?: string) => boolean },
  variant: Variant,
  rotations: Rotations,
  point: Point,
): Promise<number> {
  const { effect, moment, time } = point;
  const what = nameOf(variant, point);
  const before = (await rotations.record()).generations.at(-1)?.n ?? 0;
  const id = await rotations.ask(true);
  const lost = variant.lost[effect];
  const refusal = variant.refusals[effect];
  if (moment === 'answer lost' && lost !== undefined)
    lab.provider.faults.add({ endpoint: lost, dropAnswer: true, times: 1 });
  if (moment === 'refusal, after' && refusal !== undefined) lab.provider.faults.add(refused(refusal));
  const crashAt =
    moment === 'answer lost' ? undefined : `${effect}:${moment === 'before' ? 'before' : 'after'}:${time}`;
  const program = stage.program(crashAt);
  const started = Date.now();
  try {
    if (variant.name === 'NewClient' && losesSecret(effect, moment)) await askAgainWhenLost(rotations, before);
    else await rotations.settled(before, id);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}\n${program.log().slice(-4_000)}`, { cause: error });
  } finally {
    lab.provider.faults.clear();
    await program.stop();
  }
  t.log(`${what}: ${program.died} deaths, ${Date.now() - started} ms`);
  t.is(program.died, moment === 'answer lost' ? 0 : 1, what);
  return program.died;
}

/** The answer held the only copy of a secret: a person has to ask again, and the client that nobody can use is counted. */
function losesSecret(effect: EffectName, moment: Point['moment']): boolean {
  const at = `${effect} ${moment}`;
  return ['client.Register.call after', 'client.Register.call answer lost', 'client.Register.answer before'].includes(
    at,
  );
}

async function askAgainWhenLost(rotations: Rotations, before: number): Promise<void> {
  await rotations.waitsForPerson();
  const id = await rotations.ask(true);
  await rotations.settled(before, id);
}
