/** What the leader does now and then goes on where one piece of it fails. */
import test from 'ava';
import { second } from '#src/clock.ts';
import { type UpkeepOptions, upkeep } from '#src/controllers/upkeep/upkeep.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const system = 'ci-identity-system';
const status = (code: number, rest: object) => ({ code, kind: 'Status', ...rest });

for (const [title, answer, why] of [
  [
    'a quota refuses its record',
    status(403, { message: 'secrets "brake" is forbidden: exceeded quota: small, requested: count/secrets=1' }),
    'API server: create secrets brake in namespace ci-identity-system is refused (403): ResourceQuota small is used up; raise it or remove objects',
  ],
  [
    'a Secret of another type has its name',
    status(422, { details: { causes: [{ field: 'type', reason: 'FieldValueInvalid' }] } }),
    'Secret ci-identity-system/brake is of another type, so nothing can be remembered in it; delete it',
  ],
] as const)
  test(`that the brake holds is told although ${title}, and the log says why`, async (t) => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const logged = new Set<string>();
    const follow = { onChange: () => undefined };
    const parts = upkeep({
      clock,
      namespace: system,
      logger: { warn: (_text: string, { error }: { error: Error }) => logged.add(error.message) },
      connection: {
        request: async (method: string) => {
          const [code, body] = method === 'GET' ? [404, {}] : [answer.code, answer];
          return { status: code, headers: {}, body, at: clock.now() };
        },
      },
      metrics: { set: () => undefined },
      audit: { record: ({ event }: AuditFacts) => told.push(event) },
      events: { record: ({ reason }: { reason: string }) => told.push(reason) },
      memory: {
        clients: follow,
        sessions: follow,
        limits: follow,
        pools: follow,
        namespaces: { get: () => ({ uid: 'n', annotations: {} }) },
      },
      brakes: {
        isKnown: true,
        recall: () => undefined,
        of: (what: string) =>
          what === 'sessions'
            ? { id: 'sessions-15-1', keys: new Set(['one']), lost: new Map([['ci-payments', 15]]), message: 'held' }
            : undefined,
      },
      leader: { held: () => true },
      wiring: { everything: () => told.push('everything looks again'), pools: () => undefined },
    } as unknown as UpkeepOptions);
    const stop = new AbortController();
    const running = parts.filter(({ name }) => name.includes('brake')).map((part) => part.run(stop.signal));
    await clock.advance(10 * second);
    stop.abort();
    await Promise.all(running);
    t.deepEqual(told, ['Held', 'BrakeHolds', 'everything looks again']);
    t.deepEqual([...logged], [why]);
  });
