import { pool } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { startLabWith } from '#test/support/lab.ts';
import { type Api, expectStatus, openApi } from './api.ts';
import { type Bench, type BenchOptions, target } from './bench.ts';
import { tableOf } from './figures.ts';
import { startProviderProcess } from './provider.ts';

interface RegistrationFigures {
  /** Calls per second that the provider allows. */
  readonly limit: number;
  readonly pools: number;
  /** Seconds from the operator's first call until every pool says that its client is there and proven. */
  readonly seconds: number;
  /** Provider calls per client: registration, proof, revocation of the proof's token. */
  readonly callsPerClient: number;
  readonly tooMany: number;
}

const poolsPath = '/apis/ci-identity.dev/v1alpha1/identitypools';
const strict = 50;
/** More than two cores can do. */
const generous = 10_000;

/** Pools that are there when the operator starts are registered: as fast as the provider's limit allows, and as fast as we can. */
export const registration: Bench = {
  name: 'registration',
  about: '1,000 pools are registered at a provider that allows 50 calls/s, and at one that allows everything',
  async run(o) {
    const limited = await measured(o, strict);
    const free = await measured(o, generous);
    const least = (limited.pools * limited.callsPerClient) / strict;
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
      ],
      table: tableOf([
        [`registration: ${limited.pools} pools`, `${strict} calls/s`, 'no limit'],
        row('until every client is proven, s', ({ seconds }) => seconds, 1),
        ['the least that the limit allows, s (the floor)', least.toFixed(1), '–'],
        row('provider calls per client', ({ callsPerClient }) => callsPerClient, 2),
        row('answers 429', ({ tooMany }) => tooMany, 0),
      ]),
    };
  },
};

async function measured({ log, size: pools = 1_000 }: BenchOptions, limit: number): Promise<RegistrationFigures> {
  const lab = await startLabWith(startProviderProcess, { log, rateLimit: { perSecond: limit, burst: 10 } });
  const admin = openApi(lab.cluster.kubeconfig, { connections: 8 });
  try {
    for (let n = 0; n < pools; n += 1)
      expectStatus(
        'pool',
        await admin.send('POST', poolsPath, JSON.parse(pool(`pool-${n}`, lab.provider.issuer))),
        201,
      );
    if (limit === strict) await lab.provider.limit({ perSecond: limit, delay: 0 });
    const before = await lab.provider.counts();
    const operator = lab.operator();
    await eventually(
      'the first call',
      async () => ((await lab.provider.counts()).allCalls > before.allCalls ? true : undefined),
      {
        timeoutMs: 120_000,
        everyMs: 20,
      },
    );
    const started = performance.now();
    await eventually(`${pools} clients are proven`, async () => ((await proven(admin)) === pools ? true : undefined), {
      timeoutMs: 900_000,
      everyMs: 500,
    });
    const seconds = (performance.now() - started) / 1_000;
    const after = await lab.provider.counts();
    await operator.stop();
    return {
      limit,
      pools,
      seconds,
      callsPerClient: (after.allCalls - before.allCalls) / pools,
      tooMany: after.tooMany - before.tooMany,
    };
  } finally {
    await admin.close();
    await lab.stop();
  }
}

async function proven(admin: Api): Promise<number> {
  const { items } = JSON.parse(expectStatus('pools', await admin.send('GET', poolsPath), 200)) as {
    readonly items: readonly { readonly status?: { readonly credential?: { readonly generation: number } } }[];
  };
  return items.filter(({ status }) => status?.credential?.generation === 1).length;
}
