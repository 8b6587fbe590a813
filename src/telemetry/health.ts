import { type Server, createServer } from 'node:http';
import type { Clock, Milliseconds } from '../clock.ts';
import { clean } from '../clean.ts';
import type { Metrics } from './metrics.ts';

/** One thing that can be in trouble: a watch, an issuer, the lease. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Why it is not ok. */
  readonly message?: string;
  /** What somebody should know although it is ok. */
  readonly note?: string;
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

interface Address {
  readonly host?: string;
  readonly port: number;
}

/**
 * Serves `/healthz` and `/readyz`: 200 when every check is ok, otherwise 503; a line per check: `ok <name>`, `ok <name>, but: <note>` or `not ok <name>: <message>`.
 * Rejects when the address cannot be listened on.
 */
export function serveHealth(address: Address, health: Health): Promise<HealthServer> {
  return serve(address, (path) => {
    if (path !== '/healthz' && path !== '/readyz') return undefined;
    const checks = path === '/healthz' ? health.live() : health.ready();
    const text = checks.map((check) => `${lineOf(check)}\n`).join('');
    return { status: checks.every((check) => check.ok) ? 200 : 503, type: plainText, text };
  });
}

/** Making the page costs many milliseconds; however many ask for it, it is made this often at most. */
const pageLives: Milliseconds = 250;

/** Any pod may connect: whoever asks and does not read keeps a page in memory until it is cut, so more connections are not taken. */
const mostScrapers = 64;

/** Serves `/metrics` in the Prometheus text format. `collect` runs before each page is made. Rejects when the address cannot be listened on. */
export function serveMetrics(
  address: Address,
  metrics: Metrics,
  collect: () => void,
  clock: Pick<Clock, 'monotonic'>,
): Promise<HealthServer> {
  let page: { readonly madeAt: Milliseconds; readonly answer: Promise<Answer> } | undefined;
  const make = async (): Promise<Answer> => {
    collect();
    return { status: 200, type: metrics.registry.contentType, text: await metrics.registry.metrics() };
  };
  const handler: Handler = (path) => {
    if (path !== '/metrics') return undefined;
    const now = clock.monotonic();
    if (page === undefined || now - page.madeAt >= pageLives) page = { madeAt: now, answer: make() };
    return page.answer;
  };
  return serve(address, handler, mostScrapers);
}

const plainText = 'text/plain; charset=utf-8';

function lineOf({ name, ok, message, note }: Check): string {
  const but = note === undefined ? '' : `, but: ${note}`;
  return clean(ok ? `ok ${name}${but}` : `not ok ${name}${message === undefined ? '' : `: ${message}`}`);
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

type Handler = (path: string) => Answer | undefined | Promise<Answer | undefined>;

async function serve(address: Address, handler: Handler, mostConnections?: number): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void answer(handler, request.method ?? '', request.url ?? '').then(({ status, type, text, headers }) =>
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...headers }).end(text),
    );
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  // Whoever asks and does not read is cut.
  server.timeout = 30_000;
  if (mostConnections !== undefined) server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  return { port: portOf(server, address.port), close: () => closeServer(server) };
}

async function answer(handler: Handler, method: string, url: string): Promise<Answer> {
  try {
    const found = await handler(url.split('?')[0] ?? '');
    if (found === undefined) return { status: 404, type: plainText, text: 'not found\n' };
    if (method === 'GET' || method === 'HEAD') return found;
    return { status: 405, type: plainText, text: 'only GET and HEAD\n', headers: { allow: 'GET, HEAD' } };
  } catch {
    return { status: 500, type: plainText, text: 'failed\n' };
  }
}

function portOf(server: Server, fallback: number): number {
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : fallback;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
