import type { Instant } from './clock.ts';
import type { Reason } from './api/reasons.ts';

/**
 * What a failure means for the work that hit it. The class, not the call site, decides requeue, condition, event and log level:
 * - `Terminal`: trying again changes nothing until somebody changes something; no retry but the next change or drift check.
 * - `Waiting`: something named is not there yet; look again at `retryAt` or when it changes.
 * - `Transient`: the other side is unwell; retry with back-off, not before `retryAt` where the other side named a time.
 * - `Conflict`: somebody wrote first; look again at once, silently.
 * Anything else that is thrown is a bug and is reported as one.
 */
export type ErrorClass = 'Terminal' | 'Waiting' | 'Transient' | 'Conflict';

/** Whose failure it is: of the one object at hand, or of everything that uses this issuer. */
export type ErrorOwner = 'Object' | 'Issuer';

export interface ErrorOptions {
  readonly class: ErrorClass;
  readonly reason: Reason;
  readonly message: string;
  readonly whose?: ErrorOwner;
  readonly retryAt?: Instant;
  /** What the other side said, cleaned and without secrets; at most 200 characters. */
  readonly said?: string;
  /** What was caught; goes to logs only after redaction, never to a user. */
  readonly cause?: unknown;
}

/**
 * A failure that the program expects. `message` is safe to show: subject – what – why – what to do, without any secret and without
 * text of a remote side that was not cleaned first.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  readonly class: ErrorClass;
  readonly reason: Reason;
  readonly whose: ErrorOwner;
  readonly retryAt: Instant | undefined;
  readonly said: string | undefined;

  constructor(options: ErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.class = options.class;
    this.reason = options.reason;
    this.whose = options.whose ?? 'Object';
    this.retryAt = options.retryAt;
    this.said = options.said;
  }
}

/** Thrown when this process is no longer the leader: the process must exit and never rejoin. */
export class LostLeaseError extends Error {
  override readonly name = 'LostLeaseError';
}

export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
