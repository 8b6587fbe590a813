import { setImmediate } from 'node:timers/promises';
import type { Reason } from '../api/reasons.ts';
import type { Clock, Instant, Milliseconds } from '../clock.ts';
import { minute, plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import { follow } from './abort.ts';
import { fullJitter, watchBackoff } from './backoff.ts';
import { withIdleCut } from './idle.ts';
import {
  type Page,
  type PageRequest,
  PageTooLargeError,
  type Source,
  type WatchEvent,
  type WatchRequest,
  isRefused,
} from './source.ts';
import type { Kept, Store } from './store.ts';
import { compareVersions } from './store.ts';

export interface ReflectorOptions<T extends Kept> {
  readonly name: string;
  readonly source: Source<T>;
  readonly store: Store<T>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onFailure?: (error: unknown) => void;
  /** A watch without any event or bookmark for so long is cut; the server sends a bookmark about once a minute. */
  readonly idleCut?: Milliseconds;
  /** A page of a list that takes longer is given up. */
  readonly listDeadline?: Milliseconds;
  readonly pageSize?: number;
}

export interface ReflectorHealth {
  readonly synced: boolean;
  /** The last list page, event or bookmark. */
  readonly lastEventAt?: Instant;
  readonly failingSince?: Instant;
  readonly message?: string;
  /** Of the failure, where it has one. */
  readonly reason?: Reason;
}

/** So many watches in a row that are ended without any event mean that the server does not know our version and does not say so. */
const emptyWatches = 3;
/** So many failures of a watch in a row mean that the version may be the trouble; an outage is usually shorter and needs no new list. */
const failedWatches = 10;
/** A watch that lived so long was a good one: the next trouble starts with short delays again. */
const goodWatch: Milliseconds = 5 * second;
/** The server sends a bookmark two seconds before the end of a watch, and not for any shorter one. */
const briefWatchSeconds = 3;
/** So long the server must refuse the list before what we know counts as unknown: it also refuses for seconds after its own start. */
const refusedGrace: Milliseconds = 10 * second;
/** So many lists in a row must be older than what was seen before they count as the truth (etcd restored from a backup). */
const olderLists = 3;

/** Keeps a {@link Store} equal to what the server has: paged list, then watch, for ever, whatever goes wrong. */
export class Reflector<T extends Kept> {
  readonly #o: Required<Omit<ReflectorOptions<T>, 'onFailure'>> & Pick<ReflectorOptions<T>, 'onFailure'>;
  #version: string | undefined;
  /** Aborts the list or watch that is open now, or the wait for the next. */
  #turn = new AbortController();
  #listedAt: Milliseconds | undefined;
  #isBrief = false;
  /** How many objects the next page of the list may have. */
  #limit = 0;
  /** The newest version ever seen, which outlives relists. */
  #newest = '0';
  /** Lists and watches in a row that failed or ended early; a successful list does not end it, or list and failing watch would spin. */
  #streak = 0;
  #empty = 0;
  #failed = 0;
  #older = 0;
  #refusedSince: Milliseconds | undefined;
  #lastEventAt: Instant | undefined;
  #failingSince: Instant | undefined;
  #message: string | undefined;
  #reason: Reason | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#o = { idleCut: 90 * second, listDeadline: 1 * minute, pageSize: 500, ...options };
  }

  health(): ReflectorHealth {
    return {
      synced: this.#o.store.synced,
      ...(this.#lastEventAt === undefined ? {} : { lastEventAt: this.#lastEventAt }),
      ...(this.#failingSince === undefined ? {} : { failingSince: this.#failingSince }),
      ...(this.#message === undefined ? {} : { message: this.#message }),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  /** Runs until `signal` aborts; never rejects. One call per reflector. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { controller, release } = follow(signal);
      this.#turn = controller;
      try {
        if (this.#version === undefined) await this.#list(controller.signal);
        if (!controller.signal.aborted) await this.#watch(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) await this.#fail(error, controller.signal);
      } finally {
        release();
      }
    }
  }

  /** Everything was listed in this last time. */
  hasListedWithin(time: Milliseconds): boolean {
    return this.#listedAt !== undefined && this.#o.clock.monotonic() - this.#listedAt < time;
  }

  /** The store holds what the server had at this version. What counts as unknown is no older than any. */
  hasReached(version: string): boolean {
    return !this.#o.store.synced || (this.#version !== undefined && compareVersions(this.#version, version) >= 0);
  }

  /** The version of what the server has now. Errors: those of the source. */
  async serverVersion(signal: AbortSignal): Promise<string> {
    return (await this.#ask({ limit: 1 }, signal)).resourceVersion;
  }

  /** A new watch, which tells within about a second how far the server is, or a new list. */
  lookAgain(by: 'Watch' | 'List'): void {
    if (this.#version === undefined) return;
    if (by === 'List') this.#dropVersion();
    this.#isBrief = by === 'Watch';
    this.#turn.abort();
  }

  /** What is known counts as unknown until it has been listed anew. */
  distrust(): void {
    this.#o.store.markUnsynced();
    this.lookAgain('List');
  }

  async #list(signal: AbortSignal): Promise<void> {
    const items: (readonly [string, T])[] = [];
    let token: string | undefined;
    let version: string;
    this.#limit = this.#o.pageSize;
    do {
      const page = await this.#page(token, signal);
      items.push(...page.items);
      version = page.resourceVersion;
      token = page.continue === '' ? undefined : page.continue;
      this.#lastEventAt = this.#o.clock.now();
      // Decoding a page blocks for milliseconds; others get their turn before the next one.
      await setImmediate();
      signal.throwIfAborted();
    } while (token !== undefined);
    const restored = this.#judgeAge(version);
    this.#o.store.replaceAll(items, restored ? undefined : version);
    this.#version = version;
    this.#newest = version;
    this.#listedAt = this.#o.clock.monotonic();
    this.#healthy();
  }

  /** One that is too large is asked for again with an eighth of the objects, and so are those that follow it. */
  async #page(token: string | undefined, signal: AbortSignal): Promise<Page<T>> {
    try {
      return await this.#ask({ limit: this.#limit, ...(token === undefined ? {} : { continue: token }) }, signal);
    } catch (error) {
      if (!(error instanceof PageTooLargeError) || this.#limit === 1) throw error;
      this.#limit = Math.ceil(this.#limit / 8);
      return this.#page(token, signal);
    }
  }

  async #ask(page: PageRequest, signal: AbortSignal): Promise<Page<T>> {
    const { source, clock, listDeadline, name } = this.#o;
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const late = clock.sleepUntil(plus(clock.now(), listDeadline), both).then(() => {
      signal.throwIfAborted();
      throw new Error(`watch ${name}: a page of the list took longer than ${listDeadline / second} s`);
    });
    // The loser of the race settles later, unseen.
    late.catch(() => {});
    try {
      return await Promise.race([source.list(page, both), late]);
    } finally {
      over.abort();
    }
  }

  /** True: this list is older than what was seen, but the server insists, so it is the truth. Throws while it may only lag behind. */
  #judgeAge(version: string): boolean {
    if (compareVersions(version, this.#newest) >= 0) {
      this.#older = 0;
      return false;
    }
    this.#older += 1;
    if (this.#older >= olderLists) {
      this.#older = 0;
      return true;
    }
    throw new Error(`watch ${this.#o.name}: the server lists version ${version}, older than ${this.#newest}`);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { source, store, clock, random, idleCut, name } = this.#o;
    const timeoutSeconds = this.#isBrief ? briefWatchSeconds : 300 + Math.floor(random() * 301);
    this.#isBrief = false;
    const knows: WatchRequest['knows'] = (key, version) => store.holds(key, version);
    const from = { resourceVersion: this.#version ?? '', timeoutSeconds, knows };
    const opened = clock.monotonic();
    this.#empty += 1;
    try {
      for await (const event of withIdleCut((cut) => source.watch(from, cut), { clock, idleCut, name, signal })) {
        if (signal.aborted) return;
        this.#take(event);
      }
    } finally {
      if (clock.monotonic() - opened >= goodWatch) this.#streak = 0;
    }
    if (signal.aborted) return;
    if (this.#empty >= emptyWatches) this.#dropVersion();
    if (this.#empty > 0 || clock.monotonic() - opened < goodWatch) await this.#wait(undefined, signal);
  }

  #take(event: WatchEvent<T>): void {
    const { store, clock } = this.#o;
    this.#lastEventAt = clock.now();
    this.#empty = 0;
    if (event.type === 'Put') {
      store.put(event.key, event.value);
      this.#advance(event.value.resourceVersion);
    } else {
      if (event.type === 'Delete') store.remove(event.key, event.uid, event.resourceVersion);
      else store.passed(event.resourceVersion);
      this.#advance(event.resourceVersion);
    }
    this.#healthy();
  }

  #advance(version: string): void {
    this.#version = version;
    if (compareVersions(version, this.#newest) > 0) this.#newest = version;
  }

  #dropVersion(): void {
    this.#version = undefined;
    this.#empty = 0;
    this.#failed = 0;
  }

  #healthy(): void {
    this.#failed = 0;
    this.#refusedSince = undefined;
    this.#failingSince = undefined;
    this.#message = undefined;
    this.#reason = undefined;
  }

  async #fail(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, store, onFailure } = this.#o;
    const refused = isRefused(error);
    if (!refused) this.#refusedSince = undefined;
    else this.#refusedSince ??= clock.monotonic();
    const lasting = this.#refusedSince !== undefined && clock.monotonic() - this.#refusedSince >= refusedGrace;
    if (lasting && this.#version === undefined) store.markUnsynced();
    this.#failed += 1;
    const away = error instanceof OperatorError && !lasting && this.#failed < failedWatches;
    // Also after silence: a server that says nothing, not even a bookmark, may not know our version, as after a restored backup.
    if (!away) this.#dropVersion();
    this.#failingSince ??= clock.now();
    this.#message = error instanceof Error ? error.message : 'unknown failure';
    this.#reason = error instanceof OperatorError ? error.reason : undefined;
    onFailure?.(error);
    // A server that has just started refuses for seconds what it will allow: a long wait is for a refusal that lasts.
    const named = error instanceof OperatorError && (!refused || lasting) ? error.retryAt : undefined;
    await this.#wait(named, signal);
  }

  async #wait(notBefore: Instant | undefined, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#o;
    this.#streak += 1;
    const next = plus(clock.now(), Math.ceil(fullJitter(watchBackoff, this.#streak, random)));
    await clock.sleepUntil(notBefore !== undefined && notBefore > next ? notBefore : next, signal);
  }
}
