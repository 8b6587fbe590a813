import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { configurationText, type Lab, startLabWith } from '#test/support/lab.ts';
import { pool } from '#test/api/operator-lab.ts';
import { type Api, expectStatus, openApi } from './api.ts';
import { type Bench, type BenchOptions, median, type Target, target } from './bench.ts';
import { tableOf, useOf } from './figures.ts';
import { type ProviderProcess, registerBareClient, startProviderProcess } from './provider.ts';
import { all, isAtRest, poolsPath, watchPools } from './pools.ts';
import { startBareRotator } from './rotation-floor.ts';
import { spendingOf, spendingRows } from './spending.ts';
import { clearSessions, identitiesYaml, profiling, serveFloor, watchTokens } from './stage.ts';

/** What the provider allows in any second, and how long it takes for each answer. */
const limit = { perSecond: 50, delay: 20 } as const;
/** What an administrator of such a provider configures: burst and rate of a second stay within it. */
const configured = { perSecond: 46, burst: 2 } as const;
/** Of bare rotations, calls a second: what the operator comes to where it keeps its aim, with room for the pods that mint meanwhile. */
const barePace = 42;
/** Provider calls of one rotation until the new credential mints: update, token, revocation of that token. */
const callsUntilSwitched = 3;
const namespace = 'ci-payments';

interface RotationFigures {
  readonly pools: number;
  /** Seconds from the first request until every pool mints with its new credential. */
  readonly switched: number;
  /** Seconds until every old credential is gone too; the overlap of a minute is in it. */
  readonly retired: number;
  /** Of the provider's calls, 429 answers and answers that failed otherwise. */
  readonly calls: number;
  readonly tooMany: number;
  readonly failures: number;
  /** Writes to records and status per rotation; events come on top, five at most. */
  readonly writes: Readonly<Record<string, number>>;
  /** MiB of the operator before, at most in between, and after. */
  readonly memory: readonly [number, number, number];
  readonly waits: Waits;
  /** The same for a bare process that mints, before and during the bare calls of as many rotations a second. */
  readonly bareWaits: Waits;
  /** Rows of the table: CPU until all were switched. */
  readonly spent: readonly (readonly [string, string])[];
}

/** Milliseconds, one pod of another pool after the other: before, and during the rotation. */
interface Waits {
  readonly quiet: readonly number[];
  readonly busy: readonly number[];
}

/** A thousand pools that are all asked to rotate at once, at a provider that answers in 20 ms and takes 50 calls a second. */
export const rotation: Bench = {
  name: 'rotation',
  about: '1,000 pools rotate at a provider that answers in 20 ms and allows 50 calls/s; other pools mint meanwhile',
  async run(o) {
    const size = o.size ?? 1_000;
    const lab = await startLabWith(startProviderProcess, {
      log: o.log,
      rateLimit: configured,
    });
    const admin = openApi(lab.cluster.kubeconfig, { connections: 8 });
    const over = new AbortController();
    try {
      const figures = await measured(lab, size, { ...o, admin, over: over.signal });
      return { runs: [figures], targets: judge(figures), table: table(figures) };
    } finally {
      over.abort();
      await admin.close();
      await lab.stop();
    }
  },
};

