import { createSecureContext } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';
import { type Clock, type Instant, type Milliseconds, minute, parseHttpDate, plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { withDeadline } from '../runtime/abort.ts';
import { readBody } from './body.ts';
import { toError } from './classify.ts';
import {
  type Authentication,
  type ConfigSource,
  type LoadedConfig,
  loadConfig,
  type TlsMaterial,
} from './kubeconfig.ts';
import { jsonLines } from './lines.ts';

/** What the API server answered, whatever the status. */
export interface ApiResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed JSON, or text where the answer is no JSON. */
  readonly body: unknown;
  /** When the answer was complete, by our clock. */
  readonly at: Instant;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface RequestParameters {
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal: AbortSignal;
  /** How long the call may take in all; default 15 s. */
  readonly deadline?: Milliseconds;
  /** Bytes that the answer may have; a longer one throws PageTooLargeError. Default: no limit. */
  readonly longest?: number;
  /** Act as this user (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation), sent as UTF-8. */
  readonly impersonate?: string;
}

/** The one way to the API server: long-lived dispatchers under all calls, raw JSON. */
export interface ApiConnection {
  readonly clock: Clock;
  /**
   * One call; every HTTP status is an answer, not an error. Trouble on the way, and a missed deadline, is OperatorError Transient
   * `ApiServerUnavailable`; when `signal` aborts, its reason is thrown. A 401 reads the credentials again and repeats the call once.
   */
  request(method: Method, path: string, o: RequestParameters): Promise<ApiResponse>;
  /**
   * The parsed JSON lines of a watch, in the batches in which they come. Ends when the server ends it; an answer other than 200 throws what {@link toError} makes of it, a
   * line that is no JSON or is cut off throws TornStreamError, trouble on the way OperatorError Transient.
   */
  stream(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncIterable<readonly unknown[]>;
  /** How far the API server's clock is ahead of ours (± 1 s, from the `Date` header), and when that was seen. */
  serverTime(): { readonly offset: Milliseconds; readonly at: Instant } | undefined;
  close(): Promise<void>;
}

export interface ConnectOptions extends ConfigSource {
  readonly clock: Clock;
  /** The API server's clock, as each of its answers tells it (± 1 s). */
  readonly onServerTime?: (time: Instant) => void;
}

/**
 * Connects by kubeconfig or as the pod's service account. Fails with OperatorError `ConfigurationInvalid` (Terminal) when that cannot be
 * used; makes no call itself.
 */
export async function connect(o: ConnectOptions): Promise<ApiConnection> {
  const connection = new Connection(o, loadConfig(o));
  await connection.authentication();
  return connection;
}

const defaultDeadline = 15 * second;
/** Bound service account tokens are replaced at 80 % of their life, so reading them once a minute is early enough (as client-go does). */
const credentialsMaxAge = 1 * minute;
const mostCallConnections = 32;

/** A watch holds its connection for minutes, so calls have connections of their own. */
interface Dispatchers {
  readonly calls: Dispatcher;
  readonly watches: Dispatcher;
}

class Connection implements ApiConnection {
  readonly #options: ConnectOptions;
  readonly clock: Clock;
  #config: LoadedConfig;
  #authentication: Promise<Authentication> | undefined;
  #authenticatedAt: Milliseconds = 0;
  #lastAuthentication: Authentication | undefined;
  #refused = false;
  #dispatchers: Dispatchers | undefined;
  #tls: TlsMaterial = {};
  #serverTime: { readonly offset: Milliseconds; readonly at: Instant } | undefined;

  constructor(options: ConnectOptions, config: LoadedConfig) {
    this.#options = options;
    this.clock = options.clock;
    this.#config = config;
  }

  async request(method: Method, path: string, o: RequestParameters): Promise<ApiResponse> {
    const answer = await this.#requestOnce(method, path, o);
    if (answer.status !== 401) return answer;
    this.#forgetCredentials();
    return this.#requestOnce(method, path, o);
  }

  /** Yields together what came while the reader was busy. */
  async *stream(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<readonly unknown[]> {
    const open = (): Promise<Dispatcher.ResponseData> => this.#send('GET', path, { query, signal }, 'watches');
    try {
      let response = await open();
      if (response.statusCode === 401) {
        await response.body.dump();
        this.#forgetCredentials();
        response = await open();
      }
      if (response.statusCode !== 200) {
        throw toError(await this.#read(response), { verb: 'watch', resource: resourceOf(path) });
      }
      yield* jsonLines(response.body);
    } catch (error) {
      throw failure(error, `watch ${resourceOf(path)}`, signal);
    }
  }

  serverTime(): { readonly offset: Milliseconds; readonly at: Instant } | undefined {
    return this.#serverTime;
  }

  async close(): Promise<void> {
    await Promise.all([this.#dispatchers?.calls.destroy(), this.#dispatchers?.watches.destroy()]);
  }

  /** The credentials in use, at most a minute old. */
  async authentication(): Promise<Authentication> {
    const now = this.clock.monotonic();
    if (this.#authentication === undefined || now - this.#authenticatedAt >= credentialsMaxAge) {
      this.#authenticatedAt = now;
      this.#authentication = this.#authenticate();
    }
    return this.#authentication;
  }

  /** Files that cannot be read for a moment must not stop us: what was read last stays in use until the server refuses it. */
  async #authenticate(): Promise<Authentication> {
    const last = this.#lastAuthentication;
    try {
      if (this.#refused) this.#config = loadConfig(this.#options);
      this.#refused = false;
      this.#lastAuthentication = await this.#config.authenticate();
      return this.#lastAuthentication;
    } catch (error) {
      if (last === undefined) throw error;
      return last;
    }
  }

  /** The server refused our credentials: everything, the kubeconfig and the caches of plugins included, is read again. */
  #forgetCredentials(): void {
    this.#refused = true;
    this.#authentication = undefined;
  }

  async #requestOnce(method: Method, path: string, o: RequestParameters): Promise<ApiResponse> {
    try {
      return await withDeadline(o.deadline ?? defaultDeadline, o.signal, async (signal) =>
        this.#read(await this.#send(method, path, { ...o, signal }), o.longest),
      );
    } catch (error) {
      throw failure(error, `${method} ${resourceOf(path)}`, o.signal);
    }
  }

  async #send(
    method: Method,
    path: string,
    o: RequestParameters,
    through: keyof Dispatchers = 'calls',
  ): Promise<Dispatcher.ResponseData> {
    o.signal.throwIfAborted();
    const { headers, tls } = await this.authentication();
    const base = this.#config.server;
    const sent = this.clock.now();
    const response = await this.#dispatchersFor(tls)[through].request({
      origin: base.origin,
      path: base.pathname.replace(/\/$/, '') + path,
      method,
      signal: o.signal,
      // undici ends the connection after a DELETE with a body; the API server reads bodies of DELETE, so the next call can have it.
      reset: false,
      headers: {
        ...headers,
        accept: o.accept ?? 'application/json',
        'user-agent': 'ci-identity-operator',
        ...(o.body === undefined ? {} : { 'content-type': o.contentType ?? 'application/json' }),
        ...(o.impersonate === undefined ? {} : { 'impersonate-user': Buffer.from(o.impersonate).toString('latin1') }),
      },
      ...(o.query === undefined ? {} : { query: o.query }),
      ...(o.body === undefined ? {} : { body: JSON.stringify(o.body) }),
    });
    this.#witness(response.headers['date'], sent);
    return response;
  }

  async #read(response: Dispatcher.ResponseData, longest?: number): Promise<ApiResponse> {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(response.headers)) {
      if (value !== undefined) headers[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
    }
    const body = await readBody(response.body, headers['content-type'], longest);
    return { status: response.statusCode, headers, body, at: this.clock.now() };
  }

  /** The same two for as long as CA and client certificate stay the same; calls under way finish on the old ones. */
  #dispatchersFor(tls: TlsMaterial): Dispatchers {
    if (this.#dispatchers !== undefined && isSame(tls, this.#tls)) return this.#dispatchers;
    const old = this.#dispatchers;
    this.#dispatchers = { calls: dispatcherFor(tls, mostCallConnections), watches: dispatcherFor(tls, undefined) };
    this.#tls = tls;
    for (const one of [old?.calls, old?.watches]) void one?.close().catch(() => undefined);
    return this.#dispatchers;
  }

  #witness(date: string | string[] | undefined, sent: Instant): void {
    const server = typeof date === 'string' ? parseHttpDate(date) : undefined;
    if (server === undefined) return;
    const at = this.clock.now();
    // The header has whole seconds and was written at some time between sending and receiving: take the middle of both.
    this.#serverTime = { offset: plus(server, second / 2) - (sent + at) / 2, at };
    this.#options.onServerTime?.(plus(server, second / 2 + (at - sent) / 2));
  }
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.ca === b.ca && a.cert === b.cert && a.key === b.key && a.servername === b.servername;
}

