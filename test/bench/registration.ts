import { poolFinalizer } from '#src/api/names.ts';
import { pool } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, startLabWith } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import { type Api, expectStatus, openApi, writesOf } from './api.ts';
import { type Bench, type BenchOptions, target } from './bench.ts';
import { tableOf } from './figures.ts';
import { inParallel } from './in-parallel.ts';
import { type PoolStatus, all, poolsPath, watchPools } from './pools.ts';
import { type ProviderProcess, startProviderProcess } from './provider.ts';
import { registerBare, warmUp } from './registration-floor.ts';
import { spendingOf, spendingRows } from './spending.ts';
import { profiling } from './stage.ts';

interface RegistrationFigures {
  readonly pools: number;
  /** Seconds until every pool says that its client is there and proven. */
  readonly seconds: number;
  /** Seconds until the token of every proof is revoked too. */
  readonly revokedAfter: number;
  /** Provider calls per client until then: registration, proof, and what is revoked by then of the tokens of proofs. */
  readonly callsPerClient: number;
  readonly tooMany: number;
  /** Writes to the API server per client, by verb and resource. */
  readonly writes: ReadonlyMap<string, number>;
  /** As many bare registrations at the same provider, where it has no limit: seconds, and rows as in `spent`. */
  readonly bare?: { readonly seconds: number; readonly spent: readonly (readonly [string, string])[] };
  /** Rows of the table: CPU. */
  readonly spent: readonly (readonly [string, string])[];
}

/** Calls that the provider allows in any second. */
const strict = 50;
/** What an administrator of such a provider configures: burst and rate of a second stay within it. */
const configured = { perSecond: 46, burst: 2 } as const;

/** So many pools are registered before, so that the code of the operator is compiled, as that of one is which has run for days. */
const before = 100;

/** Pools that come all at once are registered: as fast as the provider's limit allows, and as fast as we can. */
export const registration: Bench = {
  name: 'registration',
  about: '1,000 pools are registered at a provider that allows 50 calls/s, and at one that allows everything',
  async run(o) {
    const limited = await measured(o, 'Limited');
    const free = await measured(o, 'Free');
    const bare = free.bare?.seconds ?? Number.NaN;
    const spentBare = new Map(free.bare?.spent);
    const kinds = [...new Set([...limited.writes.keys(), ...free.writes.keys()])];
    const least = (limited.pools * limited.callsPerClient) / strict;
    const perSecond = (seconds: number): string => (free.pools / seconds).toFixed(0);
    const row = (name: string, of: (figures: RegistrationFigures) => number, digits: number): readonly string[] => [
      name,
      of(limited).toFixed(digits),
      of(free).toFixed(digits),
      '',
    ];
    return {
      runs: [limited, free],
      targets: [
        target('time ÷ the least that 50 calls/s allow', limited.seconds / least, 'AtMost', 1.25),
        target('clients per second where everything is allowed', free.pools / free.seconds, 'AtLeast', 100),
        target('÷ what the bare calls do', bare / free.seconds, 'AtLeast', 0.5),
      ],
      table: tableOf([
        [`registration: ${limited.pools} pools`, `${strict} calls/s`, 'no limit', 'bare calls, no limit'],
        ['until every client is proven, s', ...[limited.seconds, free.seconds, bare].map((each) => each.toFixed(1))],
        ['the least that the limit allows, s', least.toFixed(1), '', ''],
        ['clients per second', ...[limited.seconds, free.seconds, bare].map(perSecond)],
        row('until every token of a proof is revoked, s', ({ revokedAfter }) => revokedAfter, 1),
        row('provider calls per client until it is proven', ({ callsPerClient }) => callsPerClient, 2),
        row('answers 429', ({ tooMany }) => tooMany, 0),
        row('API writes per client', ({ writes }) => sumOf(writes), 2),
        ...kinds.map((name) => row(`  ${name}`, ({ writes }) => writes.get(name) ?? 0, 2)),
        ...limited.spent.map(([name, value], n) => [name, value, free.spent[n]?.[1] ?? '', spentBare.get(name) ?? '']),
      ]),
    };
  },
};

