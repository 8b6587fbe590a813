import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Cluster } from '#test/cluster/cluster.ts';
import { issue } from '#test/cluster/credentials.ts';
import type { KeyPair } from '#test/cluster/x509.ts';

export interface ProxiedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly watch: boolean;
  readonly headers: IncomingHttpHeaders;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What goes wrong with a request. */
export type Fault =
  /** This answer, and the server behind is never asked. */
  | {
      readonly type: 'Answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The connection breaks before the server behind is asked. */
  | { readonly type: 'Reset' }
  /** The server behind acts, its answer is lost: the connection breaks. */
  | { readonly type: 'AnswerLost' }
  /** Never any answer; the connection stays open. */
  | { readonly type: 'Hang' }
  | { readonly type: 'Delay'; readonly ms: number }
  /** The first `bytes` of the answer's body pass, then the connection breaks. */
  | { readonly type: 'Truncate'; readonly bytes: number };

export interface Rule {
  readonly when: (request: ProxiedRequest) => boolean;
  /** `times`: how often it strikes; default: until it is removed. */
  readonly times?: number;
  readonly fault: Fault;
}

/** A TLS-terminating proxy in front of a real server, which breaks what it is told to break. */
export interface FaultProxy {
  readonly url: string;
  /** Path of the authority that signed the proxy's certificate. */
  readonly caFile: string;
  /** Everything that arrived, oldest first. */
  readonly requests: readonly ProxiedRequest[];
  /** The first rule that matches strikes. Returns how to remove it. */
  on(rule: Rule): () => void;
  /** Removes all rules. */
  heal(): void;
  /** Watches that are open now. */
  readonly streams: number;
  /** Breaks the connections of all watches that are open now. */
  killStreams(): void;
  /** No byte passes any more on the watches that are open now; their connections stay open. */
  stallStreams(): void;
  /** Writes text of our own into all watches that are open now. */
  writeToStreams(text: string): void;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface FaultProxyOptions {
  /** URL of the real server. */
  readonly target: string;
  /** Path of the authority of the real server, and of `certificate`. */
  readonly caFile: string;
  /** For `127.0.0.1`. */
  readonly certificate: KeyPair;
}

/** A proxy in front of a cluster's API server. Client certificates cannot pass it: use `kubeconfigForServiceAccount(ns, name, proxy.url)`. */
export async function startFaultProxyOf(cluster: Cluster): Promise<FaultProxy> {
  const certificate = await issue(cluster.dir, { commonName: 'fault-proxy', serverNames: ['127.0.0.1', 'localhost'] });
  return startFaultProxy({ target: cluster.server, caFile: cluster.caFile, certificate });
}

/** So many `bytes` of the body; then, or where the answer breaks, the connection breaks. */
function passOn(answer: IncomingMessage, to: ServerResponse, bytes: number): void {
  to.writeHead(answer.statusCode ?? 502, answer.headers);
  to.flushHeaders();
  let left = bytes;
  answer.on('data', (chunk: Buffer) => {
    to.write(chunk.subarray(0, Math.min(chunk.length, left)));
    left -= chunk.length;
    if (left <= 0) setImmediate(() => to.destroy());
  });
  answer.on('end', () => to.end());
  answer.on('close', () => {
    if (!answer.complete) to.destroy();
  });
  answer.on('error', () => to.destroy());
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const target = new URL(options.target);
  const agent = new Agent({ keepAlive: true, ca: await readFile(options.caFile) });
  const requests: ProxiedRequest[] = [];
  const streams = new Map<ServerResponse, IncomingMessage>();
  let rules: { rule: Rule; left: number }[] = [];

  const faultFor = (asked: ProxiedRequest): Fault | undefined => {
    const found = rules.find(({ rule, left }) => left > 0 && rule.when(asked));
    if (found === undefined) return undefined;
    found.left -= 1;
    return found.rule.fault;
  };

  const forward = (from: IncomingMessage, to: ServerResponse, watch: boolean, fault: Fault | undefined): void => {
    const headers = { ...from.headers, host: target.host };
    const onward = request(
      { agent, host: target.hostname, port: target.port, method: from.method, path: from.url, headers },
      (answer) => {
        if (fault?.type === 'AnswerLost') {
          answer.resume().on('close', () => to.destroy());
          return;
        }
        if (watch) {
          streams.set(to, answer);
          to.on('close', () => streams.delete(to));
        }
        passOn(answer, to, fault?.type === 'Truncate' ? fault.bytes : Number.POSITIVE_INFINITY);
      },
    );
    onward.on('error', () => to.destroy());
    to.on('close', () => onward.destroy());
    from.pipe(onward);
  };

  const certificate = { key: options.certificate.key, cert: options.certificate.certificate };
  const server = createServer(certificate, (from, to) => {
    const path = from.url ?? '/';
    const watch = /[?&]watch=(true|1)/.test(path);
    const asked = { method: from.method ?? 'GET', path, watch, headers: from.headers, at: Date.now() };
    requests.push(asked);
    const fault = faultFor(asked);
    if (fault?.type === 'Hang') return;
    if (fault?.type === 'Reset') to.destroy();
    else if (fault?.type === 'Answer')
      to.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers }).end(fault.body ?? '');
    else if (fault?.type === 'Delay') setTimeout(() => forward(from, to, watch, undefined), fault.ms);
    else forward(from, to, watch, fault);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const stop = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    agent.destroy();
    await closed;
  };
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile: options.caFile,
    requests,
    on(rule) {
      const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
      rules.push(entry);
      return () => {
        rules = rules.filter((other) => other !== entry);
      };
    },
    heal() {
      rules = [];
    },
    get streams() {
      return streams.size;
    },
    killStreams() {
      for (const stream of streams.keys()) stream.destroy();
    },
    stallStreams() {
      for (const answer of streams.values())
        answer.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close').pause();
    },
    writeToStreams(text) {
      for (const stream of streams.keys()) stream.write(text);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
