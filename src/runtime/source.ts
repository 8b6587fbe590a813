import { OperatorError } from '../errors.ts';
import type { Kept } from './store.ts';

export type WatchEvent<T> =
  | { readonly type: 'Put'; readonly key: string; readonly value: T }
  | { readonly type: 'Delete'; readonly key: string; readonly uid: string; readonly resourceVersion: string }
  | { readonly type: 'Bookmark'; readonly resourceVersion: string };

export interface PageRequest {
  readonly limit: number;
  readonly continue?: string;
}

export interface Page<T> {
  readonly items: readonly (readonly [string, T])[];
  readonly resourceVersion: string;
  readonly continue?: string;
}

/**
 * Where a reflector reads. Errors: {@link VersionExpiredError} for 410, {@link PageTooLargeError} from `list`, `OperatorError` with the time
 * of `Retry-After` as `retryAt`; of class Terminal or Waiting where the server *answered* that it will not serve this (403, 404). Anything else counts as an answer
 * that could not be read and leads to a new list.
 */
export interface Source<T> {
  list(page: PageRequest, signal: AbortSignal): Promise<Page<T>>;
  /** With bookmarks; ends when the server ends it or `signal` aborts. */
  watch(from: WatchRequest, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
}

export interface WatchRequest {
  readonly resourceVersion: string;
  readonly timeoutSeconds: number;
  /** This very version is in memory, as those of our own writes are: a bookmark says as much of it, and nobody has to read it again. */
  readonly knows?: (key: string, version: Kept) => boolean;
}

/** 410: the version is too old to list on or to watch from. */
export class VersionExpiredError extends Error {
  override readonly name = 'VersionExpiredError';
}

/** So many objects together are more than may be held in memory at once: the page is to be asked for with fewer. */
export class PageTooLargeError extends Error {
  override readonly name = 'PageTooLargeError';
}

/** The server answered that it will not serve this. */
export function isRefused(error: unknown): boolean {
  return error instanceof OperatorError && (error.class === 'Terminal' || error.class === 'Waiting');
}
