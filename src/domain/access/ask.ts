import type { Milliseconds } from '../../clock.ts';
import { sha256 } from '../../digest.ts';
import type { Ask } from './access.ts';
import { setOf } from './scopes.ts';

/** An ask with its sets in order. */
export function askOf(scopes: Iterable<string>, audiences: Iterable<string>, maxLifetime: Milliseconds): Ask {
  return { scopes: setOf(scopes), audiences: setOf(audiences), maxLifetime };
}

/** Names an ask: equal sets and lifetime give the same 64 hex digits, whatever their order. Proofs are kept under it. */
export function askHash(ask: Ask): string {
  const { scopes, audiences, maxLifetime } = askOf(ask.scopes, ask.audiences, ask.maxLifetime);
  return sha256('ask', scopes.join(' '), audiences.join(' '), String(maxLifetime));
}
