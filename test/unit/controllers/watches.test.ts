import test from 'ava';
import { instant, second } from '#src/clock.ts';
import { Memory } from '#src/controllers/memory.ts';
import { Watches, logWatchFailure } from '#src/controllers/watches.ts';
import { OperatorError } from '#src/errors.ts';
import { IdleError } from '#src/runtime/idle.ts';
import { VersionExpiredError } from '#src/runtime/source.ts';
import type { ApiConnection } from '#src/kube/connection.ts';
import { createLogger } from '#src/telemetry/logger.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const away = new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'API server: 503' });

for (const [title, error, level, hasStack] of [
  ['silence, which is ordinary', new IdleError('watch nodes: nothing came for 90 s'), 'info', false],
  ['an expired version, which is ordinary', new VersionExpiredError('too old'), 'info', false],
  ['an API server that is away', away, 'warn', false],
  ['what nobody expects', new TypeError('x is not a function'), 'warn', true],
] as const) {
  test(`the log of a watch that ended: ${title}`, (t) => {
    const lines: string[] = [];
    logWatchFailure(createLogger({ level: 'info', write: (line) => void lines.push(line) }), 'nodes', error);
    t.like(JSON.parse(lines[0] ?? ''), { level, watch: 'nodes' });
    t.true(lines[0]?.includes(error.message));
    t.is(lines[0]?.includes('"stack"'), hasStack);
  });
}

for (const [title, answer, after, unknown] of [
  ['an API server that tells how far it is', 200, 0, 0],
  ['an API server that does not, ten seconds and no longer, and then counts all as unknown', 503, 10_000, 14],
  ['an API server that refuses, not at all, and then counts all as unknown', 403, 0, 14],
] as const)
  test(`before it leads a process waits for ${title}`, async (t) => {
    const clock = new VirtualClock();
    let status = 200;
    const connection = {
      clock,
      request: async () => ({
        status,
        headers: {},
        body: { metadata: { resourceVersion: '5', uid: 'u' }, items: [] },
        at: clock.now(),
      }),
      async *stream(_path: string, _query: object, signal: AbortSignal) {
        yield [];
        await clock.sleepUntil(instant(Number.MAX_SAFE_INTEGER), signal);
      },
    } as unknown as ApiConnection;
    const memory = new Memory('ci-identity-system');
    const failed = new Set<string>();
    const watches = new Watches({
      connection,
      memory,
      namespace: 'ci-identity-system',
      clock,
      random: () => 0.5,
      onFailure: (watch) => failed.add(watch),
      onPodStore: () => undefined,
    });
    const stop = new AbortController();
    const running = watches.run(stop.signal);
    await clock.advance(20 * second);
    memory.namespaces.put('ci-payments', {
      uid: 'n',
      resourceVersion: '4',
      name: 'ci-payments',
      annotations: {},
      terminating: false,
      labels: { 'ci-identity.dev/inject': 'enabled' },
    });
    await clock.advance(20 * second);
    status = answer;
    const began = clock.monotonic();
    const over = watches.catchUp(stop.signal).then(() => clock.monotonic() - began);
    t.false(watches.areCurrent);
    await clock.advance(40 * second);
    t.is(await over, after);
    t.true(watches.areCurrent);
    t.is(failed.size, unknown);
    const synced = [...watches.coreHealth(), ...watches.podHealth()].filter(([, health]) => health.synced);
    t.is(synced.length, 14 - unknown);
    stop.abort();
    await running;
  });
