/** What is wrong with registering or managing a client before, or whatever, the provider answers. */
import { registrationTokenMissing } from '../../domain/access/explain.ts';
import { type ErrorOwner, OperatorError } from '../../errors.ts';
import type { HttpRequest } from '../http.ts';

export type RegistrationFailure =
  | 'RegistrationCredentialMissing'
  | 'RegistrationCredentialRefused'
  | 'RegistrationRefused'
  | 'RegistrationAccessTokenLost'
  | 'ClientGone'
  | 'ClientIdTaken';

export function terminal(
  issuer: string,
  reason: RegistrationFailure,
  what: string,
  whose: ErrorOwner = 'Object',
): OperatorError {
  return new OperatorError({ class: 'Terminal', reason, whose, message: `issuer ${issuer}: ${what}` });
}

export function missingToken(issuer: string): OperatorError {
  return terminal(issuer, 'RegistrationCredentialMissing', registrationTokenMissing('registrationTokenRef'), 'Issuer');
}

/** No header can carry it. A command line may have printed more than the token. */
export function noToken(issuer: string, method: HttpRequest['method']): OperatorError {
  const why = 'holds more than a token (several lines, JSON?). Put the bare token there.';
  return method === 'POST'
    ? terminal(issuer, 'RegistrationCredentialRefused', `the Secret of registrationTokenRef ${why}`, 'Issuer')
    : terminal(
        issuer,
        'RegistrationAccessTokenLost',
        `the Secret of managementTokenRef, or what was handed in, ${why} Minting goes on.`,
      );
}

export function lostToken(issuer: string): OperatorError {
  return terminal(
    issuer,
    'RegistrationAccessTokenLost',
    'there is no token that manages this client. Give managementTokenRef of this issuer, or hand in a new registration access token; minting goes on.',
  );
}
