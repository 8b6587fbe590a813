import type { Reason } from '../api/reasons.ts';
import type { OperatorError } from '../errors.ts';
import { UnusableAnswer, causes, codeOf } from './unreachable.ts';

/** The other side answered that it did not do it, or the call was never sent. */
const ineffectiveReasons: readonly Reason[] = [
  'RegistrationRefused',
  'RegistrationCredentialMissing',
  'RegistrationCredentialRefused',
  'RegistrationAccessTokenLost',
  'ClientGone',
  'RateLimited',
  'ProviderMetadataInvalid',
  'AddressNotAllowed',
  'TlsInvalid',
  'IssuerNotConfigured',
];

/** No connection came about, or the call was not even begun, so nothing was sent. */
const unsent: readonly string[] = [
  'NO_TURN',
  'PROXY_UNREACHABLE',
  'PROXY_REFUSED',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/**
 * Whether a mutating call that failed with `error` surely changed nothing at the provider, so that its intent may be closed. `false` means
 * that nobody knows.
 */
export function surelyWithoutEffect(error: OperatorError): boolean {
  return (
    ineffectiveReasons.includes(error.reason) ||
    causes(error.cause).some((cause) => unsent.includes(codeOf(cause) ?? ''))
  );
}

/**
 * What was answered to a call that failed with `error`, in a few words, where that is no answer of the protocol: the call may have had its effect
 * all the same, and the same again would be answered so as well. `undefined`: it failed otherwise.
 */
export function unusableAnswer(error: OperatorError): string | undefined {
  return causes(error.cause).find((cause) => cause instanceof UnusableAnswer)?.message;
}
