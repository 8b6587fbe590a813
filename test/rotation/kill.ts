/**
 * Rotations while the program dies: at each effect that a rotation comes by, each time that it does, right before and right after; and once
 * with each answer lost although the provider, or the API server, acted. Under a load of token requests that must not notice. Which effects
 * there are is counted in a rotation that nobody disturbs, so a new step cannot be forgotten. One test file per variant, so that they may
 * run beside each other.
 */
import test, { type ExecutionContext } from 'ava';
import { type FaultProxy, type ProxiedRequest, startFaultProxyOf } from '#test/support/fault-proxy.ts';
import type { EffectName } from '#src/controllers/effect-names.ts';
import { type Program, Programs } from '#test/kill/program.ts';
import { assertUnharmed } from './load.ts';
import { chosen, nameOf, type Point, pointsOf, recordWrites, seed, type Write, writes } from './points.ts';
import { calls } from './provider-view.ts';
import { Rotations, type SettledOptions } from './rotations.ts';
import { type Place, type Variant, variants } from './variants.ts';

/** One variant on its stage. */
interface Act {
  readonly variant: Variant;
  readonly place: Place;
  readonly proxy: FaultProxy;
  readonly rotations: Rotations;
  /** The program, behind the proxy. */
  start(crashAt?: string): Program;
}

export function killTest(name: Variant['name']): void {
  const variant = variants.find((one) => one.name === name);
  if (variant === undefined) throw new Error(`no variant ${name}`);
  const points = chosen(variant);
  let place: Place;
  let proxy: FaultProxy;
  let programs: Programs;
  let rotations: Rotations | undefined;

  test.before(async (t) => {
    t.timeout(180_000);
    place = await variant.start();
    proxy = await startFaultProxyOf(place.lab.cluster);
    programs = new Programs(place.lab);
    const program = programs.program();
    await place.lab.guarded();
    await program.stop();
  });

  test.after.always(async () => {
    rotations?.kill();
    await programs?.close();
    await proxy?.stop();
    await place?.lab.stop();
  });

  const title = `${name}: whatever dies or is lost at any step of a rotation, nobody notices`;
  if (points.length === 0) {
    test(title, (t) => t.pass('none of the chosen points is of this variant'));
    return;
  }
  test(title, async (t) => {
    t.timeout(300_000 + points.length * 240_000);
    t.log(`ROTATION_SEED=${seed}, ${points.length} of ${pointsOf(variant).length} points`);
    const { cluster } = place.lab;
    const kubeconfig = await cluster.kubeconfigForServiceAccount('ci-identity-system', 'controller', proxy.url);
    const start = (crashAt?: string): Program => programs.program(crashAt, { kubeconfig });
    const first = start();
    rotations = await Rotations.begin({
      programs,
      view: place.view,
      name: name.toLowerCase(),
      spec: variant.spec,
      maxTokenLifetime: '5m',
    });
    await first.stop();
    const act = { variant, place, proxy, rotations, start };
    await undisturbed(t, act);
    let [deaths, failures] = [0, 0];
    for (const point of points) {
      try {
        deaths += await disturbed(t, act, point);
      } catch (error) {
        failures += 1;
        say(t, `FAILED ${nameOf(variant, point)}: ${(error as Error).message}`);
        if (failures > mostFailures) throw error;
        await recovered(act);
      }
    }
    const report = await rotations.stop();
    say(t, `${name}: ${points.length} points, ${deaths} deaths, ${failures} failed`);
    assertUnharmed(t, name, report);
    t.true(Object.keys(report.byGeneration).length > points.length / 2, 'the load saw the generations come and go');
    t.is(failures, 0);
  });
}

/** Also at once, because AVA keeps what is logged until the test is over, which may be an hour. */
function say(t: ExecutionContext, line: string): void {
  t.log(line);
  if (process.env['ROTATION_TELL'] === '1') process.stderr.write(`${line}\n`);
}

/** So many points may fail before the rest is not worth its time. */
const mostFailures = 5;

/** Everything that a rotation comes by is in the tables from which the points are taken. */
async function undisturbed(t: ExecutionContext, act: Act): Promise<void> {
  const { variant, place, proxy, rotations } = act;
  const { before, id } = await asked(act);
  place.view.heal();
  const from = proxy.requests.length;
  const program = act.start();
  await rotations.settled(before, id);
  await rotations.told();
  const effects = await clientEffectsOf(await program.metrics());
  const counted = place.view.counts();
  const written = proxy.requests.slice(from).map(writeOf);
  await program.stop();
  t.deepEqual(
    Object.fromEntries(effects),
    variant.effects,
    'the effects of a rotation are the ones that are killed at',
  );
  for (const call of calls) t.true(counted[call] >= (variant.calls[call] ?? 0), `${call} ${counted[call]} times`);
  for (const call of ['register', 'update', 'delete'] as const) t.is(counted[call], variant.calls[call] ?? 0, call);
  t.is(written.filter((write) => write === 'client record').length, recordWrites(variant));
  for (const write of writes) t.true(written.includes(write), write);
}

