import { connect } from 'node:net';
import test from 'ava';
import { type Check, type HealthServer, serveHealth, serveMetrics } from '#src/telemetry/health.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { eventually } from '#test/support/eventually.ts';

const local = { host: '127.0.0.1', port: 0 };
const ok: Check = { name: 'process', ok: true };

async function ask(server: HealthServer, path: string, method = 'GET'): Promise<readonly [number, string]> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return [response.status, await response.text()];
}

async function serveChecks(
  live: () => readonly Check[],
  ready: () => readonly Check[],
  t: { teardown(fn: () => unknown): void },
) {
  const server = await serveHealth(local, { live, ready });
  t.teardown(() => server.close());
  return server;
}

const answers: readonly (readonly [string, readonly Check[], number, string])[] = [
  ['nothing to check', [], 200, ''],
  ['all is well', [ok, { name: 'lease', ok: true, message: 'not shown' }], 200, 'ok process\nok lease\n'],
  [
    'one is not',
    [ok, { name: 'watch pods', ok: false, message: 'never read' }],
    503,
    'ok process\nnot ok watch pods: never read\n',
  ],
  [
    'well, but somebody should know something',
    [{ name: 'configuration', ok: true, note: 'the file cannot be used' }],
    200,
    'ok configuration, but: the file cannot be used\n',
  ],
  ['no message', [{ name: 'lease', ok: false }], 503, 'not ok lease\n'],
  [
    'a message of several lines',
    [{ name: 'lease', ok: false, message: 'a\nok lease' }],
    503,
    'not ok lease: a?ok lease\n',
  ],
];

for (const [name, checks, status, text] of answers) {
  test(`${name}: ${status}`, async (t) => {
    const live = await serveChecks(
      () => checks,
      () => [],
      t,
    );
    const ready = await serveChecks(
      () => [],
      () => checks,
      t,
    );
    t.deepEqual(await ask(live, '/healthz'), [status, text]);
    t.deepEqual(await ask(live, '/readyz'), [200, '']);
    t.deepEqual(await ask(ready, '/readyz?verbose'), [status, text]);
    t.deepEqual(await ask(ready, '/healthz'), [200, '']);
  });
}

const requests: readonly (readonly [string, string, number, string])[] = [
  ['GET', '/', 404, 'not found\n'],
  ['GET', '/healthz/x', 404, 'not found\n'],
  ['GET', '/metrics', 404, 'not found\n'],
  ['POST', '/', 404, 'not found\n'],
  ['POST', '/healthz', 405, 'only GET and HEAD\n'],
  ['DELETE', '/readyz', 405, 'only GET and HEAD\n'],
  ['HEAD', '/healthz', 200, ''],
];

for (const [method, path, status, text] of requests) {
  test(`${method} ${path} is ${status}`, async (t) => {
    const server = await serveChecks(
      () => [ok],
      () => [ok],
      t,
    );
    t.deepEqual(await ask(server, path, method), [status, text]);
  });
}

test('a check that throws is a 500, tells nobody why, and the server goes on', async (t) => {
  const server = await serveChecks(
    () => {
      throw new Error('hunter2');
    },
    () => [ok],
    t,
  );
  t.deepEqual(await ask(server, '/healthz'), [500, 'failed\n']);
  t.deepEqual(await ask(server, '/readyz'), [200, 'ok process\n']);
});

test('metrics are collected anew for a scrape, and once for all that ask within a quarter of a second', async (t) => {
  const metrics = new Metrics();
  let [scrapes, now] = [0, 0];
  const collect = (): void => metrics.set('ci_identity_injection_misses', {}, (scrapes += 1));
  const server = await serveMetrics(local, metrics, collect, { monotonic: () => now });
  t.teardown(() => server.close());
  for (const [at, expected] of [
    [0, 1],
    [249, 1],
    [250, 2],
    [900, 3],
  ] as const) {
    now = at;
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    t.is(response.headers.get('content-type'), metrics.registry.contentType);
    t.true((await response.text()).includes(`\nci_identity_injection_misses ${expected}\n`));
  }
  t.deepEqual(await ask(server, '/healthz'), [404, 'not found\n']);
});

test('of a crowd that asks for metrics only some are let in', async (t) => {
  const server = await serveMetrics(local, new Metrics(), () => {}, { monotonic: () => 0 });
  t.teardown(() => server.close());
  let turnedAway = 0;
  const crowd = Array.from({ length: 80 }, () => {
    const socket = connect({ host: '127.0.0.1', port: server.port });
    socket.resume();
    socket.on('error', () => undefined).on('close', () => (turnedAway += 1));
    socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n');
    return socket;
  });
  await eventually('sixteen are turned away', async () => (turnedAway === 16 ? true : undefined));
  for (const socket of crowd) socket.destroy();
  t.is(await eventually('there is room again', async () => (await ask(server, '/metrics'))[0]), 200);
});

test('an address that is taken is an error, and a closed server is gone', async (t) => {
  const server = await serveHealth(local, { live: () => [], ready: () => [] });
  await t.throwsAsync(serveHealth({ ...local, port: server.port }, { live: () => [], ready: () => [] }), {
    code: 'EADDRINUSE',
  });
  await server.close();
  await t.throwsAsync(ask(server, '/healthz'));
});
