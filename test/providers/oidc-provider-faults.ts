import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProviderContext } from 'oidc-provider';

export type Endpoint =
  'discovery' | 'jwks' | 'token' | 'revocation' | 'introspection' | 'register' | 'read' | 'update' | 'delete' | 'other';

export interface CannedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** One lie or accident. Matches requests of `endpoint` (absent: all), `times` of them (absent: until removed). */
export interface Fault {
  readonly endpoint?: Endpoint;
  readonly times?: number;
  /** So many matching requests pass first. */
  readonly skip?: number;
  /** Milliseconds from the first request that it meets: then it is over. */
  readonly lasts?: number;
  /** The id of a client whose requests pass. It authenticates with `client_secret_basic`, so that a request says in its head whose it is. */
  readonly spares?: string;
  /** Milliseconds to wait before anything else. */
  readonly delay?: number;
  /** Answer this and never reach the provider. */
  readonly instead?: CannedAnswer;
  /** Never reach the provider; answer this status with an OAuth error that repeats the request's body and credentials. */
  readonly echo?: number;
  /** Do the work, then cut the connection: the answer is lost after the commit. */
  readonly dropAnswer?: boolean;
  /** Cut the connection before the provider sees the request. */
  readonly dropRequest?: boolean;
  /** Never answer. */
  readonly hang?: boolean;
  /** Answer 200 and then this text again and again, so many milliseconds apart, without an end. */
  readonly endless?: { readonly text: string; readonly every: number };
  /** Do the work, then change what is answered. */
  readonly rewrite?: (answer: { status: number; body: unknown }) => {
    status?: number;
    body?: unknown;
    headers?: Record<string, string>;
  };
}

interface OpenFault {
  readonly fault: Fault;
  skip: number;
  left: number;
  /** Epoch milliseconds. */
  readonly met: number[];
}

export class Faults {
  #open: OpenFault[] = [];
  #limit: { readonly perSecond: number; readonly delay: number } | undefined;
  #admitted: number[] = [];

