import { inspect } from 'node:util';

const placeholder = '[redacted]';

/**
 * A secret value in a box that prints a placeholder wherever it is logged, stringified or inspected.
 * Only code that really hands the value to somebody (an HTTP request, a Secret of ours) calls {@link Redacted.reveal}.
 */
export class Redacted<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
    Object.freeze(this);
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return placeholder;
  }

  toJSON(): string {
    return placeholder;
  }

  [inspect.custom](): string {
    return placeholder;
  }
}