async function measured(
  { log, profile, size: pools = 1_000 }: BenchOptions,
  provider: 'Limited' | 'Free',
): Promise<RegistrationFigures> {
  const rateLimit = provider === 'Limited' ? { rateLimit: configured } : {};
  const lab = await startLabWith(startProviderProcess, { log, ...rateLimit });
  const admin = openApi(lab.cluster.kubeconfig, { connections: 8 });
  const over = new AbortController();
  try {
    const names = Array.from({ length: pools }, (_, n) => `pool-${n}`);
    const earlierNames = Array.from({ length: before }, (_, n) => `warm-${n}`);
    await createPools(lab, admin, earlierNames);
    const seen = watchPools(admin, over.signal);
    await warmUp(lab.provider, 200);
    const revokedBefore = await revocations(lab);
    const operator = lab.operator(provider === 'Free' ? profiling(profile) : {});
    await all(seen, earlierNames, log, 'a proven client', isProven);
    await allRevoked(lab, revokedBefore + before);
    await finalizersCome(lab, admin);
    if (provider === 'Limited') await lab.provider.limit({ perSecond: strict, delay: 0 });
    const { earlier, revoked, writesBefore, spent } = await frozen(operator, async () => {
      await createPools(lab, admin, names);
      return {
        earlier: await lab.provider.counts(),
        revoked: await revocations(lab),
        writesBefore: await writesOf(admin),
        spent: await spendingOf(lab, operator),
      };
    });
    const started = performance.now();
    await all(seen, names, log, 'a proven client', isProven);
    const seconds = (performance.now() - started) / 1_000;
    const after = await lab.provider.counts();
    const rows = spendingRows(spent, await spendingOf(lab, operator), pools);
    const writes = [...(await writesOf(admin))].map(
      ([name, count]) => [name, (count - (writesBefore.get(name) ?? 0)) / pools] as const,
    );
    await allRevoked(lab, revoked + pools);
    const revokedAfter = (performance.now() - started) / 1_000;
    await operator.stop();
    return {
      ...(provider === 'Limited' ? {} : { bare: await floorOf(lab, admin, pools) }),
      pools,
      seconds,
      revokedAfter,
      callsPerClient: (after.allCalls - earlier.allCalls) / pools,
      tooMany: after.tooMany - earlier.tooMany,
      writes: new Map(writes.filter(([, count]) => count >= 0.005)),
      spent: rows,
    };
  } finally {
    over.abort();
    await admin.close();
    await lab.stop();
  }
}

async function allRevoked(lab: Lab<ProviderProcess>, revoked: number): Promise<void> {
  await eventually(
    'every token of a proof is revoked',
    async () => ((await revocations(lab)) >= revoked ? true : undefined),
    { timeoutMs: 300_000, everyMs: 50 },
  );
}

/** As where an operator has led for a while: admission gives new pools their finalizer (`manifests/admission/finalizer.yaml`). */
async function finalizersCome(lab: Lab<ProviderProcess>, admin: Api): Promise<void> {
  const tried: unknown = JSON.parse(pool('tried', lab.provider.issuer));
  await eventually('new pools have their finalizer', async () => {
    const { text } = await admin.send('POST', `${poolsPath}?dryRun=All`, tried);
    return text.includes(poolFinalizer) ? true : undefined;
  });
}

/** Whoever stands still for longer than this rightly believes that somebody else leads by now. */
const longestFreeze = 7_000;

/** The operator stands still meanwhile. */
async function frozen<T>({ pid }: OperatorProcess, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  process.kill(pid, 'SIGSTOP');
  try {
    const result = await work();
    if (performance.now() > started + longestFreeze)
      throw new Error('this machine is too busy to create pools in time');
    return result;
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

async function revocations({ provider }: Lab<ProviderProcess>): Promise<number> {
  return (await provider.revokedAt()).length;
}

function isProven({ credential }: PoolStatus): boolean {
  return credential?.generation === 1;
}

function sumOf(writes: ReadonlyMap<string, number>): number {
  return [...writes.values()].reduce((sum, count) => sum + count, 0);
}

/** The operator is gone by then, so nobody else registers these. */
async function floorOf(
  lab: Lab<ProviderProcess>,
  admin: Api,
  pools: number,
): Promise<NonNullable<RegistrationFigures['bare']>> {
  const names = Array.from({ length: pools }, (_, n) => `bare-${n}`);
  await createPools(lab, admin, names);
  const spent = await spendingOf(lab);
  const seconds = await registerBare(lab, names);
  return { seconds, spent: spendingRows(spent, await spendingOf(lab), pools) };
}

async function createPools(lab: Lab<ProviderProcess>, admin: Api, names: readonly string[]): Promise<void> {
  await inParallel(names, 8, async (name) => {
    expectStatus(name, await admin.send('POST', poolsPath, JSON.parse(pool(name, lab.provider.issuer))), 201);
  });
}
