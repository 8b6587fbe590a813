/** A client that an administrator registered by hand (`client.existing`): its credential is copied, and nothing of it is ever changed. */
import { day, plus } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import { Redacted } from '../../redacted.ts';
import type { Credential } from './credential.ts';
import { currentOf } from './generations.ts';
import type { ClientSnapshot, ExistingCredential } from './machine.ts';
import type { ClientRecord, Generation } from './record.ts';

/** Whoever replaces the credential by hand hears of it so long before its age or expiry, but no earlier than in its last tenth. */
const longestNotice: Milliseconds = 14 * day;

/** The credential is a copy of an administrator's: its client is not ours. */
export function isExternal(generation: Pick<Generation, 'source'> | undefined): boolean {
  return generation?.source !== undefined;
}

/** The usable credential of the Secret, if it (or the client that the pool names) is another one than what mints. */
export function existingChange(s: ClientSnapshot): Extract<ExistingCredential, { is: 'Usable' }> | undefined {
  const clientId = s.wanted.is === 'Seen' ? s.wanted.value.existing?.clientId : undefined;
  if (clientId === undefined || s.existing?.is !== 'Usable') return undefined;
  const current = currentOf(s.record);
  return current?.source === s.existing.source && current.clientId === clientId ? undefined : s.existing;
}

/** The Secret holds another content than the one that the provider refused last, or the pool names another client for it. */
export function isAnotherTry({ existing, record, wanted }: ClientSnapshot): boolean {
  const clientId = wanted.is === 'Seen' ? wanted.value.existing?.clientId : undefined;
  return existing?.is === 'Usable' && !wasRefused(record?.rollbacks, existing.source, clientId);
}

/** The credential with this content was refused for this client. */
export function wasRefused(
  rollbacks: ClientRecord['rollbacks'],
  source: string,
  clientId: string | undefined,
): boolean {
  const isSameClient = rollbacks?.clientId === undefined || rollbacks.clientId === clientId;
  return rollbacks?.source === source && isSameClient;
}

/** From when a person is reminded to replace the credential. */
export function remindAt({ since, expiresAt }: Generation, every: Milliseconds): Instant {
  const end = Math.min(plus(since, every), expiresAt ?? Number.POSITIVE_INFINITY);
  return plus(since, Math.max(end - since - longestNotice, (end - since) * 0.9));
}

/** A client secret as an administrator stored it. `undefined` with `problem`: the sentence says what is wrong with it. */
export function readSecretText(
  method: 'ClientSecretBasic' | 'ClientSecretPost',
  text: string,
): { readonly credential: Credential } | { readonly problem: string } {
  const secret = text.trim();
  if (secret === '') return { problem: 'is empty' };
  if (secret.startsWith('-----BEGIN') || /^\{[^]*"kty"[^]*\}$/.test(secret)) {
    return { problem: `holds a key, while spec.client.authentication is ${method}` };
  }
  if (!/^[ -~]{1,4096}$/.test(secret)) {
    return {
      problem: 'is no client secret: one consists of at most 4,096 printable ASCII characters (RFC 6749 appendix A.2)',
    };
  }
  return { credential: { type: method, secret: new Redacted(secret) } };
}
