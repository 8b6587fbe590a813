/** The only place that calls identity providers. */
import { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { Agent, buildConnector, request } from 'undici';
import { type Clock, type Instant, type Milliseconds, parseHttpDate, plus, second } from '../clock.ts';
import { LostLeaseError, OperatorError } from '../errors.ts';
import { withDeadline } from '../runtime/abort.ts';
import { checkUrl, guardedLookup, type Lookup } from './egress.ts';
import { tunnelConnector } from './tunnel.ts';
import { UnusableAnswer, unreachable } from './unreachable.ts';

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names; a repeated header is joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The provider's clock, from its `Date` header; whole seconds. */
  readonly providerTime?: Instant;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Most bytes of an answer's body. */
  readonly maxBytes: number;
  /** Default {@link HttpOptions.deadline}. */
  readonly deadline?: Milliseconds;
}

export interface HttpOptions {
  readonly issuer: string;
  readonly clock: Clock;
  /** PEM text; replaces the system's roots. Without a certificate in it nothing is called. Read before each call: a new bundle starts new connections. */
  readonly caBundle: () => string | undefined;
  /** Read before each call: another answer starts new connections, whose addresses are judged anew. */
  readonly allowPrivateNetwork: () => boolean;
  /** `http://host:port` of a proxy for all calls; absent: none, whatever the environment says. A new one starts new connections. */
  readonly proxyUrl?: () => string | undefined;
  /** The resolver behind the guard; default the system's. */
  readonly lookup?: Lookup;
  /** For the whole call: connect, request, last byte. Default 10 s. */
  readonly deadline?: Milliseconds;
}

/** Bytes of the largest answer that is read: metadata and client registrations. */
export const largeAnswer = 1_048_576;
/** Bytes of the largest answer of token, revocation and introspection endpoints. */
export const smallAnswer = 65_536;

const defaultDeadline = 10 * second;

/** A connection is kept only as long as these stay what they were when it was made. */
interface ConnectionSettings {
  readonly ca: string | undefined;
  readonly proxyUrl: string | undefined;
  readonly allowPrivateNetwork: boolean;
}

/**
 * Calls one issuer over one long-lived dispatcher: https only, guarded addresses, no redirects, no compression, byte and time caps, never
 * a retry. Throws `OperatorError` only when there was no complete answer; every HTTP status is an answer.
 */
export class Http {
  readonly #options: HttpOptions;
  #agent: Agent | undefined;
  #madeFor: ConnectionSettings | undefined;
  #offset: Milliseconds | undefined;
  #certificateExpiry: Instant | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** Provider's clock minus ours at its last answer that told it, ± 1 s; `undefined` before the first. */
  get clockOffset(): Milliseconds | undefined {
    return this.#offset;
  }

  /** When the certificate that the provider showed last expires; `undefined` before the first connection. */
  get certificateExpiry(): Instant | undefined {
    return this.#certificateExpiry;
  }

  /** The time by which the provider judges an assertion; ours while they agree within the accuracy of a `Date` header. */
  providerNow(): Instant {
    const offset = this.#offset ?? 0;
    return plus(this.#options.clock.now(), Math.abs(offset) < 5 * second ? 0 : offset);
  }

  /** The provider's clock by what it signed: some send no `Date` (Keycloak), and RFC 9110 §6.6.1 lets them. */
  sawTime(providerTime: Instant): void {
    this.#offset = providerTime + 500 - this.#options.clock.now();
  }

  /** What it said of its clock may not be true any more. */
  forgetTime(): void {
    this.#offset = undefined;
  }

  async send(what: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const { issuer, clock, deadline: usual = defaultDeadline } = this.#options;
    try {
      checkUrl(what.url, this.#options.allowPrivateNetwork());
      return await withDeadline(what.deadline ?? usual, signal, (bounded) => this.#exchange(what, bounded));
    } catch (error) {
      if (error instanceof LostLeaseError) throw error;
      throw unreachable(error, { issuer, now: clock.now() }, signal);
    }
  }

  async #exchange(what: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const answer = await request(what.url, {
      method: what.method,
      dispatcher: this.#dispatcher(),
      signal,
      headers: {
        accept: 'application/json',
        ...what.headers,
        'accept-encoding': 'identity',
        'user-agent': 'ci-identity-operator',
      },
      ...(what.body === undefined ? {} : { body: what.body }),
    });
    const headers = flatten(answer.headers);
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
      answer.body.on('error', () => undefined).destroy();
      throw new UnusableAnswer('the answer is compressed although that was not allowed');
    }
    const body = await readCapped(answer.body, what.maxBytes);
    // What a cache kept says when the provider once answered (RFC 9111 §5.1). Some say `Age: 0` of what they only passed on.
    const isKept = (headers['age'] ?? '0') !== '0';
    const providerTime = isKept ? undefined : parseHttpDate(headers['date'] ?? '');
    if (providerTime !== undefined) this.sawTime(providerTime);
    return { status: answer.statusCode, headers, body, ...(providerTime === undefined ? {} : { providerTime }) };
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
    this.#agent = undefined;
  }

  #dispatcher(): Agent {
    const { caBundle, proxyUrl, allowPrivateNetwork } = this.#options;
    const wanted = { ca: caBundle(), proxyUrl: proxyUrl?.(), allowPrivateNetwork: allowPrivateNetwork() };
    if (wanted.ca !== undefined && !/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(wanted.ca))
      throw noAuthority(this.#options.issuer);
    if (this.#agent !== undefined && isDeepStrictEqual(wanted, this.#madeFor)) return this.#agent;
    void this.#agent?.close();
    this.#madeFor = wanted;
    this.#agent = new Agent({
      allowH2: false,
      connections: 32,
      pipelining: 1,
      connect: this.#connector(wanted),
    });
    return this.#agent;
  }

  #connector({ ca, proxyUrl }: ConnectionSettings): buildConnector.connector {
    const lookup = guardedLookup(this.#options.allowPrivateNetwork, this.#options.lookup);
    const tls = {
      timeout: 5 * second,
      allowH2: false,
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
    } as const;
    const connect =
      proxyUrl === undefined
        ? buildConnector({ ...tls, lookup: lookup as never })
        : tunnelConnector({ proxyUrl, lookup, tls });
    return (options, callback) =>
      connect(options, (...[error, socket]) => {
        if (error === null) this.#saw(socket);
        callback(...([error, socket] as Parameters<buildConnector.Callback>));
      });
  }

  /** A resumed TLS session shows no certificate: what was seen before stays. */
  #saw(socket: unknown): void {
    const validTo = socket instanceof TLSSocket ? socket.getPeerCertificate().valid_to : undefined;
    this.#certificateExpiry = (validTo === undefined ? undefined : parseHttpDate(validTo)) ?? this.#certificateExpiry;
  }
}

/** Whoever names an authority wants no other to be trusted, also while it cannot be found. */
function noAuthority(issuer: string): OperatorError {
  return new OperatorError({
    class: 'Transient',
    reason: 'TlsInvalid',
    whose: 'Issuer',
    message:
      `issuer ${issuer}: not called, because what caBundleRef of this issuer names does not exist or holds no certificate, or cannot be read (then the operator's log says why). ` +
      `Put the certificate authority in PEM (BEGIN CERTIFICATE) under that key of a ConfigMap or Secret in the operator's namespace, or correct the name.`,
  });
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

async function readCapped(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw new UnusableAnswer(`the answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
