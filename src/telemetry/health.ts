import { type Server, createServer } from 'node:http';
import type { Metrics } from './metrics.ts';

/** One thing that can be in trouble: a watch, an issuer, the lease. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly message?: string;
}

/** `live`: the process works at all, otherwise it should be restarted. `ready`: it has read what it needs. */
export interface Health {
  live(): readonly Check[];
  ready(): readonly Check[];
}

export interface HealthServer {
  /** The port in use; differs from the one asked for where that was 0. */
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/healthz` and `/readyz`: 200 or 503, a line per check: `ok <name>` or `not ok <name>: <message>`. */
export function serveHealth(address: { readonly host?: string; readonly port: number }, health: Health): Promise<HealthServer> {
  return serve(address, (path) => {
    if (path !== '/healthz' && path !== '/readyz') return undefined;
    const checks = path === '/healthz' ? health.live() : health.ready();
    const text = checks.map((c) => (c.ok ? `ok ${c.name}` : `not ok ${c.name}: ${c.message ?? ''}`)).join('\n');
    return { status: checks.every((c) => c.ok) ? 200 : 503, type: 'text/plain; charset=utf-8', text: `${text}\n` };
  });
}

/** Serves `/metrics` in the Prometheus text format. `collect` runs before each scrape. */
export function serveMetrics(
  address: { readonly host?: string; readonly port: number },
  metrics: Metrics,
  collect: () => void,
): Promise<HealthServer> {
  return serve(address, async (path) => {
    if (path !== '/metrics') return undefined;
    collect();
    return { status: 200, type: metrics.registry.contentType, text: await metrics.registry.metrics() };
  });
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function serve(
  address: { readonly host?: string; readonly port: number },
  answer: (path: string) => Answer | undefined | Promise<Answer | undefined>,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void Promise.resolve(request.method === 'GET' ? answer((request.url ?? '').split('?')[0] ?? '') : undefined)
      .then((found) => {
        const { status, type, text } = found ?? { status: 404, type: 'text/plain', text: 'not found\n' };
        response.writeHead(status, { 'content-type': type }).end(text);
      })
      .catch(() => response.writeHead(500).end());
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  return { port: portOf(server, address.port), close: () => closeServer(server) };
}

function portOf(server: Server, fallback: number): number {
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : fallback;
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
