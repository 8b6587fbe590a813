/** `1 process`, `2 processes`. */
export function counted(number: number, one: string, several: string): string {
  return `${number} ${number === 1 ? one : several}`;
}

/** Sentences side by side; the parts of an error.json have no full stop of their own. */
export function inSentences(parts: readonly (string | undefined)[]): string {
  return parts
    .filter((part) => part !== undefined && part !== '')
    .map((part) => (/[.?!…]$/.test(part ?? '') ? part : `${part}.`))
    .join(' ');
}