/** One rotation in which the program dies, or an answer is lost. Resolves with the number of deaths. */
async function disturbed(t: ExecutionContext, act: Act, point: Point): Promise<number> {
  const { variant, place, rotations } = act;
  const what = nameOf(variant, point);
  const { before, id } = await asked(act);
  const crashAt = arm(act, point);
  const from = act.proxy.requests.length;
  const program = act.start(crashAt);
  const started = Date.now();
  try {
    await rotations.settled(before, id, { losesSecret: losesSecret(variant, point) });
    await rotations.told();
    if (!isLost(act, point, from)) throw new Error('the answer that was to be lost was never given');
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}\n${program.log().slice(-4_000)}`, { cause: error });
  } finally {
    place.view.heal();
    act.proxy.heal();
    await program.stop();
  }
  say(t, `${what}: ${program.died} deaths, ${Date.now() - started} ms`);
  const deaths = crashAt === undefined ? 0 : 1;
  if (program.died !== deaths) throw new Error(`${what}: died ${program.died} times instead of ${deaths}`);
  return program.died;
}

/** An emergency, so that the old credential goes at once and every step comes in seconds. The program is not running. */
async function asked({ place, rotations }: Act): Promise<{ readonly before: number; readonly id: string }> {
  const before = (await rotations.record()).generations.at(-1)?.n ?? 0;
  await place.prepare?.();
  return { before, id: await rotations.ask(true) };
}

/** After a point that failed the next one shall begin with a pool that is at rest. */
async function recovered(act: Act): Promise<void> {
  const program = act.start();
  await act.rotations.settled(0, undefined, { losesSecret: 'Perhaps' });
  await program.stop();
}

/** Sees to it that it happens; yields where the program has to die. */
function arm({ place, proxy }: Act, point: Point): string | undefined {
  place.view.heal();
  switch (point.is) {
    case 'Killed':
      return `${point.effect}:${point.moment}:${point.time}`;
    case 'KilledRefused':
      place.view.refuse(point.refuses);
      return `${point.effect}:after`;
    case 'CallLost':
      place.view.lose(point.call, point.time);
      return undefined;
    case 'WriteLost': {
      let left = point.time;
      const when = (request: ProxiedRequest): boolean => writeOf(request) === point.write && (left -= 1) === 0;
      proxy.on({ when, times: 1, fault: { type: 'AnswerLost' } });
      return undefined;
    }
  }
}

/** Whether what was to be lost came by; of a death `died` tells. `from`: so many requests to the API server came before. */
function isLost({ place, proxy }: Act, point: Point, from: number): boolean {
  switch (point.is) {
    case 'CallLost':
      return place.view.counts()[point.call] >= point.time;
    case 'WriteLost':
      return proxy.requests.slice(from).filter((one) => writeOf(one) === point.write).length >= point.time;
    default:
      return true;
  }
}

const paths: readonly (readonly [Write, RegExp])[] = [
  ['client record', /\/namespaces\/ci-identity-system\/secrets\/client-/],
  ['session record', /\/namespaces\/ci-identity-system\/secrets\/session-/],
  ['delivery', /\/namespaces\/ci-payments\/secrets\/ci-identity-/],
  ['pool status', /\/identitypools\/[^/]+\/status/],
];

function writeOf({ method, path }: ProxiedRequest): Write | undefined {
  return method === 'GET' ? undefined : paths.find(([, pattern]) => pattern.test(path))?.[0];
}

/**
 * The answer to a registration held the only copy of a secret, or may have: nobody knows whether the call left. A person has to ask again, and
 * the client that nobody can use is counted. Other work goes on beside the registration, and a death there meets it under way or not.
 */
function losesSecret({ name }: Variant, point: Point): Required<SettledOptions>['losesSecret'] {
  if (name !== 'NewClient') return 'No';
  if (point.is === 'CallLost') return point.call === 'register' ? 'Yes' : 'No';
  if (point.is !== 'Killed') return 'No';
  if (!point.effect.startsWith('client.')) return 'Perhaps';
  const at = `${point.effect} ${point.moment}`;
  return [
    'client.Register.intent after',
    'client.Register.call before',
    'client.Register.call after',
    'client.Register.answer before',
  ].includes(at)
    ? 'Yes'
    : 'No';
}

/** How often the process came by each effect of the client machine. */
async function clientEffectsOf(metricsText: string): Promise<ReadonlyMap<EffectName, number>> {
  const pattern = /^ci_identity_effect_seconds_count\{operation="(client\.[^"]+)"[^}]*\} (\d+)/gm;
  const counts = new Map<EffectName, number>();
  for (const [, name, count] of metricsText.matchAll(pattern))
    counts.set(name as EffectName, (counts.get(name as EffectName) ?? 0) + Number(count));
  return counts;
}
