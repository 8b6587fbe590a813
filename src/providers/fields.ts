/** Reading members of foreign JSON: each is what it should be, or `undefined`. */
import { type Instant, instant, second } from '../clock.ts';

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A list of strings; one string is a list of one. */
export function strings(value: unknown): readonly string[] | undefined {
  const list = Array.isArray(value) ? value : [value];
  return list.every((item) => typeof item === 'string') ? list : undefined;
}

export function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

/** The year 5138. Whatever is later was counted in milliseconds, or is a mistake. */
export const latestEpochSeconds = 100_000_000_000;

/** `NumericDate` of RFC 7519 §2; 0, by which some mean never, is none. */
export function epochSeconds(value: unknown): Instant | undefined {
  return typeof value === 'number' && value > 0 && value < latestEpochSeconds ? instant(value * second) : undefined;
}

/** The objects of a list; `undefined` for what is no list. */
export function records(value: unknown): readonly Readonly<Record<string, unknown>>[] | undefined {
  return Array.isArray(value) ? value.map(record).filter((item) => item !== undefined) : undefined;
}

/** `undefined` unless `body` is one JSON object. Members come as they are: check each before use. */
export function parseJsonObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return record(JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** The words of a `scope` (RFC 6749 §3.3). */
export function words(value: unknown): readonly string[] | undefined {
  return typeof value === 'string' ? value.split(' ').filter((word) => word !== '') : undefined;
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Drops members that are `undefined`, because `exactOptionalPropertyTypes` tells them from absent ones. */
export function withoutUndefined<T extends object>(value: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<Defined<T>>;
}
