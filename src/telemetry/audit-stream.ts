import { type Clock, type Instant, toRfc3339 } from '../clock.ts';
import type { AuditSink } from './audit-file.ts';

/** So many bytes are kept while the sink takes none: some 100,000 lines, as ending 25,000 sessions writes. Minting stops long before. */
const mostWaiting = 128 * 1_024 * 1_024;
/** Lines that are written before others have their turn. */
const turn = 2_000;

export interface AuditStreamOptions {
  readonly sink: AuditSink;
  readonly clock: Clock;
  /** Told of each line: `Written`, or `Lost` where more waited than memory may hold. */
  readonly onLine?: (outcome: 'Written' | 'Lost') => void;
  /** Bytes. */
  readonly most?: number;
}

/**
 * Between the audit log and its sink: in order, each line whole, and nobody ever waits for it. While the sink takes nothing, lines are kept
 * and {@link AuditStream.trouble} says so; whoever grants something must ask it first, whoever takes something away goes on.
 */
export class AuditStream {
  readonly #o: AuditStreamOptions;
  readonly #most: number;
  #waiting: Buffer[] = [];
  /** Index of the first line that waits, and how many of its bytes were taken already. */
  #first = 0;
  #taken = 0;
  #bytes = 0;
  #since: Instant | undefined;
  #why = '';
  /** While the file was renamed or removed and its name cannot be opened: what the old one would take could be gone with it. */
  #left: { readonly since: Instant; readonly why: string } | undefined;

  constructor(options: AuditStreamOptions) {
    this.#o = options;
    this.#most = options.most ?? mostWaiting;
  }

  /** How many lines the sink has not taken yet. */
  get waiting(): number {
    return this.#waiting.length - this.#first;
  }

  /** Why lines wait, or the next one would, as a sentence; `undefined`: it is written. */
  get trouble(): string | undefined {
    if (this.#left !== undefined)
      return `the audit file was renamed or removed, and since ${toRfc3339(this.#left.since)} its name cannot be opened (${this.#left.why}), ${this.waiting} lines wait: no pod gets a token until it can, revocation goes on. Let the operator’s user create it, or write and read what took its name`;
    if (this.#since === undefined || this.waiting === 0) return undefined;
    return `the audit stream takes no lines since ${toRfc3339(this.#since)} (${this.#why}), ${this.waiting} wait: no pod gets a token until it does, revocation goes on. Make room, or let somebody read it`;
  }

  /** Writes the line, or keeps it. `line` ends with a line end. Never throws, never waits. */
  push(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#bytes + bytes.length > this.#most) {
      this.#o.onLine?.('Lost');
      return;
    }
    const idle = this.waiting === 0;
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (idle) this.keepUp();
  }

  /** Tries again what waits. To be called a few times a second, so that nothing waits longer than its cause. */
  keepUp(): void {
    if (this.#left !== undefined) return;
    for (let written = 0; written < turn && this.waiting > 0; written += 1) if (!this.#writeFirst()) return;
    if (this.waiting > 0) return;
    this.#waiting = [];
    this.#first = 0;
    this.#since = undefined;
  }

  /** Follows a file that was renamed or removed; where that fails, lines wait until a later call can. A line that is half in the old file is written whole into the new one. */
  follow(): void {
    try {
      if (this.#o.sink.follow()) this.#taken = 0;
      this.#left = undefined;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#left = { since: this.#left?.since ?? this.#o.clock.now(), why: error.message };
    }
  }

  /** Gives what waits a last chance; what is left then is lost with the process. */
  async close(signal: AbortSignal): Promise<void> {
    while (this.waiting > 0 && !signal.aborted) {
      this.follow();
      this.keepUp();
      await this.#o.clock.sleepUntil((this.#o.clock.now() + 20) as Instant, signal);
    }
    this.#o.sink.close();
  }

  #writeFirst(): boolean {
    const line = this.#waiting[this.#first];
    if (line === undefined) return false;
    const taken = this.#write(line.subarray(this.#taken));
    if (taken === 0) return false;
    this.#taken += taken;
    if (this.#taken < line.length) return true;
    this.#taken = 0;
    this.#bytes -= line.length;
    this.#first += 1;
    this.#o.onLine?.('Written');
    if (this.#first >= turn) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return true;
  }

  #write(bytes: Uint8Array): number {
    let why = 'nobody reads it';
    try {
      const taken = this.#o.sink.write(bytes);
      if (taken > 0) return taken;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      why = error.code;
    }
    this.#since ??= this.#o.clock.now();
    this.#why = why;
    return 0;
  }
}

function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string';
}
