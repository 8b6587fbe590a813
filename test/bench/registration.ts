import { pool } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, startLabWith } from '#test/support/lab.ts';
import { type Api, expectStatus, openApi } from './api.ts';
import { type Bench, type BenchOptions, target } from './bench.ts';
import { tableOf } from './figures.ts';
import { all, poolsPath, watchPools } from './pools.ts';
import { type ProviderProcess, startProviderProcess } from './provider.ts';
import { registerBare } from './registration-floor.ts';
import { spendingOf, spendingRows } from './spending.ts';

interface RegistrationFigures {
  readonly pools: number;
  /** Seconds from the operator's first call until every pool says that its client is there and proven. */
  readonly seconds: number;
  /** Provider calls per client: registration, proof, revocation of the proof's token. */
  readonly callsPerClient: number;
  readonly tooMany: number;
  /** Seconds that as many bare registrations take at the same provider, where it has no limit. */
  readonly bare: number;
  /** Rows of the table: CPU. */
  readonly spent: readonly (readonly [string, string])[];
}

/** Calls that the provider allows in any second. */
const strict = 50;
/** What an administrator of such a provider configures: burst and rate of a second stay within it. */
const configured = { perSecond: 46, burst: 2 } as const;

/** Pools that are there when the operator starts are registered: as fast as the provider's limit allows, and as fast as we can. */
export const registration: Bench = {
  name: 'registration',
  about: '1,000 pools are registered at a provider that allows 50 calls/s, and at one that allows everything',
  async run(o) {
    const limited = await measured(o, 'Limited');
    const free = await measured(o, 'Free');
    const least = (limited.pools * limited.callsPerClient) / strict;
    const perSecond = (seconds: number): string => (free.pools / seconds).toFixed(0);
    const row = (name: string, of: (figures: RegistrationFigures) => number, digits: number): readonly string[] => [
      name,
      of(limited).toFixed(digits),
      of(free).toFixed(digits),
    ];
    return {
      runs: [limited, free],
      targets: [
        target('time ÷ the least that 50 calls/s allow', limited.seconds / least, 'AtMost', 1.25),
        target('clients per second where everything is allowed', free.pools / free.seconds, 'AtLeast', 100),
        target('÷ what the bare calls do', free.bare / free.seconds, 'AtLeast', 0.5),
      ],
      table: tableOf([
        [`registration: ${limited.pools} pools`, `${strict} calls/s`, 'no limit'],
        row('until every client is proven, s', ({ seconds }) => seconds, 1),
        ['the floor: the least that the limit allows, the bare calls alone, s', least.toFixed(1), free.bare.toFixed(1)],
        ['clients per second, floor / operator', '–', `${perSecond(free.bare)} / ${perSecond(free.seconds)}`],
        row('provider calls per client', ({ callsPerClient }) => callsPerClient, 2),
        row('answers 429', ({ tooMany }) => tooMany, 0),
        ...limited.spent.map(([name, value], n) => [name, value, free.spent[n]?.[1] ?? '']),
      ]),
    };
  },
};

async function measured(
  { log, size: pools = 1_000 }: BenchOptions,
  provider: 'Limited' | 'Free',
): Promise<RegistrationFigures> {
  const rateLimit = provider === 'Limited' ? { rateLimit: configured } : {};
  const lab = await startLabWith(startProviderProcess, { log, ...rateLimit });
  const admin = openApi(lab.cluster.kubeconfig, { connections: 8 });
  const over = new AbortController();
  try {
    const names = Array.from({ length: pools }, (_, n) => `pool-${n}`);
    await createPools(lab, admin, names);
    const seen = watchPools(admin, over.signal);
    if (provider === 'Limited') await lab.provider.limit({ perSecond: strict, delay: 0 });
    const before = await lab.provider.counts();
    const operator = lab.operator();
    await eventually(
      'the first call',
      async () => ((await lab.provider.counts()).allCalls > before.allCalls ? true : undefined),
      { timeoutMs: 120_000, everyMs: 20 },
    );
    const started = performance.now();
    const spent = await spendingOf(lab, operator);
    await all(seen, names, log, 'a proven client', ({ credential }) => credential?.generation === 1);
    const seconds = (performance.now() - started) / 1_000;
    const after = await lab.provider.counts();
    const rows = spendingRows(spent, await spendingOf(lab, operator), pools);
    await operator.stop();
    return {
      bare: provider === 'Limited' ? Number.NaN : await floorOf(lab, admin, pools),
      pools,
      seconds,
      callsPerClient: (after.allCalls - before.allCalls) / pools,
      tooMany: after.tooMany - before.tooMany,
      spent: rows,
    };
  } finally {
    over.abort();
    await admin.close();
    await lab.stop();
  }
}

/** The operator is gone by then, so nobody else registers these. */
async function floorOf(lab: Lab<ProviderProcess>, admin: Api, pools: number): Promise<number> {
  const names = Array.from({ length: pools }, (_, n) => `bare-${n}`);
  await createPools(lab, admin, names);
  return registerBare(lab, names);
}

async function createPools(lab: Lab<ProviderProcess>, admin: Api, names: readonly string[]): Promise<void> {
  for (const name of names)
    expectStatus(name, await admin.send('POST', poolsPath, JSON.parse(pool(name, lab.provider.issuer))), 201);
}
