/**
 * The candidate that was most likely meant by a name with one slip in it: a character that is missing, too many, another one, or swapped with its
 * neighbour. Teams choose the names and how many there are, so a candidate costs no more than reading it.
 */
export function nearName(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length < 3) return undefined;
  for (const candidate of candidates) if (isOneSlip(name, candidate)) return candidate;
  return undefined;
}

function isOneSlip(a: string, b: string): boolean {
  if (a === b || Math.abs(a.length - b.length) > 1) return false;
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [mine, other] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  return mine.length <= 1 ? other.length <= 1 : mine.length === 2 && mine === `${other[1]}${other[0]}`;
}
