import { clean } from '../clean.ts';
import { parseJsonObject, record, text } from './fields.ts';
import type { HttpAnswer } from './http.ts';

/** What a provider says about a refusal, in whichever of the known shapes, cleaned for one line of a message. */
export interface ProviderError {
  readonly status: number;
  /** `error` of RFC 6749 §5.2, RFC 6750 §3 or RFC 7591 §3.2.2, or a product's own code. */
  readonly code?: string;
  readonly text?: string;
  /** The body is a page for people, not JSON. */
  readonly page: boolean;
}

/**
 * Reads RFC 6749 bodies, nested `error` objects (Hydra, Graph), `errorCode`/`errorSummary` (Okta), `message` (GitHub) and the
 * `WWW-Authenticate` challenge of a 401. Never throws.
 */
export function readProviderError(answer: HttpAnswer, secrets: readonly string[]): ProviderError {
  const body = parseJsonObject(answer.body) ?? {};
  const nested = record(body['error']);
  const challenge = answer.headers['www-authenticate'] ?? '';
  const code =
    text(body['error']) ??
    text(body['errorCode']) ??
    text(nested?.['status']) ??
    text(nested?.['code']) ??
    parameter(challenge, 'error');
  const description =
    text(body['error_description']) ??
    text(body['errorSummary']) ??
    text(nested?.['reason']) ??
    text(nested?.['message']) ??
    text(body['message']) ??
    parameter(challenge, 'error_description');
  const cleanCode = code === undefined ? undefined : clean(scrub(code, secrets), 64);
  const cleanText =
    description === undefined ? undefined : clean(scrub(description.replace(opening, ''), secrets), 200);
  return {
    status: answer.status,
    ...(cleanCode === undefined ? {} : { code: cleanCode }),
    ...(cleanText === undefined ? {} : { text: cleanText }),
    page: code === undefined && /^\s*</.test(answer.body),
  };
}

/** Sentences of the RFCs with which Ory begins whatever it says, and which leave no room for the rest. */
const opening =
  /^(The request is missing a required parameter,[^.]*\.|The value of one of the Client Metadata fields is invalid[^.]*\. Note that[^.]*\.|Client authentication failed \(e\.g\.,[^)]*\)\.|The requested scope is invalid, unknown, or malformed\.) (?=\S)/;

/** A quoted parameter of an authentication challenge (RFC 9110 §11.2). */
function parameter(challenge: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*"([^"]{1,1000})"`, 'i').exec(challenge);
  return match?.[1];
}

/** Credentials as protocols write them: an authentication scheme, a JWT, and members or parameters whose name says it. */
const schemes = /\b(basic|bearer|dpop)\s+[\w+/=.~%-]{8,}/gi;
const runs = /[\w.-]{10,}/g;
const named = /(token|secret|assertion|password)((?:\\*["'])?\s*[:=]\s*(?:\\*["'])?)[^\s"'\\&,}]{8,}/gi;

/** What a provider repeats of our request (or of its own answer) is taken out, in every encoding that requests use. */
function scrub(value: string, secrets: readonly string[]): string {
  let left = value;
  for (const secret of secrets) if (secret.length >= 8) left = left.replaceAll(secret, redacted);
  for (const form of secrets.flatMap((secret) => encoded(secret.toWellFormed())))
    left = left.replaceAll(form, redacted);
  return left.replace(schemes, `$1 ${redacted}`).replace(runs, withoutJwt).replace(named, `$1$2${redacted}`);
}

const redacted = '[redacted]';

/** Looks through a run of characters once: an expression that tries each `eyJ` anew takes minutes for a text that is made for it. */
function withoutJwt(run: string): string {
  const start = run.indexOf('eyJ');
  return start >= 0 && run.includes('.', start + 8) ? run.slice(0, start) + redacted : run;
}

/** As requests carry a secret: in a form, and in the Base64 of a Basic header with whatever stands before it (a client id). */
function encoded(secret: string): readonly string[] {
  if (secret.length < 8) return [];
  const upper = [encodeURIComponent(secret), new URLSearchParams([['', secret]]).toString().slice(1)];
  const texts = new Set([...upper, ...upper.map((form) => form.replaceAll(/%../g, (hex) => hex.toLowerCase()))]);
  return [...texts, ...[secret, ...texts].flatMap(base64)];
}

/** Each of the three ways in which it may lie in the groups of three bytes, without what depends on its neighbours; in both alphabets. */
function base64(text: string): readonly string[] {
  const bytes = Buffer.from(text, 'utf8');
  return [0, 1, 2].flatMap((skip) => {
    const all = Buffer.concat([Buffer.alloc(skip), bytes]).toString('base64');
    const own = all.slice(Math.ceil((skip * 8) / 6), Math.floor(((skip + bytes.length) * 8) / 6));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
