/** The program is stopped before it could begin. */
import test from 'ava';
import { instant, second } from '#src/clock.ts';
import { Operator } from '#src/controllers/operator.ts';
import type { OperatorOptions } from '#src/controllers/sides.ts';
import type { ApiConnection } from '#src/kube/connection.ts';
import { AuditLog } from '#src/telemetry/audit.ts';
import { createLogger } from '#src/telemetry/logger.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

type Answer = (clock: VirtualClock, signal: AbortSignal) => Promise<number>;

/** As the connection does it: when `signal` aborts, its reason is thrown. */
const answering =
  (status: number): Answer =>
  async (_clock, signal) => {
    signal.throwIfAborted();
    return status;
  };

const rows: readonly (readonly [string, Answer])[] = [
  ['the definitions of our kinds are missing', answering(404)],
  ['we may not see them, and namespace kube-system neither', answering(403)],
  [
    'the API server does not answer',
    async (clock, signal) => {
      await clock.sleepUntil(instant(Number.MAX_SAFE_INTEGER), signal);
      signal.throwIfAborted();
      return 200;
    },
  ],
];

for (const [title, answer] of rows)
  test(`a stop while ${title} is a stop like others`, async (t) => {
    const clock = new VirtualClock();
    const operator = new Operator({
      connection: {
        clock,
        serverTime: () => undefined,
        request: async (_method: string, _path: string, { signal }: { signal: AbortSignal }) => {
          const status = await answer(clock, signal);
          return { status, headers: {}, body: { kind: 'Status', code: status }, at: clock.now() };
        },
      } as unknown as ApiConnection,
      namespace: 'ci-identity-system',
      id: 'a',
      clock,
      random: () => 0.5,
      configuration: {
        issuers: [],
        limits: {},
        log: { level: 'error' },
        audit: {},
      } as unknown as OperatorOptions['configuration'],
      logger: createLogger({ level: 'error', write: () => undefined }),
      metrics: new Metrics(),
      audit: new AuditLog({ write: () => t.fail('nothing happened'), clock }),
      auditStream: { trouble: undefined, waiting: 0 },
    });
    const stop = new AbortController();
    const ended = operator.run(stop.signal);
    await clock.advance(20 * second);
    stop.abort();
    await clock.advance(second);
    t.is(await ended, 'Stopped');
  });