/**
 * HTTP/1.1 on purpose. Over HTTP/2 one connection would carry everything, but Node 24.21 was seen to spin for ever in
 * `Http2Session::SendPendingData`, at 3 GB a minute, when the API server was busy.
 */
function dispatcherFor(tls: TlsMaterial, connections: number | undefined): Dispatcher {
  return new Agent({
    allowH2: false,
    connect: {
      ...(tls.servername === undefined ? {} : { servername: tls.servername }),
      // One for all connections: each of its own has parsed the CA and takes 45 KiB, and every opted-in namespace has a connection.
      secureContext: createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key }),
      rejectUnauthorized: true,
      keepAlive: true,
      keepAliveInitialDelay: 30 * second,
      timeout: 10 * second,
    },
    keepAliveTimeout: 1 * minute,
    ...(connections === undefined ? {} : { connections }),
  });
}

/** `/api/v1/namespaces/x/secrets/y` → `secrets y`: the part of a path that a sentence needs. */
function resourceOf(path: string): string {
  const parts = path.split('/').slice(path.startsWith('/apis/') ? 4 : 3);
  const rest = parts[0] === 'namespaces' && parts.length > 2 ? parts.slice(2) : parts;
  return rest.length === 0 ? path : rest.map(decodeURIComponent).join(' ');
}

/** What was thrown on the way, as the caller should see it. */
function failure(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof OperatorError) return error;
  if (error instanceof Error && !isTrouble(error)) return error;
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no answer in time';
  return new OperatorError({
    class: 'Transient',
    reason: 'ApiServerUnavailable',
    message: `API server: ${what} got no whole answer (${code}); it is tried again`,
    cause: error,
  });
}

/** Errors of sockets, TLS, undici and deadlines; everything else is a bug or already classified. */
function isTrouble(error: Error): boolean {
  return 'code' in error || error.name === 'TimeoutError' || error.name === 'AbortError';
}
