/** Answers of identity providers that are failures → `OperatorError`. Foreign text is cleaned and cut; secrets never get here or are scrubbed. */
import type { Reason } from '../api/reasons.ts';
import { clean } from '../clean.ts';
import { type Instant, retryAfter } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { type ProviderError, readProviderError } from './provider-error.ts';
import type { HttpAnswer } from './http.ts';
import { isRefusedIn, refusalBy, type SilentRefusals } from './whose-word.ts';

export type Operation = 'Discovery' | 'Register' | 'Manage' | 'Token' | 'Revoke' | 'Introspect';

export interface Where {
  readonly issuer: string;
  readonly now: Instant;
  /** Values that must not appear in a message even if the provider echoes them. */
  readonly secrets?: readonly string[];
  /** What to do about a refused registration at this product. */
  readonly registrationHint?: (error: ProviderError) => string | undefined;
  /** What was asked for, where a refusal may be about it. */
  readonly asked?: { readonly scopes: readonly string[]; readonly audiences: readonly string[] };
  readonly silentRefusals?: SilentRefusals;
  /** Whether a token endpoint of this product that fails so may be in trouble with the one client only. */
  readonly mayConcernClient?: (error: ProviderError) => boolean;
}

const endpoints: Readonly<Record<Operation, string>> = {
  Discovery: 'metadata document',
  Register: 'registration endpoint',
  Manage: 'client management endpoint',
  Token: 'token endpoint',
  Revoke: 'revocation endpoint',
  Introspect: 'introspection endpoint',
};

/** An answer that is not the success of `operation`. Never a bug: every status and body has a class. */
export function refused(answer: HttpAnswer, operation: Operation, where: Where): OperatorError {
  const error = readProviderError(answer, where.secrets ?? []);
  const said = `${error.status}${error.code === undefined ? '' : ` ${error.code}`}${error.text === undefined ? '' : `, "${error.text}"`}`;
  const sentence = (what: string, todo: string): string =>
    `issuer ${where.issuer} – ${endpoints[operation]} ${what} (${said}). ${todo}`;
  const temporary = (reason: Reason, what: string, todo: string, retryAt?: Instant): OperatorError =>
    new OperatorError({
      class: 'Transient',
      reason,
      whose: 'Issuer',
      message: sentence(what, todo),
      ...(retryAt === undefined ? {} : { retryAt }),
    });
  const terminal = (reason: Reason, whose: 'Object' | 'Issuer', what: string, todo: string): OperatorError =>
    new OperatorError({
      class: 'Terminal',
      reason,
      whose,
      message: sentence(what, todo),
      ...(error.text === undefined ? {} : { said: error.text }),
    });

  const retryAt = retryAfter(answer.headers['retry-after'], where.now, answer.providerTime);
  if (error.status === 429 || (error.status === 503 && retryAt !== undefined)) {
    return temporary('RateLimited', 'asks to wait', 'The work keeps its place.', retryAt);
  }
  if (operation === 'Token' && where.mayConcernClient?.(error) === true) {
    const todo = 'If others get tokens, enable this client there, or rotate the pool with rotation.allowSubjectChange.';
    const message = sentence('fails, as it also does at a client that was deleted or disabled there', todo);
    return new OperatorError({ class: 'Transient', reason: 'ClientUnusable', whose: 'Object', message });
  }
  if (
    (error.status >= 500 && !(operation === 'Manage' && isNotOffered(answer))) ||
    error.status === 408 ||
    temporaryCodes.has(error.code ?? '')
  ) {
    return temporary('ProviderUnavailable', 'fails', 'It is tried again.', retryAt);
  }
  if (error.status < 400 && !isRefusedIn(answer)) {
    const why = error.status >= 300 ? 'redirects, which is never followed' : 'answers something unexpected';
    return temporary('ProviderMisbehaves', why, 'Compare the issuer URL with what the provider calls itself.');
  }
  if (error.page) {
    const todo = 'A proxy or firewall seems to stand before the provider: let the operator through.';
    return temporary('ProviderMisbehaves', 'answers with a page instead of JSON', todo);
  }
  if (refusalBy(answer, operation, where.silentRefusals) === 'Anybody') {
    const todo =
      'A gateway or firewall seems to refuse the call: let the operator through. If it is the provider itself, see whether the client still exists there.';
    return temporary('ProviderMisbehaves', 'answers without an error code of OAuth', todo);
  }
  switch (operation) {
    case 'Token':
    case 'Revoke':
    case 'Introspect':
      return refusedByTokenEndpoint(error, operation, where, terminal, temporary);
    case 'Register':
      return refusedRegistration(error, where, terminal);
    case 'Manage':
      if (error.status === 401 || (error.status === 403 && error.code !== 'insufficient_scope')) {
        const todo =
          'Give managementTokenRef of this issuer, or hand in a new registration access token; minting goes on.';
        return terminal('RegistrationAccessTokenLost', 'Object', 'refuses the token that manages this client', todo);
      }
      if (isNotOffered(answer)) {
        const todo =
          'Set rotation.allowSubjectChange of the pool, so that a rotation registers a new client; delete there by hand what shall go, and set deletionPolicy Retain before the pool goes.';
        return terminal('RegistrationRefused', 'Object', 'offers no way to change or delete clients', todo);
      }
      return terminal('RegistrationRefused', 'Object', 'refuses the change of the client', hint(error, where));
    case 'Discovery':
      return temporary('ProviderMetadataInvalid', 'is not there', 'Correct the issuer URL in the configuration.');
  }
}

