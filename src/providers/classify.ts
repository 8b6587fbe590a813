/** Answers of identity providers that are failures → `OperatorError`. Foreign text is cleaned and cut; secrets never get here or are scrubbed. */
import { type Instant, retryAfter } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { type ProviderError, readProviderError } from './provider-error.ts';
import type { HttpAnswer } from './http.ts';
import type { SilentRefusals } from './refusal-origin.ts';
import { meaningOf } from './refusals.ts';
import { UnusableAnswer } from './unreachable.ts';

export type Operation = 'Discovery' | 'Register' | 'Manage' | 'Token' | 'Revoke' | 'Introspect';

/** Who asks, or what is asked for. */
export type TokenRefusal = 'Credential' | 'Ask';

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
  /** What a refusal by token or revocation endpoint is about, where this product's code does not say it. */
  readonly refusalOf?: (error: ProviderError) => TokenRefusal | undefined;
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
  const asked = retryAfter(answer.headers['retry-after'], where.now, answer.providerTime);
  const { what, todo, retryAt, ...meaning } = meaningOf({ answer, operation, where, error, retryAt: asked });
  const said = `${error.status}${error.code === undefined ? '' : ` ${error.code}`}${error.text === undefined ? '' : `, "${error.text}"`}`;
  return new OperatorError({
    ...meaning,
    message: `issuer ${where.issuer} – ${endpoints[operation]} ${what} (${said}). ${todo}`,
    ...(retryAt === undefined ? {} : { retryAt }),
    ...(meaning.class === 'Terminal' && error.text !== undefined ? { said: error.text } : {}),
    ...(error.status < 400 ? { cause: new UnusableAnswer(`${what} (${said})`) } : {}),
  });
}

/** A success whose content cannot be used. `whose` is the issuer only where everything of it is concerned. */
export function misbehaves(
  operation: Operation,
  where: Where,
  what: string,
  whose: 'Object' | 'Issuer' = 'Object',
): OperatorError {
  const message = `issuer ${where.issuer} – ${endpoints[operation]}: ${what}. It is tried again; compare the profile of this issuer with the product.`;
  return new OperatorError({
    class: 'Transient',
    reason: 'ProviderMisbehaves',
    whose,
    message,
    cause: new UnusableAnswer(what),
  });
}
