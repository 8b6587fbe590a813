/**
 * Text that others control, made safe for one line of a log, event or message: control characters, bidirectional overrides and zero-width
 * characters become `?`, and it is cut to `length` characters.
 */
export function clean(text: string, length = 500): string {
  const safe = text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '?');
  return safe.length > length ? `${safe.slice(0, length - 1)}…` : safe;
}