/** There is no such call here; whoever is told so of a client has seen that the client is there. */
export function isNotOffered({ status }: HttpAnswer): boolean {
  return status === 404 || status === 405 || status === 501;
}

type Terminal = (reason: Reason, whose: 'Object' | 'Issuer', what: string, todo: string) => OperatorError;
type Temporary = (reason: Reason, what: string, todo: string) => OperatorError;

const temporaryCodes = new Set(['temporarily_unavailable', 'server_error', 'slow_down']);
const credentialCodes = new Set(['invalid_client', 'unauthorized_client', 'invalid_grant', 'invalid_token']);
const scopeCodes = new Set([
  'invalid_scope',
  'scope_invalid',
  'invalid_target',
  'invalid_resource',
  'insufficient_scope',
  'access_denied',
]);
const dpopCodes = new Set(['invalid_dpop_proof', 'use_dpop_nonce']);

/** A silent refusal of a product is its `invalid_client`. */
function refusedByTokenEndpoint(
  error: ProviderError,
  operation: Operation,
  where: Where,
  terminal: Terminal,
  temporary: Temporary,
): OperatorError {
  const code = error.code ?? '';
  if (scopeCodes.has(code)) {
    return terminal(
      'ScopeRefused',
      'Object',
      'refuses the scope or audience',
      `Allow it for this client at the provider, or take it out of the pool.${askedInWords(where)}`,
    );
  }
  if (credentialCodes.has(code) || error.status === 401 || (error.status === 403 && code === '')) {
    return terminal(
      'CredentialRefused',
      'Object',
      'refuses the credential of the client',
      operation !== 'Token' && /\baud(ience)?\b/i.test(error.text ?? '')
        ? 'If it gives tokens and wants signed assertions to name the URL that is called, as Okta does, set assertionAudience: CalledEndpoint of this issuer.'
        : 'See whether the client still exists there and is enabled.',
    );
  }
  if (error.status === 404 || error.status === 405) {
    return temporary('ProviderMisbehaves', 'is not where its metadata says', 'The metadata is read again.');
  }
  if (dpopCodes.has(code)) {
    const todo = 'What pods get are bearer tokens: switch DPoP off for this client at the provider.';
    return terminal('TokenRequestRefused', 'Object', 'wants tokens that are bound to a key', todo);
  }
  const what = operation === 'Token' ? 'refuses the request for a token' : 'refuses the request';
  return terminal('TokenRequestRefused', 'Object', what, 'Compare the profile of this issuer with the product.');
}

function refusedRegistration(error: ProviderError, where: Where, terminal: Terminal): OperatorError {
  if (error.status === 401) {
    const todo =
      'It may have expired or be used up: put a new initial access token into the Secret of registrationTokenRef.';
    return terminal(
      'RegistrationCredentialRefused',
      'Issuer',
      'refuses the credential with which clients are registered',
      todo,
    );
  }
  return terminal('RegistrationRefused', 'Object', 'refuses to register the client', hint(error, where));
}

function hint(error: ProviderError, where: Where): string {
  const specific = where.registrationHint?.(error);
  if (specific !== undefined) return specific;
  if (error.status === 404 || error.status === 405)
    return 'Switch dynamic client registration on at the provider, or name an existing client in the pool.';
  const todo =
    error.status === 403
      ? 'Allow these scopes and metadata for dynamically registered clients at the provider.'
      : "Compare the pool's scopes and authentication with what the provider supports.";
  return `${todo}${askedInWords(where)}`;
}

/** Which scopes and audiences were sent, of which the provider often names none. */
function askedInWords({ asked }: Where): string {
  const parts = [
    ['scope', asked?.scopes ?? []],
    ['audience', asked?.audiences ?? []],
  ] as const;
  const told = parts.flatMap(([what, names]) => (names.length === 0 ? [] : [`${what} ${names.join(' ')}`]));
  return told.length === 0 ? '' : ` Asked was ${clean(told.join(', '), 300)}.`;
}

/** A success whose content cannot be used. `whose` is the issuer only where everything of it is concerned. */
export function misbehaves(
  operation: Operation,
  where: Where,
  what: string,
  whose: 'Object' | 'Issuer' = 'Object',
): OperatorError {
  const message = `issuer ${where.issuer} – ${endpoints[operation]}: ${what}. It is tried again; compare the profile of this issuer with the product.`;
  return new OperatorError({ class: 'Transient', reason: 'ProviderMisbehaves', whose, message });
}
