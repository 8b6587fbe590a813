import { createHash } from 'node:crypto';

/** Lower-case hex of SHA-256. Parts are length-prefixed, so that no two different lists give the same text. */
export function sha256(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  if (parts.length === 1) return hash.update(parts[0] ?? '').digest('hex');
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest('hex');
}
