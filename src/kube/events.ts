import { clean } from '../clean.ts';
import { type Instant, minute, type Milliseconds, plus, second } from '../clock.ts';
import { sha256 } from '../digest.ts';
import type { ApiConnection } from './connection.ts';
import { EventPlaces } from './event-places.ts';
import { microTime } from './micro-time.ts';
import { bodyOf, create, kinds, sendPatch } from './resources.ts';

/** The object that an event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
}

/** One thing that happened, for people who look at the object. Never holds a secret. */
export interface EventNote {
  readonly regarding: Regarding;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  readonly connection: ApiConnection;
  /** Which replica reports, e.g. the pod's name. */
  readonly instance: string;
  /** An event that could not be written; nothing else comes of it. */
  readonly onFailure?: (error: unknown) => void;
  /** An event that is dropped, because too much waits. */
  readonly onDrop?: (note: EventNote) => void;
  /** The same event is written again at most this often, with its count; default 5 min. */
  readonly quiet?: Milliseconds;
}

/** What was written about one (object, reason, message), for as long as it is remembered. */
interface Series {
  readonly name: string;
  readonly namespace: string;
  readonly written: Instant;
  readonly count: number;
}

/** What waits to be written, and how often it was recorded meanwhile. */
interface Pending {
  readonly note: EventNote;
  times: number;
}

const reportingController = 'ci-identity.dev/controller';
/** Events of cluster-scoped objects live in this namespace: the API server wants it so. */
const clusterScoped = 'default';
const longestNote = 1_024;
/** Each write ends by its deadline, also while the program stops. */
const limits = { signal: AbortSignal.any([]), deadline: 10 * second };
const mostRemembered = 5_000;
/** The API server keeps events for an hour by default. */
const forgetAfter = 50 * minute;
/**
 * After each write the writer rests so many times as long as that took, so it has a fifth of one connection's time: some 60 events a second where
 * the API server has nothing else to do, and less than ten while it is busy. Never longer than `longestRest`.
 */
const restPerWrite = 4;
const longestRest = 1 * second;
/** A note about what is in order has its turn after so many warnings. */
const warningsInARow = 4;

/**
 * Writes events of `events.k8s.io/v1`. The same event about the same object becomes a count on the first one, written at most every
 * `quiet`. Never blocks, never throws, and holds a bounded amount of memory: what is too much is dropped, for events are a courtesy. As one they
 * yield to work: they are written one by one, with a rest after each that is longer the busier the API server is, warnings first. The last of 1,000
 * that wait comes within 20 s once there is no work. A namespace of which there is much to tell takes neither place nor turn from others.
 */
export class EventRecorder {
  readonly #o: EventRecorderOptions;
  readonly #quiet: Milliseconds;
  /** By namespace. What is in order is told too, but never costs a warning its place. */
  readonly #pending = { Normal: new EventPlaces<Pending>(2_000), Warning: new EventPlaces<Pending>(3_000) } as const;
  /** In order of last use, oldest first. */
  readonly #series = new Map<string, Series>();
  #pump: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#o = options;
    this.#quiet = options.quiet ?? 5 * minute;
  }

  /** `false`: it is dropped, because too much waits. */
  record(note: EventNote): boolean {
    const key = sha256(note.regarding.uid, note.type, note.reason, note.message);
    const now = this.#o.connection.clock.now();
    const series = this.#series.get(key);
    if (series !== undefined && now < plus(series.written, this.#quiet)) {
      this.#remember(key, { ...series, count: series.count + 1 });
      return true;
    }
    const places = this.#pending[note.type];
    const namespace = namespaceOf(note);
    const waiting = places.get(namespace, key);
    if (waiting !== undefined) waiting.times += 1;
    else if (!places.add(namespace, key, { note, times: 1 })) {
      this.#o.onDrop?.(note);
      return false;
    }
    this.#pump ??= this.#drain();
    return true;
  }

  /** Resolves when nothing waits any more; for shutdown and tests. */
  async flush(): Promise<void> {
    while (this.#pump !== undefined) await this.#pump;
  }

  async #drain(): Promise<void> {
    // Lets the caller finish first, so that recording never does any work for it.
    await Promise.resolve();
    const { clock } = this.#o.connection;
    for (let n = 1; ; n += 1) {
      const found = this.#next(n);
      if (found === undefined) break;
      const { places, owner, key, value } = found;
      const started = clock.monotonic();
      await this.#write(key, value).catch((error: unknown) => this.#o.onFailure?.(error));
      places.done(owner, key);
      const rest = Math.min(restPerWrite * (clock.monotonic() - started), longestRest);
      await clock.sleepUntil(plus(clock.now(), Math.ceil(rest)), limits.signal);
    }
    this.#pump = undefined;
  }

  /** What the nth write is about. */
  #next(n: number): { places: EventPlaces<Pending>; owner: string; key: string; value: Pending } | undefined {
    const { Normal, Warning } = this.#pending;
    for (const places of n % (warningsInARow + 1) === 0 ? [Normal, Warning] : [Warning, Normal]) {
      const next = places.next();
      if (next !== undefined) return { places, ...next };
    }
    return undefined;
  }

  async #write(key: string, waiting: Pending): Promise<void> {
    const { connection } = this.#o;
    const now = connection.clock.now();
    const series = this.#series.get(key);
    if (series !== undefined && now < plus(series.written, forgetAfter)) {
      const count = series.count + waiting.times;
      const body = { series: { count, lastObservedTime: microTime(now) } };
      const place = { namespace: series.namespace, name: series.name };
      const response = await sendPatch(connection, kinds.events, place, 'Merge', body, limits);
      if (response.status !== 404) {
        bodyOf(response, 'patch', kinds.events, place);
        this.#remember(key, { ...series, written: now, count });
        return;
      }
    }
    const { note } = waiting;
    const namespace = namespaceOf(note);
    const name = eventName(note.regarding.name, sha256(key, String(now), this.#o.instance));
    await create(connection, kinds.events, { namespace }, this.#eventOf(note, namespace, name, now), limits);
    this.#remember(key, { name, namespace, written: now, count: waiting.times });
  }

  #eventOf(note: EventNote, namespace: string, name: string, now: Instant): unknown {
    const { regarding, type, reason, message } = note;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, name },
      eventTime: microTime(now),
      reportingController,
      reportingInstance: this.#o.instance.slice(0, 128),
      action: reason,
      reason,
      type,
      note: cut(clean(message, longestNote)),
      regarding,
    };
  }

  #remember(key: string, series: Series): void {
    this.#series.delete(key);
    this.#series.set(key, series);
    const [oldest] = this.#series.keys();
    if (this.#series.size > mostRemembered && oldest !== undefined) this.#series.delete(oldest);
  }
}

/** As long as a name may be, and where the object's own is cut no part of it ends with a hyphen or is empty (RFC 1123). */
export function eventName(object: string, digest: string): string {
  return `${object.slice(0, 200).replace(/[-.]+$/, '')}.${digest.slice(0, 16)}`;
}

function namespaceOf({ regarding }: EventNote): string {
  return regarding.namespace ?? clusterScoped;
}

/** The API server counts bytes (at most 1,024); a cut never leaves half a character. */
function cut(message: string): string {
  const bytes = Buffer.from(message, 'utf8');
  if (bytes.length <= longestNote) return message;
  const head = bytes
    .subarray(0, longestNote - 3)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  return `${head}…`;
}
