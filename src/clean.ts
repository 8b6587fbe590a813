/** Control characters (tabs and line ends included), format characters (bidirectional overrides, zero width, tags), line separators. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text that others control, made safe for one line of a log, event or message: what moves, hides or
 * reorders text becomes `?`, a half character (lone surrogate) U+FFFD, and it is cut to `length` UTF-16 units.
 */
export function clean(text: string, length = 500): string {
  const safe = text.toWellFormed().replace(unsafe, '?');
  return safe.length > length ? `${safe.slice(0, length - 1).toWellFormed()}…` : safe;
}

const unsafeInLines = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The same for text of several lines, whole. */
export function cleanLines(text: string): string {
  return text.toWellFormed().replace(unsafeInLines, '?');
}
