/** A sorted list of scopes (or audiences) without duplicates. Every function of this file returns one and accepts any list. */
export type TextSet = readonly string[];

/** Longest scope or audience that the CRDs let pass. */
const longest = 256;

/**
 * One scope as RFC 6749 §3.3 writes it, `1*( %x21 / %x23-5B / %x5D-7E )`, but without `*`: a wildcard never grants anything here, also
 * not by way of an object that an older schema let pass.
 */
export function isScope(text: string): boolean {
  return text.length <= longest && /^[\x21\x23-\x29\x2B-\x5B\x5D-\x7E]+$/.test(text);
}

/** An audience: a URI or another name (RFC 8707 §2, RFC 7519 §4.1.3), in the same characters as a scope because a scope may carry it. */
export function isAudience(text: string): boolean {
  return isScope(text);
}

export function setOf(items: Iterable<string>): TextSet {
  return [...new Set(items)].toSorted();
}

export function union(...sets: readonly (readonly string[])[]): TextSet {
  return setOf(sets.flat());
}

export function intersection(a: readonly string[], b: readonly string[]): TextSet {
  const inB = new Set(b);
  return setOf(a.filter((item) => inB.has(item)));
}

/** What `a` has and `b` has not. */
export function difference(a: readonly string[], b: readonly string[]): TextSet {
  const inB = new Set(b);
  return setOf(a.filter((item) => !inB.has(item)));
}

export function isSubset(a: readonly string[], b: readonly string[]): boolean {
  const inB = new Set(b);
  return a.every((item) => inB.has(item));
}

export function equal(a: readonly string[], b: readonly string[]): boolean {
  return isSubset(a, b) && isSubset(b, a);
}