  /** Returns a function that removes the fault again. `met` receives when it was met. */
  add(fault: Fault, met: number[] = []): () => void {
    const entry = { fault, skip: fault.skip ?? 0, left: fault.times ?? Infinity, met };
    this.#open.push(entry);
    return () => void (this.#open = this.#open.filter((other) => other !== entry));
  }

  clear(): void {
    this.#open = [];
  }

  /** A slow provider that takes only so many calls a second, from now on: not a lie, but how many providers are. */
  limit({ perSecond, delay }: { readonly perSecond: number; readonly delay: number }): void {
    this.#limit = { perSecond, delay };
  }

  /** `undefined`: not limited. `wait`: milliseconds until this call may be worked on; `TooMany`: it is one too many. */
  admit(now: number): { readonly wait: number } | 'TooMany' | undefined {
    if (this.#limit === undefined) return undefined;
    this.#admitted = this.#admitted.filter((at) => at > now - 1_000);
    if (this.#admitted.length >= this.#limit.perSecond) return 'TooMany';
    this.#admitted.push(now);
    return { wait: this.#limit.delay };
  }

  /** What a request to this endpoint meets; `client`: who makes it, where its head says so. */
  take(endpoint: Endpoint, client?: string): Fault | undefined {
    const now = Date.now();
    const entry = this.#open.find((one) => concerns(one, endpoint, client, now));
    if (entry === undefined) return undefined;
    if (entry.skip > 0) {
      entry.skip -= 1;
      return undefined;
    }
    entry.left -= 1;
    entry.met.push(now);
    return entry.fault;
  }
}

function concerns(
  { fault, left, met }: OpenFault,
  endpoint: Endpoint,
  client: string | undefined,
  now: number,
): boolean {
  const { spares, lasts } = fault;
  const isOver = lasts !== undefined && met[0] !== undefined && now >= met[0] + lasts;
  const isSpared = spares !== undefined && spares === client;
  return left > 0 && !isOver && !isSpared && (fault.endpoint ?? endpoint) === endpoint;
}

/** How often each endpoint was called, and how often with which status; `reset` forgets. */
export class Stats {
  #calls: { readonly endpoint: Endpoint; readonly status: number }[] = [];

  note(endpoint: Endpoint, status: number): void {
    this.#calls.push({ endpoint, status });
  }

  /** `status`: that status only; -1 is a connection that was cut. */
  count(endpoint?: Endpoint, status?: number): number {
    return this.#calls.filter(
      (call) => (endpoint ?? call.endpoint) === call.endpoint && (status ?? call.status) === call.status,
    ).length;
  }

  reset(): void {
    this.#calls = [];
  }
}

const plain: Readonly<Record<string, Endpoint>> = {
  '/.well-known/openid-configuration': 'discovery',
  '/.well-known/oauth-authorization-server': 'discovery',
  '/jwks': 'jwks',
  '/token': 'token',
  '/token/revocation': 'revocation',
  '/token/introspection': 'introspection',
  '/reg': 'register',
};
const byMethod: Readonly<Record<string, Endpoint>> = { GET: 'read', PUT: 'update', DELETE: 'delete' };

function endpointOf(method: string, path: string): Endpoint {
  return plain[path] ?? (path.startsWith('/reg/') ? byMethod[method] : undefined) ?? 'other';
}

function answer(ctx: ProviderContext, canned: CannedAnswer): void {
  ctx.status = canned.status;
  for (const [name, value] of Object.entries(canned.headers ?? {})) ctx.set(name, value);
  ctx.body = canned.body ?? null;
  if (canned.body === undefined) ctx.status = canned.status;
}

/** RFC 6749 §2.3.1. */
function clientOf(authorization: string): string | undefined {
  const [, basic] = /^Basic (\S+)$/i.exec(authorization) ?? [];
  const [id] = Buffer.from(basic ?? '', 'base64')
    .toString('utf8')
    .split(':');
  return basic === undefined ? undefined : decodeURIComponent(id ?? '');
}

async function echoOf({ req }: ProviderContext, status: number): Promise<CannedAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const said = `${req.headers.authorization ?? ''} ${Buffer.concat(chunks).toString('utf8')}`;
  return { status, body: { error: 'server_error', error_description: said, debug: { said, headers: req.headers } } };
}

async function endless({ res }: ProviderContext, { text, every }: NonNullable<Fault['endless']>): Promise<void> {
  const drip = async function* (): AsyncGenerator<string> {
    for (;;) {
      yield text;
      await sleep(every);
    }
  };
  res.writeHead(200, { 'content-type': 'application/json' });
  // It ends when the other side has had enough.
  await pipeline(drip, res).catch(() => undefined);
}

/** Koa middleware in front of everything that counts the requests and plays the faults; a load that measures passes beside both. */
export function faultMiddleware(faults: Faults, stats: Stats) {
  return async (ctx: ProviderContext, next: () => Promise<void>): Promise<void> => {
    if (ctx.get('x-load') !== '') return next();
    const endpoint = endpointOf(ctx.method, ctx.path);
    const admitted = faults.admit(performance.now());
    if (admitted === 'TooMany') {
      answer(ctx, { status: 429, headers: { 'retry-after': '1' } });
      stats.note(endpoint, 429);
      return;
    }
    if (admitted !== undefined) await sleep(admitted.wait);
    const fault = faults.take(endpoint, clientOf(ctx.get('authorization')));
    const cut = (): void => {
      ctx.respond = false;
      ctx.req.socket.destroy();
      stats.note(endpoint, -1);
    };
    if (fault?.delay !== undefined) await sleep(fault.delay);
    if (fault?.dropRequest === true) return cut();
    if (fault?.hang === true) {
      ctx.respond = false;
      stats.note(endpoint, -1);
      return;
    }
    if (fault?.endless !== undefined) {
      ctx.respond = false;
      stats.note(endpoint, 200);
      return endless(ctx, fault.endless);
    }
    if (fault?.echo !== undefined) answer(ctx, await echoOf(ctx, fault.echo));
    else if (fault?.instead !== undefined) answer(ctx, fault.instead);
    else await next();
    if (fault?.dropAnswer === true) return cut();
    if (fault?.rewrite !== undefined) {
      const before = { status: ctx.status, body: ctx.body };
      const changed = fault.rewrite(before);
      answer(ctx, {
        status: changed.status ?? before.status,
        body: (changed.body ?? before.body) as string,
        headers: changed.headers ?? {},
      });
    }
    stats.note(endpoint, ctx.status);
  };
}
