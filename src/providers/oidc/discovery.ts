/** Provider metadata: RFC 8414 and OpenID Connect Discovery 1.0. */
import { type Clock, hour, type Instant, type Milliseconds, minute, plus } from '../../clock.ts';
import { OperatorError } from '../../errors.ts';
import { misbehaves, refused } from '../classify.ts';
import { unreachable } from '../unreachable.ts';
import { checkUrl, EgressRefused } from '../egress.ts';
import { parseJsonObject, withoutUndefined } from '../fields.ts';
import { type Http, type HttpAnswer, largeAnswer } from '../http.ts';

/** What we use of the document; every endpoint is https and on the issuer's origin. */
export interface Metadata {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly registrationEndpoint?: string;
  readonly revocationEndpoint?: string;
  readonly introspectionEndpoint?: string;
  /** As the document says; its absence means `client_secret_basic` only (RFC 8414 §2), which is not believed: many leave it out. */
  readonly authenticationMethods?: readonly string[];
  /** `token_endpoint_auth_signing_alg_values_supported`. */
  readonly signingAlgorithms?: readonly string[];
}

export interface DiscoveryOptions {
  readonly issuer: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly allowPrivateNetwork: () => boolean;
  readonly random: () => number;
}

/** Metadata is read again when older than this, less up to a tenth. */
const maxAge: Milliseconds = hour;
/** How long an old document serves while the provider does not answer. */
const longestStale: Milliseconds = 24 * hour;
const pauseAfterFailure: Milliseconds = minute;

/** The metadata of one issuer, read once for all callers and kept. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  #known: { readonly metadata: Metadata; readonly at: Instant; until: Instant } | undefined;
  #flight: Promise<Metadata> | undefined;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** What was read last, however old. */
  get known(): Metadata | undefined {
    return this.#known?.metadata;
  }

  /** The next {@link get} reads it again: an endpoint was not where the document said. */
  forget(): void {
    if (this.#known !== undefined) this.#known.until = this.#known.at;
  }

  /** Reads it, known or not. Where it does not come, what else comes from there may not be the provider's. */
  async comesNow(signal: AbortSignal): Promise<boolean> {
    try {
      await orAborted(this.#read(), signal);
      return true;
    } catch {
      this.forget();
      return false;
    }
  }

  /** Usually no call at all. One call serves everybody who waits; it goes on when one of them gives up. */
  async get(signal: AbortSignal): Promise<Metadata> {
    const known = this.#known;
    const { clock } = this.#options;
    if (known !== undefined && known.at <= clock.now() && clock.now() < known.until) return known.metadata;
    this.#flight ??= this.#read().finally(() => (this.#flight = undefined));
    try {
      return await orAborted(this.#flight, signal);
    } catch (failure) {
      const error = unreachable(failure, { issuer: this.#options.issuer, now: clock.now() }, signal);
      if (known === undefined || error.class !== 'Transient' || plus(known.at, longestStale) <= clock.now())
        throw error;
      known.until = plus(clock.now(), pauseAfterFailure);
      return known.metadata;
    }
  }

  async #read(): Promise<Metadata> {
    const { issuer, http, clock, allowPrivateNetwork, random } = this.#options;
    const where = { issuer, now: clock.now() };
    let answer: HttpAnswer | undefined;
    for (const url of documentUrls(issuer)) {
      answer = await http.send({ method: 'GET', url, maxBytes: largeAnswer }, new AbortController().signal);
      if (answer.status !== 404) break;
    }
    if (answer?.status !== 200) throw refused(answer ?? { status: 404, headers: {}, body: '' }, 'Discovery', where);
    const document = parseJsonObject(answer.body);
    if (document === undefined) throw misbehaves('Discovery', where, 'the answer is not a JSON object', 'Issuer');
    const metadata = parseMetadata(document, issuer, allowPrivateNetwork());
    const at = clock.now();
    this.#known = { metadata, at, until: plus(at, maxAge * (1 - random() / 10)) };
    return metadata;
  }
}

/** OpenID Connect appends the well-known part, RFC 8414 §3.1 inserts it before the path. The first that is not 404 counts. */
export function documentUrls(issuer: string): readonly string[] {
  const bare = issuer.replace(/\/$/, '');
  const url = new URL(issuer);
  const path = url.pathname.replace(/\/$/, '');
  return [`${bare}/.well-known/openid-configuration`, `${url.origin}/.well-known/oauth-authorization-server${path}`];
}

/** Throws `Terminal` `ProviderMetadataInvalid` with the one step that heals it. */
export function parseMetadata(
  document: Readonly<Record<string, unknown>>,
  issuer: string,
  allowPrivateNetwork: boolean,
): Metadata {
  const invalid = (what: string, todo: string): OperatorError =>
    new OperatorError({
      class: 'Terminal',
      reason: 'ProviderMetadataInvalid',
      whose: 'Issuer',
      message: `issuer ${issuer}: its metadata cannot be used, because ${what}. ${todo}`,
    });
  if (document['issuer'] !== issuer) {
    throw invalid(
      'it names another issuer, and the two must be equal to the letter (RFC 8414 §3.3)',
      'Write the URL in the configuration and in the pool exactly as the provider calls itself, including a slash at the end.',
    );
  }
  const endpoint = (name: string): string | undefined => {
    const value = document[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') throw invalid(`${name} is not text`, 'Correct it at the provider.');
    try {
      if (checkUrl(value, allowPrivateNetwork).origin === new URL(issuer).origin) return value;
    } catch (error) {
      if (!(error instanceof EgressRefused)) throw error;
      throw invalid(`${name} may not be called: ${error.message}`, 'Correct it at the provider.');
    }
    throw invalid(
      `${name} is on another origin than the issuer`,
      "Set the provider's public URL so that both are the same.",
    );
  };
  const tokenEndpoint = endpoint('token_endpoint');
  if (tokenEndpoint === undefined)
    throw invalid('it has no token_endpoint', 'Is the URL really that of an authorization server?');
  return {
    issuer,
    tokenEndpoint,
    ...withoutUndefined({
      registrationEndpoint: endpoint('registration_endpoint'),
      revocationEndpoint: endpoint('revocation_endpoint'),
      introspectionEndpoint: endpoint('introspection_endpoint'),
      authenticationMethods: list(document['token_endpoint_auth_methods_supported']),
      signingAlgorithms: list(document['token_endpoint_auth_signing_alg_values_supported']),
    }),
  };
}

function list(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined;
}

/** Waits for `work`, but no longer than `signal` allows. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  signal.throwIfAborted();
  const gone = new AbortController();
  try {
    return await Promise.race([
      work,
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: gone.signal });
      }),
    ]);
  } finally {
    gone.abort();
  }
}
