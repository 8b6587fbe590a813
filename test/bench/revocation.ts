import { eventually } from '#test/support/eventually.ts';
import { type Bench, cell, median, target } from './bench.ts';
import { percentile, tableOf } from './figures.ts';
import { profileDirectory } from './pods.ts';
import { spendingOfAll, type Spent, spentBetween } from './spending.ts';
import { type Contender, openStage, type Serving, type Stage } from './stage.ts';
import { steady } from './steady.ts';

/** One policy edit under live sessions. Lags in milliseconds from the edit until the provider has forgotten the old token. */
interface RevocationFigures {
  readonly contender: Contender;
  readonly sessions: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  /** Sessions whose old token was dead within so many seconds: `[seconds, sessions]`, cumulative. */
  readonly histogram: readonly (readonly [number, number])[];
  readonly providerCallsPerSession: number;
  readonly apiCallsPerSession: number;
  /** From the edit until the last old token was dead. */
  readonly spent: Spent;
}

/** Who has a part in it; `serving` is the contender. */
const parts = ['serving', 'provider', 'kube-apiserver', 'etcd', 'kube-controller-manager', 'kube-scheduler', 'driver'];

const buckets = [0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60];

/** A ScopePolicy loses a scope: every session gets a narrower token and the old one is revoked. */
export const revocation: Bench = {
  name: 'revocation',
  about: 'a policy edit takes a scope from 1,000 live sessions: edit → old token dead at the provider',
  async run(o) {
    const sessions = o.size ?? 1_000;
    const stage = await openStage({ log: o.log, parallel: o.parallel, ...profileDirectory(o) });
    try {
      const runs: RevocationFigures[] = [];
      for (let run = 0; run < (o.runs ?? 1); run += 1) {
        for (const contender of ['floor', 'operator'] as const) {
          const figures = await measured(stage, contender, sessions);
          o.log(`revocation ${run + 1} ${contender}: p50 ${figures.p50} ms, longest ${figures.longest} ms`);
          runs.push(figures);
        }
      }
      const ours = runs.filter(({ contender }) => contender === 'operator');
      const floor = runs.filter(({ contender }) => contender === 'floor');
      return {
        runs,
        targets: [
          target('last session, s', median(ours.map(({ longest }) => longest)) / 1_000, 'AtMost', 5),
          target('÷ the floor’s last', median(ours.map(({ longest }, n) => longest / floor[n]!.longest)), 'AtMost', 2),
          // Metadata is read once for all.
          target('provider calls per session', median(ours.map((f) => f.providerCallsPerSession)), 'AtMost', 2.02),
        ],
        table: table(floor, ours),
      };
    } finally {
      await stage.stop();
    }
  },
};

async function measured(stage: Stage, contender: Contender, sessions: number): Promise<RevocationFigures> {
  const serving = await stage.serve(contender);
  try {
    await Promise.all(Array.from({ length: sessions }, () => stage.pod()));
    const before = { provider: (await stage.provider.counts()).allCalls, api: await stage.apiCalls() };
    const already = (await stage.provider.revokedAt()).length;
    const idle = await spending(stage, serving);
    const edited = Date.now();
    await serving.narrow();
    const revoked = await eventually(
      `${sessions} tokens are revoked`,
      async () => {
        const times = (await stage.provider.revokedAt()).slice(already);
        return times.length >= sessions ? times : undefined;
      },
      { timeoutMs: 300_000, everyMs: 250 },
    );
    const spent = spentBetween(idle, await spending(stage, serving));
    const provider = (await stage.provider.counts()).allCalls - before.provider;
    // The last record is written after the last revocation; no more than a lease's renewal comes then.
    const settled = await steady('the calls settle', () => stage.apiCalls(), 2);
    await stage.clear(contender);
    const lags = revoked.map((at) => at - edited);
    return {
      contender,
      sessions,
      p50: percentile(lags, 0.5),
      p99: percentile(lags, 0.99),
      longest: Math.max(...lags),
      histogram: buckets.map((seconds) => [seconds, lags.filter((lag) => lag <= seconds * 1_000).length] as const),
      providerCallsPerSession: provider / sessions,
      apiCallsPerSession: (settled - before.api) / sessions,
      spent,
    };
  } finally {
    await serving.stop();
  }
}

async function spending(stage: Stage, { pid }: Serving): Promise<ReturnType<typeof spendingOfAll>> {
  return spendingOfAll([['serving', pid], ...(await stage.bystanders())]);
}

function table(floor: readonly RevocationFigures[], ours: readonly RevocationFigures[]): string {
  const row = (name: string, of: (figures: RevocationFigures) => number, digits: number): readonly string[] => [
    name,
    cell(floor.map(of), digits),
    cell(ours.map(of), digits),
  ];
  return tableOf([
    [`revocation: ${ours[0]!.sessions} live sessions; smallest / median / largest`, 'floor', 'operator'],
    row('edit → dead at the provider, p50, ms', ({ p50 }) => p50, 0),
    row('p99, ms', ({ p99 }) => p99, 0),
    row('last, ms', ({ longest }) => longest, 0),
    ...buckets.map((seconds, n) => row(`dead within ${seconds} s, sessions`, ({ histogram }) => histogram[n]![1], 0)),
    row('provider calls per session', ({ providerCallsPerSession }) => providerCallsPerSession, 2),
    row('API calls per session', ({ apiCallsPerSession }) => apiCallsPerSession, 2),
    ...parts.map((name) =>
      row(`CPU of ${name} per session, ms`, ({ spent, sessions }) => (spent.parts[name] ?? 0) / sessions, 1),
    ),
    row("machine's CPU spent by others, %", ({ spent }) => spent.strangers * 100, 0),
    row("machine's CPU idle, %", ({ spent }) => spent.idle * 100, 0),
  ]);
}
