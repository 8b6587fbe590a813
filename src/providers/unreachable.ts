/** Calls of identity providers that no answer came of → `OperatorError`. */
import type { Reason } from '../api/reasons.ts';
import { OperatorError } from '../errors.ts';
import type { Where } from './classify.ts';
import { EgressRefused } from './egress.ts';

/** An answer came, and it is none: cut off and thrown away, or not what the protocol wants. The message says what it was, in a few words. */
export class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer';
}

/** No complete answer: what `undici`, TLS, DNS, our guard or a deadline threw. `signal` is the caller's. */
export function unreachable(error: unknown, where: Where, signal?: AbortSignal): OperatorError {
  if (error instanceof OperatorError) return error;
  const subject = `issuer ${where.issuer}`;
  const make = (reason: Reason, terminal: boolean, message: string): OperatorError =>
    new OperatorError({
      class: terminal ? 'Terminal' : 'Transient',
      reason,
      whose: 'Issuer',
      message: `${subject}: ${message}`,
      cause: error,
    });

  const refused = causes(error).find((cause) => cause instanceof EgressRefused);
  if (refused instanceof EgressRefused)
    return make('AddressNotAllowed', refused.lasting, `not called, because ${refused.message}.`);
  if (error instanceof UnusableAnswer)
    return make(
      'ProviderMisbehaves',
      false,
      `${error.message}. Is something else answering in place of the provider? ${again}`,
    );
  if (signal?.aborted === true && !named(signal.reason, 'TimeoutError')) {
    const message = `${subject}: the call was cancelled.`;
    return new OperatorError({ class: 'Transient', reason: 'ProviderUnavailable', message, cause: error });
  }
  const code =
    causes(error)
      .map(codeOf)
      .find((found) => found !== undefined) ?? '';
  const tls = tlsProblem(code);
  if (tls !== undefined) return make('TlsInvalid', false, `its certificate is not accepted (${code}): ${tls}`);
  return make(
    'ProviderUnavailable',
    false,
    `cannot be reached: ${networkProblem(code, named(error, 'TimeoutError'))}. See whether it is up, and whether the operator's namespace may reach it. ${again}`,
  );
}

const again = 'It is tried again.';

/** The error, what caused it, what caused that, and so on, members of an AggregateError included. */
export function causes(error: unknown): readonly Error[] {
  const found: Error[] = [];
  for (let next = error; next instanceof Error && found.length < 8; next = next.cause) {
    found.push(next);
    if (next instanceof AggregateError) for (const inner of next.errors) if (inner instanceof Error) found.push(inner);
  }
  return found;
}

function named(error: unknown, name: string): boolean {
  return causes(error).some((cause) => cause.name === name);
}

export function codeOf(error: Error): string | undefined {
  const code: unknown = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}

function tlsProblem(code: string): string | undefined {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return 'renew it at the provider, and compare the clocks.';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'it is for another host name; use the name that it is made for.';
  if (
    /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_\w+|CERT_\w+|CRL_\w+|INVALID_CA)$/.test(code)
  ) {
    return 'give the certificate authority in caBundleRef of this issuer.';
  }
  if (/^(ERR_SSL_|EPROTO|ERR_TLS_|ERR_OSSL_)/.test(code))
    return 'the server does not speak TLS 1.2 or newer there, or the CA bundle is not PEM.';
  return undefined;
}

const networkProblems: Readonly<Record<string, string>> = {
  PROXY_UNREACHABLE: 'the proxy of this issuer (proxyUrl) does not answer',
  PROXY_REFUSED: 'the proxy of this issuer (proxyUrl) does not let the call through; allow the address there',
  PROXY_WITHOUT_ADDRESS:
    'its name does not resolve here, and the proxy of this issuer (proxyUrl) is asked for addresses only; let the name resolve where the operator runs',
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'its name cannot be resolved now',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ETIMEDOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'no answer in time',
  UND_ERR_HEADERS_OVERFLOW: 'the answer has too many headers',
};

function networkProblem(code: string, timedOut: boolean): string {
  if (timedOut) return 'no answer in time';
  return networkProblems[code] ?? (/^[A-Z0-9_]{1,40}$/.test(code) ? code : 'the call failed');
}
