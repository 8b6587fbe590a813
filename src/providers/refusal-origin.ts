/** Whether a refusal is the word of the provider, or may be that of anything before it. */
import type { Operation } from './classify.ts';
import { parseJsonObject } from './fields.ts';
import type { HttpAnswer } from './http.ts';
import { readProviderError } from './provider-error.ts';

/** With which status, and nothing else, a product refuses a credential, against RFC 6749 §5.2 and RFC 6750 §3. */
export type SilentRefusals = Readonly<Partial<Record<Operation, number>>>;

/** Codes of OAuth are words that are joined by `_`; `Forbidden` and `403` come from anybody. */
const ownCode = /^[a-z]+(_[a-z]+)+$/;

/** Whether a success is none: some providers answer 200 to everything and say in the body what went wrong. A token that is there must be judged. */
export function isRefusedIn(answer: HttpAnswer): boolean {
  if (answer.status !== 200 || !answer.body.includes('"error"')) return false;
  return parseJsonObject(answer.body)?.['access_token'] === undefined && isOwnCode(readProviderError(answer, []).code);
}

function isOwnCode(code = ''): boolean {
  return ownCode.test(code);
}

/**
 * Who says a 401 or 403. Gateways (Envoy, Kong, those of clouds) say it too, in text or JSON of their own or with no body at all. Text is never
 * believed, whatever its head says: `jwt_authn` of Envoy sends `error="invalid_token"` beside it. That a client is gone is believed at the word
 * of the token endpoint, so there a code of OAuth is needed; who manages clients also speaks as the product does.
 */
export function refusalBy(
  answer: HttpAnswer,
  operation: Operation,
  silent: SilentRefusals = {},
): 'Provider' | 'Anybody' | undefined {
  const { status, body, headers } = answer;
  if (status !== 401 && status !== 403) return undefined;
  if (body.trim() === '' && silent[operation] === status) return 'Provider';
  if (body.trim() !== '' && parseJsonObject(body) === undefined) return 'Anybody';
  const { code } = readProviderError(answer, []);
  const asksForToken = status === 401 && /^bearer\b/i.test(headers['www-authenticate'] ?? '');
  const isOwn: Readonly<Record<Operation, boolean>> = {
    Token: isOwnCode(code),
    Revoke: isOwnCode(code),
    Introspect: isOwnCode(code),
    Manage: code !== undefined || asksForToken,
    Register: true,
    Discovery: true,
  };
  return isOwn[operation] ? 'Provider' : 'Anybody';
}
