import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What the load needs to know; it reads credentials from client records, as nobody but the operator may. */
export interface LoadOptions {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly issuer: string;
  readonly caPem: string;
  /** Name of the pool whose client asks for tokens. */
  readonly pool: string;
  /** Besides grant type and client authentication. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whom an assertion is for. */
  readonly assertionAudience: 'Issuer' | 'TokenEndpoint';
  /** Milliseconds from the start of one request to the start of the next. */
  readonly every: number;
}

export interface LoadReport {
  readonly requests: number;
  /** What was answered to those that got no token. */
  readonly failed: readonly string[];
  /** Refused after another credential was Current, and while the refused one was taken out: in an emergency the old one goes at once. */
  readonly overtaken: number;
  /** Refused while the one secret that the provider keeps was being replaced: variant InPlace leaves a gap, inside a declared window. */
  readonly inGap: number;
  /** Milliseconds between the starts of two consecutive requests. */
  readonly longestInterval: number;
  /** Share of the time at which a gap of 200 ms could have begun that no request would have met. */
  readonly unwatched: number;
  /** Tokens by the generation of the credential. */
  readonly byGeneration: Readonly<Record<string, number>>;
}

export interface Load {
  /** Resolves when the first token came. */
  readonly started: Promise<void>;
  stop(): Promise<LoadReport>;
  kill(): void;
}

const main = fileURLToPath(new URL('load-main.ts', import.meta.url));

/** Token requests with whatever credential the client's record calls Current, one after the other, in a process of their own. */
export function startLoad(options: LoadOptions): Load {
  const child = fork(main, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  child.send(options);
  const ended = exited.then(() => {
    throw new Error('the load ended by itself');
  });
  ended.catch(() => undefined);
  return {
    started: Promise.race([once(child, 'message', { signal: AbortSignal.timeout(30_000) }), ended]).then(
      () => undefined,
    ),
    kill: () => void child.kill(),
    async stop() {
      const report = once(child, 'message') as Promise<[LoadReport]>;
      child.send('stop');
      const [said] = (await Promise.race([report, ended])) as [LoadReport];
      child.disconnect();
      await exited;
      return said;
    },
  };
}

/** Little: a machine that is busy with other things may hold the load itself up now and then, and a load may last no longer than ten seconds. */
const mostUnwatched = 0.03;

/** What a rotation must not change; and that the load was dense enough to see a gap of 200 ms. */
export function assertUnharmed(
  t: {
    log(line: string): void;
    deepEqual(a: unknown, b: unknown): unknown;
    true(holds: boolean, why?: string): unknown;
  },
  what: string,
  report: LoadReport,
): void {
  const { requests, failed, overtaken, inGap, longestInterval, unwatched, byGeneration } = report;
  t.log(
    `${what}: ${requests} requests, ${failed.length} failed, ${overtaken} overtaken, ${inGap} in a gap, longest interval ${longestInterval.toFixed(0)} ms, ${(unwatched * 100).toFixed(2)} % unwatched, by generation ${JSON.stringify(byGeneration)}`,
  );
  t.deepEqual(failed, []);
  t.true(unwatched <= mostUnwatched, `a gap of 200 ms would not have been seen in ${unwatched * 100} % of the time`);
}
