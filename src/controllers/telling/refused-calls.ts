import { type Clock, type Instant, type Milliseconds, minute, plus } from '../../clock.ts';
import type { OperatorError } from '../../errors.ts';

/** What still is refused comes back sooner than this. */
const remembered: Milliseconds = 10 * minute;

/** What the API server refused the operator last: a right that is gone, or a quota. Statuses may say nothing of it, or cannot be written either. */
export class RefusedCalls {
  readonly #clock: Pick<Clock, 'now'>;
  #last: { readonly at: Instant; readonly message: string } | undefined;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** To be told every failure of work. */
  note({ reason, message }: Pick<OperatorError, 'reason' | 'message'>): void {
    if (reason !== 'ApiForbidden' && reason !== 'QuotaExceeded') return;
    this.#last = { at: this.#clock.now(), message };
  }

  /** Of the last ten minutes. */
  last(): { readonly at: Instant; readonly message: string } | undefined {
    return this.#last === undefined || plus(this.#last.at, remembered) <= this.#clock.now() ? undefined : this.#last;
  }
}
