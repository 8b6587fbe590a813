import { hash } from 'node:crypto';

/** Lower-case hex of SHA-256. Parts are length-prefixed, so that no two different lists give the same text. */
export function sha256(...parts: readonly string[]): string {
  const [first = '', ...others] = parts;
  return hash('sha256', others.length === 0 ? first : parts.map((part) => `${part.length}:${part}`).join(''), 'hex');
}
