/** What the refusals of a provider mean. The first row that matches decides, so that each may take for granted what those above it sort out. */
import type { Reason } from '../api/reasons.ts';
import { clean } from '../clean.ts';
import type { Instant } from '../clock.ts';
import type { Operation, Where } from './classify.ts';
import type { HttpAnswer } from './http.ts';
import type { ProviderError } from './provider-error.ts';
import { isRefusedIn, refusalBy } from './refusal-origin.ts';

/** An answer that is not the success of `operation`, and what is read in it. */
export interface Refusal {
  readonly answer: HttpAnswer;
  readonly operation: Operation;
  readonly where: Where;
  readonly error: ProviderError;
  readonly retryAt: Instant | undefined;
}

export interface Meaning {
  readonly class: 'Transient' | 'Terminal';
  readonly reason: Reason;
  readonly whose: 'Object' | 'Issuer';
  /** What the endpoint does, as the end of a sentence. */
  readonly what: string;
  readonly todo: string;
  readonly retryAt?: Instant | undefined;
}

interface RefusalRow {
  readonly when: (refusal: Refusal) => boolean;
  readonly means: (refusal: Refusal) => Meaning;
}

/** The provider is in trouble, with everybody. */
const trouble = (reason: Reason, what: string, todo: string, retryAt?: Instant): Meaning => ({
  class: 'Transient',
  reason,
  whose: 'Issuer',
  what,
  todo,
  retryAt,
});

/** What was asked for cannot be had as long as nobody changes something. */
const denial = (reason: Reason, what: string, todo: string): Meaning => ({
  class: 'Terminal',
  reason,
  whose: 'Object',
  what,
  todo,
});

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

/** Whatever the call was: a wish to wait, an outage, and what may come from something before the provider. */
const ofAnyCall: readonly RefusalRow[] = [
  {
    when: ({ error, retryAt }) => error.status === 429 || (error.status === 503 && retryAt !== undefined),
    means: ({ retryAt }) => trouble('RateLimited', 'asks to wait', 'The work keeps its place.', retryAt),
  },
  {
    // Above outages, as which it would be everybody's.
    when: ({ operation, where, error }) => operation === 'Token' && where.mayConcernClient?.(error) === true,
    means: () => ({
      class: 'Transient',
      reason: 'ClientUnusable',
      whose: 'Object',
      what: 'fails, as it also does at a client that was deleted or disabled there',
      todo: 'If others get tokens, enable this client there, or rotate the pool with rotation.allowSubjectChange.',
    }),
  },
  {
    when: ({ operation, answer, error }) =>
      (error.status >= 500 && !(operation === 'Manage' && isNotOffered(answer))) ||
      error.status === 408 ||
      temporaryCodes.has(error.code ?? ''),
    means: ({ retryAt }) => trouble('ProviderUnavailable', 'fails', 'It is tried again.', retryAt),
  },
  {
    when: ({ answer, error }) => error.status < 400 && !isRefusedIn(answer),
    means: ({ error }) =>
      trouble(
        'ProviderMisbehaves',
        error.status >= 300 ? 'redirects, which is never followed' : 'answers something unexpected',
        'Compare the issuer URL with what the provider calls itself.',
      ),
  },
  {
    when: ({ error }) => error.page,
    means: () =>
      trouble(
        'ProviderMisbehaves',
        'answers with a page instead of JSON',
        'A proxy or firewall seems to stand before the provider: let the operator through.',
      ),
  },
  {
    when: ({ answer, operation, where }) => refusalBy(answer, operation, where.silentRefusals) === 'Anybody',
    means: () =>
      trouble(
        'ProviderMisbehaves',
        'refuses without an error code of OAuth',
        'If a gateway or firewall before the provider says that, let the operator through. If it is the provider itself, see whether what the operator calls it with (the client, or the token for registration) still exists there and is enabled: nothing is given up for a refusal that anybody may have sent.',
      ),
  },
];

