/** Connections through an HTTP proxy (CONNECT, RFC 9110 §9.3.6). TLS goes end to end, so the proxy sees addresses and nothing else. */
import { request } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { second } from '../clock.ts';
import { guardedLookup, type Lookup } from './egress.ts';

export interface TunnelOptions {
  /** `http://host:port`, from the operator's configuration. */
  readonly proxyUrl: string;
  /** The guarded resolver: what it refuses, the proxy is not asked for. */
  readonly lookup: Lookup;
  readonly tls: buildConnector.BuildOptions;
}

/** No tunnel came about, so nothing was sent to the provider. */
class TunnelFailed extends Error {
  override readonly name = 'TunnelFailed';
  readonly code: 'PROXY_UNREACHABLE' | 'PROXY_REFUSED' | 'PROXY_WITHOUT_ADDRESS';

  constructor(code: TunnelFailed['code'], cause?: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

const connectTimeout = 5 * second;

/**
 * For undici's `connect`. The name is resolved *here* and the proxy is asked for the address that was checked: were it asked for the name, it
 * would be a way to whatever the name means to the proxy.
 */
export function tunnelConnector({ proxyUrl, lookup, tls }: TunnelOptions): buildConnector.connector {
  const secure = buildConnector(tls);
  return (options, callback) => {
    checkedAddress(options.hostname, lookup)
      .then((address) => open(new URL(proxyUrl), address, options.port === '' ? '443' : options.port))
      .then(
        (httpSocket) => secure({ ...options, httpSocket }, callback),
        (error: Error) => callback(error, null),
      );
  };
}

function checkedAddress(host: string, lookup: Lookup): Promise<string> {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0) return Promise.resolve(bare);
  return new Promise((resolve, reject) => {
    lookup(bare, {}, (error, address) => {
      if (error === null) return resolve(address as string);
      const { code } = error as NodeJS.ErrnoException;
      const isUnknown = code === 'ENOTFOUND' || code === 'EAI_AGAIN';
      return reject(isUnknown ? new TunnelFailed('PROXY_WITHOUT_ADDRESS', error) : error);
    });
  });
}

function open(proxy: URL, address: string, port: string): Promise<Socket> {
  const target = `${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
  return new Promise((resolve, reject) => {
    const fail = (code: TunnelFailed['code'], cause?: unknown): void => reject(new TunnelFailed(code, cause));
    const call = request({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? 80 : Number(proxy.port),
      method: 'CONNECT',
      path: target,
      headers: { host: target },
      agent: false,
      timeout: connectTimeout,
      // A proxy stands in a private network as a rule; never where clouds hand out credentials.
      lookup: guardedLookup(() => true) as never,
    });
    call.once('connect', ({ statusCode }, socket: Socket, early: Buffer) => {
      if (statusCode === 200 && early.length === 0) return resolve(socket);
      socket.on('error', () => undefined).destroy();
      return fail('PROXY_REFUSED');
    });
    call.once('response', (answer) => {
      answer.destroy();
      fail('PROXY_REFUSED');
    });
    call.once('timeout', () => call.destroy(new Error('the proxy does not answer')));
    call.on('error', (error) => fail('PROXY_UNREACHABLE', error));
    call.end();
  });
}