async function measured(
  lab: Lab<ProviderProcess>,
  size: number,
  { log, profile, admin, over }: BenchOptions & { readonly admin: Api; readonly over: AbortSignal },
): Promise<RotationFigures> {
  const jenkins = openApi(lab.jenkinsKubeconfig, { connections: 2 });
  const tokens = watchTokens(admin, over);
  const yaml = identitiesYaml();
  await lab.apply(yaml.replaceAll('ISSUER', lab.provider.issuer));
  // Registering is not what is measured, so it goes without the limit.
  const fast = lab.operator({ configFile: unlimited(lab) });
  await fast.ready();
  await lab.guarded();
  const pools = watchPools(admin, over);
  const spec = {
    ceiling: { scopes: ['artifacts:publish'], audiences: ['https://registry.example.com'], maxTokenLifetime: '1m' },
    rotation: { overlap: '1m' },
  };
  const names = Array.from({ length: size }, (_, n) => `rotated-${n}`);
  for (const name of names)
    expectStatus(name, await admin.send('POST', poolsPath, JSON.parse(pool(name, lab.provider.issuer, spec))), 201);
  const allAt = async (generation: number): Promise<void> =>
    all(pools, names, log, `generation ${generation}`, ({ credential }) => credential?.generation === generation);
  await allAt(1);
  await fast.stop();
  let pods = 0;
  const pod = async (): Promise<number> => {
    const name = `payments-deploy-${(pods += 1)}-x7k2p-q0b4t-m1wz9`;
    const token = tokens.expect(name);
    expectStatus(name, await jenkins.send('POST', `/api/v1/namespaces/${namespace}/pods`, agentPod({ name })), 201);
    const created = performance.now();
    return (await token.within(60_000)) - created;
  };
  const several = async (until: () => boolean): Promise<number[]> => {
    const waits: number[] = [];
    while (!until()) {
      waits.push(await pod());
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    return waits;
  };
  const severalMore = (count: number): Promise<number[]> => {
    const enough = pods + count;
    return several(() => pods >= enough);
  };
  const bareWaits = await bareWaitsOf(lab, admin, Math.min(size, 300), several, severalMore);
  const operator = lab.operator(profiling(profile));
  await operator.ready();
  await severalMore(5);
  const quiet = await severalMore(40);
  const before = { ...(await countsOf(lab, operator)), memory: useOf(operator.pid).resident };
  const spentBefore = await spendingOf(lab, operator);
  const started = performance.now();
  const since = (): number => (performance.now() - started) / 1_000;
  let done = false;
  const busyPods = several(() => done);
  for (const name of names) {
    const body = { metadata: { annotations: { 'ci-identity.dev/rotate': 'bench' } } };
    expectStatus(name, await admin.merge(`${poolsPath}/${name}`, body), 200);
  }
  await allAt(2);
  const switched = since();
  const spent = spendingRows(spentBefore, await spendingOf(lab, operator), size);
  done = true;
  const busy = await busyPods;
  await all(pools, names, log, 'one credential only', isAtRest);
  const retired = since();
  const after = { ...(await countsOf(lab, operator)), memory: useOf(operator.pid) };
  await operator.stop();
  await jenkins.close();
  const writes = [...after.writes].map(
    ([name, count]) => [name, (count - (before.writes.get(name) ?? 0)) / size] as const,
  );
  return {
    pools: size,
    switched,
    retired,
    calls: after.provider.allCalls - before.provider.allCalls,
    tooMany: after.provider.tooMany - before.provider.tooMany,
    failures: after.failures - before.failures,
    writes: Object.fromEntries(writes.filter(([, count]) => count > 0)),
    memory: [before.memory, after.memory.peak, after.memory.resident],
    waits: { quiet, busy },
    bareWaits,
    spent,
  };
}

/** The floor for who mints meanwhile: a bare process that serves the pods, and bare rotations. Limits the provider for what follows. */
async function bareWaitsOf(
  lab: Lab<ProviderProcess>,
  admin: Api,
  size: number,
  several: (until: () => boolean) => Promise<readonly number[]>,
  severalMore: (count: number) => Promise<readonly number[]>,
): Promise<Waits> {
  const rotator = await startBareRotator(lab, size);
  const client = await registerBareClient(lab.provider);
  await lab.provider.limit(limit);
  const minter = await serveFloor(lab, client, { parallel: 8 });
  await severalMore(5);
  const quiet = await severalMore(40);
  let done = false;
  const [busy] = await Promise.all([
    several(() => done),
    rotator.rotate(barePace).finally(() => {
      done = true;
    }),
  ]);
  await minter.stop();
  await rotator.stop();
  await clearSessions(admin, 'floor');
  return { quiet, busy };
}

function unlimited(lab: Lab<ProviderProcess>): string {
  const file = join(lab.dir, 'unlimited.yaml');
  writeFileSync(file, configurationText(lab.provider.issuer, {}));
  return file;
}

async function countsOf(
  lab: Lab<ProviderProcess>,
  operator: { ports(): Promise<{ readonly metrics: number }> },
): Promise<{
  provider: Awaited<ReturnType<ProviderProcess['counts']>>;
  writes: Map<string, number>;
  failures: number;
}> {
  const { metrics } = await operator.ports();
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  const writes = new Map<string, number>();
  const written =
    /^ci_identity_effect_seconds_count\{operation="((?:client\.\w+\.(?:record|intent|answer)|pool\.\w+))"[^}]*\} (\d+)/gm;
  for (const [, name = '', count] of text.matchAll(written)) writes.set(name, (writes.get(name) ?? 0) + Number(count));
  const failures = [...text.matchAll(/^ci_identity_failures_total\{[^}]*\} (\d+)/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  return { provider: await lab.provider.counts(), writes, failures };
}

function slowed({ quiet, busy }: Waits): number {
  return median(busy) / median(quiet);
}

function judge({ pools, switched, failures, waits, bareWaits, memory }: RotationFigures): readonly Target[] {
  const least = (pools * callsUntilSwitched) / limit.perSecond;
  return [
    target('time until all mint anew, of what the limit dictates', switched / least, 'AtMost', 1.25),
    target('failures', failures, 'Exactly', 0),
    target('minting of other pools, median, of the quiet one', slowed(waits), 'AtMost', 1.1),
    target('the same, of what the bare calls do to a bare minter', slowed(waits) / slowed(bareWaits), 'AtMost', 1.1),
    target('memory at its peak, of before', memory[1] / memory[0], 'AtMost', 1.5),
  ];
}

function table(f: RotationFigures): string {
  const least = (f.pools * callsUntilSwitched) / limit.perSecond;
  const perRotation = Object.values(f.writes).reduce((sum, count) => sum + count, 0);
  return tableOf([
    [`rotation of ${f.pools} pools`, ''],
    ['all mint anew, s', `${f.switched.toFixed(1)} (the limit dictates ${least.toFixed(0)})`],
    ['all old ones gone, s (overlap 60 s)', f.retired.toFixed(1)],
    ['provider calls, those of 45 pods counted in', String(f.calls)],
    ['answers 429', String(f.tooMany)],
    ['failures of the operator', String(f.failures)],
    ['API writes per rotation', perRotation.toFixed(1)],
    ...Object.entries(f.writes).map(([name, count]) => [`  ${name}`, count.toFixed(2)]),
    ['operator MiB before / peak / after', f.memory.map((value) => value.toFixed(0)).join(' / ')],
    ['pod → token of another pool before, ms', told(f.waits.quiet)],
    ['the same meanwhile, ms', told(f.waits.busy)],
    ['floor: pod → token by the bare calls before, ms', told(f.bareWaits.quiet)],
    ['floor: the same beside bare rotations, ms', told(f.bareWaits.busy)],
    ...f.spent,
  ]);
}

function told(waits: readonly number[]): string {
  return `${median(waits).toFixed(0)} (${waits.length} pods)`;
}
