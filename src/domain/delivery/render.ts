import type { Milliseconds } from '../../clock.ts';
import { plus } from '../../clock.ts';
import { sha256 } from '../../digest.ts';
import { sessionId } from '../../api/names.ts';
import { Redacted } from '../../redacted.ts';
import type { DeliveredError } from '../session/machine.ts';
import type { SessionRecord } from '../session/record.ts';
import { renewAt } from '../renewal.ts';
import { usableLife } from '../token.ts';
import { formats, json } from './formats.ts';

/** The whole content of one delivery Secret. `digest` tells two contents apart without opening a box. */
export interface Rendered {
  readonly content: 'Token' | 'Error' | 'Empty';
  /** File name → text. */
  readonly data: Readonly<Record<string, Redacted<string>>>;
  readonly digest: string;
}

/**
 * The files of the newest token: a pure function of the record, so that after a take-over the same bytes are written again. A record whose
 * newest token has an end, or whose value was dropped, renders as {@link renderEmpty}. `jitter` is the session's, see `renewAt`.
 */
export function renderToken(record: SessionRecord, deliveryLag: Milliseconds, jitter: number): Rendered {
  const token = record.tokens.at(-1);
  if (token?.value === undefined || token.end !== undefined) return renderEmpty();
  const facts = {
    token: token.value.reveal(),
    expiresAt: plus(token.minted, usableLife(token)),
    renewAt: renewAt(token, deliveryLag, jitter),
    scopes: token.ask.scopes,
    audiences: token.ask.audiences,
    issuer: record.issuer,
    ...(record.subject === undefined ? {} : { subject: record.subject }),
    identity: record.identity.name,
    sessionId: sessionId(record.pod.uid, record.identity.name),
  };
  return rendered('Token', Object.assign({}, ...formats.map((format) => format.render(facts))));
}

/** Each look at a session compares it, so it is rendered once for a record, which is replaced and never changed. */
const digests = new WeakMap<SessionRecord, { readonly of: string; readonly digest: string }>();

/** The digest of {@link renderToken}. */
export function tokenDigest(record: SessionRecord, deliveryLag: Milliseconds, jitter: number): string {
  const of = `${deliveryLag} ${jitter}`;
  const known = digests.get(record);
  if (known?.of === of) return known.digest;
  const { digest } = renderToken(record, deliveryLag, jitter);
  digests.set(record, { of, digest });
  return digest;
}

/** `error.json` alone: every file of a token is gone with it, so a build sees the reason instead of a token that no longer works. */
export function renderError({ reason, message, fix }: DeliveredError): Rendered {
  return rendered('Error', { 'error.json': json({ reason, message, fix }) });
}

/** No file at all. */
export function renderEmpty(): Rendered {
  return rendered('Empty', {});
}

function rendered(content: Rendered['content'], data: Readonly<Record<string, string>>): Rendered {
  const parts = Object.keys(data)
    .toSorted()
    .flatMap((name) => [name, data[name] ?? '']);
  const boxed = Object.entries(data).map(([name, text]) => [name, new Redacted(text)] as const);
  return { content, data: Object.fromEntries(boxed), digest: sha256(content, ...parts) };
}
