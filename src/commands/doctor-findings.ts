import type { Read } from './cluster.ts';
import type { Facts } from './doctor-facts.ts';

/**
 * What there is to know, as a sentence in parts. `Info`: as somebody decided it. `Unchecked`: the caller may not see it. Only a `Problem`
 * makes the exit code `exitCodes.no`.
 */
export interface Finding {
  readonly level: 'Problem' | 'Warning' | 'Info' | 'Unchecked';
  readonly subject: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

export type Check = (facts: Facts) => readonly Finding[];

const finding =
  (level: Finding['level']) =>
  (subject: string, what: string, why: string, fix: string): Finding => ({ level, subject, what, why, fix });
export const problem = finding('Problem');
export const warning = finding('Warning');
export const info = finding('Info');

/** The findings about something that was read; otherwise that it was not checked. */
export function checked<T>(
  subject: string,
  read: Read<T>,
  check: (value: T) => readonly Finding[],
): readonly Finding[] {
  if (read.is === 'Read') return check(read.value);
  const [why = '', fix = 'see --help'] = read.message.split(': ');
  return [{ level: 'Unchecked', subject, what: 'not checked', why, fix }];
}

/** The first five, and how many more there are. */
export function some(items: readonly string[]): string {
  return items.length <= 5 ? items.join(', ') : `${items.slice(0, 5).join(', ')} and ${items.length - 5} more`;
}
