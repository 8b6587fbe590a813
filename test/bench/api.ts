import { readFileSync } from 'node:fs';
import { type Dispatcher, Pool } from 'undici';
import { parse } from 'yaml';

interface Kubeconfig {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } },
  ];
  readonly users: readonly [{ readonly user: Readonly<Record<string, string>> }];
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Bare HTTP to the API server: one keep-alive pool, no retries, no types. */
export interface Api {
  send(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<Answer>;
  /** JSON merge patch (RFC 7386). */
  merge(path: string, body: unknown): Promise<Answer>;
  /**
   * The events of a watch, until `signal` aborts. It goes on where it was when the server ends it, as it does to a reader that falls behind
   * in a burst.
   */
  watch(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent>;
  close(): Promise<void>;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: {
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly data?: Readonly<Record<string, string>>;
  };
}

export interface PoolOptions {
  readonly connections: number;
}

/** HTTP/1.1, as the operator speaks it. */
export function openApi(kubeconfig: string, { connections }: PoolOptions): Api {
  const { clusters, users } = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
  const { server, 'certificate-authority-data': authority } = clusters[0].cluster;
  const { token, 'client-certificate-data': certificate, 'client-key-data': key } = users[0].user;
  const decode = (text: string): Buffer => Buffer.from(text, 'base64');
  const connect = {
    ca: decode(authority),
    ...(certificate === undefined || key === undefined ? {} : { cert: decode(certificate), key: decode(key) }),
  };
  const pool = new Pool(server, { connections, pipelining: 1, allowH2: false, connect });
  const headers = {
    accept: 'application/json',
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return {
    async send(method, path, body) {
      const answer = await pool.request({
        method,
        path,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    },
    async merge(path, body) {
      const patching = { ...headers, 'content-type': 'application/merge-patch+json' };
      const answer = await pool.request({ method: 'PATCH', path, headers: patching, body: JSON.stringify(body) });
      return { status: answer.statusCode, text: await answer.body.text() };
    },
    async *watch(path, signal) {
      for (let version = ''; !signal.aborted;) {
        const from = version === '' ? '' : `&resourceVersion=${version}`;
        const { statusCode, body } = await pool.request({
          method: 'GET',
          path: path + from,
          headers,
          signal,
          bodyTimeout: 0,
        });
        if (statusCode !== 200) throw new Error(`watch ${path}: ${statusCode} ${await body.text()}`);
        try {
          for await (const line of linesOf(body.setEncoding('utf8'))) {
            const event = JSON.parse(line) as WatchEvent;
            if (event.type === 'ERROR') throw new Error(`watch ${path}: ${line}`);
            version = event.object.metadata.resourceVersion;
            yield event;
          }
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      }
    },
    close: () => pool.destroy(),
  };
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/** The text of the answer; throws where the status is not one of `expected`. */
export function expectStatus(what: string, { status, text }: Answer, ...expected: readonly number[]): string {
  if (!expected.includes(status)) throw new Error(`${what}: ${status} ${text.slice(0, 500)}`);
  return text;
}

/**
 * Requests of service accounts other than the control plane's so far, by the API server's own count of what its flow schema let through
 * (priority and fairness); watches count once.
 */
export async function apiCallsOf(admin: Api): Promise<number> {
  const text = expectStatus('metrics', await admin.send('GET', '/metrics'), 200);
  const lines = text.matchAll(
    /^apiserver_flowcontrol_dispatched_requests_total\{flow_schema="service-accounts",[^}]*\} (\S+)/gm,
  );
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Requests to kinds that the operator writes, by `verb resource`, whoever made them; what does not end by itself, such as a watch, is left out. */
export async function writesOf(admin: Api): Promise<ReadonlyMap<string, number>> {
  const text = expectStatus('metrics', await admin.send('GET', '/metrics'), 200);
  const writes = new Map<string, number>();
  for (const [, labels = '', count] of text.matchAll(/^apiserver_request_total\{([^}]*)\} (\S+)/gm)) {
    const label = (name: string): string => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const [verb, resource, subresource] = ['verb', 'resource', 'subresource'].map(label);
    if (!writing.has(verb!) || !written.test(resource!)) continue;
    const name = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
    writes.set(name, (writes.get(name) ?? 0) + Number(count));
  }
  return writes;
}

const writing: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE']);
const written = /^(secrets|events|identitypools|ciidentities|scopepolicies)$/;