/** A silent refusal of a product is its `invalid_client`. */
const ofTokenEndpoint: readonly RefusalRow[] = [
  {
    when: ({ error, where }) => where.refusalOf?.(error) === 'Ask' || scopeCodes.has(error.code ?? ''),
    means: ({ where }) =>
      denial(
        'ScopeRefused',
        'refuses the scope or audience',
        `Allow it for this client at the provider, or take it out of the pool.${askedInWords(where)}`,
      ),
  },
  {
    when: ({ error, where }) =>
      where.refusalOf?.(error) === 'Credential' ||
      credentialCodes.has(error.code ?? '') ||
      error.status === 401 ||
      (error.status === 403 && (error.code ?? '') === ''),
    means: ({ operation, error }) =>
      denial(
        'CredentialRefused',
        'refuses the credential of the client',
        operation !== 'Token' && /\baud(ience)?\b/i.test(error.text ?? '')
          ? 'If it gives tokens and wants signed assertions to name the URL that is called, as Okta does, set assertionAudience: CalledEndpoint of this issuer.'
          : 'See whether the client still exists there and is enabled.',
      ),
  },
  {
    when: ({ error }) => error.status === 404 || error.status === 405,
    means: () => trouble('ProviderMisbehaves', 'is not where its metadata says', 'The metadata is read again.'),
  },
  {
    when: ({ error }) => dpopCodes.has(error.code ?? ''),
    means: () =>
      denial(
        'TokenRequestRefused',
        'wants tokens that are bound to a key',
        'What pods get are bearer tokens: switch DPoP off for this client at the provider.',
      ),
  },
  {
    when: () => true,
    means: ({ operation }) =>
      denial(
        'TokenRequestRefused',
        operation === 'Token' ? 'refuses the request for a token' : 'refuses the request',
        'Compare the profile of this issuer with the product.',
      ),
  },
];

const ofRegistration: readonly RefusalRow[] = [
  {
    when: ({ error }) => error.status === 401,
    means: () => ({
      class: 'Terminal',
      reason: 'RegistrationCredentialRefused',
      whose: 'Issuer',
      what: 'refuses the credential with which clients are registered',
      todo: 'It may have expired or be used up: put a new initial access token into the Secret of registrationTokenRef.',
    }),
  },
  {
    when: () => true,
    means: ({ error, where }) => denial('RegistrationRefused', 'refuses to register the client', hint(error, where)),
  },
];

const ofManagement: readonly RefusalRow[] = [
  {
    when: ({ error: { status, code } }) => status === 401 || (status === 403 && code !== 'insufficient_scope'),
    means: () =>
      denial(
        'RegistrationAccessTokenLost',
        'refuses the token that manages this client',
        'Give managementTokenRef of this issuer, or hand in a new registration access token; minting goes on.',
      ),
  },
  {
    when: ({ answer }) => isNotOffered(answer),
    means: ({ error, where }) =>
      denial(
        'RegistrationRefused',
        'offers no way to change or delete clients',
        where.registrationHint?.(error) ??
          'Set rotation.allowSubjectChange of the pool, so that a rotation registers a new client; delete there by hand what shall go, and set deletionPolicy Retain before the pool goes.',
      ),
  },
  {
    when: () => true,
    means: ({ error, where }) => denial('RegistrationRefused', 'refuses the change of the client', hint(error, where)),
  },
];

const ofDiscovery: readonly RefusalRow[] = [
  {
    when: () => true,
    means: () => trouble('ProviderMetadataInvalid', 'is not there', 'Correct the issuer URL in the configuration.'),
  },
];

/** The provider's own word. Each table ends with a row that always matches. */
const ofOperation: Readonly<Record<Operation, readonly RefusalRow[]>> = {
  Discovery: ofDiscovery,
  Register: ofRegistration,
  Manage: ofManagement,
  Token: ofTokenEndpoint,
  Revoke: ofTokenEndpoint,
  Introspect: ofTokenEndpoint,
};

export function meaningOf(refusal: Refusal): Meaning {
  const row = [...ofAnyCall, ...ofOperation[refusal.operation]].find(({ when }) => when(refusal));
  if (row === undefined) throw new Error(`no row of the table of ${refusal.operation} matches`);
  return row.means(refusal);
}

/** There is no such call here; whoever is told so of a client has seen that the client is there. */
export function isNotOffered({ status }: HttpAnswer): boolean {
  return status === 404 || status === 405 || status === 501;
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
