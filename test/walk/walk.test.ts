/**
 * A random walk on the real API server: edits, births and deaths of pods, kinds and namespaces that go and are made anew, trouble at the
 * provider and at the API server, audit streams that nobody reads, kills, restarts and changes of the leader. After every stretch everything
 * rests until the independent auditor finds: no token alive without a reason, no reason without a token, a line for every change, no secret in
 * the open.
 *
 * `WALK_STEPS` (default: a sample) says how long it is, `WALK_SEED` repeats a walk, `WALK_ALL=1` adds the steps after which a rest may take long.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { type Lab, type LabOptions, startLab } from '#test/support/lab.ts';
import { Random } from '#test/support/random.ts';
import { goAndComeBack } from './calamities.ts';
import { allow, kinds, mostPods, steps } from './steps.ts';
import { Walk } from './walk.ts';

const seed = process.env['WALK_SEED'] ?? randomBytes(4).toString('hex');
const length = Number(process.env['WALK_STEPS'] ?? 200);
const stretch = 40;
/**
 * Every so many steps everything is allowed, pods are born and live until their tokens are renewed, and then a whole kind goes and comes back;
 * most pods of a walk do not live that long.
 */
const longStretch = 5 * stretch;
const lifetime = 30;
const renewedMs = 20_000;

const options: LabOptions = { tokenLifetime: lifetime, deliveryLag: '2s' };

let lab: Lab;
let walk: Walk;

test.before(async () => {
  lab = await startLab(options);
  // A lost answer would take the management token along for good; that is a story of its own (test/kill).
  lab.provider.settings.rotateManagementToken = false;
  walk = await Walk.open(lab, options);
});

test.after.always(async () => {
  await walk?.end();
  await lab?.stop();
});

test.serial(`${length} random steps`, async (t) => {
  t.timeout(length * 3_000 + 300_000);
  t.log(`WALK_SEED=${seed} WALK_STEPS=${length}`);
  const random = new Random(seed);
  const trail: string[] = [];
  const rests: number[] = [];
  const told = new Map<string, number>();
  try {
    await walk.begin(random);
    for (let n = 1; n <= length; n += 1) {
      trail.push(await walk.step(random));
      await new Promise((resolve) => setTimeout(resolve, random.below(250)));
      if (n % stretch !== 0 && n !== length) continue;
      rests.push(await walk.rest());
      if (n % longStretch !== 0 && n !== length) continue;
      await allow(walk);
      rests.push(await walk.rest());
      for (let born = 0; born < mostPods; born += 1) await steps['birth']?.step(walk, random);
      await new Promise((resolve) => setTimeout(resolve, renewedMs));
      rests.push(await walk.rest());
      // Under all these sessions, so that the brake has something to hold.
      await goAndComeBack(walk, random);
      rests.push(await walk.rest());
    }
  } catch (error) {
    t.log(`step ${trail.length}: … ${trail.slice(-stretch).join(', ')}`);
    t.log(walk.log());
    throw error;
  } finally {
    t.log([...walk.counts].map(([name, count]) => `${name} ${count}`).join(', '));
    for (const [, event = ''] of walk.audit().matchAll(/"event":"(\w+)"/g)) told.set(event, (told.get(event) ?? 0) + 1);
    t.log(`audit lines: ${[...told].map(([event, lines]) => `${event} ${lines}`).join(', ')}`);
    t.log(`rested ${rests.length} times, ${Math.round(Math.max(0, ...rests) / 1_000)} s at most`);
    for (const rest of walk.longRests) t.log(`rested ${rest.slice(0, 2_000)}`);
  }
  if (length >= 1_000)
    t.deepEqual(
      Object.keys(kinds).filter((name) => !walk.counts.has(name)),
      [],
    );
  for (const event of ['Minted', 'Renewed', 'Revoked', ...(length >= 1_000 ? ['Held', 'Released'] : [])])
    t.true(told.has(event), `a walk without ${event} has shown nothing`);
});
