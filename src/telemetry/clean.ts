const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/**
 * Text that others control, made safe for one line of a log, event or message: control characters, line ends, bidirectional overrides and
 * invisible characters become `?`, half characters (lone surrogates) U+FFFD, and it is cut to `length` UTF-16 units.
 */
export function clean(text: string, length = 500): string {
  const safe = text.toWellFormed().replace(unsafe, '?');
  return safe.length > length ? `${safe.slice(0, length - 1).toWellFormed()}…` : safe;
}
